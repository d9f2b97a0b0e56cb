// fork(2) with rings open: the child may exit, close them or use them, and neither process hangs nor harms the other.
#include <errno.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <thread>

#include "support/eventually.h"
#include "support/files.h"
#include "support/process.h"
#include "support/raw_ring.h"
#include "support/sanitizers.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

constexpr unsigned deferred = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;

bool on_kernel() { return provider_under_test() == provider::Kind::kernel; }

// A ring with requests of every kind in flight: a poll, a read, a read in a worker, a timeout, and one held back.
class Fork : public testing::TestWithParam<unsigned> {
  protected:
    void SetUp() override {
        const __kernel_timespec late = {60, 0};
        EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &bytes[0], 1).data(1),
                                sqe::read(other.read_end, &bytes[1], 1).data(2).flag(IOSQE_ASYNC),
                                sqe::poll_add(third.read_end, POLLIN).data(3), sqe::timeout(&late).data(4)),
                    Gives(4));
    }

    // All of it completes, as if nothing had happened.
    void expect_undisturbed() {
        EXPECT_THAT(ring.linger(5), IsEmpty());
        for (const Pipe* each : {&pipe, &other, &third}) EXPECT_EQ(write(each->write_end, "x", 1), 1);
        EXPECT_THAT(ring.wait(3), UnorderedElementsAre(Completes(1, 1), Completes(2, 1), Completes(3, POLLIN)));
        EXPECT_THAT(ring.submit(sqe::timeout_remove(4).data(5)), Gives(1));
        EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(4, -ECANCELED), Completes(5, 0)));
        EXPECT_THAT(ring.run(sqe::nop().data(6)), Gives(0));
        EXPECT_EQ(bytes[0], 'x');
        EXPECT_EQ(bytes[1], 'x');
    }

    RawRing ring{16, GetParam()};
    const Pipe pipe, other, third;
    char bytes[2] = {};
};

INSTANTIATE_TEST_SUITE_P(Modes, Fork, testing::Values(0U, deferred), [](const testing::TestParamInfo<unsigned>& mode) {
    return std::string(mode.param == 0 ? "plain" : "deferred");
});

TEST_P(Fork, child_that_exits_leaves_the_parent_alone) {
    for (int round = 0; round < 5; ++round) EXPECT_EQ(ending_of_child([] { return 7; }), 7);
    expect_undisturbed();
}

TEST_P(Fork, child_that_is_killed_leaves_the_parent_alone) {
    EXPECT_EQ(ending_of_child([] { return raise(SIGKILL); }), -SIGKILL);
    expect_undisturbed();
}

TEST_P(Fork, child_that_ends_as_programs_do_leaves_the_parent_alone) {
    // exit(3) runs destructors and handlers, the provider's among them.
    EXPECT_EQ(ending_of_child([]() -> int { exit(3); }), 3);
    expect_undisturbed();
}

TEST_P(Fork, child_that_closes_the_ring_leaves_the_parent_alone) {
    EXPECT_EQ(ending_of_child([&] { return ring.close() == 0 ? 0 : 1; }), 0);
    expect_undisturbed();
}

TEST_P(Fork, child_that_closes_every_descriptor_leaves_the_parent_alone) {
    EXPECT_EQ(ending_of_child([] { return close_range(3, ~0U, 0) == 0 ? 0 : 1; }), 0);
    expect_undisturbed();
}

TEST_P(Fork, child_can_wait_for_nothing_on_the_ring_and_does_not_hang) {
    // In the kernel the child shares the ring; a ring in user space stays with the process that it lives in.
    const int answer = on_kernel() ? GetParam() == deferred ? -EEXIST : -ETIME : -EBADF;
    const int ending = ending_of_child([&] {
        const __kernel_timespec time = milliseconds_of(5);
        io_uring_getevents_arg arg = {};
        arg.ts = address_of(&time);
        return ring.enter(0, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &arg, sizeof(arg)) == answer ? 0 : 1;
    });
    EXPECT_EQ(ending, 0);
    expect_undisturbed();
}

TEST_P(Fork, child_that_submits_is_heard_in_the_kernel_and_refused_by_the_engine) {
    // docs/differences.md: the engine answers a child with EBADF.
    const bool shared = on_kernel() && GetParam() == 0;
    const int answer = shared ? 1 : on_kernel() ? -EEXIST : -EBADF;
    const int ending = ending_of_child([&] {
        ring.push(sqe::nop().data(9));
        return ring.enter(1) == answer ? 0 : 1;
    });
    EXPECT_EQ(ending, 0);
    // The memory is shared in any case, and with it the entry. If the child did not submit it, the parent does.
    if (!shared) {
        EXPECT_THAT(ring.enter(1), Gives(1));
    }
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(9, 0)));
    expect_undisturbed();
}

TEST_P(Fork, child_cannot_register_on_the_engines_ring) {
    const int answer = !on_kernel() ? -EBADF : GetParam() == deferred ? -EEXIST : 0;
    const int fds[] = {pipe.read_end};
    const int ending = ending_of_child(
        [&] { return ring.register_call(IORING_REGISTER_FILES, const_cast<int*>(fds), 1) == answer ? 0 : 1; });
    EXPECT_EQ(ending, 0);
    expect_undisturbed();
}

TEST_P(Fork, child_uses_a_ring_of_its_own_beside_the_inherited_one) {
    if (!child_may_start_threads) GTEST_SKIP() << "see support/sanitizers.h";
    const int ending = ending_of_child([&] {
        RawRing own(8, GetParam());
        const Pipe mine;
        char byte;
        const __kernel_timespec time = milliseconds_of(5);
        own.submit(sqe::read(mine.read_end, &byte, 1).data(1), sqe::timeout(&time).data(2),
                   sqe::read(mine.read_end, &byte, 1).data(3).flag(IOSQE_ASYNC));
        if (own.wait(1) != std::vector<Cqe>{{2, -ETIME, 0}}) return 1;
        if (write(mine.write_end, "xx", 2) != 2) return 2;
        return own.wait(2).size() == 2 ? 0 : 3;
    });
    EXPECT_EQ(ending, 0);
    expect_undisturbed();
}

