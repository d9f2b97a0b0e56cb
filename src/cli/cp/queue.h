// The ring as a copy sees it: it takes any number of requests, and completes each of them once.
#pragma once

#include <stdint.h>

#include <deque>

#include "ringside/ringside.hpp"

namespace ringside::cli::cp {

// Receives results of requests. It must live until complete() was called for each of its requests.
class Request {
  public:
    // `result` is what the completion carries: a value >= 0, or -errno.
    virtual void complete(int result) = 0;

  protected:
    ~Request() = default;
};

class RequestQueue {
  public:
    // At most `depth` requests are in flight; more wait here for their turn. Throws std::system_error.
    RequestQueue(unsigned depth, Wish provider);

    // `prepare` is given the SQE to fill by one of the io_uring_prep functions.
    template <typename Prepare>
    void submit(Request& request, Prepare prepare) {
        io_uring_sqe sqe = {};
        prepare(&sqe);
        sqe.user_data = reinterpret_cast<uintptr_t>(&request);
        enqueue(sqe);
    }

    // Submits the queued requests, waits for one result and completes all that have arrived. Completions may submit
    // more.
    void wait_and_complete();

    // Cancels all requests in flight. A cancelled request completes with -ECANCELED or -EINTR.
    void cancel_all();

  private:
    void enqueue(const io_uring_sqe& sqe);
    void put(const io_uring_sqe& sqe);

    Ring ring_;
    unsigned depth_;
    unsigned in_flight_ = 0;
    std::deque<io_uring_sqe> waiting_;
};

}  // namespace ringside::cli::cp
