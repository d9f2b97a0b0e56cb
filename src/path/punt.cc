// Stage 5b: only a thread can tell how long it takes, so a worker makes the system call.
//
// A program can tell how the kernel's workers attempt a request, and there are two ways. One that asked for a worker
// (IOSQE_ASYNC) and can wait for readiness does so, when its first attempt finds nothing. All others block in their
// call (request_blocks): a write goes on until all is written, who cancels them is told that they were being done and
// they end with -EINTR, their link timeout never begins, and where the call does not wait, because of O_NONBLOCK or
// because it was to poll first, -EAGAIN is their result. Such a request needs no thread to block here: it waits for
// readiness as others do, and only answers like one that blocks.
#include <errno.h>
#include <fcntl.h>

#include "abi/syscall.h"
#include "path/path.h"
#include "service/ring_file.h"
#include "service/waiters.h"
#include "service/workers.h"
#include "state/fds.h"

namespace ringside::engine {
namespace {

// What waits for readiness where it can.
bool polls(const Request& request) { return is_transfer(request) && !request.has(request_multishot); }

bool holds_its_file(const Request& request) {
    return request.has(request_pinned | request_holds_slot) || !(operation_of(request).flags & op_file);
}

// A worker mostly has what the submitter had; once it has seen that, it need not look again.
Outcome work_as_submitter(Request& request, Work step) {
    thread_local uint64_t own_serial = 0;
    const Credentials& submitters = *request.credentials;
    if (in_worker() && submitters.serial != own_serial && are_own(submitters)) own_serial = submitters.serial;
    return in_worker() && submitters.serial == own_serial ? step(request) : impersonate(request, step);
}

Outcome work(Request& request) {
    const Work step = operation_of(request).work;
    if (!request.has(request_impersonates)) return step(request);
    return request.credentials->serial != 0 ? work_as_submitter(request, step) : impersonate(request, step);
}

// What a worker has done comes back to the path.
void take_from_worker(Request& request, Outcome outcome) {
    Ring& ring = *request.ring;
    --ring.worker_jobs;
    if (outcome == Outcome::done) request.set(request_has_result);
    if (ring.closing) {
        finish_unheard(request);
    } else if (outcome == Outcome::wait) {
        arm(request);
    } else if (outcome == Outcome::queued || (ring.setup_flags & IORING_SETUP_DEFER_TASKRUN)) {
        queue_from_outside(request);
    } else {
        finish(request);
    }
}

// Whether a worker makes its first attempt.
bool is_workers(const Request& request) {
    return request.has(IOSQE_ASYNC | request_at_work) || operation_of(request).issue == always_punt;
}

// Until it begins it can be cancelled, as where it waits for a worker. A file that is not registered it keeps.
void put_off(Request& request) {
    if (!request.has(IOSQE_FIXED_FILE)) {
        resolve_file(request);
        if (pin_file(request) == -EBADF) return finish(request, -EBADF);
    }
    request.set(request_after_batch);
    request.ring->after_batch = true;
    request.ring->requests.table.insert(request);
    queue_issue(request);
}

void enter_worker_queue(Request& request) {
    Ring& ring = *request.ring;
    request.place = Place::worker;
    request.bounded_work = request.has(request_bounded);
    ring.requests.table.insert(request);
    ++ring.worker_jobs;
    wait_for_end_of_file(ring);
}

// Who told it to stop counts on its end, and finds it nowhere to tell it again: so it does not go on to wait now. What
// it has done so far it says itself, issued once more.
Outcome stop(Request& request, Outcome outcome) {
    if (outcome == Outcome::done) return outcome;
    request.set(request_cancelled);
    const bool ends_itself = outcome == Outcome::queued || request.has(request_ends_itself);
    return ends_itself ? Outcome::queued : request.done(-EINTR);
}

// No thread to be had. What ends by itself is better late than never; what may wait for ever, for what the waiting
// program itself was to do, is not.
void work_here(Request& request) {
    const Outcome outcome = request.bounded_work ? work(request) : request.done(-EAGAIN);
    take_from_worker(request, outcome);
}

}  // namespace

int pin_file(Request& request) {
    if (holds_its_file(request)) return 0;
    if (request.has(IOSQE_FIXED_FILE)) {
        hold(request);
        return 0;
    }
    // What goes on is registered for by its own descriptor (path/arm.cc).
    const bool shares = request.ring->submitting_inline && !request.has(request_multishot);
    if (shares && hold_with_batch(request)) return 0;
    const int own = duplicate_high(request.fd);
    // At the descriptor limit the program's own number has to do: the request only loses its hold on the file.
    if (own < 0) return own;
    request.fd = own;
    request.set(request_pinned);
    return 0;
}

void leave_to_worker(Request& request) {
    request.set(request_at_work);
    // A worker attempts nothing that goes on afterwards: it only has it wait, be it told not to.
    if (request.has(request_multishot)) {
        request.set(request_poll_first);
        request.clear(request_nowait);
    }
    if (request.has(IOSQE_ASYNC | request_multishot)) return;
    const bool opens = !polls(request) && (operation_of(request).flags & op_opens);
    if (opens) {
        // It may wait there for a FIFO's other end.
        request.clear(request_bounded);
        request.set(IOSQE_ASYNC);
    } else if (!request.has(request_ordered)) {
        // What draining had held up was to be a worker's from the beginning, as if it had asked.
        request.set(polls(request) ? +request_blocks : +IOSQE_ASYNC);
    }
}

void settle_blocking(Request& request) {
    const uint32_t kind = operation_of(request).flags;
    if (kind & op_forgets_nowait) request.clear(request_nowait);
    const long status = kind & op_minds_nonblock ? abi::syscall(__NR_fcntl, request.fd, F_GETFL) : 0;
    // A disk is waited for whatever its file says.
    const bool nonblocking = status > 0 && (status & O_NONBLOCK) && !is_on_disk(request.fd);
    if (nonblocking || (kind & op_never_blocks) || request.has(request_poll_first)) request.set(request_nowait);
}

bool begins_after_batch(const Request& request) {
    const Ring& ring = *request.ring;
    const bool looks_up_file = request.has(IOSQE_FIXED_FILE) && (operation_of(request).flags & op_file);
    return ring.submitting_inline && !ring.batch_is_over && is_workers(request) &&
           (looks_up_file || request.has(IOSQE_BUFFER_SELECT)) && !request.has(request_holds_slot);
}

void punt_after_batch(Ring& ring) {
    ring.after_batch = false;
    ring.batch_is_over = true;
    RequestQueue work = ring.task_work.take_all();
    while (Request* request = work.pop()) {
        // One that was cancelled meanwhile is task work like any other.
        if (request->has(request_after_batch) && !request->has(request_has_result)) {
            request->clear(request_after_batch);
            punt(*request);
        } else {
            ring.task_work.push(*request);
        }
    }
    ring.batch_is_over = false;
}

void punt(Request& request) {
    const bool was_attempted = !is_workers(request);
    const Operation& operation = operation_of(request);
    if ((operation.flags & op_asks_who) && request.ring->submitting_inline) carry_credentials(request);
    if (begins_after_batch(request)) return put_off(request);
    // What asked for it is a worker's in the kernel too; of what did not, all that cannot wait for readiness.
    if (request.has(IOSQE_ASYNC)) leave_to_worker(request);
    if (request.has(request_bounded) || !polls(request)) request.set(request_at_work);
    // What it takes from the ring's tables has to be found under the lock: its issue does that, and may punt it again.
    if (request.has(request_takes_buffer) && request.has(IOSQE_ASYNC)) return issue(request);
    const bool asked = request.has(IOSQE_ASYNC);
    request.clear(IOSQE_ASYNC);
    if (operation.work == nullptr || (asked && (operation.flags & op_may_want_lock))) {
        // Until then it can be cancelled, as where it waits for a worker.
        request.ring->requests.table.insert(request);
        return queue_issue(request);
    }
    // One that was never issued has not looked at its file yet.
    const int resolved = resolve_file(request);
    if (resolved < 0) return finish(request, resolved);
    if (pin_file(request) == -EBADF) return finish(request, -EBADF);
    // Now, since its flags are the worker's afterwards; and not for what begins there.
    if (was_attempted) start_link_timeout(request);
    enter_worker_queue(request);
    if (!queue_for_worker(request)) work_here(request);
}

void punt_together(RequestQueue requests) {
    Request& first = *requests.front();
    FixedFile* file = first.has(IOSQE_FIXED_FILE) ? first.fixed_file : share_file(first.fd);
    if (file == nullptr) {
        while (Request* request = requests.pop()) punt(*request);
        return;
    }
    RequestQueue ready;
    while (Request* request = requests.pop()) {
        request->fixed_file = file;
        request->fd = file->fd;
        hold(*request);
        enter_worker_queue(*request);
        ready.push(*request);
    }
    if (queue_for_worker(ready)) return;
    while (Request* request = ready.pop()) work_here(*request);
}

void run_in_worker(Request& request) {
    const Outcome outcome = work(request);
    Ring& ring = *request.ring;
    enter_to_wake(ring);
    const bool told_to_stop = note_work_done();
    take_from_worker(request, told_to_stop ? stop(request, outcome) : outcome);
    settle_from_outside(ring);
    let_go_and_wake(ring);
}

void finish_elsewhere(Request& request, long result) {
    Ring& ring = *request.ring;
    enter_to_wake(ring);
    request.done(result);
    take_from_worker(request, Outcome::done);
    settle_from_outside(ring);
    let_go_and_wake(ring);
}

}  // namespace ringside::engine
