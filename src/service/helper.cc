#include "service/helper.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "path/path.h"
#include "service/epoll.h"
#include "service/poll_call.h"
#include "service/readiness.h"
#include "service/threads.h"
#include "state/fds.h"

namespace ringside::engine {
namespace {

constexpr int64_t look_interval_ns = 1'000'000;
constexpr uint8_t quiet_looks_to_forget = 8;

// Between looks whether a program has reaped: at first; and at most, while it calls, and while it does not.
constexpr int64_t first_reaping_ns = 25'000;
constexpr int64_t longest_reaping_ns = 8'000'000;
constexpr int64_t longest_reaping_unheard_ns = 1'000'000'000;

// The rings that are looked at. Lock order: a ring's lock first, then this one.
struct Helper {
    Lock lock;
    bool running RINGSIDE_GUARDED_BY(lock) = false;
    bool ending RINGSIDE_GUARDED_BY(lock) = false;
    Ring** rings RINGSIDE_GUARDED_BY(lock) = nullptr;
    unsigned count RINGSIDE_GUARDED_BY(lock) = 0;
    unsigned capacity RINGSIDE_GUARDED_BY(lock) = 0;
    pthread_t thread;
    int epoll_fd = -1;  // hosted rings' epoll sets, and `bell`
    int bell = -1;      // eventfd that wakes the thread
};

Helper helper;

void ring_bell() { raise_eventfd(helper.bell); }

void close_set() {
    drop_fd(helper.epoll_fd);
    drop_fd(helper.bell);
}

// Without a set, at the descriptor limit, the thread looks at its rings again and again.
void open_set() {
    helper.epoll_fd = new_epoll_set();
    helper.bell = new_eventfd();
    if (epoll_control(helper.epoll_fd, EPOLL_CTL_ADD, helper.bell, EPOLLIN | EPOLLET, 0) < 0) close_set();
}

bool add_ring(Ring& ring) RINGSIDE_REQUIRES(helper.lock) {
    if (helper.count == helper.capacity) {
        const unsigned capacity = helper.capacity == 0 ? 16 : 2 * helper.capacity;
        void* larger = realloc(helper.rings, capacity * sizeof(Ring*));
        if (larger == nullptr) return false;
        helper.rings = static_cast<Ring**>(larger);
        helper.capacity = capacity;
    }
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

bool is_looked_at(const Ring& ring) {
    return ring.helped.state != Helped::State::forgotten || ring.helped.reaping_ns != 0;
}

void forget(Ring& ring) {
    ring.helped.state = Helped::State::forgotten;
    if (is_looked_at(ring)) return;
    Guard guard(helper.lock);
    remove_ring(ring);
}

void forget_reaping(Ring& ring) {
    ring.helped.reaping_ns = 0;
    if (is_looked_at(ring)) return;
    Guard guard(helper.lock);
    remove_ring(ring);
}

// The ring's set joins ours, for one event at a time: a ring whose program is back is not looked at again. Returns
// false where that cannot be.
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

// Until the next timer or event of a ring that goes on being hosted, or the next look where it cannot be.
int64_t go_on_hosting(Ring& ring) {
    if (host(ring, EPOLL_CTL_MOD)) return ring.timers.ns_until_next();
    unhost(ring);
    return look_interval_ns;
}

bool has_work(Ring& ring) {
    // What waits without a set may be ready at any time.
    if (!ring.poller.unpolled.empty()) return true;
    return ring.timers.ns_until_next() == 0 || set_is_ready(ring.poller.epoll_fd);
}

// The same for a ring of which nobody handles events. What a call has taken from a disk's memory has left its event in
// the set; that goes now. Memory is looked at afterwards, so that nothing is missed, and what is there is told again.
bool has_work_for_next_call(Ring& ring) {
    if (!has_work(ring)) return false;
    const bool waits_for_disk_alone = ring.disk.in_flight != 0 && ring.poller.armed == ring.disk.in_flight;
    if (!waits_for_disk_alone || ring.disk.shared == nullptr || ring.timers.ns_until_next() == 0) return true;
    epoll_event events[events_per_wait];
    wait_in_set(ring.poller.epoll_fd, events, 0, nullptr);
    if (!has_transferred(ring.disk)) return false;
    raise_eventfd(ring.disk.eventfd);
    return true;
}

// A ring with IORING_SETUP_DEFER_TASKRUN completes nothing unless its program enters. All that can be done for it is to
// say that it should.
int64_t announce(Ring& ring) {
    if (!has_work_for_next_call(ring)) return go_on_hosting(ring);
    announce_work(ring);
    unhost(ring);
    forget(ring);
    return no_deadline;
}

// In place of the program: handles what is ready and due. Returns how long until it has to be done again.
int64_t stand_in(Ring& ring) {
    if (ring.setup_flags & IORING_SETUP_DEFER_TASKRUN) return announce(ring);
    poll_now(ring);
    settle_ring(ring);
    if (!something_waits(ring)) {
        unhost(ring);
        forget(ring);
        return no_deadline;
    }
    return go_on_hosting(ring);
}

// The program calls, but its calls may all find something to return with and so never look what else is ready.
void see_to_waiting(Ring& ring) {
    if (!(ring.setup_flags & IORING_SETUP_DEFER_TASKRUN)) return look_with_next_call(ring);
    if (ring.waiters.leader == nullptr && has_work_for_next_call(ring)) announce_work(ring);
}

// Until the leader, which sleeps in a poll of the program's own, should have done what is due.
int64_t stay_beside_poll_call(Ring& ring) { return later(ring.timers.ns_until_next(), look_interval_ns); }

// Such a leader may have left in an unusual way. Hosted meanwhile, the ring costs nothing while it is idle; and what
// nobody does although something has happened is done here.
int64_t watch_poll_call(Ring& ring) {
    if (has_work(ring)) {
        dethrone_poll_call(ring);
        host(ring, EPOLL_CTL_ADD);
        return stand_in(ring);
    }
    if (++ring.helped.quiet_looks < quiet_looks_to_forget) return look_interval_ns;
    return host(ring, EPOLL_CTL_ADD) ? stay_beside_poll_call(ring) : look_interval_ns;
}

// A look at a watched ring: is the program around? Returns how long until the next look.
int64_t watch(Ring& ring) {
    Helped& helped = ring.helped;
    const bool called = ring.calls != helped.calls_seen;
    helped.calls_seen = ring.calls;
    // Who polls the ring's descriptor calls to submit, and does not wait there.
    const bool waits_elsewhere = ring.readiness.polled && ring.waiters.leader == nullptr;
    if (called && !waits_elsewhere) {
        helped.quiet_looks = 0;
        see_to_waiting(ring);
    } else if (ring.poll_call.thread != 0) {
        return watch_poll_call(ring);
    } else if (ring.waiters.leader != nullptr) {
        if (++helped.quiet_looks < quiet_looks_to_forget) return look_interval_ns;
        forget(ring);
        return no_deadline;
    } else {
        if (open_poller(ring) == 0) host(ring, EPOLL_CTL_ADD);
        return stand_in(ring);
    }
    return look_interval_ns;
}

// A program that has been told of completions either reaps them, or calls, or has not come to it yet.
void look_at_reaping(Ring& ring) {
    Helped& helped = ring.helped;
    const bool called = ring.calls != helped.calls_before;
    const int64_t longest = called ? longest_reaping_ns : longest_reaping_unheard_ns;
    helped.calls_before = ring.calls;
    helped.reaping_ns = 2 * helped.reaping_ns < longest ? 2 * helped.reaping_ns : longest;
    if (!called && !ring.readiness.raised) forget_reaping(ring);
}

// A hosted ring that somebody leads. Has that thread done nothing yet, it gets the time until the next look.
int64_t look_beside_leader(Ring& ring) {
    const bool idle = ring.poll_call.thread != 0 && ring.calls == ring.helped.calls_seen && !has_work(ring);
    if (idle && host(ring, EPOLL_CTL_MOD)) return stay_beside_poll_call(ring);
    ring.helped.calls_seen = ring.calls;
    unhost(ring);
    return look_interval_ns;
}

int64_t attend_to_events(Ring& ring) {
    if (ring.helped.state == Helped::State::watched) return watch(ring);
    return ring.waiters.leader != nullptr ? look_beside_leader(ring) : stand_in(ring);
}

int64_t attend(Ring& ring) {
    Helped& helped = ring.helped;
    if (!ring.open || ring.closing || !is_looked_at(ring)) return no_deadline;
    helped.attended = true;
    lower_readiness(ring);
    if (helped.reaping_ns != 0) look_at_reaping(ring);
    const bool waits = helped.state != Helped::State::forgotten;
    const int64_t wanted = waits ? attend_to_events(ring) : no_deadline;
    helped.attended = false;
    return helped.reaping_ns != 0 && helped.reaping_ns < wanted ? helped.reaping_ns : wanted;
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
    if (ring.helped.state.load(std::memory_order_relaxed) != Helped::State::hosted) return false;
    ring.lock.acquire();
    return true;
}

// One round over all rings. Returns how long the thread may sleep, or -1 when it is to end.
int64_t attend_all() {
    int64_t until_next = no_deadline;
    bool ending = false;
    ring_at(0, ending);
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
        const int64_t sleep_ns = attend_all();
        if (sleep_ns < 0) return nullptr;
        epoll_event events[events_per_wait];
        if (helper.epoll_fd >= 0) {
            wait_in_set(helper.epoll_fd, events, sleep_ns, nullptr);
        } else {
            wait_on_eventfd(-1, look_interval_ns, nullptr);
        }
    }
}

bool start_helper() RINGSIDE_REQUIRES(helper.lock) {
    if (helper.running) return true;
    open_set();
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

void leave_to_helper(Ring& ring) {
    Helped& helped = ring.helped;
    if (helped.state == Helped::State::watched) return;
    if (helped.state == Helped::State::hosted) {
        // It looks by itself when the next timer that it knows of is due; an earlier one it has to be told of.
        const int64_t next = ring.timers.ns_until_next();
        if (next != no_deadline && later(now_ns(CLOCK_MONOTONIC), next) < helped.hosted_until_ns) ring_bell();
        return;
    }
    if (!something_waits(ring) || !take_on(ring)) return;
    helped.state = Helped::State::watched;
    helped.quiet_looks = 0;
    helped.calls_seen = ring.calls;
    ring_bell();
}

void await_reaping(Ring& ring) {
    Helped& helped = ring.helped;
    if (helped.reaping_ns != 0) return;
    if (!take_on(ring)) return;
    helped.reaping_ns = first_reaping_ns;
    helped.calls_before = ring.calls;
    if (!helped.attended) ring_bell();
}

void withdraw_from_helper(Ring& ring) {
    if (ring.helped.state == Helped::State::hosted) unhost(ring);
    if (ring.helped.state != Helped::State::forgotten) forget(ring);
    if (ring.helped.reaping_ns != 0) forget_reaping(ring);
}

void end_helper() {
    helper.lock.acquire();
    const bool running = helper.running;
    helper.ending = true;
    helper.lock.release();
    if (!running) return;
    ring_bell();
    pthread_join(helper.thread, nullptr);
    helper.lock.acquire();
    helper.running = false;
    close_set();
    helper.lock.release();
}

void forget_helper() RINGSIDE_UNCHECKED {
    helper.lock.reset();
    helper.running = false;
    helper.count = 0;
    close_set();
}

}  // namespace ringside::engine
