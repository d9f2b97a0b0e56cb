// Completions reach a program that never enters again: it looks at memory, or waits for the ring's file descriptor.
// Where the work is deferred to its task, they do not, as was asked for.
#include <errno.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <thread>

#include "support/eventually.h"
#include "support/files.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr unsigned deferred = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;

// What a program polls to learn of completions. The kernel's ring is polled itself; the engine's mappable one cannot
// be, so whoever intercepts a program's poll calls puts another descriptor in its place.
int pollable_fd(const RawRing& ring) {
    if (provider_under_test() == provider::Kind::kernel) return ring.fd();
    return engine::readiness_fd(*engine::find(ring.fd()));
}

bool readable(int fd, int timeout_ms = 0) {
    pollfd entry = {fd, POLLIN, 0};
    return poll(&entry, 1, timeout_ms) == 1 && (entry.revents & POLLIN) != 0;
}

// Looks at the CQ without any system call in between, as a busy-polling program does.
bool spin_until_ready(const RawRing& ring) {
    const Stopwatch watch;
    while (ring.ready() == 0 && watch.elapsed_ms() < patience_ms) continue;
    return ring.ready() > 0;
}

TEST(Completion, of_what_needs_no_waiting_is_there_when_the_submission_returns) {
    RawRing ring;
    char byte;
    EXPECT_THAT(ring.submit(sqe::nop().data(1), sqe::read(-1, &byte, 1).data(2)), Gives(2));
    EXPECT_THAT(ring.reap(), ElementsAre(Completes(1, 0), Completes(2, -EBADF)));
}

TEST(Completion, appears_in_memory_without_another_enter) {
    RawRing ring;
    const Pipe pipe;
    char byte;
    EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &byte, 1).data(1)), Gives(1));
    EXPECT_EQ(ring.ready(), 0u);
    EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
    EXPECT_THAT(ring.watch(1), ElementsAre(Completes(1, 1)));
}

TEST(Completion, appears_while_the_program_spins_without_system_calls) {
    RawRing ring;
    const Pipe pipe;
    char byte;
    EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &byte, 1).data(1)), Gives(1));
    std::thread writer([&] {
        sleep_ms(10);
        EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
    });
    EXPECT_TRUE(spin_until_ready(ring));
    writer.join();
    EXPECT_THAT(ring.reap(), ElementsAre(Completes(1, 1)));
}

TEST(Completion, of_a_timeout_appears_while_the_program_spins) {
    RawRing ring;
    const __kernel_timespec time = milliseconds_of(10);
    EXPECT_THAT(ring.submit(sqe::timeout(&time).data(1)), Gives(1));
    EXPECT_TRUE(spin_until_ready(ring));
    EXPECT_THAT(ring.reap(), ElementsAre(Completes(1, -ETIME)));
}

TEST(Completion, of_what_a_worker_had_to_leave_waiting_appears_without_another_enter) {
    // A worker that found nothing to read yet, or whose end began the wait of the next in the chain, used to leave what
    // waited to nobody.
    RawRing ring;
    const Pipe pipe, other;
    const Fd file = file_with("content");
    char buffer[8], bytes[2];
    const __kernel_timespec time = milliseconds_of(30);
    EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &bytes[0], 1).data(1).flag(IOSQE_ASYNC)), Gives(1));
    sleep_ms(20);
    EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
    EXPECT_THAT(ring.watch(1), ElementsAre(Completes(1, 1)));

    EXPECT_THAT(ring.submit(sqe::read(file, buffer, 7).data(2).flag(IOSQE_ASYNC | IOSQE_IO_LINK),
                            sqe::read(other.read_end, &bytes[1], 1).data(3)),
                Gives(2));
    EXPECT_THAT(ring.watch(1), ElementsAre(Completes(2, 7)));
    EXPECT_EQ(write(other.write_end, "x", 1), 1);
    EXPECT_THAT(ring.watch(1), ElementsAre(Completes(3, 1)));

    EXPECT_THAT(
        ring.submit(sqe::read(file, buffer, 7).data(4).flag(IOSQE_ASYNC | IOSQE_IO_LINK), sqe::timeout(&time).data(5)),
        Gives(2));
    EXPECT_THAT(ring.watch(2), ElementsAre(Completes(4, 7), Completes(5, -ETIME)));
}

TEST(Completion, of_asynchronous_work_appears_while_the_program_spins) {
    RawRing ring;
    const Fd file = file_with("content");
    char buffer[8];
    EXPECT_THAT(ring.submit(sqe::read(file, buffer, 7).data(1).flag(IOSQE_ASYNC)), Gives(1));
    EXPECT_TRUE(spin_until_ready(ring));
    EXPECT_THAT(ring.reap(), ElementsAre(Completes(1, 7)));
}

