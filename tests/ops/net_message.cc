// SENDMSG and RECVMSG: what of a msghdr is used, what is written back, and when it is read.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "ops/net_sqe.h"
#include "support/eventually.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// A msghdr with what it points to.
struct Message {
    Message(const void* bytes, size_t length) : vectors{{const_cast<void*>(bytes), length}, {nullptr, 0}} {
        header.msg_iov = vectors;
        header.msg_iovlen = 1;
    }
    void name_buffer(void* address, socklen_t length) {
        header.msg_name = address;
        header.msg_namelen = length;
    }

    iovec vectors[2];
    msghdr header = {};
};

TEST(Message, carries_several_buffers) {
    for (const SocketPair& pair : socket_pairs) {
        for (const unsigned flag : {0U, IOSQE_ASYNC}) {
            SCOPED_TRACE(pair.name);
            RawRing ring;
            const Ends ends = pair.make();
            Message out("hel", 3);
            out.vectors[1] = {const_cast<char*>("lo"), 2};
            out.header.msg_iovlen = 2;
            EXPECT_THAT(ring.run(sqe::sendmsg(ends.near, &out.header).flag(flag)), Gives(5));
            char first[2] = {}, second[8] = {};
            Message in(first, 2);
            in.vectors[1] = {second, 8};
            in.header.msg_iovlen = 2;
            in.header.msg_flags = -1;
            EXPECT_THAT(ring.run(sqe::recvmsg(ends.far, &in.header).flag(flag)), Gives(5));
            EXPECT_EQ(std::string(first, 2) + second, "hello");
            // A record that is complete says so.
            EXPECT_EQ(in.header.msg_flags & ~MSG_EOR, 0);
        }
    }
}

TEST(Message, brings_the_address_of_its_sender) {
    for (const bool waits : {false, true}) {
        RawRing ring;
        const Local receiver(SOCK_DGRAM);
        const Local sender(SOCK_DGRAM);
        char buffer[8] = {};
        sockaddr_storage from = {};
        Message in(buffer, sizeof(buffer));
        in.name_buffer(&from, sizeof(from));
        Message out("hello", 5);
        sockaddr_in to = receiver.address;
        out.name_buffer(&to, sizeof(to));
        if (waits) {
            EXPECT_THAT(ring.submit(sqe::recvmsg(receiver.fd, &in.header).data(1)), Gives(1));
            EXPECT_THAT(ring.linger(3), IsEmpty());
            EXPECT_EQ(::sendmsg(sender.fd, &out.header, 0), 5);
            EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 5)));
        } else {
            EXPECT_THAT(ring.run(sqe::sendmsg(sender.fd, &out.header)), Gives(5));
            EXPECT_THAT(ring.run(sqe::recvmsg(receiver.fd, &in.header)), Gives(5));
        }
        EXPECT_EQ(in.header.msg_namelen, sizeof(sockaddr_in));
        EXPECT_EQ(memcmp(&from, &sender.address, sizeof(sockaddr_in)), 0);
        EXPECT_STREQ(buffer, "hello");
    }
}

TEST(Message, tells_the_whole_length_of_an_address_that_did_not_fit) {
    RawRing ring;
    const Local local(SOCK_DGRAM);
    char buffer[8];
    unsigned char from[8];
    memset(from, 0xee, sizeof(from));
    EXPECT_EQ(::sendto(local.fd, "hello", 5, 0, local.generic(), sizeof(local.address)), 5);
    Message in(buffer, 3);
    in.name_buffer(from, 4);
    EXPECT_THAT(ring.run(sqe::recvmsg(local.fd, &in.header)), Gives(3));
    EXPECT_EQ(in.header.msg_namelen, sizeof(sockaddr_in));
    EXPECT_EQ(in.header.msg_flags, MSG_TRUNC);
    EXPECT_EQ(from[4], 0xee);
    // A length beyond that of any address is cut off, not refused.
    EXPECT_EQ(::sendto(local.fd, "hello", 5, 0, local.generic(), sizeof(local.address)), 5);
    char name[4000];
    in.name_buffer(name, sizeof(name));
    EXPECT_THAT(ring.run(sqe::recvmsg(local.fd, &in.header)), Gives(3));
    EXPECT_EQ(in.header.msg_namelen, sizeof(sockaddr_in));
}

