#include "service/poller.h"

#include <errno.h>

#include "os/epoll.h"
#include "os/fds.h"
#include "os/signals_wait.h"
#include "process/callbacks.h"
#include "service/disk.h"
#include "service/keeper.h"
#include "service/path_face.h"
#include "service/registrations.h"
#include "service/ring_file.h"
#include "service/waiters.h"
#include "state/ring.h"
#include "state/timers.h"

namespace ringside::engine {
namespace {

// How many calls of the program go by without a look at most: it is as dear as some of them.
constexpr unsigned most_calls_unlooked = 16;

}  // namespace

int open_poller(Ring& ring) {
    Poller& poller = ring.poller;
    if (poller.epoll_fd >= 0) return 0;
    BelledSet made;
    if (make_belled_set(made, wake_cookie) < 0) return -EMFILE;
    poller.epoll_fd = made.set;
    poller.wake_fd = made.bell;
    return 0;
}

int watch_eventfd(Ring& ring, int eventfd, uint64_t cookie) {
    // Edge-triggered: each write is an event, and nobody has to read.
    return epoll_control(ring.poller.epoll_fd, EPOLL_CTL_ADD, eventfd, EPOLLIN | EPOLLET, cookie);
}

void handle_events(Ring& ring, const epoll_event* events, int count) {
    const uint32_t round = ++ring.poller.rounds;
    for (int i = 0; i < count; ++i) {
        if (events[i].data.u64 == wake_cookie) continue;
        if (events[i].data.u64 == disk_cookie) {
            reap_transfers(ring);
            continue;
        }
        // Handling an event may have run another round of events. Then the rest of this round is old news.
        const bool is_news = ring.poller.rounds == round;
        handle_event(ring, events[i].events, events[i].data.u64, is_news);
    }
}

bool note_lost_set(Ring& ring, int result) {
    if (result != -EBADF && result != -EINVAL) return false;
    Poller& poller = ring.poller;
    // The error may be another's.
    const bool is_there =
        epoll_control(poller.epoll_fd, EPOLL_CTL_MOD, poller.wake_fd, EPOLLIN | EPOLLET, wake_cookie) == 0;
    if (is_there) return false;
    poller.epoll_fd = poller.wake_fd = -1;
    if (poller.wake_copy != nullptr) drop_kept(*poller.wake_copy);
    poller.wake_copy = nullptr;
    const auto in_set = [](Request& request) { return leave_lost_set(request); };
    unsigned from = 0;
    while (ring.requests.table.find_any(in_set, from) != nullptr) continue;
    return true;
}

int look_into_set(Ring& ring, epoll_event* events) {
    const int count = wait_in_set(ring.poller.epoll_fd, events, 0, nullptr);
    if (__builtin_expect(note_lost_set(ring, count), 0)) return 0;
    for (int i = 0; i < count; ++i) {
        if (events[i].data.u64 == wake_cookie) pass_wake_on(ring);
    }
    return count;
}

namespace {

// Called when the helper thread has taken events. If the program closed the ring before, the data that made a file
// ready may be the program's. A close before the events is known by now; a later close does not matter.
bool was_closed_before(Ring& ring) RINGSIDE_UNCHECKED {
    if (!ring.helped.attended || !may_be_gone(ring)) return false;
    const unsigned generation = ring.generation.load(std::memory_order_relaxed);
    ring.lock.release();
    {
        const SignalsWait signals;
        leave_gone_rings();
    }
    ring.lock.acquire();
    return ring.closing || !ring.open || ring.generation.load(std::memory_order_relaxed) != generation;
}

}  // namespace

void take_events(Ring& ring) {
    epoll_event events[events_per_wait];
    const int count = look_into_set(ring, events);
    if (count > 0 && !was_closed_before(ring)) handle_events(ring, events, count);
}

void poll_now(Ring& ring) {
    ring.poller.calls_unlooked = 0;
    if (ring.poller.armed != 0 && ring.poller.epoll_fd >= 0) take_events(ring);
    look_at_unpolled(ring);
    ring.timers.expire();
}

void poll_in_call(Ring& ring) {
    if (ring.disk.in_flight == 0 || ring.poller.armed != ring.disk.in_flight) return poll_now(ring);
    ring.poller.calls_unlooked = 0;
    reap_transfers(ring);
    ring.timers.expire();
}

void look_now_and_then(Ring& ring) {
    // Events wake the leader, which handles them.
    if (is_led_in_enter(ring)) return;
    if (++ring.poller.calls_unlooked > most_calls_unlooked) {
        poll_in_call(ring);
    } else if (ring.disk.in_flight != 0) {
        // The disk's results are in memory: no thread has to be woken for them.
        reap_transfers(ring);
    } else {
        return;
    }
    settle_ring(ring);
}

void look_with_next_call(Ring& ring) {
    if (ring.poller.calls_unlooked != 0) ring.poller.calls_unlooked = most_calls_unlooked;
}

// Without a set nobody tells what is ready, so all is tried. As soon as there can be one they wait in it.
void look_at_unpolled(Ring& ring) {
    auto& unpolled = ring.poller.unpolled;
    if (unpolled.empty()) return;
    if (open_poller(ring) == 0) {
        while (Request* request = unpolled.first()) {
            disarm_poll(*request);
            arm(*request);
        }
        return;
    }
    Request* next;
    for (Request* at = unpolled.first(); at != nullptr; at = next) {
        next = unpolled.after(*at);
        retry_armed(*at);
    }
}

void close_poller(Ring& ring) {
    if (ring.poller.wake_copy != nullptr) drop_kept(*ring.poller.wake_copy);
    ring.poller.wake_copy = nullptr;
    close_belled_set(ring.poller.epoll_fd, ring.poller.wake_fd, wake_cookie);
}

}  // namespace ringside::engine
