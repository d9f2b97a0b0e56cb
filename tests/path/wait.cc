// io_uring_enter(2), the waiting half: how many completions, how long, and which signals.
#include <errno.h>
#include <gtest/gtest.h>
#include <limits.h>
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

// The size of a signal mask as the kernel counts: a bit for each of 64 signals. glibc's sigset_t is longer.
constexpr size_t sigmask_size = 8;

io_uring_getevents_arg timeout_arg(const __kernel_timespec& time) {
    io_uring_getevents_arg arg = {};
    arg.ts = address_of(&time);
    return arg;
}

int enter_ext(RawRing& ring, unsigned to_submit, unsigned min_complete, const io_uring_getevents_arg& arg,
              unsigned more_flags = 0) {
    return ring.enter(to_submit, min_complete, ext_arg | more_flags, &arg, sizeof(arg));
}

// Counts SIGUSR1 while it lives.
class SignalCounter {
  public:
    explicit SignalCounter(int flags = 0) {
        count = 0;
        struct sigaction action = {};
        action.sa_handler = [](int) { ++count; };
        action.sa_flags = flags;
        sigaction(SIGUSR1, &action, &before_);
    }
    ~SignalCounter() { sigaction(SIGUSR1, &before_, nullptr); }
    static inline std::atomic<int> count;

  private:
    struct sigaction before_;
};

// Sends SIGUSR1 to the thread that made it, again and again until it dies: a signal that comes a moment before the
// thread waits must not be the only one.
class SignalSender {
  public:
    SignalSender() : target_(pthread_self()), thread_([this] { run(); }) {}
    ~SignalSender() {
        stop_ = true;
        thread_.join();
    }

  private:
    void run() {
        while (!stop_) {
            sleep_ms(10);
            pthread_kill(target_, SIGUSR1);
        }
    }
    const pthread_t target_;
    std::atomic<bool> stop_ = false;
    std::thread thread_;
};

// Blocks SIGUSR1 in this thread while it lives.
class SignalBlocked {
  public:
    SignalBlocked() {
        sigset_t blocked;
        sigemptyset(&blocked);
        sigaddset(&blocked, SIGUSR1);
        pthread_sigmask(SIG_BLOCK, &blocked, &before_);
    }
    ~SignalBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

  private:
    sigset_t before_;
};

sigset_t mask_without_usr1() {
    sigset_t mask;
    sigemptyset(&mask);
    return mask;
}
sigset_t mask_with_usr1() {
    sigset_t mask = mask_without_usr1();
    sigaddset(&mask, SIGUSR1);
    return mask;
}

bool usr1_is_blocked() {
    sigset_t now;
    pthread_sigmask(SIG_SETMASK, nullptr, &now);
    return sigismember(&now, SIGUSR1) == 1;
}

TEST(Wait, for_nothing_returns_at_once) {
    RawRing ring;
    EXPECT_THAT(ring.enter(0, 0, getevents), Gives(0));
}

TEST(Wait, returns_at_once_when_there_are_enough_completions) {
    RawRing ring;
    EXPECT_THAT(ring.submit(sqe::nop(), sqe::nop()), Gives(2));
    EXPECT_THAT(ring.enter(0, 2, getevents), Gives(0));
    EXPECT_THAT(ring.enter(0, 1, getevents), Gives(0));
    EXPECT_THAT(ring.reap(), SizeIs(2));
}

TEST(Wait, without_getevents_is_none) {
    RawRing ring;
    EXPECT_THAT(ring.enter(0, 5), Gives(0));
}

TEST(Wait, submits_and_waits_in_one_call) {
    RawRing ring;
    const __kernel_timespec time = milliseconds_of(20);
    ring.push(sqe::timeout(&time).data(1));
    ring.push(sqe::nop().data(2));
    EXPECT_THAT(ring.enter(2, 2, getevents), Gives(2));
    EXPECT_THAT(ring.reap(), ElementsAre(Completes(2, 0), Completes(1, -ETIME)));
}

