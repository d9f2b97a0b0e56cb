// Who waits in io_uring_enter(2), and for what: several threads with different counts, threads that wait while others
// submit or close, and each form of waiting on a ring whose work is deferred.
#include <errno.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "support/eventually.h"
#include "support/files.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

constexpr unsigned getevents = IORING_ENTER_GETEVENTS;
constexpr unsigned ext_arg = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
constexpr unsigned deferred = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;

Sqe nop(uint64_t data) { return sqe::nop().data(data); }

// Waits with a limit; returns what enter does.
int wait_for(RawRing& ring, unsigned count, int64_t limit_ms, unsigned more_flags = 0) {
    const __kernel_timespec limit = milliseconds_of(limit_ms);
    io_uring_getevents_arg arg = {};
    arg.ts = address_of(&limit);
    return ring.enter(0, count, ext_arg | more_flags, &arg, sizeof(arg));
}

TEST(Waiters, of_different_counts_end_each_at_its_own) {
    RawRing ring(16);
    constexpr unsigned most = 4;
    std::atomic<unsigned> ended[most + 1] = {};
    std::vector<std::thread> threads;
    for (unsigned count = 1; count <= most; ++count) {
        threads.emplace_back([&ring, &ended, count] {
            EXPECT_THAT(wait_for(ring, count, patience_ms), Gives(0));
            EXPECT_GE(ring.ready(), count);
            ended[count] = 1;
        });
    }
    sleep_ms(10);
    for (unsigned count = 1; count <= most; ++count) {
        EXPECT_EQ(ended[count], 0u);
        EXPECT_THAT(ring.submit(nop(count)), Gives(1));
        // The kernel wakes them in the order in which they came and stops at the first that is not satisfied, so that
        // one behind it may sleep on. Only when there is enough for all of them it is sure that each is woken.
        if (provider_under_test() == provider::Kind::kernel && count < most) continue;
        EXPECT_TRUE(eventually([&] { return ended[count] == 1; })) << "the one that waits for " << count;
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_THAT(ring.reap(), SizeIs(most));
}

TEST(Waiters, with_different_limits_end_each_at_its_own) {
    RawRing ring;
    std::vector<std::thread> threads;
    for (const int64_t limit_ms : {5, 20, 40, 60}) {
        threads.emplace_back([&ring, limit_ms] {
            const Stopwatch watch;
            EXPECT_THAT(wait_for(ring, 1, limit_ms), Gives(-ETIME));
            EXPECT_GE(watch.elapsed_ms(), limit_ms - 1);
            EXPECT_LT(watch.elapsed_ms(), limit_ms + patience_ms / 2);
        });
    }
    for (std::thread& thread : threads) thread.join();
}

TEST(Waiters, go_on_when_the_first_of_them_leaves) {
    // Whichever of them looks after the ring's events, the others must not sleep through what happens when it has gone.
    RawRing ring;
    const Pipe pipe;
    char byte;
    EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &byte, 1).data(1)), Gives(1));
    std::thread short_one([&] { EXPECT_THAT(wait_for(ring, 1, 20), Gives(-ETIME)); });
    sleep_ms(5);
    std::thread long_one([&] { EXPECT_THAT(wait_for(ring, 1, patience_ms), Gives(0)); });
    short_one.join();
    EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
    const Stopwatch watch;
    long_one.join();
    EXPECT_LT(watch.elapsed_ms(), patience_ms / 2);
    EXPECT_THAT(ring.reap(), ElementsAre(Completes(1, 1)));
}

TEST(Waiters, are_woken_by_what_another_thread_submits) {
    RawRing ring(16);
    const Pipe pipe;
    char bytes[8];
    for (int round = 0; round < 50; ++round) {
        std::thread waiter([&] { EXPECT_THAT(wait_for(ring, 3, patience_ms), Gives(0)); });
        const __kernel_timespec time = {0, 200'000};
        // One that waits, one that is done at once and one that takes a worker. A timeout would end the wait by itself.
        EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, bytes, 1).data(1)), Gives(1));
        EXPECT_THAT(ring.submit(nop(2)), Gives(1));
        EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, bytes + 1, 1).data(3).flag(IOSQE_ASYNC)), Gives(1));
        nanosleep(reinterpret_cast<const timespec*>(&time), nullptr);
        EXPECT_EQ(write(pipe.write_end, "xx", 2), 2);
        waiter.join();
        ASSERT_THAT(ring.reap(), SizeIs(3));
    }
}

