// A ring for a case: set up or the program ends, and batches whose results are all checked.
#pragma once

#include <liburing.h>

#include "die.h"

namespace bench {

class Ring {
  public:
    explicit Ring(unsigned entries, io_uring_params params = {}) {
        if (const int result = io_uring_queue_init_params(entries, &ring_, &params); result < 0)
            die("io_uring_queue_init_params", result);
    }
    ~Ring() { io_uring_queue_exit(&ring_); }
    Ring(const Ring&) = delete;
    Ring& operator=(const Ring&) = delete;

    io_uring* get() { return &ring_; }

    io_uring_sqe* sqe() {
        io_uring_sqe* const entry = io_uring_get_sqe(&ring_);
        if (entry == nullptr) die("io_uring_get_sqe", EBUSY);
        return entry;
    }

    // The same where more may be prepared than the queue holds.
    io_uring_sqe* sqe_after_submitting() {
        if (io_uring_sq_space_left(&ring_) == 0) submit();
        return sqe();
    }

    void submit() {
        if (const int result = io_uring_submit(&ring_); result < 0) die("io_uring_submit", result);
    }

    void submit_and_wait(unsigned completions) {
        if (const int result = io_uring_submit_and_wait(&ring_, completions); result < 0)
            die("io_uring_submit_and_wait", result);
    }

    // Calls see(cqe) for every completion that is there, consumes them, and returns how many they were.
    template <typename See>
    unsigned reap(See see) {
        unsigned head, reaped = 0;
        io_uring_cqe* cqe;
        io_uring_for_each_cqe(&ring_, head, cqe) {
            see(cqe);
            ++reaped;
        }
        io_uring_cq_advance(&ring_, reaped);
        return reaped;
    }

    // Submits, waits, and calls see(cqe) for so many completions, however many waits that takes.
    template <typename See>
    void reap_all(unsigned count, See see) {
        while (count > 0) {
            submit_and_wait(1);
            count -= reap(see);
        }
    }

    // Prepares `count` requests with prepare(sqe), submits them, waits for all, and checks that each completes with
    // `expected`.
    template <typename Prepare>
    unsigned batch(unsigned count, int expected, Prepare prepare) {
        for (unsigned i = 0; i < count; ++i) prepare(sqe());
        submit_and_wait(count);
        const unsigned reaped = reap([expected](const io_uring_cqe* cqe) { check(cqe, expected); });
        if (reaped != count) die("completions are missing", EIO);
        return count;
    }

    static void check(const io_uring_cqe* cqe, int expected) {
        if (cqe->res != expected) die("a request", cqe->res < 0 ? cqe->res : EIO);
    }

  private:
    io_uring ring_;
};

// A number of requests that is kept in flight: each that completes is prepared anew.
class Pipeline {
  public:
    explicit Pipeline(unsigned depth) : depth_(depth), ring_(depth) {}

    // Waits for at least one completion and returns how many there were. prepare(sqe, slot) fills in a request that has
    // `slot`, one of 0 to depth - 1, for itself.
    template <typename Prepare>
    unsigned turn(int expected, Prepare prepare) {
        const auto start = [&](unsigned slot) {
            io_uring_sqe* const sqe = ring_.sqe();
            prepare(sqe, slot);
            sqe->user_data = slot;
        };
        for (; started_ < depth_; ++started_) start(started_);
        ring_.submit_and_wait(1);
        return ring_.reap([&](const io_uring_cqe* cqe) {
            Ring::check(cqe, expected);
            start(static_cast<unsigned>(cqe->user_data));
        });
    }

    Ring& ring() { return ring_; }

  private:
    unsigned depth_;
    unsigned started_ = 0;
    Ring ring_;
};

// A ring for so many completions.
inline io_uring_params with_cq_entries(unsigned entries) {
    io_uring_params params = {};
    params.flags = IORING_SETUP_CQSIZE;
    params.cq_entries = entries;
    return params;
}

}  // namespace bench