TEST(Wait, ends_when_another_thread_makes_the_request_ready) {
    RawRing ring;
    const Pipe pipe;
    char byte = 0;
    EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &byte, 1).data(4)), Gives(1));
    std::thread writer([&] {
        sleep_ms(20);
        EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
    });
    EXPECT_THAT(ring.enter(0, 1, getevents), Gives(0));
    writer.join();
    EXPECT_THAT(ring.reap(), ElementsAre(Completes(4, 1)));
    EXPECT_EQ(byte, 'x');
}

TEST(Wait, is_for_all_the_completions_asked_for) {
    RawRing ring;
    const Pipe pipe;
    char bytes[3];
    for (uint64_t number = 0; number < 3; ++number) {
        EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &bytes[number], 1).data(number)), Gives(1));
    }
    std::thread writer([&] {
        for (int count = 0; count < 3; ++count) {
            sleep_ms(5);
            EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
        }
    });
    EXPECT_THAT(ring.enter(0, 3, getevents), Gives(0));
    EXPECT_EQ(ring.ready(), 3u);
    writer.join();
}

TEST(Wait, is_ended_by_a_timeout_request_however_many_completions_it_was_for) {
    // A timeout wakes whoever waits on its ring: that is how programs bounded their waits before IORING_ENTER_EXT_ARG.
    for (const unsigned setup_flags : {0U, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN}) {
        SCOPED_TRACE(testing::Message() << "setup flags " << setup_flags);
        RawRing ring(8, setup_flags);
        const __kernel_timespec time = milliseconds_of(10);
        EXPECT_THAT(ring.submit(sqe::timeout(&time).data(1)), Gives(1));
        EXPECT_THAT(ring.enter(0, 3, getevents), Gives(0));
        EXPECT_THAT(ring.reap(), ElementsAre(Completes(1, -ETIME)));
    }
}

TEST(Wait, for_more_than_the_queue_holds_is_for_a_full_queue) {
    RawRing ring(1);
    EXPECT_THAT(ring.submit(sqe::nop()), Gives(1));
    EXPECT_THAT(ring.submit(sqe::nop()), Gives(1));
    EXPECT_THAT(ring.enter(0, UINT_MAX, getevents), Gives(0));
    EXPECT_THAT(ring.reap(), SizeIs(2));
}

TEST(Wait, ends_with_etime_when_its_time_is_over) {
    RawRing ring;
    const __kernel_timespec time = milliseconds_of(20);
    const Stopwatch watch;
    EXPECT_THAT(enter_ext(ring, 0, 1, timeout_arg(time)), Gives(-ETIME));
    EXPECT_GE(watch.elapsed_ms(), 19);
}

TEST(Wait, with_a_time_limit_returns_early_when_there_are_completions) {
    RawRing ring;
    const __kernel_timespec time = milliseconds_of(patience_ms);
    ring.push(sqe::nop().data(1));
    const Stopwatch watch;
    EXPECT_THAT(enter_ext(ring, 1, 1, timeout_arg(time)), Gives(1));
    EXPECT_LT(watch.elapsed_ms(), patience_ms / 2);
    EXPECT_THAT(ring.reap(), SizeIs(1));
}

TEST(Wait, returns_what_was_submitted_rather_than_that_the_time_was_over) {
    RawRing ring;
    const __kernel_timespec time = milliseconds_of(10);
    ring.push(sqe::nop().data(1));
    EXPECT_THAT(enter_ext(ring, 1, 2, timeout_arg(time)), Gives(1));
    EXPECT_THAT(ring.reap(), SizeIs(1));
}

TEST(Wait, of_no_time_or_less_only_looks) {
    RawRing ring;
    for (const __kernel_timespec& time :
         {__kernel_timespec{0, 0}, __kernel_timespec{-1, 0}, __kernel_timespec{0, -1}}) {
        EXPECT_THAT(enter_ext(ring, 0, 1, timeout_arg(time)), Gives(-ETIME)) << time.tv_sec << "s " << time.tv_nsec;
    }
}

// The moment is further away than time goes. The sum overflowed in the engine, which made it one in the past.
TEST(Wait, of_longer_than_time_goes_is_one_for_completions) {
    const int64_t most_seconds = INT64_MAX / 1'000'000'000;
    for (const __kernel_timespec& far : {__kernel_timespec{most_seconds - 1, 0}, __kernel_timespec{most_seconds, 0},
                                         __kernel_timespec{INT64_MAX, 0}, __kernel_timespec{1, INT64_MAX}}) {
        RawRing ring;
        const __kernel_timespec soon = milliseconds_of(5);
        ring.push(sqe::timeout(&soon).data(1));
        EXPECT_THAT(enter_ext(ring, 1, 1, timeout_arg(far)), Gives(1));
        EXPECT_EQ(ring.ready(), 1u) << far.tv_sec << ' ' << far.tv_nsec;
    }
}

