// A program's own poll(2), for a ring among its descriptors.
#include <errno.h>
#include <poll.h>

#include "entry/engine.h"
#include "os/own_process.h"
#include "path/path.h"
#include "process/inside.h"
#include "process/registry.h"
#include "service/disk.h"
#include "service/helper.h"
#include "service/messages.h"
#include "service/poll_call.h"
#include "service/poller.h"
#include "service/readiness.h"
#include "service/waiters.h"
#include "service/workers.h"
#include "state/timers.h"

namespace ringside::engine {
namespace {

// What poll(2) reports for a descriptor that is closed.
constexpr short closed = POLLNVAL;

bool is_same(const Ring& ring, const RingInPoll& polled) {
    const bool same = ring.generation.load(std::memory_order_relaxed) == polled.generation;
    return same && ring.open && !ring.closing && !ring.inherited;
}

// Handles what has happened by now, as the end of each io_uring_enter does.
void catch_up_to_poll(Ring& ring) {
    ++ring.calls;
    take_messages(ring);
    if (ring.setup_flags & IORING_SETUP_DEFER_TASKRUN) return;
    if (ring.disk.in_flight != 0) reap_transfers(ring);
    settle_ring(ring);
}

short begin(Ring& ring, RingInPoll& polled) {
    catch_up_to_poll(ring);
    const short holds = polled_events(ring, polled.events);
    if (holds != 0) return holds;
    // A ring with IORING_SETUP_DEFER_TASKRUN completes nothing in a poll.
    const bool defers = ring.setup_flags & IORING_SETUP_DEFER_TASKRUN;
    polled.leads = !defers && begin_poll_call(ring, polled.limit_ns);
    polled.serial = ring.poll_call.serial;
    polled.fd = polled.leads ? ring.poller.epoll_fd : polled_descriptor(ring);
    polled.nudge_fd = polled.leads ? ring.poll_call.nudge_fd : -1;
    return 0;
}

// The thread was the ring's leader during its poll, and no other thread ended that. It now handles what happened.
void handle(Ring& ring, bool happened) {
    end_to_lead(ring, ring.poll_call.waiter);
    if (happened) take_events(ring);
    ring.timers.expire();
    settle_ring(ring);
    end_poll_call(ring);
    if (something_waits(ring) && !ring.closing) leave_to_helper(ring);
}

// Takes the lock. If the thread has interrupted a call of its own on this ring, that call may hold the lock, so it does
// not wait for long. Returns whether it has the lock.
bool lock_from_anywhere(Ring& ring, bool interrupts) RINGSIDE_UNCHECKED {
    if (interrupts) return ring.lock.acquire_soon();
    ring.lock.acquire();
    return true;
}

// The answer from the ring's memory alone, for a signal handler that has interrupted a call which holds the lock. If
// nothing is ready, the handler must not sleep: the interrupted call goes on only after it.
short look_without_lock(const Ring& ring, RingInPoll& polled) {
    const SharedHeader& sq = *ring.memory.header;
    const SharedHeader& cq = *ring.memory.cq;
    const bool to_reap = cq.cq_tail.load() != cq.cq_head.load() ||
                         (sq.sq_flags.load() & (IORING_SQ_CQ_OVERFLOW | IORING_SQ_TASKRUN)) != 0;
    const bool has_room = sq.sq_tail.load() - sq.sq_head.load() < ring.sq_entries;
    const int holds = (to_reap ? POLLIN | POLLRDNORM : 0) | (has_room ? POLLOUT | POLLWRNORM : 0);
    const auto wanted = static_cast<short>(holds & polled.events);
    if (wanted == 0) polled.fd = -EDEADLK;
    return wanted;
}

}  // namespace

bool find_polled(int fd, short events, RingInPoll& polled) {
    Ring* ring = find_named(fd);
    if (ring == nullptr) return false;
    polled = {ring, ring->generation.load(), 0, events, false, -1, -1, no_deadline};
    // The ring may have been closed in between, and its memory may be the next ring's.
    return ring_of(fd) == ring;
}

short begin_poll(RingInPoll& polled) RINGSIDE_UNCHECKED {
    come_in();
    Ring& ring = *polled.ring;
    polled.leads = false;
    polled.fd = polled.nudge_fd = -1;
    polled.limit_ns = no_deadline;
    const bool interrupts = find_interrupted(ring) != nullptr;
    Inside inside(ring);
    if (!lock_from_anywhere(ring, interrupts)) return look_without_lock(ring, polled);
    const short holds = is_same(ring, polled) ? begin(ring, polled) : closed;
    let_go_to_workers(ring);
    return holds;
}

short end_poll(RingInPoll& polled, bool happened) RINGSIDE_UNCHECKED {
    come_in();
    Ring& ring = *polled.ring;
    const bool interrupts = find_interrupted(ring) != nullptr;
    Inside inside(ring);
    if (!lock_from_anywhere(ring, interrupts)) return look_without_lock(ring, polled);
    short holds = closed;
    if (is_same(ring, polled)) {
        const PollCall& call = ring.poll_call;
        if (polled.leads && call.thread != 0 && call.serial == polled.serial) handle(ring, happened);
        holds = polled_events(ring, polled.events);
    }
    let_go_to_workers(ring);
    return holds;
}

}  // namespace ringside::engine
