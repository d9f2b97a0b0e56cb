// Receives into provided buffers, once and again and again, and sends from them.
#include <errno.h>
#include <gtest/gtest.h>
#include <string.h>
#include <sys/un.h>

#include <string>
#include <vector>

#include "ops/net_buffers.h"
#include "support/eventually.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

TEST(SelectingRecv, takes_the_next_buffer) {
    for (const SocketPair& pair : socket_pairs) {
        for (const unsigned flag : {0U, IOSQE_ASYNC, IOSQE_IO_LINK}) {
            SCOPED_TRACE(pair.name);
            Fixture fixture(2, 8);
            const Ends ends = pair.make();
            say(ends.near, "hello");
            EXPECT_EQ(fixture.ring.run(recv_selecting(ends.far).flag(flag)), (Cqe{1, 5, with_buffer(0)}));
            EXPECT_EQ(fixture.buffers.text(0, 5), "hello");
            EXPECT_THAT(fixture.ring.submit(recv_selecting(ends.far).flag(flag)), Gives(1));
            EXPECT_THAT(fixture.ring.linger(3), IsEmpty());
            say(ends.near, "there");
            EXPECT_THAT(fixture.ring.wait(1), ElementsAre(Completes(1, 5, with_buffer(1))));
            EXPECT_EQ(fixture.buffers.text(1, 5), "there");
            EXPECT_EQ(fixture.ring.run(recv_selecting(ends.far).flag(flag)), (Cqe{1, -ENOBUFS, 0}));
        }
    }
}

TEST(SelectingRecv, holds_no_buffer_while_it_waits) {
    Fixture fixture(1, 8);
    const Ends silent = tcp_pair(), ready = tcp_pair();
    say(ready.near, "hello");
    EXPECT_THAT(fixture.ring.submit(recv_selecting(silent.far), recv_selecting(ready.far).data(2)), Gives(2));
    EXPECT_THAT(fixture.ring.wait(1), ElementsAre(Completes(2, 5, with_buffer(0))));
    say(silent.near, "late");
    EXPECT_THAT(fixture.ring.wait(1), ElementsAre(Completes(1, -ENOBUFS)));
}

TEST(SelectingRecv, takes_no_more_than_it_wants) {
    Fixture fixture(2, 8);
    const Ends ends = unix_pair(SOCK_STREAM);
    say(ends.near, "hello");
    EXPECT_EQ(fixture.ring.run(recv_selecting(ends.far, 3)), (Cqe{1, 3, with_buffer(0, nonempty)}));
}

TEST(SelectingRecv, gives_its_buffer_back_at_the_end_of_the_stream) {
    for (const SocketPair& pair : socket_pairs) {
        if (!pair.stream) continue;
        SCOPED_TRACE(pair.name);
        Fixture fixture(1, 8);
        Ends ends = pair.make();
        ends.near.reset();
        EXPECT_EQ(fixture.ring.run(recv_selecting(ends.far)).res, 0);
        EXPECT_EQ(fixture.ring.run(recv_selecting(ends.far)).res, 0);
        EXPECT_EQ(head_of_ring(fixture.ring, group), 0);
    }
}

TEST(SelectingRecv, fills_its_buffer_if_it_waits_for_all) {
    Fixture fixture(2, 8);
    const Ends ends = unix_pair(SOCK_STREAM);
    EXPECT_THAT(fixture.ring.submit(recv_selecting(ends.far, 8, 0, MSG_WAITALL)), Gives(1));
    for (const char* part : {"abc", "def"}) {
        say(ends.near, part);
        EXPECT_THAT(fixture.ring.linger(3), IsEmpty());
    }
    say(ends.near, "gh");
    EXPECT_THAT(fixture.ring.wait(1), ElementsAre(Completes(1, 8, with_buffer(0))));
    EXPECT_EQ(fixture.buffers.text(0, 8), "abcdefgh");
}

TEST(SelectingRecv, needs_a_group) {
    RawRing ring;
    const Ends ends = tcp_pair();
    EXPECT_THAT(ring.run(recv_selecting(ends.far)), Gives(-ENOBUFS));
    EXPECT_THAT(ring.run(recv_multishot(ends.far)), Gives(-ENOBUFS));
    EXPECT_THAT(ring.run(send_selecting(ends.far)), Gives(-ENOENT));
    EXPECT_THAT(ring.run(send_selecting(ends.far, 0, IORING_RECVSEND_BUNDLE)), Gives(-ENOENT));
}