TEST(Wait, until_a_moment_ends_at_that_moment) {
    RawRing ring;
    const int64_t moment = now_ns() + 20'000'000;
    const __kernel_timespec time = {moment / 1'000'000'000, moment % 1'000'000'000};
    EXPECT_THAT(enter_ext(ring, 0, 1, timeout_arg(time), IORING_ENTER_ABS_TIMER), Gives(-ETIME));
    EXPECT_GE(now_ns(), moment);
    // A moment that is past is over at once.
    EXPECT_THAT(enter_ext(ring, 0, 1, timeout_arg(time), IORING_ENTER_ABS_TIMER), Gives(-ETIME));
}

TEST(Wait, until_a_moment_on_the_clock_of_the_ring) {
    for (const clockid_t id : {CLOCK_MONOTONIC, CLOCK_BOOTTIME}) {
        RawRing ring;
        io_uring_clock_register clock = {};
        clock.clockid = static_cast<unsigned>(id);
        EXPECT_THAT(ring.register_call(IORING_REGISTER_CLOCK, &clock, 0), Gives(0));
        const int64_t moment = now_ns(id) + 20'000'000;
        const __kernel_timespec time = {moment / 1'000'000'000, moment % 1'000'000'000};
        EXPECT_THAT(enter_ext(ring, 0, 1, timeout_arg(time), IORING_ENTER_ABS_TIMER), Gives(-ETIME));
        EXPECT_GE(now_ns(id), moment);
        const __kernel_timespec relative = milliseconds_of(10);
        const Stopwatch watch;
        EXPECT_THAT(enter_ext(ring, 0, 1, timeout_arg(relative)), Gives(-ETIME));
        EXPECT_GE(watch.elapsed_ms(), 9);
    }
}

TEST(Wait, until_a_moment_that_cannot_be_goes_on) {
    // One before the beginning of time, and one beyond its end; a sum that goes beyond it is of the same kind.
    constexpr int64_t longest = INT64_MAX;
    constexpr unsigned absolute = IORING_ENTER_ABS_TIMER;
    const struct {
        __kernel_timespec time;
        unsigned flags;
    } never[] = {{{-1, 0}, absolute},        {{0, -1}, absolute},      {{-5, 999'999'999}, absolute},
                 {{longest, 0}, 0},          {{longest, 0}, absolute}, {{0, longest}, 0},
                 {{0, longest}, absolute},   {{-1, longest}, 0},       {{-1, longest}, absolute},
                 {{INT64_MIN, -1}, absolute}};
    for (const auto& [time, flags] : never) {
        SCOPED_TRACE(testing::Message() << time.tv_sec << " s " << time.tv_nsec << " ns, flags " << flags);
        RawRing ring;
        const __kernel_timespec end = milliseconds_of(5);
        ring.push(sqe::timeout(&end).data(1));
        EXPECT_THAT(enter_ext(ring, 1, 1, timeout_arg(time), flags), Gives(1));
        EXPECT_THAT(ring.reap(), ElementsAre(Completes(1, -ETIME)));
    }
}

TEST(Wait, flags_about_an_extended_argument_mean_nothing_without_one) {
    RawRing ring;
    const ForbiddenPage page;
    for (const unsigned flag : {IORING_ENTER_ABS_TIMER, IORING_ENTER_EXT_ARG_REG}) {
        EXPECT_THAT(ring.enter(0, 1, getevents | flag, page.address(), sigmask_size), Gives(-EFAULT));
        ring.push(sqe::nop().data(1));
        EXPECT_THAT(ring.enter(1, 1, getevents | flag), Gives(1));
        EXPECT_THAT(ring.reap(), SizeIs(1));
    }
}

TEST(Wait, without_a_time_and_without_a_mask_is_an_ordinary_one) {
    RawRing ring;
    ring.push(sqe::nop());
    EXPECT_THAT(enter_ext(ring, 1, 1, {}), Gives(1));
    EXPECT_THAT(ring.reap(), SizeIs(1));
}

