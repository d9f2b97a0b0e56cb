// IORING_SETUP_IOPOLL and IORING_SETUP_HYBRID_IOPOLL: completions are polled for instead of waited for. Only files that
// can be polled take part, which are those opened with O_DIRECT on a disk.
#include <errno.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/eventually.h"
#include "support/files.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

using testing::AnyOf;
using testing::ElementsAre;
using testing::Eq;
using testing::IsEmpty;

constexpr unsigned getevents = IORING_ENTER_GETEVENTS;
constexpr uint32_t block = 4096;

class IoPoll : public testing::TestWithParam<unsigned> {
  protected:
    RawRing ring{16, GetParam()};
    AlignedBuffer buffer{block};
    const Pipe pipe;

    // Submits one and polls until it is done.
    Cqe run(const io_uring_sqe& sqe) {
        EXPECT_THAT(ring.submit(sqe), Gives(1));
        EXPECT_TRUE(eventually([&] {
            EXPECT_THAT(ring.enter(0, 1, getevents), Gives(0));
            return ring.ready() != 0;
        }));
        const std::vector<Cqe> completions = ring.reap();
        EXPECT_EQ(completions.size(), 1u);
        return completions.empty() ? Cqe{} : completions.front();
    }
};

INSTANTIATE_TEST_SUITE_P(Modes, IoPoll,
                         testing::Values(unsigned{IORING_SETUP_IOPOLL},
                                         IORING_SETUP_IOPOLL | IORING_SETUP_HYBRID_IOPOLL,
                                         IORING_SETUP_IOPOLL | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN),
                         [](const testing::TestParamInfo<unsigned>& mode) -> std::string {
                             if (mode.param == IORING_SETUP_IOPOLL) return "plain";
                             return (mode.param & IORING_SETUP_HYBRID_IOPOLL) != 0 ? "hybrid" : "deferred";
                         });

// The kernel reads where the disk's driver has queues to poll, which most virtual disks lack; there it refuses. The
// engine needs nothing of the driver.
testing::Matcher<Cqe> ReadsABlock() {
    if (provider_under_test() == provider::Kind::kernel) {
        return testing::Field(&Cqe::res, AnyOf(Eq(static_cast<int>(block)), Eq(-EOPNOTSUPP)));
    }
    return Gives(static_cast<int>(block));
}

TEST_P(IoPoll, reads_from_a_disk_past_the_cache) {
    const Fd file = file_with(std::string(4 * block, 'x'), O_DIRECT);
    const Cqe cqe = run(sqe::read(file, buffer.data(), block, block).data(1));
    EXPECT_THAT(cqe, ReadsABlock());
    EXPECT_EQ(buffer.data()[0], cqe.res > 0 ? 'x' : 0);
    const iovec vector = {buffer.data(), block};
    EXPECT_THAT(run(sqe::readv(file, &vector, 1).data(2)), ReadsABlock());
    EXPECT_THAT(run(sqe::read(file, buffer.data(), block).data(3).flag(IOSQE_ASYNC)), ReadsABlock());
}

TEST_P(IoPoll, polls_for_many_reads) {
    const Fd file = file_with(std::string(16 * block, 'x'), O_DIRECT);
    AlignedBuffer buffers(size_t{16} * block);
    for (uint64_t number = 0; number < 16; ++number) {
        ring.push(sqe::read(file, buffers.data() + number * block, block, number * block).data(number));
    }
    EXPECT_THAT(ring.enter(16), Gives(16));
    unsigned seen = 0;
    EXPECT_TRUE(eventually([&] {
        EXPECT_THAT(ring.enter(0, 1, getevents), Gives(0));
        for (const Cqe& cqe : ring.reap()) {
            EXPECT_THAT(cqe, ReadsABlock());
            seen |= 1U << cqe.user_data;
        }
        return seen == 0xffff;
    }));
}

