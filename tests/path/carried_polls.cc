// Polls of one batch that go into the kernel together and are kept there (path/carry_polls.cc). Each tells what it
// would have told alone.
#include <errno.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "ops/net_sqe.h"
#include "path/carriers.h"
#include "support/counted_calls.h"
#include "support/eventually.h"
#include "support/files.h"
#include "support/process.h"
#include "support/sqe_files.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

using CarriedPolls = OnCarrier;
INSTANTIATE_TEST_SUITE_P(By, CarriedPolls, carriers(), name_of_carrier);

TEST_P(CarriedPolls, of_ready_files_complete_in_their_order) {
    in_child([] {
        RawRing ring(64);
        const Fd raised(eventfd(1, 0)), lowered(eventfd(0, 0)), file = file_with("x");
        ASSERT_THAT(ring.submit(sqe::poll_add(raised, POLLIN).data(1), sqe::poll_add(file, POLLIN).data(2),
                                sqe::poll_add(99999, POLLIN).data(3), sqe::poll_add(lowered, POLLIN).data(4),
                                sqe::poll_add(lowered, POLLOUT).data(5), sqe::nop().data(6),
                                sqe::poll_add(raised, POLLIN | POLLOUT).data(7)),
                    Gives(7));
        EXPECT_THAT(ring.wait(6), ElementsAre(Completes(1, POLLIN), Completes(2, POLLIN), Completes(3, -EBADF),
                                              Completes(5, POLLOUT), Completes(6, 0), Completes(7, POLLIN | POLLOUT)));
        EXPECT_EQ(eventfd_write(lowered, 1), 0);
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(4, POLLIN)));
    });
}

TEST_P(CarriedPolls, of_files_that_the_kernel_would_not_keep_a_poll_of_are_told_too) {
    in_child([] {
        RawRing ring(64);
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGUSR1);
        ASSERT_EQ(sigprocmask(SIG_BLOCK, &set, nullptr), 0);
        const Fd signals(signalfd(-1, &set, SFD_CLOEXEC)), timer(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
        const TemporaryDirectory directory;
        const std::string name = directory.path_of("fifo");
        ASSERT_EQ(mkfifo(name.c_str(), 0600), 0);
        const Fd fifo(open(name.c_str(), O_RDWR | O_CLOEXEC));
        int master, terminal;
        ASSERT_EQ(openpty(&master, &terminal, nullptr, nullptr, nullptr), 0);
        ASSERT_THAT(ring.submit(sqe::poll_add(signals, POLLIN).data(1), sqe::poll_add(timer, POLLIN).data(2),
                                sqe::poll_add(fifo, POLLIN).data(3), sqe::poll_add(terminal, POLLIN).data(4)),
                    Gives(4));
        EXPECT_THAT(ring.linger(), IsEmpty());
        kill(getpid(), SIGUSR1);
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, POLLIN)));
        const itimerspec soon = {{0, 0}, {0, 1}};
        ASSERT_EQ(timerfd_settime(timer, 0, &soon, nullptr), 0);
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(2, POLLIN)));
        ASSERT_EQ(write(fifo, "x", 1), 1);
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(3, POLLIN)));
        ASSERT_EQ(write(master, "x\n", 2), 2);
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(4, POLLIN)));
    });
}

TEST_P(CarriedPolls, go_on_with_their_file_when_its_number_is_another_files) {
    in_child([] {
        RawRing ring;
        Ends pair = unix_pair(SOCK_STREAM);
        const Ends other = unix_pair(SOCK_STREAM);
        ASSERT_THAT(ring.submit(sqe::poll_add(pair.near, POLLIN).data(1)), Gives(1));
        ASSERT_EQ(dup2(other.near, pair.near), static_cast<int>(pair.near));
        ASSERT_EQ(send(other.far, "x", 1, 0), 1);
        EXPECT_THAT(ring.linger(), IsEmpty());
        // The poll holds the file: its other end is still connected.
        EXPECT_EQ(send(pair.far, "x", 1, MSG_NOSIGNAL), 1);
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, POLLIN)));
        EXPECT_TRUE(eventually([&] { return send(pair.far, "x", 1, MSG_NOSIGNAL) == -1; }));
    });
}

TEST_P(CarriedPolls, are_removed_cancelled_and_updated) {
    in_child([] {
        RawRing ring(64);
        const Ends pair = unix_pair(SOCK_STREAM);
        for (int round = 0; round < 20; ++round) {
            ASSERT_THAT(ring.submit(sqe::poll_add(pair.near, POLLIN).data(1), sqe::poll_add(pair.near, POLLIN).data(2),
                                    sqe::poll_add(pair.near, POLLIN).data(3), sqe::poll_add(pair.near, POLLIN).data(4)),
                        Gives(4));
            ASSERT_THAT(ring.submit(sqe::poll_remove(1).data(11), sqe::cancel(2).data(12),
                                    sqe::poll_update(3, IORING_POLL_UPDATE_EVENTS, POLLOUT).data(13)),
                        Gives(3));
            EXPECT_THAT(ring.wait(6),
                        UnorderedElementsAre(Completes(1, -ECANCELED), Completes(11, 0), Completes(2, -ECANCELED),
                                             Completes(12, 0), Completes(3, POLLOUT), Completes(13, 0)));
            ASSERT_THAT(ring.submit(sqe::cancel_fd(pair.near, IORING_ASYNC_CANCEL_ALL).data(14)), Gives(1));
            EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(4, -ECANCELED), Completes(14, 1)));
        }
        EXPECT_THAT(ring.linger(5), IsEmpty());
    });
}

