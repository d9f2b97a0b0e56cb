// A ring by the liburing API that ends with its scope, and the few things that nearly all tests do with one.
#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "liburing.h"

namespace ringside::test {

class Uring {
  public:
    explicit Uring(unsigned entries = 8, unsigned flags = 0) {
        io_uring_params params = {};
        params.flags = flags;
        init(entries, params);
    }
    Uring(unsigned entries, io_uring_params params) { init(entries, params); }
    ~Uring() {
        if (live_) io_uring_queue_exit(&ring_);
    }
    Uring(const Uring&) = delete;
    Uring& operator=(const Uring&) = delete;

    io_uring* get() { return &ring_; }
    io_uring* operator->() { return &ring_; }

    // Queues a no-op. False if there is no free SQE.
    bool add_nop(__u64 user_data) {
        io_uring_sqe* const sqe = io_uring_get_sqe(&ring_);
        if (sqe == nullptr) return false;
        io_uring_prep_nop(sqe);
        sqe->user_data = user_data;
        return true;
    }

    // Queues and submits `count` no-ops numbered from `first` on.
    void run_nops(unsigned count, __u64 first = 0) {
        for (unsigned i = 0; i < count; i++) ASSERT_TRUE(add_nop(first + i));
        ASSERT_EQ(io_uring_submit(&ring_), static_cast<int>(count));
    }

    // Takes all completions that are there; their user_data in order.
    std::vector<__u64> reap() {
        std::vector<__u64> numbers;
        io_uring_cqe* cqe;
        while (io_uring_peek_cqe(&ring_, &cqe) == 0) {
            numbers.push_back(cqe->user_data);
            io_uring_cqe_seen(&ring_, cqe);
        }
        return numbers;
    }

    // A request that completes only if `read_end` becomes readable.
    void await_readable(int read_end, __u64 user_data) {
        io_uring_sqe* const sqe = io_uring_get_sqe(&ring_);
        ASSERT_NE(sqe, nullptr);
        io_uring_prep_poll_add(sqe, read_end, 1 /* POLLIN */);
        sqe->user_data = user_data;
    }

  private:
    void init(unsigned entries, io_uring_params& params) {
        const int result = io_uring_queue_init_params(entries, &ring_, &params);
        live_ = result == 0;
        if (!live_) ADD_FAILURE() << "io_uring_queue_init_params: " << result;
    }

    io_uring ring_;
    bool live_ = false;
};

inline __kernel_timespec milliseconds(long long count) {
    return {.tv_sec = count / 1000, .tv_nsec = count % 1000 * 1'000'000};
}

}  // namespace ringside::test
