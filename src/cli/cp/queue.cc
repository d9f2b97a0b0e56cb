#include "cli/cp/queue.h"

#include <errno.h>

#include <system_error>

namespace ringside::cli::cp {
namespace {

void check(int result, const char* what) {
    if (result < 0) throw std::system_error(-result, std::system_category(), what);
}

}  // namespace

RequestQueue::RequestQueue(unsigned depth) : depth_(depth) {
    // One more than may be in flight, for cancel_all().
    check(io_uring_queue_init(depth + 1, &ring_, 0), "cannot set up a ring");
}

RequestQueue::~RequestQueue() { io_uring_queue_exit(&ring_); }

void RequestQueue::enqueue(const io_uring_sqe& sqe) {
    if (in_flight_ == depth_) {
        waiting_.push_back(sqe);
    } else {
        put(sqe);
    }
}

// There is always an SQE to be had: the ring is as large as the number of requests that may be in flight.
void RequestQueue::put(const io_uring_sqe& sqe) {
    *io_uring_get_sqe(&ring_) = sqe;
    ++in_flight_;
}

void RequestQueue::wait_and_complete() {
    const int submitted = io_uring_submit_and_wait(&ring_, 1);
    // EAGAIN and EBUSY ask for completions to be reaped first, which is what comes next.
    if (submitted != -EINTR && submitted != -EAGAIN && submitted != -EBUSY)
        check(submitted, "cannot wait for requests");

    io_uring_cqe* cqe;
    while (io_uring_peek_cqe(&ring_, &cqe) == 0) {
        auto* request = reinterpret_cast<Request*>(static_cast<uintptr_t>(cqe->user_data));
        const int result = cqe->res;
        io_uring_cqe_seen(&ring_, cqe);
        // The answer to cancel_all() belongs to nobody and was not counted.
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
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
    io_uring_prep_cancel64(sqe, 0, IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_ANY);
    sqe->user_data = 0;
}

}  // namespace ringside::cli::cp
