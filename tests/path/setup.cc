// io_uring_setup(2): sizes, flags that go together and flags that do not, and every field it fills in.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <limits.h>
#include <string.h>

#include "support/eventually.h"
#include "support/files.h"
#include "support/process.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

// A setup's answer alone: 0 where a ring came of it (it is closed again), or -errno.
int answer_to(unsigned entries, io_uring_params params) {
    const int fd = setup_ring(entries, &params);
    if (fd >= 0) provider::close(provider_under_test(), fd);
    return fd < 0 ? fd : 0;
}

io_uring_params with_cq_entries(unsigned flags, unsigned cq_entries) {
    io_uring_params params = params_with(flags);
    params.cq_entries = cq_entries;
    return params;
}

struct Size {
    unsigned entries;
    unsigned flags;
    unsigned cq_entries;
    unsigned expected_sq;
    unsigned expected_cq;
    // Where the SQ's index array begins: behind the CQEs, on a cache line of its own.
    unsigned expected_array;
};

constexpr unsigned cqsize = IORING_SETUP_CQSIZE;
constexpr unsigned clamp = IORING_SETUP_CLAMP;

constexpr Size sizes[] = {
    // Entries are rounded up to a power of two; the CQ has twice as many.
    {1, 0, 0, 1, 2, 128},
    {2, 0, 0, 2, 4, 128},
    {3, 0, 0, 4, 8, 192},
    {5, 0, 0, 8, 16, 320},
    {8, 0, 0, 8, 16, 320},
    {32, 0, 0, 32, 64, 1088},
    {100, 0, 0, 128, 256, 4160},
    {4096, 0, 0, 4096, 8192, 131136},
    {32768, 0, 0, 32768, 65536, 1048640},
    // Clamping makes the largest ring of what would be too large.
    {8, clamp, 0, 8, 16, 320},
    {32769, clamp, 0, 32768, 65536, 1048640},
    {UINT_MAX, clamp, 0, 32768, 65536, 1048640},
    // A CQ of its own size, as small as the SQ.
    {8, cqsize, 8, 8, 8, 192},
    {8, cqsize, 9, 8, 16, 320},
    {8, cqsize, 100, 8, 128, 2112},
    {8, cqsize, 65536, 8, 65536, 1048640},
    {32768, cqsize, 32768, 32768, 32768, 524352},
    {8, cqsize | clamp, 65537, 8, 65536, 1048640},
    {32769, cqsize | clamp, 100000, 32768, 65536, 1048640},
    // A size for the CQ that no flag announces is not looked at.
    {8, 0, 12345, 8, 16, 320},
    // Larger completions and entries.
    {8, IORING_SETUP_CQE32, 0, 8, 16, 640},
    {1, IORING_SETUP_CQE32, 0, 1, 2, 192},
    {8, IORING_SETUP_SQE128, 0, 8, 16, 320},
    {8, IORING_SETUP_SQE128 | IORING_SETUP_CQE32, 0, 8, 16, 640},
    {8, IORING_SETUP_CQE_MIXED, 0, 8, 16, 320},
    // Without an index array, its offset is zero.
    {8, IORING_SETUP_NO_SQARRAY, 0, 8, 16, 0},
    {8, IORING_SETUP_NO_SQARRAY | IORING_SETUP_SQE128 | IORING_SETUP_CQE32, 0, 8, 16, 0},
};

TEST(Setup, gives_the_sizes_asked_for_rounded_up) {
    for (const Size& size : sizes) {
        SCOPED_TRACE(testing::Message() << size.entries << " entries, flags " << size.flags << ", cq_entries "
                                        << size.cq_entries);
        const RawRing ring(size.entries, with_cq_entries(size.flags, size.cq_entries));
        EXPECT_EQ(ring.params().sq_entries, size.expected_sq);
        EXPECT_EQ(ring.params().cq_entries, size.expected_cq);
        EXPECT_EQ(ring.params().sq_off.array, size.expected_array);
        EXPECT_EQ(ring.sq_entries().load(), size.expected_sq);
        EXPECT_EQ(ring.cq_entries().load(), size.expected_cq);
        EXPECT_EQ(ring.sq_mask().load(), size.expected_sq - 1);
        EXPECT_EQ(ring.cq_mask().load(), size.expected_cq - 1);
    }
}

