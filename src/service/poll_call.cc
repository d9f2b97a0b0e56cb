#include "service/poll_call.h"

#include <poll.h>

#include "os/epoll.h"
#include "os/fds.h"
#include "process/thread_end.h"
#include "service/path_face.h"
#include "service/poller.h"
#include "service/waiters.h"
#include "state/ring.h"
#include "state/timers.h"

namespace ringside::engine {
namespace {

constexpr short readable = POLLIN | POLLRDNORM;
constexpr short writable = POLLOUT | POLLWRNORM;

}  // namespace

short polled_events(Ring& ring, short events) {
    const bool to_reap = completions_ready(ring) != 0 || ring.completion.overflow_first != nullptr || ring.announced;
    const bool has_room = queued_entries(ring) < ring.sq_entries;
    const int holds = (to_reap ? readable : 0) | (has_room ? writable : 0);
    return static_cast<short>(events & holds);
}

bool begin_poll_call(Ring& ring, int64_t& limit_ns) {
    PollCall& call = ring.poll_call;
    const uint32_t thread = this_thread_number();
    if (call.thread == thread) end_poll_call(ring);
    if (call.nudged == thread) {
        lower_eventfd(call.nudge_fd);
        call.nudged = 0;
    }
    if (ring.waiters.leader != nullptr || call.nudged != 0) return false;
    // Requests that wait without a set (`unpolled`) do not wake a thread that sleeps in the set.
    if (open_poller(ring) < 0 || !ring.poller.unpolled.empty()) return false;
    if (call.nudge_fd < 0) call.nudge_fd = new_eventfd();
    if (call.nudge_fd < 0) return false;
    call.thread = thread;
    ++call.serial;
    call.waiter.target_tail = ring.completion.published + 1;
    call.waiter.timeouts_seen = ring.completion.timeouts_fired;
    enter_wait(ring, call.waiter);
    limit_ns = begin_to_lead(ring, call.waiter, no_deadline);
    return true;
}

void end_poll_call(Ring& ring) {
    PollCall& call = ring.poll_call;
    if (call.thread == 0) return;
    call.thread = 0;
    end_to_lead(ring, call.waiter);
    leave_wait(ring, call.waiter);
}

void dethrone_poll_call(Ring& ring) {
    PollCall& call = ring.poll_call;
    call.nudged = call.thread;
    end_poll_call(ring);
    raise_eventfd(call.nudge_fd);
}

void close_poll_call(Ring& ring) {
    drop_fd(ring.poll_call.nudge_fd);
    ring.poll_call.nudged = 0;
}

void end_own_poll_call(Ring& ring) {
    if (ring.poll_call.thread != 0 && ring.poll_call.thread == this_thread_number()) end_poll_call(ring);
}

}  // namespace ringside::engine
