// Readiness: requests that wait for their file, one edge-triggered epoll set a ring, and the threads that wait for the
// ring's completions.
//
// Of the threads that wait in io_uring_enter, one, the leader, sleeps in the epoll set and handles what happens there;
// the others sleep until the leader's or a worker's completions satisfy them or until they are to lead. While no thread
// waits, the process's helper thread (service/helper.h) stands in. All of it is under the ring's lock, which nobody
// holds while asleep.
#pragma once

#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <time.h>
#include <atomic>

#include "state/list.h"
#include "state/request.h"

namespace ringside::engine {

struct Ring;

// The requests that wait on one file descriptor number. A number may stand for several files over time: each request
// holds its own file (Request::fd), so whatever event comes for the number, a retry decides; and only an event of the
// request's own registration tells of its file.
struct FdSlot {
    Circle<Request, &Request::node> waiting;
    uint32_t registered;    // events the number was last registered for in the epoll set
    uint32_t registration;  // which registration that was: events carry it, beside the number
};

// A thread that waits in io_uring_enter.
struct Waiter {
    ListNode node;
    unsigned target_tail;    // satisfied when the shared CQ tail has come this far
    unsigned timeouts_seen;  // or when a time-out fired since
    int wake_fd = -1;        // eventfd of a waiter that does not lead
    bool asleep = false;
};

struct Poller {
    int epoll_fd = -1;
    int wake_fd = -1;  // in the epoll set: gets the leader out of its sleep
    bool wake_sent = false;
    bool wakes_late = false;          // whoever holds the ring's lock wakes the leader by let_go_and_wake()
    bool wake_wanted = false;         // and has been asked to
    std::atomic<unsigned> wakers{0};  // threads that wake the leader without the lock; not guarded by it
    FdSlot** pages = nullptr;         // slots by descriptor number, in pages
    unsigned page_count = 0;
    uint32_t registrations = 0;              // counts them
    uint32_t happened = 0;                   // to the file of the request that is tried again now; 0: not known
    uint32_t rounds = 0;                     // of handling events
    unsigned armed = 0;                      // requests waiting for readiness, or for a disk
    List<Request, &Request::node> unpolled;  // those that wait for readiness since there was no descriptor for a set
    List<Waiter, &Waiter::node> waiters;
    Waiter* leader = nullptr;
    int spare_wake_fd = -1;       // of a waiter that left, for the next
    unsigned calls_unlooked = 0;  // calls of the program since somebody looked what is ready
};

// Makes the epoll set if the ring has none. Returns 0 or -errno.
int open_poller(Ring& ring);

// Puts an eventfd of ours into the set, under a cookie that handle_events() knows. Returns 0 or -errno.
inline constexpr uint64_t wake_cookie = ~uint64_t{0};
inline constexpr uint64_t disk_cookie = ~uint64_t{1};
int watch_eventfd(Ring& ring, int eventfd, uint64_t cookie);

// Puts a request to wait for `wait_events` of its file, which the poller knows by `number`: the program's descriptor,
// while that is sure to be the file still (registering it again is cheaper than a new one), else Request::fd. Where
// there is no set to wait in, it is tried whenever somebody looks. Returns 0, -EPERM when the file cannot be waited for
// (a regular file), or another error.
int arm_poll(Request& request, int number);

// Takes it out again.
void disarm_poll(Request& request);

// Whether requests wait for the file that it knows by this number.
bool is_waited_for(const Poller& poller, int number);

// A descriptor of our own, which requests may have waited on by its number, is about to be closed.
void forget_number(Ring& ring, int fd);

// Handles what epoll_wait returned: the requests concerned are tried again (path/arm.cc).
void handle_events(Ring& ring, const epoll_event* events, int count);

// Handles what is ready now, without waiting.
void poll_now(Ring& ring);

// The program's call ends, while requests wait. One that had no need to sleep may not have looked what is ready, and
// neither may the next ones: so it is looked now and then. look_with_next_call() has the next one do it.
void look_now_and_then(Ring& ring);
void look_with_next_call(Ring& ring);
// The same for a call of the program's: where it is for a disk alone that requests wait, its results are in memory, and
// no call is needed to look. What told of them stays in the epoll set then, and makes the next look there a vain one.
void poll_in_call(Ring& ring);

// Handles what has happened in the epoll set, which is ready no more then.
void take_events(Ring& ring);

// Wakes the waiters whose condition holds. Called by whoever posted completions.
void wake_satisfied(Ring& ring);

// Gets the leader, or the helper in its place, to look at the ring again: an earlier timer was set, task work came.
void wake_leader(Ring& ring);

// The leader begins with taking the ring's lock. So who comes to the ring from outside takes it by enter_to_wake() and
// lets it go by let_go_and_wake(), and the leader is woken only then, if it is to be (tests/model/waiters.cc).
void enter_to_wake(Ring& ring);
void let_go_and_wake(Ring& ring);

// A thread begins to wait, sleeps (as leader or follower, without the lock) until something happened or the time is up,
// and ends to wait, whereupon another may lead. sleep_for_events returns 0, or -EINTR.
void enter_wait(Ring& ring, Waiter& waiter);
int sleep_for_events(Ring& ring, Waiter& waiter, int64_t timeout_ns, const sigset_t* mask);
void leave_wait(Ring& ring, Waiter& waiter);

// The two ends of a leader's sleep, for one that sleeps in the set in a way of its own. The first says for how long at
// most, by the ring's timers.
int64_t begin_to_lead(Ring& ring, Waiter& waiter, int64_t timeout_ns);
void end_to_lead(Ring& ring, Waiter& waiter);

// Whether what the thread waits for has happened.
bool wait_is_over(Ring& ring, const Waiter& waiter);

void close_poller(Ring& ring);

}  // namespace ringside::engine
