// IORING_OP_LINK_TIMEOUT: a limit to the time that the request before it in its chain may take.
#include <errno.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/files.h"
#include "support/raw_ring.h"
#include "support/sqe_files.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;
using testing::UnorderedElementsAre;

constexpr __kernel_timespec soon = {0, 10'000'000};
constexpr __kernel_timespec late = {60, 0};

Sqe link_timeout(const __kernel_timespec& time, uint32_t flags = 0) {
    return sqe::timeout(&time, 0, flags).set(&Sqe::opcode, IORING_OP_LINK_TIMEOUT);
}

// A read of one byte from a pipe in which nothing is, linked to what follows.
Sqe waiting_read(const Pipe& pipe, char* byte) { return sqe::read(pipe.read_end, byte, 1).data(1).flag(IOSQE_IO_LINK); }

TEST(LinkTimeout, cancels_a_request_that_takes_too_long) {
    RawRing ring;
    const Pipe pipe;
    char byte;
    EXPECT_THAT(ring.submit(waiting_read(pipe, &byte), link_timeout(soon).data(2)), Gives(2));
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, -ECANCELED), Completes(2, -ETIME)));
}

TEST(LinkTimeout, is_cancelled_by_a_request_that_is_done_in_time) {
    RawRing ring;
    const Pipe pipe;
    char byte;
    EXPECT_THAT(ring.submit(waiting_read(pipe, &byte), link_timeout(late).data(2)), Gives(2));
    EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, 1), Completes(2, -ECANCELED)));
}

TEST(LinkTimeout, is_cancelled_by_a_request_that_is_done_at_once) {
    RawRing ring;
    EXPECT_THAT(ring.submit(sqe::nop().data(1).flag(IOSQE_IO_LINK), link_timeout(late).data(2)), Gives(2));
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, 0), Completes(2, -ECANCELED)));
}

TEST(LinkTimeout, is_cancelled_by_a_request_that_fails) {
    RawRing ring;
    EXPECT_THAT(ring.submit(sqe::read(-1, nullptr, 0).data(1).flag(IOSQE_IO_LINK), link_timeout(late).data(2)),
                Gives(2));
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, -EBADF), Completes(2, -ECANCELED)));
}

// It began with the attempt and was over at once, but there was nothing left to be cancelled.
TEST(LinkTimeout, that_is_due_at_once_finds_that_its_request_is_done) {
    RawRing ring;
    const Fd file = file_with("content");
    char byte;
    constexpr __kernel_timespec at_once = {0, 0}, long_ago = {1, 0};
    for (const Sqe& timeout : {link_timeout(at_once), link_timeout(long_ago, IORING_TIMEOUT_ABS)}) {
        for (const Sqe& request : {sqe::nop(), sqe::read(file, &byte, 1), sqe::read(file, nullptr, 1)}) {
            for (const unsigned flag : {IOSQE_IO_LINK, IOSQE_IO_HARDLINK}) {
                EXPECT_THAT(ring.submit(Sqe(request).data(1).flag(flag), Sqe(timeout).data(2)), Gives(2));
                EXPECT_THAT(ring.wait(2), ElementsAre(testing::Field(&Cqe::user_data, 1), Completes(2, -ENOENT)));
            }
        }
        // There was no attempt.
        EXPECT_THAT(ring.submit(sqe::read(-1, &byte, 1).data(1).flag(IOSQE_IO_LINK), Sqe(timeout).data(2)), Gives(2));
        EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, -EBADF), Completes(2, -ECANCELED)));
    }
}

