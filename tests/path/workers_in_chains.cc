// What follows in a chain behind a request that a worker has done: the same worker does that too, so that it blocks in
// its call, or answers where it may not wait.
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "path/at_work.h"
#include "support/eventually.h"
#include "support/sqe_files.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

class BehindAWorker : public AtWork {
  protected:
    // A request that a worker does, whatever the ring.
    Sqe by_worker(unsigned flags = link) { return sqe::fsync(file).data(2).flag(flags); }

    // What comes next in the chain of what was submitted with `first`.
    void expect_next(const Sqe& first, int first_result, const Sqe& next, int result) {
        ASSERT_THAT(ring.submit(first, next), Gives(2));
        EXPECT_THAT(ring.wait(2), ElementsAre(Completes(2, first_result), Completes(1, result)));
    }
    void expect_next_waits(const Sqe& first, int first_result, const Sqe& next) {
        ASSERT_THAT(ring.submit(first, next), Gives(2));
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(2, first_result)));
        expect_waiting();
    }

    const Fd file = memory_file_with("content");
};

// A ring that defers takes results, and with them chains, to the program's own call.
INSTANTIATE_TEST_SUITE_P(Modes, BehindAWorker, testing::Values(0U),
                         [](const testing::TestParamInfo<unsigned>&) { return std::string("plain"); });

TEST_P(BehindAWorker, next_of_the_chain_blocks) {
    const auto submit = [&] {
        EXPECT_THAT(ring.submit(by_worker(), read_of(pipe.read_end)), Gives(2));
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(2, 0)));
    };
    expect_blocked(interrupt(ring, submit), -EINTR);
    expect_next(by_worker(), 0, read_of(nonblocking.read_end), -EAGAIN);
    const Ends ends = unix_pair(SOCK_STREAM);
    expect_next(by_worker(), 0, receive(ends.near, bytes, 1, 0, IORING_RECVSEND_POLL_FIRST), -EAGAIN);
}

// There the submitter ends the first, and goes on with the next: in the kernel only if it is the last that lets go of
// it, later than the worker.
TEST_P(BehindAWorker, next_waits_if_the_completion_queue_was_full) {
    const unsigned room = ring.params().cq_entries;
    for (unsigned i = 0; i < room; ++i) ASSERT_THAT(ring.submit(sqe::nop()), Gives(1));
    ASSERT_THAT(ring.submit(by_worker(), read_of(nonblocking.read_end)), Gives(2));
    ASSERT_TRUE(eventually([&] { return (ring.sq_flags().load() & IORING_SQ_CQ_OVERFLOW) != 0; }));
    auto completions = ring.wait(room + 1);
    for (const Cqe& late : ring.linger()) completions.push_back(late);
    ASSERT_GT(completions.size(), room);
    EXPECT_THAT(completions.at(room), Completes(2, 0));
    if (provider_under_test() == provider::Kind::kernel && completions.size() == room + 2) {
        EXPECT_THAT(completions.back(), Completes(1, -EAGAIN));
    } else {
        ASSERT_EQ(completions.size(), room + 1);
        expect_waiting();
    }
}

TEST_P(BehindAWorker, next_that_asked_for_a_worker_waits) {
    expect_next_waits(by_worker(), 0, read_of(nonblocking.read_end, IOSQE_ASYNC));
}