TEST(SelectingRecv, works_with_classic_buffers) {
    RawRing ring;
    Buffers buffers(2, 8);
    const Ends ends = tcp_pair();
    EXPECT_THAT(ring.run(sqe::provide(buffers, 2, group)), Gives(0));
    say(ends.near, "hello");
    EXPECT_EQ(ring.run(recv_selecting(ends.far)), (Cqe{1, 5, with_buffer(0)}));
    EXPECT_THAT(ring.submit(recv_multishot(ends.far)), Gives(1));
    say(ends.near, "there");
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 5, with_buffer(1, more))));
    EXPECT_EQ(buffers.text(1, 5), "there");
    say(ends.near, "again");
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, -ENOBUFS)));
}

TEST(SelectingRecvmsg, puts_the_payload_into_the_buffer) {
    Fixture fixture(1, 8);
    const Local receiver(SOCK_DGRAM), sender(SOCK_DGRAM);
    sockaddr_storage from = {};
    iovec vector = {nullptr, 5};
    msghdr header = {};
    header.msg_iov = &vector;
    header.msg_iovlen = 1;
    header.msg_name = &from;
    header.msg_namelen = sizeof(from);
    EXPECT_THAT(fixture.ring.submit(sqe::selecting(sqe::recvmsg(receiver.fd, &header), group).data(1)), Gives(1));
    EXPECT_EQ(::sendto(sender.fd, "hello!", 6, 0, receiver.generic(), sizeof(receiver.address)), 6);
    EXPECT_THAT(fixture.ring.wait(1), ElementsAre(Completes(1, 5, with_buffer(0))));
    EXPECT_EQ(fixture.buffers.text(0, 6), "hello.");
    EXPECT_EQ(header.msg_flags, MSG_TRUNC);
    EXPECT_EQ(memcmp(&from, &sender.address, sizeof(sockaddr_in)), 0);
    header.msg_iovlen = 2;
    EXPECT_THAT(fixture.ring.run(sqe::selecting(sqe::recvmsg(receiver.fd, &header), group)), Gives(-EINVAL));
}

TEST(MultishotRecv, receives_again_and_again) {
    for (const SocketPair& pair : socket_pairs) {
        for (const unsigned flag : {0U, IOSQE_ASYNC}) {
            SCOPED_TRACE(pair.name);
            Fixture fixture(8, 8);
            const Ends ends = pair.make();
            EXPECT_THAT(fixture.ring.submit(recv_multishot(ends.far).flag(flag)), Gives(1));
            for (unsigned round = 0; round < 5; ++round) {
                say(ends.near, "hello");
                EXPECT_THAT(fixture.ring.wait(1), ElementsAre(Completes(1, 5, with_buffer(round, more))));
                EXPECT_EQ(fixture.buffers.text(round, 5), "hello");
            }
            EXPECT_THAT(fixture.ring.linger(3), IsEmpty());
            EXPECT_THAT(fixture.ring.submit(sqe::cancel(1).data(2)), Gives(1));
            EXPECT_THAT(fixture.ring.wait(2), UnorderedElementsAre(Completes(1, -ECANCELED), Completes(2, 0)));
        }
    }
}

TEST(MultishotRecv, takes_what_is_there_already) {
    Fixture fixture(4, 4);
    const Ends ends = tcp_pair();
    say(ends.near, "abcdefghij");
    EXPECT_THAT(fixture.ring.submit(recv_multishot(ends.far)), Gives(1));
    EXPECT_THAT(fixture.ring.wait(3),
                ElementsAre(Completes(1, 4, with_buffer(0, more | nonempty)),
                            Completes(1, 4, with_buffer(1, more | nonempty)), Completes(1, 2, with_buffer(2, more))));
    EXPECT_EQ(fixture.buffers.text(1, 4), "efgh");
}

TEST(MultishotRecv, ends_with_the_stream) {
    for (const SocketPair& pair : socket_pairs) {
        if (!pair.stream) continue;
        SCOPED_TRACE(pair.name);
        Fixture fixture(4, 8);
        Ends ends = pair.make();
        EXPECT_THAT(fixture.ring.submit(recv_multishot(ends.far)), Gives(1));
        say(ends.near, "hello");
        EXPECT_THAT(fixture.ring.wait(1), ElementsAre(Completes(1, 5, with_buffer(0, more))));
        ends.near.reset();
        const std::vector<Cqe> completions = fixture.ring.wait(1);
        ASSERT_EQ(completions.size(), 1u);
        EXPECT_EQ(completions[0].res, 0);
        EXPECT_FALSE(completions[0].flags & (more | IORING_CQE_F_BUFFER));
    }
}