TEST(Waiters, all_see_a_timeout_that_ends_waits) {
    RawRing ring;
    std::vector<std::thread> threads;
    for (int count = 0; count < 3; ++count) {
        threads.emplace_back([&] { EXPECT_THAT(ring.enter(0, 5, getevents), Gives(0)); });
    }
    sleep_ms(20);
    const __kernel_timespec time = milliseconds_of(5);
    EXPECT_THAT(ring.submit(sqe::timeout(&time).data(1)), Gives(1));
    for (std::thread& thread : threads) thread.join();
    EXPECT_THAT(ring.reap(), ElementsAre(Completes(1, -ETIME)));
}

// One that ended without a completion left them asleep.
TEST(Waiters, all_see_a_timeout_that_counts_and_is_silent) {
    RawRing ring;
    std::vector<std::thread> threads;
    for (int count = 0; count < 3; ++count) {
        threads.emplace_back([&] { EXPECT_THAT(wait_for(ring, 5, patience_ms), Gives(0)); });
    }
    sleep_ms(20);
    const __kernel_timespec time = milliseconds_of(2 * patience_ms);
    const Stopwatch watch;
    EXPECT_THAT(ring.submit(sqe::timeout(&time, 1, IORING_TIMEOUT_ETIME_SUCCESS).flag(IOSQE_CQE_SKIP_SUCCESS)),
                Gives(1));
    EXPECT_THAT(ring.submit(nop(1)), Gives(1));
    for (std::thread& thread : threads) thread.join();
    EXPECT_LT(watch.elapsed_ms(), patience_ms / 2);
    EXPECT_THAT(ring.reap(), ElementsAre(Completes(1, 0)));
}

TEST(Waiters, one_of_several_is_interrupted_by_its_signal) {
    RawRing ring;
    struct sigaction action = {}, before;
    action.sa_handler = [](int) {};
    sigaction(SIGUSR1, &action, &before);
    std::atomic<bool> interrupted = false;
    std::thread patient([&] { EXPECT_THAT(wait_for(ring, 1, patience_ms), Gives(0)); });
    std::thread disturbed([&] {
        EXPECT_THAT(wait_for(ring, 1, patience_ms), Gives(-EINTR));
        interrupted = true;
    });
    while (!interrupted) {
        pthread_kill(disturbed.native_handle(), SIGUSR1);
        sleep_ms(2);
    }
    disturbed.join();
    EXPECT_THAT(ring.submit(nop(1)), Gives(1));
    patient.join();
    sigaction(SIGUSR1, &before, nullptr);
    EXPECT_THAT(ring.reap(), SizeIs(1));
}

TEST(Waiters, do_not_hold_up_the_close_of_their_ring) {
    // The kernel keeps the ring for as long as somebody is inside, who waits on; the engine promises that nothing of
    // the ring goes on after close, and sends the waiter away. (docs/differences.md)
    const int answer = provider_under_test() == provider::Kind::kernel ? -ETIME : 0;
    constexpr int64_t limit_ms = 500;
    for (int round = 0; round < 3; ++round) {
        RawRing ring;
        const Pipe pipe;
        char byte;
        EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &byte, 1).data(1)), Gives(1));
        std::atomic<bool> entering = false;
        std::thread waiter([&, fd = ring.fd()] {
            const __kernel_timespec limit = milliseconds_of(limit_ms);
            io_uring_getevents_arg arg = {};
            arg.ts = address_of(&limit);
            entering = true;
            EXPECT_THAT(provider::enter(provider_under_test(), fd, 0, 1, ext_arg, &arg, sizeof(arg)), Gives(answer));
        });
        while (!entering) std::this_thread::yield();
        sleep_ms(20);
        const Stopwatch watch;
        EXPECT_EQ(ring.close(), 0);
        EXPECT_LT(watch.elapsed_ms(), limit_ms - 100);
        waiter.join();
    }
}

// --- Every form of waiting, on rings of both kinds -------------------------------------------------------------------