TEST(Message, passes_a_file_descriptor) {
    for (const bool waits : {false, true}) {
        for (const unsigned flag : {0U, IOSQE_ASYNC}) {
            // A descriptor that waits for its receiver is given the flag of that one.
            const int closing = waits ? MSG_CMSG_CLOEXEC : 0;
            RawRing ring;
            const Ends ends = unix_pair(SOCK_STREAM);
            const Fd file = memory_file_with("passed");
            alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
            Message out("x", 1);
            out.header.msg_control = control;
            out.header.msg_controllen = sizeof(control);
            cmsghdr* item = CMSG_FIRSTHDR(&out.header);
            *item = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
            memcpy(CMSG_DATA(item), &static_cast<const int&>(file.get()), sizeof(int));
            char byte, arrived[CMSG_SPACE(4 * sizeof(int))];
            Message in(&byte, 1);
            in.header.msg_control = arrived;
            in.header.msg_controllen = sizeof(arrived);
            if (waits) {
                EXPECT_THAT(ring.submit(sqe::recvmsg(ends.far, &in.header, closing).data(2).flag(flag)), Gives(1));
            }
            EXPECT_THAT(ring.submit(sqe::sendmsg(ends.near, &out.header).data(1).flag(flag)), Gives(1));
            if (!waits) {
                EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 1)));
                EXPECT_THAT(ring.submit(sqe::recvmsg(ends.far, &in.header, closing).data(2).flag(flag)), Gives(1));
            }
            EXPECT_EQ(ring.wait(waits ? 2 : 1).size(), waits ? 2u : 1u);
            ASSERT_EQ(in.header.msg_controllen, CMSG_SPACE(sizeof(int)));
            int received;
            memcpy(&received, CMSG_DATA(CMSG_FIRSTHDR(&in.header)), sizeof(int));
            EXPECT_EQ(fcntl(received, F_GETFD), closing != 0 ? FD_CLOEXEC : 0);
            EXPECT_EQ(content_of(Fd(received).get()), "passed");
        }
    }
}

TEST(Message, may_change_after_submission_when_it_has_to_wait) {
    for (const SocketPair& pair : socket_pairs) {
        SCOPED_TRACE(pair.name);
        RawRing ring;
        const Ends ends = pair.make();
        char buffer[8] = {};
        auto in = std::make_unique<Message>(buffer, sizeof(buffer));
        EXPECT_THAT(ring.submit(sqe::recvmsg(ends.far, &in->header).data(1)), Gives(1));
        EXPECT_THAT(ring.linger(3), IsEmpty());
        in->vectors[0] = {nullptr, 0};
        in->header.msg_iov = nullptr;
        in->header.msg_flags = -1;
        EXPECT_EQ(::send(ends.near, "hello", 5, 0), 5);
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 5)));
        EXPECT_STREQ(buffer, "hello");
        EXPECT_EQ(in->header.msg_flags & ~MSG_EOR, 0);
    }
}

TEST(Message, of_a_chain_may_change_after_submission) {
    RawRing ring;
    const Ends ends = unix_pair(SOCK_STREAM);
    char byte, buffer[8] = {};
    Message out("hello", 5), in(buffer, sizeof(buffer));
    EXPECT_THAT(ring.submit(sqe::recv(ends.near, &byte, 1).data(1).flag(IOSQE_IO_LINK),
                            sqe::sendmsg(ends.near, &out.header).data(2).flag(IOSQE_IO_LINK),
                            sqe::recvmsg(ends.far, &in.header).data(3)),
                Gives(3));
    out.vectors[0] = {nullptr, 99};
    in.vectors[0] = {nullptr, 99};
    in.header.msg_iovlen = out.header.msg_iovlen = 99;
    EXPECT_EQ(::send(ends.far, "x", 1, 0), 1);
    EXPECT_THAT(ring.wait(3), ElementsAre(Completes(1, 1), Completes(2, 5), Completes(3, 5)));
    EXPECT_STREQ(buffer, "hello");
}

