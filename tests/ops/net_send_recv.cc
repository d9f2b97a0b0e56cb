// SEND and RECV that need not wait: what they transfer, what they refuse, and when they sever a chain.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <string.h>

#include <string>
#include <vector>

#include "ops/net_sqe.h"
#include "support/eventually.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

constexpr uint32_t more_to_read = IORING_CQE_F_SOCK_NONEMPTY;

TEST(Send, and_recv_transfer_bytes) {
    for (const SocketPair& pair : socket_pairs) {
        SCOPED_TRACE(pair.name);
        RawRing ring;
        const Ends ends = pair.make();
        char buffer[8] = {};
        EXPECT_THAT(ring.run(sqe::send(ends.near, "hello", 5).data(1)), Gives(5));
        EXPECT_THAT(ring.run(sqe::recv(ends.far, buffer, sizeof(buffer)).data(2)), Gives(5));
        EXPECT_STREQ(buffer, "hello");
    }
}

TEST(Send, and_recv_of_one_submission_meet) {
    for (const SocketPair& pair : socket_pairs) {
        SCOPED_TRACE(pair.name);
        RawRing ring;
        const Ends ends = pair.make();
        char buffer[8] = {};
        EXPECT_THAT(ring.submit(sqe::recv(ends.far, buffer, 5).data(1), sqe::send(ends.near, "hello", 5).data(2)),
                    Gives(2));
        EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, 5), Completes(2, 5)));
        EXPECT_STREQ(buffer, "hello");
    }
}

TEST(Send, of_nothing_succeeds) {
    RawRing ring;
    const Ends ends = tcp_pair();
    EXPECT_THAT(ring.run(sqe::send(ends.near, nullptr, 0)), Gives(0));
}

TEST(Send, to_who_has_closed_gives_epipe_without_a_signal) {
    RawRing ring;
    Ends ends = unix_pair(SOCK_STREAM);
    ends.far.reset();
    EXPECT_THAT(ring.run(sqe::send(ends.near, "x", 1)), Gives(-EPIPE));
    msghdr message = {};
    EXPECT_THAT(ring.run(sqe::sendmsg(ends.near, &message)), Gives(-EPIPE));
}

TEST(Send, with_an_address_goes_there) {
    for (const unsigned flag : {0U, IOSQE_ASYNC, IOSQE_IO_LINK}) {
        RawRing ring;
        const Local receiver(SOCK_DGRAM);
        const Fd sender(::socket(AF_INET, SOCK_DGRAM, 0));
        const Sqe entry = sqe::sendto(sender, "hello", 5, &receiver.address, sizeof(receiver.address));
        EXPECT_THAT(ring.run(Sqe(entry).flag(flag)), Gives(5));
        char buffer[8] = {};
        EXPECT_THAT(ring.run(sqe::recv(receiver.fd, buffer, sizeof(buffer))), Gives(5));
        EXPECT_STREQ(buffer, "hello");
    }
}

TEST(Send, checks_its_address_when_it_is_submitted) {
    const Local receiver(SOCK_DGRAM);
    const ForbiddenPage forbidden;
    char address[200] = {};
    struct Case {
        const void* address;
        uint16_t length;
        int result;
    };
    for (const Case& bad : {Case{forbidden.address(), 16, -EFAULT}, Case{address, 129, -EINVAL}}) {
        RawRing ring;
        // The error of a submission ends it: the NOP behind it stays in the SQ.
        EXPECT_THAT(ring.submit(sqe::sendto(receiver.fd, "x", 1, bad.address, bad.length).data(1), sqe::nop().data(2)),
                    Gives(1));
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, bad.result)));
        EXPECT_THAT(ring.submit_pushed(1), Gives(1));
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(2, 0)));
    }
    RawRing ring;
    EXPECT_THAT(ring.run(sqe::sendto(receiver.fd, "x", 1, address, 0)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::sendto(receiver.fd, "x", 1, nullptr, 16)), Gives(-EDESTADDRREQ));
}

