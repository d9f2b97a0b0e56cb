// Sends and receives that have to wait: for data, for room, for all of it.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "ops/net_sqe.h"
#include "support/eventually.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

TEST(WaitingRecv, completes_when_data_arrives) {
    for (const SocketPair& pair : socket_pairs) {
        for (const unsigned flag : {0U, IOSQE_ASYNC}) {
            SCOPED_TRACE(testing::Message() << pair.name << ", flag " << flag);
            RawRing ring;
            const Ends ends = pair.make();
            char buffer[8] = {};
            EXPECT_THAT(ring.submit(sqe::recv(ends.far, buffer, 8).data(1).flag(flag), sqe::nop().data(2)), Gives(2));
            EXPECT_THAT(ring.wait(1), ElementsAre(Completes(2, 0)));
            EXPECT_THAT(ring.linger(3), IsEmpty());
            EXPECT_EQ(::send(ends.near, "hello", 5, 0), 5);
            EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 5)));
            EXPECT_STREQ(buffer, "hello");
        }
    }
}

// Registered once with whoever tells of readiness, its file is not registered anew for each: no message may get lost
// for that, whether somebody waits when it comes, or takes it in another way, or waits for room meanwhile.
TEST(WaitingRecv, on_a_registered_socket_waits_time_and_again) {
    for (const SocketPair& pair : socket_pairs) {
        SCOPED_TRACE(pair.name);
        RawRing ring;
        const Ends ends = pair.make();
        int files[] = {ends.far};
        ASSERT_THAT(ring.register_call(IORING_REGISTER_FILES, files, 1), Gives(0));
        char buffer[8] = {};
        const auto receive = [&] { return ring.submit(sqe::recv(0, buffer, 8).flag(IOSQE_FIXED_FILE).data(1)); };
        for (unsigned i = 0; i < 10; ++i) {
            EXPECT_THAT(receive(), Gives(1));
            EXPECT_THAT(ring.linger(1), IsEmpty());
            EXPECT_EQ(::send(ends.near, "hello", 5, 0), 5);
            EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 5)));
            EXPECT_EQ(::send(ends.near, "nobody", 6, 0), 6);
            EXPECT_EQ(::recv(ends.far, buffer, 8, 0), 6);
            EXPECT_THAT(ring.submit(sqe::poll_add(0, POLLPRI).flag(IOSQE_FIXED_FILE).data(2)), Gives(1));
            EXPECT_THAT(receive(), Gives(1));
            EXPECT_EQ(::send(ends.near, "again", 5, 0), 5);
            EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 5)));
            EXPECT_THAT(ring.submit(sqe::poll_remove(2).data(3)), Gives(1));
            EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(2, -ECANCELED), Completes(3, 0)));
        }
    }
}

TEST(WaitingRecv, completes_without_entering) {
    RawRing ring;
    const Ends ends = tcp_pair();
    char buffer[8] = {};
    EXPECT_THAT(ring.submit(sqe::recv(ends.far, buffer, 8).data(1)), Gives(1));
    EXPECT_EQ(::send(ends.near, "hello", 5, 0), 5);
    EXPECT_THAT(ring.watch(1), ElementsAre(Completes(1, 5)));
}

TEST(WaitingRecv, of_nothing_waits_for_something) {
    RawRing ring;
    const Ends ends = tcp_pair();
    EXPECT_THAT(ring.submit(sqe::recv(ends.far, nullptr, 0).data(1)), Gives(1));
    EXPECT_THAT(ring.linger(3), IsEmpty());
    EXPECT_EQ(::send(ends.near, "hello", 5, 0), 5);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 0, IORING_CQE_F_SOCK_NONEMPTY)));
}