TEST(Setup, refuses_sizes_that_make_no_ring) {
    EXPECT_THAT(answer_to(0, params_with(0)), Gives(-EINVAL));
    EXPECT_THAT(answer_to(0, params_with(clamp)), Gives(-EINVAL));
    EXPECT_THAT(answer_to(32769, params_with(0)), Gives(-EINVAL));
    EXPECT_THAT(answer_to(UINT_MAX, params_with(0)), Gives(-EINVAL));
    EXPECT_THAT(answer_to(8, with_cq_entries(cqsize, 0)), Gives(-EINVAL));
    EXPECT_THAT(answer_to(8, with_cq_entries(cqsize | clamp, 0)), Gives(-EINVAL));
    EXPECT_THAT(answer_to(8, with_cq_entries(cqsize, 65537)), Gives(-EINVAL));
    EXPECT_THAT(answer_to(1, with_cq_entries(cqsize | IORING_SETUP_CQE_MIXED, 1)), Gives(-EOVERFLOW));
    EXPECT_THAT(answer_to(1, with_cq_entries(cqsize | IORING_SETUP_CQE_MIXED, 2)), Gives(0));
}

TEST(Setup, refuses_a_completion_queue_smaller_than_the_submission_queue) {
    EXPECT_THAT(answer_to(8, with_cq_entries(cqsize, 4)), Gives(-EINVAL));
    EXPECT_THAT(answer_to(8, with_cq_entries(cqsize | clamp, 4)), Gives(-EINVAL));
    // Compared after rounding: 5 becomes 8.
    EXPECT_THAT(answer_to(8, with_cq_entries(cqsize, 5)), Gives(0));
}

constexpr unsigned accepted_flags[] = {
    0,
    IORING_SETUP_R_DISABLED,
    IORING_SETUP_SUBMIT_ALL,
    IORING_SETUP_COOP_TASKRUN,
    IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
    IORING_SETUP_SINGLE_ISSUER,
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
    IORING_SETUP_R_DISABLED | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER,
    IORING_SETUP_SQE128 | IORING_SETUP_CQE32 | IORING_SETUP_NO_SQARRAY,
    IORING_SETUP_CQE_MIXED,
};

TEST(Setup, accepts_flags_and_gives_them_back_unchanged) {
    for (const unsigned flags : accepted_flags) {
        SCOPED_TRACE(testing::Message() << "flags " << flags);
        const RawRing ring(8, flags);
        EXPECT_EQ(ring.params().flags, flags);
    }
}

constexpr struct {
    unsigned flags;
    const char* why;
} refused_flags[] = {
    {IORING_SETUP_SQ_AFF, "an affinity needs a polling thread"},
    {IORING_SETUP_SQPOLL | IORING_SETUP_COOP_TASKRUN, "a polling thread has no task to be cooperative with"},
    {IORING_SETUP_SQPOLL | IORING_SETUP_TASKRUN_FLAG, "nor one to tell about task work"},
    {IORING_SETUP_SQPOLL | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, "nor one to defer to"},
    {IORING_SETUP_TASKRUN_FLAG, "the flag tells of cooperative or deferred work, and there is neither"},
    {IORING_SETUP_DEFER_TASKRUN, "work is deferred to a single issuer"},
    {IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG, "work is deferred to a single issuer"},
    {IORING_SETUP_HYBRID_IOPOLL, "a kind of IOPOLL, which is not asked for"},
    {IORING_SETUP_CQE_MIXED | IORING_SETUP_CQE32, "completions cannot be mixed and all large"},
    {IORING_SETUP_REGISTERED_FD_ONLY, "only with memory of the program's own"},
    {IORING_SETUP_SQE_MIXED, "newer than 6.18"},
    {IORING_SETUP_SQ_REWIND, "newer than 6.18"},
    {IORING_SETUP_SQ_REWIND | IORING_SETUP_NO_SQARRAY, "newer than 6.18"},
    {1U << 21, "no such flag"},
    {1U << 31, "no such flag"},
};

TEST(Setup, refuses_unknown_flags_and_flags_that_contradict_each_other) {
    for (const auto& refused : refused_flags) {
        SCOPED_TRACE(testing::Message() << "flags " << refused.flags << ": " << refused.why);
        EXPECT_THAT(answer_to(8, params_with(refused.flags)), Gives(-EINVAL));
    }
}

