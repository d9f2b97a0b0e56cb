#include "cli/cp/queue.h"

#include <errno.h>

#include <system_error>

namespace ringside::cli::cp {

// One entry more than requests may be in flight, for cancel_all().
RequestQueue::RequestQueue(unsigned depth, Wish provider)
    : ring_({.entries = depth + 1, .provider = provider}), depth_(depth) {}

void RequestQueue::enqueue(const io_uring_sqe& sqe) {
    if (in_flight_ == depth_) {
        waiting_.push_back(sqe);
    } else {
        put(sqe);
    }
}

// There is always a free SQE: the ring has as many as there may be requests in flight.
void RequestQueue::put(const io_uring_sqe& sqe) {
    *ring_.get_sqe() = sqe;
    ++in_flight_;
}

void RequestQueue::wait_and_complete() {
    const int error = ring_.submit_and_wait(1).error();
    // With these errors completions must be reaped first. The loop below does that.
    const bool reap_first = error == EINTR || error == EAGAIN || error == EBUSY;
    if (error != 0 && !reap_first) throw std::system_error(error, std::system_category(), "cannot wait for requests");

    while (io_uring_cqe* cqe = ring_.peek()) {
        auto* request = reinterpret_cast<Request*>(static_cast<uintptr_t>(cqe->user_data));
        const int result = cqe->res;
        ring_.seen(cqe);
        // The CQE of cancel_all() has no request object and was not counted.
        if (request == nullptr) continue;
        --in_flight_;
        if (!waiting_.empty()) {
            put(waiting_.front());
            waiting_.pop_front();
        }
        request->complete(result);
    }
}

void RequestQueue::cancel_all() {
    io_uring_sqe* sqe = ring_.get_sqe();
    io_uring_prep_cancel64(sqe, 0, IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_ANY);
    sqe->user_data = 0;
}

}  // namespace ringside::cli::cp
