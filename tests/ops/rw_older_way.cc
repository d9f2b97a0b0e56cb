// Transfers to files that read or write by the older of the kernel's two ways alone: counters, which take a value only
// when they can hold it, and files about processes.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>

#include "register/buffers.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

struct OlderWay : testing::Test {
    OlderWay() {
        EXPECT_EQ(register_buffers(ring, {{parts.data(), parts.size()}}), 0);
        for (unsigned i = 0; i < std::size(vectors); ++i) vectors[i] = {parts.data() + 64 * i, 8};
    }
    RawRing ring;
    AlignedBuffer parts{4096};
    iovec vectors[16];
};

TEST_F(OlderWay, to_a_counter_that_cannot_hold_a_value_holds_up_nobody) {
    const Fd counter(eventfd(32, EFD_CLOEXEC));
    constexpr uint64_t most = UINT64_MAX - 1;
    for (const unsigned flag : {0U, IOSQE_ASYNC}) {
        EXPECT_THAT(ring.submit(sqe::write(counter, &most, 8).data(1).flag(flag), sqe::nop().data(2)), Gives(2));
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(2, 0)));
        EXPECT_THAT(ring.linger(5), IsEmpty());
        eventfd_t value = 0;
        EXPECT_EQ(eventfd_read(counter, &value), 0);
        EXPECT_EQ(value, 32u);
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 8)));
        EXPECT_EQ(eventfd_read(counter, &value), 0);
        EXPECT_EQ(value, most);
        EXPECT_EQ(eventfd_write(counter, 32), 0);
    }
}

TEST_F(OlderWay, to_a_counter_does_not_wait_if_that_keeps_from_waiting_itself) {
    const Fd counter(eventfd(0, EFD_CLOEXEC)), nonblocking(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    const uint64_t value = 5, most = ~uint64_t{1};
    const auto write = [&](int fd, const uint64_t& number, int more_flags = 0) {
        return ring.run(sqe::write(fd, &number, 8).set(&Sqe::rw_flags, RWF_NOWAIT | more_flags));
    };
    EXPECT_THAT(write(counter, value), Gives(-EAGAIN));
    EXPECT_THAT(write(nonblocking, value), Gives(8));
    EXPECT_THAT(write(nonblocking, value, RWF_DSYNC), Gives(8));
    EXPECT_THAT(write(nonblocking, most), Gives(-EAGAIN));
    eventfd_t sum = 0;
    EXPECT_EQ(eventfd_read(nonblocking, &sum), 0);
    EXPECT_EQ(sum, 10u);
}

// It answered -EAGAIN, which tells a program to try later what will never be done.
TEST_F(OlderWay, of_what_knows_no_rwf_nowait_is_refused) {
    const Fd changes(inotify_init1(IN_CLOEXEC)), nonblocking(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    const Fd full(open("/dev/full", O_RDWR | O_CLOEXEC));
    char bytes[64] = {};
    const auto at_once = [&](Sqe sqe) { return ring.run(sqe.set(&Sqe::rw_flags, RWF_NOWAIT)); };
    for (const unsigned flag : {0U, IOSQE_ASYNC}) {
        EXPECT_THAT(at_once(sqe::read(changes, bytes, 64).flag(flag)), Gives(-EOPNOTSUPP));
        EXPECT_THAT(at_once(sqe::read(nonblocking, bytes, 64).flag(flag)), Gives(-EOPNOTSUPP));
        EXPECT_THAT(at_once(sqe::read(full, bytes, 64).flag(flag)), Gives(-EOPNOTSUPP));
        EXPECT_THAT(at_once(sqe::write(full, bytes, 64).flag(flag)), Gives(-EOPNOTSUPP));
    }
}

// An answer to fanotify waited for ever: it takes answers at any time, and is never ready for one.
TEST_F(OlderWay, to_what_is_nonblocking_does_not_wait_until_it_is_ready) {
    const Fd watch(fanotify_init(FAN_CLASS_NOTIF | FAN_REPORT_FID | FAN_NONBLOCK | FAN_CLOEXEC, O_RDWR));
    ASSERT_GE(watch.get(), 0);
    const char no_answer[4] = {};
    EXPECT_THAT(ring.run(sqe::write(watch, no_answer, sizeof(no_answer))), Gives(-EINVAL));
}

// Not the parts are handed over, but the array that names them: as many bytes of it as there are parts.
TEST_F(OlderWay, of_parts_of_a_registered_buffer_transfers_their_array) {
    const Fd counter(eventfd(0, EFD_CLOEXEC)), nonblocking(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    for (const int fd : {counter.get(), nonblocking.get()}) {
        for (const unsigned flag : {0U, IOSQE_ASYNC}) {
            EXPECT_THAT(ring.run(sqe::writev_fixed(fd, 0, vectors, 1).flag(flag)), Gives(-EINVAL));
            EXPECT_THAT(ring.run(sqe::writev_fixed(fd, 0, vectors, 2).flag(flag)), Gives(-EINVAL));
            EXPECT_THAT(ring.run(sqe::writev_fixed(fd, 0, vectors, 8).flag(flag)), Gives(8));
            eventfd_t value = 0;
            EXPECT_EQ(eventfd_read(fd, &value), 0);
            EXPECT_EQ(value, address_of(vectors[0].iov_base));
        }
    }
    const Fd watch(inotify_init1(IN_CLOEXEC));
    const TemporaryDirectory directory;
    ASSERT_GE(inotify_add_watch(watch, directory.path().c_str(), IN_CREATE), 0);
    directory.add("newcomer");
    EXPECT_THAT(ring.run(sqe::readv_fixed(watch, 0, vectors, 1)), Gives(-EINVAL));
}

TEST_F(OlderWay, of_one_part_reads_what_it_names_where_the_file_knows_both) {
    const Fd counter(eventfd(7, EFD_CLOEXEC));
    EXPECT_THAT(ring.run(sqe::readv_fixed(counter, 0, vectors, 1)), Gives(8));
    EXPECT_EQ(parts.data()[0], 7);
}

TEST_F(OlderWay, of_parts_is_the_same_to_a_file_of_the_kernel) {
    const Fd filter(open("/proc/self/coredump_filter", O_RDWR | O_CLOEXEC));
    ASSERT_GE(filter.get(), 0);
    // The array begins with the lowest byte of an address, which is no digit.
    vectors[0].iov_len = 1;
    parts.data()[0] = '3';
    EXPECT_THAT(ring.run(sqe::writev_fixed(filter, 0, vectors, 1)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::write_fixed(filter, 0, parts.data(), 1)), Gives(1));
}

}  // namespace
}  // namespace ringside::test
