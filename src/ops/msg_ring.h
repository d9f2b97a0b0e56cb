// Shared by IORING_OP_MSG_RING and IORING_REGISTER_SEND_MSG_RING, which takes the same SQE.
#pragma once

#include <stdint.h>

#include "liburing/io_uring.h"

namespace ringside::engine {

struct Ring;

struct MessageFields {
    uint64_t user_data;
    uint32_t command;  // IORING_MSG_DATA or IORING_MSG_SEND_FD
    uint32_t source_slot;
    uint32_t length;       // the completion's result
    uint32_t target_slot;  // or, with IORING_MSG_RING_FLAGS_PASS, the completion's flags
    uint32_t flags;        // IORING_MSG_RING_...

    uint32_t cqe_flags() const { return flags & IORING_MSG_RING_FLAGS_PASS ? target_slot : 0; }
};

// Returns 0 or -EINVAL.
int read_message(const io_uring_sqe& sqe, MessageFields& fields);

// Whether the SQE is valid for IORING_MSG_DATA. Returns 0 or -EINVAL.
int check_data(const MessageFields& fields);

// Returns 0, -EBADF for no descriptor, or -EBADFD for one that is no ring of this process.
int find_message_target(int fd, Ring*& target);

}  // namespace ringside::engine