TEST_P(IoPoll, gets_on_with_nothing_before_all_is_reaped_in_the_kernel_alone) {
    if (GetParam() == IORING_SETUP_IOPOLL || (GetParam() & IORING_SETUP_HYBRID_IOPOLL) != 0) {
        // Only a call of the program's runs what a worker has done on a ring that defers.
        EXPECT_THAT(ring.run(sqe::nop().flag(IOSQE_ASYNC)), Gives(0));
        return;
    }
    EXPECT_THAT(ring.submit(sqe::nop().data(1), sqe::nop().data(2).flag(IOSQE_ASYNC)), Gives(2));
    const auto both_are_there = [&] {
        EXPECT_THAT(ring.enter(0, 1, getevents), Gives(0));
        return ring.ready() == 2;
    };
    if (provider_under_test() == provider::Kind::kernel) {
        for (int i = 0; i < 5; ++i, usleep(2000)) EXPECT_FALSE(both_are_there());
        EXPECT_THAT(ring.reap(), ElementsAre(Completes(1, 0)));
        EXPECT_TRUE(eventually([&] {
            EXPECT_THAT(ring.enter(0, 0, getevents), Gives(0));
            return ring.ready() == 1;
        }));
        EXPECT_THAT(ring.reap(), ElementsAre(Completes(2, 0)));
    } else {
        EXPECT_TRUE(eventually(both_are_there));
        EXPECT_THAT(ring.reap(), ElementsAre(Completes(1, 0), Completes(2, 0)));
    }
}

TEST_P(IoPoll, refuses_files_that_cannot_be_polled) {
    const Fd buffered = file_with(std::string(block, 'x'));
    const Fd memory = memory_file_with("content");
    const Fd zero(open("/dev/zero", O_RDWR | O_CLOEXEC));
    for (const int fd : {buffered.get(), memory.get(), zero.get(), pipe.read_end.get()}) {
        EXPECT_THAT(run(sqe::read(fd, buffer.data(), block).data(1)), Gives(-EOPNOTSUPP));
    }
    for (const int fd : {buffered.get(), memory.get(), zero.get(), pipe.write_end.get()}) {
        EXPECT_THAT(run(sqe::write(fd, buffer.data(), block).data(2)), Gives(-EOPNOTSUPP));
    }
    const iovec vector = {buffer.data(), block};
    EXPECT_THAT(run(sqe::readv(buffered, &vector, 1).data(3)), Gives(-EOPNOTSUPP));
    EXPECT_THAT(run(sqe::read(buffered, buffer.data(), block).data(4).flag(IOSQE_ASYNC)), Gives(-EOPNOTSUPP));
    EXPECT_THAT(run(sqe::read(-1, buffer.data(), block).data(5)), Gives(-EBADF));
}

TEST_P(IoPoll, refuses_operations_that_cannot_be_polled_for) {
    const Fd file = file_with(std::string(block, 'x'), O_DIRECT);
    const __kernel_timespec time = milliseconds_of(1);
    struct statx status;
    const Sqe refused[] = {
        sqe::fsync(file),
        sqe::poll_add(pipe.read_end, POLLIN),
        sqe::poll_remove(1),
        Sqe(IORING_OP_SYNC_FILE_RANGE, file),
        Sqe(IORING_OP_SENDMSG, file),
        Sqe(IORING_OP_RECVMSG, file),
        sqe::timeout(&time),
        sqe::timeout_remove(1),
        Sqe(IORING_OP_ACCEPT, file),
        sqe::cancel(1),
        Sqe(IORING_OP_CONNECT, file),
        sqe::transfer(IORING_OP_FALLOCATE, file, nullptr, 0, 0).set(&Sqe::addr, block),
        sqe::openat(AT_FDCWD, "/dev/null", O_RDONLY | O_CLOEXEC),
        sqe::close(1'000'000),
        sqe::statx(AT_FDCWD, "/", 0, STATX_SIZE, &status),
        Sqe(IORING_OP_FADVISE, file),
        Sqe(IORING_OP_MADVISE),
        sqe::transfer(IORING_OP_SEND, file, buffer.data(), 1, 0),
        sqe::transfer(IORING_OP_RECV, file, buffer.data(), 1, 0),
        Sqe(IORING_OP_EPOLL_CTL, file),
        Sqe(IORING_OP_SHUTDOWN, file),
        Sqe(IORING_OP_SOCKET, 1),
        Sqe(IORING_OP_FTRUNCATE, file),
    };
    for (const Sqe& sqe : refused) EXPECT_THAT(ring.run(sqe), Gives(-EINVAL)) << "opcode " << unsigned{sqe.opcode};
    // Nothing has happened to the file.
    EXPECT_EQ(lseek(file, 0, SEEK_END), block);
}