TEST(MultishotRecv, sees_data_and_the_end_that_came_together) {
    for (const SocketPair& pair : socket_pairs) {
        if (!pair.stream) continue;
        SCOPED_TRACE(pair.name);
        Fixture fixture(4, 8);
        Ends ends = pair.make();
        EXPECT_THAT(fixture.ring.submit(recv_multishot(ends.far)), Gives(1));
        say(ends.near, "hello");
        ends.near.reset();
        std::vector<Cqe> completions = fixture.ring.wait(2);
        ASSERT_EQ(completions.size(), 2u);
        EXPECT_EQ(completions[0].res, 5);
        EXPECT_EQ(completions[1].res, 0);
        EXPECT_FALSE(completions[1].flags & more);
    }
}

TEST(MultishotRecv, of_a_stream_ends_for_want_of_buffers_when_data_comes) {
    Fixture fixture(1, 8);
    const Ends ends = tcp_pair();
    EXPECT_THAT(fixture.ring.submit(recv_multishot(ends.far)), Gives(1));
    say(ends.near, "hello");
    EXPECT_THAT(fixture.ring.wait(1), ElementsAre(Completes(1, 5, with_buffer(0, more))));
    EXPECT_THAT(fixture.ring.linger(3), IsEmpty());
    // One that is provided in time is taken.
    fixture.provided.add(fixture.buffers, 0);
    say(ends.near, "there");
    EXPECT_THAT(fixture.ring.wait(1), ElementsAre(Completes(1, 5, with_buffer(0, more))));
    say(ends.near, "again");
    EXPECT_THAT(fixture.ring.wait(1), ElementsAre(Completes(1, -ENOBUFS)));
}

TEST(MultishotRecv, of_datagrams_ends_when_the_last_buffer_is_used) {
    Fixture fixture(1, 8);
    const Ends ends = unix_pair(SOCK_DGRAM);
    EXPECT_THAT(fixture.ring.submit(recv_multishot(ends.far)), Gives(1));
    say(ends.near, "hello");
    EXPECT_THAT(fixture.ring.wait(2), ElementsAre(Completes(1, 5, with_buffer(0, more)), Completes(1, -ENOBUFS)));
}

TEST(MultishotRecv, ends_when_the_completion_queue_is_full) {
    RawRing ring(2);  // 4 completions
    BufferRing provided(ring, 16, group);
    Buffers buffers(16, 1);
    for (unsigned id = 0; id < 16; ++id) provided.add(buffers, id);
    const Ends ends = tcp_pair();
    say(ends.near, "0123456789");
    EXPECT_THAT(ring.submit(recv_multishot(ends.far)), Gives(1));
    const std::vector<Cqe> completions = ring.wait(5);
    ASSERT_EQ(completions.size(), 5u);
    for (unsigned index = 0; index < 4; ++index) EXPECT_TRUE(completions[index].flags & more);
    EXPECT_FALSE(completions[4].flags & more);
    EXPECT_EQ(completions[4].res, 1);
    EXPECT_EQ(buffers.text(4, 1), "4");
    EXPECT_EQ(drain(ends.far), 5u);
}

TEST(MultishotRecv, may_be_limited) {
    Fixture fixture(8, 4);
    const Ends ends = tcp_pair();
    say(ends.near, "abcdefghij");
    EXPECT_THAT(fixture.ring.submit(recv_multishot(ends.far).set(&Sqe::optlen, 6)), Gives(1));
    int total = 0;
    bool ended = false;
    while (!ended) {
        for (const Cqe& cqe : fixture.ring.wait(1)) {
            ASSERT_GT(cqe.res, 0);
            total += cqe.res;
            ended = !(cqe.flags & more);
        }
    }
    // The limit is looked at between receives.
    EXPECT_EQ(total, 8);
    EXPECT_EQ(drain(ends.far), 2u);
    // As a signed number this is behind the end from the beginning.
    say(ends.near, "abc");
    EXPECT_THAT(fixture.ring.submit(recv_multishot(ends.far).set(&Sqe::optlen, 1U << 31)), Gives(1));
    EXPECT_THAT(fixture.ring.wait(1), ElementsAre(Completes(1, 3, with_buffer(2))));
}

