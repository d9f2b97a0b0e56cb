// IORING_REGISTER_IOWQ_MAX_WORKERS, IORING_REGISTER_IOWQ_AFF and IORING_REGISTER_SYNC_CANCEL: what concerns the threads
// that do blocking work.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <limits.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <thread>

#include "register/fixed_files.h"
#include "support/eventually.h"
#include "support/files.h"
#include "support/process.h"
#include "support/raw_ring.h"
#include "support/sqe_files.h"

namespace ringside::test {
namespace {

using testing::IsEmpty;
using testing::UnorderedElementsAre;

struct Limits {
    unsigned bounded, unbounded;
    bool operator==(const Limits&) const = default;
};

// Sets the limits that are not 0. Returns the former ones.
Limits exchange(RawRing& ring, Limits limits) {
    EXPECT_THAT(ring.register_call(IORING_REGISTER_IOWQ_MAX_WORKERS, &limits, 2), Gives(0));
    return limits;
}

TEST(MaxWorkers, are_reported_and_changed) {
    RawRing ring;
    const Limits before = exchange(ring, {0, 0});
    EXPECT_GT(before.bounded, 0u);
    EXPECT_GT(before.unbounded, before.bounded);
    EXPECT_EQ(exchange(ring, {3, 5}), before);
    EXPECT_EQ(exchange(ring, {0, 0}), (Limits{3, 5}));
    EXPECT_EQ(exchange(ring, {4, 0}), (Limits{3, 5}));
    EXPECT_EQ(exchange(ring, before), (Limits{4, 5}));
}

TEST(MaxWorkers, are_no_more_than_the_user_may_have) {
    RawRing ring;
    rlimit limit;
    ASSERT_EQ(getrlimit(RLIMIT_NPROC, &limit), 0);
    const auto most = static_cast<unsigned>(std::min<rlim_t>(limit.rlim_cur, INT_MAX));
    const Limits before = exchange(ring, {INT_MAX, INT_MAX});
    EXPECT_EQ(exchange(ring, before), (Limits{most, most}));
}

TEST(MaxWorkers, must_be_numbers) {
    RawRing ring;
    const Limits before = exchange(ring, {0, 0});
    Limits absurd = {INT_MAX + 1U, 1};
    EXPECT_THAT(ring.register_call(IORING_REGISTER_IOWQ_MAX_WORKERS, &absurd, 2), Gives(-EINVAL));
    absurd = {1, INT_MAX + 1U};
    EXPECT_THAT(ring.register_call(IORING_REGISTER_IOWQ_MAX_WORKERS, &absurd, 2), Gives(-EINVAL));
    EXPECT_EQ(exchange(ring, {0, 0}), before);
    EXPECT_THAT(ring.register_call(IORING_REGISTER_IOWQ_MAX_WORKERS, ForbiddenPage().address(), 2), Gives(-EFAULT));
}

int hold_back_opens() {
    RawRing ring;
    exchange(ring, {1, 1});
    const TemporaryDirectory directory;
    std::string paths[2];
    // Whether an open of the FIFO for reading waits: then one for writing finds it.
    const auto opened = [&](int i) { return Fd(open(paths[i].c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC)); };
    for (uint64_t i : {0, 1}) {
        paths[i] = directory.path_of(std::to_string(i));
        EXPECT_EQ(mkfifo(paths[i].c_str(), 0600), 0);
        EXPECT_THAT(ring.submit(sqe::openat(AT_FDCWD, paths[i].c_str(), O_RDONLY).data(i).flag(IOSQE_ASYNC)), Gives(1));
    }
    EXPECT_THAT(ring.linger(50), IsEmpty());
    EXPECT_LT(opened(1), 0);
    EXPECT_TRUE(eventually([&] { return opened(0) >= 0; }));
    EXPECT_EQ(ring.wait(1).size(), 1u);
    EXPECT_TRUE(eventually([&] { return opened(1) >= 0; }));
    EXPECT_EQ(ring.wait(1).size(), 1u);
    return testing::Test::HasFailure() ? 1 : 0;
}

TEST(MaxWorkers, hold_for_opens) {
    // In a child, where no workers are left of other tests.
    EXPECT_EQ(ending_of_child(hold_back_opens), 0);
}

TEST(WorkerAffinity, is_accepted_and_taken_back) {
    RawRing ring;
    const Fd file = file_with("content");
    cpu_set_t processors;
    CPU_ZERO(&processors);
    CPU_SET(0, &processors);
    EXPECT_THAT(ring.register_call(IORING_REGISTER_IOWQ_AFF, &processors, sizeof(processors)), Gives(0));
    EXPECT_THAT(ring.run(sqe::fsync(file)), Gives(0));
    EXPECT_THAT(ring.register_call(IORING_REGISTER_IOWQ_AFF, &processors, 1), Gives(0));
    EXPECT_THAT(ring.register_call(IORING_UNREGISTER_IOWQ_AFF, nullptr, 0), Gives(0));
    EXPECT_THAT(ring.run(sqe::fsync(file)), Gives(0));
    EXPECT_THAT(ring.register_call(IORING_REGISTER_IOWQ_AFF, ForbiddenPage().address(), 8), Gives(-EFAULT));
}

// --- Synchronous cancellation ---------------------------------------------------------------------------------------

io_uring_sync_cancel_reg cancellation(uint64_t user_data, unsigned flags = 0, int fd = 0) {
    io_uring_sync_cancel_reg cancel = {};
    cancel.addr = user_data;
    cancel.flags = flags;
    cancel.fd = fd;
    cancel.timeout = {-1, -1};
    return cancel;
}

int sync_cancel(RawRing& ring, io_uring_sync_cancel_reg cancel) {
    return ring.register_call(IORING_REGISTER_SYNC_CANCEL, &cancel, 1);
}

TEST(SyncCancel, ends_a_request_that_waits) {
    RawRing ring;
    const Pipe pipe;
    char byte;
    EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &byte, 1).data(1)), Gives(1));
    EXPECT_THAT(sync_cancel(ring, cancellation(1)), Gives(0));
    EXPECT_THAT(ring.wait(1), UnorderedElementsAre(Completes(1, -ECANCELED)));
    EXPECT_THAT(sync_cancel(ring, cancellation(1)), Gives(-ENOENT));
}

