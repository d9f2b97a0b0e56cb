#include "service/waiters.h"

#include <errno.h>

#include "path/path.h"
#include "service/epoll.h"
#include "service/keeper.h"
#include "service/poll_call.h"
#include "service/poller.h"
#include "service/workers.h"
#include "state/fds.h"
#include "state/inside.h"
#include "state/ring.h"

namespace ringside::engine {
namespace {

// After so long a thread looks again that cannot be woken, for want of descriptors, or not by all that may happen.
constexpr int64_t look_again_ns = 1'000'000;

int64_t sooner(int64_t a, int64_t b) { return a < b ? a : b; }

// In the set, or without one.
int sleep(int epoll_fd, epoll_event* events, int64_t limit_ns, const sigset_t* mask) {
    const Asleep asleep;
    return epoll_fd >= 0 ? wait_in_set(epoll_fd, events, limit_ns, mask) : wait_on_eventfd(-1, limit_ns, mask);
}

int sleep_on(int eventfd, int64_t limit_ns, const sigset_t* mask) {
    const Asleep asleep;
    return wait_on_eventfd(eventfd, limit_ns, mask);
}

int lead(Ring& ring, Waiter& waiter, int64_t timeout_ns, const sigset_t* mask) RINGSIDE_REQUIRES(ring.lock) {
    epoll_event events[events_per_wait];
    int64_t limit = begin_to_lead(ring, waiter, timeout_ns);
    // Without a set to sleep in there is nothing to be woken by, nor by what waited while there was none.
    const bool can_be_woken = open_poller(ring) == 0;
    if (!can_be_woken || !ring.poller.unpolled.empty()) limit = sooner(limit, look_again_ns);
    const int epoll_fd = ring.poller.epoll_fd;
    let_go_to_workers(ring);
    const int count = sleep(can_be_woken ? epoll_fd : -1, events, limit, mask);
    ring.lock.acquire();
    end_to_lead(ring, waiter);
    if (count > 0 && can_be_woken) handle_events(ring, events, count);
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
    waiter.asleep = true;
    let_go_to_workers(ring);
    const int result = sleep_on(waiter.wake_fd, limit, mask);
    ring.lock.acquire();
    waiter.asleep = false;
    return result == -EINTR ? -EINTR : 0;
}

// The leader's eventfd, by the number that it has in the calling thread's table.
void raise_wake(Ring& ring) {
    raise_eventfd(has_own_table() ? number_of(*ring.poller.wake_copy) : ring.poller.wake_fd);
}

void wake(Ring& ring, Waiter& waiter) {
    if (!waiter.asleep) return;
    if (ring.waiters.leader == &waiter) {
        wake_leader(ring);
    } else if (waiter.wake_fd >= 0) {
        raise_eventfd(waiter.wake_fd);
    }
}

}  // namespace

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
        // Somebody may have raised it just before we left.
        lower_eventfd(waiter.wake_fd);
        if (waiters.spare_wake_fd < 0) {
            waiters.spare_wake_fd = waiter.wake_fd;
        } else {
            close_fd(waiter.wake_fd);
        }
        waiter.wake_fd = -1;
    }
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

void enter_to_wake(Ring& ring) RINGSIDE_ACQUIRES(ring.lock) {
    ring.lock.acquire();
    ring.waiters.wakes_late = true;
}

void let_go_and_wake(Ring& ring) RINGSIDE_RELEASES(ring.lock) {
    Waiters& waiters = ring.waiters;
    const bool wanted = waiters.wake_wanted;
    waiters.wakes_late = waiters.wake_wanted = false;
    // Until this is zero again the ring does not go, nor does its eventfd (entry/close.cc).
    if (wanted) waiters.wakers.fetch_add(1, std::memory_order_relaxed);
    ring.lock.release();
    if (!wanted) return;
    raise_wake(ring);
    waiters.wakers.fetch_sub(1, std::memory_order_release);
}

void close_waiters(Waiters& waiters) { drop_fd(waiters.spare_wake_fd); }

}  // namespace ringside::engine