// Wherever that attempt is made.
TEST(LinkTimeout, that_is_due_at_once_finds_that_a_worker_has_done_its_request) {
    RawRing ring;
    const Fd file = memory_file_with("content");
    const Fd reader(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
    const Fd path_only(open("/", O_PATH | O_CLOEXEC));
    char byte;
    constexpr __kernel_timespec long_ago = {1, 0};
    const auto expect_result = [&](Sqe request, unsigned flags, unsigned timeout_flags, int result, int of_timeout) {
        const Sqe timeout = link_timeout(long_ago, IORING_TIMEOUT_ABS).data(2).flag(timeout_flags);
        EXPECT_THAT(ring.submit(request.data(1).flag(flags), timeout), Gives(2));
        // The worker and the timer post in any order.
        EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, result), Completes(2, of_timeout)));
    };
    for (const unsigned flags : {IOSQE_IO_LINK + 0u, IOSQE_IO_HARDLINK + 0u, IOSQE_IO_LINK | IOSQE_ASYNC}) {
        expect_result(sqe::fsync(file), flags, 0, 0, -ENOENT);
        // Nobody closes this chain: a worker does all of it.
        for (const unsigned timeout_flags : {0u, IOSQE_IO_LINK + 0u}) {
            expect_result(sqe::nop(), flags, timeout_flags, 0, -ENOENT);
            expect_result(sqe::linkat(-1, "a", -1, "b"), flags, timeout_flags, -EBADF, -ENOENT);
            expect_result(sqe::fallocate(reader, 0, 0, 1), flags, timeout_flags, -EBADF, -ENOENT);
            // There was no attempt.
            expect_result(sqe::fsync(path_only), flags, timeout_flags, -EBADF, -ECANCELED);
            expect_result(sqe::read(-1, &byte, 1), flags, timeout_flags, -EBADF, -ECANCELED);
        }
    }
}

// The attempt of a request that blocks in a worker is over when the request is, so nothing limits that.
TEST(LinkTimeout, does_not_begin_while_its_request_blocks_in_a_worker) {
    constexpr __kernel_timespec at_once = {0, 0}, short_time = {0, 1'000'000};
    const auto expect_no_limit = [&](const __kernel_timespec& time, unsigned flags, int of_timeout) {
        RawRing ring;
        const Pipe from, to;
        const Sqe splice = sqe::splice(from.read_end, sqe::file_position, to.write_end, sqe::file_position, 1);
        EXPECT_THAT(ring.submit(Sqe(splice).data(1).flag(IOSQE_IO_LINK | flags), link_timeout(time).data(2)), Gives(2));
        EXPECT_THAT(ring.linger(), testing::IsEmpty());
        EXPECT_EQ(write(from.write_end, "x", 1), 1);
        EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, 1), Completes(2, of_timeout)));
    };
    for (const unsigned flags : {0u, IOSQE_ASYNC + 0u}) {
        expect_no_limit(at_once, flags, -ENOENT);
        expect_no_limit(short_time, flags, -ECANCELED);
    }
    // The same in a chain that nobody closes, where its end may be that it is cancelled, too.
    for (const bool cancelled : {false, true}) {
        RawRing ring;
        const Pipe pipe;
        char byte;
        EXPECT_THAT(ring.submit(waiting_read(pipe, &byte), link_timeout(at_once).data(2).flag(IOSQE_IO_LINK)),
                    Gives(2));
        EXPECT_THAT(ring.linger(), testing::IsEmpty());
        if (cancelled) {
            EXPECT_THAT(ring.submit(sqe::cancel(1).data(3)), Gives(1));
            EXPECT_THAT(ring.wait(3),
                        UnorderedElementsAre(Completes(1, -EINTR), Completes(2, -ENOENT), Completes(3, -EALREADY)));
        } else {
            EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
            EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, 1), Completes(2, -ENOENT)));
        }
    }
}

TEST(LinkTimeout, comes_too_late_for_a_read_of_nothing_that_an_empty_counter_refuses) {
    RawRing ring;
    const Fd counter(eventfd(0, EFD_CLOEXEC));
    constexpr __kernel_timespec at_once = {0, 0};
    const Sqe read = sqe::read(counter, nullptr, 0), readv = sqe::readv(counter, nullptr, 0);
    for (const Sqe& request : {read, readv}) {
        EXPECT_THAT(ring.submit(Sqe(request).data(1).flag(IOSQE_IO_LINK), link_timeout(at_once).data(2)), Gives(2));
        EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, -EINVAL), Completes(2, -ENOENT)));
    }
}