TEST(Message, with_wait_all_goes_on_through_its_buffers) {
    RawRing ring;
    const Ends ends = unix_pair(SOCK_STREAM);
    char first[4] = {}, second[8] = {};
    Message in(first, 3);
    in.vectors[1] = {second, 5};
    in.header.msg_iovlen = 2;
    EXPECT_THAT(
        ring.submit(sqe::recvmsg(ends.far, &in.header, MSG_WAITALL).data(1).flag(IOSQE_IO_LINK), sqe::nop().data(2)),
        Gives(2));
    for (const char* part : {"ab", "cd", "ef"}) {
        EXPECT_EQ(::send(ends.near, part, 2, 0), 2);
        EXPECT_THAT(ring.linger(3), IsEmpty());
    }
    EXPECT_EQ(::send(ends.near, "gh", 2, 0), 2);
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, 8), Completes(2, 0)));
    EXPECT_STREQ(first, "abc");
    EXPECT_STREQ(second, "defgh");

    const std::string left(3 << 20, 'l'), right(3 << 20, 'r');
    Message out(left.data(), left.size());
    out.vectors[1] = {const_cast<char*>(right.data()), right.size()};
    out.header.msg_iovlen = 2;
    EXPECT_THAT(ring.submit(sqe::sendmsg(ends.near, &out.header, MSG_WAITALL).data(3)), Gives(1));
    const std::string arrived = receive_all(ends.far, left.size() + right.size());
    EXPECT_TRUE(arrived == left + right);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(3, static_cast<int>(arrived.size()))));
}

TEST(Message, with_wait_all_severs_a_chain_when_it_is_cut_off) {
    RawRing ring;
    const Ends ends = unix_pair(SOCK_DGRAM);
    char buffer[3];
    Message in(buffer, 3);
    EXPECT_EQ(::send(ends.near, "hello", 5, 0), 5);
    EXPECT_THAT(
        ring.submit(sqe::recvmsg(ends.far, &in.header, MSG_WAITALL).data(1).flag(IOSQE_IO_LINK), sqe::nop().data(2)),
        Gives(2));
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, 3), Completes(2, -ECANCELED)));
}

// Elsewhere nothing more is awaited of a message that may have control messages.
TEST(Message, with_wait_all_and_control_awaits_the_rest_where_it_blocks) {
    RawRing ring;
    const Ends ends = unix_pair(SOCK_STREAM);
    char buffer[6] = {};
    char control[64];
    Message in(buffer, 5);
    in.header.msg_control = control;
    in.header.msg_controllen = sizeof(control);
    EXPECT_EQ(::send(ends.near, "he", 2, 0), 2);
    EXPECT_THAT(ring.submit(sqe::recvmsg(ends.far, &in.header, MSG_WAITALL).data(1).flag(IOSQE_IO_LINK)), Gives(1));
    EXPECT_THAT(ring.linger(5), testing::IsEmpty());
    EXPECT_EQ(::send(ends.near, "llo", 3, 0), 3);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 5)));
    EXPECT_STREQ(buffer, "hello");
    EXPECT_EQ(in.header.msg_controllen, 0u);
    in.header.msg_controllen = sizeof(control);
    EXPECT_EQ(::send(ends.near, "he", 2, 0), 2);
    EXPECT_THAT(ring.run(sqe::recvmsg(ends.far, &in.header, MSG_WAITALL)), Gives(2));
}