TEST(WaitingRecv, that_polls_first_finds_what_is_there_already) {
    for (const SocketPair& pair : socket_pairs) {
        SCOPED_TRACE(pair.name);
        RawRing ring;
        const Ends ends = pair.make();
        char buffer[8] = {};
        const Sqe entry = sqe::recv(ends.far, buffer, 8).set(&Sqe::ioprio, IORING_RECVSEND_POLL_FIRST);
        EXPECT_EQ(::send(ends.near, "hello", 5, 0), 5);
        EXPECT_THAT(ring.run(entry), Gives(5));
        EXPECT_THAT(ring.submit(entry), Gives(1));
        EXPECT_THAT(ring.linger(3), IsEmpty());
        EXPECT_EQ(::send(ends.near, "there", 5, 0), 5);
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(0, 5)));
        EXPECT_THAT(ring.run(sqe::send(ends.far, "back", 4).set(&Sqe::ioprio, IORING_RECVSEND_POLL_FIRST)), Gives(4));
    }
}

// Data is no error, but what has no queue of errors takes it. What has one finds nothing there, time and again, until
// it is left to a worker, which does not wait for errors.
TEST(WaitingRecv, for_errors_wakes_up_for_data) {
    RawRing ring;
    const Pipe nothing{O_NONBLOCK};
    char byte = 0;
    for (const unsigned ioprio : {0u, IORING_RECVSEND_POLL_FIRST}) {
        for (const bool before : {true, false}) {
            const Ends ends = unix_pair(SOCK_STREAM);
            const auto send = [&] { EXPECT_EQ(::send(ends.far, "x", 1, 0), 1); };
            if (before) send();
            ASSERT_THAT(ring.submit(sqe::recv(ends.near, &byte, 1, MSG_ERRQUEUE).set(&Sqe::ioprio, ioprio).data(1)),
                        Gives(1));
            if (!before) send();
            EXPECT_THAT(ring.wait(1), ElementsAre(testing::Field(&Cqe::res, 1)));
        }
        const Ends ends = tcp_pair();
        ASSERT_EQ(::send(ends.far, "x", 1, 0), 1);
        const Sqe receive = sqe::recv(ends.near, &byte, 1, MSG_ERRQUEUE).set(&Sqe::ioprio, ioprio).data(1);
        EXPECT_THAT(ring.run(receive), Gives(-EAGAIN));
        // So a worker does what follows.
        ASSERT_THAT(ring.submit(Sqe(receive).flag(IOSQE_IO_HARDLINK), sqe::read(nothing.read_end, &byte, 1).data(2)),
                    Gives(2));
        EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, -EAGAIN), Completes(2, -EAGAIN)));
        EXPECT_EQ(drain(ends.near), 1u);
        ASSERT_THAT(ring.submit(receive), Gives(1));
        EXPECT_THAT(ring.linger(5), IsEmpty());
        ASSERT_EQ(::send(ends.far, "x", 1, 0), 1);
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, -EAGAIN)));
    }
}

TEST(WaitingRecv, can_be_cancelled) {
    for (const SocketPair& pair : socket_pairs) {
        for (const unsigned flag : {0U, IOSQE_ASYNC}) {
            SCOPED_TRACE(pair.name);
            RawRing ring;
            const Ends ends = pair.make();
            char byte = '-';
            EXPECT_THAT(ring.submit(sqe::recv(ends.far, &byte, 1).data(1).flag(flag)), Gives(1));
            EXPECT_THAT(ring.linger(3), IsEmpty());
            EXPECT_THAT(ring.submit(sqe::cancel(1).data(2)), Gives(1));
            EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, -ECANCELED), Completes(2, 0)));
            EXPECT_EQ(::send(ends.near, "x", 1, 0), 1);
            EXPECT_EQ(drain(ends.far), 1u);
            EXPECT_EQ(byte, '-');
        }
    }
}