TEST(Send, of_iovecs_joins_them) {
    for (const unsigned flag : {0U, IOSQE_ASYNC}) {
        RawRing ring;
        const Ends ends = unix_pair(SOCK_STREAM);
        const iovec vectors[] = {{const_cast<char*>("hel"), 3}, {nullptr, 0}, {const_cast<char*>("lo"), 2}};
        const Sqe entry = sqe::send(ends.near, vectors, 3).set(&Sqe::ioprio, IORING_SEND_VECTORIZED);
        EXPECT_THAT(ring.run(Sqe(entry).flag(flag)), Gives(5));
        char buffer[8] = {};
        EXPECT_EQ(::recv(ends.far, buffer, sizeof(buffer), MSG_DONTWAIT), 5);
        EXPECT_STREQ(buffer, "hello");
        EXPECT_THAT(ring.run(Sqe(entry).set(&Sqe::len, 1025)), Gives(-EINVAL));
        EXPECT_THAT(ring.run(Sqe(entry).set(&Sqe::addr, 8)), Gives(-EFAULT));
        EXPECT_THAT(ring.run(Sqe(entry).set(&Sqe::len, 0)), Gives(0));
    }
}

TEST(Recv, gives_zero_at_the_end_of_a_stream) {
    for (const SocketPair& pair : socket_pairs) {
        if (!pair.stream) continue;
        SCOPED_TRACE(pair.name);
        RawRing ring;
        Ends ends = pair.make();
        ends.near.reset();
        char byte;
        // TCP counts its end as something to read.
        const bool tcp = std::string(pair.name) == "TCP";
        EXPECT_EQ(ring.run(sqe::recv(ends.far, &byte, 1).data(1)), (Cqe{1, 0, tcp ? more_to_read : 0}));
    }
}

TEST(Recv, tells_of_a_stream_whether_there_is_more) {
    for (const SocketPair& pair : socket_pairs) {
        SCOPED_TRACE(pair.name);
        RawRing ring;
        const Ends ends = pair.make();
        char buffer[8];
        const auto flag_if = [&](bool more) { return more && pair.stream ? more_to_read : 0; };
        for (int round = 0; round < 2; ++round) EXPECT_EQ(::send(ends.near, "hello", 5, 0), 5);
        EXPECT_EQ(ring.run(sqe::recv(ends.far, buffer, 5, MSG_PEEK).data(1)), (Cqe{1, 5, flag_if(true)}));
        EXPECT_EQ(ring.run(sqe::recv(ends.far, buffer, 5).data(2)), (Cqe{2, 5, flag_if(true)}));
        EXPECT_EQ(ring.run(sqe::recv(ends.far, buffer, 5).data(3)), (Cqe{3, 5, 0}));
        EXPECT_EQ(::send(ends.near, "hello", 5, 0), 5);
        EXPECT_EQ(ring.run(sqe::recv(ends.far, buffer, 8).data(4)), (Cqe{4, 5, 0}));
        EXPECT_EQ(::send(ends.near, "hello", 5, 0), 5);
        iovec vector = {buffer, 2};
        msghdr message = {};
        message.msg_iov = &vector;
        message.msg_iovlen = 1;
        EXPECT_EQ(ring.run(sqe::recvmsg(ends.far, &message).data(5)), (Cqe{5, 2, flag_if(true)}));
    }
}

TEST(Recv, hint_of_a_socket_that_was_always_empty_may_be_late) {
    RawRing ring;
    const Ends ends = tcp_pair();
    char buffer[4];
    for (int turn = 0; turn < 20; ++turn) {
        ASSERT_EQ(::send(ends.near, "word", 4, 0), 4);
        ASSERT_EQ(ring.run(sqe::recv(ends.far, buffer, 4)), (Cqe{0, 4, 0}));
    }
    const std::string words(4 * 40, 'w');
    ASSERT_EQ(::send(ends.near, words.data(), words.size(), 0), static_cast<ssize_t>(words.size()));
    int without = 0;
    while (ring.run(sqe::recv(ends.far, buffer, 4)).flags == 0) ++without;
    EXPECT_LT(without, provider_under_test() == provider::Kind::kernel ? 1 : 17);
    // From then on it is asked each time.
    EXPECT_EQ(ring.run(sqe::recv(ends.far, buffer, 4)), (Cqe{0, 4, IORING_CQE_F_SOCK_NONEMPTY}));
}

