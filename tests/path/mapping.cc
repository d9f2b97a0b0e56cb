// Mapping a ring's memory: what a program gets at the offsets of the ABI, in one, two or three mappings.
#include <errno.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "support/files.h"
#include "support/process.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

constexpr size_t page_size = 4096;

uint32_t& word_at(const Mapping& mapping, size_t offset) { return *reinterpret_cast<uint32_t*>(mapping.at(offset)); }

// Whether a mapping at this offset and of this length is given. The engine's ring file is a sparse memfd, of which
// mmap(2) maps any part; the engine is asked through its own door instead, as whoever intercepts mmap asks it.
bool can_map(const RawRing& ring, uint64_t offset, size_t length) {
    if (provider_under_test() == provider::Kind::kernel) return static_cast<bool>(Mapping(ring.fd(), offset, length));
    return engine::map(*engine::find(ring.fd()), offset, length) != nullptr;
}

TEST(Mapping, both_rings_lie_in_one_mapping) {
    const RawRing ring(8);
    EXPECT_TRUE((ring.params().features & IORING_FEAT_SINGLE_MMAP) != 0);
    EXPECT_EQ(ring.sq_entries().load(), 8u);
    EXPECT_EQ(ring.cq_entries().load(), 16u);
}

TEST(Mapping, the_completion_ring_can_be_mapped_on_its_own) {
    // As a program written before IORING_FEAT_SINGLE_MMAP does: three mappings.
    RawRing ring(8);
    const io_uring_params& params = ring.params();
    const Mapping submission(ring.fd(), IORING_OFF_SQ_RING, params.sq_off.array + params.sq_entries * sizeof(uint32_t));
    const Mapping completion(ring.fd(), IORING_OFF_CQ_RING,
                             params.cq_off.cqes + params.cq_entries * sizeof(io_uring_cqe));
    ASSERT_TRUE(submission);
    ASSERT_TRUE(completion);
    EXPECT_EQ(word_at(submission, params.sq_off.ring_entries), 8u);
    EXPECT_EQ(word_at(completion, params.cq_off.ring_entries), 16u);

    EXPECT_THAT(ring.submit(sqe::nop().data(5)), Gives(1));
    EXPECT_EQ(word_at(submission, params.sq_off.head), 1u);
    EXPECT_EQ(word_at(completion, params.cq_off.tail), 1u);
    const auto* cqe = reinterpret_cast<const io_uring_cqe*>(completion.at(params.cq_off.cqes));
    EXPECT_EQ(cqe->user_data, 5u);
}

// fio crashed by a completion of nothing: the engine came to know which mapping it uses in the middle of a batch, of
// which that mapping then had only the second half.
TEST(Mapping, of_the_completion_ring_on_its_own_has_all_completions_of_a_batch) {
    RawRing ring(4);
    const io_uring_params& params = ring.params();
    const Mapping completion(ring.fd(), IORING_OFF_CQ_RING, page_size);
    ASSERT_TRUE(completion);
    RawRing::Word head(word_at(completion, params.cq_off.head)), tail(word_at(completion, params.cq_off.tail));
    const auto* cqes = reinterpret_cast<const io_uring_cqe*>(completion.at(params.cq_off.cqes));

    uint64_t submitted = 0, reaped = 0;
    for (int batch = 0; batch < 20; ++batch) {
        for (int i = 0; i < 3; ++i) ring.push(sqe::nop().data(++submitted));
        EXPECT_THAT(ring.submit_pushed(3), Gives(3));
        EXPECT_EQ(tail.load(), submitted);
        // In the first rounds nothing is passed, so that the ring has come to its end when it is.
        for (; batch > 0 && reaped < submitted; head.store(static_cast<uint32_t>(reaped))) {
            EXPECT_EQ(cqes[reaped % params.cq_entries].user_data, reaped + 1);
            ++reaped;
        }
    }
}

TEST(Mapping, the_same_memory_appears_wherever_it_is_mapped) {
    RawRing ring(8);
    const Mapping twice(ring.fd(), IORING_OFF_SQ_RING, page_size);
    const Mapping entries(ring.fd(), IORING_OFF_SQES, 8 * sizeof(io_uring_sqe));
    ASSERT_TRUE(twice);
    ASSERT_TRUE(entries);

    // An entry written and published through the second mappings is submitted like any other.
    *reinterpret_cast<io_uring_sqe*>(entries.at(0)) = sqe::nop().data(9);
    word_at(twice, ring.params().sq_off.array) = 0;
    RawRing::Word(word_at(twice, ring.params().sq_off.tail)).store(1);
    EXPECT_THAT(ring.enter(1), Gives(1));
    EXPECT_THAT(ring.wait(1), testing::ElementsAre(Completes(9, 0)));
}

