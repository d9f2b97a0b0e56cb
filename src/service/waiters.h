// The threads that wait for the ring's completions.
//
// Of those that wait in io_uring_enter, one, the leader, sleeps in the ring's epoll set (service/poller.h) and handles
// what happens there; the others sleep until the leader's or a worker's completions satisfy them or until they are to
// lead. All of it is under the ring's lock, which nobody holds while asleep. How the leader is woken is gone through in
// tests/model/waiters.cc.
//
// No wake-up is lost to another thread:
//     leader      wake_fd is an edge in the ring's epoll set, into which others look as well (look_into_set): whoever
//                 takes it while the leader counts on it sends it again
//     follower    its eventfd is its own from the first sleep to leave_wait(), and is raised under the lock alone, so
//                 that it is not raised any more when it becomes `spare_wake_fd`
//     heir        who stops leading either leads again or wakes the first of the others, before it lets go of the lock
#pragma once

#include <signal.h>
#include <stdint.h>

#include "os/epoll.h"
#include "state/waiting.h"

namespace ringside::engine {

struct Ring;

// A thread begins to wait, sleeps (as leader or follower, without the lock) until something happened or the time is up,
// and ends to wait, whereupon another may lead. begin_wait returns null where there is no memory. sleep_for_events
// returns 0, -EINTR, or wait_was_ended: then the waiter is not the caller's any more, and the ring may be another.
inline constexpr int wait_was_ended = -4096;
Waiter* begin_wait(Ring& ring);
void enter_wait(Ring& ring, Waiter& waiter);
int sleep_for_events(Ring& ring, Waiter& waiter, int64_t timeout_ns, const sigset_t* mask);
void leave_wait(Ring& ring, Waiter& waiter);

// Ends all, of a ring that is being closed, where those that wait do not come back.
void end_all_waits(Ring& ring);

// Whether what the thread waits for has happened.
bool wait_is_over(const Ring& ring, const Waiter& waiter);

// The two ends of a leader's sleep, for one that sleeps in the set in a way of its own. The first says for how long at
// most, by the ring's timers.
int64_t begin_to_lead(Ring& ring, Waiter& waiter, int64_t timeout_ns);
void end_to_lead(Ring& ring, Waiter& waiter);

// Wakes the waiters whose condition holds. Called by whoever posted completions.
void wake_satisfied(Ring& ring);

// Gets the leader to look at the ring again: an earlier timer was set, task work came.
void wake_leader(Ring& ring);

// Somebody else has taken the leader's wake-up out of the set that the leader sleeps in. It is sent again:
// wake_leader() sends none while it counts on that one.
void pass_wake_on(Ring& ring);

// Whether a leader sleeps in io_uring_enter. One that sleeps in a poll of its own may have left without a word.
bool is_led_in_enter(const Ring& ring);

// The leader begins with taking the ring's lock. So who comes to the ring from outside takes it by enter_to_wake() and
// lets it go by let_go_and_wake(), and the leader is woken only then, if it is to be.
void enter_to_wake(Ring& ring);
void let_go_and_wake(Ring& ring);

// The ring is being closed: nobody waits any more.
void close_waiters(Waiters& waiters);

}  // namespace ringside::engine