TEST(Recv, may_miss_the_end_of_a_connection_in_its_hint) {
    // docs/differences.md: that TCP has ended is not to be seen beside the data that came before it.
    RawRing ring;
    Ends ends = tcp_pair();
    char buffer[8];
    EXPECT_EQ(::send(ends.near, "hello", 5, 0), 5);
    ends.near.reset();
    const bool kernel = provider_under_test() == provider::Kind::kernel;
    EXPECT_EQ(ring.run(sqe::recv(ends.far, buffer, 8).data(1)), (Cqe{1, 5, kernel ? more_to_read : 0}));
    EXPECT_EQ(ring.run(sqe::recv(ends.far, buffer, 8).data(1)), (Cqe{1, 0, more_to_read}));
}

TEST(Recv, that_is_cut_short_has_no_hint_on_the_engine) {
    RawRing ring;
    const Ends ends = unix_pair(SOCK_STREAM);
    const ForbiddenPage page;
    EXPECT_EQ(::send(ends.near, "a", 1, 0), 1);
    EXPECT_EQ(::send(ends.near, "0123456789", 10, 0), 10);
    const bool kernel = provider_under_test() == provider::Kind::kernel;
    EXPECT_EQ(ring.run(sqe::recv(ends.far, page.brink(4), 100).data(1)), (Cqe{1, 1, kernel ? more_to_read : 0}));
    EXPECT_EQ(ring.run(sqe::recv(ends.far, page.brink(4), 4).data(1)), (Cqe{1, 4, more_to_read}));
    const Ends urgent = unix_pair(SOCK_STREAM);
    char buffer[100];
    EXPECT_EQ(::send(urgent.near, "hello!", 6, MSG_OOB), 6);
    EXPECT_EQ(ring.run(sqe::recv(urgent.far, buffer, 100).data(1)), (Cqe{1, 5, kernel ? more_to_read : 0}));
}

TEST(Recv, of_a_datagram_that_does_not_fit_loses_the_rest) {
    RawRing ring;
    const Ends ends = unix_pair(SOCK_DGRAM);
    char buffer[8];
    EXPECT_EQ(::send(ends.near, "hello", 5, 0), 5);
    EXPECT_EQ(::send(ends.near, "there", 5, 0), 5);
    EXPECT_THAT(ring.run(sqe::recv(ends.far, buffer, 3)), Gives(3));
    // MSG_TRUNC asks for the length that it had.
    EXPECT_THAT(ring.run(sqe::recv(ends.far, buffer, 3, MSG_TRUNC)), Gives(5));
}

TEST(Recv, that_must_not_wait_gives_eagain) {
    for (const SocketPair& pair : socket_pairs) {
        SCOPED_TRACE(pair.name);
        RawRing ring;
        const Ends ends = pair.make();
        char buffer[8];
        EXPECT_THAT(ring.run(sqe::recv(ends.far, buffer, 8, MSG_DONTWAIT)), Gives(-EAGAIN));
        msghdr message = {};
        EXPECT_THAT(ring.run(sqe::recvmsg(ends.far, &message, MSG_DONTWAIT)), Gives(-EAGAIN));
        // To wait first is the contrary of that.
        EXPECT_EQ(::send(ends.near, "x", 1, 0), 1);
        EXPECT_THAT(
            ring.run(sqe::recv(ends.far, buffer, 8, MSG_DONTWAIT).set(&Sqe::ioprio, IORING_RECVSEND_POLL_FIRST)),
            Gives(-EAGAIN));
    }
}

