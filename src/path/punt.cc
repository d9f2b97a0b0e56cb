// Stage 5b: punt. The operation may block, and readiness does not tell for how long. So a worker makes the system call.
//
// The kernel's io-wq attempts a request in one of two ways, and a program can tell which. A request that asked for a
// worker (IOSQE_ASYNC) and can be polled is armed when its first attempt would block. All others block in their call
// (request_blocks). A program sees that in five ways. A write goes on until all is written. A cancel finds the request
// running (-EALREADY). The cancelled request ends with -EINTR. Its link timeout never starts. And if the call does not
// wait, because of O_NONBLOCK or because the request was to poll first, the result is -EAGAIN.
//
// The engine needs no thread to block for such a request: it is armed as others are, and only answers like one that
// blocks.
#include <errno.h>
#include <fcntl.h>

#include "abi/syscall.h"
#include "os/fds.h"
#include "path/path.h"
#include "resource/fixed_files.h"
#include "service/crew.h"
#include "service/keeper.h"
#include "service/ring_file.h"
#include "service/waiters.h"
#include "service/workers.h"
#include "service/write_order.h"

namespace ringside::engine {
namespace {

// Whether the request is armed if its file can be polled: single-shot transfers are.
bool polls(const Request& request) { return is_transfer(request) && !request.has(request_multishot); }

bool holds_its_file(const Request& request) {
    return request.has(request_pinned | request_holds_slot) || !(operation_of(request).flags & op_file);
}

Outcome work(Request& request) {
    if (request.has(request_comes_back)) {
        request.clear(request_comes_back);
        return Outcome::queued;
    }
    const Work step = operation_of(request).work;
    return request.has(request_impersonates) ? impersonate(request, step) : step(request);
}

// Takes the request back from the worker that executed it, and goes on by the outcome.
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

// Whether a worker makes the request's first attempt.
bool is_workers(const Request& request) {
    return request.has(IOSQE_ASYNC | request_at_work) || operation_of(request).issue == always_punt;
}

// Delays the punt until the batch is over. Until then the request can be cancelled, like one that waits for a worker.
// The program's call goes on meanwhile, so the program's descriptor needs no hold (but see hold_put_off).
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

// The worker was told to stop: a cancelled request must not wait again. It has left the table, so nobody could cancel
// it a second time. Issued once more, it reports what it has transferred so far.
Outcome stop(Request& request, Outcome outcome) {
    if (outcome == Outcome::done) return outcome;
    request.set(request_cancelled);
    const bool ends_itself = outcome == Outcome::queued || request.has(request_ends_itself);
    return ends_itself ? Outcome::queued : request.done(-EINTR);
}

// For a thread with the engine's own table: fills in the numbers that the request's files have there. Returns 0 or
// -errno.
int take_numbers(Request& request) {
    request.fd = number_of(kept(*request.fixed_file));
    if (request.fd < 0) return request.fd;
    if (!request.has(request_second_kept)) return 0;
    request.second_fd = number_of(*request.second_kept());
    return request.second_fd < 0 ? request.second_fd : 0;
}

// No worker can do it. Bounded work is done here: better late than never. Unbounded work might wait for this very
// thread, so it fails with -EAGAIN, and so does what this thread may not do for the submitter.
void work_here(Request& request) {
    const bool may = request.bounded_work && !is_anothers(request);
    const Outcome outcome = may ? work(request) : request.done(-EAGAIN);
    take_from_worker(request, outcome);
}

// Whether the calling thread submits the request, or goes on with it in the submitter's place.
bool is_submitters_call(const Ring& ring) {
    return ring.submitting_inline || (ring.setup_flags & IORING_SETUP_DEFER_TASKRUN);
}

// The calling thread is neither the request's submitter nor of its crew, so it must not make the request's calls. A
// thread of the crew issues the request.
void leave_to_crew(Request& request) {
    request.set(request_comes_back);
    enter_worker_queue(request);
    if (!queue_for_worker(request)) work_here(request);
}

}  // namespace

bool is_anothers(const Request& request) { return request.has(request_has_crew) && !acts_for_submitter(request); }

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
    // A multishot request registers a descriptor of its own (path/arm.cc), so it cannot share the batch's.
    const bool shares = request.ring->submitting_inline && !request.has(request_multishot);
    const FixedFile* held = held_by_batch(*request.ring, request.fd);
    if (shares && held != nullptr && !held->is_kept && hold_with_batch(request)) return 0;
    // Closing a duplicate in the program's table would drop the program's record locks. So the own table holds files on
    // disk.
    struct stat status;
    const bool has_status = file_status(request.fd, status) == 0;
    const bool on_disk = has_status && is_kind_on_disk(status.st_mode);
    // A crew has the program's table: there the file is pinned, and is asked for record locks before it is closed.
    if (on_disk && !request.has(request_has_crew) && !(operation_of(request).flags & op_may_want_lock)) {
        if (operation_of(request).flags & op_moves_descriptors) return 0;
        return hold_elsewhere(request, status) ? 0 : -ENFILE;
    }
    if (shares && !(on_disk && request.has(request_has_crew)) && hold_with_batch(request)) return 0;
    const int own = duplicate_high(request.fd);
    // At the descriptor limit the request gets no hold on its file. arm() then fails it; punt() goes on with the
    // program's number.
    if (own < 0) return own;
    request.fd = own;
    request.set(request_pinned);
    return 0;
}