TEST(Completion, appears_in_memory_for_a_cooperative_task_once_it_makes_any_system_call) {
    RawRing ring(8, IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG);
    const Pipe pipe;
    char byte;
    EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &byte, 1).data(1)), Gives(1));
    EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
    EXPECT_THAT(ring.watch(1), ElementsAre(Completes(1, 1)));
}

TEST(Completion, makes_the_ring_readable_until_it_is_reaped) {
    RawRing ring;
    EXPECT_FALSE(readable(pollable_fd(ring)));
    EXPECT_THAT(ring.submit(sqe::nop()), Gives(1));
    EXPECT_TRUE(readable(pollable_fd(ring)));
    EXPECT_TRUE(readable(pollable_fd(ring)));
    EXPECT_THAT(ring.wait(1), SizeIs(1));
    EXPECT_THAT(ring.enter(0, 0, IORING_ENTER_GETEVENTS), Gives(0));
    EXPECT_FALSE(readable(pollable_fd(ring)));
}

TEST(Completion, ends_a_poll_of_the_ring) {
    RawRing ring;
    const Pipe pipe;
    char byte;
    EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &byte, 1).data(1)), Gives(1));
    EXPECT_FALSE(readable(pollable_fd(ring), 10));
    std::thread writer([&] {
        sleep_ms(10);
        EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
    });
    EXPECT_TRUE(readable(pollable_fd(ring), patience_ms));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 1)));
    writer.join();
}

TEST(Completion, wakes_an_epoll_set_that_the_ring_is_in) {
    RawRing ring;
    const Fd epoll(epoll_create1(EPOLL_CLOEXEC));
    epoll_event event = {EPOLLIN, {}};
    ASSERT_EQ(epoll_ctl(epoll, EPOLL_CTL_ADD, pollable_fd(ring), &event), 0);
    EXPECT_EQ(epoll_wait(epoll, &event, 1, 0), 0);
    const Pipe pipe;
    char byte;
    EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &byte, 1).data(1)), Gives(1));
    for (int round = 0; round < 3; ++round) {
        EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
        EXPECT_EQ(epoll_wait(epoll, &event, 1, patience_ms), 1);
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 1)));
        EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &byte, 1).data(1)), Gives(1));
    }
}

TEST(Completion, that_is_deferred_appears_only_when_the_task_enters_for_events) {
    RawRing ring(8, deferred | IORING_SETUP_TASKRUN_FLAG);
    const Pipe pipe;
    char byte;
    EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &byte, 1).data(1)), Gives(1));
    EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
    // The flag tells that there is work to do; until the task enters, nothing does it.
    EXPECT_TRUE(eventually([&] { return (ring.sq_flags().load() & IORING_SQ_TASKRUN) != 0; }));
    sleep_ms(10);
    EXPECT_EQ(ring.ready(), 0u);
    EXPECT_THAT(ring.enter(0, 0, IORING_ENTER_GETEVENTS), Gives(0));
    EXPECT_THAT(ring.reap(), ElementsAre(Completes(1, 1)));
    EXPECT_EQ(ring.sq_flags().load() & IORING_SQ_TASKRUN, 0u);
}

TEST(Completion, that_is_deferred_makes_the_ring_readable_before_it_is_there) {
    RawRing ring(8, deferred);
    const Pipe pipe;
    char byte;
    EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &byte, 1).data(1)), Gives(1));
    EXPECT_FALSE(readable(pollable_fd(ring)));
    EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
    EXPECT_TRUE(readable(pollable_fd(ring), patience_ms));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 1)));
}

TEST(Completion, that_is_deferred_ends_a_wait) {
    RawRing ring(8, deferred);
    const Pipe pipe;
    char byte;
    EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &byte, 1).data(1)), Gives(1));
    std::thread writer([&] {
        sleep_ms(10);
        EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
    });
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 1)));
    writer.join();
}

TEST(Completion, order_of_inline_requests_is_that_of_submission) {
    RawRing ring(64);
    for (uint64_t number = 0; number < 64; ++number) ring.push(sqe::nop().data(number));
    EXPECT_THAT(ring.submit_pushed(64), Gives(64));
    const std::vector<Cqe> completions = ring.reap();
    ASSERT_THAT(completions, SizeIs(64));
    for (uint64_t number = 0; number < 64; ++number) EXPECT_EQ(completions[number].user_data, number);
}

TEST(Completion, goes_around_the_queue_many_times) {
    RawRing ring(4);
    for (uint64_t number = 0; number < 1000; ++number) {
        EXPECT_THAT(ring.submit(sqe::nop().data(number)), Gives(1));
        EXPECT_THAT(ring.reap(), ElementsAre(Completes(number, 0)));
    }
    EXPECT_EQ(ring.cq_tail().load(), 1000u);
}

}  // namespace
}  // namespace ringside::test
