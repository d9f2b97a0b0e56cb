// The memory of a buffer ring: the program's own, or ours for the program to map (IOU_PBUF_RING_MMAP).
#pragma once

#include <stddef.h>

#include "liburing/io_uring.h"

namespace ringside::engine {

struct Ring;

struct BufferRingMemory {
    io_uring_buf_ring* shared;
    size_t size;
    bool owned;  // our mapping
};

// Returns 0, -EFAULT if the program's memory is not there to be written, -EINVAL if it does not begin with a page, or
// -ENOMEM.
int open_buffer_ring_memory(Ring& ring, const io_uring_buf_reg& wanted, BufferRingMemory& memory);

void close_buffer_ring_memory(Ring& ring, unsigned id, BufferRingMemory& memory);

}  // namespace ringside::engine
