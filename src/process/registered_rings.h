// Ring descriptors that a thread has registered (IORING_REGISTER_RING_FDS): small indices that name its rings in
// io_uring_enter and io_uring_register. Each thread has a table of its own, as in the kernel; what stands there keeps
// the ring open, and goes with the thread.
#pragma once

#include "process/registry.h"

namespace ringside::engine {

struct Ring;

inline constexpr unsigned most_registered_rings = 16;
inline constexpr unsigned any_index = ~0u;

// The calling thread's ring with this index. Returns 0, -EINVAL for no index, -EBADF for an empty one.
int find_registered_ring(unsigned index, Ring*& ring);

// Enters a ring at an index, or at any free one. Returns the index, -EINVAL, -EBUSY, or -EBADF for a closed ring.
// Without any ring's lock, as the next one.
int add_registered_ring(const FoundRing& found, unsigned index);

// Empties an index; what was the ring's last name ends it. Returns 0 or -EINVAL.
int remove_registered_ring(unsigned index);

// Empties all of the calling thread's, since it ends.
void drop_registered_rings();

// In a child after fork: its one thread has registered nothing.
void forget_registered_rings();

}  // namespace ringside::engine
