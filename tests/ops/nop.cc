// IORING_OP_NOP: the request that does nothing, and what its flags let a test inject.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>

#include <vector>

#include "support/files.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

// Flags between IORING_NOP_INJECT_RESULT and IORING_NOP_CQE32, which programs' headers need not name: Linux has them
// for its own tests.
constexpr unsigned nop_file = 1U << 1;
constexpr unsigned nop_fixed_file = 1U << 2;
constexpr unsigned nop_fixed_buffer = 1U << 3;
constexpr unsigned nop_task_work = 1U << 4;

TEST(Nop, completes_with_zero_and_its_user_data) {
    RawRing ring;
    EXPECT_THAT(ring.submit(sqe::nop().data(7)), Gives(1));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(7, 0)));
}

TEST(Nop, gives_back_any_user_data) {
    RawRing ring;
    for (const uint64_t data : {uint64_t{0}, uint64_t{1}, ~uint64_t{0}, uint64_t{0x0123456789abcdef}}) {
        EXPECT_THAT(ring.submit(sqe::nop().data(data)), Gives(1));
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(data, 0)));
    }
}

TEST(Nop, injects_a_result) {
    RawRing ring;
    for (const int32_t result : {0, 1, -EIO, -1, INT32_MAX, INT32_MIN}) {
        const auto length = static_cast<uint32_t>(result);
        EXPECT_THAT(ring.run(sqe::nop(IORING_NOP_INJECT_RESULT).set(&Sqe::len, length)), Gives(result));
    }
    // Without the flag the length means nothing.
    EXPECT_THAT(ring.run(sqe::nop().set(&Sqe::len, static_cast<uint32_t>(-EIO))), Gives(0));
}

TEST(Nop, looks_up_a_file_when_told_to) {
    RawRing ring;
    const Fd file = memory_file_with("");
    EXPECT_THAT(ring.run(sqe::nop(nop_file).set(&Sqe::fd, file.get())), Gives(0));
    EXPECT_THAT(ring.run(sqe::nop(nop_file).set(&Sqe::fd, -1)), Gives(-EBADF));
    EXPECT_THAT(ring.run(sqe::nop(nop_file).set(&Sqe::fd, 1'000'000)), Gives(-EBADF));
    // A file that is not found outdoes an injected result.
    EXPECT_THAT(ring.run(sqe::nop(nop_file | IORING_NOP_INJECT_RESULT).set(&Sqe::fd, -1).set(&Sqe::len, 5)),
                Gives(-EBADF));
    EXPECT_THAT(ring.run(sqe::nop(nop_file | nop_fixed_file).set(&Sqe::fd, file.get())), Gives(-EBADF));
    EXPECT_THAT(ring.run(sqe::nop(nop_file).set(&Sqe::fd, file.get()).flag(IOSQE_FIXED_FILE)), Gives(-EBADF));
    // Nobody asked for a fixed file here.
    EXPECT_THAT(ring.run(sqe::nop(nop_fixed_file).set(&Sqe::fd, -1)), Gives(0));
}

TEST(Nop, takes_a_path_for_no_file) {
    RawRing ring;
    const Fd path_only(open("/", O_PATH | O_CLOEXEC));
    EXPECT_THAT(ring.run(sqe::nop(nop_file).set(&Sqe::fd, path_only.get())), Gives(-EBADF));
}

TEST(Nop, looks_up_a_registered_buffer_when_told_to) {
    RawRing ring;
    EXPECT_THAT(ring.run(sqe::nop(nop_fixed_buffer)), Gives(-EFAULT));
    AlignedBuffer memory(4096);
    iovec buffers[] = {{nullptr, 0}, {memory.data(), memory.size()}};
    EXPECT_THAT(ring.register_call(IORING_REGISTER_BUFFERS, buffers, 2), Gives(0));
    EXPECT_THAT(ring.run(sqe::nop(nop_fixed_buffer).set(&Sqe::buf_index, 1)), Gives(0));
    EXPECT_THAT(
        ring.run(sqe::nop(nop_fixed_buffer | IORING_NOP_INJECT_RESULT).set(&Sqe::buf_index, 1).set(&Sqe::len, 7)),
        Gives(7));
    EXPECT_THAT(ring.run(sqe::nop(nop_fixed_buffer)), Gives(-EFAULT)) << "an empty slot";
    EXPECT_THAT(ring.run(sqe::nop(nop_fixed_buffer).set(&Sqe::buf_index, 2)), Gives(-EFAULT));
}

TEST(Nop, completes_from_task_work_when_told_to) {
    RawRing ring;
    EXPECT_THAT(ring.run(sqe::nop(nop_task_work)), Gives(0));
    EXPECT_THAT(ring.run(sqe::nop(nop_task_work | IORING_NOP_INJECT_RESULT).set(&Sqe::len, 9)), Gives(9));
}

