// Stage 5a: poll arm. The operation would block until its file is ready. So the request waits for readiness, which
// takes no thread, and is issued again when the file is ready.
#include <errno.h>
#include <poll.h>

#include "ops/ring_files.h"
#include "ops/socket.h"
#include "os/epoll.h"
#include "os/fds.h"
#include "path/path.h"
#include "resource/fixed_files.h"
#include "service/keeper.h"
#include "service/poller.h"
#include "service/registrations.h"

namespace ringside::engine {

namespace {

// The request would have to wait, but must not (request_nowait). If it was to poll first, no attempt has found out yet
// whether it has a file.
void answer(Request& request) {
    const bool no_file = request.has(request_poll_first) && !is_file(request.fd);
    no_file ? finish(request, -EBADF) : finish_attempted(request, -EAGAIN);
}

// Whether the link timeout starts now. As in the kernel, it does not start for a request that blocks in io-wq, nor for
// a multishot transfer that io-wq only arms.
bool counts_time(const Request& request) {
    const bool only_waits = request.has(request_multishot) && request.has(request_at_work) && is_transfer(request);
    return !request.has(request_blocks) && !only_waits;
}

// The request was to poll before its first attempt, but its file cannot be polled. A poll request then reports the
// present state once. A transfer fails with the error that the kernel's io-wq gives.
void give_up_waiting(Request& request) {
    if (is_transfer(request)) {
        return finish_attempted(request, request.has(request_multishot) ? -EBADFD : -EAGAIN);
    }
    request.clear(request_poll_first | request_multishot);
    queue_issue(request);
}

// Whether the file is ready already for a transfer that a worker is to poll for first. If so, the request need not be
// armed, neither now nor after its call (go_on_in_call).
bool is_ready_for_worker(const Request& request) {
    return request.has(request_at_work) && !request.has(request_multishot) && is_transfer(request) &&
           is_ready_for(request.fd, request.wait_events);
}

void go_on_in_call(Request& request) {
    disarm_poll(request);
    request.clear(request_poll_first);
    request.set(request_blocks);
    issue(request);
}

// Has the request hold its file in the engine's own table, where the keeper waits for readiness. That is for sockets,
// pipes and those files on disk that epoll accepts, unless the operation moves descriptors. Returns 0 if the request
// holds its file there, -EPERM if the file cannot be polled, -ENOENT if the request has to wait in the ring's own set.
int hold_for_readiness(Request& request) {
    if (holds_file_elsewhere(request)) return 0;
    const uint32_t flags = operation_of(request).flags;
    if (!(flags & op_file) || (flags & op_moves_descriptors) || has_own_table()) return -ENOENT;
    if (request.has(request_pinned | request_holds_slot | IOSQE_FIXED_FILE)) return -ENOENT;
    struct stat status = {};
    const FixedFile* held = held_by_batch(*request.ring, request.fd);
    if (held != nullptr && !held->is_kept) return -ENOENT;
    if (held != nullptr && !is_kind_on_disk(kept(*held).kind)) return hold_elsewhere(request, status) ? 0 : -ENOENT;
    if (file_status(request.fd, status) < 0) return -ENOENT;
    if (is_kind_on_disk(status.st_mode)) {
        if (flags & op_may_want_lock && is_about_ring(request)) return -ENOENT;
        if (!is_known_to_epoll(request.fd)) return -EPERM;
    } else if (!S_ISSOCK(status.st_mode) && !S_ISFIFO(status.st_mode)) {
        return -ENOENT;
    }
    return hold_elsewhere(request, status) ? 0 : -ENOENT;
}

void wait_elsewhere(Request& request, bool behind_others) {
    const bool counts = counts_time(request);
    if (!is_transfer(request) || request.has(request_multishot)) request.clear(request_at_work);
    request.clear(request_poll_first);
    request.place = Place::armed;
    request.ring->requests.table.insert(request);
    arm_kept(request, behind_others);
    if (counts) start_link_timeout(request);
}

}  // namespace

void attempt_elsewhere(Request& request) {
    if (request.wait_events == 0 || !is_transfer(request)) request.wait_events = POLLIN | POLLOUT;
    kept(*request.fixed_file).attempt_now = true;
    request.place = Place::armed;
    request.ring->requests.table.insert(request);
    arm_kept(request, false);
}

void arm(Request& request) {
    if (request.has(request_nowait)) return answer(request);
    const bool looks_first = request.has(request_poll_first) && is_ready_for_worker(request);
    const int elsewhere = looks_first ? -ENOENT : hold_for_readiness(request);
    if (elsewhere == 0) return wait_elsewhere(request, false);
    // Registers the descriptor that the attempt used: the program's number, or the duplicate that the request holds
    // already and that may be the file's last descriptor. A multishot request registers its own duplicate instead. It
    // acts on every event, so it must not get those that arise when the program's descriptor is registered anew for
    // another request.
    const int tried = request.fd;
    const int pinned = elsewhere == -EPERM ? 0 : pin_file(request);
    // Without a hold on the file, a retry would use whatever file has the number by then.
    if (pinned < 0) return finish(request, pinned);
    const int armed =
        elsewhere == -EPERM ? elsewhere : arm_poll(request, request.has(request_multishot) ? request.fd : tried);
    if (armed == -EPERM && request.has(request_poll_first)) return give_up_waiting(request);
    if (armed == -EBADF && !is_file(request.fd)) return finish(request, -EBADF);
    // If the file cannot be polled, a worker makes the call. An operation that only polls (IORING_OP_POLL_ADD) fails.
    const bool works = operation_of(request).work != nullptr && !(operation_of(request).flags & op_may_want_lock);
    if (armed < 0 && works) {
        request.clear(request_poll_first);
        return punt(request);
    }
    if (armed < 0) return finish(request, armed == -EPERM ? -EINVAL : armed);
    if (request.has(request_poll_first) && is_ready_for_worker(request)) return go_on_in_call(request);
    const bool counts = counts_time(request);
    // After polling, only single-shot transfers return to a worker.
    if (!is_transfer(request) || request.has(request_multishot)) request.clear(request_at_work);
    request.place = Place::armed;
    request.ring->requests.table.insert(request);
    if (counts) start_link_timeout(request);
    if (request.has(request_poll_first)) {
        request.clear(request_poll_first);
        poll_now(*request.ring);
    }
}

void arm_behind_others(Request& request) {
    hold_for_readiness(request) == 0 ? wait_elsewhere(request, true) : arm(request);
}

bool retry_armed(Request& request) {
    const uint32_t waited_for = request.wait_events;
    if (issue_again(request)) return true;
    if (request.wait_events == waited_for) return false;
    // It waits for other events now, so register those.
    disarm_poll(request);
    arm(request);
    return true;
}

}  // namespace ringside::engine