TEST(WaitingRecv, goes_on_with_its_socket_when_that_is_closed_and_its_number_is_reused) {
    for (const SocketPair& pair : socket_pairs) {
        SCOPED_TRACE(pair.name);
        RawRing ring;
        Ends ends = pair.make();
        const Ends other = unix_pair(SOCK_STREAM);
        char byte = '-';
        EXPECT_THAT(ring.submit(sqe::recv(ends.far, &byte, 1).data(1)), Gives(1));
        const int number = ends.far.release();
        ::close(number);
        const Fd impostor(dup2(other.far, number));
        EXPECT_EQ(::send(other.near, "i", 1, 0), 1);
        EXPECT_THAT(ring.linger(5), IsEmpty());
        EXPECT_EQ(::send(ends.near, "x", 1, 0), 1);
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 1)));
        EXPECT_EQ(byte, 'x');
    }
}

TEST(WaitingRecv, ends_when_its_socket_is_shut_down) {
    RawRing ring;
    const Ends ends = tcp_pair();
    char byte;
    EXPECT_THAT(ring.submit(sqe::recv(ends.far, &byte, 1).data(1)), Gives(1));
    EXPECT_THAT(ring.submit(sqe::shutdown(ends.far, SHUT_RD).data(2)), Gives(1));
    const std::vector<Cqe> completions = ring.wait(2);
    ASSERT_EQ(completions.size(), 2u);
    for (const Cqe& cqe : completions) EXPECT_EQ(cqe.res, 0);
}

TEST(WaitingRecv, takes_out_of_band_data) {
    RawRing ring;
    const Ends ends = tcp_pair();
    char byte = '-';
    EXPECT_THAT(ring.run(sqe::recv(ends.far, &byte, 1, MSG_OOB)), Gives(-EINVAL));
    EXPECT_EQ(::send(ends.near, "!", 1, MSG_OOB), 1);
    EXPECT_TRUE(eventually([&] { return ring.run(sqe::recv(ends.far, &byte, 1, MSG_OOB)).res == 1; }));
    EXPECT_EQ(byte, '!');
}

TEST(WaitingSend, completes_when_there_is_room) {
    for (const unsigned flag : {0U, IOSQE_ASYNC}) {
        RawRing ring;
        const Ends ends = unix_pair(SOCK_STREAM);
        const size_t filled = fill(ends.near);
        EXPECT_THAT(ring.submit(sqe::send(ends.near, "hello", 5).data(1).flag(flag), sqe::nop().data(2)), Gives(2));
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(2, 0)));
        EXPECT_THAT(ring.linger(3), IsEmpty());
        const size_t drained = drain(ends.far);
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 5)));
        EXPECT_EQ(drained + drain(ends.far), filled + 5);
    }
}

TEST(WaitingSend, can_be_cancelled) {
    RawRing ring;
    const Ends ends = unix_pair(SOCK_STREAM);
    fill(ends.near);
    EXPECT_THAT(ring.submit(sqe::send(ends.near, "x", 1).data(1)), Gives(1));
    EXPECT_THAT(ring.submit(sqe::cancel(1).data(2)), Gives(1));
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, -ECANCELED), Completes(2, 0)));
}

TEST(WaitingSend, to_an_address_uses_the_one_that_it_was_submitted_with) {
    RawRing ring;
    sockaddr_un address = {AF_UNIX, {}};
    snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "ringside-test-%d", getpid());
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + strlen(address.sun_path + 1));
    const Fd receiver(::socket(AF_UNIX, SOCK_DGRAM, 0));
    ASSERT_EQ(::bind(receiver, reinterpret_cast<sockaddr*>(&address), length), 0);
    const Fd sender(::socket(AF_UNIX, SOCK_DGRAM, 0));
    int filled = 0;
    while (::sendto(sender, "f", 1, MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&address), length) == 1) ++filled;
    // Nothing but the receiver knows when it has room.
    EXPECT_THAT(ring.submit(sqe::sendto(sender, "x", 1, &address, static_cast<uint16_t>(length)).data(1)), Gives(1));
    EXPECT_THAT(ring.linger(3), IsEmpty());
    memset(&address, 0, sizeof(address));
    char byte;
    EXPECT_EQ(::recv(receiver, &byte, 1, 0), 1);
    const std::vector<Cqe> completions = ring.wait(1);
    ASSERT_EQ(completions.size(), 1u);
    // The kernel sends an empty datagram: it has used up the buffer by its first attempt.
    EXPECT_THAT(completions[0].res, testing::AnyOf(1, 0));
    while (::recv(receiver, &byte, 1, MSG_DONTWAIT) >= 0) --filled;
    EXPECT_EQ(filled, 0);
}

