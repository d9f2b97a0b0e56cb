// More completions than the CQ holds: none is lost (IORING_FEAT_NODROP), none overtakes another, and the flag in the SQ
// says that entering would bring more.
#include <errno.h>
#include <gtest/gtest.h>

#include <vector>

#include "support/eventually.h"
#include "support/files.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr unsigned getevents = IORING_ENTER_GETEVENTS;

bool flag_is_set(const RawRing& ring) { return (ring.sq_flags().load() & IORING_SQ_CQ_OVERFLOW) != 0; }

// Submits NOPs numbered from `first` to `last`.
void submit_nops(RawRing& ring, uint64_t first, uint64_t last) {
    for (uint64_t number = first; number <= last; ++number) EXPECT_THAT(ring.submit(sqe::nop().data(number)), Gives(1));
}

std::vector<uint64_t> numbers_of(const std::vector<Cqe>& completions) {
    std::vector<uint64_t> numbers;
    for (const Cqe& cqe : completions) numbers.push_back(cqe.user_data);
    return numbers;
}

TEST(Overflow, begins_only_when_the_queue_is_full) {
    RawRing ring(2);
    submit_nops(ring, 1, 4);
    EXPECT_FALSE(flag_is_set(ring));
    EXPECT_EQ(ring.ready(), 4u);
    submit_nops(ring, 5, 5);
    EXPECT_TRUE(flag_is_set(ring));
    EXPECT_EQ(ring.ready(), 4u);
}

TEST(Overflow, is_brought_in_by_the_next_enter_for_events) {
    RawRing ring(2);
    submit_nops(ring, 1, 7);
    EXPECT_THAT(numbers_of(ring.reap()), ElementsAre(1, 2, 3, 4));
    // Room alone changes nothing, nor does an enter that is not for events.
    EXPECT_TRUE(flag_is_set(ring));
    EXPECT_EQ(ring.ready(), 0u);
    EXPECT_THAT(ring.enter(0), Gives(0));
    EXPECT_EQ(ring.ready(), 0u);
    EXPECT_THAT(ring.enter(0, 0, getevents), Gives(0));
    EXPECT_FALSE(flag_is_set(ring));
    EXPECT_THAT(numbers_of(ring.reap()), ElementsAre(5, 6, 7));
}

TEST(Overflow, comes_in_as_far_as_there_is_room) {
    RawRing ring(2);
    submit_nops(ring, 1, 11);
    EXPECT_THAT(numbers_of(ring.reap()), ElementsAre(1, 2, 3, 4));
    EXPECT_THAT(ring.enter(0, 0, getevents), Gives(0));
    EXPECT_TRUE(flag_is_set(ring));
    EXPECT_THAT(numbers_of(ring.reap()), ElementsAre(5, 6, 7, 8));
    EXPECT_THAT(ring.enter(0, 0, getevents), Gives(0));
    EXPECT_FALSE(flag_is_set(ring));
    EXPECT_THAT(numbers_of(ring.reap()), ElementsAre(9, 10, 11));
}

TEST(Overflow, is_not_overtaken_by_later_completions) {
    RawRing ring(2);
    submit_nops(ring, 1, 6);
    EXPECT_THAT(numbers_of(ring.reap()), ElementsAre(1, 2, 3, 4));
    // There is room now, but 5 and 6 come first.
    submit_nops(ring, 7, 8);
    EXPECT_EQ(ring.ready(), 0u);
    EXPECT_THAT(ring.enter(0, 0, getevents), Gives(0));
    EXPECT_THAT(numbers_of(ring.reap()), ElementsAre(5, 6, 7, 8));
}

TEST(Overflow, ends_a_wait) {
    RawRing ring(2);
    submit_nops(ring, 1, 5);
    ring.reap();
    EXPECT_THAT(ring.enter(0, 1, getevents), Gives(0));
    EXPECT_THAT(numbers_of(ring.reap()), ElementsAre(5));
}

TEST(Overflow, does_not_keep_a_full_queue_from_being_waited_on) {
    RawRing ring(2);
    submit_nops(ring, 1, 20);
    EXPECT_THAT(ring.enter(0, 4, getevents), Gives(0));
    EXPECT_THAT(ring.enter(0, 0, getevents), Gives(0));
    EXPECT_EQ(ring.ready(), 4u);
}

TEST(Overflow, keeps_no_request_from_being_submitted) {
    // io_uring_enter(2) speaks of EBUSY; since completions are kept without bound, Linux 6.18 gives it no more.
    RawRing ring(2);
    submit_nops(ring, 1, 1000);
    EXPECT_EQ(ring.cq_overflow().load(), 0u);
    uint64_t expected = 0;
    while (expected < 1000) {
        const std::vector<Cqe> completions = ring.reap();
        for (const Cqe& cqe : completions) EXPECT_EQ(cqe.user_data, ++expected);
        ASSERT_THAT(ring.enter(0, 0, getevents), Gives(0));
        ASSERT_TRUE(ring.ready() > 0 || expected == 1000) << "completion " << expected + 1 << " is lost";
    }
    EXPECT_FALSE(flag_is_set(ring));
    EXPECT_THAT(ring.reap(), IsEmpty());
}

TEST(Overflow, of_one_batch_keeps_its_order) {
    RawRing ring(8, [] {
        io_uring_params params = params_with(IORING_SETUP_CQSIZE);
        params.cq_entries = 8;
        return params;
    }());
    for (const unsigned round : {0u, 1u, 2u}) {
        for (unsigned number = 0; number < 8; ++number) ring.push(sqe::nop().data(round * 8 + number));
        EXPECT_THAT(ring.submit_pushed(8), Gives(8));
    }
    const std::vector<uint64_t> numbers = numbers_of(ring.wait(24));
    ASSERT_EQ(numbers.size(), 24u);
    for (uint64_t number = 0; number < 24; ++number) EXPECT_EQ(numbers[number], number);
}

TEST(Overflow, keeps_large_completions_whole) {
    RawRing ring(1, IORING_SETUP_CQE32);
    for (uint64_t number = 1; number <= 4; ++number) {
        EXPECT_THAT(
            ring.submit(sqe::nop(IORING_NOP_CQE32).data(number).set(&Sqe::off, number * 10).set(&Sqe::addr, number)),
            Gives(1));
    }
    EXPECT_TRUE(flag_is_set(ring));
    std::vector<Cqe> completions = ring.wait(4);
    ASSERT_THAT(completions, SizeIs(4));
    for (uint64_t number = 1; number <= 4; ++number) {
        EXPECT_EQ(completions[number - 1], (Cqe{number, 0, 0, {number * 10, number}}));
    }
}

TEST(Overflow, happens_to_requests_that_complete_later_too) {
    RawRing ring(1);
    const Pipe pipe;
    char bytes[4];
    for (uint64_t number = 1; number <= 4; ++number) {
        EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &bytes[number - 1], 1).data(number)), Gives(1));
    }
    EXPECT_EQ(write(pipe.write_end, "abcd", 4), 4);
    EXPECT_TRUE(eventually([&] { return flag_is_set(ring) && ring.ready() == 2; }));
    EXPECT_THAT(ring.wait(4),
                testing::UnorderedElementsAre(Completes(1, 1), Completes(2, 1), Completes(3, 1), Completes(4, 1)));
    EXPECT_FALSE(flag_is_set(ring));
}

TEST(Overflow, that_is_never_reaped_goes_with_the_ring) {
    RawRing ring(1);
    submit_nops(ring, 1, 100);
    EXPECT_THAT(ring.close(), Gives(0));
}

}  // namespace
}  // namespace ringside::test