// What setup says of flags that each by itself would be granted, where the memory that IORING_SETUP_NO_MMAP speaks of
// is not there and IORING_SETUP_ATTACH_WQ names a ring without a submission thread.
int expected_of(unsigned flags) {
    const auto has = [&](unsigned wanted) { return (flags & wanted) == wanted; };
    const auto any_of = [&](unsigned wanted) { return (flags & wanted) != 0; };
    constexpr unsigned newest_known = IORING_SETUP_CQE_MIXED;
    const bool contradict =
        flags >= 2 * newest_known || (has(IORING_SETUP_REGISTERED_FD_ONLY) && !has(IORING_SETUP_NO_MMAP)) ||
        (has(IORING_SETUP_SQPOLL) &&
         any_of(IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_DEFER_TASKRUN)) ||
        (has(IORING_SETUP_TASKRUN_FLAG) && !any_of(IORING_SETUP_COOP_TASKRUN | IORING_SETUP_DEFER_TASKRUN)) ||
        (has(IORING_SETUP_HYBRID_IOPOLL) && !has(IORING_SETUP_IOPOLL)) ||
        (has(IORING_SETUP_DEFER_TASKRUN) && !has(IORING_SETUP_SINGLE_ISSUER)) ||
        has(IORING_SETUP_CQE32 | IORING_SETUP_CQE_MIXED);
    if (contradict) return -EINVAL;
    if (has(IORING_SETUP_NO_MMAP)) return -EFAULT;
    const bool without_thread = has(IORING_SETUP_SQ_AFF) && !has(IORING_SETUP_SQPOLL);
    return without_thread || has(IORING_SETUP_ATTACH_WQ | IORING_SETUP_SQPOLL) ? -EINVAL : 0;
}

TEST(Setup, knows_what_each_three_flags_are_together) {
    const RawRing plain;
    const size_t threads = count_threads();
    constexpr unsigned flags_and_some_more = 22;
    for (unsigned one = 0; one < flags_and_some_more; ++one) {
        for (unsigned two = one; two < flags_and_some_more; ++two) {
            for (unsigned three = two; three < flags_and_some_more; ++three) {
                io_uring_params params = with_cq_entries(1U << one | 1U << two | 1U << three, 16);
                params.wq_fd = static_cast<unsigned>(plain.fd());
                params.sq_thread_idle = 1;
                ASSERT_THAT(answer_to(8, params), Gives(expected_of(params.flags))) << "flags " << params.flags;
            }
        }
    }
    // The kernel's submission threads end a little after their rings.
    EXPECT_TRUE(eventually([&] { return count_threads() <= threads; })) << count_threads();
}

TEST(Setup, refuses_reserved_fields_that_are_not_zero) {
    for (const int index : {0, 1, 2}) {
        io_uring_params params = {};
        params.resv[index] = 1;
        EXPECT_THAT(answer_to(8, params), Gives(-EINVAL)) << "resv[" << index << "]";
    }
}

TEST(Setup, refuses_to_attach_to_what_is_no_ring) {
    const Fd file = memory_file_with("");
    io_uring_params params = params_with(IORING_SETUP_ATTACH_WQ);
    params.wq_fd = static_cast<unsigned>(file.get());
    EXPECT_THAT(answer_to(8, params), Gives(-EINVAL));
    params.wq_fd = 1'000'000;
    EXPECT_THAT(answer_to(8, params), Gives(-ENXIO));
}

TEST(Setup, answers_a_bad_parameter_pointer_with_efault) {
    const ForbiddenPage page;
    EXPECT_THAT(setup_ring(8, nullptr), Gives(-EFAULT));
    EXPECT_THAT(setup_ring(8, static_cast<io_uring_params*>(page.address())), Gives(-EFAULT));
    // The structure's last bytes alone are out of reach.
    auto* straddling = reinterpret_cast<io_uring_params*>(page.brink(sizeof(io_uring_params) - 4));
    EXPECT_THAT(setup_ring(8, straddling), Gives(-EFAULT));
    // The pointer is looked at before the number of entries.
    EXPECT_THAT(setup_ring(0, nullptr), Gives(-EFAULT));
}

TEST(Setup, leaves_the_parameters_alone_when_it_refuses) {
    io_uring_params params = with_cq_entries(cqsize, 4);
    const io_uring_params before = params;
    EXPECT_THAT(setup_ring(8, &params), Gives(-EINVAL));
    EXPECT_EQ(memcmp(&params, &before, sizeof(params)), 0);
}