TEST(WaitAll, waits_for_the_rest) {
    for (const SocketPair& pair : socket_pairs) {
        if (!pair.stream) continue;
        SCOPED_TRACE(pair.name);
        RawRing ring;
        const Ends ends = pair.make();
        char buffer[16] = {};
        EXPECT_THAT(
            ring.submit(sqe::recv(ends.far, buffer, 10, MSG_WAITALL).data(1).flag(IOSQE_IO_LINK), sqe::nop().data(2)),
            Gives(2));
        for (const char* part : {"he", "llo", "ther"}) {
            EXPECT_EQ(::send(ends.near, part, strlen(part), 0), static_cast<ssize_t>(strlen(part)));
            EXPECT_THAT(ring.linger(3), IsEmpty());
        }
        EXPECT_EQ(::send(ends.near, "e", 1, 0), 1);
        EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, 10), Completes(2, 0)));
        EXPECT_STREQ(buffer, "hellothere");
    }
}

TEST(WaitAll, that_is_cancelled_gives_the_part_and_severs_its_chain) {
    for (const SocketPair& pair : socket_pairs) {
        if (!pair.stream) continue;
        SCOPED_TRACE(pair.name);
        RawRing ring;
        const Ends ends = pair.make();
        char buffer[16] = {};
        EXPECT_EQ(::send(ends.near, "hello", 5, 0), 5);
        EXPECT_THAT(
            ring.submit(sqe::recv(ends.far, buffer, 10, MSG_WAITALL).data(1).flag(IOSQE_IO_LINK), sqe::nop().data(2)),
            Gives(2));
        EXPECT_THAT(ring.linger(3), IsEmpty());
        EXPECT_THAT(ring.submit(sqe::cancel(1).data(3)), Gives(1));
        EXPECT_THAT(ring.wait(3), UnorderedElementsAre(Completes(1, 5), Completes(2, -ECANCELED), Completes(3, 0)));
    }
}

TEST(WaitAll, sends_everything) {
    for (const SocketPair& pair : socket_pairs) {
        if (!pair.stream) continue;
        SCOPED_TRACE(pair.name);
        RawRing ring;
        const Ends ends = pair.make();
        std::string much(6 << 20, ' ');
        for (size_t index = 0; index < much.size(); ++index) much[index] = static_cast<char>(index * 7 / 3);
        EXPECT_THAT(ring.submit(sqe::send(ends.near, much.data(), much.size(), MSG_WAITALL).data(1).flag(IOSQE_IO_LINK),
                                sqe::nop().data(2)),
                    Gives(2));
        EXPECT_TRUE(receive_all(ends.far, much.size()) == much);
        EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, static_cast<int>(much.size())), Completes(2, 0)));
    }
}

TEST(WaitAll, of_a_send_whose_peer_goes_gives_the_part_and_severs_its_chain) {
    RawRing ring;
    Ends ends = unix_pair(SOCK_STREAM);
    const std::string much(6 << 20, 'x');
    EXPECT_THAT(ring.submit(sqe::send(ends.near, much.data(), much.size(), MSG_WAITALL).data(1).flag(IOSQE_IO_LINK),
                            sqe::nop().data(2)),
                Gives(2));
    EXPECT_THAT(ring.linger(3), IsEmpty());
    ends.far.reset();
    const std::vector<Cqe> completions = ring.wait(2);
    ASSERT_EQ(completions.size(), 2u);
    EXPECT_GT(completions[0].res, 0);
    EXPECT_LT(completions[0].res, static_cast<int>(much.size()));
    EXPECT_EQ(completions[1], (Cqe{2, -ECANCELED, 0}));
}