TEST(SyncCancel, by_file_by_slot_and_of_all) {
    RawRing ring;
    const Pipe pipe, other;
    char bytes[4];
    EXPECT_THAT(register_files(ring, {other.read_end}), Gives(0));
    EXPECT_THAT(
        ring.submit(sqe::read(pipe.read_end, &bytes[0], 1).data(1), sqe::read(pipe.read_end, &bytes[1], 1).data(2),
                    sqe::read(other.read_end, &bytes[2], 1).data(3), sqe::fixed(sqe::read(0, &bytes[3], 1)).data(4)),
        Gives(4));
    constexpr unsigned by_fd = IORING_ASYNC_CANCEL_FD, all = IORING_ASYNC_CANCEL_ALL;
    EXPECT_THAT(sync_cancel(ring, cancellation(0, by_fd | all, pipe.read_end)), Gives(2));
    EXPECT_THAT(sync_cancel(ring, cancellation(0, by_fd | IORING_ASYNC_CANCEL_FD_FIXED, 0)), Gives(0));
    EXPECT_THAT(sync_cancel(ring, cancellation(0, IORING_ASYNC_CANCEL_ANY)), Gives(1));
    EXPECT_THAT(sync_cancel(ring, cancellation(0, all)), Gives(0));
    EXPECT_THAT(ring.wait(4), UnorderedElementsAre(Completes(1, -ECANCELED), Completes(2, -ECANCELED),
                                                   Completes(3, -ECANCELED), Completes(4, -ECANCELED)));
}

TEST(SyncCancel, waits_for_a_worker_to_let_go) {
    RawRing ring;
    const TemporaryDirectory directory;
    const std::string path = directory.path_of("fifo");
    ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
    EXPECT_THAT(ring.submit(sqe::openat(AT_FDCWD, path.c_str(), O_RDONLY).data(1).flag(IOSQE_ASYNC)), Gives(1));
    EXPECT_THAT(ring.linger(20), IsEmpty());
    EXPECT_THAT(sync_cancel(ring, cancellation(1)), Gives(0));
    const std::vector<Cqe> completions = ring.wait(1);
    ASSERT_EQ(completions.size(), 1u);
    EXPECT_EQ(completions[0].user_data, 1u);
    EXPECT_LT(completions[0].res, 0);
}

