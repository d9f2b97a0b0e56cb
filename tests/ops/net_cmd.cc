// URING_CMD: the commands of sockets.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/net_tstamp.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>

#include <cstdlib>
#include <vector>

#include "ops/net_sqe.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;

Sqe command(int fd, uint32_t operation) { return Sqe(IORING_OP_URING_CMD, fd).set(&Sqe::cmd_op, operation); }

Sqe option(int fd, uint32_t operation, int level, int name, void* value, int length) {
    return command(fd, operation)
        .set(&Sqe::level, level)
        .set(&Sqe::optname, name)
        .set(&Sqe::optval, address_of(value))
        .set(&Sqe::optlen, length);
}

TEST(SocketCommand, tells_how_much_is_queued) {
    for (const unsigned flag : {0U, IOSQE_ASYNC}) {
        RawRing ring;
        const Ends ends = tcp_pair();
        EXPECT_EQ(::send(ends.near, "hello", 5, 0), 5);
        EXPECT_THAT(ring.run(command(ends.far, SOCKET_URING_OP_SIOCINQ).flag(flag)), Gives(5));
        EXPECT_THAT(ring.run(command(ends.far, SOCKET_URING_OP_SIOCOUTQ).flag(flag)), Gives(0));
        fill(ends.near);
        EXPECT_GT(ring.run(command(ends.near, SOCKET_URING_OP_SIOCOUTQ).flag(flag)).res, 0);
    }
}

TEST(SocketCommand, knows_queues_of_internet_protocols_only) {
    RawRing ring;
    const Local listener(SOCK_STREAM), datagrams(SOCK_DGRAM);
    EXPECT_THAT(ring.run(command(listener.fd, SOCKET_URING_OP_SIOCINQ)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(command(datagrams.fd, SOCKET_URING_OP_SIOCINQ)), Gives(0));
    EXPECT_THAT(ring.run(command(unix_pair(SOCK_STREAM).near, SOCKET_URING_OP_SIOCINQ)), Gives(-EOPNOTSUPP));
    EXPECT_THAT(ring.run(command(unix_pair(SOCK_STREAM).near, SOCKET_URING_OP_SIOCOUTQ)), Gives(-EOPNOTSUPP));
}

TEST(SocketCommand, sets_and_gets_options) {
    RawRing ring;
    const Ends ends = tcp_pair();
    int value = 1;
    EXPECT_THAT(
        ring.run(option(ends.near, SOCKET_URING_OP_SETSOCKOPT, SOL_SOCKET, SO_KEEPALIVE, &value, sizeof(value))),
        Gives(0));
    value = 77;
    EXPECT_THAT(
        ring.run(option(ends.near, SOCKET_URING_OP_GETSOCKOPT, SOL_SOCKET, SO_KEEPALIVE, &value, sizeof(value))),
        Gives(4));
    EXPECT_EQ(value, 1);
    EXPECT_THAT(ring.run(option(ends.near, SOCKET_URING_OP_GETSOCKOPT, SOL_SOCKET, SO_KEEPALIVE, &value, 2)), Gives(2));
    EXPECT_THAT(
        ring.run(option(ends.near, SOCKET_URING_OP_SETSOCKOPT, IPPROTO_TCP, TCP_NODELAY, &value, sizeof(value))),
        Gives(0));
    EXPECT_THAT(
        ring.run(option(ends.near, SOCKET_URING_OP_GETSOCKOPT, IPPROTO_TCP, TCP_NODELAY, &value, sizeof(value))),
        Gives(-EOPNOTSUPP));
    for (const uint32_t operation : {SOCKET_URING_OP_GETSOCKOPT, SOCKET_URING_OP_SETSOCKOPT}) {
        EXPECT_THAT(ring.run(option(ends.near, operation, SOL_SOCKET, SO_KEEPALIVE, reinterpret_cast<void*>(8), 4)),
                    Gives(-EFAULT));
        EXPECT_THAT(ring.run(option(ends.near, operation, SOL_SOCKET, 9999, &value, 4)), Gives(-ENOPROTOOPT));
        EXPECT_THAT(ring.run(option(ends.near, operation, SOL_SOCKET, SO_KEEPALIVE, &value, -1)), Gives(-EINVAL));
    }
}

TEST(SocketCommand, tells_both_names) {
    RawRing ring;
    const Local local(SOCK_STREAM);
    const Fd client = local.client();
    sockaddr_in name = {};
    socklen_t length = sizeof(name);
    const auto ask = [&](int which) {
        return ring
            .run(option(client, SOCKET_URING_OP_GETSOCKNAME, 0, 0, &length, which).set(&Sqe::addr, address_of(&name)))
            .res;
    };
    const int other = ask(1);
    // It came with Linux 6.19.
    if (provider_under_test() == provider::Kind::kernel && other == -EOPNOTSUPP) return;
    EXPECT_EQ(other, 0);
    EXPECT_EQ(memcmp(&name, &local.address, sizeof(name)), 0);
    EXPECT_EQ(ask(0), 0);
    sockaddr_in own = {};
    socklen_t own_length = sizeof(own);
    EXPECT_EQ(getsockname(client, reinterpret_cast<sockaddr*>(&own), &own_length), 0);
    EXPECT_EQ(memcmp(&name, &own, sizeof(name)), 0);
    EXPECT_EQ(ask(2), -EINVAL);
}

// Time stamps of what is sent, by software, with a running number and without the data.
void want_timestamps(int fd) {
    const int wanted = SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_OPT_ID |
                       SOF_TIMESTAMPING_OPT_TSONLY;
    EXPECT_EQ(setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPING, &wanted, sizeof(wanted)), 0);
}

