// Which requests a cancellation means: IORING_OP_ASYNC_CANCEL and IORING_REGISTER_SYNC_CANCEL ask in the same words.
#pragma once

#include <stdint.h>

#include "liburing/io_uring.h"

namespace ringside::engine {

struct Ring;

struct Cancel {
    uint64_t user_data;
    uint32_t flags;  // IORING_ASYNC_CANCEL_...
    int32_t fd;
    uint8_t opcode;
    bool spares_workers;  // what is in a worker is out of its reach
    bool at_work;         // it is made by a worker
    bool finds_itself;    // among what the workers have
};

inline constexpr uint32_t known_cancel_flags = IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_FD |
                                               IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_FD_FIXED |
                                               IORING_ASYNC_CANCEL_USERDATA | IORING_ASYNC_CANCEL_OP;

// Cancels what is meant. Returns what cancel_request() says of the first, or how many they were where all are meant;
// -EBADF when `fd` is no file.
long cancel_matches(Ring& ring, Cancel cancel);

}  // namespace ringside::engine