void leave_to_worker(Request& request) {
    request.set(request_at_work);
    // io-wq does not attempt a multishot request. It only arms it, even if the request must not wait.
    if (request.has(request_multishot)) {
        request.set(request_poll_first);
        request.clear(request_nowait);
    }
    if (request.has(IOSQE_ASYNC | request_multishot)) return;
    const bool opens = !polls(request) && (operation_of(request).flags & op_opens);
    if (opens) {
        // In a worker, an open may wait for the other end of a FIFO, so it is not bounded.
        request.clear(request_bounded);
        request.set(IOSQE_ASYNC);
    } else if (!request.has(request_ordered)) {
        // Not for a request that a drain has released: the kernel treats it as if it had IOSQE_ASYNC, so a transfer is
        // armed.
        request.set(polls(request) ? +request_blocks : +IOSQE_ASYNC);
    }
}

void settle_blocking(Request& request) {
    const uint32_t kind = operation_of(request).flags;
    if (kind & op_forgets_nowait) request.clear(request_nowait);
    const long status = kind & op_minds_nonblock ? abi::syscall(__NR_fcntl, request.fd, F_GETFL) : 0;
    // A call waits for a disk in spite of O_NONBLOCK.
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
        // A request that was cancelled meanwhile has its result already.
        request->has(request_has_result) ? queue_issue(*request) : punt(*request);
    }
    ring.batch_is_over = false;
}

void punt(Request& request) {
    const bool was_attempted = !is_workers(request);
    const Operation& operation = operation_of(request);
    if ((operation.flags & op_asks_who) && is_submitters_call(*request.ring) && !join_crew(request)) {
        return finish(request, -ENOMEM);
    }
    if (begins_after_batch(request)) return put_off(request);
    // io-wq runs requests with IOSQE_ASYNC and those that cannot be armed. So do our workers.
    if (request.has(IOSQE_ASYNC)) leave_to_worker(request);
    if (request.has(request_bounded) || !polls(request)) request.set(request_at_work);
    // A buffer from the ring's tables must be taken under the ring's lock. issue() does that, and may punt the request
    // again.
    if (request.has(request_takes_buffer) && request.has(IOSQE_ASYNC)) return issue(request);
    const bool asked = request.has(IOSQE_ASYNC);
    request.clear(IOSQE_ASYNC);
    if (is_anothers(request) && (!asked || operation.work == nullptr)) return leave_to_crew(request);
    if (operation.work == nullptr || (asked && (operation.flags & op_may_want_lock))) {
        // Until it is issued it can be cancelled, like one that waits for a worker.
        request.ring->requests.table.insert(request);
        return queue_issue(request);
    }
    // A request that was never issued has not looked up its file yet.
    const int resolved = resolve_file(request);
    if (resolved < 0) return finish(request, resolved);
    // turn_of() needs the program's number, which pin_file() replaces.
    const uint8_t turn = turn_of(request);
    const int held = pin_file(request);
    if (held == -EBADF) return finish(request, -EBADF);
    // Start it now, because afterwards only the worker may write the request's flags. If the worker makes the first
    // attempt, the timeout does not start before that attempt is over.
    if (was_attempted) start_link_timeout(request);
    // -ENFILE: the file on disk cannot be held. Its number could be another file's before a worker comes to it, so the
    // call is made here.
    if (held == -ENFILE) request.set(request_bounded);
    enter_worker_queue(request);
    if (held == -ENFILE) return work_here(request);
    if (take_turn(request, turn) && !queue_for_worker(request)) work_here(request);
}

void pass_turn(Request& request) {
    Request* next = end_turn(request);
    if (next == nullptr) return;
    if (has_own_table() && !holds_file_elsewhere(*next)) {
        // This thread cannot use the request's number: it is one of the program's table. A thread with that table punts
        // it again.
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
