// The threads that wait for the ring's completions.
//
// One of the threads that wait in io_uring_enter, the leader, sleeps in the ring's epoll set (service/poller.h) and
// handles what happens there. The others, the followers, sleep until there are enough completions for them or until
// they are to lead. All of this runs under the ring's lock, which no thread holds while it sleeps.
// tests/model/waiters.cc checks how the leader is woken.
//
// No wake-up is lost to another thread:
//     leader      wake_fd is an edge in the ring's epoll set. Other threads look into the set too (look_into_set): one
//                 that takes the edge while the leader relies on it raises it again
//     follower    its eventfd is its own from its first sleep to leave_wait(). It is raised only under the lock, so no
//                 thread raises it any more once it is `spare_wake_fd`
//     heir        a thread that stops leading either leads again, or wakes the first of the others, before it releases
//                 the lock
#pragma once

#include <signal.h>
#include <stdint.h>

#include "os/epoll.h"
#include "state/waiting.h"

namespace ringside::engine {

struct Ring;

// A thread calls begin_wait(), then sleep_for_events() as often as it has to, then leave_wait(), after which another
// may lead. begin_wait() returns null if there is no memory. sleep_for_events() sleeps without the lock, as leader or
// as follower, until something has happened or the time is up. It returns 0, -EINTR, or wait_was_ended: then the waiter
// is not the caller's any more, and the ring may be another.
inline constexpr int wait_was_ended = -4096;
Waiter* begin_wait(Ring& ring);
void enter_wait(Ring& ring, Waiter& waiter);
int sleep_for_events(Ring& ring, Waiter& waiter, int64_t timeout_ns, const sigset_t* mask);
void leave_wait(Ring& ring, Waiter& waiter);

// Ends all waits of a ring that is being closed, for threads that do not come back from theirs.
void end_all_waits(Ring& ring);

// Whether what the thread waits for has happened.
bool wait_is_over(const Ring& ring, const Waiter& waiter);

// Begin and end of a leader's sleep, for a caller that sleeps in the set by itself. begin_to_lead() returns how long it
// may sleep: `timeout_ns`, or less if a timer of the ring expires before.
int64_t begin_to_lead(Ring& ring, Waiter& waiter, int64_t timeout_ns);
void end_to_lead(Ring& ring, Waiter& waiter);

// Wakes the waiters whose condition holds. Called by the thread that has posted completions.
void wake_satisfied(Ring& ring);

// Has the leader look at the ring again, after an earlier timer was set or task work was queued.
void wake_leader(Ring& ring);

// Called by another thread that has taken the leader's wake-up out of the epoll set. Raises it again, because
// wake_leader() raises no second one while it relies on the first.
void pass_wake_on(Ring& ring);

// Whether a leader sleeps in io_uring_enter. One that sleeps in the program's poll(2) may have left without notice.
bool is_led_in_enter(const Ring& ring);

// A woken leader takes the ring's lock first. So other threads (a worker, the keeper) take the lock by enter_to_wake()
// and release it by let_go_and_wake(), which wakes the leader, if necessary, after the release.
void enter_to_wake(Ring& ring);
void let_go_and_wake(Ring& ring);

// Called when the ring is closed and no thread waits any more.
void close_waiters(Waiters& waiters);

}  // namespace ringside::engine
