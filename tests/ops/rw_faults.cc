// Which of several faults of a transfer is told, and when.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "support/files.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;

// Neither can be read or written, which is found out when they are ready.
TEST(TransferFaults, files_that_can_only_be_polled_are_waited_for_first) {
    RawRing ring;
    char bytes[8];
    const Fd set(epoll_create1(EPOLL_CLOEXEC));
    const Fd process(static_cast<int>(syscall(SYS_pidfd_open, getpid(), 0)));
    for (const int fd : {set.get(), process.get()}) {
        for (const uint32_t length : {0u, 8u}) {
            for (const unsigned flag : {0u, unsigned{IOSQE_ASYNC}}) {
                EXPECT_THAT(ring.submit(sqe::read(fd, bytes, length).data(1).flag(flag),
                                        sqe::write(fd, bytes, length).data(2).flag(flag)),
                            Gives(2));
                EXPECT_THAT(ring.linger(5), testing::IsEmpty());
                EXPECT_THAT(ring.submit(sqe::cancel(0, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL).data(3)),
                            Gives(1));
                EXPECT_THAT(ring.wait(3), testing::UnorderedElementsAre(Completes(1, -ECANCELED),
                                                                        Completes(2, -ECANCELED), Completes(3, 2)));
            }
            EXPECT_THAT(ring.run(sqe::read(fd, bytes, length).set(&Sqe::rw_flags, RWF_NOWAIT)), Gives(-EOPNOTSUPP));
            EXPECT_THAT(ring.run(sqe::read(fd, bytes, length).flag(IOSQE_IO_LINK)), Gives(-EINVAL));
        }
    }
    EXPECT_THAT(ring.run(Sqe(IORING_OP_PROVIDE_BUFFERS, 1)
                             .set(&Sqe::addr, address_of(bytes))
                             .set(&Sqe::len, sizeof(bytes))
                             .set(&Sqe::buf_group, 1)),
                Gives(0));
    EXPECT_THAT(ring.submit(Sqe(IORING_OP_READ_MULTISHOT, set)
                                .data(1)
                                .set(&Sqe::buf_group, 1)
                                .set(&Sqe::off, ~uint64_t{0})
                                .flag(IOSQE_BUFFER_SELECT)),
                Gives(1));
    EXPECT_THAT(ring.linger(5), testing::IsEmpty());
    EXPECT_THAT(ring.submit(sqe::cancel(1).data(3)), Gives(1));
    EXPECT_THAT(ring.wait(2), testing::UnorderedElementsAre(Completes(1, -ECANCELED), Completes(3, 0)));
    const Fd ready(eventfd(1, EFD_CLOEXEC));
    EXPECT_THAT(ring.submit(sqe::read(set, bytes, 8).data(1)), Gives(1));
    epoll_event event = {.events = EPOLLIN, .data = {}};
    EXPECT_EQ(epoll_ctl(set, EPOLL_CTL_ADD, ready, &event), 0);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, -EINVAL)));
    EXPECT_EQ(fcntl(process, F_SETFL, O_NONBLOCK), 0);
    EXPECT_THAT(ring.run(sqe::read(process, bytes, 8)), Gives(-EINVAL));
    const Fd timer(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
    EXPECT_THAT(ring.run(sqe::write(timer, bytes, 8)), Gives(-EINVAL)) << "it can be read";
}

// Flags are judged before the file is asked whether it is ready; good ones change nothing.
TEST(TransferFaults, files_that_can_only_be_polled_have_flags_looked_at_before_they_are_waited_for) {
    constexpr uint32_t unknown = 1u << 20;
    RawRing ring;
    char bytes[8];
    const Fd set(epoll_create1(EPOLL_CLOEXEC));
    for (const uint32_t flags : {RWF_DSYNC, RWF_SYNC, RWF_APPEND, RWF_NOAPPEND}) {
        EXPECT_THAT(ring.submit(sqe::read(set, bytes, 8).data(1).set(&Sqe::rw_flags, flags),
                                sqe::write(set, bytes, 8).data(2).set(&Sqe::rw_flags, flags),
                                sqe::write(set, bytes, 8).data(3).set(&Sqe::rw_flags, flags).flag(IOSQE_ASYNC)),
                    Gives(3));
        EXPECT_THAT(ring.linger(5), testing::IsEmpty());
        EXPECT_THAT(ring.submit(sqe::cancel(0, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL).data(4)), Gives(1));
        EXPECT_THAT(ring.wait(4), testing::UnorderedElementsAre(Completes(1, -ECANCELED), Completes(2, -ECANCELED),
                                                                Completes(3, -ECANCELED), Completes(4, 3)));
    }
    for (const unsigned flag : {0u, unsigned{IOSQE_ASYNC}}) {
        EXPECT_THAT(ring.run(sqe::read(set, bytes, 8).set(&Sqe::rw_flags, RWF_HIPRI).flag(flag)), Gives(-EINVAL));
        EXPECT_THAT(ring.run(sqe::read(set, bytes, 8).set(&Sqe::rw_flags, RWF_APPEND | RWF_NOAPPEND).flag(flag)),
                    Gives(-EINVAL));
        EXPECT_THAT(ring.run(sqe::read(set, bytes, 8).set(&Sqe::rw_flags, unknown).flag(flag)), Gives(-EOPNOTSUPP));
    }
}

TEST(TransferFaults, mode_of_a_file_comes_before_an_offset_that_is_none) {
    RawRing ring;
    char byte;
    const TemporaryDirectory directory;
    const std::string path = directory.add("file");
    const Fd writable(open(path.c_str(), O_WRONLY | O_CLOEXEC));
    const Fd readable(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    constexpr uint64_t negative = 1ull << 63;
    for (const unsigned flag : {0u, unsigned{IOSQE_ASYNC}}) {
        EXPECT_THAT(ring.run(sqe::read(writable, &byte, 1, negative).flag(flag)), Gives(-EBADF));
        EXPECT_THAT(ring.run(sqe::write(writable, &byte, 1, negative).flag(flag)), Gives(-EINVAL));
        EXPECT_THAT(ring.run(sqe::read(readable, &byte, 1, negative).flag(flag)), Gives(-EINVAL));
        EXPECT_THAT(ring.run(sqe::write(readable, &byte, 1, negative).flag(flag)), Gives(-EBADF));
        EXPECT_THAT(ring.run(sqe::writev(readable, nullptr, 0, negative).flag(flag)), Gives(-EBADF));
        EXPECT_THAT(ring.run(sqe::readv(writable, nullptr, 0, negative).flag(flag)), Gives(-EBADF));
        EXPECT_THAT(ring.run(sqe::readv(readable, nullptr, 0, negative).flag(flag)), Gives(-EINVAL));
    }
}

}  // namespace
}  // namespace ringside::test