// Of so many polls a ring leaves some to the kernel; the others wait as they do without it.
TEST_P(CarriedPolls, wait_in_any_number_and_go_with_their_ring) {
    in_child([] {
        constexpr unsigned many = 400;
        const Fd counter(eventfd(0, 0));
        size_t fds_of_first = 0;
        for (int round = 0; round < 3; ++round) {
            RawRing ring(512);
            for (unsigned i = 0; i < many; ++i) ring.push(sqe::poll_add(counter, POLLIN).data(i));
            ASSERT_THAT(ring.enter(many, 0, 0), Gives(many));
            EXPECT_THAT(ring.linger(5), IsEmpty());
            if (round == 0) fds_of_first = count_fds();
            if (round == 2) continue;
            ASSERT_EQ(eventfd_write(counter, 1), 0);
            std::vector<bool> told(many);
            for (const Cqe& cqe : ring.wait(many)) {
                EXPECT_EQ(cqe.res, POLLIN);
                told[cqe.user_data] = true;
            }
            EXPECT_EQ(std::count(told.begin(), told.end(), true), many);
            eventfd_t count;
            ASSERT_EQ(eventfd_read(counter, &count), 0);
        }
        // The last ring was closed with all of its polls waiting, and holds nothing any more.
        EXPECT_TRUE(eventually([&] { return count_fds() < fds_of_first; }));
    });
}

TEST_P(CarriedPolls, of_a_ring_that_defers_its_work_are_told_in_the_programs_call) {
    in_child([] {
        RawRing ring(8, IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_TASKRUN_FLAG);
        const Fd counter(eventfd(0, 0));
        ASSERT_THAT(ring.submit(sqe::poll_add(counter, POLLIN).data(1), sqe::poll_add(counter, POLLIN).data(2)),
                    Gives(2));
        ASSERT_EQ(eventfd_write(counter, 1), 0);
        EXPECT_TRUE(eventually([&] { return ring.sq_flags().load() & IORING_SQ_TASKRUN; }));
        EXPECT_EQ(ring.ready(), 0u);
        EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, POLLIN), Completes(2, POLLIN)));
    });
}

TEST_P(CarriedPolls, are_told_while_the_program_does_not_call) {
    in_child([] {
        RawRing ring;
        const Ends pair = unix_pair(SOCK_STREAM);
        ASSERT_THAT(ring.submit(sqe::poll_add(pair.near, POLLIN).data(1)), Gives(1));
        ASSERT_EQ(send(pair.far, "x", 1, 0), 1);
        EXPECT_TRUE(eventually([&] { return ring.ready() == 1; }));
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, POLLIN)));
    });
}

// Readiness that has passed when somebody looks: the kernel tells of it, and so does the engine where the kernel polls.
TEST(CarriedPoll, does_not_miss_what_passes_at_once) {
    in_child_with("aio", [] {
        RawRing ring;
        const Fd counter(eventfd(0, EFD_NONBLOCK));
        ASSERT_THAT(ring.submit(sqe::poll_add(counter, POLLIN).data(1)), Gives(1));
        ASSERT_EQ(eventfd_write(counter, 1), 0);
        eventfd_t count;
        ASSERT_EQ(eventfd_read(counter, &count), 0);
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, POLLIN)));
    });
}

// Data that comes counts as urgent for IOCB_CMD_POLL, and not for io_uring's polls.
TEST_P(CarriedPolls, for_urgent_data_alone_are_not_told_of_other_data) {
    in_child([] {
        RawRing ring;
        const Ends pair = unix_pair(SOCK_STREAM);
        ASSERT_THAT(ring.submit(sqe::poll_add(pair.near, POLLPRI).data(1)), Gives(1));
        ASSERT_EQ(send(pair.far, "x", 1, 0), 1);
        EXPECT_THAT(ring.linger(), IsEmpty());
    });
}

// A write to the socket waited its turn behind the poll, which takes nothing, and had the poll told a second time.
TEST(MultishotPoll, is_told_once_while_a_write_follows_in_a_chain) {
    RawRing ring(8, IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SINGLE_ISSUER);
    const Ends pair = unix_pair(SOCK_STREAM);
    ASSERT_THAT(ring.submit(sqe::poll_add(pair.near, POLLOUT, IORING_POLL_ADD_MULTI).data(1),
                            sqe::nop().data(2).flag(IOSQE_IO_LINK), sqe::write(pair.near, "x", 0).data(3)),
                Gives(3));
    EXPECT_THAT(ring.wait(3),
                UnorderedElementsAre(Completes(1, POLLOUT, IORING_CQE_F_MORE), Completes(2, 0), Completes(3, 0)));
    EXPECT_THAT(ring.linger(), IsEmpty());
}

// --- System calls, counted
// --------------------------------------------------------------------------------------------

TEST_P(CarriedPolls, are_armed_with_few_calls) {
    std::vector<Fd> counters;
    for (int i = 0; i < 32; ++i) counters.emplace_back(eventfd(0, EFD_CLOEXEC));
    const int calls = count_calls([&](const Counted& counted) {
        setenv("RINGSIDE_CARRIER", GetParam(), 1);
        RawRing ring(64);
        const auto arm_all = [&] {
            for (const Fd& counter : counters) ring.push(sqe::poll_add(counter, POLLIN));
            EXPECT_THAT(ring.enter(32, 0, 0), Gives(32));
        };
        arm_all();
        counted(arm_all);
    });
    EXPECT_GE(calls, 1);
    EXPECT_LE(calls, std::string_view(GetParam()) == "aio" ? 4 : 32 * 9);
}

}  // namespace
}  // namespace ringside::test
