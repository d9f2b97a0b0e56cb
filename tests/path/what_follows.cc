// Who does what follows a request in its chain: the worker that did the request, which the next then blocks or answers
// in, or nobody in particular, so that the next may wait. That depends on the request's end: the kernel's workers hand
// on what they have given a result to, and not what they gave up, which its submitter ends.
#include <errno.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <functional>

#include "ops/net_sqe.h"
#include "support/eventually.h"
#include "support/interruption.h"
#include "support/sqe_files.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;
using testing::Field;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

constexpr uint16_t group = 7, no_group = 8;

// Where a worker stands when it has done the request with user_data 2: the next of its chain is a read with user_data 1
// that finds nothing, on a file that does not let its caller wait.
class WhatFollows : public testing::Test {
  protected:
    enum class Then { answers, waits };
    struct Case {
        Sqe sqe;
        int result;
        Then then;
    };
    enum class Way { asked, behind, both };

    Sqe receive(unsigned msg_flags = 0, unsigned ioprio = 0) {
        return sqe::recv(ends.near, &byte, 1, static_cast<int>(msg_flags)).set(&Sqe::ioprio, ioprio);
    }
    Sqe send(unsigned msg_flags = 0, unsigned ioprio = 0) {
        return sqe::send(full.near, &byte, 1, static_cast<int>(msg_flags)).set(&Sqe::ioprio, ioprio);
    }
    static Sqe selecting(Sqe sqe, uint16_t from = group) {
        return sqe.set(&Sqe::len, 0).flag(IOSQE_BUFFER_SELECT).set(&Sqe::buf_group, from);
    }
    static Sqe selecting_message(Sqe sqe, uint16_t from = group) {
        return sqe.flag(IOSQE_BUFFER_SELECT).set(&Sqe::buf_group, from);
    }
    static Sqe again_and_again(Sqe sqe, uint16_t from = group) {
        return selecting(sqe, from).set(&Sqe::ioprio, IORING_RECV_MULTISHOT);
    }
    Sqe read_again_and_again(int fd, uint16_t from = group) {
        return selecting(Sqe(IORING_OP_READ_MULTISHOT, fd).set(&Sqe::off, sqe::file_position), from);
    }