TEST(Wait, refuses_an_extended_argument_of_another_size) {
    RawRing ring;
    const io_uring_getevents_arg arg = {};
    for (const size_t size : {size_t{0}, size_t{8}, sizeof(arg) - 1, sizeof(arg) + 1}) {
        EXPECT_THAT(ring.enter(0, 1, ext_arg, &arg, size), Gives(-EINVAL)) << size;
    }
}

TEST(Wait, answers_a_bad_extended_argument_with_efault) {
    RawRing ring;
    const ForbiddenPage page;
    const size_t size = sizeof(io_uring_getevents_arg);
    EXPECT_THAT(ring.enter(0, 1, ext_arg, nullptr, size), Gives(-EFAULT));
    EXPECT_THAT(ring.enter(0, 1, ext_arg, page.address(), size), Gives(-EFAULT));
    EXPECT_THAT(ring.enter(0, 1, ext_arg, page.brink(size - 8), size), Gives(-EFAULT));

    io_uring_getevents_arg arg = {};
    arg.ts = address_of(page.address());
    EXPECT_THAT(enter_ext(ring, 0, 1, arg), Gives(-EFAULT));
    arg.ts = address_of(page.brink(8));
    EXPECT_THAT(enter_ext(ring, 0, 1, arg), Gives(-EFAULT));

    arg = {};
    arg.sigmask = address_of(page.address());
    arg.sigmask_sz = sigmask_size;
    EXPECT_THAT(enter_ext(ring, 0, 1, arg), Gives(-EFAULT));
}

TEST(Wait, looks_at_a_bad_argument_only_after_submitting) {
    RawRing ring;
    ring.push(sqe::nop().data(1));
    EXPECT_THAT(ring.enter(1, 2, ext_arg, nullptr, sizeof(io_uring_getevents_arg)), Gives(1));
    EXPECT_THAT(ring.reap(), ElementsAre(Completes(1, 0)));
}

TEST(Wait, that_is_none_does_not_look_at_its_argument) {
    RawRing ring;
    const ForbiddenPage page;
    EXPECT_THAT(ring.enter(0, 1, IORING_ENTER_EXT_ARG, page.address(), 1), Gives(0));
    EXPECT_THAT(ring.enter(0, 1, 0, page.address(), 1), Gives(0));
}

TEST(Wait, refuses_a_signal_mask_of_another_size) {
    RawRing ring;
    EXPECT_THAT(ring.submit(sqe::nop(), sqe::nop()), Gives(2));
    const sigset_t mask = mask_without_usr1();
    EXPECT_THAT(ring.enter(0, 3, getevents, &mask, 4), Gives(-EINVAL));
    EXPECT_THAT(ring.enter(0, 3, getevents, &mask, sizeof(mask)), Gives(-EINVAL));
    io_uring_getevents_arg arg = {};
    arg.sigmask = address_of(&mask);
    arg.sigmask_sz = 4;
    EXPECT_THAT(enter_ext(ring, 0, 3, arg), Gives(-EINVAL));
    // Where there is nothing to wait for, the mask is not looked at.
    EXPECT_THAT(ring.enter(0, 2, getevents, &mask, 4), Gives(0));
}

TEST(Wait, answers_a_bad_signal_mask_with_efault) {
    RawRing ring;
    const ForbiddenPage page;
    EXPECT_THAT(ring.enter(0, 1, getevents, page.address(), sigmask_size), Gives(-EFAULT));
}

TEST(Wait, is_interrupted_by_a_signal) {
    RawRing ring;
    const SignalCounter counter;
    const SignalSender sender;
    EXPECT_THAT(ring.enter(0, 1, getevents), Gives(-EINTR));
    EXPECT_GE(counter.count, 1);
}

TEST(Wait, is_interrupted_even_if_the_handler_asks_for_a_restart) {
    RawRing ring;
    const SignalCounter counter(SA_RESTART);
    const SignalSender sender;
    EXPECT_THAT(ring.enter(0, 1, getevents), Gives(-EINTR));
}