class WaitForms : public testing::TestWithParam<unsigned> {
  protected:
    RawRing ring{16, GetParam()};
    const Pipe pipe;
    char bytes[4] = {};

    // So many reads that wait, and a thread that makes them ready one by one.
    void read_slowly(unsigned count) {
        for (uint64_t number = 0; number < count; ++number) {
            EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &bytes[number], 1).data(number)), Gives(1));
        }
        writer_ = std::thread([this, count] {
            for (unsigned written = 0; written < count; ++written) {
                sleep_ms(5);
                EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
            }
        });
    }
    void TearDown() override {
        if (writer_.joinable()) writer_.join();
    }

  private:
    std::thread writer_;
};

INSTANTIATE_TEST_SUITE_P(Modes, WaitForms, testing::Values(0U, unsigned{IORING_SETUP_COOP_TASKRUN}, deferred),
                         [](const testing::TestParamInfo<unsigned>& mode) -> std::string {
                             if (mode.param == 0) return "plain";
                             return mode.param == deferred ? "deferred" : "cooperative";
                         });

TEST_P(WaitForms, for_one) {
    read_slowly(3);
    EXPECT_THAT(ring.enter(0, 1, getevents), Gives(0));
    EXPECT_GE(ring.ready(), 1u);
}

TEST_P(WaitForms, for_all) {
    read_slowly(3);
    EXPECT_THAT(ring.enter(0, 3, getevents), Gives(0));
    EXPECT_EQ(ring.ready(), 3u);
}

TEST_P(WaitForms, for_more_than_come) {
    read_slowly(2);
    // That there is something to reap outweighs that the time was over.
    for (int64_t limit_ms = 60; ring.ready() < 2 && limit_ms <= patience_ms; limit_ms *= 2) {
        const Stopwatch watch;
        const int result = wait_for(ring, 3, limit_ms);
        EXPECT_GE(watch.elapsed_ms(), limit_ms - 1);
        EXPECT_THAT(result, Gives(ring.ready() > 0 ? 0 : -ETIME));
    }
    EXPECT_EQ(ring.ready(), 2u);
}

TEST_P(WaitForms, for_those_that_are_there_already) {
    EXPECT_THAT(ring.submit(nop(1), nop(2)), Gives(2));
    EXPECT_THAT(ring.enter(0, 2, getevents), Gives(0));
    EXPECT_THAT(ring.enter(0, 2, getevents), Gives(0));
    EXPECT_THAT(ring.reap(), SizeIs(2));
}

TEST_P(WaitForms, until_a_moment) {
    read_slowly(1);
    const auto wait_until = [&](int64_t moment) {
        const __kernel_timespec time = {moment / 1'000'000'000, moment % 1'000'000'000};
        io_uring_getevents_arg arg = {};
        arg.ts = address_of(&time);
        return ring.enter(0, 1, ext_arg | IORING_ENTER_ABS_TIMER, &arg, sizeof(arg));
    };
    const int64_t far_moment = now_ns() + 30'000'000'000;
    EXPECT_THAT(wait_until(far_moment), Gives(0));
    EXPECT_LT(now_ns(), far_moment);
    EXPECT_THAT(ring.reap(), SizeIs(1));
    const int64_t near_moment = now_ns() + 20'000'000;
    EXPECT_THAT(wait_until(near_moment), Gives(-ETIME));
    EXPECT_GE(now_ns(), near_moment);
}

TEST_P(WaitForms, at_least_so_long_for_several) {
    read_slowly(2);
    const __kernel_timespec limit = milliseconds_of(patience_ms);
    io_uring_getevents_arg arg = {};
    arg.ts = address_of(&limit);
    arg.min_wait_usec = 40'000;
    const Stopwatch watch;
    EXPECT_THAT(ring.enter(0, 4, ext_arg, &arg, sizeof(arg)), Gives(0));
    EXPECT_GE(watch.elapsed_ms(), 39);
    EXPECT_LT(watch.elapsed_ms(), patience_ms / 2);
    EXPECT_GE(ring.ready(), 1u);
    EXPECT_EQ(ring.wait(2).size(), 2u);
}