TEST(Mapping, outlives_the_file_descriptor) {
    RawRing ring(8);
    EXPECT_THAT(ring.submit(sqe::nop().data(3)), Gives(1));
    ring.close();
    EXPECT_THAT(ring.reap(), testing::ElementsAre(Completes(3, 0)));
}

TEST(Mapping, of_the_rings_may_be_shorter_or_longer_than_they_are) {
    const RawRing ring(1024);
    for (const uint64_t offset : {uint64_t{IORING_OFF_SQ_RING}, uint64_t{IORING_OFF_CQ_RING}}) {
        EXPECT_TRUE(can_map(ring, offset, 1));
        EXPECT_TRUE(can_map(ring, offset, page_size));
        EXPECT_TRUE(can_map(ring, offset, size_t{1} << 20));
    }
}

TEST(Mapping, of_the_entries_may_be_longer_than_they_are_but_not_shorter) {
    const RawRing ring(1024);
    constexpr size_t whole = 1024 * sizeof(io_uring_sqe);
    EXPECT_TRUE(can_map(ring, IORING_OFF_SQES, whole));
    EXPECT_TRUE(can_map(ring, IORING_OFF_SQES, whole - page_size + 1));
    EXPECT_TRUE(can_map(ring, IORING_OFF_SQES, whole + page_size));
    EXPECT_FALSE(can_map(ring, IORING_OFF_SQES, whole - page_size));
    EXPECT_FALSE(can_map(ring, IORING_OFF_SQES, page_size));
}

TEST(Mapping, is_refused_at_offsets_where_nothing_is) {
    const RawRing ring(8);
    EXPECT_FALSE(can_map(ring, 0x18000000, page_size));
    EXPECT_FALSE(can_map(ring, 0x20000000, page_size));
    EXPECT_FALSE(can_map(ring, IORING_OFF_PBUF_RING, page_size));
}

TEST(Mapping, of_large_entries_is_twice_as_long) {
    const RawRing ring(64, IORING_SETUP_SQE128);
    EXPECT_TRUE(can_map(ring, IORING_OFF_SQES, 64 * 128));
    EXPECT_FALSE(can_map(ring, IORING_OFF_SQES, 64 * 64));
}

TEST(Mapping, can_be_undone_without_harm_to_the_ring) {
    RawRing ring(8);
    EXPECT_THAT(ring.submit(sqe::nop()), Gives(1));
    ring.unmap();
    EXPECT_THAT(ring.enter(0, 1, IORING_ENTER_GETEVENTS), Gives(0));
}

// A limit to the size of files, as daemons set it.
void limit_file_size(rlim_t soft, rlim_t hard) {
    const rlimit limit = {soft, hard};
    EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

TEST(Mapping, is_not_hindered_by_a_limit_to_the_size_of_files) {
    EXPECT_EQ(ending_of_child([] {
                  limit_file_size(65536, RLIM_INFINITY);
                  RawRing ring(8);
                  EXPECT_THAT(ring.submit(sqe::nop().data(5)), Gives(1));
                  EXPECT_THAT(ring.wait(1), testing::ElementsAre(Completes(5, 0)));
                  rlimit after = {};
                  getrlimit(RLIMIT_FSIZE, &after);
                  return testing::Test::HasFailure() || after.rlim_cur != 65536 ? 1 : 0;
              }),
              0);
}

TEST(Mapping, is_hindered_by_a_final_limit_to_the_size_of_files_with_the_engine_alone) {
    EXPECT_EQ(ending_of_child([] {
                  limit_file_size(65536, 65536);
                  io_uring_params params = {};
                  const int fd = setup_ring(8, &params);
                  const bool expected = provider_under_test() == provider::Kind::kernel ? fd >= 0 : fd == -EFBIG;
                  return expected ? 0 : 1;
              }),
              0);
}

TEST(Mapping, a_ring_that_was_never_mapped_can_be_entered) {
    io_uring_params params = {};
    const int fd = setup_ring(8, &params);
    ASSERT_GE(fd, 0);
    EXPECT_THAT(provider::enter(provider_under_test(), fd, 0, 0, 0, nullptr, 0), Gives(0));
    EXPECT_THAT(provider::enter(provider_under_test(), fd, 8, 0, 0, nullptr, 0), Gives(0));
    EXPECT_THAT(provider::close(provider_under_test(), fd), Gives(0));
}

}  // namespace
}  // namespace ringside::test