TEST(Message, that_blocks_is_told_of_when_it_is_over) {
    RawRing ring;
    const Ends ends = unix_pair(SOCK_STREAM);
    char buffer[5];
    char control[64];
    Message in(buffer, 5);
    in.header.msg_control = control;
    in.header.msg_controllen = sizeof(control);
    EXPECT_THAT(ring.submit(sqe::recvmsg(ends.far, &in.header, MSG_WAITALL).data(1).flag(IOSQE_IO_LINK),
                            sqe::nop().data(2).flag(IOSQE_IO_LINK)),
                Gives(2));
    EXPECT_EQ(::send(ends.near, "he", 2, 0), 2);
    expect_taken(ends.far);
    EXPECT_THAT(ring.linger(5), testing::IsEmpty());
    EXPECT_EQ(in.header.msg_controllen, sizeof(control));
    // Who cancels it leaves it with a part, which is no failure. (On the kernel it may have ended by itself just
    // before, while the machine has other things to do.)
    const bool may_be_over = provider_under_test() == provider::Kind::kernel;
    EXPECT_THAT(ring.submit(sqe::cancel(1).data(3)), Gives(1));
    EXPECT_THAT(ring.wait(3),
                testing::UnorderedElementsAre(
                    Completes(1, 2), Completes(2, 0),
                    testing::AnyOf(Completes(3, -EALREADY), Completes(3, may_be_over ? -ENOENT : -EALREADY))));
    EXPECT_EQ(in.header.msg_controllen, 0u);
}

// A worker that finds more at once goes on in its call, which ends with a record.
TEST(Message, of_two_records_with_wait_all_is_too_short_in_a_worker) {
    for (const bool asks : {true, false}) {
        RawRing ring;
        const Ends ends = unix_pair(SOCK_SEQPACKET);
        char buffer[10];
        iovec room = {buffer, sizeof(buffer)};
        msghdr header = {};
        header.msg_iov = &room;
        header.msg_iovlen = 1;
        for (const char* record : {"abc", "de"}) {
            ASSERT_EQ(::send(ends.near, record, strlen(record), 0), static_cast<ssize_t>(strlen(record)));
        }
        const unsigned flags = IOSQE_IO_LINK | (asks ? IOSQE_ASYNC : 0);
        ASSERT_THAT(ring.submit(sqe::recvmsg(ends.far, &header, MSG_WAITALL).data(1).flag(flags), sqe::nop().data(2)),
                    Gives(2));
        if (asks) {
            EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, 5), Completes(2, -ECANCELED)));
            continue;
        }
        EXPECT_THAT(ring.linger(), IsEmpty());
        ASSERT_EQ(::send(ends.near, "fghij", 5, 0), 5);
        EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, 10), Completes(2, 0)));
    }
}

// It is the flag by which the kernel tells itself that a header is one of 32 bits.
TEST(Message, that_is_said_to_be_of_32_bits_is_garbled_by_the_kernel_alone) {
    RawRing ring;
    const Ends ends = unix_pair(SOCK_STREAM);
    char buffer[5];
    Message in(buffer, 5);
    EXPECT_EQ(::send(ends.near, "hello", 5, 0), 5);
    EXPECT_THAT(ring.run(sqe::recvmsg(ends.far, &in.header, 0x80000000)), Gives(5));
    const bool on_kernel = provider_under_test() == provider::Kind::kernel;
    // Where the flags of such a header would be.
    EXPECT_EQ(in.header.msg_iovlen, on_kernel ? 0u : 1u);
}

// One record is all that there is to be had, and its being short no failure: a chain goes on.
TEST(Message, with_wait_all_and_control_may_fall_short_where_it_blocks) {
    RawRing ring;
    Ends ends = unix_pair(SOCK_DGRAM);
    char buffer[5];
    char control[64];
    Message in(buffer, 5);
    in.header.msg_control = control;
    const auto submit = [&] {
        in.header.msg_controllen = sizeof(control);
        const Sqe silent_end = sqe::nop().data(2).flag(IOSQE_IO_LINK);
        EXPECT_THAT(
            ring.submit(sqe::recvmsg(ends.far, &in.header, MSG_WAITALL).data(1).flag(IOSQE_IO_LINK), silent_end),
            Gives(2));
    };
    EXPECT_EQ(::send(ends.near, "he", 2, 0), 2);
    submit();
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, 2), Completes(2, 0)));
    ends = unix_pair(SOCK_STREAM);
    ends.near.reset();
    submit();
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, 0), Completes(2, 0)));
}

