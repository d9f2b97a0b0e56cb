// Whether the calling process is the one that the engine's state belongs to. fork(2) runs handlers
// (process/registry.cc); _Fork(), clone(2) and the bare system calls run none, and their child finds the parent's
// rings, locks held by threads that it does not have, and the parent's process id. So the state lies behind a page that
// the kernel empties in every copy of the address space (MADV_WIPEONFORK, Linux 4.14): each entrance of the engine
// looks there first.
//
// A child that shares the memory (vfork(2), posix_spawn(3)) finds the page as it is, and is no copy: the rings are its
// parent's, and the parent needs them. Only its descriptors are its own.
#pragma once

#include <stdint.h>
#include <atomic>

namespace ringside::engine {

enum class Residence : uint32_t {
    left,       // the page was emptied: this is a child
    moving_in,  // a thread of the child is leaving the rings to the parent
    settled,
};

struct ProcessMark {
    std::atomic<Residence> residence;
    std::atomic<int> pid;  // 0: not known
};

// Until there are rings there is nothing to inherit, and this stands elsewhere.
extern constinit std::atomic<ProcessMark*> process_mark;

// The calling process may be a child that has to begin anew.
void settle_in_child();

// To be called at each entrance of the engine, before any lock is taken.
inline void come_in() {
    const ProcessMark* mark = process_mark.load(std::memory_order_relaxed);
    // Pairs with the release at the end of settling: what the thread that settled has reset is seen.
    const bool settled = mark->residence.load(std::memory_order_acquire) == Residence::settled;
    if (__builtin_expect(!settled, 0)) settle_in_child();
}

// The first ring is about to be made.
void mark_own_process();

// The handler of fork(2) in a child.
void settle_after_fork();

// The id of the process whose memory this is.
int own_process();

// False for a child that shares its parent's memory. By a system call.
bool is_own_process();

// How a process came to know that it is a child of the one whose rings these are.
enum class Inheritance : uint8_t {
    of_fork,     // at once, by fork's handler, and the locks were held meanwhile
    of_unknown,  // some time later: anything may have been interrupted, and the descriptors may be others by now
};

// Leaves all rings to the parent (process/registry.cc).
void leave_rings_to_parent(Inheritance noticed);

}  // namespace ringside::engine