TEST_P(BehindAWorker, requests_that_a_worker_does_without_being_asked_count) {
    const Ends ends = unix_pair(SOCK_STREAM);
    const Sqe next = read_of(nonblocking.read_end);
    expect_next(sqe::nop().data(2).flag(link | IOSQE_ASYNC), 0, next, -EAGAIN);
    expect_next(sqe::write(file, "x", 1).data(2).flag(link), 1, next, -EAGAIN);
    expect_next(Sqe(IORING_OP_SHUTDOWN, ends.near).set(&Sqe::len, SHUT_WR).data(2).flag(link), 0, next, -EAGAIN);
    expect_next_waits(sqe::nop().data(2).flag(link), 0, next);
    struct statx status;
    const Sqe statx = sqe::statx(AT_FDCWD, "/", 0, STATX_BASIC_STATS, &status).data(2).flag(link);
    expect_next(statx, 0, next, -EAGAIN);
    expect_next(Sqe(statx).set(&Sqe::addr, reinterpret_cast<uintptr_t>("/nowhere")), -ENOENT, next, -EAGAIN);
    // A write that the file does not take without waiting, be it of nothing.
    expect_next(sqe::write(file, nullptr, 0).data(2).flag(link), 0, next, -EAGAIN);
    expect_next(sqe::read(file, nullptr, 0).data(2).flag(link), 0, next, -EAGAIN);
    expect_next(
        sqe::splice(pipe.read_end, sqe::file_position, pipe.write_end, sqe::file_position, 0).data(2).flag(link), 0,
        next, -EAGAIN);
    expect_next(
        sqe::splice(-1, sqe::file_position, pipe.write_end, sqe::file_position, 1).data(2).flag(IOSQE_IO_HARDLINK),
        -EBADF, next, -EAGAIN);
    const Fd nonblocking_file = memory_file_with("content");
    ASSERT_EQ(fcntl(nonblocking_file, F_SETFL, O_NONBLOCK), 0);
    for (const uint32_t length : {0u, 1u}) {
        expect_next_waits(sqe::read(nonblocking_file, bytes, length).data(2).flag(link), static_cast<int>(length),
                          next);
    }
    // What is left of a short read is a worker's.
    expect_next(sqe::read(nonblocking_file, bytes, 100).data(2).flag(IOSQE_IO_HARDLINK), 7, next, -EAGAIN);
    const TemporaryDirectory directory;
    const Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = {}};
    strcpy(name.sun_path, directory.path_of("socket").c_str());
    expect_next(Sqe(IORING_OP_BIND, socket)
                    .set(&Sqe::addr, reinterpret_cast<uintptr_t>(&name))
                    .set(&Sqe::addr2, sizeof(name))
                    .data(2)
                    .flag(link),
                0, next, -EAGAIN);
    const Fd on_disk = file_with("content");
    expect_next_waits(sqe::read(on_disk, nullptr, 0).data(2).flag(link), 0, next);
    expect_next(sqe::writev(on_disk, nullptr, 0).data(2).flag(link), 0, next, -EAGAIN);
    expect_next_waits(sqe::read(on_disk, bytes, 1).data(2).flag(link), 1, next);
}

TEST_P(BehindAWorker, opens_by_names_that_are_known_are_no_workers) {
    for (const uint32_t open_flags : {O_RDONLY, O_PATH, O_PATH | O_RDWR}) {
        const Sqe open = sqe::openat(AT_FDCWD, "/", open_flags | O_CLOEXEC).data(2).flag(link);
        const Fd known(::open("/", O_PATH | O_CLOEXEC));
        ASSERT_THAT(ring.submit(open, read_of(nonblocking.read_end)), Gives(2));
        const std::vector<Cqe> opened = ring.wait(1);
        ASSERT_EQ(opened.size(), 1u);
        EXPECT_EQ(opened[0].user_data, 2u);
        EXPECT_GE(Fd(opened[0].res).get(), 0);
        expect_waiting();
    }
}

TEST_P(BehindAWorker, requests_that_had_to_drain_are_as_if_they_had_asked_for_a_worker) {
    const Sqe drained = sqe::nop().data(2).flag(IOSQE_IO_DRAIN);
    ASSERT_THAT(ring.submit(drained, sqe::cancel(1).data(1)), Gives(2));
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(2, 0), Completes(1, -EALREADY)));
    // So is what was submitted behind it, its chain, too: that waits where others would give -EAGAIN.
    ASSERT_THAT(ring.submit(Sqe(drained).flag(link), read_of(nonblocking.read_end)), Gives(2));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(2, 0)));
    EXPECT_THAT(ring.linger(), IsEmpty());
    ASSERT_EQ(write(nonblocking.write_end, "x", 1), 1);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 1)));
}

