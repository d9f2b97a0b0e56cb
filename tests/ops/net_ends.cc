// Receives where nothing more comes, or where what has come cannot be told: their results, and the hint that there is
// more (IORING_CQE_F_SOCK_NONEMPTY), for which TCP counts the end that its other side has sent.
#include <errno.h>
#include <gtest/gtest.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "ops/net_buffers.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

bool on_kernel() { return provider_under_test() == provider::Kind::kernel; }

// A receive of up to eight bytes in each of the forms that end with one completion.
struct Forms {
    Sqe plain(int fd, int flags = 0) { return sqe::recv(fd, bytes, sizeof(bytes), flags).data(1); }
    Sqe message(int fd, int flags = 0) {
        header.msg_iov = &vector;
        header.msg_iovlen = 1;
        return sqe::recvmsg(fd, &header, flags).data(1);
    }

    char bytes[8] = {};
    iovec vector = {bytes, sizeof(bytes)};
    msghdr header = {};
};

void expect_end(int fd, uint32_t flags) {
    RawRing ring;
    Forms forms;
    EXPECT_EQ(ring.run(forms.plain(fd)), (Cqe{1, 0, flags}));
    EXPECT_EQ(ring.run(forms.message(fd)), (Cqe{1, 0, flags}));
    EXPECT_EQ(ring.run(forms.plain(fd, MSG_WAITALL)), (Cqe{1, 0, flags}));
    EXPECT_EQ(ring.run(sqe::recv(fd, nullptr, 0).data(1)), (Cqe{1, 0, flags}));
    EXPECT_EQ(ring.run(forms.message(fd, MSG_WAITALL)), (Cqe{1, 0, flags}));
    Fixture selecting(2, 8);
    EXPECT_EQ(selecting.ring.run(recv_selecting(fd)), (Cqe{1, 0, flags}));
    EXPECT_EQ(selecting.ring.run(recv_multishot(fd)), (Cqe{1, 0, flags}));
}

TEST(EndOfTcp, that_the_other_side_has_sent_is_something_to_read) {
    Ends ends = tcp_pair();
    ASSERT_EQ(shutdown(ends.near, SHUT_WR), 0);
    expect_end(ends.far, nonempty);
    ASSERT_EQ(shutdown(ends.far, SHUT_WR), 0);
    expect_end(ends.far, nonempty);
    ends.near.reset();
    expect_end(ends.far, nonempty);
}

TEST(EndOfTcp, that_this_side_has_made_is_not) {
    for (const int how : {SHUT_RD, SHUT_RDWR}) {
        const Ends ends = tcp_pair();
        ASSERT_EQ(shutdown(ends.far, how), 0);
        expect_end(ends.far, 0);
    }
    const Fd unconnected(::socket(AF_INET, SOCK_STREAM, 0));
    EXPECT_EQ(shutdown(unconnected, SHUT_RDWR), -1);
    EXPECT_EQ(errno, ENOTCONN);
    expect_end(unconnected, 0);
}

// A worker that blocks in its call takes the end together with what came before it.
TEST(EndOfTcp, is_told_with_the_part_of_a_receive_of_all) {
    for (const bool as_message : {false, true}) {
        for (const unsigned flag : {0U, unsigned{IOSQE_ASYNC}, unsigned{IOSQE_IO_LINK}}) {
            SCOPED_TRACE(testing::Message() << as_message << ' ' << flag);
            RawRing ring;
            Forms forms;
            const Ends ends = tcp_pair();
            const Sqe whole = as_message ? forms.message(ends.far, MSG_WAITALL) : forms.plain(ends.far, MSG_WAITALL);
            ASSERT_THAT(ring.submit(Sqe(whole).flag(flag)), Gives(1));
            ASSERT_THAT(ring.linger(20), IsEmpty());
            say(ends.near, "abc");
            ASSERT_THAT(ring.linger(20), IsEmpty());
            ASSERT_EQ(shutdown(ends.near, SHUT_WR), 0);
            EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 3, flag == IOSQE_IO_LINK ? 0 : nonempty)));
        }
    }
}

