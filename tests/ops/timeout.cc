// IORING_OP_TIMEOUT and IORING_OP_TIMEOUT_REMOVE: after a while, at a moment, after so many completions.
#include <errno.h>
#include <gtest/gtest.h>
#include <time.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "support/eventually.h"
#include "support/files.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

const __kernel_timespec never = milliseconds_of(3'600'000);

__kernel_timespec timespec_of(int64_t nanoseconds) {
    return {.tv_sec = nanoseconds / 1'000'000'000, .tv_nsec = nanoseconds % 1'000'000'000};
}

struct Clock {
    const char* name;
    clockid_t id;
    unsigned flag;
};
constexpr Clock clocks[] = {{"monotonic", CLOCK_MONOTONIC, 0},
                            {"boottime", CLOCK_BOOTTIME, IORING_TIMEOUT_BOOTTIME},
                            {"realtime", CLOCK_REALTIME, IORING_TIMEOUT_REALTIME}};

TEST(Timeout, expires_after_its_time_and_not_before) {
    for (const Clock& clock : clocks) {
        SCOPED_TRACE(clock.name);
        RawRing ring;
        const __kernel_timespec time = milliseconds_of(15);
        const int64_t start = now_ns();
        EXPECT_THAT(ring.run(sqe::timeout(&time, 0, clock.flag)), Gives(-ETIME));
        EXPECT_GE(now_ns() - start, 15'000'000);
    }
}

TEST(Timeout, expires_at_a_moment) {
    for (const Clock& clock : clocks) {
        SCOPED_TRACE(clock.name);
        RawRing ring;
        const int64_t moment = now_ns(clock.id) + 15'000'000;
        const __kernel_timespec time = timespec_of(moment);
        EXPECT_THAT(ring.run(sqe::timeout(&time, 0, IORING_TIMEOUT_ABS | clock.flag)), Gives(-ETIME));
        EXPECT_GE(now_ns(clock.id), moment);
        // A moment that has passed is over at once.
        EXPECT_THAT(ring.run(sqe::timeout(&time, 0, IORING_TIMEOUT_ABS | clock.flag)), Gives(-ETIME));
    }
}

TEST(Timeout, of_no_time_expires_at_once) {
    RawRing ring;
    const __kernel_timespec time = {};
    EXPECT_THAT(ring.run(sqe::timeout(&time)), Gives(-ETIME));
}

TEST(Timeout, expire_in_the_order_of_their_times) {
    RawRing ring;
    const __kernel_timespec times[] = {milliseconds_of(30), milliseconds_of(10), milliseconds_of(20)};
    EXPECT_THAT(ring.submit(sqe::timeout(&times[0]).data(30), sqe::timeout(&times[1]).data(10),
                            sqe::timeout(&times[2]).data(20)),
                Gives(3));
    EXPECT_THAT(ring.wait(3), ElementsAre(Completes(10, -ETIME), Completes(20, -ETIME), Completes(30, -ETIME)));
}

TEST(Timeout, reads_its_time_when_it_is_submitted) {
    RawRing ring;
    __kernel_timespec time = milliseconds_of(10);
    EXPECT_THAT(ring.submit(sqe::timeout(&time).data(1)), Gives(1));
    time = never;
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, -ETIME)));
}

TEST(Timeout, completes_with_zero_after_so_many_completions) {
    RawRing ring;
    EXPECT_THAT(ring.submit(sqe::timeout(&never, 2).data(1)), Gives(1));
    EXPECT_THAT(ring.submit(sqe::nop().data(2)), Gives(1));
    EXPECT_THAT(ring.linger(5), ElementsAre(Completes(2, 0)));
    EXPECT_THAT(ring.submit(sqe::nop().data(3)), Gives(1));
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(3, 0), Completes(1, 0)));
}

TEST(Timeout, counts_no_completion_from_before_its_submission) {
    RawRing ring;
    EXPECT_THAT(ring.submit(sqe::nop().data(2), sqe::nop().data(3)), Gives(2));
    EXPECT_THAT(ring.submit(sqe::timeout(&never, 1).data(1)), Gives(1));
    EXPECT_THAT(ring.linger(5), ElementsAre(Completes(2, 0), Completes(3, 0)));
    EXPECT_THAT(ring.submit(sqe::nop().data(4)), Gives(1));
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(4, 0), Completes(1, 0)));
}