    // Submits it in a chain with the read, as one that asks for a worker or as one that comes behind what a worker
    // does.
    void submit(Sqe sqe, Way way) {
        sqe.data(2).flag(IOSQE_IO_HARDLINK);
        const Sqe next = sqe::read(nonblocking.read_end, &byte, 1).data(1);
        if (way == Way::asked) {
            ASSERT_THAT(ring.submit(sqe.flag(IOSQE_ASYNC), next), Gives(2));
        } else {
            const Sqe before = sqe::fsync(file).flag(IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS);
            ASSERT_THAT(ring.submit(before, sqe, next), Gives(3));
        }
    }
    // Cancels the request with user_data 2, which waits. Until what is before it in its chain is done, nobody finds it.
    void cancel_when_it_has_begun() {
        std::vector<Cqe> ended = ring.linger(20);
        EXPECT_THAT(ended, IsEmpty());
        EXPECT_TRUE(eventually([&] {
            EXPECT_THAT(ring.submit(sqe::cancel(2).data(9)), Gives(1));
            ended = ring.wait(1);
            return ended.empty() || ended[0].user_data != 9 || ended[0].res != -ENOENT;
        }));
        for (const Cqe& other : ring.wait(2 - ended.size())) ended.push_back(other);
        EXPECT_THAT(ended, UnorderedElementsAre(Completes(9, 0), Completes(2, -ECANCELED)));
    }
    void expect_next_waits() {
        const std::vector<Cqe> early = ring.linger(5);
        if (goes_on_seldom.excuses(early)) return;
        EXPECT_THAT(early, IsEmpty());
        ASSERT_THAT(ring.submit(sqe::cancel(1).data(9)), Gives(1));
        EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(9, 0), Completes(1, -ECANCELED)));
    }
    void expect_end(int result, Then then) {
        if (then == Then::answers) {
            EXPECT_THAT(ring.wait(2), ElementsAre(Completes(2, result), Completes(1, -EAGAIN)));
        } else {
            std::vector<Cqe> ended = ring.wait(1);
            ASSERT_FALSE(ended.empty());
            EXPECT_THAT(ended[0], Completes(2, result));
            if (ended.size() == 1) return expect_next_waits();
            ended.erase(ended.begin());
            EXPECT_TRUE(goes_on_seldom.excuses(ended));
        }
    }
    void expect(const std::vector<Case>& cases, Way way = Way::both) {
        for (size_t i = 0; i < cases.size(); ++i) {
            for (const Way one : {Way::asked, Way::behind}) {
                if (way != Way::both && way != one) continue;
                SCOPED_TRACE(std::to_string(i) + (one == Way::asked ? ", asked for" : ", behind a worker's"));
                submit(cases[i].sqe, one);
                expect_end(cases[i].result, cases[i].then);
            }
        }
    }

    void provide(unsigned count) {
        ASSERT_THAT(ring.run(sqe::transfer(IORING_OP_PROVIDE_BUFFERS, static_cast<int>(count), pool, sizeof(pool[0]), 0)
                                 .set(&Sqe::buf_group, group)),
                    Gives(0));
    }

    RawRing ring;
    GoesOnSeldom goes_on_seldom;
    Ends ends = unix_pair(SOCK_STREAM), full = unix_pair(SOCK_STREAM);
    const Pipe pipe, nonblocking{O_NONBLOCK};
    const Fd file = memory_file_with("content");
    const Local listener{SOCK_STREAM};
    char pool[8][16] = {};
    char byte = 'b';
    iovec piece = {&byte, 1};
    msghdr message = {.msg_name = nullptr,
                      .msg_namelen = 0,
                      .msg_iov = &piece,
                      .msg_iovlen = 1,
                      .msg_control = nullptr,
                      .msg_controllen = 0,
                      .msg_flags = 0};
};

TEST_F(WhatFollows, transfers_that_must_not_wait) {
    fill(full.near);
    provide(8);
    const std::vector<Sqe> transfers = {receive(MSG_DONTWAIT),
                                        receive(MSG_DONTWAIT | MSG_WAITALL),
                                        selecting(receive(MSG_DONTWAIT)),
                                        sqe::recvmsg(ends.near, &message, MSG_DONTWAIT),
                                        selecting_message(sqe::recvmsg(ends.near, &message, MSG_DONTWAIT)),
                                        send(MSG_DONTWAIT),
                                        sqe::sendmsg(full.near, &message, MSG_DONTWAIT)};
    for (size_t i = 0; i < transfers.size(); ++i) {
        SCOPED_TRACE(i);
        // A worker that was asked for would poll, and gives it up; in a call that blocks -EAGAIN is the call's answer.
        expect({{transfers[i], -EAGAIN, Then::waits}}, Way::asked);
        expect({{transfers[i], -EAGAIN, Then::answers}}, Way::behind);
    }
    const Sqe accept = sqe::accept(listener.fd);
    expect({{Sqe(accept).set(&Sqe::ioprio, IORING_ACCEPT_DONTWAIT), -EAGAIN, Then::answers}}, Way::asked);
    // Reads and writes are given up in either case.
    expect({{sqe::read(nonblocking.read_end, &byte, 1).set(&Sqe::rw_flags, RWF_NOWAIT), -EAGAIN, Then::waits}});
    expect({{sqe::read(pipe.read_end, &byte, 1).set(&Sqe::rw_flags, RWF_NOWAIT), -EAGAIN, Then::waits}}, Way::asked);
    // So is what was to poll first where nobody polls.
    expect({{receive(MSG_DONTWAIT, IORING_RECVSEND_POLL_FIRST), -EAGAIN, Then::waits},
            {Sqe(accept).set(&Sqe::ioprio, IORING_ACCEPT_DONTWAIT | IORING_ACCEPT_POLL_FIRST), -EAGAIN, Then::waits}});
    expect({{receive(0, IORING_RECVSEND_POLL_FIRST), -EAGAIN, Then::waits}}, Way::behind);
}

