// Stage 3: order. Chains of linked requests, and IOSQE_IO_DRAIN.
//
// A chain is collected until its last SQE, then its head is issued; each further request is issued when the one before
// it is done. A request that cannot be admitted does not break the chain while it is being collected: the head is
// marked as failed, and the whole chain ends when it is complete, as in the kernel.
#include <errno.h>

#include "ops/ops.h"
#include "path/path.h"
#include "process/thread_end.h"

namespace ringside::engine {
namespace {

constexpr uint32_t link_flags = IOSQE_IO_LINK | IOSQE_IO_HARDLINK;

void fail_with(Request& request, int error) {
    request.fail();
    request.res = error;
}

unsigned chain_length(const Request& head) {
    unsigned length = 0;
    for (const Request* at = &head; at != nullptr; at = at->link) ++length;
    return length;
}

// Whether any request is in flight besides those held back. A drain waits until there is none.
bool others_in_flight(const Ring& ring) { return ring.requests.in_use() != ring.drain.held_count; }

void hold_back(Request& request) {
    Drain& drain = request.ring->drain;
    for (Request* at = &request; at != nullptr; at = at->link) at->place = Place::chain;
    request.place = Place::drained;
    note_submitter(request);
    drain.held.push(request);
    drain.held_count += chain_length(request);
    const bool drains = request.has(IOSQE_IO_DRAIN);
    release_drained(*request.ring);
    // If the request was released at once and does not drain, later requests need not queue behind it, and the queue
    // goes out of use. Not in a batch in which a request has failed: in the kernel that request is in flight until the
    // batch is over, so that requests behind it are not released before.
    if (!drains && drain.held.empty() && drain.failed_in != request.ring->batch) drain.active = false;
}

// The slow way: a head that failed, that must not be tried inline, or that has to drain.
void route_aside(Request& request) {
    if (request.has(request_failed)) {
        request.ring->drain.failed_in = request.ring->batch;
        // Nothing of the chain ran, so a failed head severs even a hard link.
        request.clear(IOSQE_IO_HARDLINK);
        if (request.link != nullptr) request.set(IOSQE_IO_LINK);
        finish(request, request.res);
    } else if (request.ring->drain.active) {
        request.clear(request_ordered);
        hold_back(request);
    } else {
        punt(request);
    }
}

constexpr uint64_t not_issued = IOSQE_ASYNC | request_ordered | request_failed;

void start(Request& head) {
    if (__builtin_expect(head.has(not_issued), 0)) {
        route_aside(head);
    } else {
        issue(head);
    }
}

void append(ChainHead& chain, Request& request) {
    chain.last->link = &request;
    chain.last = &request;
    request.place = Place::chain;
    note_submitter(request);
}

// Ends the rest of a chain after a failure. Each request ends with -ECANCELED, or with its own error if it has one.
void cancel_rest(Request& request) {
    Request* rest = request.link;
    const bool silent = request.has(request_skip_links);
    while (rest != nullptr) {
        Request* next = rest->link;
        rest->link = nullptr;
        // Its link timeout, if it has one, is the next in the chain: this loop ends that too.
        rest->clear(request_arms_timeout);
        queue_result(*rest, rest->has(request_failed) ? rest->res : -ECANCELED);
        // A failure has cleared IOSQE_CQE_SKIP_SUCCESS, but a skipped chain posts no CQE for its rest.
        if (silent) rest->set(IOSQE_CQE_SKIP_SUCCESS);
        rest = next;
    }
}

// Takes the next request out of the chain; the one after it moves up.
Request& take_next(Request& request) {
    Request& next = *request.link;
    request.link = next.link;
    next.link = nullptr;
    return next;
}

// The worker that executed a request also executes the next one of its chain, with two exceptions. On a ring with
// IORING_SETUP_DEFER_TASKRUN the chain goes on in the program's call. And a request that ended before its operation
// ran, or failed because its file is no socket, counts as not executed by the worker.
void continue_chain(const Request& done, Request& next) {
    if (is_orphan(next)) return queue_result(next, -EFAULT);
    const bool no_socket = done.res == -ENOTSOCK && !(operation_of(done).flags & op_finds_socket);
    const bool unfit = done.has(request_untried) || no_socket;
    const bool deferred = done.ring->setup_flags & IORING_SETUP_DEFER_TASKRUN;
    const bool same_worker = done.has(request_at_work) && !unfit && !deferred;
    // A request released by a drain always goes to a worker.
    if (same_worker || next.has(request_ordered)) leave_to_worker(next);
    queue_issue(next);
}

// The request ended before its link timeout. The timeout then ends with -ECANCELED, which severs no chain. A timeout
// that has not started yet and is due at once ends with -ENOENT: in the kernel it starts when the first attempt is
// over, expires at once, and finds no request to cancel.
void end_link_timeout(Request& request) {
    Request* timeout = request.timeout_link;
    long result = -ECANCELED;
    if (request.has(request_arms_timeout)) {
        timeout = &take_next(request);
        if (!request.has(request_untried) && is_due_at_once(*timeout)) result = -ENOENT;
    } else {
        if (timeout == nullptr) return;
        request.ring->timers.take_out(*timeout);
        untie_timeout(*timeout);
    }
    timeout->res = static_cast<int32_t>(result);
    queue_finish(*timeout);
}

__attribute__((noinline)) void route_in_order(Request& request, int admitted) {
    ChainHead& chain = request.ring->chain;
    if (__builtin_expect(admitted < 0, 0)) {
        fail_with(request, admitted);
        if (chain.head != nullptr && !chain.head->has(request_failed)) fail_with(*chain.head, -ECANCELED);
    }
    if (chain.head != nullptr) {
        append(chain, request);
        if (request.has(link_flags)) return;
        Request& head = *chain.head;
        chain.head = nullptr;
        start(head);
    } else if (__builtin_expect(request.has(link_flags), 0)) {
        chain.head = chain.last = &request;
        request.place = Place::chain;
    } else {
        start(request);
    }
}

}  // namespace

void route(Request& request, int admitted) {
    const bool alone = admitted >= 0 && request.ring->chain.head == nullptr && !request.has(link_flags | not_issued);
    if (__builtin_expect(alone, 1)) return issue(request);
    route_in_order(request, admitted);
}

void close_chain(Ring& ring) {
    if (__builtin_expect(ring.chain.head == nullptr, 1)) return;
    Request& head = *ring.chain.head;
    ring.chain.head = nullptr;
    if (!head.has(request_failed) && !ring.drain.active) leave_to_worker(head);
    start(head);
}

void start_link_timeout(Request& request) {
    if (!request.has(request_arms_timeout)) return;
    Request& timeout = take_next(request);
    request.clear(request_arms_timeout);
    request.timeout_link = &timeout;
    request.set(request_timeout_started);
    timeout.timeout_link = &request;
    issue(timeout);
}

Request* untie_timeout(Request& timeout) {
    Request* request = timeout.timeout_link;
    timeout.timeout_link = nullptr;
    // Clear the pointer rather than a flag: while a worker executes the request, only the worker may write its flags.
    if (request != nullptr) request->timeout_link = nullptr;
    return request;
}

void advance_chain(Request& request) {
    if (request.has(request_arms_timeout | request_timeout_started)) end_link_timeout(request);
    if (request.link == nullptr) return;
    if (request.has(request_failed) && !request.has(IOSQE_IO_HARDLINK)) {
        cancel_rest(request);
    } else {
        continue_chain(request, *request.link);
    }
    request.link = nullptr;
}

void release_drained(Ring& ring) {
    Drain& drain = ring.drain;
    bool drain_seen = false, first = true;
    while (Request* head = drain.held.front()) {
        drain_seen |= head->has(IOSQE_IO_DRAIN);
        if ((drain_seen || first) && others_in_flight(ring)) return;
        drain.held.pop();
        drain.held_count -= chain_length(*head);
        // In the kernel io-wq executes it, as if it had IOSQE_ASYNC.
        head->set(request_ordered);
        leave_to_worker(*head);
        // All released requests enter the table at once, so that an earlier one can cancel a later one.
        head->fd = -1;
        ring.requests.table.insert(*head);
        is_orphan(*head) ? queue_result(*head, -EFAULT) : queue_issue(*head);
        first = false;
    }
}

Request* take_drained(Ring& ring) {
    Request* head = ring.drain.held.pop();
    if (head != nullptr) ring.drain.held_count -= chain_length(*head);
    return head;
}

}  // namespace ringside::engine