TEST_P(BehindAWorker, requests_that_had_to_drain_wait_as_in_a_worker) {
    // One that goes on is not attempted before there is something, and an open waits for a FIFO's other end.
    const Ends ends = unix_pair(SOCK_STREAM);
    const Sqe repeated = receive(ends.near, nullptr, 0, IOSQE_BUFFER_SELECT, IORING_RECV_MULTISHOT).data(2);
    const Sqe waiting = sqe::poll_add(pipe.read_end, POLLIN).data(3);
    ASSERT_THAT(ring.submit(waiting, Sqe(repeated).flag(IOSQE_IO_DRAIN)), Gives(2));
    ASSERT_EQ(write(pipe.write_end, "x", 1), 1);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(3, POLLIN)));
    EXPECT_THAT(ring.linger(), IsEmpty());
    ASSERT_EQ(write(ends.far, "x", 1), 1);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(2, -ENOBUFS)));

    const TemporaryDirectory directory;
    const std::string path = directory.path_of("fifo");
    ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
    const Sqe open = sqe::openat(AT_FDCWD, path.c_str(), O_RDONLY | O_CLOEXEC).data(2);
    ASSERT_EQ(::read(pipe.read_end, bytes, 1), 1);
    ASSERT_THAT(ring.submit(waiting, Sqe(open).flag(IOSQE_IO_DRAIN)), Gives(2));
    ASSERT_EQ(write(pipe.write_end, "x", 1), 1);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(3, POLLIN)));
    EXPECT_THAT(ring.linger(), IsEmpty());
    const Fd other_end(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    const std::vector<Cqe> opened = ring.wait(1);
    ASSERT_EQ(opened.size(), 1u);
    EXPECT_GE(Fd(opened[0].res).get(), 0);
}

// Whether who finds no socket is the operation or who looks its file up.
TEST_P(BehindAWorker, requests_on_what_is_no_socket_stay_at_work_if_they_tell_so_themselves) {
    const sockaddr_storage name = {};
    const Sqe connect = Sqe(IORING_OP_CONNECT, file).set(&Sqe::addr, address_of(&name)).set(&Sqe::off, sizeof(name));
    const Sqe next = read_of(nonblocking.read_end);
    for (const auto& [sqe, stays] :
         {std::pair(connect, true), std::pair(Sqe(IORING_OP_ACCEPT, file), true),
          std::pair(Sqe(IORING_OP_SHUTDOWN, file), false), std::pair(Sqe(IORING_OP_LISTEN, file), false),
          std::pair(receive(file, bytes, 1), false)}) {
        SCOPED_TRACE(static_cast<int>(sqe.opcode));
        Sqe middle = sqe;
        ASSERT_THAT(ring.submit(by_worker(), middle.data(3).flag(IOSQE_IO_HARDLINK), next), Gives(3));
        if (stays) {
            EXPECT_THAT(ring.wait(3), ElementsAre(Completes(2, 0), Completes(3, -ENOTSOCK), Completes(1, -EAGAIN)));
        } else {
            EXPECT_THAT(ring.wait(2), ElementsAre(Completes(2, 0), Completes(3, -ENOTSOCK)));
            expect_waiting();
        }
    }
}

TEST_P(BehindAWorker, stays_at_work_through_requests_that_do_not_wait) {
    ASSERT_THAT(ring.submit(by_worker(), sqe::poll_add(pipe.write_end, POLLOUT).data(3).flag(link),
                            sqe::nop().data(4).flag(link), read_of(nonblocking.read_end)),
                Gives(4));
    EXPECT_THAT(ring.wait(4),
                ElementsAre(Completes(2, 0), Completes(3, POLLOUT), Completes(4, 0), Completes(1, -EAGAIN)));
}

TEST_P(BehindAWorker, request_that_failed_without_a_result_of_its_own_leaves_the_worker) {
    const Sqe next = read_of(nonblocking.read_end);
    constexpr unsigned flags = IOSQE_IO_HARDLINK | IOSQE_ASYNC;
    expect_next_waits(sqe::read(file, reinterpret_cast<void*>(8), 1).data(2).flag(flags), -EFAULT, next);
    expect_next_waits(sqe::read(-1, bytes, 1).data(2).flag(flags), -EBADF, next);
    expect_next_waits(Sqe(IORING_OP_SHUTDOWN, file).data(2).flag(flags), -ENOTSOCK, next);
    expect_next_waits(sqe::pipe(nullptr).data(2).flag(flags), -EFAULT, next);
    // So does one that is cancelled while it waits elsewhere.
    ASSERT_THAT(ring.submit(by_worker(), sqe::poll_add(pipe.read_end, POLLIN).data(3).flag(IOSQE_IO_HARDLINK), next),
                Gives(3));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(2, 0)));
    EXPECT_THAT(ring.linger(), IsEmpty());
    ASSERT_THAT(ring.submit(sqe::cancel(3).data(9)), Gives(1));
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(9, 0), Completes(3, -ECANCELED)));
    expect_waiting();
    // A failure that the operation itself reports does not, be it for want of a file.
    expect_next(sqe::fsync(nonblocking.read_end).data(2).flag(flags), -EINVAL, next, -EAGAIN);
    expect_next(sqe::linkat(-1, "a", -1, "b").data(2).flag(flags), -EBADF, next, -EAGAIN);
    const Fd reader(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
    expect_next(sqe::fallocate(reader, 0, 0, 1).data(2).flag(flags), -EBADF, next, -EAGAIN);
    const Fd path_only(open("/", O_PATH | O_CLOEXEC));
    expect_next_waits(sqe::fsync(path_only).data(2).flag(flags), -EBADF, next);
}