TEST(Timeout, counts_completions_of_its_own_batch) {
    RawRing ring;
    EXPECT_THAT(ring.submit(sqe::timeout(&never, 2).data(1), sqe::nop().data(2), sqe::nop().data(3)), Gives(3));
    EXPECT_THAT(ring.wait(3), ElementsAre(Completes(2, 0), Completes(3, 0), Completes(1, 0)));
}

TEST(Timeout, that_counts_expires_too) {
    RawRing ring;
    const __kernel_timespec time = milliseconds_of(10);
    EXPECT_THAT(ring.submit(sqe::timeout(&time, 5).data(1), sqe::nop().data(2)), Gives(2));
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(2, 0), Completes(1, -ETIME)));
}

TEST(Timeout, that_is_over_at_once_is_so_whatever_completes_with_it) {
    RawRing ring;
    const __kernel_timespec none = {0, 0};
    EXPECT_THAT(ring.submit(sqe::nop().data(2), sqe::timeout(&none, 1).data(1)), Gives(2));
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(2, 0), Completes(1, -ETIME)));
}

TEST(Timeout, with_several_counting_each_completes_at_its_count) {
    RawRing ring;
    EXPECT_THAT(ring.submit(sqe::timeout(&never, 3).data(103), sqe::timeout(&never, 1).data(101)), Gives(2));
    EXPECT_THAT(ring.submit(sqe::nop().data(1)), Gives(1));
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, 0), Completes(101, 0)));
}

// The kernel then counts back by one, and takes that for more completions than anybody waits for.
TEST(Timeout, that_ends_without_a_completion_ends_all_that_count) {
    RawRing ring;
    const __kernel_timespec time = milliseconds_of(60'000), soon = milliseconds_of(1);
    const Sqe counted = sqe::timeout(&time, 1).flag(IOSQE_CQE_SKIP_SUCCESS);
    const Sqe timed = sqe::timeout(&soon, 0, IORING_TIMEOUT_ETIME_SUCCESS).flag(IOSQE_CQE_SKIP_SUCCESS);
    ASSERT_THAT(
        ring.submit(sqe::timeout(&time, 5).data(1), sqe::timeout(&time, 9).data(2), sqe::nop().data(3), counted),
        Gives(4));
    EXPECT_THAT(ring.wait(3), UnorderedElementsAre(Completes(3, 0), Completes(1, 0), Completes(2, 0)));
    ASSERT_THAT(ring.submit(sqe::timeout(&time, 5).data(1), timed), Gives(2));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 0)));
    // One that has its completion does not, nor one that goes on.
    ASSERT_THAT(ring.submit(sqe::timeout(&time, 5).data(1),
                            sqe::timeout(&soon, 2, IORING_TIMEOUT_MULTISHOT | IORING_TIMEOUT_ETIME_SUCCESS)
                                .flag(IOSQE_CQE_SKIP_SUCCESS)
                                .data(4)),
                Gives(2));
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(4, -ETIME, IORING_CQE_F_MORE), Completes(1, 0)));
    ASSERT_THAT(ring.submit(sqe::timeout(&time, 5).data(1), sqe::nop().data(3), sqe::timeout(&time, 1).data(4)),
                Gives(3));
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(3, 0), Completes(4, 0)));
    EXPECT_THAT(ring.linger(5), IsEmpty());
}

TEST(Timeout, that_expires_breaks_a_chain_unless_that_counts_as_success) {
    const __kernel_timespec time = milliseconds_of(5);
    {
        RawRing ring;
        EXPECT_THAT(ring.submit(sqe::timeout(&time).data(1).flag(IOSQE_IO_LINK), sqe::nop().data(2)), Gives(2));
        EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, -ETIME), Completes(2, -ECANCELED)));
    }
    {
        RawRing ring;
        EXPECT_THAT(ring.submit(sqe::timeout(&time, 0, IORING_TIMEOUT_ETIME_SUCCESS).data(1).flag(IOSQE_IO_LINK),
                                sqe::nop().data(2)),
                    Gives(2));
        EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, -ETIME), Completes(2, 0)));
    }
}

