// Who waits for a ring's completions: threads in io_uring_enter (service/waiters.h) or in a poll of their own
// (service/poll_call.h), pollers of its descriptor (service/readiness.h), and the helper (service/helper.h).
//
// Guarded by the ring's lock.
#pragma once

#include <stdint.h>
#include <atomic>

#include "os/epoll.h"
#include "state/list.h"

namespace ringside::engine {

// A thread that waits in io_uring_enter. It may leave its sleep without a word: by a jump out of a signal's handler, or
// cancelled. So nothing of the wait is on its stack. The thread's next wait on the ring ends the one that was left, and
// so does its end, or the close of the ring; what the sleep had taken out of the epoll set is handled then. If the
// thread has left nothing, because that next wait is its handler's, it finds that its wait was ended, and a signal has
// come, as -EINTR says.
struct Waiter {
    ListNode node;
    unsigned target_tail;    // satisfied when the shared CQ tail has come this far
    unsigned timeouts_seen;  // or when a time-out fired since
    int wake_fd = -1;        // eventfd of a waiter that does not lead
    bool asleep = false;
    bool over_another = false;                 // a wait of the same thread was ended for this one
    uint32_t thread = 0;                       // by its number (process/thread_end.h); 0: nobody, or one in a poll call
    uint32_t serial = 0;                       // counts the waits that have ended here
    Waiter* next = nullptr;                    // of those that are free
    epoll_event events[events_per_wait] = {};  // taken in a leader's sleep; all zero when they are handled
};

struct Waiters {
    List<Waiter, &Waiter::node> all;
    Waiter* leader = nullptr;
    bool wake_sent = false;           // to the leader
    bool wakes_late = false;          // whoever holds the ring's lock wakes the leader by let_go_and_wake()
    bool wake_wanted = false;         // and has been asked to
    std::atomic<unsigned> wakers{0};  // threads that wake the leader without the lock; not guarded by it
    int spare_wake_fd = -1;           // of a waiter that left, for the next
    Waiter own;                       // for one that waits at a time
    Waiter* free = nullptr;           // made for more, and kept
};

struct PollCall {
    Waiter waiter;
    uint32_t thread = 0;  // by its number (process/thread_end.h); 0 when nobody is in such a call
    uint32_t serial = 0;  // counts the calls
    int nudge_fd = -1;    // is raised when a call is ended from outside
    uint32_t nudged = 0;  // the thread whose call that was, until it has seen it
};

// Guarded by the ring's lock.
struct Readiness {
    int eventfd = -1;  // raised while completions wait; -1 where nobody polls
    bool raised = false;
    bool polled = false;  // a program polls the descriptor: report each completion
    int own = -1;         // the ring's descriptor, which the program closes: the set, or the eventfd if there is no set
    int marker = -1;      // in the set: a duplicate of the eventfd
    int alarm = -1;       // in the set: a timer, made when it is needed
    uint8_t asked = 0;    // how often the engine asked whether the set is polled, up to a limit
    int64_t ask_again_ns = 0;  // coarse time of the next question
    int64_t silent_until_ns =
        0;  // coarse time until which the alarm covers completions that are not told; 0: it is off
};

// How a ring stands with the helper. Guarded by the ring's lock.
struct Helped {
    enum class State : uint8_t { forgotten, watched, hosted };
    std::atomic<State> state{State::forgotten};  // the helper may look at it without the lock
    uint8_t quiet_looks = 0;                     // looks during which the program slept in one and the same call
    unsigned calls_seen = 0;                     // Ring::calls at the last look
    int64_t hosted_until_ns = 0;                 // monotonic time at which the helper looks at a hosted ring by itself
    bool attended = false;                       // the helper is at it now
    int64_t reaping_ns = 0;           // until the next look whether the program has reaped; 0: it is not awaited
    unsigned calls_before = 0;        // Ring::calls at the last of those looks
    std::atomic<bool> nudged{false};  // somebody without the program's table leaves it to the helper to go on
};

}  // namespace ringside::engine