TEST(MultishotRecv, wants_neither_all_nor_no_buffers) {
    RawRing ring;
    const Ends ends = tcp_pair();
    char byte;
    msghdr header = {};
    EXPECT_THAT(ring.run(sqe::recv(ends.far, &byte, 1).set(&Sqe::ioprio, IORING_RECV_MULTISHOT)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(recv_multishot(ends.far).set(&Sqe::msg_flags, MSG_WAITALL)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(recv_selecting(ends.far).set(&Sqe::optlen, 1)), Gives(-EINVAL));
    const Sqe message = sqe::selecting(sqe::recvmsg(ends.far, &header), group).set(&Sqe::ioprio, IORING_RECV_MULTISHOT);
    EXPECT_THAT(ring.run(Sqe(message).set(&Sqe::optlen, 1)), Gives(-EINVAL));
}

TEST(MultishotRecv, runs_on_many_sockets_at_once) {
    constexpr unsigned pairs = 64;
    RawRing ring(256);
    BufferRing provided(ring, 256, group);
    Buffers buffers(256, 16);
    for (unsigned id = 0; id < 256; ++id) provided.add(buffers, id);
    std::vector<Ends> ends;
    for (unsigned index = 0; index < pairs; ++index) {
        ends.push_back(index % 2 ? tcp_pair() : unix_pair(SOCK_STREAM));
        ring.push(recv_multishot(ends.back().far).data(index));
    }
    EXPECT_THAT(ring.submit_pushed(pairs), Gives(pairs));
    for (unsigned round = 0; round < 20; ++round) {
        for (unsigned index = 0; index < pairs; ++index) say(ends[index].near, std::to_string(1000 + index));
        std::vector<bool> seen(pairs);
        for (const Cqe& cqe : ring.wait(pairs)) {
            ASSERT_EQ(cqe.res, 4);
            const auto id = static_cast<unsigned>(buffer_id(cqe));
            EXPECT_EQ(buffers.text(id, 4), std::to_string(1000 + cqe.user_data));
            seen[cqe.user_data] = true;
            provided.add(buffers, id);
        }
        EXPECT_THAT(seen, testing::Each(true));
    }
}

// --- Messages -------------------------------------------------------------------------------------------------------

Sqe recvmsg_multishot(int fd, msghdr* header) {
    return sqe::selecting(sqe::recvmsg(fd, header), group).set(&Sqe::ioprio, IORING_RECV_MULTISHOT).data(1);
}

TEST(MultishotRecvmsg, lays_out_what_it_receives) {
    Fixture fixture(4, 128);
    const Local receiver(SOCK_DGRAM), sender(SOCK_DGRAM);
    const int on = 1;
    EXPECT_EQ(setsockopt(receiver.fd, SOL_SOCKET, SO_TIMESTAMP, &on, sizeof(on)), 0);
    msghdr header = {};
    header.msg_namelen = 32;
    header.msg_controllen = 48;
    EXPECT_THAT(fixture.ring.submit(recvmsg_multishot(receiver.fd, &header)), Gives(1));
    for (unsigned round = 0; round < 3; ++round) {
        EXPECT_EQ(::sendto(sender.fd, "hello", 5, 0, receiver.generic(), sizeof(receiver.address)), 5);
        const int before = static_cast<int>(sizeof(io_uring_recvmsg_out)) + 32 + 48;
        EXPECT_THAT(fixture.ring.wait(1), ElementsAre(Completes(1, before + 5, with_buffer(round, more))));
        io_uring_recvmsg_out out;
        memcpy(&out, fixture.buffers.at(round), sizeof(out));
        EXPECT_EQ(out.namelen, sizeof(sockaddr_in));
        EXPECT_EQ(out.payloadlen, 5u);
        EXPECT_EQ(out.controllen, CMSG_SPACE(sizeof(timeval)));
        EXPECT_EQ(out.flags, 0u);
        EXPECT_EQ(memcmp(fixture.buffers.at(round) + sizeof(out), &sender.address, sizeof(sockaddr_in)), 0);
        EXPECT_EQ(std::string(fixture.buffers.at(round) + before, 5), "hello");
    }
}

TEST(MultishotRecvmsg, tells_what_did_not_fit) {
    Fixture fixture(4, sizeof(io_uring_recvmsg_out) + 4 + 3);
    const Local receiver(SOCK_DGRAM), sender(SOCK_DGRAM);
    msghdr header = {};
    header.msg_namelen = 4;
    EXPECT_THAT(fixture.ring.submit(recvmsg_multishot(receiver.fd, &header)), Gives(1));
    EXPECT_EQ(::sendto(sender.fd, "hello", 5, 0, receiver.generic(), sizeof(receiver.address)), 5);
    EXPECT_THAT(fixture.ring.wait(1),
                ElementsAre(Completes(1, static_cast<int>(sizeof(io_uring_recvmsg_out)) + 7, with_buffer(0, more))));
    io_uring_recvmsg_out out;
    memcpy(&out, fixture.buffers.at(0), sizeof(out));
    EXPECT_EQ(out.namelen, sizeof(sockaddr_in));
    EXPECT_EQ(out.payloadlen, 3u);
    EXPECT_EQ(out.flags, unsigned{MSG_TRUNC});
}

// An empty record, the end of a stream, and what there is no room for: each with its header, and the last.
TEST(MultishotRecvmsg, ends_with_a_message_of_nothing) {
    constexpr int alone = sizeof(io_uring_recvmsg_out);
    struct Case {
        int type;
        unsigned room;
        bool has_text;
        unsigned flags;
    };
    for (const Case& each : {Case{SOCK_DGRAM, 8, false, 0}, Case{SOCK_DGRAM, 0, true, 0},
                             Case{SOCK_STREAM, 8, false, 0}, Case{SOCK_STREAM, 0, true, nonempty}}) {
        SCOPED_TRACE(testing::Message() << each.type << " " << each.room);
        Fixture fixture(4, alone + each.room);
        const Ends ends = unix_pair(each.type);
        msghdr header = {};
        say(ends.near, each.has_text ? "hello" : "");
        if (!each.has_text && each.type == SOCK_STREAM) {
            ASSERT_EQ(shutdown(ends.near, SHUT_WR), 0);
        }
        ASSERT_THAT(fixture.ring.submit(recvmsg_multishot(ends.far, &header)), Gives(1));
        EXPECT_THAT(fixture.ring.wait(1), ElementsAre(Completes(1, alone, with_buffer(0, each.flags))));
        io_uring_recvmsg_out out;
        memcpy(&out, fixture.buffers.at(0), sizeof(out));
        EXPECT_EQ(out.payloadlen, 0u);
        EXPECT_EQ(out.flags, each.type == SOCK_DGRAM && each.has_text ? unsigned{MSG_TRUNC} : 0u);
        EXPECT_THAT(fixture.ring.linger(), testing::IsEmpty());
    }
}

TEST(MultishotRecvmsg, needs_room_for_its_header) {
    Fixture fixture(4, sizeof(io_uring_recvmsg_out) + 8);
    const Ends ends = unix_pair(SOCK_DGRAM);
    msghdr header = {};
    header.msg_namelen = 9;
    say(ends.near, "hello");
    EXPECT_EQ(fixture.ring.run(recvmsg_multishot(ends.far, &header)).res, -EFAULT);
    for (const socklen_t length : {0x7fffffffU, ~0U}) {
        header.msg_namelen = length;
        EXPECT_THAT(fixture.ring.run(recvmsg_multishot(ends.far, &header)), Gives(-EOVERFLOW));
    }
    header.msg_namelen = 9;
    EXPECT_THAT(fixture.ring.run(recvmsg_multishot(Pipe().read_end, &header).data(0)), Gives(-ENOTSOCK))
        << "first of all there has to be a socket";
}

// --- Bundles --------------------------------------------------------------------------------------------------------

// How many buffers a bundle takes is up to the ring: each completion names the first, and the others follow it.
void expect_bundles(const std::vector<Cqe>& completions, Buffers& buffers, const std::string& text) {
    std::string arrived;
    unsigned next = 0;
    for (const Cqe& cqe : completions) {
        ASSERT_GT(cqe.res, 0);
        ASSERT_EQ(buffer_id(cqe), static_cast<int>(next));
        arrived += buffers.text(next, static_cast<size_t>(cqe.res));
        next += (static_cast<unsigned>(cqe.res) + buffers.size() - 1) / buffers.size();
    }
    EXPECT_EQ(arrived, text);
}

TEST(BundledRecv, fills_several_buffers) {
    Fixture fixture(8, 4);
    const Ends ends = unix_pair(SOCK_STREAM);
    const std::string text = "abcdefghijklmnop";
    say(ends.near, text);
    std::vector<Cqe> completions;
    for (size_t received = 0; received < text.size();) {
        completions.push_back(fixture.ring.run(recv_selecting(ends.far, 0, IORING_RECVSEND_BUNDLE)));
        ASSERT_GT(completions.back().res, 0);
        received += static_cast<size_t>(completions.back().res);
        EXPECT_EQ(bool(completions.back().flags & nonempty), received < text.size());
    }
    EXPECT_LT(completions.size(), 4u);
    expect_bundles(completions, fixture.buffers, text);
}

TEST(BundledRecv, that_fails_in_a_worker_has_used_its_first_buffer) {
    for (const unsigned length : {0U, 4U, 12U}) {
        SCOPED_TRACE(length);
        Fixture fixture(4, 8);
        const Ends ends = unix_pair(SOCK_STREAM);
        const auto bundle = [&](int flags) { return recv_selecting(ends.far, length, IORING_RECVSEND_BUNDLE, flags); };
        EXPECT_EQ(fixture.ring.run(bundle(MSG_DONTWAIT).flag(IOSQE_ASYNC)), (Cqe{1, -EAGAIN, with_buffer(0)}));
        EXPECT_EQ(fixture.ring.run(bundle(MSG_OOB).flag(IOSQE_ASYNC)), (Cqe{1, -EINVAL, with_buffer(1)}));
        // One that is tried at once has not.
        EXPECT_THAT(fixture.ring.run(bundle(MSG_OOB)), Gives(-EINVAL));
        say(ends.near, "abc");
        EXPECT_EQ(fixture.ring.run(bundle(0)), (Cqe{1, 3, with_buffer(2)}));
    }
}

// One that has filled what it selected goes on once, with as much as there is: unless a length cut a buffer of an
// ordinary ring short, but neither a classic group nor a worker looks at that.
TEST(BundledRecv, that_has_all_it_asked_for_goes_on_in_the_kernel_alone) {
    const bool on_kernel = provider_under_test() == provider::Kind::kernel;
    struct Case {
        unsigned group;
        size_t length;
        unsigned flag;
        int in_kernel;
    };
    constexpr unsigned ordinary = 1, incremental = 2, classic = 3;
    for (const Case& each : {Case{ordinary, 5, IOSQE_ASYNC, 12}, Case{ordinary, 8, 0, 12}, Case{incremental, 5, 0, 12},
                             Case{classic, 5, 0, 12}, Case{ordinary, 5, 0, 5}}) {
        SCOPED_TRACE(testing::Message() << each.group << ' ' << each.length << ' ' << each.flag);
        RawRing ring;
        Buffers buffers(4, 8);
        BufferRing whole(ring, 4, ordinary), pieces(ring, 4, incremental, IOU_PBUF_RING_INC);
        for (unsigned id = 0; id < 4; ++id) {
            whole.add(buffers, id);
            pieces.add(buffers, id);
        }
        EXPECT_THAT(ring.run(sqe::provide(buffers, 4, classic)), Gives(0));
        const Ends ends = unix_pair(SOCK_STREAM);
        say(ends.near, "hello, world");
        Sqe receive = recv_selecting(ends.far, each.length, IORING_RECVSEND_BUNDLE).flag(each.flag);
        const Cqe cqe = ring.run(receive.set(&Sqe::buf_group, each.group));
        const int received = on_kernel ? each.in_kernel : static_cast<int>(each.length);
        EXPECT_EQ(cqe.res, received);
        EXPECT_EQ(buffer_id(cqe), 0);
        EXPECT_EQ(bool(cqe.flags & nonempty), received < 12);
    }
}

TEST(BundledRecv, of_a_group_that_was_never_made_finds_nothing) {
    RawRing ring;
    const Ends ends = unix_pair(SOCK_STREAM);
    EXPECT_THAT(ring.run(recv_selecting(ends.far, 0, IORING_RECVSEND_BUNDLE).data(0)), Gives(-ENOENT));
    EXPECT_THAT(ring.run(recv_selecting(ends.far).data(0)), Gives(-ENOBUFS));
}

TEST(BundledRecv, goes_on_again_and_again) {
    Fixture fixture(8, 4);
    const Ends ends = tcp_pair();
    const std::string text = "abcdefghijklmnop";
    EXPECT_THAT(fixture.ring.submit(recv_multishot(ends.far, 0, IORING_RECVSEND_BUNDLE)), Gives(1));
    say(ends.near, text);
    std::vector<Cqe> completions;
    for (size_t received = 0; received < text.size();) {
        for (const Cqe& cqe : fixture.ring.wait(1)) {
            ASSERT_GT(cqe.res, 0);
            EXPECT_TRUE(cqe.flags & more);
            received += static_cast<size_t>(cqe.res);
            completions.push_back(cqe);
        }
    }
    EXPECT_LT(completions.size(), 4u);
    expect_bundles(completions, fixture.buffers, text);
}

TEST(BundledRecv, of_everything_waits_for_the_rest_of_its_buffers) {
    for (const size_t length : {0UL, 8UL}) {
        SCOPED_TRACE(length);
        Fixture fixture(2, 4);
        const Ends ends = unix_pair(SOCK_STREAM);
        say(ends.near, "ab");
        EXPECT_THAT(fixture.ring.submit(
                        recv_selecting(ends.far, length, IORING_RECVSEND_BUNDLE, MSG_WAITALL).flag(IOSQE_IO_LINK),
                        sqe::nop().data(2)),
                    Gives(2));
        EXPECT_THAT(fixture.ring.linger(), IsEmpty());
        if (length == 0) {
            // One buffer is everything where no length says more.
            say(ends.near, "cd");
            EXPECT_THAT(fixture.ring.wait(2), ElementsAre(Completes(1, 4, with_buffer(0)), Completes(2, 0)));
            EXPECT_EQ(fixture.buffers.text(0, 4), "abcd");
        } else {
            say(ends.near, "cde");
            EXPECT_THAT(fixture.ring.linger(), IsEmpty());
            say(ends.near, "fgh");
            EXPECT_THAT(fixture.ring.wait(2), ElementsAre(Completes(1, 8, with_buffer(0)), Completes(2, 0)));
            EXPECT_EQ(fixture.buffers.text(0, 8), "abcdefgh");
        }
    }
}

TEST(BundledRecv, of_everything_ends_short_with_its_stream) {
    Fixture fixture(2, 4);
    Ends ends = unix_pair(SOCK_STREAM);
    say(ends.near, "ab");
    EXPECT_THAT(
        fixture.ring.submit(recv_selecting(ends.far, 8, IORING_RECVSEND_BUNDLE, MSG_WAITALL).flag(IOSQE_IO_LINK),
                            sqe::nop().data(2)),
        Gives(2));
    EXPECT_THAT(fixture.ring.linger(), IsEmpty());
    ends.near.reset();
    EXPECT_THAT(fixture.ring.wait(2), ElementsAre(Completes(1, 2, with_buffer(0)), Completes(2, -ECANCELED)));
}

TEST(BundledRecv, again_and_again_ends_with_the_last_buffer) {
    Fixture fixture(1, 4);
    const Ends ends = unix_pair(SOCK_STREAM);
    say(ends.near, "ab");
    EXPECT_THAT(fixture.ring.submit(recv_multishot(ends.far, 0, IORING_RECVSEND_BUNDLE)), Gives(1));
    EXPECT_THAT(fixture.ring.wait(1), ElementsAre(Completes(1, 2, with_buffer(0))));
}

TEST(SelectingSend, sends_the_next_buffer) {
    for (const SocketPair& pair : socket_pairs) {
        for (const unsigned flag : {0U, IOSQE_ASYNC, IOSQE_IO_LINK}) {
            SCOPED_TRACE(pair.name);
            Fixture fixture(2, 5);
            memcpy(fixture.buffers.at(0), "hellothere", 10);
            const Ends ends = pair.make();
            EXPECT_EQ(fixture.ring.run(send_selecting(ends.near).flag(flag)), (Cqe{1, 5, with_buffer(0)}));
            EXPECT_EQ(fixture.ring.run(send_selecting(ends.near).flag(flag)), (Cqe{1, 5, with_buffer(1)}));
            EXPECT_EQ(fixture.ring.run(send_selecting(ends.near).flag(flag)), (Cqe{1, -ENOBUFS, 0}));
            EXPECT_EQ(receive_all(ends.far, 10), "hellothere");
        }
    }
}

TEST(SelectingSend, from_a_classic_group_is_as_long_as_asked_for_on_the_engine_alone) {
    RawRing ring;
    Buffers buffers(1, 10);
    memcpy(buffers.at(0), "hellothere", 10);
    EXPECT_THAT(ring.run(sqe::provide(buffers, 1, group)), Gives(0));
    const Ends ends = unix_pair(SOCK_STREAM);
    const int sent = provider_under_test() == provider::Kind::kernel ? 10 : 5;
    EXPECT_EQ(ring.run(send_selecting(ends.near, 5)), (Cqe{1, sent, with_buffer(0)}));
}

TEST(BundledSend, sends_all_buffers_that_there_are) {
    Fixture fixture(4, 5);
    memcpy(fixture.buffers.at(0), "hellothereagain-you-", 20);
    const Ends ends = tcp_pair();
    EXPECT_EQ(fixture.ring.run(send_selecting(ends.near, 0, IORING_RECVSEND_BUNDLE)), (Cqe{1, 20, with_buffer(0)}));
    EXPECT_EQ(receive_all(ends.far, 20), "hellothereagain-you-");
    EXPECT_EQ(head_of_ring(fixture.ring, group), 4);
}

TEST(BundledSend, has_a_length_for_its_first_part_alone) {
    Fixture fixture(4, 5);
    memcpy(fixture.buffers.at(0), "hellothereagain-you-", 20);
    const Ends ends = tcp_pair();
    EXPECT_THAT(fixture.ring.submit(send_selecting(ends.near, 3, IORING_RECVSEND_BUNDLE)), Gives(1));
    EXPECT_THAT(fixture.ring.wait(2),
                ElementsAre(Completes(1, 3, with_buffer(0, more)), Completes(1, 15, with_buffer(1))));
    EXPECT_EQ(receive_all(ends.far, 18), "helthereagain-you-");
}

TEST(BundledSend, that_asks_for_a_worker_is_sent_by_the_engine_alone) {
    // The kernel's worker, which is to wait for room first, ends the request where there is room already.
    Fixture fixture(2, 5);
    memcpy(fixture.buffers.at(0), "hellothere", 10);
    const Ends ends = tcp_pair();
    const bool by_kernel = provider_under_test() == provider::Kind::kernel;
    const Cqe cqe = fixture.ring.run(send_selecting(ends.near, 0, IORING_RECVSEND_BUNDLE).flag(IOSQE_ASYNC));
    EXPECT_EQ(cqe, by_kernel ? (Cqe{1, -ECANCELED, 0}) : (Cqe{1, 10, with_buffer(0)}));
    EXPECT_EQ(head_of_ring(fixture.ring, group), by_kernel ? 0 : 2);
}

TEST(BundledSend, waits_for_room_and_loses_nothing) {
    constexpr size_t size = 1 << 20;
    Fixture fixture(6, size);
    for (unsigned id = 0; id < 6; ++id) memset(fixture.buffers.at(id), static_cast<int>('a' + id), size);
    const Ends ends = unix_pair(SOCK_STREAM);
    EXPECT_THAT(fixture.ring.submit(send_selecting(ends.near, 0, IORING_RECVSEND_BUNDLE)), Gives(1));
    EXPECT_THAT(fixture.ring.linger(3), IsEmpty());
    const std::string arrived = receive_all(ends.far, 6 * size);
    EXPECT_TRUE(arrived == std::string(fixture.buffers.at(0), 6 * size));
    int total = 0;
    bool ended = false;
    while (!ended) {
        const std::vector<Cqe> completions = fixture.ring.wait(1);
        ASSERT_FALSE(completions.empty());
        for (const Cqe& cqe : completions) {
            ASSERT_GT(cqe.res, 0);
            total += cqe.res;
            ended = !(cqe.flags & more);
        }
    }
    EXPECT_EQ(total, static_cast<int>(6 * size));
}

TEST(BundledSend, without_selection_sends_its_one_buffer_and_then_nothing) {
    RawRing ring;
    const Ends ends = tcp_pair();
    const Sqe bundle = sqe::send(ends.near, "hello", 5).set(&Sqe::ioprio, IORING_RECVSEND_BUNDLE).data(1);
    EXPECT_THAT(ring.submit(bundle), Gives(1));
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, 5, more), Completes(1, 0)));
    EXPECT_THAT(ring.submit(Sqe(bundle).set(&Sqe::len, 0)), Gives(1));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 0)));
    EXPECT_EQ(receive_all(ends.far, 5), "hello");
}