TEST(SocketCommand, tells_when_data_was_sent) {
    RawRing ring(8, IORING_SETUP_CQE32);
    const Local local(SOCK_DGRAM);
    const Fd sender(::socket(AF_INET, SOCK_DGRAM, 0));
    want_timestamps(sender);
    const auto send_one = [&] {
        EXPECT_EQ(::sendto(sender, "hello", 5, 0, local.generic(), sizeof(local.address)), 5);
    };
    send_one();
    EXPECT_THAT(ring.submit(command(sender, SOCKET_URING_OP_TX_TIMESTAMP).data(1)), Gives(1));
    for (int round = 0; round < 3; ++round) {
        const std::vector<Cqe> completions = ring.wait(1);
        ASSERT_EQ(completions.size(), 1u);
        EXPECT_EQ(completions[0].res, round);
        EXPECT_EQ(completions[0].flags, IORING_CQE_F_MORE);
        const auto sent_at =
            static_cast<int64_t>(completions[0].big_cqe[0] * 1'000'000'000 + completions[0].big_cqe[1]);
        EXPECT_LT(std::abs(now_ns(CLOCK_REALTIME) - sent_at), patience_ms * 1'000'000);
        send_one();
    }
    EXPECT_EQ(ring.wait(1).size(), 1u);
    EXPECT_THAT(ring.submit(sqe::cancel(1).data(2)), Gives(1));
    EXPECT_THAT(ring.wait(2), testing::UnorderedElementsAre(Completes(1, -ECANCELED), Completes(2, 0)));
}

TEST(SocketCommand, tells_times_only_where_completions_are_large) {
    RawRing ring;
    EXPECT_THAT(ring.run(command(tcp_pair().near, SOCKET_URING_OP_TX_TIMESTAMP)), Gives(-EINVAL));
}

// A family without an error queue takes MSG_ERRQUEUE for an ordinary receive: the engine read the data, or, of a
// stream, nothing again and again, and never came back.
TEST(SocketCommand, that_waits_for_times_leaves_the_data_of_a_local_socket_alone) {
    for (const int type : {SOCK_STREAM, SOCK_DGRAM}) {
        RawRing ring(8, IORING_SETUP_CQE32);
        int ends[2];
        ASSERT_EQ(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends), 0);
        const Fd near(ends[0]), far(ends[1]);
        ASSERT_EQ(::send(near, "data", 4, 0), 4);
        EXPECT_THAT(ring.submit(command(far, SOCKET_URING_OP_TX_TIMESTAMP).data(1)), Gives(1));
        char data[8];
        EXPECT_EQ(::recv(far, data, sizeof(data), MSG_DONTWAIT), 4);
        EXPECT_THAT(ring.submit(sqe::cancel(1).data(2)), Gives(1));
        EXPECT_THAT(ring.wait(2), testing::UnorderedElementsAre(Completes(1, -ECANCELED), Completes(2, 0)));
    }
}

