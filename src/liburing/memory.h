// Memory of rings: how much each part takes, and mapping without touching errno.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "liburing/api.h"

namespace ringside::liburing {

// The sizes of both queues of a ring with these parameters.
struct QueueSizes {
    unsigned sq_entries;
    unsigned cq_entries;
};

// Rounds as io_uring_setup(2) does. Returns 0, or -EINVAL for sizes that it refuses.
int queue_sizes(unsigned entries, const io_uring_params& params, QueueSizes& sizes);

// Bytes of the SQEs, and of both rings with their header and the index array (if there is one): what a ring needs at
// least, before it was set up.
size_t sqes_bytes(const QueueSizes& sizes, unsigned flags);
size_t rings_bytes(const QueueSizes& sizes, unsigned flags);

size_t page_size();
size_t round_to_pages(size_t size);

// Maps a ring's descriptor, shared; or, for the fd -1, anonymous memory with `extra_flags`. On failure returns null and
// sets *error to -errno.
void* map(int fd, uint64_t offset, size_t size, int extra_flags, int* error);
void unmap(void* address, size_t size);

}  // namespace ringside::liburing