// Lets the process have so many descriptors, if it may; returns how many it may have.
size_t allow_descriptors(size_t wanted) {
    const rlimit all = {wanted, wanted};
    rlimit limit;
    EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur >= wanted || setrlimit(RLIMIT_NOFILE, &all) == 0) return std::max(limit.rlim_cur, wanted);
    limit.rlim_cur = limit.rlim_max;
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    return limit.rlim_cur;
}

// Bytes that this process has from malloc, the engine's included.
size_t allocated() {
    const struct mallinfo2 use = mallinfo2();
    return use.uordblks + use.hblkhd;
}

// Each with a request of its own in wait. The engine holds each file in a table of its own (service/keeper.h), which
// takes no descriptor of the program's.
TEST(WaitingRecv, works_on_ten_thousand_sockets_at_once) {
    constexpr size_t wanted = 10'000;
    const size_t sockets = std::min(wanted, allow_descriptors(2 * wanted + 500) - 200) / 2 * 2;
    RawRing ring(256);
    std::vector<Ends> ends(sockets / 2);
    for (Ends& pair : ends) pair = unix_pair(SOCK_STREAM);
    std::vector<char> bytes(sockets, '-');
    const auto socket = [&](size_t index) { return (index % 2 ? ends[index / 2].far : ends[index / 2].near).get(); };

    const size_t before = allocated();
    unsigned pushed = 0;
    for (size_t index = 0; index < sockets; ++index) {
        ring.push(sqe::recv(socket(index), &bytes[index], 1).data(index));
        if (++pushed == 256 || index == sockets - 1) {
            EXPECT_THAT(ring.submit_pushed(pushed), Gives(pushed));
            pushed = 0;
        }
    }
    EXPECT_EQ(ring.ready(), 0u);
    const size_t each = (allocated() - before) / sockets;
    RecordProperty("bytes_each", static_cast<int>(each));
    EXPECT_LE(each, 368u) << "bytes of memory for each request that waits";

    for (size_t index = 0; index < sockets; ++index) {
        ASSERT_EQ(::send(socket(index), "x", 1, 0), 1);
        if (index % 100 != 99) continue;
        for (const Cqe& cqe : ring.wait(100)) EXPECT_THAT(cqe, Gives(1));
    }
    for (const Cqe& cqe : ring.wait(static_cast<unsigned>(sockets % 100))) EXPECT_THAT(cqe, Gives(1));
    EXPECT_EQ(std::string(bytes.begin(), bytes.end()), std::string(sockets, 'x'));
}

TEST(PollFirst, needs_a_socket_but_for_a_receive_into_one_buffer) {
    RawRing ring;
    const Fd file = file_with("content");
    char buffer[8];
    msghdr message = {};
    for (const int flags : {0, int{MSG_DONTWAIT}}) {
        const auto first = [&](Sqe sqe) { return sqe.set(&Sqe::ioprio, IORING_RECVSEND_POLL_FIRST); };
        // What cannot be polled is not waited for, and so it is never found out that it is no socket.
        EXPECT_THAT(ring.run(first(sqe::recv(file, buffer, 8, flags))), Gives(-EAGAIN));
        EXPECT_THAT(ring.run(first(sqe::recvmsg(file, &message, flags))), Gives(-ENOTSOCK));
        for (const unsigned flag : {0u, unsigned{IOSQE_ASYNC}}) {
            const Sqe accept = Sqe(IORING_OP_ACCEPT, file).set(&Sqe::ioprio, IORING_ACCEPT_POLL_FIRST);
            EXPECT_THAT(ring.run(Sqe(accept).flag(flag)), Gives(-EAGAIN));
        }
        EXPECT_THAT(ring.run(first(sqe::send(file, buffer, 8, flags))), Gives(-ENOTSOCK));
        EXPECT_THAT(ring.run(first(sqe::sendmsg(file, &message, flags))), Gives(-ENOTSOCK));
    }
}

}  // namespace
}  // namespace ringside::test