TEST(SocketCommand, that_nobody_knows_is_not_supported) {
    RawRing ring;
    const Ends ends = tcp_pair();
    EXPECT_THAT(ring.submit(command(ends.near, 99).data(1).flag(IOSQE_IO_LINK), sqe::nop().data(2)), Gives(2));
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, -EOPNOTSUPP), Completes(2, -ECANCELED)));
    EXPECT_THAT(ring.run(command(ends.near, 0).set(&Sqe::__pad1, 1)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(command(ends.near, 0).set(&Sqe::ioprio, 1)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(command(ends.near, 0).flag(IOSQE_BUFFER_SELECT)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(command(ends.near, 0).set(&Sqe::uring_cmd_flags, 1U << 31)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(command(1'000'000, 0)), Gives(-EBADF));
}

TEST(DeviceCommand, is_not_supported_by_ordinary_files) {
    RawRing ring;
    const Pipe pipe;
    const Fd file = file_with("content"), zero(open("/dev/zero", O_RDWR)), null(open("/dev/null", O_RDWR));
    EXPECT_THAT(ring.run(command(pipe.read_end, 0)), Gives(-EOPNOTSUPP));
    EXPECT_THAT(ring.run(command(file, 0)), Gives(-EOPNOTSUPP));
    EXPECT_THAT(ring.run(command(zero, 0)), Gives(-EOPNOTSUPP));
    EXPECT_THAT(ring.run(command(null, 0)), Gives(0));
}

TEST(SocketCommand, takes_the_flag_of_a_registered_buffer) {
    RawRing ring;
    const Ends ends = tcp_pair();
    ASSERT_EQ(::send(ends.near, "abc", 3, 0), 3);
    Sqe command = Sqe(IORING_OP_URING_CMD, ends.far).set(&Sqe::cmd_op, SOCKET_URING_OP_SIOCINQ);
    EXPECT_TRUE(eventually([&] { return ring.run(command).res == 3; }));
    command.set(&Sqe::uring_cmd_flags, IORING_URING_CMD_FIXED);
    EXPECT_THAT(ring.run(command), Gives(3));
    EXPECT_THAT(ring.run(Sqe(command).flag(IOSQE_BUFFER_SELECT)), Gives(-EINVAL));
}

// Only together with a selection, and not with a registered buffer.
Sqe multishot_command(int fd, uint32_t operation) {
    return command(fd, operation).set(&Sqe::uring_cmd_flags, IORING_URING_CMD_MULTISHOT).flag(IOSQE_BUFFER_SELECT);
}

TEST(SocketCommand, may_go_on_if_it_selects_buffers) {
    RawRing ring;
    const Ends ends = tcp_pair();
    const Fd file = file_with("content");
    EXPECT_THAT(ring.run(multishot_command(ends.near, 99)), Gives(-EOPNOTSUPP));
    EXPECT_THAT(ring.run(multishot_command(ends.near, 99).flag(IOSQE_ASYNC)), Gives(-EOPNOTSUPP));
    EXPECT_THAT(ring.run(multishot_command(file, 0)), Gives(-EOPNOTSUPP));
    EXPECT_THAT(ring.run(multishot_command(1'000'000, 0)), Gives(-EBADF));
    const uint32_t both = IORING_URING_CMD_MULTISHOT | IORING_URING_CMD_FIXED;
    EXPECT_THAT(ring.run(multishot_command(ends.near, 99).set(&Sqe::uring_cmd_flags, both)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(command(ends.near, 99).set(&Sqe::uring_cmd_flags, IORING_URING_CMD_MULTISHOT)),
                Gives(-EINVAL));
}

// On the kernel such a request never ends, nor does its ring: there it is not tried.
TEST(SocketCommand, that_goes_on_and_succeeds_ends_on_the_engine) {
    if (provider_under_test() == provider::Kind::kernel) return;
    RawRing ring;
    const Ends ends = tcp_pair();
    EXPECT_THAT(ring.run(multishot_command(ends.near, SOCKET_URING_OP_SIOCINQ)), Gives(0));
}

}  // namespace
}  // namespace ringside::test
