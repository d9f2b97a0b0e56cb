// The state of those who wait for a ring's completions: threads in io_uring_enter (service/waiters.h), threads in a
// poll(2) of their own (service/poll_call.h), programs that poll the ring's descriptor (service/readiness.h), and the
// helper (service/helper.h).
//
// Guarded by the ring's lock.
#pragma once

#include <stdint.h>
#include <atomic>

#include "os/epoll.h"
#include "state/list.h"

namespace ringside::engine {

// A thread that waits in io_uring_enter. It may leave its sleep without notice: by a jump out of a signal handler, or
// because it is cancelled. So nothing of the wait is on its stack. The left wait is ended by the thread's next wait on
// the ring, by the thread's end, or by the close of the ring. What the sleep had taken out of the epoll set is handled
// then.
//
// The next wait may also be that of a signal handler, whose thread returns to its first wait afterwards. It then finds
// that this wait was ended, and returns -EINTR, which is true: a signal has come.
struct Waiter {
    ListNode node;
    unsigned target_tail;    // satisfied when the shared CQ tail has come this far
    unsigned timeouts_seen;  // or when a timeout has fired since
    int wake_fd = -1;        // a follower's eventfd
    bool asleep = false;
    bool over_another = false;                 // another wait of the same thread was ended for this one
    uint32_t thread = 0;                       // the thread's number (process/thread_end.h); 0: free, or in a poll call
    uint32_t serial = 0;                       // counts the waits that have ended here
    Waiter* next = nullptr;                    // in the list of free waiters
    epoll_event events[events_per_wait] = {};  // taken by a leader's sleep; zero once handled
};

struct Waiters {
    List<Waiter, &Waiter::node> all;
    Waiter* leader = nullptr;
    bool wake_sent = false;           // the leader's eventfd was raised for its present sleep
    bool wakes_late = false;          // the holder of the lock wakes the leader in let_go_and_wake()
    bool wake_wanted = false;         // the leader is to be woken there
    std::atomic<unsigned> wakers{0};  // threads that wake the leader after releasing the lock; not guarded by it
    int spare_wake_fd = -1;           // left by a follower, for the next
    Waiter own;                       // the first waiter, without malloc
    Waiter* free = nullptr;           // further waiters, kept for reuse
};

struct PollCall {
    Waiter waiter;
    uint32_t thread = 0;  // the thread's number (process/thread_end.h); 0: no thread is in such a call
    uint32_t serial = 0;  // counts the calls
    int nudge_fd = -1;    // raised when the helper ends a call
    uint32_t nudged = 0;  // the thread whose call that was, until it has noticed
};

// Guarded by the ring's lock.
struct Readiness {
    int eventfd = -1;  // raised while completions wait; -1: nobody has asked for a descriptor to poll
    bool raised = false;
    bool polled = false;  // a program polls the descriptor: report each completion
    int own = -1;         // the ring's descriptor, which the program closes: the set, or the eventfd if there is no set
    int marker = -1;      // in the set: a duplicate of the eventfd
    int alarm = -1;       // in the set: a timer, made when it is needed
    uint8_t asked = 0;    // how often the engine asked whether the set is polled, up to a limit
    int64_t ask_again_ns = 0;     // coarse time of the next question
    int64_t silent_until_ns = 0;  // coarse time until which the alarm covers unreported completions; 0: it is off
};

// What the helper does about a ring. Guarded by the ring's lock.
struct Helped {
    enum class State : uint8_t { forgotten, watched, hosted };
    std::atomic<State> state{State::forgotten};  // the helper may look at it without the lock
    uint8_t quiet_looks = 0;                     // looks in a row that found the program asleep in the same call
    unsigned calls_seen = 0;                     // Ring::calls at the last look
    int64_t hosted_until_ns = 0;                 // monotonic time at which the helper looks at a hosted ring by itself
    bool attended = false;                       // the helper is handling the ring now
    int64_t reaping_ns = 0;                      // interval of the looks whether the program has reaped; 0: no looks
    unsigned calls_before = 0;                   // Ring::calls at the last of those looks
    std::atomic<bool> nudged{false};             // a thread with the engine's own table leaves work to the helper
};

}  // namespace ringside::engine
