// Stage 5a: the operation would block until its file is ready, so it waits for that with no thread and no system call,
// and is issued again when it is.
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

// It would wait, but must not. One that was to do so before its first attempt has not looked at its file yet.
void answer(Request& request) {
    const bool no_file = request.has(request_poll_first) && !is_file(request.fd);
    no_file ? finish(request, -EBADF) : finish_attempted(request, -EAGAIN);
}

// Whether its link timeout begins. In a worker that waits in its call, or has to do with what goes on only until the
// first attempt, the kernel does not begin to count the time.
bool counts_time(const Request& request) {
    const bool only_waits = request.has(request_multishot) && request.has(request_at_work) && is_transfer(request);
    return !request.has(request_blocks) && !only_waits;
}

// It was to wait before its first attempt, for a file that cannot be waited for: a poll tells at once what there is,
// and that was all; a transfer is given up, as in a worker, which does not begin what goes on.
void give_up_waiting(Request& request) {
    if (is_transfer(request)) {
        return finish_attempted(request, request.has(request_multishot) ? -EBADFD : -EAGAIN);
    }
    request.clear(request_poll_first | request_multishot);
    queue_issue(request);
}

// A worker that was to poll first finds it ready: it does not wait for that, nor for anything after its call.
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

// Sockets and pipes wait in the engine's own table, unless the operation moves descriptors, and so do files on disk
// that can be waited for. Returns 0 where the request holds its file there, -EPERM where it cannot be waited for,
// -ENOENT where it is to wait in the ring's own set.
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
    // A request that was only now tried on the program's descriptor is known by that; one that holds its file already
    // may be the last to do so. One that goes on is told of every event, so it must not hear of those that registering
    // the program's descriptor anew for another request brings.
    const int tried = request.fd;
    const int pinned = elsewhere == -EPERM ? 0 : pin_file(request);
    // By its number alone it would go on with whatever file has that by then.
    if (pinned < 0) return finish(request, pinned);
    const int armed =
        elsewhere == -EPERM ? elsewhere : arm_poll(request, request.has(request_multishot) ? request.fd : tried);
    if (armed == -EPERM && request.has(request_poll_first)) return give_up_waiting(request);
    if (armed == -EBADF && !is_file(request.fd)) return finish(request, -EBADF);
    // A file that cannot be waited for is a worker's; to poll it for what it will never be is refused.
    const bool works = operation_of(request).work != nullptr && !(operation_of(request).flags & op_may_want_lock);
    if (armed < 0 && works) {
        request.clear(request_poll_first);
        return punt(request);
    }
    if (armed < 0) return finish(request, armed == -EPERM ? -EINVAL : armed);
    if (request.has(request_poll_first) && is_ready_for_worker(request)) return go_on_in_call(request);
    const bool counts = counts_time(request);
    // Of what a worker has to do with, only transfers come back to one, and only those that end with one result.
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
    // It waits for something else now: that has to be registered.
    disarm_poll(request);
    arm(request);
    return true;
}

}  // namespace ringside::engine