TEST(Timeout, multishot_expires_so_many_times) {
    RawRing ring;
    const __kernel_timespec time = milliseconds_of(3);
    const Stopwatch watch;
    EXPECT_THAT(ring.submit(sqe::timeout(&time, 3, IORING_TIMEOUT_MULTISHOT).data(1)), Gives(1));
    EXPECT_THAT(ring.wait(3), ElementsAre(Completes(1, -ETIME, IORING_CQE_F_MORE),
                                          Completes(1, -ETIME, IORING_CQE_F_MORE), Completes(1, -ETIME)));
    EXPECT_GE(watch.elapsed_ms(), 8);
    EXPECT_THAT(ring.linger(10), IsEmpty());
}

TEST(Timeout, multishot_without_a_count_goes_on_until_it_is_removed) {
    RawRing ring;
    const __kernel_timespec time = milliseconds_of(2);
    EXPECT_THAT(ring.submit(sqe::timeout(&time, 0, IORING_TIMEOUT_MULTISHOT).data(1)), Gives(1));
    for (const Cqe& cqe : ring.wait(4)) EXPECT_EQ(cqe, (Cqe{1, -ETIME, IORING_CQE_F_MORE}));
    EXPECT_THAT(ring.submit(sqe::timeout_remove(1).data(2)), Gives(1));
    std::vector<Cqe> completions;
    EXPECT_TRUE(eventually([&] {
        for (const Cqe& cqe : ring.linger(1)) completions.push_back(cqe);
        return completions.size() >= 2 && completions.back().user_data != 0 &&
               std::count_if(completions.begin(), completions.end(), [](const Cqe& cqe) { return cqe.flags == 0; }) ==
                   2;
    }));
    EXPECT_THAT(completions, testing::IsSupersetOf({Completes(1, -ECANCELED), Completes(2, 0)}));
}

TEST(Timeout, multishot_ends_when_the_completion_queue_is_full) {
    RawRing ring(1);
    const __kernel_timespec time = milliseconds_of(1);
    EXPECT_THAT(ring.submit(sqe::nop().data(1)), Gives(1));
    EXPECT_THAT(ring.submit(sqe::nop().data(2)), Gives(1));
    EXPECT_THAT(ring.submit(sqe::timeout(&time, 0, IORING_TIMEOUT_MULTISHOT).data(3)), Gives(1));
    EXPECT_TRUE(eventually([&] { return (ring.sq_flags().load() & IORING_SQ_CQ_OVERFLOW) != 0; }));
    EXPECT_THAT(ring.wait(3), ElementsAre(Completes(1, 0), Completes(2, 0), Completes(3, -ETIME)));
    EXPECT_THAT(ring.linger(5), IsEmpty());
    EXPECT_THAT(ring.run(sqe::timeout_remove(3).data(4)), Gives(-ENOENT));
}

TEST(Timeout, refuses_flags_that_contradict_each_other) {
    RawRing ring;
    const __kernel_timespec time = milliseconds_of(1);
    for (const unsigned flags :
         {IORING_TIMEOUT_BOOTTIME | IORING_TIMEOUT_REALTIME, IORING_TIMEOUT_UPDATE, IORING_LINK_TIMEOUT_UPDATE,
          IORING_TIMEOUT_MULTISHOT | IORING_TIMEOUT_ABS, 1U << 7, 1U << 8, 1U << 31}) {
        EXPECT_THAT(ring.run(sqe::timeout(&time, 0, flags)), Gives(-EINVAL)) << "flags " << flags;
    }
}

TEST(Timeout, refuses_negative_times) {
    RawRing ring;
    const __kernel_timespec negative_seconds = {-1, 0};
    const __kernel_timespec negative_nanoseconds = {0, -1};
    EXPECT_THAT(ring.run(sqe::timeout(&negative_seconds)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::timeout(&negative_nanoseconds)), Gives(-EINVAL));
}