TEST_P(WaitForms, at_least_so_long_ends_early_when_all_are_there) {
    EXPECT_THAT(ring.submit(nop(1), nop(2)), Gives(2));
    io_uring_getevents_arg arg = {};
    arg.min_wait_usec = 5'000'000;
    const Stopwatch watch;
    EXPECT_THAT(ring.enter(0, 2, ext_arg, &arg, sizeof(arg)), Gives(0));
    EXPECT_LT(watch.elapsed_ms(), 2500);
}

TEST_P(WaitForms, at_least_so_long_goes_on_for_the_first_when_there_is_none) {
    const __kernel_timespec limit = milliseconds_of(patience_ms);
    io_uring_getevents_arg arg = {};
    arg.ts = address_of(&limit);
    arg.min_wait_usec = 1000;
    EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, bytes, 1).data(1)), Gives(1));
    std::thread writer([&] {
        sleep_ms(20);
        EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
    });
    EXPECT_THAT(ring.enter(0, 3, ext_arg, &arg, sizeof(arg)), Gives(0));
    writer.join();
    EXPECT_THAT(ring.reap(), ElementsAre(Completes(1, 1)));
}

TEST_P(WaitForms, at_least_so_long_without_a_limit_is_over_then) {
    io_uring_getevents_arg arg = {};
    arg.min_wait_usec = 20'000;
    const Stopwatch watch;
    EXPECT_THAT(ring.enter(0, 3, ext_arg, &arg, sizeof(arg)), Gives(-ETIME));
    EXPECT_GE(watch.elapsed_ms(), 19);
    // A limit that never comes is none.
    const __kernel_timespec endless = {INT64_MAX, 0};
    arg.ts = address_of(&endless);
    EXPECT_THAT(ring.enter(0, 3, ext_arg, &arg, sizeof(arg)), Gives(-ETIME));
    EXPECT_THAT(ring.enter(0, 3, ext_arg | IORING_ENTER_ABS_TIMER, &arg, sizeof(arg)), Gives(-ETIME));
}

TEST_P(WaitForms, at_least_longer_than_the_limit_goes_beyond_the_limit) {
    const __kernel_timespec limit = milliseconds_of(5);
    io_uring_getevents_arg arg = {};
    arg.ts = address_of(&limit);
    arg.min_wait_usec = 50'000;
    const Stopwatch watch;
    EXPECT_THAT(ring.enter(0, 1, ext_arg, &arg, sizeof(arg)), Gives(-ETIME));
    EXPECT_GE(watch.elapsed_ms(), 49);
    EXPECT_LT(watch.elapsed_ms(), patience_ms / 2);
}

TEST_P(WaitForms, without_counting_as_waiting_for_a_disk) {
    // IORING_ENTER_NO_IOWAIT changes how the scheduler accounts for the wait, nothing else.
    read_slowly(2);
    EXPECT_THAT(ring.enter(0, 2, getevents | IORING_ENTER_NO_IOWAIT), Gives(0));
    EXPECT_THAT(ring.reap(), SizeIs(2));
    EXPECT_THAT(wait_for(ring, 1, 5, IORING_ENTER_NO_IOWAIT), Gives(-ETIME));
}

TEST_P(WaitForms, under_a_mask_of_signals) {
    struct sigaction action = {}, before;
    static std::atomic<int> delivered;
    delivered = 0;
    action.sa_handler = [](int) { ++delivered; };
    sigaction(SIGUSR1, &action, &before);
    sigset_t blocked, old_mask;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &blocked, &old_mask);
    pthread_kill(pthread_self(), SIGUSR1);

    // Blocked while waiting as outside; then let in by the mask of the wait.
    EXPECT_THAT(wait_for(ring, 1, 5), Gives(-ETIME));
    EXPECT_EQ(delivered, 0);
    sigset_t none;
    sigemptyset(&none);
    EXPECT_THAT(ring.enter(0, 1, getevents, &none, 8), Gives(-EINTR));
    EXPECT_EQ(delivered, 1);
    // What can be reaped outweighs a signal.
    pthread_kill(pthread_self(), SIGUSR1);
    EXPECT_THAT(ring.submit(nop(1)), Gives(1));
    EXPECT_THAT(ring.enter(0, 1, getevents, &none, 8), Gives(0));

    pthread_sigmask(SIG_SETMASK, &old_mask, nullptr);
    sigaction(SIGUSR1, &before, nullptr);
}

}  // namespace
}  // namespace ringside::test