TEST(Selection, needs_a_socket_before_it_needs_a_buffer) {
    RawRing ring;
    const Fd file = file_with("content");
    msghdr message = {};
    iovec vector = {nullptr, 8};
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    for (const auto& [fd, error] : {std::pair(file.get(), -ENOTSOCK), std::pair(1'000'000, -EBADF)}) {
        EXPECT_THAT(ring.run(recv_selecting(fd).data(0)), Gives(error));
        EXPECT_THAT(ring.run(recv_multishot(fd).data(0)), Gives(error));
        EXPECT_THAT(ring.run(sqe::selecting(sqe::recvmsg(fd, &message), group)), Gives(error));
        EXPECT_THAT(ring.run(send_selecting(fd).data(0)), Gives(error));
        EXPECT_THAT(ring.run(send_selecting(fd, 0, IORING_RECVSEND_BUNDLE).data(0)), Gives(error));
        EXPECT_THAT(ring.run(recv_selecting(fd, 0, IORING_RECVSEND_BUNDLE).data(0)), Gives(error));
    }
    // Nor is one used up where there is none.
    Fixture fixture(1, 8);
    EXPECT_THAT(fixture.ring.run(send_selecting(file).data(0)), Gives(-ENOTSOCK));
    EXPECT_THAT(fixture.ring.run(recv_selecting(file).data(0)), Gives(-ENOTSOCK));
    const sockaddr_un name = {AF_UNIX, "nowhere"};
    const Sqe with_name = send_selecting(file).data(0).set(&Sqe::addr2, address_of(&name));
    EXPECT_THAT(fixture.ring.run(Sqe(with_name).set(&Sqe::addr_len, sizeof(name))), Gives(-ENOTSOCK));
    EXPECT_THAT(fixture.ring.run(send_selecting(file, 0, IORING_RECVSEND_BUNDLE).data(0)), Gives(-ENOTSOCK));
    EXPECT_EQ(head_of_ring(fixture.ring, group), 0);
}

TEST(SelectingRead, of_what_a_socket_refuses_uses_its_buffer_up) {
    RawRing ring;
    Buffers buffers(2, 8);
    EXPECT_THAT(ring.run(sqe::provide_buffers(buffers.at(0), 8, 2, group)), Gives(0));
    const Ends ends = unix_pair(SOCK_SEQPACKET);
    const Cqe refused = ring.run(sqe::selecting(sqe::read(ends.near, nullptr, 4, 5), group));
    EXPECT_EQ(refused, (Cqe{0, -ESPIPE, with_buffer(0)}));
}

}  // namespace
}  // namespace ringside::test