TEST(Send, that_must_not_wait_gives_eagain) {
    RawRing ring;
    const Ends ends = unix_pair(SOCK_STREAM);
    fill(ends.near);
    EXPECT_THAT(ring.run(sqe::send(ends.near, "x", 1, MSG_DONTWAIT)), Gives(-EAGAIN));
}

TEST(Sockets, are_needed) {
    const Pipe pipe;
    const Fd file = file_with("content");
    char byte = 0;
    msghdr message = {};
    for (const int fd : {pipe.read_end.get(), file.get()}) {
        RawRing ring;
        for (const Sqe& entry :
             {sqe::recv(fd, &byte, 1), sqe::send(fd, &byte, 1), sqe::sendmsg(fd, &message), sqe::recvmsg(fd, &message),
              sqe::accept(fd), sqe::connect(fd, "1234567890123456", 16), sqe::bind(fd, "1234567890123456", 16),
              sqe::listen(fd, 1), sqe::shutdown(fd, SHUT_RD)}) {
            for (const unsigned flag : {0U, IOSQE_ASYNC}) {
                EXPECT_THAT(ring.run(Sqe(entry).flag(flag)), Gives(-ENOTSOCK)) << "opcode " << int{entry.opcode};
            }
        }
    }
}

TEST(Sockets, that_do_not_exist_give_ebadf) {
    RawRing ring;
    constexpr int nowhere = 1'000'000;
    char byte = 0;
    msghdr message = {};
    for (const Sqe& entry :
         {sqe::recv(nowhere, &byte, 1), sqe::send(nowhere, &byte, 1), sqe::sendmsg(nowhere, &message),
          sqe::recvmsg(nowhere, &message), sqe::accept(nowhere), sqe::connect(nowhere, "1234567890123456", 16),
          sqe::bind(nowhere, "1234567890123456", 16), sqe::listen(nowhere, 1), sqe::shutdown(nowhere, SHUT_RD)}) {
        for (const unsigned flag : {0U, IOSQE_ASYNC, IOSQE_FIXED_FILE}) {
            EXPECT_THAT(ring.run(Sqe(entry).flag(flag)), Gives(-EBADF)) << "opcode " << int{entry.opcode};
        }
    }
}

TEST(Sockets, buffers_that_cannot_be_anybodys_fail_the_submission) {
    const Ends ends = tcp_pair();
    const auto impossible = reinterpret_cast<void*>(~uintptr_t{0});
    for (const Sqe& bad : {sqe::send(ends.near, impossible, 1), sqe::recv(ends.near, impossible, 1)}) {
        RawRing ring;
        EXPECT_THAT(ring.submit(Sqe(bad).data(1), sqe::nop()), Gives(1));
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, -EFAULT)));
    }
    for (const Sqe& bad : {sqe::send(ends.near, &ends, size_t{1} << 31), sqe::recv(ends.near, nullptr, ~0U)}) {
        RawRing ring;
        EXPECT_THAT(ring.submit(Sqe(bad).data(1), sqe::nop()), Gives(1));
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, -EINVAL)));
    }
}

TEST(Sockets, buffers_that_cannot_be_read_or_written_give_efault) {
    const ForbiddenPage forbidden;
    for (const SocketPair& pair : socket_pairs) {
        SCOPED_TRACE(pair.name);
        RawRing ring;
        const Ends ends = pair.make();
        EXPECT_THAT(ring.run(sqe::send(ends.near, forbidden.address(), 1)), Gives(-EFAULT));
        EXPECT_EQ(::send(ends.near, "x", 1, 0), 1);
        EXPECT_THAT(ring.run(sqe::recv(ends.far, forbidden.address(), 1)), Gives(-EFAULT));
    }
}

