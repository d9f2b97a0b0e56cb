// Flags of system calls that requests hand on: each does, or is refused, what the call does.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/errqueue.h>
#include <linux/falloc.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "ops/net_sqe.h"
#include "support/sqe_files.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

struct DatagramSocket {
    DatagramSocket() {
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof(address);
        EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
        EXPECT_EQ(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
    }
    Fd fd{socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    sockaddr_in address = {};
};

TEST(Flags, of_datagrams_that_are_sent) {
    RawRing ring;
    const DatagramSocket from, to;
    char buffer[4];
    ASSERT_EQ(connect(from.fd, reinterpret_cast<const sockaddr*>(&to.address), sizeof(to.address)), 0);
    for (const int flag : {int{MSG_CONFIRM}, int{MSG_DONTROUTE}, MSG_CONFIRM | MSG_DONTROUTE}) {
        EXPECT_THAT(ring.run(sqe::send(from.fd, "hey", 3, flag)), Gives(3));
        EXPECT_THAT(ring.run(sqe::recv(to.fd, buffer, sizeof(buffer))), Gives(3));
    }
}

// A datagram that nobody takes comes back to the error queue.
TEST(Flags, of_a_receive_from_the_error_queue) {
    RawRing ring;
    const DatagramSocket socket;
    const int on = 1;
    ASSERT_EQ(setsockopt(socket.fd, IPPROTO_IP, IP_RECVERR, &on, sizeof(on)), 0);
    // Bound, so that nobody else is there, and closed again by its owner for reading.
    DatagramSocket gone;
    const sockaddr_in nobody = gone.address;
    gone.fd.reset();
    char bytes[8] = {}, control[256];
    iovec vector = {bytes, sizeof(bytes)};
    msghdr message = {};
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    EXPECT_THAT(ring.run(sqe::recvmsg(socket.fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT)), Gives(-EAGAIN));
    message.msg_controllen = sizeof(control);
    EXPECT_THAT(ring.submit(sqe::recvmsg(socket.fd, &message, MSG_ERRQUEUE).data(1)), Gives(1));
    EXPECT_THAT(ring.linger(5), IsEmpty());
    EXPECT_EQ(sendto(socket.fd, "lost", 4, 0, reinterpret_cast<const sockaddr*>(&nobody), sizeof(nobody)), 4);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 4)));
    EXPECT_EQ(std::string(bytes, 4), "lost");
    EXPECT_TRUE(message.msg_flags & MSG_ERRQUEUE);
    ASSERT_NE(CMSG_FIRSTHDR(&message), nullptr);
    EXPECT_EQ(CMSG_FIRSTHDR(&message)->cmsg_type, IP_RECVERR);
}

TEST(Flags, of_statx_that_mount_nothing) {
    RawRing ring;
    struct statx status = {};
    EXPECT_THAT(ring.run(sqe::statx(AT_FDCWD, "/", AT_NO_AUTOMOUNT, STATX_BASIC_STATS, &status)), Gives(0));
    EXPECT_TRUE(S_ISDIR(status.stx_mode));
}

TEST(Flags, of_fallocate_are_for_the_file_system) {
    RawRing ring;
    for (const int mode : {FALLOC_FL_ZERO_RANGE, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, FALLOC_FL_COLLAPSE_RANGE,
                           FALLOC_FL_INSERT_RANGE, FALLOC_FL_UNSHARE_RANGE}) {
        const Fd file = file_with(std::string(16384, 'x')), twin = file_with(std::string(16384, 'x'));
        const int expected = fallocate(twin, mode, 4096, 4096) == 0 ? 0 : -errno;
        EXPECT_THAT(ring.run(sqe::fallocate(file, mode, 4096, 4096)), Gives(expected));
        EXPECT_EQ(content_of(file), content_of(twin)) << mode;
    }
}

TEST(Flags, of_advice_on_memory) {
    RawRing ring;
    const Fd file = file_with(std::string(8192, 'x'));
    void* const mapped = mmap(nullptr, 8192, PROT_READ, MAP_PRIVATE, file, 0);
    ASSERT_NE(mapped, MAP_FAILED);
    for (const uint32_t advice : {MADV_WILLNEED, MADV_SEQUENTIAL, MADV_RANDOM, MADV_NORMAL}) {
        EXPECT_THAT(ring.run(sqe::madvise(mapped, 8192, advice)), Gives(0));
    }
    EXPECT_EQ(static_cast<char*>(mapped)[8191], 'x');
    EXPECT_EQ(munmap(mapped, 8192), 0);
}

TEST(Flags, of_futexes_of_sizes_that_there_are_not) {
    RawRing ring;
    alignas(8) uint32_t word = 0;
    constexpr uint32_t size_8 = 0, size_16 = 1, size_64 = 3;  // FUTEX2_SIZE_U8 and so on
    for (const uint32_t kind : {size_8, size_16, size_64}) {
        EXPECT_THAT(ring.run(sqe::futex_wait(&word, 0, sqe::every_waiter, kind)), Gives(-EINVAL));
        EXPECT_THAT(ring.run(sqe::futex_wake(&word, 1, sqe::every_waiter, kind)), Gives(-EINVAL));
    }
}

// A pipe for notifications: a kernel may be built without.
TEST(Flags, of_pipes_are_those_of_the_call) {
    RawRing ring;
    for (const int flag : {O_EXCL, O_DIRECT, O_NONBLOCK}) {
        int plain[2] = {-1, -1}, ours[2] = {-1, -1};
        const int expected = pipe2(plain, flag) == 0 ? 0 : -errno;
        EXPECT_THAT(ring.run(sqe::pipe(ours, static_cast<uint32_t>(flag))), Gives(expected));
        if (expected == 0) {
            EXPECT_EQ(fcntl(ours[1], F_GETFL), fcntl(plain[1], F_GETFL));
        }
        for (const int end : {plain[0], plain[1], ours[0], ours[1]}) {
            if (end >= 0) close(end);
        }
    }
}

}  // namespace
}  // namespace ringside::test