// What is wrong with a header, and whether it is an error of the submission, which ends that.
struct Fault {
    const char* name;
    void (*spoil)(Message&, const ForbiddenPage&);
    int send_result;
    int receive_result;
    bool ends_submission;
};

constexpr Fault faults[] = {
    {"iovecs cannot be read",
     [](Message& m, const ForbiddenPage& page) { m.header.msg_iov = static_cast<iovec*>(page.address()); }, -EFAULT,
     -EFAULT, true},
    {"too many iovecs", [](Message& m, const ForbiddenPage&) { m.header.msg_iovlen = 1025; }, -EMSGSIZE, -EMSGSIZE,
     true},
    {"impossible buffer",
     [](Message& m, const ForbiddenPage&) { m.vectors[0].iov_base = reinterpret_cast<void*>(~uintptr_t{0}); }, -EFAULT,
     -EFAULT, true},
    {"too many iovecs, and no address",
     [](Message& m, const ForbiddenPage& page) {
         m.header.msg_iovlen = 1025;
         m.name_buffer(page.address(), 8);
     },
     -EFAULT, -EMSGSIZE, true},
    {"negative length", [](Message& m, const ForbiddenPage&) { m.vectors[0].iov_len = ~size_t{0}; }, -EINVAL, -EINVAL,
     true},
    {"negative length of the address",
     [](Message& m, const ForbiddenPage&) { m.name_buffer(&m, static_cast<socklen_t>(-1)); }, -EINVAL, -EINVAL, true},
    {"buffer cannot be used", [](Message& m, const ForbiddenPage& page) { m.vectors[0].iov_base = page.address(); },
     -EFAULT, -EFAULT, false},
};

TEST(Message, that_is_malformed_is_refused_as_early_as_by_the_kernel) {
    const ForbiddenPage page;
    const Ends ends = unix_pair(SOCK_DGRAM);
    char buffer[8] = {};
    for (const Fault& fault : faults) {
        for (const bool sends : {true, false}) {
            for (const unsigned flag : {0U, IOSQE_ASYNC}) {
                SCOPED_TRACE(testing::Message()
                             << fault.name << (sends ? ", sending" : ", receiving") << ", flag " << flag);
                RawRing ring;
                Message message(buffer, 5);
                fault.spoil(message, page);
                EXPECT_EQ(::send(ends.near, "hello", 5, 0), 5);
                const Sqe entry =
                    sends ? sqe::sendmsg(ends.near, &message.header) : sqe::recvmsg(ends.far, &message.header);
                EXPECT_THAT(ring.submit(Sqe(entry).data(1).flag(flag), sqe::nop().data(2)),
                            Gives(fault.ends_submission ? 1 : 2));
                const std::vector<Cqe> completions = ring.wait(fault.ends_submission ? 1 : 2);
                EXPECT_THAT(completions,
                            testing::Contains(Completes(1, sends ? fault.send_result : fault.receive_result)));
                drain(ends.far);
            }
        }
    }
}

TEST(Message, whose_header_cannot_be_read_fails_the_submission) {
    const ForbiddenPage page;
    for (const int fd : {1'000'000, unix_pair(SOCK_STREAM).near.get()}) {
        for (const unsigned flag : {0U, IOSQE_ASYNC}) {
            RawRing ring;
            const auto header = static_cast<msghdr*>(page.address());
            EXPECT_THAT(ring.submit(sqe::sendmsg(fd, header).data(1).flag(flag), sqe::nop()), Gives(1));
            EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, -EFAULT)));
        }
    }
}