TEST_F(WhatFollows, transfers_without_a_provided_buffer) {
    const Sqe bundle = receive(0, IORING_RECVSEND_BUNDLE);
    // What a worker makes is no bundle.
    expect({{selecting(receive(), no_group), -ENOBUFS, Then::answers},
            {selecting(bundle, no_group), -ENOBUFS, Then::answers},
            {selecting_message(sqe::recvmsg(ends.near, &message), no_group), -ENOBUFS, Then::waits},
            {selecting(sqe::read(nonblocking.read_end, nullptr, 1), no_group), -ENOBUFS, Then::waits},
            {selecting(send(), no_group), -ENOENT, Then::waits}});
}

// They only wait in a worker, whatever they were told, and are no worker's when that has ended.
TEST_F(WhatFollows, requests_that_go_on) {
    const Sqe accept = sqe::accept(listener.fd);
    const Sqe message_again =
        selecting_message(sqe::recvmsg(ends.near, &message, MSG_DONTWAIT)).set(&Sqe::ioprio, IORING_RECV_MULTISHOT);
    for (const Sqe& sqe : {again_and_again(receive(MSG_DONTWAIT)), message_again,
                           Sqe(accept).set(&Sqe::ioprio, IORING_ACCEPT_DONTWAIT | IORING_ACCEPT_MULTISHOT)}) {
        for (const Way way : {Way::asked, Way::behind}) {
            SCOPED_TRACE(static_cast<int>(sqe.opcode));
            submit(sqe, way);
            cancel_when_it_has_begun();
            expect_next_waits();
        }
    }
    // Each ends with what comes.
    provide(2);
    const Sqe limited = again_and_again(receive()).set(&Sqe::optlen, 1);
    for (const auto& [sqe, result] : {std::pair(again_and_again(receive(), no_group), -ENOBUFS), std::pair(limited, 3),
                                      std::pair(read_again_and_again(pipe.read_end, no_group), -ENOBUFS)}) {
        for (const Way way : {Way::asked, Way::behind}) {
            SCOPED_TRACE(static_cast<int>(sqe.opcode));
            submit(sqe, way);
            EXPECT_THAT(ring.linger(5), IsEmpty());
            ASSERT_EQ(write(ends.far, "abc", 3), 3);
            ASSERT_EQ(write(pipe.write_end, "abc", 3), 3);
            EXPECT_THAT(ring.wait(1), ElementsAre(Field(&Cqe::res, result)));
            expect_next_waits();
            drain(ends.near);
            ASSERT_EQ(::read(pipe.read_end, pool, 3), 3);
        }
    }
    expect({{read_again_and_again(file), -EBADFD, Then::waits}});
}

// A worker tries once more to write what is left, and gives up when that fails; a read is content with its part.
TEST_F(WhatFollows, transfers_of_memory_that_ends) {
    const ForbiddenPage page;
    const iovec parts[] = {{&byte, 1}, {page.address(), 1}};
    expect({{sqe::writev(file, parts, 2), 1, Then::waits}, {sqe::readv(file, parts, 2), 1, Then::answers}});
}

// A record is not all that was asked for, but no worker comes back for the next.
TEST_F(WhatFollows, receives_of_all_that_have_one_record) {
    for (const int type : {SOCK_SEQPACKET, SOCK_DGRAM}) {
        const Ends pair = unix_pair(type);
        const auto expect_record = [&](const Sqe& sqe, Then then) {
            SCOPED_TRACE(type);
            ASSERT_EQ(::send(pair.far, "x", 1, 0), 1);
            expect({{sqe, 1, then}}, Way::behind);
        };
        const Then then = type == SOCK_SEQPACKET ? Then::waits : Then::answers;
        expect_record(sqe::recv(pair.near, pool, 8, MSG_WAITALL), then);
        iovec room = {pool, 8};
        msghdr record = message;
        record.msg_iov = &room;
        expect_record(sqe::recvmsg(pair.near, &record, MSG_WAITALL), then);
        char control[64];
        record.msg_control = control;
        record.msg_controllen = sizeof(control);
        expect_record(sqe::recvmsg(pair.near, &record, MSG_WAITALL), Then::answers);
        expect_record(sqe::recv(pair.near, pool, 1, MSG_WAITALL), Then::answers);
    }
}

