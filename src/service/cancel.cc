#include "service/cancel.h"

#include <errno.h>

#include "path/path.h"
#include "service/poller.h"
#include "service/workers.h"

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
                    return 0;
                case Withdrawal::interrupted:
                    return -EALREADY;
                case Withdrawal::gone:
                    return -ENOENT;
            }
            return -ENOENT;
        case Place::task_work:
            // In line for its next attempt, unless it is over.
            return !request.has(request_has_result) && request.ring->task_work.remove(request) ? 0 : -ENOENT;
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
    // Its link timeout was part of that, if it had not begun.
    request.clear(request_arms_timeout);
    finish_unheard(request);
}

}  // namespace

int cancel_request(Request& request) {
    const bool blocks = request.place == Place::armed && request.has(request_blocks);
    const int result = take_out(request);
    if (result < 0) return result;
    request.set(request_cancelled);
    request.ring->requests.table.remove(request);
    if (request.has(request_ends_itself)) {
        queue_issue(request);
    } else if (operation_of(request).flags & op_cancel_succeeds) {
        request.ended(-ECANCELED);
        queue_finish(request);
    } else {
        queue_result(request, blocks ? -EINTR : -ECANCELED);
    }
    if (blocks) return -EALREADY;
    request.clear(request_at_work);
    return operation_of(request).flags & op_cancel_counts ? 1 : 0;
}

void cancel_all(Ring& ring) {
    while (Request* request = take_drained(ring)) end_silently(*request);
    const auto takeable = [](Request& request) {
        // Being told twice to stop does no harm: the first time may have been a moment too early.
        return take_out(request) == 0;
    };
    while (Request* request = ring.requests.table.find_any(takeable)) end_silently(*request);
    // Last, since the end of a request puts its link timeout in line.
    while (Request* request = ring.task_work.pop()) end_silently(*request);
}

}  // namespace ringside::engine
