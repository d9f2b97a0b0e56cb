// The process's rings: which file descriptor is which ring, where Ring objects come from, and what fork means.
#pragma once

#include "os/own_process.h"
#include "os/thread_id.h"
#include "state/ring.h"

namespace ringside::engine {

// A ring object from the pool, closed and reset; null when memory is out.
Ring* take_ring();

// Gives it back. Its memory stays a Ring for ever: a thread that still has the pointer may lock it and see it closed.
void give_back_ring(Ring& ring);

// Enters `fd` as a name of the ring. Returns 0 or -ENOMEM.
int enter_descriptor(int fd, Ring& ring);

// Forgets `fd`. Returns the ring it was a name of, or null.
Ring* remove_descriptor(int fd);

// Forgets `fd` if it is a name of this ring. Returns whether it was.
bool remove_descriptor_of(int fd, Ring& ring);

// Visits each descriptor that is entered.
void for_each_descriptor(void (*visit)(int fd, Ring& ring, int argument), int argument);

// The ring that `fd` names, or null. Takes no lock.
Ring* ring_of(int fd);

// The ring that `fd` names, and which of the rings that its memory has been. Between this and the ring's lock another
// thread may close it: who locks it then compares the generation. Returns 0, -EBADF for no descriptor, or -EOPNOTSUPP
// for another file's.
struct FoundRing {
    Ring* ring = nullptr;
    unsigned generation = 0;

    bool is_same() const { return ring->generation.load(std::memory_order_relaxed) == generation; }
};
int find_ring(int fd, FoundRing& found);

// A descriptor of our own of the file that the ring's descriptors name. -EBADF if there are none any more.
int duplicate_descriptor_of(const Ring& ring);

// Visits each open ring of this process, under its lock.
void for_each_open_ring(void (*visit)(Ring& ring, uint32_t argument), uint32_t argument);

// How many rings are open.
unsigned open_rings();

// A ring for a single issuer is for the thread that made it, or enabled it.
inline bool wrong_submitter(const Ring& ring) {
    if (!(ring.setup_flags & IORING_SETUP_SINGLE_ISSUER)) return false;
    return ring.submitter != this_thread_id();
}

}  // namespace ringside::engine
