#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <string.h>
#include <unistd.h>

#include "liburing/ring.h"
#include "support/eventually.h"
#include "support/files.h"

namespace ringside::test {
namespace {

TEST(GetSqe, is_null_when_the_queue_is_full_and_nothing_is_overwritten) {
    Uring ring(4);
    for (__u64 i = 0; i < 4; i++) ASSERT_TRUE(ring.add_nop(i));
    EXPECT_EQ(io_uring_sq_space_left(ring.get()), 0u);
    EXPECT_EQ(io_uring_sq_ready(ring.get()), 4u);
    for (int i = 0; i < 10; i++) EXPECT_EQ(io_uring_get_sqe(ring.get()), nullptr);
    EXPECT_EQ(io_uring_submit(ring.get()), 4);
    EXPECT_EQ(io_uring_sq_space_left(ring.get()), 4u);
    EXPECT_EQ(ring.reap(), (std::vector<__u64>{0, 1, 2, 3}));
}

TEST(GetSqe, hands_out_clean_entries_however_the_last_user_left_them) {
    Uring ring(1);
    io_uring_sqe* sqe = io_uring_get_sqe(ring.get());
    ASSERT_NE(sqe, nullptr);
    memset(sqe, 0xff, sizeof(*sqe));
    io_uring_prep_nop(sqe);
    io_uring_initialize_sqe(sqe);
    ASSERT_EQ(io_uring_submit(ring.get()), 1);
    memset(sqe, 0xff, sizeof(*sqe));
    sqe = io_uring_get_sqe(ring.get());
    ASSERT_NE(sqe, nullptr);
    io_uring_prep_nop(sqe);
    sqe->user_data = 9;
    ASSERT_EQ(io_uring_submit(ring.get()), 1);
    io_uring_cqe* cqe;
    for (int i = 0; i < 2; i++) {
        ASSERT_EQ(io_uring_wait_cqe(ring.get(), &cqe), 0);
        EXPECT_EQ(cqe->res, 0);
        io_uring_cqe_seen(ring.get(), cqe);
    }
}

TEST(GetSqe, goes_round_the_queue_in_order_for_ever) {
    Uring ring(4);
    __u64 next = 0;
    for (int round = 0; round < 1000; round++) {
        ring.run_nops(3, next);
        EXPECT_EQ(ring.reap(), (std::vector<__u64>{next, next + 1, next + 2}));
        next += 3;
    }
}

TEST(GetSqe, survives_the_wrap_of_the_counters) {
    Uring ring(4);
    // Rings count modulo 2^32: bring all counters of an idle ring close to the wrap, as months of work would.
    // The kernel keeps copies of its own, so this is done by work where it cannot be done by hand: here, the distance
    // that matters is computed modulo 2^32 on the program's side alone.
    ring->sq.sqe_head = ring->sq.sqe_tail = *ring->sq.ktail;
    EXPECT_EQ(io_uring_sq_space_left(ring.get()), 4u);
    io_uring copy = *ring.get();
    unsigned head = 0xfffffffe, tail = 0xfffffffe;
    copy.sq.khead = &head;
    copy.sq.ktail = &tail;
    copy.sq.sqe_head = copy.sq.sqe_tail = 0xfffffffe;
    for (int i = 0; i < 4; i++) EXPECT_NE(io_uring_get_sqe(&copy), nullptr) << i;
    EXPECT_EQ(io_uring_get_sqe(&copy), nullptr);
    EXPECT_EQ(copy.sq.sqe_tail, 2u);
    EXPECT_EQ(io_uring_sq_ready(&copy), 4u);
}

TEST(Submit, takes_nothing_if_there_is_nothing) {
    Uring ring(4);
    EXPECT_EQ(io_uring_submit(ring.get()), 0);
    EXPECT_EQ(io_uring_submit_and_get_events(ring.get()), 0);
    EXPECT_EQ(io_uring_get_events(ring.get()), 0);
    EXPECT_TRUE(ring.reap().empty());
}

TEST(Submit, and_wait_counts_completions_not_submissions) {
    Uring ring(8);
    ring.run_nops(3);
    ASSERT_TRUE(ring.add_nop(3));
    EXPECT_EQ(io_uring_submit_and_wait(ring.get(), 4), 1);
    EXPECT_EQ(io_uring_cq_ready(ring.get()), 4u);
}

TEST(Submit, and_get_events_makes_deferred_completions_appear) {
    Uring ring(8, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
    Pipe pipe;
    ring.await_readable(pipe.read_end, 1);
    ASSERT_EQ(io_uring_submit(ring.get()), 1);
    ASSERT_EQ(write(pipe.write_end, "x", 1), 1);
    EXPECT_TRUE(eventually([&] {
        EXPECT_EQ(io_uring_get_events(ring.get()), 0);
        return io_uring_cq_ready(ring.get()) == 1;
    }));
    EXPECT_EQ(ring.reap(), std::vector<__u64>{1});
}

TEST(Submit, of_a_ring_that_is_disabled_fails_until_it_is_enabled) {
    Uring ring(8, IORING_SETUP_R_DISABLED);
    ASSERT_TRUE(ring.add_nop(1));
    EXPECT_EQ(io_uring_submit(ring.get()), -EBADFD);
    EXPECT_EQ(io_uring_enable_rings(ring.get()), 0);
    EXPECT_EQ(io_uring_enable_rings(ring.get()), -EBADFD);
    EXPECT_EQ(io_uring_submit(ring.get()), 1);
    EXPECT_EQ(ring.reap(), std::vector<__u64>{1});
}

TEST(Submit, does_not_touch_errno) {
    Uring ring(8, IORING_SETUP_R_DISABLED);
    ASSERT_TRUE(ring.add_nop(1));
    errno = 12345;
    EXPECT_EQ(io_uring_submit(ring.get()), -EBADFD);
    EXPECT_EQ(errno, 12345);
}

TEST(Submit, uses_large_entries_at_twice_the_distance) {
    Uring ring(4, IORING_SETUP_SQE128);
    EXPECT_EQ(io_uring_sqe_shift(ring.get()), 1u);
    io_uring_sqe* const first = io_uring_get_sqe(ring.get());
    io_uring_sqe* const second = io_uring_get_sqe128(ring.get());
    ASSERT_NE(second, nullptr);
    EXPECT_EQ(second - first, 2);
    io_uring_prep_nop(first);
    io_uring_prep_nop(second);
    first->user_data = 1;
    second->user_data = 2;
    for (__u64 i = 3; i <= 4; i++) ASSERT_TRUE(ring.add_nop(i));
    EXPECT_EQ(io_uring_get_sqe(ring.get()), nullptr);
    ASSERT_EQ(io_uring_submit(ring.get()), 4);
    EXPECT_EQ(ring.reap(), (std::vector<__u64>{1, 2, 3, 4}));
}

TEST(GetSqe128, is_null_where_all_entries_are_small) {
    Uring ring(4);
    EXPECT_EQ(io_uring_get_sqe128(ring.get()), nullptr);
    EXPECT_EQ(io_uring_sq_ready(ring.get()), 0u);
}

// A ring of mixed sizes on paper: what get_sqe128() makes of the queue needs nobody at the other end.
class MixedQueue : public testing::Test {
  protected:
    MixedQueue() {
        ring_.flags = IORING_SETUP_SQE_MIXED;
        ring_.sq.sqes = sqes_;
        ring_.sq.khead = &head_;
        ring_.sq.ring_mask = 3;
        ring_.sq.ring_entries = 4;
    }
    io_uring_sqe sqes_[4] = {};
    unsigned head_ = 0;
    io_uring ring_ = {};
};

TEST_F(MixedQueue, gives_a_large_entry_two_neighbouring_slots) {
    EXPECT_EQ(io_uring_get_sqe(&ring_), &sqes_[0]);
    EXPECT_EQ(io_uring_get_sqe128(&ring_), &sqes_[1]);
    EXPECT_EQ(ring_.sq.sqe_tail, 3u);
    EXPECT_EQ(io_uring_get_sqe128(&ring_), nullptr);
    EXPECT_EQ(io_uring_get_sqe(&ring_), &sqes_[3]);
    EXPECT_EQ(io_uring_get_sqe(&ring_), nullptr);
}

TEST_F(MixedQueue, fills_the_last_slot_with_a_silent_no_op_rather_than_wrap_a_large_entry) {
    head_ = 3;
    ring_.sq.sqe_tail = 3;
    sqes_[3].opcode = IORING_OP_READ;
    EXPECT_EQ(io_uring_get_sqe128(&ring_), &sqes_[0]);
    EXPECT_EQ(ring_.sq.sqe_tail, 6u);
    EXPECT_EQ(sqes_[3].opcode, IORING_OP_NOP);
    EXPECT_EQ(sqes_[3].flags, IOSQE_CQE_SKIP_SUCCESS);
}

TEST_F(MixedQueue, leaves_the_queue_alone_if_there_is_no_room_for_filler_and_entry) {
    head_ = 1;
    ring_.sq.sqe_tail = 3;
    EXPECT_EQ(io_uring_get_sqe128(&ring_), nullptr);
    EXPECT_EQ(ring_.sq.sqe_tail, 3u);
}

TEST(Sqpoll, takes_submissions_and_is_woken_when_it_sleeps) {
    io_uring_params params = {};
    params.flags = IORING_SETUP_SQPOLL;
    params.sq_thread_idle = 1;
    Uring ring(8, params);
    for (__u64 round = 0; round < 5; round++) {
        ASSERT_TRUE(ring.add_nop(round));
        ASSERT_EQ(io_uring_submit(ring.get()), 1);
        io_uring_cqe* cqe;
        __kernel_timespec limit = milliseconds(5000);
        ASSERT_EQ(io_uring_wait_cqe_timeout(ring.get(), &cqe, &limit), 0) << round;
        EXPECT_EQ(cqe->user_data, round);
        io_uring_cqe_seen(ring.get(), cqe);
        // Long enough for the thread to fall asleep, so that the next submission has to wake it.
        EXPECT_TRUE(eventually([&] { return (IO_URING_READ_ONCE(*ring->sq.kflags) & IORING_SQ_NEED_WAKEUP) != 0; }));
    }
}

TEST(Sqpoll, makes_room_in_a_full_queue_while_the_program_waits_for_it) {
    io_uring_params params = {};
    params.flags = IORING_SETUP_SQPOLL;
    params.sq_thread_idle = 50;
    Uring ring(4, params);
    for (__u64 i = 0; i < 64; i++) {
        while (!ring.add_nop(i)) {
            ASSERT_GE(io_uring_submit(ring.get()), 0);
            ASSERT_GE(io_uring_sqring_wait(ring.get()), 0);
        }
        if (i % 4 == 3) ring.reap();
    }
    ASSERT_GE(io_uring_submit(ring.get()), 0);
    EXPECT_TRUE(eventually([&] { return io_uring_sq_ready(ring.get()) == 0; }));
}

TEST(SqringWait, returns_at_once_where_no_thread_takes_submissions) {
    Uring ring(4);
    EXPECT_EQ(io_uring_sqring_wait(ring.get()), 0);
}

TEST(Submit, reads_and_writes_files) {
    Uring ring(8);
    const Fd file = memory_file_with("hello, ring");
    char buffer[32] = {};
    io_uring_sqe* sqe = io_uring_get_sqe(ring.get());
    io_uring_prep_read(sqe, file, buffer, sizeof(buffer), 7);
    io_uring_sqe_set_data(sqe, buffer);
    ASSERT_EQ(io_uring_submit_and_wait(ring.get(), 1), 1);
    io_uring_cqe* cqe;
    ASSERT_EQ(io_uring_peek_cqe(ring.get(), &cqe), 0);
    EXPECT_EQ(cqe->res, 4);
    EXPECT_EQ(io_uring_cqe_get_data(cqe), buffer);
    EXPECT_STREQ(buffer, "ring");
    io_uring_cqe_seen(ring.get(), cqe);

    sqe = io_uring_get_sqe(ring.get());
    io_uring_prep_write(sqe, file, "HELLO", 5, 0);
    ASSERT_EQ(io_uring_submit_and_wait(ring.get(), 1), 1);
    ASSERT_EQ(io_uring_wait_cqe(ring.get(), &cqe), 0);
    EXPECT_EQ(cqe->res, 5);
    io_uring_cqe_seen(ring.get(), cqe);
    EXPECT_EQ(content_of(file), "HELLO, ring");
}

}  // namespace
}  // namespace ringside::test
