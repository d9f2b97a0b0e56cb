// What a worker does with a request. The kernel leaves to one what asks for it (IOSQE_ASYNC), a chain that its
// submission left open, and what follows in a chain behind a request that a worker has done (workers_in_chains.cc). The
// first kind waits for readiness where it can; the others block in their call, and a program can tell.
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>

#include "path/at_work.h"
#include "support/eventually.h"
#include "support/sqe_files.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

INSTANTIATE_TEST_SUITE_P(Modes, AtWork, testing::Values(0U, deferred),
                         [](const testing::TestParamInfo<unsigned>& mode) {
                             return std::string(mode.param == 0 ? "plain" : "deferred");
                         });

// --- A chain that its submission left open --------------------------------------------------------------------------

TEST_P(AtWork, head_of_an_open_chain_blocks) {
    const Ends ends = unix_pair(SOCK_STREAM);
    const Listener listener;
    const Fd counter(eventfd(0, 0));
    expect_blocks(read_of(pipe.read_end, link), -EINTR);
    expect_blocks(receive(ends.near, bytes, 1, link), -EINTR);
    expect_blocks(accept_on(listener.fd, link), -EINTR);
    expect_blocks(sqe::read(counter, bytes, 8).data(1).flag(IOSQE_IO_HARDLINK), -EINTR);
}

TEST_P(AtWork, blocked_request_is_not_counted_by_who_cancels_all) {
    constexpr unsigned all = IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_ANY;
    const auto submit = [&] { EXPECT_THAT(ring.submit(read_of(pipe.read_end, link)), Gives(1)); };
    const Interruption seen = interrupt(ring, submit, sqe::cancel(0, all));
    EXPECT_THAT(seen.cancellation, Gives(0));
    EXPECT_THAT(seen.request, Gives(-EINTR));
}

TEST_P(AtWork, blocked_request_ends_when_its_file_is_ready) {
    ASSERT_THAT(ring.submit(read_of(pipe.read_end, link), sqe::nop().data(3).flag(link)), Gives(2));
    EXPECT_THAT(ring.linger(), IsEmpty());
    ASSERT_EQ(write(pipe.write_end, "x", 1), 1);
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, 1), Completes(3, 0)));
    EXPECT_EQ(bytes[0], 'x');
}

TEST_P(AtWork, blocked_write_goes_on_until_all_is_written) {
    ASSERT_THAT(ring.submit(sqe::write(pipe.write_end, bytes, 200'000).data(1).flag(link)), Gives(1));
    EXPECT_THAT(ring.linger(), IsEmpty());
    // Where the ring defers, the request may have to be got on with by who waits for it.
    size_t drained = 0;
    EXPECT_TRUE(eventually([&] {
        drained += pipe.drain();
        ring.enter(0, 0, IORING_ENTER_GETEVENTS);
        return drained == 200'000;
    }));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 200'000)));

    const Ends ends = unix_pair(SOCK_STREAM);
    for (const Sqe& sqe :
         {send_of(ends.near, bytes, large, link), sqe::write(ends.near, bytes, large).data(1).flag(link)}) {
        ASSERT_THAT(ring.submit(sqe), Gives(1));
        drained = 0;
        EXPECT_TRUE(eventually([&] {
            for (ssize_t got; (got = recv(ends.far, bytes, large, MSG_DONTWAIT)) > 0;)
                drained += static_cast<size_t>(got);
            ring.enter(0, 0, IORING_ENTER_GETEVENTS);
            return drained == large;
        }));
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, large)));
    }
}