TEST(Nop, refuses_unknown_flags) {
    RawRing ring;
    for (unsigned bit = 6; bit < 32; ++bit) EXPECT_THAT(ring.run(sqe::nop(1U << bit)), Gives(-EINVAL)) << "bit " << bit;
}

TEST(Nop, fills_a_large_completion_when_told_to) {
    RawRing ring(8, IORING_SETUP_CQE32);
    const Sqe nop = sqe::nop(IORING_NOP_CQE32).data(1).set(&Sqe::off, 11).set(&Sqe::addr, 22);
    EXPECT_EQ(ring.run(nop), (Cqe{1, 0, 0, {11, 22}}));
    // Not told to, it leaves the second half zero.
    EXPECT_EQ(ring.run(Sqe(nop).set(&Sqe::nop_flags, 0)), (Cqe{1, 0, 0, {0, 0}}));
}

TEST(Nop, has_no_large_completion_on_a_ring_of_small_ones) {
    RawRing ring;
    EXPECT_THAT(ring.run(sqe::nop(IORING_NOP_CQE32)), Gives(-EINVAL));
}

TEST(Nop, gives_completions_of_both_sizes_on_a_mixed_ring) {
    RawRing ring(8, IORING_SETUP_CQE_MIXED);
    EXPECT_THAT(
        ring.submit(sqe::nop(IORING_NOP_CQE32).data(1).set(&Sqe::off, 11).set(&Sqe::addr, 22), sqe::nop().data(2)),
        Gives(2));
    // A large completion takes two places and says so in its flags.
    ASSERT_EQ(ring.cq_tail().load(), 3u);
    const io_uring_cqe* large = ring.cqe_at(0);
    EXPECT_EQ(large->user_data, 1u);
    EXPECT_EQ(large->res, 0);
    EXPECT_EQ(large->flags, IORING_CQE_F_32);
    EXPECT_EQ(large->big_cqe[0], 11u);
    EXPECT_EQ(large->big_cqe[1], 22u);
    EXPECT_EQ(ring.cqe_at(2)->user_data, 2u);
    EXPECT_EQ(ring.cqe_at(2)->flags, 0u);
}

TEST(Nop, skips_the_last_place_of_a_mixed_ring_when_a_large_completion_would_be_cut) {
    RawRing ring(2, IORING_SETUP_CQE_MIXED);
    EXPECT_THAT(ring.submit(sqe::nop().data(1)), Gives(1));
    EXPECT_THAT(ring.submit(sqe::nop().data(2), sqe::nop().data(3)), Gives(2));
    ring.reap();
    EXPECT_THAT(ring.submit(sqe::nop(IORING_NOP_CQE32).data(4).set(&Sqe::off, 11).set(&Sqe::addr, 22)), Gives(1));
    // Place 3 is filled with a completion that programs skip; the large one begins at place 0.
    ASSERT_EQ(ring.cq_tail().load(), 6u);
    EXPECT_EQ(ring.cqe_at(3)->flags, IORING_CQE_F_SKIP);
    EXPECT_EQ(ring.cqe_at(4)->user_data, 4u);
    EXPECT_EQ(ring.cqe_at(4)->flags, IORING_CQE_F_32);
    EXPECT_EQ(ring.cqe_at(4)->big_cqe[1], 22u);
}

TEST(Nop, ignores_every_other_field_but_the_priority) {
    RawRing ring;
    EXPECT_THAT(ring.run(sqe::nop()
                             .set(&Sqe::fd, -1)
                             .set(&Sqe::off, 1)
                             .set(&Sqe::addr, 1)
                             .set(&Sqe::len, 1)
                             .set(&Sqe::buf_index, 1)
                             .set(&Sqe::splice_fd_in, 1)
                             .set(&Sqe::addr3, 1)),
                Gives(0));
    EXPECT_THAT(ring.run(sqe::nop().set(&Sqe::ioprio, 1)), Gives(-EINVAL));
}

TEST(Nop, of_a_large_batch_completes_once_for_each) {
    RawRing ring(4096);
    for (uint64_t number = 0; number < 4096; ++number) ring.push(sqe::nop().data(number));
    EXPECT_THAT(ring.submit_pushed(4096), Gives(4096));
    const std::vector<Cqe> completions = ring.reap();
    ASSERT_THAT(completions, SizeIs(4096));
    for (uint64_t number = 0; number < 4096; ++number) EXPECT_EQ(completions[number].user_data, number);
}

}  // namespace
}  // namespace ringside::test