// What a worker was to poll for first, and finds ready, it does in a call that blocks.
TEST_F(WhatFollows, transfers_that_poll_first_and_are_ready) {
    const Sqe receive_all = sqe::recv(ends.near, pool, 8, MSG_WAITALL).set(&Sqe::ioprio, IORING_RECVSEND_POLL_FIRST);
    ASSERT_EQ(::send(ends.far, "abc", 3, 0), 3);
    const auto submit_it = [&] { EXPECT_THAT(ring.submit(Sqe(receive_all).data(1).flag(IOSQE_ASYNC)), Gives(1)); };
    const Interruption seen = interrupt(ring, submit_it);
    EXPECT_THAT(seen.cancellation, Gives(-EALREADY));
    EXPECT_THAT(seen.request, Gives(3));
}

TEST_F(WhatFollows, what_fails) {
    epoll_event event = {};
    const Fd set(epoll_create1(EPOLL_CLOEXEC)), counter(eventfd(0, EFD_CLOEXEC));
    const Fd directory(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const Fd unconnected(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const Fd without_peer(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    uint32_t word = 0;
    void* const nowhere = reinterpret_cast<void*>(8);
    constexpr Then answers = Then::answers, waits = Then::waits;
    // The operation has given it a result.
    expect({{sqe::openat(AT_FDCWD, "/nowhere", O_RDONLY), -ENOENT, answers},
            {sqe::fallocate(pipe.write_end, 0, 0, 1), -ESPIPE, answers},
            {sqe::epoll_wait(set, &event, 0), -EINVAL, answers},
            {sqe::epoll_ctl(pipe.read_end, EPOLL_CTL_ADD, counter, &event), -EINVAL, answers},
            {sqe::timeout_remove(77), -ENOENT, answers},
            {sqe::cancel(77), -ENOENT, answers},
            {sqe::close(1'000'000), -EBADF, answers},
            {sqe::shutdown(without_peer, SHUT_RDWR), -ENOTCONN, answers},
            {sqe::recv(unconnected, &byte, 1), -ENOTCONN, answers},
            {sqe::send(unconnected, &byte, 1), -EPIPE, answers},
            {sqe::splice(-1, sqe::file_position, pipe.write_end, sqe::file_position, 1), -EBADF, answers},
            {Sqe(IORING_OP_MSG_RING, pipe.read_end), -EBADFD, answers},
            {Sqe(IORING_OP_URING_CMD, ends.near).set(&Sqe::cmd_op, 99), -EOPNOTSUPP, answers},
            {sqe::futex_wait(&word, 5), -EAGAIN, answers}});
    // The kernel has given it up.
    expect({{sqe::poll_remove(77), -ENOENT, waits},
            {Sqe(IORING_OP_MSG_RING, -1), -EBADF, waits},
            {Sqe(IORING_OP_URING_CMD, file), -EOPNOTSUPP, waits},
            {Sqe(IORING_OP_FIXED_FD_INSTALL, 0).flag(IOSQE_FIXED_FILE), -EBADF, waits},
            {sqe::recv(-1, &byte, 1), -EBADF, waits},
            {sqe::read(pipe.write_end, &byte, 1), -EBADF, waits},
            {sqe::read(directory, &byte, 1), -EISDIR, waits},
            {sqe::read(file, nowhere, 1), -EFAULT, waits},
            {sqe::write(counter, &byte, 1), -EINVAL, waits}});
}

}  // namespace
}  // namespace ringside::test