TEST_P(AtWork, blocked_write_that_is_cancelled_tells_what_was_written) {
    expect_blocks(sqe::write(pipe.write_end, bytes, 200'000).data(1).flag(link), 65536);
    const Ends ends = unix_pair(SOCK_STREAM);
    ASSERT_EQ(write(ends.far, "x", 1), 1);
    expect_blocks(receive(ends.near, bytes, 2, link).set(&Sqe::msg_flags, MSG_WAITALL), 1);
}

// A worker's write raises SIGPIPE in the worker, where it means nothing.
TEST_P(AtWork, write_that_nobody_reads_raises_no_signal) {
    static std::atomic<int> raised;
    raised = 0;
    const auto before = signal(SIGPIPE, [](int) { ++raised; });
    for (const unsigned flag : {link, unsigned{IOSQE_ASYNC}}) {
        for (const bool to_socket : {true, false}) {
            for (const bool waits : {true, false}) {
                Ends ends = to_socket ? unix_pair(SOCK_STREAM) : Ends{};
                Pipe target;
                const int fd = to_socket ? ends.near : target.write_end;
                EXPECT_EQ(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
                while (waits && write(fd, bytes, large) > 0) {
                }
                EXPECT_EQ(fcntl(fd, F_SETFL, 0), 0);
                Fd& other_end = to_socket ? ends.far : target.read_end;
                if (!waits) other_end.reset();
                ASSERT_THAT(ring.submit(sqe::write(fd, bytes, 1).data(1).flag(flag)), Gives(1));
                if (waits) {
                    EXPECT_THAT(ring.linger(), IsEmpty());
                    other_end.reset();
                }
                // A call that was blocked knows why its reader has gone: without reading all.
                const bool knows_why = to_socket && waits && flag == link;
                EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, knows_why ? -ECONNRESET : -EPIPE)));
            }
        }
    }
    EXPECT_EQ(raised, 0);
    sigset_t pending;
    EXPECT_EQ(sigpending(&pending), 0);
    EXPECT_EQ(sigismember(&pending, SIGPIPE), 0);
    // What the submitter writes itself raises it.
    Pipe target;
    target.read_end.reset();
    expect_result(sqe::write(target.write_end, bytes, 1).data(1), -EPIPE);
    EXPECT_EQ(raised, 1);
    signal(SIGPIPE, before);
}

TEST_P(AtWork, blocked_send_tells_why_its_reader_has_gone) {
    for (const unsigned flag : {link, unsigned{IOSQE_ASYNC}}) {
        Ends ends = unix_pair(SOCK_STREAM);
        while (send(ends.near, bytes, large, MSG_DONTWAIT) > 0) {
        }
        ASSERT_THAT(ring.submit(send_of(ends.near, bytes, 1, flag)), Gives(1));
        EXPECT_THAT(ring.linger(), IsEmpty());
        ends.far.reset();
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, flag == link ? -ECONNRESET : -EPIPE)));
    }
}

TEST_P(AtWork, blocked_receive_of_all_is_content_with_one_record) {
    const Ends ends = unix_pair(SOCK_SEQPACKET);
    const auto all = [&](unsigned flags) {
        return receive(ends.near, bytes, 2, flags).set(&Sqe::msg_flags, MSG_WAITALL);
    };
    ASSERT_THAT(ring.submit(all(link)), Gives(1));
    EXPECT_THAT(ring.linger(), IsEmpty());
    ASSERT_EQ(write(ends.far, "x", 1), 1);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 1)));
    // One that waits for readiness is not.
    ASSERT_EQ(write(ends.far, "x", 1), 1);
    ASSERT_THAT(ring.submit(all(0)), Gives(1));
    EXPECT_THAT(ring.linger(), IsEmpty());
    ASSERT_EQ(write(ends.far, "y", 1), 1);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 2)));
}