TEST_P(BehindAWorker, what_follows_a_receive_that_is_cancelled_blocks_too) {
    const Ends ends = unix_pair(SOCK_STREAM);
    const Sqe first = receive(ends.near, bytes, 1).data(2).flag(IOSQE_IO_HARDLINK);
    ASSERT_THAT(ring.submit(first, read_of(pipe.read_end, link).set(&Sqe::rw_flags, RWF_NOWAIT)), Gives(2));
    EXPECT_THAT(ring.linger(), IsEmpty());
    ASSERT_THAT(ring.submit(sqe::cancel(2).data(9)), Gives(1));
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(9, -EALREADY), Completes(2, -EINTR)));
    EXPECT_THAT(ring.linger(), IsEmpty());
    ASSERT_EQ(write(pipe.write_end, "x", 1), 1);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 1)));
}

TEST_P(BehindAWorker, link_timeout_of_a_blocked_request_does_not_begin) {
    const __kernel_timespec short_time = milliseconds_of(1);
    const Sqe timeout = sqe::timeout(&short_time).set(&Sqe::opcode, IORING_OP_LINK_TIMEOUT).data(3);
    ASSERT_THAT(ring.submit(by_worker(), read_of(pipe.read_end, link), timeout), Gives(3));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(2, 0)));
    EXPECT_THAT(ring.linger(), IsEmpty());
    ASSERT_EQ(write(pipe.write_end, "x", 1), 1);
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, 1), Completes(3, -ECANCELED)));
}

TEST_P(BehindAWorker, link_timeout_that_has_not_begun_goes_with_its_ring) {
    // There were two ways for such a time-out to be with its request when the ring was closed, and both were forgotten.
    const __kernel_timespec long_time = {100, 0};
    const Sqe timeout = sqe::timeout(&long_time).set(&Sqe::opcode, IORING_OP_LINK_TIMEOUT).data(3);
    ASSERT_THAT(ring.submit(by_worker(), read_of(pipe.read_end, link), timeout), Gives(3));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(2, 0)));
    ASSERT_THAT(ring.submit(sqe::nop().data(4).flag(IOSQE_IO_DRAIN | link), timeout), Gives(2));
    EXPECT_EQ(ring.close(), 0);
}

TEST_P(BehindAWorker, cancellation_finds_itself) {
    const Ends ends = unix_pair(SOCK_STREAM);
    expect_result(sqe::cancel(1).data(1).flag(IOSQE_ASYNC), -EALREADY);
    expect_result(sqe::cancel(1).data(1).flag(link), -EALREADY);
    expect_result(sqe::cancel(5).data(1).flag(IOSQE_ASYNC), -ENOENT);
    expect_result(sqe::cancel_fd(ends.near).data(1).flag(IOSQE_ASYNC), -EALREADY);
    expect_result(sqe::cancel_fd(-1).data(1).flag(IOSQE_ASYNC), -EBADF);
    expect_result(sqe::cancel(1, IORING_ASYNC_CANCEL_ALL).data(1).flag(IOSQE_ASYNC), 0);
    const auto by_opcode = [](uint8_t opcode) {
        return sqe::cancel(1, IORING_ASYNC_CANCEL_OP).set(&Sqe::len, opcode).data(1).flag(IOSQE_ASYNC);
    };
    expect_result(by_opcode(IORING_OP_ASYNC_CANCEL), -EALREADY);
    expect_result(by_opcode(IORING_OP_NOP), -ENOENT);
    expect_next(by_worker(), 0, sqe::cancel(1).data(1), -EALREADY);
}

}  // namespace
}  // namespace ringside::test