TEST(Timeout, takes_more_nanoseconds_than_a_second_has) {
    RawRing ring;
    const int64_t moment = now_ns() + 10'000'000;
    const __kernel_timespec time = {.tv_sec = 0, .tv_nsec = moment};
    EXPECT_THAT(ring.run(sqe::timeout(&time, 0, IORING_TIMEOUT_ABS)), Gives(-ETIME));
    EXPECT_GE(now_ns(), moment);
}

TEST(Timeout, refuses_a_number_of_times_other_than_one) {
    RawRing ring;
    const __kernel_timespec time = milliseconds_of(1);
    for (const unsigned count : {0u, 2u}) {
        EXPECT_THAT(ring.run(sqe::timeout(&time).set(&Sqe::len, count)), Gives(-EINVAL)) << count;
    }
}

TEST(Timeout, answers_a_bad_pointer_with_efault) {
    RawRing ring;
    const ForbiddenPage page;
    EXPECT_THAT(ring.run(sqe::timeout(nullptr)), Gives(-EFAULT));
    EXPECT_THAT(ring.run(sqe::timeout(static_cast<const __kernel_timespec*>(page.address()))), Gives(-EFAULT));
    EXPECT_THAT(ring.run(sqe::timeout(reinterpret_cast<const __kernel_timespec*>(page.brink(8)))), Gives(-EFAULT));
}

TEST(Timeout, of_the_longest_time_waits) {
    RawRing ring;
    const __kernel_timespec time = {std::numeric_limits<int64_t>::max(), 999'999'999};
    EXPECT_THAT(ring.submit(sqe::timeout(&time).data(1)), Gives(1));
    EXPECT_THAT(ring.linger(5), IsEmpty());
    EXPECT_THAT(ring.submit(sqe::timeout_remove(1).data(2)), Gives(1));
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, -ECANCELED), Completes(2, 0)));
}

TEST(Timeout, thousands_expire_each_once) {
    RawRing ring(4096);
    std::vector<__kernel_timespec> times(2000);
    for (uint64_t index = 0; index < times.size(); ++index) {
        times[index] = timespec_of(static_cast<int64_t>(1'000'000 + index % 40 * 500'000));
        ring.push(sqe::timeout(&times[index]).data(index));
    }
    EXPECT_THAT(ring.submit_pushed(2000), Gives(2000));
    std::vector<bool> seen(times.size());
    for (const Cqe& cqe : ring.wait(2000)) {
        EXPECT_EQ(cqe.res, -ETIME);
        EXPECT_FALSE(seen[cqe.user_data]);
        seen[cqe.user_data] = true;
    }
    EXPECT_THAT(ring.linger(5), IsEmpty());
}

TEST(TimeoutRemove, cancels_a_timeout) {
    RawRing ring;
    EXPECT_THAT(ring.submit(sqe::timeout(&never).data(1)), Gives(1));
    EXPECT_THAT(ring.submit(sqe::timeout_remove(1).data(2)), Gives(1));
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, -ECANCELED), Completes(2, 0)));
}

TEST(TimeoutRemove, of_what_is_not_there_gives_enoent) {
    RawRing ring;
    EXPECT_THAT(ring.run(sqe::timeout_remove(1)), Gives(-ENOENT));
    const __kernel_timespec time = milliseconds_of(1);
    EXPECT_THAT(ring.run(sqe::timeout(&time).data(5)), Gives(-ETIME));
    EXPECT_THAT(ring.run(sqe::timeout_remove(5)), Gives(-ENOENT));
}

TEST(TimeoutRemove, removes_timeouts_only) {
    RawRing ring;
    const Pipe pipe;
    char byte;
    EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &byte, 1).data(1)), Gives(1));
    EXPECT_THAT(ring.run(sqe::timeout_remove(1).data(2)), Gives(-ENOENT));
}

TEST(TimeoutRemove, of_a_counting_timeout_cancels_it) {
    RawRing ring;
    EXPECT_THAT(ring.submit(sqe::timeout(&never, 10).data(1)), Gives(1));
    EXPECT_THAT(ring.submit(sqe::timeout_remove(1).data(2)), Gives(1));
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, -ECANCELED), Completes(2, 0)));
}

