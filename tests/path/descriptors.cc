// A ring's descriptor under other names: copies of it, and what becomes of one that is sent through a socket.
#include <errno.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/eventually.h"
#include "support/files.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;

bool on_kernel() { return provider_under_test() == provider::Kind::kernel; }

// Another name of the ring. The engine has to be told of it, by whoever sees the program make it.
int copy_of(const RawRing& ring) {
    const int copy = dup(ring.fd());
    if (!on_kernel()) engine::note_dup(ring.fd(), copy);
    return copy;
}

int enter_by(int fd, unsigned to_submit, unsigned min_complete = 0) {
    const unsigned flags = min_complete != 0 ? IORING_ENTER_GETEVENTS : 0;
    return provider::enter(provider_under_test(), static_cast<unsigned>(fd), to_submit, min_complete, flags, nullptr,
                           0);
}

int close_ring(int fd) { return provider::close(provider_under_test(), fd); }

TEST(RingDescriptor, works_by_each_of_its_copies) {
    RawRing ring;
    const int first = copy_of(ring), second = copy_of(ring);
    for (const int fd : {ring.fd(), first, second}) {
        ring.push(sqe::nop().data(static_cast<uint64_t>(fd)));
        EXPECT_THAT(enter_by(fd, 1), Gives(1));
        EXPECT_THAT(ring.reap(), ElementsAre(Completes(static_cast<uint64_t>(fd), 0)));
    }
    EXPECT_EQ(close_ring(first), 0);
    EXPECT_THAT(enter_by(first, 0), Gives(-EBADF));
    EXPECT_THAT(enter_by(second, 0), Gives(0));
    EXPECT_EQ(close_ring(second), 0);
    EXPECT_THAT(ring.run(sqe::nop().data(1)), Gives(0));
}

TEST(RingDescriptor, keeps_its_ring_until_the_last_copy_is_closed) {
    RawRing ring;
    Pipe pipe;
    static char bytes[2];
    const int copy = copy_of(ring);
    EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &bytes[0], 1).data(1),
                            sqe::read(pipe.read_end, &bytes[1], 1).data(2).flag(IOSQE_ASYNC)),
                Gives(2));
    EXPECT_EQ(ring.close(), 0);
    EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
    EXPECT_THAT(enter_by(copy, 0, 1), Gives(0));
    EXPECT_EQ(ring.reap().size(), 1u);
    // One request still reads; it goes with the last name. A mapping keeps the kernel's ring as a name does.
    ring.unmap();
    EXPECT_EQ(close_ring(copy), 0);
    pipe.read_end.reset();
    EXPECT_TRUE(eventually([&] {
        pollfd entry = {pipe.write_end, 0, 0};
        return poll(&entry, 1, 0) == 1 && (entry.revents & POLLERR) != 0;
    }));
    EXPECT_THAT(enter_by(copy, 0), Gives(-EBADF));
}

// Sends a descriptor from one end to the other: the one that has arrived, or -errno.
int pass(const Ends& ends, int fd) {
    char byte = 'x';
    iovec part = {&byte, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(fd))] = {};
    msghdr message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    cmsghdr* rights = CMSG_FIRSTHDR(&message);
    *rights = {CMSG_LEN(sizeof(fd)), SOL_SOCKET, SCM_RIGHTS};
    memcpy(CMSG_DATA(rights), &fd, sizeof(fd));
    if (sendmsg(ends.near, &message, 0) < 0) return -errno;
    if (recvmsg(ends.far, &message, MSG_CMSG_CLOEXEC) < 0) return -errno;
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
    return fd;
}

TEST(RingDescriptor, is_not_passed_on_by_the_kernel_and_names_nothing_when_the_engines_is) {
    // docs/differences.md
    RawRing ring;
    const int passed = pass(unix_pair(SOCK_STREAM), ring.fd());
    if (on_kernel()) {
        EXPECT_THAT(passed, Gives(-EINVAL));
    } else {
        ASSERT_GE(passed, 0);
        EXPECT_THAT(enter_by(passed, 0), Gives(-EOPNOTSUPP));
        close(passed);
    }
    EXPECT_THAT(ring.run(sqe::nop().data(1)), Gives(0));
}

}  // namespace
}  // namespace ringside::test