TEST_P(IoPoll, takes_operations_that_need_no_polling) {
    EXPECT_THAT(run(sqe::nop().data(1)), Gives(0));
    EXPECT_THAT(run(sqe::nop().data(2).flag(IOSQE_ASYNC)), Gives(0));
    // Two buffers of 16 bytes in group 7, and out again.
    const Sqe provide =
        sqe::transfer(IORING_OP_PROVIDE_BUFFERS, 2, buffer.data(), 16, 0).set(&Sqe::buf_group, 7).data(3);
    EXPECT_THAT(run(provide), Gives(0));
    EXPECT_THAT(run(Sqe(IORING_OP_REMOVE_BUFFERS, 2).set(&Sqe::buf_group, 7).data(4)), Gives(2));
}

TEST_P(IoPoll, does_not_wait_where_nothing_is_in_flight) {
    // On an ordinary ring this would never end.
    EXPECT_THAT(ring.enter(0, 1, getevents), Gives(0));
    EXPECT_THAT(ring.enter(0, 100, getevents), Gives(0));
}

TEST_P(IoPoll, does_not_wait_for_more_while_there_is_something_to_reap) {
    EXPECT_THAT(ring.submit(sqe::nop().data(1)), Gives(1));
    EXPECT_THAT(ring.enter(0, 5, getevents), Gives(0));
    EXPECT_THAT(ring.reap(), ElementsAre(Completes(1, 0)));
    EXPECT_THAT(ring.enter(0, 5, getevents), Gives(0));
    EXPECT_THAT(ring.reap(), IsEmpty());
}

TEST_P(IoPoll, does_not_look_at_a_time_limit) {
    // The argument is read, but not the limit to which it leads: polling ends by what it finds.
    const __kernel_timespec time = milliseconds_of(patience_ms);
    io_uring_getevents_arg arg = {};
    arg.ts = address_of(&time);
    const Stopwatch watch;
    EXPECT_THAT(ring.enter(0, 1, getevents | IORING_ENTER_EXT_ARG, &arg, sizeof(arg)), Gives(0));
    EXPECT_LT(watch.elapsed_ms(), patience_ms / 2);
    arg.ts = 8;
    EXPECT_THAT(ring.enter(0, 1, getevents | IORING_ENTER_EXT_ARG, &arg, sizeof(arg)), Gives(0));
    EXPECT_THAT(ring.enter(0, 1, getevents | IORING_ENTER_EXT_ARG, &arg, 3), Gives(-EINVAL));
    const void* nowhere = reinterpret_cast<void*>(8);
    EXPECT_THAT(ring.enter(0, 1, getevents | IORING_ENTER_EXT_ARG, nowhere, sizeof(arg)), Gives(-EFAULT));
}

TEST_P(IoPoll, chains_run_in_their_order) {
    const Fd buffered = file_with("x");
    EXPECT_THAT(ring.submit(sqe::nop().data(1).flag(IOSQE_IO_LINK),
                            sqe::read(buffered, buffer.data(), 1).data(2).flag(IOSQE_IO_LINK), sqe::nop().data(3)),
                Gives(3));
    std::vector<Cqe> completions;
    EXPECT_TRUE(eventually([&] {
        EXPECT_THAT(ring.enter(0, 1, getevents), Gives(0));
        for (const Cqe& cqe : ring.reap()) completions.push_back(cqe);
        return completions.size() >= 3;
    }));
    EXPECT_THAT(completions, ElementsAre(Completes(1, 0), Completes(2, -EOPNOTSUPP), Completes(3, -ECANCELED)));
}

TEST(IoPollWithThread, polls_by_itself) {
    // With a submission thread it is that which polls, so a wait is an ordinary one.
    RawRing ring(8, IORING_SETUP_IOPOLL | IORING_SETUP_SQPOLL);
    const Fd file = file_with(std::string(block, 'x'), O_DIRECT);
    AlignedBuffer buffer(block);
    ring.push(sqe::read(file, buffer.data(), block).data(1));
    EXPECT_THAT(ring.enter(1, 1, getevents | IORING_ENTER_SQ_WAKEUP), Gives(1));
    EXPECT_THAT(ring.reap(), ElementsAre(ReadsABlock()));
    const __kernel_timespec time = milliseconds_of(5);
    io_uring_getevents_arg arg = {};
    arg.ts = address_of(&time);
    EXPECT_THAT(ring.enter(0, 1, getevents | IORING_ENTER_EXT_ARG, &arg, sizeof(arg)), Gives(-ETIME));
}

}  // namespace
}  // namespace ringside::test
