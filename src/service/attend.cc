#include "service/attend.h"

#include "os/epoll.h"
#include "service/disk.h"
#include "service/path_face.h"
#include "service/poll_call.h"
#include "service/poller.h"
#include "service/readiness.h"
#include "service/waiters.h"
#include "state/ring.h"

namespace ringside::engine {
namespace {

constexpr uint8_t quiet_looks_to_forget = 8;

// Between looks whether a program has reaped, at most: while it calls, and while it does not.
constexpr int64_t longest_reaping_ns = 8'000'000;
constexpr int64_t longest_reaping_unheard_ns = 1'000'000'000;

// Until the next timer or event of a ring that goes on being hosted, or the next look where it cannot be.
int64_t go_on_hosting(Ring& ring) {
    if (host(ring, EPOLL_CTL_MOD)) return ring.timers.ns_until_next();
    unhost(ring);
    return look_interval_ns;
}

// There is nothing left to be done for it.
int64_t leave(Ring& ring) {
    unhost(ring);
    forget(ring);
    return no_deadline;
}

bool has_work(Ring& ring) {
    // Requests that wait without a set may become ready at any time.
    if (!ring.poller.unpolled.empty()) return true;
    return ring.timers.ns_until_next() == 0 || set_is_ready(ring.poller.epoll_fd);
}

// The same for a ring of which nobody handles events. What a call has taken from a disk's memory has left its event in
// the set; that goes now. Memory is looked at afterwards, so that nothing is missed, and what is there is told again.
bool has_work_for_next_call(Ring& ring) {
    if (!has_work(ring)) return false;
    const bool waits_for_disk_alone = ring.poller.armed == ring.disk.in_flight;
    if (!waits_for_disk_alone || ring.disk.aio.shared == nullptr || ring.timers.ns_until_next() == 0) return true;
    epoll_event events[events_per_wait];
    look_into_set(ring, events);
    if (!has_transferred(ring)) return false;
    raise_eventfd(ring.disk.eventfd);
    return true;
}

void announce_ready(Ring& ring) {
    ring.ready_announced = true;
    announce_work(ring, false);
}

// A ring with IORING_SETUP_DEFER_TASKRUN completes nothing unless its program enters. All that can be done for it is to
// say that it should.
int64_t announce(Ring& ring) {
    if (!has_work_for_next_call(ring)) return go_on_hosting(ring);
    announce_ready(ring);
    return leave(ring);
}

// In place of the program: handles what is ready and due. Returns how long until it has to be done again.
int64_t stand_in(Ring& ring) {
    if (ring.setup_flags & IORING_SETUP_DEFER_TASKRUN) return announce(ring);
    poll_now(ring);
    settle_ring(ring);
    return something_waits(ring) ? go_on_hosting(ring) : leave(ring);
}

// The program calls, but its calls may all find something to return with and so never look what else is ready.
void see_to_waiting(Ring& ring) {
    if (!(ring.setup_flags & IORING_SETUP_DEFER_TASKRUN)) return look_with_next_call(ring);
    if (ring.waiters.leader == nullptr && has_work_for_next_call(ring)) announce_ready(ring);
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
    // A program that polls the ring's descriptor makes calls to submit, and does not wait in them.
    const bool waits_elsewhere = ring.readiness.polled && ring.waiters.leader == nullptr;
    if (called && !waits_elsewhere) {
        helped.quiet_looks = 0;
        see_to_waiting(ring);
        return look_interval_ns;
    }
    if (ring.poll_call.thread != 0) return watch_poll_call(ring);
    if (ring.waiters.leader != nullptr) {
        if (++helped.quiet_looks < quiet_looks_to_forget) return look_interval_ns;
        forget(ring);
        return no_deadline;
    }
    if (open_poller(ring) == 0) host(ring, EPOLL_CTL_ADD);
    return stand_in(ring);
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

// The keeper or one of its workers has put something in line, and no thread of the program's waits for it.
void go_on_after_nudge(Ring& ring) {
    forget_nudge(ring);
    if (ring.poll_call.thread != 0) dethrone_poll_call(ring);
    if (!(ring.setup_flags & IORING_SETUP_DEFER_TASKRUN)) return settle_from_outside(ring);
    // The program may have come for it meanwhile.
    const bool waits =
        !ring.kept.put_off.empty() || !ring.task_work.empty() || ring.completion.tail != ring.completion.published;
    if (waits && ring.waiters.leader == nullptr) announce_work(ring, false);
}

int64_t attend_to_events(Ring& ring) {
    if (ring.helped.state == Helped::State::watched) return watch(ring);
    return ring.waiters.leader != nullptr ? look_beside_leader(ring) : stand_in(ring);
}

}  // namespace

int64_t attend(Ring& ring) {
    Helped& helped = ring.helped;
    if (!ring.open || ring.closing || !is_looked_at(ring)) return no_deadline;
    helped.attended = true;
    lower_readiness(ring);
    if (helped.nudged) go_on_after_nudge(ring);
    if (helped.reaping_ns != 0) look_at_reaping(ring);
    const bool waits = helped.state != Helped::State::forgotten;
    const int64_t wanted = waits ? attend_to_events(ring) : no_deadline;
    helped.attended = false;
    return helped.reaping_ns != 0 && helped.reaping_ns < wanted ? helped.reaping_ns : wanted;
}

}  // namespace ringside::engine