TEST(SyncCancel, waits_no_longer_than_it_is_told_to) {
    const TemporaryDirectory directory;
    const std::string path = directory.path_of("fifo");
    ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
    RawRing ring;
    EXPECT_THAT(ring.submit(sqe::openat(AT_FDCWD, path.c_str(), O_RDONLY).data(1).flag(IOSQE_ASYNC)), Gives(1));
    EXPECT_THAT(ring.linger(20), IsEmpty());
    io_uring_sync_cancel_reg cancel = cancellation(1);
    cancel.timeout = {0, 0};
    // No time at all: unless the worker lets go at once, it lets go later.
    EXPECT_THAT(sync_cancel(ring, cancel), testing::AnyOf(0, -ETIME));
    const std::vector<Cqe> completions = ring.wait(1);
    ASSERT_EQ(completions.size(), 1u);
    EXPECT_LT(completions[0].res, 0);
    // What is found at once, or not at all, needs none.
    const Pipe pipe;
    char byte;
    EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &byte, 1).data(1)), Gives(1));
    EXPECT_THAT(sync_cancel(ring, cancel), Gives(0));
    EXPECT_THAT(sync_cancel(ring, cancel), Gives(-ENOENT));
}

// They belong to that thread, which alone reaches into them.
TEST(SyncCancel, leaves_the_workers_of_a_polling_thread_alone) {
    RawRing ring(8, IORING_SETUP_SQPOLL);
    const Pipe pipe, other, idle;
    char byte;
    EXPECT_THAT(
        ring.submit(sqe::splice(pipe.read_end, sqe::file_position, other.write_end, sqe::file_position, 1).data(1),
                    sqe::read(idle.read_end, &byte, 1).data(2)),
        Gives(2));
    EXPECT_THAT(ring.enter(0, 0, IORING_ENTER_SQ_WAKEUP), Gives(0));
    ASSERT_TRUE(eventually([&] { return ring.sq_head().load() == ring.sq_tail().load(); }));
    EXPECT_THAT(sync_cancel(ring, cancellation(1)), Gives(-ENOENT));
    constexpr unsigned all = IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_ANY;
    EXPECT_THAT(sync_cancel(ring, cancellation(0, all)), Gives(1));
    EXPECT_THAT(ring.wait(1), UnorderedElementsAre(Completes(2, -ECANCELED)));
    EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
    EXPECT_THAT(ring.wait(1), UnorderedElementsAre(Completes(1, 1)));
}

TEST(SyncCancel, tells_each_error) {
    RawRing ring;
    EXPECT_THAT(sync_cancel(ring, cancellation(1)), Gives(-ENOENT));
    EXPECT_THAT(sync_cancel(ring, cancellation(1, 1U << 6)), Gives(-EINVAL));
    EXPECT_THAT(sync_cancel(ring, cancellation(1, IORING_ASYNC_CANCEL_FD, 1'000'000)), Gives(-EBADF));
    EXPECT_THAT(sync_cancel(ring, cancellation(1, IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_FD_FIXED, 0)),
                Gives(-EBADF));
    io_uring_sync_cancel_reg cancel = cancellation(1);
    cancel.pad[2] = 1;
    EXPECT_THAT(sync_cancel(ring, cancel), Gives(-EINVAL));
    cancel = cancellation(1);
    cancel.pad2[2] = 1;
    EXPECT_THAT(sync_cancel(ring, cancel), Gives(-EINVAL));
    cancel = cancellation(1, IORING_ASYNC_CANCEL_OP);
    cancel.opcode = 200;
    EXPECT_THAT(sync_cancel(ring, cancel), Gives(-ENOENT)) << "an operation that nobody can have asked for";
}

TEST(SyncCancel, by_operation) {
    RawRing ring;
    const Pipe pipe;
    char byte;
    const __kernel_timespec long_time = milliseconds_of(100'000);
    EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &byte, 1).data(1), sqe::timeout(&long_time).data(2)), Gives(2));
    io_uring_sync_cancel_reg cancel = cancellation(0, IORING_ASYNC_CANCEL_OP);
    cancel.opcode = IORING_OP_READ;
    EXPECT_THAT(sync_cancel(ring, cancel), Gives(0));
    EXPECT_THAT(ring.wait(1), UnorderedElementsAre(Completes(1, -ECANCELED)));
    EXPECT_THAT(sync_cancel(ring, cancel), Gives(-ENOENT));
}

}  // namespace
}  // namespace ringside::test