TEST(LinkTimeout, of_a_timeout_of_the_same_time_comes_too_late) {
    RawRing ring;
    constexpr __kernel_timespec sooner = {0, 5'000'000};
    for (const unsigned flags : {0u, unsigned{IORING_TIMEOUT_BOOTTIME}}) {
        const Sqe timeout = sqe::timeout(&soon, 0, flags).data(1).flag(IOSQE_IO_LINK);
        EXPECT_THAT(ring.submit(timeout, link_timeout(soon, flags).data(2)), Gives(2));
        EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, -ETIME), Completes(2, -ENOENT)));
        EXPECT_THAT(ring.submit(timeout, link_timeout(late, flags).data(2)), Gives(2));
        EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, -ETIME), Completes(2, -ECANCELED)));
        EXPECT_THAT(ring.submit(timeout, link_timeout(sooner, flags).data(2)), Gives(2));
        EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, -ECANCELED), Completes(2, -ETIME)));
    }
}

TEST(LinkTimeout, lets_the_chain_go_on_behind_it) {
    RawRing ring;
    const Pipe pipe;
    char byte;
    EXPECT_THAT(
        ring.submit(waiting_read(pipe, &byte), link_timeout(late).data(2).flag(IOSQE_IO_LINK), sqe::nop().data(3)),
        Gives(3));
    EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
    EXPECT_THAT(ring.wait(3), UnorderedElementsAre(Completes(1, 1), Completes(2, -ECANCELED), Completes(3, 0)));
}

TEST(LinkTimeout, that_expires_ends_the_chain_behind_it) {
    RawRing ring;
    const Pipe pipe;
    char byte;
    EXPECT_THAT(
        ring.submit(waiting_read(pipe, &byte), link_timeout(soon).data(2).flag(IOSQE_IO_LINK), sqe::nop().data(3)),
        Gives(3));
    EXPECT_THAT(ring.wait(3),
                UnorderedElementsAre(Completes(1, -ECANCELED), Completes(2, -ETIME), Completes(3, -ECANCELED)));
}

TEST(LinkTimeout, limits_each_of_two_requests_of_a_chain) {
    RawRing ring;
    const Pipe pipe;
    char bytes[2];
    EXPECT_THAT(
        ring.submit(waiting_read(pipe, &bytes[0]), link_timeout(late).data(2).flag(IOSQE_IO_LINK),
                    sqe::read(pipe.read_end, &bytes[1], 1).data(3).flag(IOSQE_IO_LINK), link_timeout(soon).data(4)),
        Gives(4));
    EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
    EXPECT_THAT(ring.wait(4), UnorderedElementsAre(Completes(1, 1), Completes(2, -ECANCELED), Completes(3, -ECANCELED),
                                                   Completes(4, -ETIME)));
}

TEST(LinkTimeout, posts_nothing_when_it_is_told_so) {
    RawRing ring;
    const Pipe pipe;
    char byte;
    EXPECT_THAT(ring.submit(waiting_read(pipe, &byte), link_timeout(soon).data(2).flag(IOSQE_CQE_SKIP_SUCCESS)),
                Gives(2));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, -ECANCELED)));
    EXPECT_THAT(ring.linger(10), testing::IsEmpty());
}

TEST(LinkTimeout, limits_a_request_that_asked_for_a_worker) {
    RawRing ring;
    const Pipe pipe;
    char byte;
    EXPECT_THAT(ring.submit(waiting_read(pipe, &byte).flag(IOSQE_ASYNC), link_timeout(soon).data(2)), Gives(2));
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, -ECANCELED), Completes(2, -ETIME)));
}

