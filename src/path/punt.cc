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
#include "os/fds.h"
#include "path/path.h"
#include "resource/fixed_files.h"
#include "service/keeper.h"
#include "service/ring_file.h"
#include "service/waiters.h"
#include "service/workers.h"
#include "service/write_order.h"

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
    pass_turn(request);
    if (outcome == Outcome::done) request.set(request_has_result);
    if (ring.closing) {
        finish_unheard(request);
    } else if (outcome == Outcome::wait) {
        arm(request);
    } else if (outcome == Outcome::queued || (ring.setup_flags & IORING_SETUP_DEFER_TASKRUN)) {
        queue_issue(request);
    } else {
        finish(request);
    }
}

// Whether a worker makes its first attempt.
bool is_workers(const Request& request) {
    return request.has(IOSQE_ASYNC | request_at_work) || operation_of(request).issue == always_punt;
}

// Until it begins it can be cancelled, as where it waits for a worker. The program's call goes on meanwhile, so that a
// file that is not registered is there still.
void put_off(Request& request) {
    if (!request.has(IOSQE_FIXED_FILE)) {
        resolve_file(request);
        if (!is_file(request.fd)) return finish(request, -EBADF);
    }
    request.place = Place::task_work;
    request.ring->requests.table.insert(request);
    request.ring->put_off.push(request);
}

void enter_worker_queue(Request& request) {
    Ring& ring = *request.ring;
    request.place = Place::worker;
    request.bounded_work = request.has(request_bounded);
    request.works_elsewhere = holds_file_elsewhere(request);
    ring.requests.table.insert(request);
    ++ring.worker_jobs;
    if (!has_own_table()) wait_for_end_of_file(ring);
}

// Who told it to stop counts on its end, and finds it nowhere to tell it again: so it does not go on to wait now. What
// it has done so far it says itself, issued once more.
Outcome stop(Request& request, Outcome outcome) {
    if (outcome == Outcome::done) return outcome;
    request.set(request_cancelled);
    const bool ends_itself = outcome == Outcome::queued || request.has(request_ends_itself);
    return ends_itself ? Outcome::queued : request.done(-EINTR);
}

// In a thread with the engine's own table: the numbers by which it knows the request's files. Returns 0 or -errno.
int take_numbers(Request& request) {
    request.fd = number_of(kept(*request.fixed_file));
    if (request.fd < 0) return request.fd;
    if (!request.has(request_second_kept)) return 0;
    request.second_fd = number_of(*request.second_kept());
    return request.second_fd < 0 ? request.second_fd : 0;
}

// No thread to be had. What ends by itself is better late than never; what may wait for ever, for what the waiting
// program itself was to do, is not.
void work_here(Request& request) {
    const Outcome outcome = request.bounded_work ? work(request) : request.done(-EAGAIN);
    take_from_worker(request, outcome);
}

}  // namespace

bool holds_file_elsewhere(const Request& request) {
    return request.has(request_holds_slot) && request.fixed_file->is_kept;
}

bool hold_elsewhere(Request& request, const struct stat& status) {
    Ring& ring = *request.ring;
    KeptFile* file = share_kept(ring, request.fd, status);
    if (file == nullptr) return false;
    request.fixed_file = file;
    request.fd = -1;
    hold(request);
    if (!ring.submitting_inline) hand_over_batch(ring);
    return true;
}

int pin_file(Request& request) {
    if (holds_its_file(request)) return 0;
    if (request.has(IOSQE_FIXED_FILE)) {
        hold(request);
        return 0;
    }
    // What goes on is registered for by its own descriptor (path/arm.cc).
    const bool shares = request.ring->submitting_inline && !request.has(request_multishot);
    const FixedFile* held = held_by_batch(*request.ring, request.fd);
    if (shares && held != nullptr && !held->is_kept && hold_with_batch(request)) return 0;
    // A duplicate in the program's table would drop the program's record locks when it is closed.
    struct stat status;
    const bool has_status = file_status(request.fd, status) == 0;
    if (has_status && is_kind_on_disk(status.st_mode) && !(operation_of(request).flags & op_may_want_lock)) {
        if (operation_of(request).flags & op_moves_descriptors) return 0;
        return hold_elsewhere(request, status) ? 0 : -ENFILE;
    }
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

void hold_put_off(Ring& ring, int fd) {
    for (Request* at = ring.put_off.front(); at != nullptr; at = at->next) {
        if (at->sqe_fd == fd && !at->has(IOSQE_FIXED_FILE)) pin_file(*at);
    }
}

void punt_after_batch(Ring& ring) {
    ring.batch_is_over = true;
    while (Request* request = ring.put_off.pop()) {
        // One that was cancelled meanwhile has its result.
        request->has(request_has_result) ? queue_issue(*request) : punt(*request);
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
    // While the number is the program's still.
    const uint8_t turn = turn_of(request);
    const int held = pin_file(request);
    if (held == -EBADF) return finish(request, -EBADF);
    // Now, since its flags are the worker's afterwards; and not for what begins there.
    if (was_attempted) start_link_timeout(request);
    // A file on disk that cannot be held while the request waits for a worker may be another's by then.
    if (held == -ENFILE) request.set(request_bounded);
    enter_worker_queue(request);
    if (held == -ENFILE) return work_here(request);
    if (take_turn(request, turn) && !queue_for_worker(request)) work_here(request);
}

void pass_turn(Request& request) {
    Request* next = end_turn(request);
    if (next == nullptr) return;
    if (has_own_table() && !holds_file_elsewhere(*next)) {
        // A thread with the program's table hands it over.
        --next->ring->worker_jobs;
        next->set(IOSQE_ASYNC);
        return queue_issue(*next);
    }
    if (!queue_for_worker(*next)) work_here(*next);
}

void punt_together(RequestQueue requests) {
    Request& first = *requests.front();
    struct stat status;
    FixedFile* file = first.fixed_file;
    if (!first.has(IOSQE_FIXED_FILE)) {
        file = file_status(first.fd, status) == 0 ? share_kept(*first.ring, first.fd, status) : nullptr;
    }
    if (file == nullptr) {
        while (Request* request = requests.pop()) punt(*request);
        return;
    }
    RequestQueue ready;
    const uint8_t turn = turn_of(first);
    while (Request* request = requests.pop()) {
        request->fixed_file = file;
        request->fd = file->fd;
        hold(*request);
        enter_worker_queue(*request);
        if (take_turn(*request, turn)) ready.push(*request);
    }
    if (ready.empty() || queue_for_worker(ready)) return;
    while (Request* request = ready.pop()) work_here(*request);
}

void run_in_worker(Request& request) {
    const int numbers = has_own_table() ? take_numbers(request) : 0;
    const Outcome outcome = numbers < 0 ? request.done(numbers) : work(request);
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