TEST(Message, has_a_length_in_its_entry_that_is_looked_at_and_not_used) {
    RawRing ring;
    const Ends ends = unix_pair(SOCK_STREAM);
    char buffer[8] = {};
    Message message(buffer, 5);
    constexpr uint32_t most = INT32_MAX;
    EXPECT_THAT(ring.run(sqe::sendmsg(ends.near, &message.header).set(&Sqe::len, most)), Gives(5));
    EXPECT_THAT(ring.run(sqe::recvmsg(ends.far, &message.header).set(&Sqe::len, most)), Gives(5));
    EXPECT_THAT(ring.run(sqe::sendmsg(ends.near, &message.header).set(&Sqe::len, most + 1)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::recvmsg(ends.far, &message.header).set(&Sqe::len, most + 1)), Gives(-EINVAL));
}

TEST(Message, with_control_messages_that_cannot_be_read_is_not_sent) {
    RawRing ring;
    const Ends ends = unix_pair(SOCK_STREAM);
    Message out("x", 1);
    out.header.msg_control = reinterpret_cast<void*>(8);
    out.header.msg_controllen = 32;
    EXPECT_THAT(ring.submit(sqe::sendmsg(ends.near, &out.header).data(1), sqe::nop().data(2)), Gives(2));
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, -EFAULT), Completes(2, 0)));
    EXPECT_EQ(drain(ends.far), 0u);
}

TEST(Message, has_a_length_that_nobody_needs_but_may_not_be_negative) {
    RawRing ring;
    const Ends ends = unix_pair(SOCK_STREAM);
    Message message("x", 1);
    char byte;
    Message in(&byte, 1);
    EXPECT_THAT(ring.run(sqe::sendmsg(ends.near, &message.header).set(&Sqe::len, 1U << 31)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::sendmsg(ends.near, &message.header).set(&Sqe::len, 1U << 30)), Gives(1));
    EXPECT_THAT(ring.run(sqe::recvmsg(ends.far, &in.header).set(&Sqe::len, 1U << 31)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::recvmsg(ends.far, &in.header).set(&Sqe::len, 1U << 30)), Gives(1));
}

TEST(Message, has_no_destination_in_the_entry) {
    RawRing ring;
    const Ends ends = unix_pair(SOCK_STREAM);
    Message message("x", 1);
    EXPECT_THAT(ring.run(sqe::sendmsg(ends.near, &message.header).set(&Sqe::addr2, 1)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::recvmsg(ends.near, &message.header).set(&Sqe::addr2, 1)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::sendmsg(ends.near, &message.header).set(&Sqe::file_index, 1)), Gives(-EINVAL));
}

TEST(Message, flag_of_the_layout_of_control_messages_is_ignored_where_there_are_none) {
    // MSG_CMSG_COMPAT, which the system calls refuse.
    constexpr int compat = static_cast<int>(0x80000000);
    RawRing ring;
    const Ends ends = unix_pair(SOCK_STREAM);
    char text[] = "hello";
    char buffer[8] = {};
    iovec out = {text, 5}, in = {buffer, 5};
    msghdr sent = {}, received = {};
    sent.msg_iov = &out;
    received.msg_iov = &in;
    sent.msg_iovlen = received.msg_iovlen = 1;
    EXPECT_THAT(ring.run(sqe::sendmsg(ends.near, &sent, compat)), Gives(5));
    EXPECT_THAT(ring.run(sqe::recvmsg(ends.far, &received, compat)), Gives(5));
    EXPECT_STREQ(buffer, "hello");
    EXPECT_THAT(ring.run(sqe::send(ends.near, "again", 5, compat)), Gives(5));
    EXPECT_THAT(ring.run(sqe::recv(ends.far, buffer, 5, compat | MSG_WAITALL)), Gives(5));
    EXPECT_STREQ(buffer, "again");
}

}  // namespace
}  // namespace ringside::test