TEST_P(Fork, parents_death_leaves_the_child_with_its_own_ring) {
    if (!child_may_start_threads) GTEST_SKIP() << "see support/sanitizers.h";
    // The middle process makes a ring with requests in flight, forks and dies; its child goes on by itself.
    const Pipe report;
    const int ending = ending_of_child([&] {
        RawRing mine(8, GetParam());
        const Pipe waiting;
        static char byte;
        mine.submit(sqe::read(waiting.read_end, &byte, 1).data(1),
                    sqe::read(waiting.read_end, &byte, 1).flag(IOSQE_ASYNC));
        if (fork() == 0) {
            RawRing own(8, GetParam());
            const bool good = own.run(sqe::nop().data(2)).res == 0;
            _exit(write(report.write_end, good ? "y" : "n", 1) == 1 ? 0 : 1);
        }
        _exit(0);
        return 0;
    });
    EXPECT_EQ(ending, 0);
    pollfd answered = {report.read_end, POLLIN, 0};
    ASSERT_EQ(poll(&answered, 1, patience_ms), 1);
    char answer = 0;
    EXPECT_EQ(read(report.read_end, &answer, 1), 1);
    EXPECT_EQ(answer, 'y');
    expect_undisturbed();
}

TEST_P(Fork, grandchildren_fare_no_worse) {
    const int ending = ending_of_child([&] {
        return ending_of_child([&] {
            RawRing own(8, GetParam());
            return own.run(sqe::nop().data(1)).res;
        });
    });
    EXPECT_EQ(ending, 0);
    expect_undisturbed();
}

TEST_P(Fork, child_keeps_no_file_of_the_parents_requests_open) {
    Pipe mine;
    const Pipe ready, release;
    char byte;
    EXPECT_THAT(ring.submit(sqe::read(mine.read_end, &byte, 1).data(7)), Gives(1));
    const pid_t child = fork();
    if (child == 0) {
        // All that it knows of it closes; and then it lives on.
        mine.read_end.reset();
        mine.write_end.reset();
        ring.close();
        ring.unmap();
        _exit(write(ready.write_end, "x", 1) == 1 && read(release.read_end, &byte, 1) == 1 ? 0 : 1);
    }
    EXPECT_EQ(read(ready.read_end, &byte, 1), 1);
    EXPECT_THAT(ring.submit(sqe::cancel(7).data(8)), Gives(1));
    EXPECT_EQ(ring.wait(2).size(), 2u);
    // The read end is closed with the parent's descriptor: a byte in the pipe would be nobody's.
    mine.read_end.reset();
    signal(SIGPIPE, SIG_IGN);
    EXPECT_TRUE(eventually([&] { return write(mine.write_end, "x", 1) == -1 && errno == EPIPE; }, 1000));
    signal(SIGPIPE, SIG_DFL);
    EXPECT_EQ(write(release.write_end, "x", 1), 1);
    EXPECT_EQ(ending_of(child), 0);
    expect_undisturbed();
}

TEST_P(Fork, child_of_a_thread_that_waits_does_not_wait) {
    // The child begins with the ring as it was in the middle of another thread's wait.
    RawRing shared;
    const Pipe waiting;
    char byte;
    EXPECT_THAT(shared.submit(sqe::read(waiting.read_end, &byte, 1).data(1)), Gives(1));
    std::thread waiter([&] { EXPECT_THAT(shared.enter(0, 1, IORING_ENTER_GETEVENTS), Gives(0)); });
    sleep_ms(20);
    const int ending = ending_of_child([&] {
        RawRing own(8, GetParam());
        const bool good = own.run(sqe::nop().data(1)).res == 0;
        return good && shared.close() == 0 ? 0 : 1;
    });
    EXPECT_EQ(ending, 0);
    EXPECT_EQ(write(waiting.write_end, "x", 1), 1);
    waiter.join();
    EXPECT_THAT(shared.reap(), ElementsAre(Completes(1, 1)));
    expect_undisturbed();
}

TEST(ForkOfPolled, child_leaves_the_parents_submission_thread_alone) {
    io_uring_params params = params_with(IORING_SETUP_SQPOLL);
    params.sq_thread_idle = 10;
    RawRing ring(8, params);
    EXPECT_EQ(ending_of_child([&] { return ring.close() == 0 ? 0 : 1; }), 0);
    for (uint64_t number = 0; number < 10; ++number) {
        ring.push(sqe::nop().data(number));
        EXPECT_THAT(ring.enter(1, 1, IORING_ENTER_SQ_WAKEUP | IORING_ENTER_GETEVENTS), Gives(1));
        EXPECT_THAT(ring.reap(), ElementsAre(Completes(number, 0)));
    }
}

TEST(ForkAgainAndAgain, while_requests_complete_neither_hangs) {
    RawRing ring(16);
    const Pipe pipe;
    char byte;
    for (uint64_t number = 0; number < 100; ++number) {
        EXPECT_THAT(
            ring.submit(sqe::read(pipe.read_end, &byte, 1).data(number).flag(number % 3 == 0 ? IOSQE_ASYNC : 0)),
            Gives(1));
        const pid_t child = fork();
        if (child == 0) _exit(0);
        EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(number, 1)));
        EXPECT_EQ(ending_of(child), 0);
    }
}

}  // namespace
}  // namespace ringside::test
