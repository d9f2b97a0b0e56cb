#include "service/cancel.h"

#include <errno.h>

#include "os/epoll.h"
#include "process/callbacks.h"
#include "process/thread_end.h"
#include "service/path_face.h"
#include "service/registrations.h"
#include "service/workers.h"
#include "state/operation.h"

namespace ringside::engine {
namespace {

// Takes a request out of the place where it waits. Returns as cancel_request() does; it is out when that is 0.
int take_out(Request& request) {
    switch (request.place) {
        case Place::armed:
            disarm_poll(request);
            return 0;
        case Place::timer:
            request.ring->timers.take_out(request);
            return 0;
        case Place::parked:
            return operation_of(request).unpark(request);
        case Place::worker:
            switch (withdraw_from_worker(request)) {
                case Withdrawal::withdrawn:
                    --request.ring->worker_jobs;
                    pass_turn(request);
                    return 0;
                case Withdrawal::interrupted:
                    return -EALREADY;
                case Withdrawal::gone:
                    return -ENOENT;
            }
            return -ENOENT;
        case Place::task_work:
            // Queued for its next attempt, unless it has a result. It stays queued, and is finished instead.
            return request.has(request_has_result) ? -ENOENT : 0;
        case Place::path:
        case Place::chain:
        case Place::drained:
        case Place::device:
            break;
    }
    return -ENOENT;
}

void end_silently(Request& request) {
    // Its chain ends with it.
    for (Request* at = request.link; at != nullptr;) {
        Request* next = at->link;
        at->link = nullptr;
        at->clear(IOSQE_IO_LINK | IOSQE_IO_HARDLINK);
        finish_unheard(*at);
        at = next;
    }
    request.link = nullptr;
    // If its link timeout had not started, that was a member of the chain and has ended with it.
    request.clear(request_arms_timeout);
    finish_unheard(request);
}

// Whether the request is armed, but answers a cancel as if it blocked in a worker.
bool is_at_work(const Request& request) { return request.place == Place::armed && request.has(request_blocks); }

void orphan_chain(Request* first) {
    for (Request* at = first; at != nullptr; at = at->link) orphan(*at);
}

// For a thread that ends: waits for its bounded work in workers, and cancels its unbounded work. Returns false if the
// ring has gone meanwhile.
bool wait_for_workers(Ring& ring, uint32_t thread) RINGSIDE_REQUIRES(ring.lock) {
    const unsigned generation = ring.generation.load();
    const auto in_worker = [thread](Request& request) {
        if (request.submitter != thread || request.place != Place::worker) return false;
        orphan_chain(request.link);
        return true;
    };
    while (Request* request = ring.requests.table.find_any(in_worker)) {
        if (!request->bounded_work && cancel_request(*request) == 0) continue;
        settle_ring(ring);
        ring.lock.release();
        wait_on_eventfd(-1, 100'000, nullptr);
        ring.lock.acquire();
        if (ring.closing || ring.generation.load() != generation) return false;
    }
    return true;
}

}  // namespace

int cancel_request(Request& request) {
    if (request.place == Place::task_work && request.has(request_cancelled)) return 0;
    const bool blocks = is_at_work(request);
    // As in the kernel, a request that waits for its file can be found and cancelled once more until its completion is
    // posted. (While a worker has a request, do not read its flags: they are the worker's.)
    const bool not_begun = request.place == Place::worker;
    const bool in_line = request.place == Place::task_work;
    const bool waits = request.place == Place::armed || (in_line && request.has(request_has_news));
    const bool still_found = waits && !blocks && !(operation_of(request).flags & op_cancel_counts);
    const int result = take_out(request);
    if (result < 0) return result;
    request.set(not_begun ? request_cancelled | request_untried : request_cancelled);
    if (!still_found) request.ring->requests.table.remove(request);
    if (!request.has(request_ends_itself)) {
        const bool succeeds = operation_of(request).flags & op_cancel_succeeds;
        succeeds ? request.ended(-ECANCELED) : request.done(blocks ? -EINTR : -ECANCELED);
        request.set(request_has_result);
    }
    if (!blocks || (operation_of(request).flags & op_fails_outside)) request.clear(request_at_work);
    if (!in_line) queue_issue(request);
    if (blocks) return -EALREADY;
    return operation_of(request).flags & op_cancel_counts ? 1 : 0;
}

void orphan_requests(Ring& ring, uint32_t thread) RINGSIDE_REQUIRES(ring.lock) {
    if (!wait_for_workers(ring, thread)) return;
    const auto leave_behind = [thread](Request& request) {
        const bool is_its = request.submitter == thread;
        if (is_its) orphan_chain(&request);
        return is_its && is_at_work(request);
    };
    for (Request* at = ring.drain.held.front(); at != nullptr; at = at->next) leave_behind(*at);
    while (Request* request = ring.requests.table.find_any(leave_behind)) cancel_request(*request);
    settle_from_outside(ring);
}

void cancel_all(Ring& ring) {
    while (Request* request = take_drained(ring)) end_silently(*request);
    const auto takeable = [](Request& request) {
        // To interrupt a worker twice does no harm: the first time may have been a moment too early.
        return request.place != Place::task_work && take_out(request) == 0;
    };
    unsigned from = 0;
    while (Request* request = ring.requests.table.find_any(takeable, from)) end_silently(*request);
    // Last, because the end of a request queues its link timeout.
    while (Request* request = ring.task_work.pop()) end_silently(*request);
}

}  // namespace ringside::engine