// Of a connection that is over nothing tells whether it was reset.
TEST(EndOfTcp, by_a_reset_is_taken_for_an_end_that_was_sent_on_the_engine_alone) {
    Ends ends = tcp_pair();
    const linger at_once = {1, 0};
    ASSERT_EQ(setsockopt(ends.near, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
    ends.near.reset();
    RawRing ring;
    Forms forms;
    EXPECT_EQ(ring.run(forms.plain(ends.far)), (Cqe{1, -ECONNRESET, 0}));
    expect_end(ends.far, on_kernel() ? 0 : nonempty);
}

TEST(EndOfUnixStream, is_nothing_to_read) {
    const Ends ends = unix_pair(SOCK_STREAM);
    ASSERT_EQ(shutdown(ends.near, SHUT_WR), 0);
    expect_end(ends.far, 0);
}

// One that is shut down on this side is ready, and has nothing for a call that does not wait: the kernel leaves that to
// a worker, after it has tried often enough.
TEST(EndOfDatagrams, that_this_side_has_made_ends_what_waits) {
    for (const int how : {SHUT_RD, SHUT_RDWR}) {
        for (const int flags : {0, int{MSG_ERRQUEUE}}) {
            SCOPED_TRACE(testing::Message() << how << ' ' << flags);
            RawRing ring;
            Forms forms;
            const Ends ends = unix_pair(SOCK_DGRAM);
            ASSERT_THAT(ring.submit(forms.plain(ends.far, flags)), Gives(1));
            EXPECT_THAT(ring.linger(3), IsEmpty());
            ASSERT_EQ(shutdown(ends.far, how), 0);
            EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 0)));
            EXPECT_EQ(ring.run(forms.message(ends.far, flags)), (Cqe{1, 0, 0}));
            Fixture selecting(2, 8);
            EXPECT_EQ(selecting.ring.run(recv_selecting(ends.far, 0, 0, flags)), (Cqe{1, 0, with_buffer(0)}))
                << "a worker has used the buffer";
        }
    }
}

TEST(EndOfDatagrams, is_none_for_a_socket_that_does_not_wait) {
    RawRing ring;
    Forms forms;
    const Ends ends = unix_pair(SOCK_DGRAM);
    ASSERT_EQ(shutdown(ends.far, SHUT_RD), 0);
    EXPECT_THAT(ring.run(forms.plain(ends.far, MSG_DONTWAIT)), Gives(-EAGAIN));
}

// --- What cannot be told --------------------------------------------------------------------------------------------

Sqe recvmsg_multishot(int fd, msghdr* header, int flags = 0) {
    return sqe::selecting(sqe::recvmsg(fd, header, flags), group).set(&Sqe::ioprio, IORING_RECV_MULTISHOT).data(1);
}

// A ring whose one buffer is no memory at all.
struct Nowhere {
    Nowhere() : provided(ring, 4, group) { provided.add(page.address(), 64, 0); }
    RawRing ring;
    ForbiddenPage page;
    BufferRing provided;
};

// A stream throws away what it is to truncate: then the receive itself touches no memory.
TEST(Multishot, message_without_memory_for_its_header_has_come_nevertheless) {
    for (const bool end : {false, true}) {
        for (const char* text : {"abc", "abcdefgh"}) {
            Nowhere nowhere;
            msghdr header = {};
            const Ends ends = tcp_pair();
            say(ends.near, text);
            // Room for four bytes.
            nowhere.provided.entry(0).len = sizeof(io_uring_recvmsg_out) + 4;
            if (end) {
                ASSERT_EQ(shutdown(ends.near, SHUT_WR), 0);
            }
            const uint32_t flags = end || strlen(text) > 4 ? nonempty : 0;
            EXPECT_EQ(nowhere.ring.run(recvmsg_multishot(ends.far, &header, MSG_TRUNC)), (Cqe{1, -EFAULT, flags}));
        }
    }
}

TEST(Multishot, message_into_no_memory_has_not_come) {
    Nowhere nowhere;
    msghdr header = {};
    const Ends ends = tcp_pair();
    say(ends.near, "abc");
    EXPECT_EQ(nowhere.ring.run(recvmsg_multishot(ends.far, &header)), (Cqe{1, -EFAULT, 0}));
    EXPECT_EQ(drain(ends.far), 3u);
}

// A datagram that there is no room for, and no memory for its header either.
TEST(Multishot, datagram_without_memory_or_room_is_no_crash) {
    Nowhere nowhere;
    nowhere.provided.entry(0).len = sizeof(io_uring_recvmsg_out);
    msghdr header = {};
    const Ends ends = unix_pair(SOCK_DGRAM);
    say(ends.near, "abc");
    EXPECT_EQ(nowhere.ring.run(recvmsg_multishot(ends.far, &header, MSG_TRUNC)), (Cqe{1, -EFAULT, 0}));
}

// The call says -EFAULT, and not that it was for the answer, which comes after the data.
TEST(Message, whose_header_cannot_be_written_has_its_hint_in_the_kernel_alone) {
    RawRing ring;
    char bytes[3];
    iovec vector = {bytes, sizeof(bytes)};
    void* const page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(page, MAP_FAILED);
    auto* const header = new (page) msghdr{};
    header->msg_iov = &vector;
    header->msg_iovlen = 1;
    ASSERT_EQ(mprotect(page, 4096, PROT_READ), 0);
    const Ends ends = unix_pair(SOCK_STREAM);
    say(ends.near, "abcdef");
    EXPECT_EQ(ring.run(sqe::recvmsg(ends.far, header).data(1)), (Cqe{1, -EFAULT, on_kernel() ? nonempty : 0}));
    EXPECT_EQ(drain(ends.far), 3u);
    munmap(page, 4096);
}

}  // namespace
}  // namespace ringside::test