TEST_P(AtWork, request_that_asked_for_a_worker_waits_for_readiness_and_is_content_with_a_part) {
    ASSERT_THAT(ring.submit(read_of(pipe.read_end, IOSQE_ASYNC)), Gives(1));
    expect_waiting();
    ASSERT_THAT(ring.submit(read_of(nonblocking.read_end, IOSQE_ASYNC | link)), Gives(1));
    expect_waiting();
    ASSERT_THAT(ring.submit(sqe::write(pipe.write_end, bytes, 200'000).data(1).flag(IOSQE_ASYNC)), Gives(1));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 65536)));
}

TEST_P(AtWork, nonblocking_file_keeps_reads_and_writes_from_blocking) {
    const Ends ends = unix_pair(SOCK_STREAM | SOCK_NONBLOCK);
    const iovec vector = {bytes, 1};
    const Listener listener(SOCK_NONBLOCK);
    expect_result(read_of(nonblocking.read_end, link), -EAGAIN);
    expect_result(sqe::readv(ends.near, &vector, 1).data(1).flag(IOSQE_IO_HARDLINK), -EAGAIN);
    expect_result(accept_on(listener.fd, link), -EAGAIN);
    expect_result(sqe::write(nonblocking.write_end, bytes, 200'000).data(1).flag(link), 65536);
    expect_result(sqe::write(nonblocking.write_end, bytes, 1).data(1).flag(link), -EAGAIN);
    // An eventfd takes what it has room for, and knows no other way of not waiting.
    const Fd counter(eventfd(0, EFD_NONBLOCK));
    const uint64_t most = UINT64_MAX - 1, one = 1;
    expect_result(sqe::write(counter, &most, 8).data(1).flag(link), 8);
    expect_result(sqe::write(counter, &one, 8).data(1).flag(link), -EAGAIN);

    msghdr header = {};
    iovec whole = {bytes, large};
    header.msg_iov = &whole;
    header.msg_iovlen = 1;
    expect_result(sqe::transfer(IORING_OP_RECVMSG, ends.near, &header, 1, 0).data(1).flag(link), -EAGAIN);
    while (send(ends.near, bytes, 4096, MSG_DONTWAIT) > 0) {
    }
    expect_result(sqe::transfer(IORING_OP_SENDMSG, ends.near, &header, 1, 0).data(1).flag(link), -EAGAIN);
}

TEST_P(AtWork, nonblocking_file_on_disk_is_like_any_other) {
    const Fd file = file_with("content", O_NONBLOCK);
    expect_result(sqe::write(file, "CON", 3).data(1).flag(link), 3);
    expect_result(sqe::read(file, bytes, 7).data(1).flag(link), 7);
    EXPECT_STREQ(bytes, "CONtent");
}

TEST_P(AtWork, nonblocking_socket_does_not_keep_plain_receives_from_blocking) {
    const Ends ends = unix_pair(SOCK_STREAM | SOCK_NONBLOCK);
    expect_blocks(receive(ends.near, bytes, 1, link), -EINTR);
    expect_result(receive(ends.near, bytes, 1, link).set(&Sqe::msg_flags, MSG_DONTWAIT), -EAGAIN);
}

TEST_P(AtWork, flags_of_reads_and_accepts_do_not_keep_them_from_blocking) {
    const Listener listener;
    expect_blocks(read_of(pipe.read_end, link).set(&Sqe::rw_flags, RWF_NOWAIT), -EINTR);
    expect_blocks(accept_on(listener.fd, link, IORING_ACCEPT_DONTWAIT), -EINTR);
    // Where a worker was asked for they do.
    expect_result(read_of(pipe.read_end, IOSQE_ASYNC).set(&Sqe::rw_flags, RWF_NOWAIT), -EAGAIN);
    expect_result(accept_on(listener.fd, IOSQE_ASYNC, IORING_ACCEPT_DONTWAIT), -EAGAIN);
}

TEST_P(AtWork, connection_that_cannot_wait_is_in_progress) {
    const Listener listener;
    const auto connect_by = [&](int fd, unsigned flags) {
        return Sqe(IORING_OP_CONNECT, fd)
            .set(&Sqe::addr, address_of(&listener.address))
            .set(&Sqe::addr2, sizeof(listener.address))
            .data(1)
            .flag(flags);
    };
    const Fd nonblocking_one(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    expect_result(connect_by(nonblocking_one, link), -EINPROGRESS);
    const Fd asking_one(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    expect_result(connect_by(asking_one, IOSQE_ASYNC), 0);
    const Fd blocking_one(socket(AF_INET, SOCK_STREAM, 0));
    expect_result(connect_by(blocking_one, link), 0);
}

TEST_P(AtWork, poll_first_has_nothing_to_poll_with) {
    const Ends ends = unix_pair(SOCK_STREAM);
    const Listener listener;
    expect_result(receive(ends.near, bytes, 1, link, IORING_RECVSEND_POLL_FIRST), -EAGAIN);
    expect_result(send_of(ends.near, bytes, 1, link, IORING_RECVSEND_POLL_FIRST), -EAGAIN);
    expect_result(accept_on(listener.fd, link, IORING_ACCEPT_POLL_FIRST), -EAGAIN);
    expect_result(accept_on(-1, link, IORING_ACCEPT_POLL_FIRST), -EBADF);
    expect_result(receive(-1, bytes, 1, link, IORING_RECVSEND_POLL_FIRST), -EBADF);
    // Who asked for a worker polls.
    expect_result(send_of(ends.near, bytes, 1, IOSQE_ASYNC, IORING_RECVSEND_POLL_FIRST), 1);
    ASSERT_THAT(ring.submit(receive(ends.near, bytes, 1, IOSQE_ASYNC, IORING_RECVSEND_POLL_FIRST)), Gives(1));
    expect_waiting();
}

TEST_P(AtWork, epoll_wait_does_not_block) {
    const Fd set(epoll_create1(EPOLL_CLOEXEC));
    epoll_event events[4] = {};
    events[0].events = EPOLLIN;
    ASSERT_EQ(epoll_ctl(set, EPOLL_CTL_ADD, pipe.read_end, events), 0);
    const Sqe wait = sqe::transfer(IORING_OP_EPOLL_WAIT, set, events, 4, 0).data(1);
    expect_result(Sqe(wait).flag(link), -EAGAIN);
    ASSERT_THAT(ring.submit(Sqe(wait).flag(IOSQE_ASYNC)), Gives(1));
    expect_waiting();
}

TEST_P(AtWork, polls_timeouts_and_multishots_are_what_they_always_are) {
    const Listener listener;
    const __kernel_timespec long_time = {100, 0};
    ASSERT_THAT(ring.submit(sqe::poll_add(pipe.read_end, POLLIN).data(1).flag(link)), Gives(1));
    expect_waiting();
    ASSERT_THAT(ring.submit(accept_on(listener.fd, link, IORING_ACCEPT_MULTISHOT)), Gives(1));
    expect_waiting();
    ASSERT_THAT(ring.submit(sqe::timeout(&long_time).data(1).flag(link)), Gives(1));
    expect_waiting();
}

TEST_P(AtWork, multishot_waits_before_it_is_attempted) {
    // Nobody has provided a buffer, which only an attempt would find out.
    const Ends ends = unix_pair(SOCK_STREAM);
    const Sqe read =
        Sqe(IORING_OP_READ_MULTISHOT, pipe.read_end).set(&Sqe::off, ~0ULL).data(1).flag(IOSQE_BUFFER_SELECT);
    const Sqe repeated = receive(ends.near, nullptr, 0, IOSQE_BUFFER_SELECT, IORING_RECV_MULTISHOT);
    for (const unsigned flag : {unsigned{IOSQE_ASYNC}, link}) {
        for (const Sqe& sqe : {read, repeated}) {
            ASSERT_THAT(ring.submit(Sqe(sqe).flag(flag)), Gives(1));
            expect_waiting();
        }
    }
}

TEST_P(AtWork, multishot_on_a_file_that_is_never_waited_for_is_not_begun) {
    const Fd file = memory_file_with("content");
    const Fd zero(open("/dev/zero", O_RDWR | O_CLOEXEC));
    for (const int fd : {file.get(), zero.get()}) {
        for (const unsigned flag : {unsigned{IOSQE_ASYNC}, link}) {
            expect_result(accept_on(fd, flag, IORING_ACCEPT_MULTISHOT), -EBADFD);
            expect_result(receive(fd, nullptr, 0, flag | IOSQE_BUFFER_SELECT, IORING_RECV_MULTISHOT), -EBADFD);
            expect_result(accept_on(fd, flag, IORING_ACCEPT_POLL_FIRST), -EAGAIN);
        }
        expect_result(accept_on(fd, 0, IORING_ACCEPT_MULTISHOT | IORING_ACCEPT_POLL_FIRST), -EBADFD);
        expect_result(accept_on(fd, 0, IORING_ACCEPT_MULTISHOT), -ENOTSOCK);
    }
    const Fd path_only(open("/", O_PATH | O_CLOEXEC));
    for (const unsigned flag : {0u, IOSQE_ASYNC + 0u, link}) {
        for (const unsigned ioprio : {IORING_ACCEPT_POLL_FIRST, IORING_ACCEPT_MULTISHOT}) {
            expect_result(accept_on(path_only, flag, ioprio), -EBADF);
        }
        expect_result(receive(path_only, bytes, 1, flag, IORING_RECVSEND_POLL_FIRST), -EBADF);
    }
}

TEST_P(AtWork, blocked_request_takes_a_provided_buffer) {
    const Ends ends = unix_pair(SOCK_STREAM);
    char pool[2][64];
    const Sqe provide = sqe::transfer(IORING_OP_PROVIDE_BUFFERS, 2, pool, 64, 0).set(&Sqe::buf_group, 7);
    ASSERT_THAT(ring.run(provide), Gives(0));
    ASSERT_EQ(write(ends.far, "abc", 3), 3);
    ASSERT_THAT(ring.submit(receive(ends.near, nullptr, 0, link | IOSQE_BUFFER_SELECT).set(&Sqe::buf_group, 7)),
                Gives(1));
    std::vector<Cqe> completions = ring.wait(1);
    ASSERT_EQ(completions.size(), 1u);
    EXPECT_EQ(completions[0].res, 3);
    EXPECT_TRUE(completions[0].flags & IORING_CQE_F_BUFFER);
    ASSERT_THAT(
        ring.submit(
            sqe::read(pipe.read_end, nullptr, 64).data(1).flag(link | IOSQE_BUFFER_SELECT).set(&Sqe::buf_group, 7)),
        Gives(1));
    EXPECT_THAT(ring.linger(), IsEmpty());
    ASSERT_EQ(write(pipe.write_end, "de", 2), 2);
    completions = ring.wait(1);
    ASSERT_EQ(completions.size(), 1u);
    EXPECT_EQ(completions[0].res, 2);
    EXPECT_TRUE(completions[0].flags & IORING_CQE_F_BUFFER);
}

TEST_P(AtWork, open_of_a_fifo_waits_for_its_other_end) {
    const TemporaryDirectory directory;
    const std::string path = directory.path_of("fifo");
    ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
    ASSERT_THAT(ring.submit(sqe::openat(AT_FDCWD, path.c_str(), O_RDONLY | O_CLOEXEC).data(1).flag(link)), Gives(1));
    EXPECT_THAT(ring.linger(), IsEmpty());
    const Fd other_end(open(path.c_str(), O_WRONLY | O_CLOEXEC));
    const std::vector<Cqe> completions = ring.wait(1);
    ASSERT_EQ(completions.size(), 1u);
    const Fd opened(completions[0].res);
    EXPECT_GE(opened, 0);
}

TEST_P(AtWork, chain_that_had_to_drain_is_a_workers_whatever_it_consists_of) {
    ASSERT_THAT(
        ring.submit(sqe::nop().data(2).flag(IOSQE_IO_DRAIN), sqe::nop().data(3).flag(link), sqe::cancel(1).data(1)),
        Gives(3));
    EXPECT_THAT(ring.wait(3), ElementsAre(Completes(2, 0), Completes(3, 0), Completes(1, -EALREADY)));
}

// All that had to drain is the workers' at once, so a cancellation comes upon what is behind it, if it is not too late.
TEST_P(AtWork, cancellation_that_had_to_drain_finds_what_is_behind_it) {
    const Sqe drained = sqe::nop().data(2).flag(IOSQE_IO_DRAIN);
    constexpr unsigned any = IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL;
    for (const Sqe& cancel : {sqe::cancel(0, any).data(1), sqe::cancel(3).data(1)}) {
        Sqe found = cancel;
        ASSERT_THAT(ring.submit(drained, found, sqe::nop().data(3)), Gives(3));
        const std::vector<Cqe> ended = ring.wait(3);
        if (GetParam() == deferred) {
            EXPECT_THAT(ended, UnorderedElementsAre(Completes(2, 0), Completes(1, 0), Completes(3, -ECANCELED)));
        } else {
            EXPECT_THAT(ended, testing::Contains(AnyOf(Completes(3, -ECANCELED), Completes(3, 0))));
        }
    }
    // One that did not have to comes too early.
    ASSERT_THAT(ring.submit(drained), Gives(1));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(2, 0)));
    ASSERT_THAT(ring.submit(sqe::nop().data(3), sqe::cancel(0, any).data(1)), Gives(2));
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, 0), Completes(3, 0)));
    // Nor is what drains itself found, which is held back until the cancellation is done.
    ASSERT_THAT(ring.submit(drained, sqe::cancel(0, any).data(1), Sqe(drained).data(3)), Gives(3));
    EXPECT_THAT(ring.wait(3), UnorderedElementsAre(Completes(2, 0), Completes(1, 0), Completes(3, 0)));
}

}  // namespace
}  // namespace ringside::test