// A worker only has it wait for readiness, and that is no attempt.
TEST(LinkTimeout, of_a_request_that_goes_on_in_a_worker_begins_behind_its_first_result) {
    RawRing ring;
    const Ends ends = unix_pair(SOCK_STREAM);
    char pool[4][16];
    constexpr uint16_t group = 3;
    ASSERT_THAT(ring.run(sqe::transfer(IORING_OP_PROVIDE_BUFFERS, 4, pool, 16, 0).set(&Sqe::buf_group, group)),
                Gives(0));
    const Sqe receive = sqe::transfer(IORING_OP_RECV, ends.near, nullptr, 0, 0)
                            .set(&Sqe::ioprio, IORING_RECV_MULTISHOT)
                            .set(&Sqe::buf_group, group)
                            .flag(IOSQE_BUFFER_SELECT);
    Sqe read = Sqe(receive).set(&Sqe::opcode, IORING_OP_READ_MULTISHOT).set(&Sqe::ioprio, 0);
    for (Sqe request : {receive, read.set(&Sqe::off, sqe::file_position)}) {
        SCOPED_TRACE(static_cast<int>(request.opcode));
        EXPECT_THAT(ring.submit(request.data(1).flag(IOSQE_IO_LINK | IOSQE_ASYNC), link_timeout(soon).data(2)),
                    Gives(2));
        EXPECT_THAT(ring.linger(30), testing::IsEmpty());
        ASSERT_EQ(write(ends.far, "abc", 3), 3);
        const std::vector<Cqe> ended = ring.wait(3);
        ASSERT_EQ(ended.size(), 3u);
        EXPECT_EQ(ended[0].res, 3);
        EXPECT_TRUE(ended[0].flags & IORING_CQE_F_MORE);
        EXPECT_THAT(std::vector(ended.begin() + 1, ended.end()),
                    UnorderedElementsAre(Completes(1, -ECANCELED), Completes(2, -ETIME)));
    }
}

TEST(LinkTimeout, needs_a_request_before_it) {
    RawRing ring;
    EXPECT_THAT(ring.run(link_timeout(late)), Gives(-EINVAL));
    EXPECT_THAT(ring.submit(sqe::nop().data(1), link_timeout(late).data(2)), Gives(2));
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, 0), Completes(2, -EINVAL)));
}

TEST(LinkTimeout, of_a_link_timeout_is_refused_with_its_chain) {
    RawRing ring;
    EXPECT_THAT(ring.submit(sqe::nop().data(1).flag(IOSQE_IO_LINK), link_timeout(late).data(2).flag(IOSQE_IO_LINK),
                            link_timeout(late).data(3)),
                Gives(3));
    EXPECT_THAT(ring.wait(3), ElementsAre(Completes(1, -ECANCELED), Completes(2, -ECANCELED), Completes(3, -EINVAL)));
}

TEST(LinkTimeout, refuses_a_count_of_completions_and_a_bad_time) {
    RawRing ring;
    const auto chained = [&](Sqe timeout) {
        EXPECT_THAT(ring.submit(sqe::nop().data(1).flag(IOSQE_IO_LINK), timeout.data(2)), Gives(2));
        return ring.wait(2);
    };
    EXPECT_THAT(chained(link_timeout(late).set(&Sqe::off, 1)),
                UnorderedElementsAre(Completes(1, -ECANCELED), Completes(2, -EINVAL)));
    EXPECT_THAT(chained(link_timeout(late).set(&Sqe::len, 2)),
                UnorderedElementsAre(Completes(1, -ECANCELED), Completes(2, -EINVAL)));
    EXPECT_THAT(chained(link_timeout(late).set(&Sqe::addr, 8)),
                UnorderedElementsAre(Completes(1, -ECANCELED), Completes(2, -EFAULT)));
}

TEST(LinkTimeout, can_be_given_another_time) {
    RawRing ring;
    const Pipe pipe;
    char byte;
    EXPECT_THAT(ring.submit(waiting_read(pipe, &byte), link_timeout(late).data(2)), Gives(2));
    EXPECT_THAT(ring.submit(sqe::timeout_update(2, &soon, IORING_LINK_TIMEOUT_UPDATE).data(3)), Gives(1));
    EXPECT_THAT(ring.wait(3), UnorderedElementsAre(Completes(1, -ECANCELED), Completes(2, -ETIME), Completes(3, 0)));
}

TEST(LinkTimeout, is_not_to_be_cancelled_by_itself) {
    RawRing ring;
    const Pipe pipe;
    char byte;
    EXPECT_THAT(ring.submit(waiting_read(pipe, &byte), link_timeout(late).data(2)), Gives(2));
    EXPECT_THAT(ring.run(sqe::cancel(2)), Gives(-ENOENT));
    EXPECT_THAT(ring.run(sqe::timeout_remove(2)), Gives(-ENOENT));
    EXPECT_THAT(ring.submit(sqe::cancel(1).data(3)), Gives(1));
    EXPECT_THAT(ring.wait(3),
                UnorderedElementsAre(Completes(1, -ECANCELED), Completes(2, -ECANCELED), Completes(3, 0)));
}

}  // namespace
}  // namespace ringside::test
