// The end of a thread, and of a process, at the same moment as everything that was in flight: no hang, no completion
// lost or doubled, and every byte is either where it was to be read to or where it came from.
//
// RINGSIDE_RACES sets how many turns each race takes, as in races.cc.
#include <errno.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <thread>

#include "path/rival.h"
#include "path/shared_bytes.h"
#include "support/files.h"
#include "support/process.h"
#include "support/raw_ring.h"
#include "support/sanitizers.h"

namespace ringside::test {
namespace {

using testing::AnyOf;
using testing::Eq;

TEST(RaceOfExits, of_a_thread_against_data_for_its_reads) {
    RawRing ring(16);
    const Pipe pipe;
    char bytes[2];
    Rival writer([&] { EXPECT_EQ(write(pipe.write_end, "xx", 2), 2); });
    for (unsigned turn = turns(64); turn > 0 && !testing::Test::HasFailure(); --turn) {
        std::thread([&] {
            ASSERT_THAT(
                ring.submit(sqe::read(pipe.read_end, &bytes[0], 1).data(1).flag(IOSQE_IO_LINK), sqe::nop().data(2)),
                Gives(2));
            // One that blocks in a worker.
            ASSERT_THAT(ring.submit(sqe::read(pipe.read_end, &bytes[1], 1).data(3).flag(IOSQE_IO_LINK)), Gives(1));
            writer.begin();
            dawdle(turn * 13 % 2000);
        }).join();
        const std::vector<Cqe> completions = ring.wait(3);
        writer.await();
        ASSERT_EQ(completions.size(), 3u);
        const int first = completion_of(completions, 1)->res, blocked = completion_of(completions, 3)->res;
        EXPECT_THAT(first, AnyOf(Eq(1), Eq(-ECANCELED)));
        EXPECT_THAT(blocked, AnyOf(Eq(1), Eq(-ECANCELED), Eq(-EINTR)));
        const int next = completion_of(completions, 2)->res;
        EXPECT_THAT(next, first == 1 ? AnyOf(Eq(0), Eq(-EFAULT)) : AnyOf(Eq(-ECANCELED), Eq(-ECANCELED)));
        ASSERT_EQ(pipe.drain(), 2u - (first == 1) - (blocked == 1));
    }
    EXPECT_EQ(ring.ready(), 0u);
}

TEST(RaceOfExits, of_a_process_against_everything) {
    if (!child_may_start_threads) GTEST_SKIP() << "see support/sanitizers.h";
    const Pipe pipe;
    const SharedBytes memory;
    Rival writer([&] { EXPECT_EQ(write(pipe.write_end, "xxxx", 4), 4); });
    for (unsigned turn = turns(128); turn > 0 && !testing::Test::HasFailure(); --turn) {
        writer.begin();
        const int ending = ending_of_child([&] {
            const __kernel_timespec time = {0, turn % 64 * 1000};
            const unsigned flags = turn % 2 == 0 ? 0 : IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
            RawRing ring(8, flags);
            ring.submit(sqe::read(pipe.read_end, memory.at(0), 1).data(1),
                        sqe::read(pipe.read_end, memory.at(1), 1).data(2).flag(IOSQE_ASYNC),
                        sqe::timeout(&time).data(3), sqe::poll_add(pipe.read_end, POLLIN).data(4));
            ring.submit(sqe::read(pipe.read_end, memory.at(2), 1).data(5).flag(IOSQE_IO_LINK));
            dawdle(turn * 13 % 4000);
            if (turn % 4 < 2) raise(SIGKILL);
            _exit(0);
            return 0;
        });
        writer.await();
        EXPECT_THAT(ending, AnyOf(Eq(0), Eq(-SIGKILL)));
        ASSERT_EQ(memory.take_count() + pipe.drain(), 4u);
    }
}

}  // namespace
}  // namespace ringside::test
