// Which requests a cancellation matches. IORING_OP_ASYNC_CANCEL and IORING_REGISTER_SYNC_CANCEL have the same
// arguments.
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
    bool spares_workers;  // it leaves requests in workers alone
    bool at_work;         // it is made by a worker
    bool finds_itself;    // among what the workers have
};

inline constexpr uint32_t known_cancel_flags = IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_FD |
                                               IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_FD_FIXED |
                                               IORING_ASYNC_CANCEL_USERDATA | IORING_ASYNC_CANCEL_OP;

// Cancels the requests that match. Returns the result of cancel_request() for the first one, or, with
// IORING_ASYNC_CANCEL_ALL, how many there were. Returns -EBADF if `fd` is no file.
long cancel_matches(Ring& ring, Cancel cancel);

}  // namespace ringside::engine