TEST(Sockets, refuse_flags_of_other_operations) {
    RawRing ring;
    const Ends ends = tcp_pair();
    char byte = 0;
    msghdr message = {};
    struct Case {
        Sqe entry;
        uint16_t allowed;
    };
    const Case cases[] = {
        {sqe::send(ends.near, &byte, 1), IORING_RECVSEND_POLL_FIRST | IORING_RECVSEND_BUNDLE | IORING_SEND_VECTORIZED},
        {sqe::sendmsg(ends.near, &message), IORING_RECVSEND_POLL_FIRST | IORING_SEND_VECTORIZED},
        {sqe::recv(ends.near, &byte, 1, MSG_DONTWAIT), IORING_RECVSEND_POLL_FIRST | IORING_RECVSEND_BUNDLE},
        {sqe::recvmsg(ends.near, &message, MSG_DONTWAIT), IORING_RECVSEND_POLL_FIRST},
    };
    for (const Case& one : cases) {
        for (unsigned bit = 0; bit < 16; ++bit) {
            if (one.allowed & (1U << bit)) continue;
            EXPECT_THAT(ring.run(Sqe(one.entry).set(&Sqe::ioprio, 1U << bit)), Gives(-EINVAL))
                << "opcode " << int{one.entry.opcode} << ", bit " << bit;
        }
    }
}

TEST(Chain, goes_on_after_a_short_transfer) {
    for (const SocketPair& pair : socket_pairs) {
        SCOPED_TRACE(pair.name);
        RawRing ring;
        const Ends ends = pair.make();
        char buffer[8];
        EXPECT_EQ(::send(ends.near, "hello", 5, 0), 5);
        EXPECT_THAT(ring.submit(sqe::recv(ends.far, buffer, 8).data(1).flag(IOSQE_IO_LINK), sqe::nop().data(2)),
                    Gives(2));
        EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, 5), Completes(2, 0)));
    }
    RawRing ring;
    const Ends ends = unix_pair(SOCK_STREAM);
    const std::string much(4 << 20, 'x');
    EXPECT_THAT(
        ring.submit(sqe::send(ends.near, much.data(), much.size()).data(1).flag(IOSQE_IO_LINK), sqe::nop().data(2)),
        Gives(2));
    const std::vector<Cqe> completions = ring.wait(2);
    ASSERT_EQ(completions.size(), 2u);
    EXPECT_LT(completions[0].res, static_cast<int>(much.size()));
    EXPECT_EQ(static_cast<size_t>(completions[0].res), drain(ends.far));
    EXPECT_EQ(completions[1], (Cqe{2, 0, 0}));
}

TEST(Chain, ends_after_an_error) {
    RawRing ring;
    const Ends ends = unix_pair(SOCK_STREAM);
    char byte;
    EXPECT_THAT(
        ring.submit(sqe::recv(ends.far, &byte, 1, MSG_DONTWAIT).data(1).flag(IOSQE_IO_LINK), sqe::nop().data(2)),
        Gives(2));
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, -EAGAIN), Completes(2, -ECANCELED)));
}

TEST(Chain, of_send_and_recv_runs_in_order) {
    for (const SocketPair& pair : socket_pairs) {
        SCOPED_TRACE(pair.name);
        RawRing ring;
        const Ends ends = pair.make();
        char there[8] = {}, back[8] = {};
        EXPECT_THAT(ring.submit(sqe::send(ends.near, "ping", 4).data(1).flag(IOSQE_IO_LINK),
                                sqe::recv(ends.far, there, 4).data(2).flag(IOSQE_IO_LINK),
                                sqe::send(ends.far, there, 4).data(3).flag(IOSQE_IO_LINK),
                                sqe::recv(ends.near, back, 4).data(4)),
                    Gives(4));
        EXPECT_THAT(ring.wait(4), ElementsAre(Completes(1, 4), Completes(2, 4), Completes(3, 4), Completes(4, 4)));
        EXPECT_STREQ(back, "ping");
    }
}