TEST(Wait, returns_what_was_submitted_rather_than_that_it_was_interrupted) {
    RawRing ring;
    const SignalCounter counter;
    const SignalSender sender;
    ring.push(sqe::nop());
    EXPECT_THAT(ring.enter(1, 2, getevents), Gives(1));
    EXPECT_THAT(ring.reap(), SizeIs(1));
}

TEST(Wait, is_not_interrupted_by_a_signal_that_its_mask_blocks) {
    RawRing ring;
    const SignalCounter counter;
    const sigset_t mask = mask_with_usr1();
    const __kernel_timespec time = milliseconds_of(50);
    ring.push(sqe::timeout(&time).data(1));
    {
        const SignalSender sender;
        EXPECT_THAT(ring.enter(0, 0, 0), Gives(0));
        // Signals may well interrupt the submission's surroundings; the wait itself they must not.
        EXPECT_THAT(ring.enter(1, 1, getevents, &mask, sigmask_size), Gives(1));
        EXPECT_THAT(ring.reap(), ElementsAre(Completes(1, -ETIME)));
    }
    EXPECT_FALSE(usr1_is_blocked());
    // What was held back has been delivered since.
    EXPECT_GE(counter.count, 1);
}

TEST(Wait, lets_in_a_blocked_signal_through_its_mask_alone) {
    RawRing ring;
    const SignalCounter counter;
    const SignalBlocked blocked;
    pthread_kill(pthread_self(), SIGUSR1);
    EXPECT_EQ(counter.count, 0);
    const sigset_t mask = mask_without_usr1();
    EXPECT_THAT(ring.enter(0, 1, getevents, &mask, sigmask_size), Gives(-EINTR));
    EXPECT_EQ(counter.count, 1);
    EXPECT_TRUE(usr1_is_blocked());
}

TEST(Wait, takes_the_mask_in_an_extended_argument_too) {
    RawRing ring;
    const SignalCounter counter;
    const SignalBlocked blocked;
    pthread_kill(pthread_self(), SIGUSR1);
    const sigset_t mask = mask_without_usr1();
    const __kernel_timespec time = milliseconds_of(patience_ms);
    io_uring_getevents_arg arg = timeout_arg(time);
    arg.sigmask = address_of(&mask);
    arg.sigmask_sz = sigmask_size;
    EXPECT_THAT(enter_ext(ring, 0, 1, arg), Gives(-EINTR));
    EXPECT_EQ(counter.count, 1);
    EXPECT_TRUE(usr1_is_blocked());
}

TEST(Wait, restores_the_mask_when_completions_end_it) {
    RawRing ring;
    const SignalBlocked blocked;
    const sigset_t mask = mask_without_usr1();
    const __kernel_timespec time = milliseconds_of(5);
    ring.push(sqe::timeout(&time));
    EXPECT_THAT(ring.enter(1, 1, getevents, &mask, sigmask_size), Gives(1));
    EXPECT_TRUE(usr1_is_blocked());
    EXPECT_THAT(ring.reap(), SizeIs(1));
}

TEST(Wait, of_two_threads_both_end) {
    RawRing ring;
    const __kernel_timespec limit = milliseconds_of(patience_ms);
    const auto wait = [&] { EXPECT_THAT(enter_ext(ring, 0, 1, timeout_arg(limit)), Gives(0)); };
    std::thread one(wait);
    std::thread two(wait);
    sleep_ms(20);
    EXPECT_THAT(ring.submit(sqe::nop()), Gives(1));
    one.join();
    two.join();
    EXPECT_THAT(ring.reap(), SizeIs(1));
}

TEST(Wait, for_a_minimum_time_takes_fewer_completions_when_it_is_over) {
    RawRing ring;
    const __kernel_timespec limit = milliseconds_of(patience_ms);
    io_uring_getevents_arg arg = timeout_arg(limit);
    arg.min_wait_usec = 20'000;
    ring.push(sqe::nop().data(1));
    const Stopwatch watch;
    EXPECT_THAT(enter_ext(ring, 1, 4, arg), Gives(1));
    EXPECT_GE(watch.elapsed_ms(), 19);
    EXPECT_LT(watch.elapsed_ms(), patience_ms / 2);
    EXPECT_THAT(ring.reap(), SizeIs(1));
}

}  // namespace
}  // namespace ringside::test
