// Other threads that may take a sleeper's wake-up, besides those that the header names:
//     poll        a leader in a poll(2) of its own takes nothing out of the set by sleeping. Other threads take events
//                 out meanwhile, handle them, and raise the leader's wake-up again. Its nudge_fd is its own until it
//                 has seen it
//     helper      only the helper takes events out of its own set. If it finds a ring's set empty, another thread has
//                 taken and handled the events
// Workers and the submission thread sleep on futexes, from which nothing can be taken.
#include "service/waiters.h"

#include <errno.h>
#include <stdlib.h>
#include <new>

#include "os/epoll.h"
#include "os/fds.h"
#include "process/inside.h"
#include "process/thread_end.h"
#include "service/keeper.h"
#include "service/path_face.h"
#include "service/poll_call.h"
#include "service/poller.h"
#include "service/workers.h"
#include "state/ring.h"

namespace ringside::engine {
namespace {

// How long a thread sleeps at most if it cannot be woken, for want of descriptors, or not by all events.
constexpr int64_t look_again_ns = 1'000'000;

int64_t sooner(int64_t a, int64_t b) { return a < b ? a : b; }

// Sleeps in the epoll set, or just sleeps if there is none (-1).
int sleep(int epoll_fd, epoll_event* events, int64_t limit_ns, const sigset_t* mask) {
    const Asleep asleep;
    return epoll_fd >= 0 ? wait_in_set(epoll_fd, events, limit_ns, mask) : wait_on_eventfd(-1, limit_ns, mask);
}

int sleep_on(int eventfd, int64_t limit_ns, const sigset_t* mask) {
    const Asleep asleep;
    return wait_on_eventfd(eventfd, limit_ns, mask);
}

// Handles the events that a sleep has taken out of the set.
void handle_taken(Ring& ring, Waiter& waiter, int count) {
    handle_events(ring, waiter.events, count);
    for (int i = 0; i < count; ++i) waiter.events[i].events = 0;
}

int lead(Ring& ring, Waiter& waiter, int64_t timeout_ns, const sigset_t* mask) RINGSIDE_REQUIRES(ring.lock) {
    const uint32_t serial = waiter.serial;
    int64_t limit = begin_to_lead(ring, waiter, timeout_ns);
    // Without a set nothing wakes the leader. Requests that began to wait while there was no set (`unpolled`) do not
    // wake it either.
    const bool can_be_woken = open_poller(ring) == 0;
    const bool keeper_is_due = ring.kept.armed != 0 || ring.worker_jobs != 0;
    if (can_be_woken && keeper_is_due && ring.poller.wake_copy == nullptr) keep_wake(ring);
    const bool is_left_alone = keeper_is_due && ring.poller.wake_copy == nullptr;
    if (!can_be_woken || is_left_alone || !ring.poller.unpolled.empty()) limit = sooner(limit, look_again_ns);
    const int epoll_fd = ring.poller.epoll_fd;
    let_go_to_workers(ring);
    const int count = sleep(can_be_woken ? epoll_fd : -1, waiter.events, limit, mask);
    ring.lock.acquire();
    if (waiter.serial != serial) return wait_was_ended;
    end_to_lead(ring, waiter);
    if (count > 0 && can_be_woken) handle_taken(ring, waiter, count);
    if (can_be_woken) note_lost_set(ring, count);
    look_at_unpolled(ring);
    ring.timers.expire();
    return count == -EINTR ? -EINTR : 0;
}

int follow(Ring& ring, Waiter& waiter, int64_t timeout_ns, const sigset_t* mask) RINGSIDE_REQUIRES(ring.lock) {
    Waiters& waiters = ring.waiters;
    if (waiter.wake_fd < 0) {
        waiter.wake_fd = waiters.spare_wake_fd >= 0 ? waiters.spare_wake_fd : new_eventfd();
        waiters.spare_wake_fd = -1;
    }
    const int64_t limit = waiter.wake_fd >= 0 ? timeout_ns : sooner(timeout_ns, look_again_ns);
    const uint32_t serial = waiter.serial;
    waiter.asleep = true;
    let_go_to_workers(ring);
    const int result = sleep_on(waiter.wake_fd, limit, mask);
    ring.lock.acquire();
    if (waiter.serial != serial) return wait_was_ended;
    waiter.asleep = false;
    return result == -EINTR ? -EINTR : 0;
}

// Raises the leader's eventfd, by the number that it has in the calling thread's table.
void raise_wake(Ring& ring) {
    if (!has_own_table()) return ring_bell(ring.poller.epoll_fd, ring.poller.wake_fd, wake_cookie);
    if (ring.poller.wake_copy != nullptr) raise_eventfd(number_of(*ring.poller.wake_copy));
}

void wake(Ring& ring, Waiter& waiter) {
    if (!waiter.asleep) return;
    if (ring.waiters.leader == &waiter) {
        wake_leader(ring);
    } else if (waiter.wake_fd >= 0) {
        raise_eventfd(waiter.wake_fd);
    }
}

Waiter* take_place(Waiters& waiters) {
    if (waiters.own.thread == 0) return &waiters.own;
    Waiter* waiter = waiters.free;
    if (waiter != nullptr) {
        waiters.free = waiter->next;
        return waiter;
    }
    void* memory = calloc(1, sizeof(Waiter));
    return memory == nullptr ? nullptr : new (memory) Waiter{};
}

void give_place_back(Waiters& waiters, Waiter& waiter) {
    if (waiter.thread == 0) return;
    waiter.thread = 0;
    ++waiter.serial;
    if (&waiter == &waiters.own) return;
    waiter.next = waiters.free;
    waiters.free = &waiter;
}

// Ends a wait that its thread has left without notice, or that a signal handler of the thread replaces by its own.
void end_wait(Ring& ring, Waiter& waiter) {
    if (ring.waiters.leader == &waiter) end_to_lead(ring, waiter);
    leave_wait(ring, waiter);
    int taken = 0;
    while (taken < events_per_wait && waiter.events[taken].events != 0) ++taken;
    if (taken != 0) handle_taken(ring, waiter, taken);
}

template <typename Predicate>
bool end_waits(Ring& ring, Predicate wanted) {
    auto& all = ring.waiters.all;
    bool any = false;
    for (Waiter* at = all.first(); at != nullptr;) {
        Waiter* next = all.after(*at);
        if (wanted(*at)) {
            end_wait(ring, *at);
            any = true;
        }
        at = next;
    }
    return any;
}

}  // namespace

Waiter* begin_wait(Ring& ring) {
    const uint32_t thread = this_thread_number();
    const bool over_another = !ring.waiters.all.empty() && end_waits_of(ring, thread);
    Waiter* waiter = take_place(ring.waiters);
    if (waiter == nullptr) return nullptr;
    waiter->thread = thread;
    waiter->over_another = over_another;
    waiter->asleep = false;
    enter_wait(ring, *waiter);
    return waiter;
}

bool end_waits_of(Ring& ring, uint32_t thread) {
    return end_waits(ring, [thread](const Waiter& waiter) { return waiter.thread == thread; });
}

void end_all_waits(Ring& ring) {
    end_waits(ring, [](const Waiter& waiter) { return waiter.thread != 0; });
}

void enter_wait(Ring& ring, Waiter& waiter) { ring.waiters.all.push_back(waiter); }

int sleep_for_events(Ring& ring, Waiter& waiter, int64_t timeout_ns, const sigset_t* mask)
    RINGSIDE_REQUIRES(ring.lock) {
    if (ring.waiters.leader != nullptr) end_own_poll_call(ring);
    return ring.waiters.leader == nullptr ? lead(ring, waiter, timeout_ns, mask)
                                          : follow(ring, waiter, timeout_ns, mask);
}

void leave_wait(Ring& ring, Waiter& waiter) {
    Waiters& waiters = ring.waiters;
    waiter.node.unlink();
    if (waiter.wake_fd >= 0) {
        // Another thread may have raised it just before.
        lower_eventfd(waiter.wake_fd);
        if (waiters.spare_wake_fd < 0) {
            waiters.spare_wake_fd = waiter.wake_fd;
        } else {
            close_fd(waiter.wake_fd);
        }
        waiter.wake_fd = -1;
    }
    // The wait of the same thread that was ended for this one may be about to sleep in the set: wake it.
    if (waiter.over_another && ring.poller.wake_fd >= 0) raise_wake(ring);
    give_place_back(waiters, waiter);
    Waiter* heir = waiters.all.first();
    if (waiters.leader == nullptr && heir != nullptr) wake(ring, *heir);
}

bool wait_is_over(const Ring& ring, const Waiter& waiter) {
    return static_cast<int>(ring.completion.published - waiter.target_tail) >= 0 ||
           ring.completion.timeouts_fired != waiter.timeouts_seen || ring.closing;
}

int64_t begin_to_lead(Ring& ring, Waiter& waiter, int64_t timeout_ns) {
    const int64_t limit = sooner(timeout_ns, ring.timers.ns_until_next());
    ring.waiters.leader = &waiter;
    waiter.asleep = true;
    return limit;
}

void end_to_lead(Ring& ring, Waiter& waiter) {
    waiter.asleep = false;
    ring.waiters.leader = nullptr;
    ring.waiters.wake_sent = false;
    ring.poller.calls_unlooked = 0;
}

void wake_satisfied(Ring& ring) {
    auto& all = ring.waiters.all;
    for (Waiter* at = all.first(); at != nullptr; at = all.after(*at)) {
        if (wait_is_over(ring, *at)) wake(ring, *at);
    }
}

void wake_leader(Ring& ring) {
    Waiters& waiters = ring.waiters;
    const int wake_fd = ring.poller.wake_fd;
    if (waiters.leader == nullptr || !waiters.leader->asleep || waiters.wake_sent || wake_fd < 0) return;
    waiters.wake_sent = true;
    if (waiters.wakes_late) {
        waiters.wake_wanted = true;
    } else {
        raise_wake(ring);
    }
}

void pass_wake_on(Ring& ring) {
    // Without a leader there is no thread to wake. Without wake_sent, the wake-up was for a sleep that is over.
    if (ring.waiters.leader != nullptr && ring.waiters.wake_sent) raise_wake(ring);
}

bool is_led_in_enter(const Ring& ring) { return ring.waiters.leader != nullptr && ring.poll_call.thread == 0; }

void enter_to_wake(Ring& ring) RINGSIDE_ACQUIRES(ring.lock) {
    ring.lock.acquire();
    ring.waiters.wakes_late = true;
}

void let_go_and_wake(Ring& ring) RINGSIDE_RELEASES(ring.lock) {
    Waiters& waiters = ring.waiters;
    const bool wanted = waiters.wake_wanted;
    waiters.wakes_late = waiters.wake_wanted = false;
    // The ring and its eventfd stay until this is zero again (entry/close.cc).
    if (wanted) waiters.wakers.fetch_add(1, std::memory_order_relaxed);
    ring.lock.release();
    if (!wanted) return;
    raise_wake(ring);
    waiters.wakers.fetch_sub(1, std::memory_order_release);
}

void close_waiters(Waiters& waiters) { drop_fd(waiters.spare_wake_fd); }

}  // namespace ringside::engine