TEST(TimeoutRemove, with_the_flag_of_link_timeouts_alone_is_a_removal) {
    RawRing ring;
    const Sqe remove = sqe::timeout_remove(1)
                           .set(&Sqe::timeout_flags, IORING_LINK_TIMEOUT_UPDATE)
                           .set(&Sqe::addr2, address_of(&never))
                           .data(2);
    EXPECT_THAT(ring.submit(sqe::timeout(&never).data(1)), Gives(1));
    EXPECT_THAT(ring.submit(remove), Gives(1));
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, -ECANCELED), Completes(2, 0)));
    EXPECT_THAT(ring.run(Sqe(remove).set(&Sqe::addr2, 0)), Gives(-EFAULT)) << "though the time is read";
}

TEST(TimeoutUpdate, makes_it_sooner) {
    RawRing ring;
    EXPECT_THAT(ring.submit(sqe::timeout(&never).data(1)), Gives(1));
    const __kernel_timespec soon = milliseconds_of(10);
    EXPECT_THAT(ring.submit(sqe::timeout_update(1, &soon).data(2)), Gives(1));
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(2, 0), Completes(1, -ETIME)));
}

TEST(TimeoutUpdate, makes_it_later) {
    RawRing ring;
    const __kernel_timespec soon = milliseconds_of(20);
    const __kernel_timespec later = milliseconds_of(60);
    const Stopwatch watch;
    EXPECT_THAT(ring.submit(sqe::timeout(&soon).data(1)), Gives(1));
    EXPECT_THAT(ring.submit(sqe::timeout_update(1, &later).data(2)), Gives(1));
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(2, 0), Completes(1, -ETIME)));
    EXPECT_GE(watch.elapsed_ms(), 59);
}

TEST(TimeoutUpdate, to_a_moment) {
    RawRing ring;
    EXPECT_THAT(ring.submit(sqe::timeout(&never).data(1)), Gives(1));
    const int64_t moment = now_ns() + 10'000'000;
    const __kernel_timespec time = timespec_of(moment);
    EXPECT_THAT(ring.submit(sqe::timeout_update(1, &time, IORING_TIMEOUT_ABS).data(2)), Gives(1));
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(2, 0), Completes(1, -ETIME)));
    EXPECT_GE(now_ns(), moment);
}

TEST(TimeoutUpdate, refuses_what_makes_no_sense) {
    RawRing ring;
    const ForbiddenPage page;
    const __kernel_timespec time = milliseconds_of(1);
    const __kernel_timespec negative = {-1, 0};
    EXPECT_THAT(ring.submit(sqe::timeout(&never).data(1)), Gives(1));
    EXPECT_THAT(ring.run(sqe::timeout_update(9, &time).data(2)), Gives(-ENOENT));
    EXPECT_THAT(ring.run(sqe::timeout_update(1, nullptr).data(2)), Gives(-EFAULT));
    EXPECT_THAT(ring.run(sqe::timeout_update(1, static_cast<const __kernel_timespec*>(page.address())).data(2)),
                Gives(-EFAULT));
    EXPECT_THAT(ring.run(sqe::timeout_update(1, &negative).data(2)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::timeout_update(1, &time, 1U << 8).data(2)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::timeout_update(1, &time, IORING_TIMEOUT_BOOTTIME | IORING_TIMEOUT_REALTIME).data(2)),
                Gives(-EINVAL));
    // Flags of an update without the update.
    EXPECT_THAT(ring.run(sqe::timeout_remove(1).data(2).set(&Sqe::timeout_flags, IORING_TIMEOUT_ABS)), Gives(-EINVAL));
    EXPECT_THAT(ring.linger(5), IsEmpty());
}

TEST(Timeout, flag_of_a_later_kernel_is_refused) {
    // Linux 6.19 takes a time in the entry itself; 6.18, which the engine follows, does not.
    const Sqe sqe = sqe::timeout(nullptr, 0, IORING_TIMEOUT_IMMEDIATE_ARG);
    const int result = RawRing().run(sqe).res;
    if (provider_under_test() == provider::Kind::engine) {
        EXPECT_THAT(result, Gives(-EINVAL));
    } else {
        EXPECT_THAT(result, testing::AnyOf(-EINVAL, -ETIME));
    }
}

}  // namespace
}  // namespace ringside::test
