#include "service/helper.h"

#include <errno.h>
#include <pthread.h>

#include "os/epoll.h"
#include "os/fds.h"
#include "os/growing.h"
#include "os/record_locks.h"
#include "os/threads.h"
#include "process/callbacks.h"
#include "process/registry.h"
#include "service/attend.h"
#include "service/keeper.h"
#include "service/path_face.h"
#include "service/ring_file.h"
#include "state/ring.h"

namespace ringside::engine {
namespace {

constexpr int64_t longest_sleep_ns = 250'000'000;

// Until the first look whether a program has reaped.
constexpr int64_t first_reaping_ns = 25'000;

// Between looks whether rings are closed whose files inotify does not watch, and at parked descriptors.
constexpr int64_t between_looks_at_files_ns = 50'000'000;

// The rings that are looked at. Lock order: a ring's lock first, then this one.
struct Helper {
    Lock lock;
    bool running RINGSIDE_GUARDED_BY(lock) = false;
    bool ending RINGSIDE_GUARDED_BY(lock) = false;
    Ring** rings RINGSIDE_GUARDED_BY(lock) = nullptr;
    unsigned count RINGSIDE_GUARDED_BY(lock) = 0;
    unsigned capacity RINGSIDE_GUARDED_BY(lock) = 0;
    pthread_t thread;
    int epoll_fd = -1;                               // hosted rings' epoll sets, and `bell`
    int bell = -1;                                   // eventfd that wakes the thread
    std::atomic<bool> some_unlisted{false};          // a ring that was nudged is not among `rings`
    std::atomic<KeptFile*> bell_copy{nullptr};       // the same, for threads with the engine's own table
    int listened_to RINGSIDE_GUARDED_BY(lock) = -1;  // watched_by(), in the set
};

Helper helper;

constexpr uint64_t bell_cookie = 0;

void call_helper() {
    if (!has_own_table()) return ring_bell(helper.epoll_fd, helper.bell, bell_cookie);
    KeptFile* copy = helper.bell_copy.load(std::memory_order_acquire);
    if (copy != nullptr) raise_eventfd(number_of(*copy));
}

void close_set() RINGSIDE_REQUIRES(helper.lock) {
    close_belled_set(helper.epoll_fd, helper.bell, bell_cookie);
    helper.listened_to = -1;
}

// Without a set, at the descriptor limit, the thread looks at its rings again and again.
void open_set() {
    BelledSet made;
    make_belled_set(made, bell_cookie);
    helper.epoll_fd = made.set;
    helper.bell = made.bell;
}

// Files of rings are watched from the first ring that has one, which may be set up later than the thread.
void listen_for_closed_files() RINGSIDE_REQUIRES(helper.lock) {
    const int watched = watched_by();
    if (watched == helper.listened_to || helper.epoll_fd < 0) return;
    if (epoll_control(helper.epoll_fd, EPOLL_CTL_ADD, watched, EPOLLIN | EPOLLET, 0) == 0) helper.listened_to = watched;
}

// The program has closed the set's number, or put something else there. Rings that were hosted in it are watched again.
void renew_set() {
    KeptFile* copy = helper.bell_copy.exchange(nullptr);
    if (copy != nullptr) drop_kept(*copy);
    helper.lock.acquire();
    close_set();
    open_set();
    listen_for_closed_files();
    for (unsigned i = 0; i < helper.count; ++i) {
        auto hosted = Helped::State::hosted;
        helper.rings[i]->helped.state.compare_exchange_strong(hosted, Helped::State::watched);
    }
    helper.lock.release();
    // The keeper's lock comes before the helper's.
    if (helper.bell >= 0) helper.bell_copy.store(keep_eventfd(helper.bell));
}

bool add_ring(Ring& ring) RINGSIDE_REQUIRES(helper.lock) {
    if (!make_room(helper.rings, helper.capacity, helper.count)) return false;
    helper.rings[helper.count++] = &ring;
    return true;
}

// Puts the last in the place of the one that goes: attend_all() walks backwards and so misses none.
void remove_ring(Ring& ring) RINGSIDE_REQUIRES(helper.lock) {
    for (unsigned i = 0; i < helper.count; ++i) {
        if (helper.rings[i] != &ring) continue;
        helper.rings[i] = helper.rings[--helper.count];
        return;
    }
}

void drop_unless_looked_at(Ring& ring) {
    if (is_looked_at(ring)) return;
    Guard guard(helper.lock);
    remove_ring(ring);
}

// The ring with index `at`, or null when there is none. Says whether the thread is to end.
Ring* ring_at(unsigned at, bool& ending) {
    Guard guard(helper.lock);
    ending = helper.ending;
    return at < helper.count ? helper.rings[at] : nullptr;
}

unsigned ring_count() {
    Guard guard(helper.lock);
    return helper.count;
}

// Takes the ring's lock, unless the ring is only watched: whoever has the lock then is most likely its program, which
// is all that a look is to find out, and is not to be slowed down by it.
bool come_to(Ring& ring) RINGSIDE_TRY_ACQUIRES(true, ring.lock) {
    if (ring.lock.try_acquire()) return true;
    if (ring.helped.nudged.load(std::memory_order_relaxed)) {
        ring.lock.acquire();
        return true;
    }
    if (ring.helped.state.load(std::memory_order_relaxed) != Helped::State::hosted) return false;
    ring.lock.acquire();
    return true;
}

void attend_if_nudged(Ring& ring, uint32_t) {
    if (ring.helped.nudged) attend(ring);
}

// One round over all rings. Returns how long the thread may sleep, or -1 when it is to end.
int64_t attend_all() {
    int64_t until_next = no_deadline;
    bool ending = false;
    ring_at(0, ending);
    if (helper.some_unlisted.exchange(false)) for_each_open_ring(attend_if_nudged, 0);
    for (unsigned at = ring_count(); at-- > 0 && !ending;) {
        Ring* ring = ring_at(at, ending);
        if (ring == nullptr) continue;
        int64_t wanted = look_interval_ns;
        if (come_to(*ring)) {
            wanted = attend(*ring);
            ring->helped.hosted_until_ns = wanted == no_deadline ? no_deadline : later(now_ns(CLOCK_MONOTONIC), wanted);
            ring->lock.release();
        }
        if (wanted < until_next) until_next = wanted;
    }
    return ending ? -1 : until_next;
}

void* helper_body(void*) {
    for (;;) {
        // Data that requests of a closed ring waited for may have come since: it is not the ring's any more. So end
        // such rings first.
        leave_gone_rings();
        int64_t sleep_ns = attend_all();
        if (sleep_ns < 0) return nullptr;
        // No event reports the end of a file that is not watched, nor that of the last lock on one that is parked.
        const bool looks_soon = look_at_parked() || are_some_unwatched();
        if (looks_soon && sleep_ns > between_looks_at_files_ns) sleep_ns = between_looks_at_files_ns;
        // Once the program has closed the bell nobody wakes the thread, which finds that out by itself.
        if (sleep_ns > longest_sleep_ns) sleep_ns = longest_sleep_ns;
        epoll_event events[events_per_wait];
        if (helper.epoll_fd >= 0) {
            const int result = wait_in_set(helper.epoll_fd, events, sleep_ns, nullptr);
            if (result == -EBADF || result == -EINVAL) renew_set();
        } else {
            wait_on_eventfd(-1, look_interval_ns, nullptr);
        }
    }
}

bool start_helper() RINGSIDE_REQUIRES(helper.lock) {
    if (helper.running) {
        listen_for_closed_files();
        return true;
    }
    open_set();
    helper.listened_to = -1;
    listen_for_closed_files();
    helper.ending = false;
    helper.running = start_thread(helper.thread, "ringside-helper", helper_body, nullptr) == 0;
    if (!helper.running) close_set();
    return helper.running;
}

// Puts the ring among those that are looked at.
bool take_on(Ring& ring) {
    if (is_looked_at(ring)) return true;
    Guard guard(helper.lock);
    return start_helper() && add_ring(ring);
}

}  // namespace

bool is_looked_at(const Ring& ring) {
    return ring.helped.state != Helped::State::forgotten || ring.helped.reaping_ns != 0 || ring.helped.nudged;
}

void forget(Ring& ring) {
    ring.helped.state = Helped::State::forgotten;
    drop_unless_looked_at(ring);
}

void forget_nudge(Ring& ring) {
    ring.helped.nudged = false;
    drop_unless_looked_at(ring);
}

void forget_reaping(Ring& ring) {
    ring.helped.reaping_ns = 0;
    drop_unless_looked_at(ring);
}

bool host(Ring& ring, int operation) {
    if (epoll_control(helper.epoll_fd, operation, ring.poller.epoll_fd, EPOLLIN | EPOLLONESHOT, 0) < 0) return false;
    ring.helped.state = Helped::State::hosted;
    return true;
}

void unhost(Ring& ring) {
    epoll_control(helper.epoll_fd, EPOLL_CTL_DEL, ring.poller.epoll_fd, 0, 0);
    ring.helped.state = Helped::State::watched;
    ring.helped.quiet_looks = 0;
}

void leave_to_helper(Ring& ring) {
    Helped& helped = ring.helped;
    if (helped.state == Helped::State::watched) return;
    if (helped.state == Helped::State::hosted) {
        // The helper looks by itself when the next timer that it knows of is due. It has to be told of an earlier one.
        const int64_t next = ring.timers.ns_until_next();
        if (next != no_deadline && later(now_ns(CLOCK_MONOTONIC), next) < helped.hosted_until_ns) call_helper();
        return;
    }
    if (!something_waits(ring) || !take_on(ring)) return;
    helped.state = Helped::State::watched;
    helped.quiet_looks = 0;
    helped.calls_seen = ring.calls;
    call_helper();
}

bool keep_helper() {
    Guard guard(helper.lock);
    return start_helper();
}

void await_reaping(Ring& ring) {
    Helped& helped = ring.helped;
    if (helped.reaping_ns != 0) return;
    if (!take_on(ring)) return;
    helped.reaping_ns = first_reaping_ns;
    helped.calls_before = ring.calls;
    if (!helped.attended) call_helper();
}

void nudge_helper(Ring& ring) {
    if (ring.helped.nudged) return;
    if (!is_looked_at(ring)) {
        Guard guard(helper.lock);
        if (!helper.running) return;
        // Without memory for its place it is looked for among all.
        if (!add_ring(ring)) helper.some_unlisted.store(true);
    }
    ring.helped.nudged = true;
    call_helper();
}

bool prepare_helper_for_nudges(KeptFile* (*keep)(int eventfd)) {
    Guard guard(helper.lock);
    if (!start_helper()) return false;
    // Without an eventfd, at the descriptor limit, the thread looks again and again.
    if (helper.bell < 0 || helper.bell_copy.load() != nullptr) return true;
    helper.bell_copy.store(keep(helper.bell), std::memory_order_release);
    return helper.bell_copy.load() != nullptr;
}

void withdraw_from_helper(Ring& ring) {
    if (ring.helped.state == Helped::State::hosted) unhost(ring);
    if (ring.helped.state != Helped::State::forgotten) forget(ring);
    if (ring.helped.reaping_ns != 0) forget_reaping(ring);
    if (ring.helped.nudged) forget_nudge(ring);
}

void end_helper() {
    helper.lock.acquire();
    const bool running = helper.running;
    helper.ending = true;
    helper.lock.release();
    if (!running) return;
    call_helper();
    pthread_join(helper.thread, nullptr);
    KeptFile* copy = helper.bell_copy.exchange(nullptr);
    if (copy != nullptr) drop_kept(*copy);
    helper.lock.acquire();
    helper.running = false;
    close_set();
    helper.lock.release();
}

void hold_helper() RINGSIDE_UNCHECKED { helper.lock.acquire(); }
void release_helper() RINGSIDE_UNCHECKED { helper.lock.release(); }

void forget_helper(bool closes_descriptors) RINGSIDE_UNCHECKED {
    helper.lock.reset();
    helper.bell_copy.store(nullptr);
    helper.running = false;
    helper.count = 0;
    if (closes_descriptors) close_set();
    helper.epoll_fd = helper.bell = -1;
}

}  // namespace ringside::engine
