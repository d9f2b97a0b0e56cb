// Stage 4: looks up the file and attempts the operation. Only this file calls an operation's issue.
#include <errno.h>
#include <poll.h>

#include "os/fds.h"
#include "path/path.h"
#include "process/thread_end.h"
#include "service/cancel.h"
#include "service/helper.h"
#include "service/keeper.h"
#include "service/poller.h"
#include "service/registrations.h"
#include "service/waiters.h"

namespace ringside::engine {
namespace {

bool would_go_on(Outcome outcome) { return outcome == Outcome::wait || outcome == Outcome::punt; }

// Sends the request where the outcome of its attempt says.
void settle(Request& request, Outcome outcome) {
    // A request that was cancelled while a worker had it must not wait again. It has reported what the worker did.
    if (would_go_on(outcome) && request.has(request_cancelled)) return finish(request, -ECANCELED);
    switch (outcome) {
        case Outcome::done:
            finish(request);
            break;
        case Outcome::wait:
            arm(request);
            break;
        case Outcome::punt:
            punt(request);
            break;
        case Outcome::queued:
            // It will not be a worker that ends it.
            request.clear(request_at_work);
            start_link_timeout(request);
            break;
    }
}

// Attempts the operation once, without waiting, with the credentials that the request carries.
Outcome attempt(Request& request) {
    if (__builtin_expect(request.has(request_blocks), 0)) settle_blocking(request);
    const Issue step = operation_of(request).issue;
    return __builtin_expect(request.has(request_impersonates), 0) ? impersonate(request, step) : step(request);
}

// Requests that wait for the same file already go first, as in the kernel: the data they wait for may have come from
// the request before this one in its chain.
__attribute__((noinline)) void let_others_go_first(const Request& request) {
    if (!is_transfer(request) || request.has(IOSQE_FIXED_FILE)) return;
    if (is_waited_for(*request.ring, request.sqe_fd)) poll_now(*request.ring);
}

// Whether a transfer waits in the engine's own table for the file that had this number. (A poll takes nothing, so
// nobody has to let it go first.)
bool transfer_waits_elsewhere(Ring& ring, int number) {
    for (KeptFile* file = ring.kept.waited_by(number); file != nullptr; file = file->next_waited) {
        if (file->sqe_number != number) continue;
        for (Request* at = file->waiting.first(); at != nullptr; at = file->waiting.after(*at)) {
            if (is_transfer(*at)) return true;
        }
    }
    return false;
}

// The same for requests that wait in the engine's own table. Returns true if this request has to join them there before
// its first attempt.
bool goes_behind_others(Request& request) {
    constexpr uint64_t not_so = IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT | request_nowait | request_cancelled |
                                request_at_work | request_has_news;
    if (!is_transfer(request) || request.has(not_so)) return false;
    if (!transfer_waits_elsewhere(*request.ring, request.sqe_fd) || resolve_file(request) != 0) return false;
    struct stat status;
    const bool waits_there =
        file_status(request.fd, status) == 0 && (S_ISSOCK(status.st_mode) || S_ISFIFO(status.st_mode));
    if (waits_there) request.wait_events = operation_of(request).flags & op_poll_in ? POLLIN : POLLOUT;
    return waits_there && !(operation_of(request).flags & op_moves_descriptors);
}

// Runs the requests that are queued now. What they queue in turn runs after the next publish().
void run_task_work(Ring& ring) {
    RequestQueue work = ring.task_work.take_all();
    withdraw_announcement(ring);
    while (Request* request = work.pop()) {
        if (request->has(request_has_result)) {
            finish(*request);
            continue;
        }
        request->clear(request_has_news);
        if (request->has(IOSQE_ASYNC) || is_anothers(*request)) {
            punt(*request);
        } else {
            if (__builtin_expect(ring.poller.armed != 0, 0)) let_others_go_first(*request);
            if (__builtin_expect(ring.kept.armed != 0, 0) && goes_behind_others(*request)) {
                arm_behind_others(*request);
            } else {
                issue(*request);
            }
        }
    }
}

// Whether the request's file is in the engine's own table while the calling thread has the program's.
bool is_elsewhere(const Request& request) {
    return request.has(request_holds_slot) && request.fixed_file->is_kept && !has_own_table();
}

}  // namespace

void issue(Request& request) {
    request.place = Place::path;
    const int resolved = resolve_file(request);
    if (__builtin_expect(resolved != 0, 0)) {
        // A cancelled request only reports what it has done so far, and one that is to poll first only names the
        // events. Neither uses the file.
        if (resolved > 0 && request.has(request_cancelled | request_poll_first))
            return settle(request, attempt(request));
        if (resolved > 0) return attempt_elsewhere(request);
        return begins_after_batch(request) ? punt(request) : finish(request, resolved);
    }
    settle(request, attempt(request));
}

int resolve_file(Request& request) {
    if (!(operation_of(request).flags & op_file)) return 0;
    if (__builtin_expect(request.has(request_pinned | request_holds_slot), 0)) return is_elsewhere(request);
    if (request.has(IOSQE_FIXED_FILE)) {
        FixedFile* file = request.ring->files.find(static_cast<uint32_t>(request.sqe_fd));
        if (__builtin_expect(file == nullptr, 0)) return -EBADF;
        request.fixed_file = file;
        request.fd = file->fd;
        return 0;
    }
    // The operation's system call finds out whether a plain descriptor is open.
    request.fd = request.sqe_fd;
    return 0;
}

bool issue_again(Request& request) {
    if (__builtin_expect(is_orphan(request), 0)) {
        cancel_request(request);
        return true;
    }
    const Outcome outcome = attempt(request);
    if (outcome == Outcome::wait) {
        // A multishot request that a worker has armed before its first attempt has now been attempted.
        if (__builtin_expect(request.has(request_multishot), 0)) start_link_timeout(request);
        return false;
    }
    disarm_poll(request);
    settle(request, outcome);
    return true;
}

void queue_issue(Request& request) {
    Ring& ring = *request.ring;
    request.place = Place::task_work;
    ring.task_work.push(request);
    if (__builtin_expect(has_own_table(), 0)) return nudge(ring);
    if (!(ring.setup_flags & IORING_SETUP_DEFER_TASKRUN)) return;
    wake_leader(ring);
    announce_work(ring, request.has(request_at_work));
}

void queue_result(Request& request, long result) {
    request.done(result);
    queue_finish(request);
}

void queue_finish(Request& request) {
    request.set(request_has_result);
    queue_issue(request);
}

Outcome queue_as_waiting(Request& request) {
    if (pin_file(request) == -EBADF) return request.done(-EBADF);
    request.set(request_has_news);
    request.ring->requests.table.insert(request);
    queue_issue(request);
    return Outcome::queued;
}

void settle_ring(Ring& ring) {
    if (ring.setup_flags & IORING_SETUP_DEFER_TASKRUN) {
        publish(ring);
    } else {
        settle_deferred(ring);
    }
}

void settle_from_outside(Ring& ring) {
    // What follows may need the program's descriptors.
    if (has_own_table()) return nudge(ring);
    settle_ring(ring);
    if (something_waits(ring) && !ring.closing) leave_to_helper(ring);
}

void settle_deferred(Ring& ring) {
    publish(ring);
    while (!ring.task_work.empty()) {
        run_task_work(ring);
        publish(ring);
    }
}

}  // namespace ringside::engine