TEST(Setup, leaves_nothing_behind_when_it_refuses) {
    const Holdings before = holdings();
    for (const auto& refused : refused_flags) answer_to(8, params_with(refused.flags));
    EXPECT_EQ(holdings(), before);
}

TEST(Setup, fills_in_the_offsets_of_every_field) {
    const RawRing ring(8);
    const io_sqring_offsets& sq = ring.params().sq_off;
    const io_cqring_offsets& cq = ring.params().cq_off;
    // The two rings share one mapping: no two fields may lie at one place.
    EXPECT_EQ(sq.head, 0u);
    EXPECT_EQ(sq.tail, 4u);
    EXPECT_EQ(cq.head, 8u);
    EXPECT_EQ(cq.tail, 12u);
    EXPECT_EQ(sq.ring_mask, 16u);
    EXPECT_EQ(cq.ring_mask, 20u);
    EXPECT_EQ(sq.ring_entries, 24u);
    EXPECT_EQ(cq.ring_entries, 28u);
    EXPECT_EQ(sq.dropped, 32u);
    EXPECT_EQ(sq.flags, 36u);
    EXPECT_EQ(cq.flags, 40u);
    EXPECT_EQ(cq.overflow, 44u);
    EXPECT_EQ(cq.cqes, 64u);
    EXPECT_EQ(sq.resv1, 0u);
    EXPECT_EQ(sq.user_addr, 0u);
    EXPECT_EQ(cq.resv1, 0u);
    EXPECT_EQ(cq.user_addr, 0u);
}

TEST(Setup, starts_with_empty_queues_and_nothing_to_report) {
    const RawRing ring(8);
    EXPECT_EQ(ring.sq_head().load(), 0u);
    EXPECT_EQ(ring.sq_tail().load(), 0u);
    EXPECT_EQ(ring.sq_flags().load(), 0u);
    EXPECT_EQ(ring.sq_dropped().load(), 0u);
    EXPECT_EQ(ring.cq_head().load(), 0u);
    EXPECT_EQ(ring.cq_tail().load(), 0u);
    EXPECT_EQ(ring.cq_flags().load(), 0u);
    EXPECT_EQ(ring.cq_overflow().load(), 0u);
}

TEST(Setup, advertises_features_of_linux_6_18_and_no_others) {
    constexpr unsigned known = (IORING_FEAT_NO_IOWAIT << 1) - 1;
    // What the tests of this folder and of the operations rest on; a feature that is not honoured is not advertised.
    constexpr unsigned required = IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE |
                                  IORING_FEAT_RW_CUR_POS | IORING_FEAT_FAST_POLL | IORING_FEAT_POLL_32BITS |
                                  IORING_FEAT_EXT_ARG | IORING_FEAT_CQE_SKIP | IORING_FEAT_LINKED_FILE |
                                  IORING_FEAT_MIN_TIMEOUT | IORING_FEAT_NO_IOWAIT;
    const unsigned features = RawRing(8).params().features;
    EXPECT_EQ(features & ~known, 0u);
    EXPECT_EQ(features & required, required);
}

TEST(Setup, overwrites_whatever_the_program_left_in_the_output_fields) {
    io_uring_params params;
    memset(&params, 0xff, sizeof(params));
    params.flags = 0;
    params.resv[0] = params.resv[1] = params.resv[2] = 0;
    RawRing ring(8, params);
    const RawRing pristine(8);
    EXPECT_EQ(ring.params().sq_entries, 8u);
    EXPECT_EQ(ring.params().features, pristine.params().features);
    EXPECT_EQ(memcmp(&ring.params().sq_off, &pristine.params().sq_off, sizeof(io_sqring_offsets)), 0);
    EXPECT_EQ(memcmp(&ring.params().cq_off, &pristine.params().cq_off, sizeof(io_cqring_offsets)), 0);
    EXPECT_THAT(ring.run(sqe::nop()), Gives(0));
}

TEST(Setup, closes_the_ring_on_exec) {
    const RawRing ring(1);
    EXPECT_EQ(fcntl(ring.fd(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

TEST(Setup, takes_the_lowest_free_file_descriptor) {
    Fd lowest(dup(0));
    const int number = lowest.get();
    lowest.reset();
    EXPECT_EQ(RawRing(1).fd(), number);
}

}  // namespace
}  // namespace ringside::test
