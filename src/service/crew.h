// Threads for requests whose calls depend on who makes them (op_asks_who): what a thread may do is its own in Linux,
// and no question to the kernel tells whether another thread may do the same. Credentials can be compared, but not
// Landlock's domains, seccomp filters, security labels, or the root and the directory that names begin at.
//
// But a thread has all of this from the thread that made it. So the submitter makes a thread for such requests of its
// batch, if there are any left when it lets go of the ring. This thread may do what the submitter could at that moment,
// for as long as it lives. It makes the other threads of its crew, when it needs some. The crew takes no requests of a
// later batch: its submitter may have confined itself in between. When the last of its requests is done, it ends.
//
// A request that is to be made later (the next of a chain, one that drains) holds its crew from its submission. It is
// attempted by its submitter, or else by its crew.
//
// Lock order: a ring's lock first, then that of the crews, then those of the pools of workers.
#pragma once

#include <sched.h>
#include <atomic>

#include "state/ring.h"

namespace ringside::engine {

// The crew of the calling thread, while some of its requests wait for it and it has no thread yet.
inline constinit thread_local std::atomic<Crew*> unmanned_crew{nullptr};

// The calling thread, which submits the request, has it hold its crew, unless it holds one already. Returns false when
// memory is out.
bool join_crew(Request& request);

// The request is done.
void leave_crew(Request& request);

// Whether the calling thread may make the request's calls: it is the submitter, or of the request's crew.
bool acts_for_submitter(const Request& request);

// Hands a request to its crew. Returns false if that could have no thread.
bool queue_for_crew(Request& request);

// Makes the crew's first thread, if it needs one. The submitter calls it when it has let go of the ring's lock. If
// there can be no thread, it does bounded work itself, and the rest ends with -EAGAIN.
void man_crew_in_full();
inline void man_crew() {
    if (__builtin_expect(unmanned_crew.load(std::memory_order_relaxed) != nullptr, 0)) man_crew_in_full();
}

// The submitter is about to sleep until all requests are done. If its crew has nothing but bounded work, the submitter
// does that instead of making a thread. Returns whether it did. Releases the ring's lock meanwhile.
bool work_in_person(Ring& ring);

// Takes a request back; the workers' function of the same name is for both.
enum class Withdrawal : unsigned char;
Withdrawal withdraw_from_crew(Request& request);

// As with the workers.
void move_crews(const cpu_set_t& processors);
void go_by_new_limits();
void end_crews();
void hold_crews();
void release_crews();
void forget_crews();

}  // namespace ringside::engine
