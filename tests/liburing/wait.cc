// Waits with timeouts and signal masks, each by both ways: the ring's own, and the timeout request that is submitted
// where a ring does not have IORING_FEAT_EXT_ARG (which the second run of each test takes away).
#include <errno.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "liburing/ring.h"
#include "support/eventually.h"
#include "support/files.h"

namespace ringside::test {
namespace {

class Wait : public testing::TestWithParam<bool> {
  protected:
    Wait() {
        if (!GetParam()) ring_->features &= ~(IORING_FEAT_EXT_ARG | IORING_FEAT_MIN_TIMEOUT);
    }
    bool by_argument() const { return GetParam(); }

    Uring ring_{8};
    Pipe pipe_;
    io_uring_cqe* cqe_ = nullptr;
};

INSTANTIATE_TEST_SUITE_P(by, Wait, testing::Values(true, false),
                         [](const auto& way) { return way.param ? "argument" : "timeout_request"; });

TEST_P(Wait, ends_with_the_timeout_if_nothing_completes) {
    __kernel_timespec limit = milliseconds(30);
    const Stopwatch watch;
    EXPECT_EQ(io_uring_wait_cqe_timeout(ring_.get(), &cqe_, &limit), -ETIME);
    EXPECT_GE(watch.elapsed_ms(), 29);
    EXPECT_EQ(cqe_, nullptr);
    EXPECT_TRUE(ring_.reap().empty());
}

TEST_P(Wait, with_a_timeout_takes_what_is_there) {
    ring_.run_nops(2, 5);
    __kernel_timespec limit = milliseconds(10'000);
    const Stopwatch watch;
    ASSERT_EQ(io_uring_wait_cqe_timeout(ring_.get(), &cqe_, &limit), 0);
    EXPECT_LT(watch.elapsed_ms(), 5000);
    EXPECT_EQ(cqe_->user_data, 5u);
}

TEST_P(Wait, ends_with_the_completion_that_it_waits_for) {
    ring_.await_readable(pipe_.read_end, 7);
    ASSERT_EQ(io_uring_submit(ring_.get()), 1);
    std::thread writer([&] {
        sleep_ms(20);
        EXPECT_EQ(write(pipe_.write_end, "x", 1), 1);
    });
    __kernel_timespec limit = milliseconds(10'000);
    EXPECT_EQ(io_uring_wait_cqe_timeout(ring_.get(), &cqe_, &limit), 0);
    writer.join();
    ASSERT_NE(cqe_, nullptr);
    EXPECT_EQ(cqe_->user_data, 7u);
    EXPECT_EQ(cqe_->res, 1);
}

TEST_P(Wait, for_several_ends_with_the_timeout_if_only_some_complete) {
    ring_.run_nops(2, 1);
    __kernel_timespec limit = milliseconds(30);
    const Stopwatch watch;
    const int result = io_uring_wait_cqes(ring_.get(), &cqe_, 4, &limit, nullptr);
    EXPECT_GE(watch.elapsed_ms(), 29);
    // Too few are better than none.
    EXPECT_EQ(result, 0);
    ASSERT_NE(cqe_, nullptr);
    EXPECT_EQ(cqe_->user_data, 1u);
    EXPECT_EQ(ring_.reap(), (std::vector<__u64>{1, 2}));
}

TEST_P(Wait, for_several_waits_for_all_of_them) {
    ring_.await_readable(pipe_.read_end, 1);
    ring_.await_readable(pipe_.read_end, 2);
    ring_.await_readable(pipe_.read_end, 3);
    ASSERT_EQ(io_uring_submit(ring_.get()), 3);
    std::thread writer([&] {
        sleep_ms(20);
        EXPECT_EQ(write(pipe_.write_end, "x", 1), 1);
    });
    __kernel_timespec limit = milliseconds(10'000);
    EXPECT_EQ(io_uring_wait_cqes(ring_.get(), &cqe_, 3, &limit, nullptr), 0);
    writer.join();
    EXPECT_GE(io_uring_cq_ready(ring_.get()), 3u);
}

TEST_P(Wait, after_submitting_tells_how_many_were_taken) {
    for (__u64 i = 0; i < 3; i++) ASSERT_TRUE(ring_.add_nop(i));
    __kernel_timespec limit = milliseconds(10'000);
    const int taken = io_uring_submit_and_wait_timeout(ring_.get(), &cqe_, 3, &limit, nullptr);
    EXPECT_EQ(taken, 3);
    ASSERT_NE(cqe_, nullptr);
    EXPECT_EQ(cqe_->user_data, 0u);
    EXPECT_GE(io_uring_cq_ready(ring_.get()), 3u);
}

TEST_P(Wait, after_submitting_what_does_not_complete_tells_the_timeout_by_a_null_completion) {
    ring_.await_readable(pipe_.read_end, 1);
    __kernel_timespec limit = milliseconds(30);
    const Stopwatch watch;
    const int taken = io_uring_submit_and_wait_timeout(ring_.get(), &cqe_, 1, &limit, nullptr);
    EXPECT_GE(watch.elapsed_ms(), 29);
    EXPECT_EQ(taken, 1);
    EXPECT_EQ(cqe_, nullptr);
}

TEST_P(Wait, with_nothing_to_submit_returns_the_timeout) {
    __kernel_timespec limit = milliseconds(20);
    const int result = io_uring_submit_and_wait_timeout(ring_.get(), &cqe_, 1, &limit, nullptr);
    EXPECT_EQ(result, -ETIME);
    EXPECT_EQ(cqe_, nullptr);
}

TEST_P(Wait, without_a_timeout_submits_and_waits) {
    ASSERT_TRUE(ring_.add_nop(4));
    EXPECT_EQ(io_uring_submit_and_wait_timeout(ring_.get(), &cqe_, 1, nullptr, nullptr), 1);
    ASSERT_NE(cqe_, nullptr);
    EXPECT_EQ(cqe_->user_data, 4u);
}

TEST_P(Wait, with_a_full_queue_finds_room_for_its_own_timeout) {
    for (__u64 i = 0; i < 8; i++) ASSERT_TRUE(ring_.add_nop(i));
    __kernel_timespec limit = milliseconds(10'000);
    if (by_argument()) {
        ASSERT_EQ(io_uring_submit(ring_.get()), 8);
    }
    EXPECT_EQ(io_uring_wait_cqes(ring_.get(), &cqe_, 8, &limit, nullptr), 0);
    EXPECT_GE(io_uring_cq_ready(ring_.get()), 8u);
}

std::atomic<int> signals_seen{0};

void count_signal(int) { signals_seen++; }

// Sends SIGUSR1 to the waiting thread again and again until told to stop.
class Nagger {
  public:
    Nagger() : target_(pthread_self()) {
        struct sigaction action = {};
        action.sa_handler = count_signal;
        sigaction(SIGUSR1, &action, &old_);
        signals_seen = 0;
        thread_ = std::thread([this] {
            while (!stop_) {
                sleep_ms(5);
                pthread_kill(target_, SIGUSR1);
            }
        });
    }
    ~Nagger() {
        stop_ = true;
        thread_.join();
        sigaction(SIGUSR1, &old_, nullptr);
    }

  private:
    pthread_t target_;
    std::atomic<bool> stop_{false};
    struct sigaction old_;
    std::thread thread_;
};

TEST_P(Wait, is_ended_by_a_signal) {
    const Nagger nagger;
    __kernel_timespec limit = milliseconds(10'000);
    EXPECT_EQ(io_uring_wait_cqes(ring_.get(), &cqe_, 1, &limit, nullptr), -EINTR);
    EXPECT_GT(signals_seen, 0);
}

TEST_P(Wait, is_not_ended_by_a_signal_that_its_mask_holds_back) {
    const Nagger nagger;
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1);
    __kernel_timespec limit = milliseconds(60);
    const Stopwatch watch;
    EXPECT_EQ(io_uring_wait_cqes(ring_.get(), &cqe_, 1, &limit, &mask), -ETIME);
    EXPECT_GE(watch.elapsed_ms(), 59);
}

TEST_P(Wait, lets_a_blocked_signal_in_for_as_long_as_its_mask_allows_it) {
    sigset_t blocked, before;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    ASSERT_EQ(pthread_sigmask(SIG_BLOCK, &blocked, &before), 0);
    const Nagger nagger;
    sleep_ms(20);
    EXPECT_EQ(signals_seen, 0);
    sigset_t open;
    sigemptyset(&open);
    __kernel_timespec limit = milliseconds(10'000);
    EXPECT_EQ(io_uring_wait_cqes(ring_.get(), &cqe_, 1, &limit, &open), -EINTR);
    EXPECT_GT(signals_seen, 0);

    sigset_t after;
    ASSERT_EQ(pthread_sigmask(SIG_SETMASK, &before, &after), 0);
    EXPECT_TRUE(sigismember(&after, SIGUSR1)) << "the mask is as it was before the wait";
}

TEST(WaitCqe, returns_what_is_there_without_waiting) {
    Uring ring(8);
    ring.run_nops(1, 3);
    io_uring_cqe* cqe;
    EXPECT_EQ(io_uring_wait_cqe(ring.get(), &cqe), 0);
    EXPECT_EQ(cqe->user_data, 3u);
}

TEST(WaitCqeNr, waits_for_so_many) {
    Uring ring(8);
    ring.run_nops(3, 3);
    io_uring_cqe* cqe;
    EXPECT_EQ(io_uring_wait_cqe_nr(ring.get(), &cqe, 3), 0);
    EXPECT_EQ(cqe->user_data, 3u);
}

TEST(WaitMinTimeout, is_content_with_one_completion_after_the_minimum) {
    Uring ring(8);
    ring.run_nops(1, 3);
    io_uring_cqe* cqe = nullptr;
    __kernel_timespec limit = milliseconds(10'000);
    const Stopwatch watch;
    EXPECT_EQ(io_uring_wait_cqes_min_timeout(ring.get(), &cqe, 4, &limit, 20'000, nullptr), 0);
    EXPECT_GE(watch.elapsed_ms(), 19);
    EXPECT_LT(watch.elapsed_ms(), 5000);
    ASSERT_NE(cqe, nullptr);
    EXPECT_EQ(cqe->user_data, 3u);
}

TEST(WaitMinTimeout, submits_first_if_told_to) {
    Uring ring(8);
    ASSERT_TRUE(ring.add_nop(3));
    io_uring_cqe* cqe = nullptr;
    __kernel_timespec limit = milliseconds(10'000);
    EXPECT_EQ(io_uring_submit_and_wait_min_timeout(ring.get(), &cqe, 4, &limit, 20'000, nullptr), 1);
    ASSERT_NE(cqe, nullptr);
    EXPECT_EQ(cqe->user_data, 3u);
}

// It returned after the minimum, with a null completion. Programs written for upstream's library use that.
TEST(WaitMinTimeout, without_a_limit_submits_and_waits_for_all) {
    Uring ring(8);
    ASSERT_TRUE(ring.add_nop(3));
    __kernel_timespec later = milliseconds(60);
    io_uring_sqe* sqe = io_uring_get_sqe(ring.get());
    ASSERT_NE(sqe, nullptr);
    io_uring_prep_timeout(sqe, &later, 0, 0);
    const Stopwatch watch;
    io_uring_cqe* cqe = nullptr;
    EXPECT_EQ(io_uring_submit_and_wait_min_timeout(ring.get(), &cqe, 2, nullptr, 10'000, nullptr), 2);
    EXPECT_GE(watch.elapsed_ms(), 55);
    ASSERT_NE(cqe, nullptr);
    EXPECT_EQ(cqe->user_data, 3u);
    EXPECT_EQ(io_uring_cq_ready(ring.get()), 2u);
}

// The other call gives the kernel the minimum, to which that is the limit then.
TEST(WaitMinTimeout, without_a_limit_ends_with_the_minimum_if_nothing_is_submitted) {
    Uring ring(8);
    io_uring_cqe* cqe = nullptr;
    EXPECT_EQ(io_uring_wait_cqes_min_timeout(ring.get(), &cqe, 1, nullptr, 10'000, nullptr), -ETIME);
    EXPECT_EQ(cqe, nullptr);
}

TEST(WaitMinTimeout, is_refused_where_the_ring_does_not_have_it) {
    Uring ring(8);
    ring->features &= ~IORING_FEAT_MIN_TIMEOUT;
    io_uring_cqe* cqe;
    __kernel_timespec limit = milliseconds(10);
    EXPECT_EQ(io_uring_wait_cqes_min_timeout(ring.get(), &cqe, 1, &limit, 1, nullptr), -EINVAL);
    EXPECT_EQ(io_uring_submit_and_wait_min_timeout(ring.get(), &cqe, 1, &limit, 1, nullptr), -EINVAL);
}

TEST(Enter, returns_the_error_and_leaves_errno_alone) {
    errno = 12345;
    EXPECT_EQ(io_uring_enter(~0U, 0, 0, 0, nullptr), -EBADF);
    EXPECT_EQ(io_uring_register(1'000'000, IORING_REGISTER_PROBE, nullptr, 0), -EBADF);
    io_uring_params params = {};
    EXPECT_EQ(io_uring_setup(0, &params), -EINVAL);
    EXPECT_EQ(errno, 12345);
}

}  // namespace
}  // namespace ringside::test
