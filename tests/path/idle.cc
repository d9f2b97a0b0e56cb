// What a ring costs while it does nothing, and what is left of it afterwards: no thread, no descriptor, no mapping.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <optional>

#include "os/threads.h"
#include "support/eventually.h"
#include "support/files.h"
#include "support/process.h"
#include "support/raw_ring.h"
#include "support/sqe_files.h"

namespace ringside::test {
namespace {

// Time that this process has spent on a processor, all its threads together.
int64_t processor_time_ns() { return now_ns(CLOCK_PROCESS_CPUTIME_ID); }

TEST(Idle, ring_starts_no_thread) {
    const size_t before = count_threads();
    const RawRing ring(8);
    const RawRing another(8, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
    EXPECT_LE(count_threads(), before);
}

TEST(Idle, requests_that_complete_at_once_start_no_thread) {
    const size_t before = count_threads();
    RawRing ring;
    const Pipe pipe;
    char buffer[8];
    EXPECT_THAT(ring.run(sqe::nop()), Gives(0));
    EXPECT_THAT(ring.run(sqe::write(pipe.write_end, "content", 7)), Gives(7));
    EXPECT_THAT(ring.run(sqe::read(pipe.read_end, buffer, 7)), Gives(7));
    EXPECT_LE(count_threads(), before);
}

TEST(Idle, ring_with_requests_waiting_costs_no_processor_time) {
    RawRing ring;
    const Pipe pipe;
    char byte;
    const __kernel_timespec time = milliseconds_of(patience_ms);
    EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &byte, 1), sqe::timeout(&time)), Gives(2));
    sleep_ms(10);
    const int64_t before = processor_time_ns();
    sleep_ms(50);
    EXPECT_LT(processor_time_ns() - before, 10'000'000);
}

TEST(Idle, thousand_rings_opened_and_closed_leave_nothing_behind) {
    {
        const RawRing first(8);
    }
    const Holdings before = holdings();
    for (int count = 0; count < 1000; ++count) {
        const RawRing ring(8);
    }
    EXPECT_TRUE(holds_no_more_than(before));
}

TEST(Idle, hundred_rings_open_at_once_leave_nothing_behind) {
    const auto open_and_close_hundred = [] {
        const size_t threads = count_threads();
        std::array<std::optional<RawRing>, 100> rings;
        for (std::optional<RawRing>& ring : rings) ring.emplace(8);
        for (std::optional<RawRing>& ring : rings) EXPECT_THAT(ring->run(sqe::nop()), Gives(0));
        EXPECT_LE(count_threads(), threads);
    };
    // Once before it counts, for what the heap and the test keep for themselves.
    open_and_close_hundred();
    const Holdings before = holdings();
    open_and_close_hundred();
    EXPECT_TRUE(holds_no_more_than(before));
}

TEST(Idle, rings_closed_with_requests_waiting_leave_nothing_behind) {
    const Pipe pipe;
    const Ends ends = unix_pair(SOCK_STREAM);
    static char bytes[2];
    const __kernel_timespec time = milliseconds_of(patience_ms);
    const auto open_and_close = [&] {
        RawRing ring;
        EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &bytes[0], 1), sqe::poll_add(ends.far, POLLIN),
                                sqe::read(ends.far, &bytes[1], 1), sqe::timeout(&time)),
                    Gives(4));
    };
    // A hundred before it counts: the C library and the sanitizers keep memory of some threads that have been.
    for (int count = 0; count < 100; ++count) open_and_close();
    sleep_ms(20);
    const Holdings before = holdings();
    for (int count = 0; count < 100; ++count) open_and_close();
    EXPECT_TRUE(holds_no_more_than(before));
}

TEST(Idle, threads_end_with_the_last_ring) {
    const size_t before = count_threads();
    {
        RawRing ring;
        const Fd file = file_with("content");
        char buffer[8];
        EXPECT_THAT(ring.run(sqe::read(file, buffer, 7).flag(IOSQE_ASYNC)), Gives(7));
    }
    if (provider_under_test() == provider::Kind::kernel) {
        // The kernel keeps its workers with the thread that submitted and lets them go after seconds of idleness.
        EXPECT_LE(count_threads(), before + 1);
    } else {
        EXPECT_TRUE(eventually([&] { return count_threads() <= before; })) << count_threads();
    }
}

// The engine's threads stay for five seconds with nothing to do, as the kernel's do: for these tests for a moment.
struct ShortIdleTime {
    ShortIdleTime() { engine::set_idle_time(10); }
    ~ShortIdleTime() { engine::set_idle_time(5000); }
};

bool is_engine() { return provider_under_test() != provider::Kind::kernel; }

// Nobody joined a worker that had ended before the last ring was closed. A daemon with a burst of work now and then had
// 16 mappings more after each, until mmap() failed for it.
TEST(Idle, bursts_of_work_with_idle_times_between_them_leave_nothing_behind) {
    const ShortIdleTime short_idle_time;
    RawRing ring(64);
    const Fd file = file_with("content");
    // The engine's keeper and its helper stay as long as the ring.
    const size_t threads = count_threads() + 2;
    const auto burst = [&] {
        for (int count = 0; count < 16; ++count) ring.push(sqe::fsync(file).flag(IOSQE_ASYNC));
        ASSERT_EQ(ring.submit_pushed(16), 16);
        ASSERT_EQ(ring.wait(16).size(), 16u);
        if (is_engine()) {
            EXPECT_TRUE(eventually([&] { return count_threads() <= threads; }));
        }
    };
    // Some before it counts: the C library keeps stacks of threads that have been.
    for (int count = 0; count < 10; ++count) burst();
    const Holdings before = holdings();
    for (int count = 0; count < 50; ++count) burst();
    const Holdings after = holdings();
    EXPECT_LE(after.mappings, before.mappings + 8);
    EXPECT_LE(after.threads, before.threads);
    EXPECT_LE(after.fds, before.fds);
}

TEST(Idle, waits_for_a_futex_with_idle_times_between_them_leave_nothing_behind) {
    const ShortIdleTime short_idle_time;
    RawRing ring(64);
    const size_t threads = count_threads();
    static uint32_t word;
    word = 0;
    const auto burst = [&] {
        for (int count = 0; count < 8; ++count) ring.push(sqe::futex_wait(&word, 0));
        ASSERT_EQ(ring.submit_pushed(8), 8);
        ASSERT_THAT(ring.submit(sqe::futex_wake(&word, 8).data(2)), Gives(1));
        ASSERT_EQ(ring.wait(9).size(), 9u);
        if (is_engine()) {
            EXPECT_TRUE(eventually([&] { return count_threads() <= threads; }));
        }
    };
    for (int count = 0; count < 10; ++count) burst();
    const Holdings before = holdings();
    for (int count = 0; count < 50; ++count) burst();
    const Holdings after = holdings();
    EXPECT_LE(after.mappings, before.mappings + 8);
    EXPECT_LE(after.threads, before.threads);
}

}  // namespace
}  // namespace ringside::test