TEST(WaitAll, of_what_is_there_is_done_at_once) {
    for (const SocketPair& pair : socket_pairs) {
        SCOPED_TRACE(pair.name);
        RawRing ring;
        const Ends ends = pair.make();
        char buffer[8] = {};
        EXPECT_EQ(::send(ends.near, "hello", 5, 0), 5);
        EXPECT_THAT(
            ring.submit(sqe::recv(ends.far, buffer, 5, MSG_WAITALL).data(1).flag(IOSQE_IO_LINK), sqe::nop().data(2)),
            Gives(2));
        EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, 5), Completes(2, 0)));
    }
}

TEST(WaitAll, severs_a_chain_when_the_stream_ends_early) {
    for (const SocketPair& pair : socket_pairs) {
        if (!pair.stream) continue;
        SCOPED_TRACE(pair.name);
        RawRing ring;
        Ends ends = pair.make();
        char buffer[8] = {};
        EXPECT_EQ(::send(ends.near, "hello", 5, 0), 5);
        ends.near.reset();
        EXPECT_THAT(
            ring.submit(sqe::recv(ends.far, buffer, 8, MSG_WAITALL).data(1).flag(IOSQE_IO_LINK), sqe::nop().data(2)),
            Gives(2));
        const std::vector<Cqe> completions = ring.wait(2);
        ASSERT_EQ(completions.size(), 2u);
        EXPECT_EQ(completions[0].res, 5);
        EXPECT_EQ(completions[1], (Cqe{2, -ECANCELED, 0}));
    }
}

TEST(WaitAll, severs_a_chain_when_a_datagram_is_not_what_was_asked_for) {
    RawRing ring;
    const Ends ends = unix_pair(SOCK_DGRAM);
    char buffer[8];
    for (const size_t length : {size_t{8}, size_t{3}}) {
        EXPECT_EQ(::send(ends.near, "hello", 5, 0), 5);
        EXPECT_THAT(ring.submit(sqe::recv(ends.far, buffer, length, MSG_WAITALL).data(1).flag(IOSQE_IO_LINK),
                                sqe::nop().data(2)),
                    Gives(2));
        const int received = length < 5 ? 3 : 5;
        EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, received), Completes(2, -ECANCELED)));
    }
}

TEST(WaitAll, that_must_not_wait_gives_a_part_and_severs_a_chain) {
    for (const SocketPair& pair : socket_pairs) {
        SCOPED_TRACE(pair.name);
        RawRing ring;
        const Ends ends = pair.make();
        char buffer[8];
        EXPECT_EQ(::send(ends.near, "hello", 5, 0), 5);
        EXPECT_THAT(ring.submit(sqe::recv(ends.far, buffer, 8, MSG_WAITALL | MSG_DONTWAIT).data(1).flag(IOSQE_IO_LINK),
                                sqe::nop().data(2)),
                    Gives(2));
        EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, 5), Completes(2, -ECANCELED)));
    }
}

TEST(ReceiveIntoDevice, is_refused_without_one) {
    RawRing ring;
    const Ends ends = tcp_pair();
    for (const unsigned flags : {0U, IORING_RECV_MULTISHOT}) {
        EXPECT_THAT(ring.run(Sqe(IORING_OP_RECV_ZC, ends.near).set(&Sqe::ioprio, flags)), Gives(-EINVAL));
    }
}

TEST(Send, with_more_to_come_waits_for_it) {
    RawRing ring;
    const Ends ends = tcp_pair();
    char buffer[16] = {};
    EXPECT_THAT(ring.run(sqe::send(ends.near, "first ", 6, MSG_MORE)), Gives(6));
    EXPECT_EQ(::recv(ends.far, buffer, sizeof(buffer), MSG_DONTWAIT), -1);
    EXPECT_THAT(ring.run(sqe::send(ends.near, "second", 6)), Gives(6));
    EXPECT_EQ(receive_all(ends.far, 12), "first second");
}

}  // namespace
}  // namespace ringside::test
