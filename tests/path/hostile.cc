// Ring memory belongs to the program, which may write anything into it. Whatever it writes, the process survives, no
// entry outside the queue is read, and the ring goes on working once its fields make sense again.
#include <errno.h>
#include <gtest/gtest.h>
#include <string.h>

#include <atomic>
#include <random>
#include <thread>

#include "support/files.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

// The ring takes and completes a request as if nothing had happened.
void expect_in_order(RawRing& ring) {
    ring.reap();
    ring.sq_tail().store(ring.sq_head().load());
    EXPECT_THAT(ring.run(sqe::nop().data(77)), Gives(0));
}

TEST(Hostile, index_beyond_the_entries_is_dropped_and_counted) {
    RawRing ring(4);
    ring.push(sqe::nop().data(1));
    ring.push(sqe::nop().data(2));
    ring.push(sqe::nop().data(3));
    ring.sq_array(1).store(4);
    // The batch ends at the bad index, which is consumed without being counted.
    EXPECT_THAT(ring.enter(3), Gives(1));
    EXPECT_EQ(ring.sq_head().load(), 2u);
    EXPECT_EQ(ring.sq_dropped().load(), 1u);
    EXPECT_THAT(ring.enter(3), Gives(1));
    EXPECT_EQ(ring.sq_head().load(), 3u);
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, 0), Completes(3, 0)));
    expect_in_order(ring);
}

TEST(Hostile, index_alone_in_its_batch_submits_nothing) {
    RawRing ring(4);
    for (const uint32_t index : {4u, 0x7fffffffu, 0xffffffffu}) {
        ring.push(sqe::nop());
        ring.sq_array((ring.sq_tail().load() - 1) & 3).store(index);
        EXPECT_THAT(ring.enter(1), Gives(0)) << index;
    }
    EXPECT_EQ(ring.sq_dropped().load(), 3u);
    EXPECT_EQ(ring.sq_head().load(), 3u);
    EXPECT_EQ(ring.ready(), 0u);
    expect_in_order(ring);
}

TEST(Hostile, index_ends_a_batch_even_with_submit_all) {
    RawRing ring(4, IORING_SETUP_SUBMIT_ALL);
    ring.push(sqe::nop().data(1));
    ring.push(sqe::nop().data(2));
    ring.sq_array(0).store(1000);
    EXPECT_THAT(ring.enter(2), Gives(0));
    EXPECT_THAT(ring.enter(1), Gives(1));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(2, 0)));
}

TEST(Hostile, tail_far_ahead_stands_for_a_full_queue) {
    RawRing ring(4);
    for (unsigned index = 0; index < 4; ++index) *ring.sqe_at(index) = sqe::nop().data(index);
    for (unsigned index = 0; index < 4; ++index) ring.sq_array(index).store(index);
    ring.sq_tail().store(1000);
    EXPECT_THAT(ring.enter(1000), Gives(4));
    EXPECT_EQ(ring.sq_head().load(), 4u);
    EXPECT_THAT(ring.wait(4), SizeIs(4));
    expect_in_order(ring);
}

TEST(Hostile, tail_behind_the_head_stands_for_a_full_queue) {
    RawRing ring(4);
    EXPECT_THAT(ring.run(sqe::nop()), Gives(0));
    for (unsigned index = 0; index < 4; ++index) *ring.sqe_at(index) = sqe::nop().data(index);
    for (unsigned index = 0; index < 4; ++index) ring.sq_array(index).store(index);
    ring.sq_tail().store(0);
    EXPECT_THAT(ring.enter(1000), Gives(4));
    EXPECT_EQ(ring.sq_head().load(), 5u);
    EXPECT_THAT(ring.wait(4), SizeIs(4));
    expect_in_order(ring);
}

TEST(Hostile, submission_head_is_not_believed) {
    RawRing ring(4);
    ring.push(sqe::nop().data(1));
    ring.sq_head().store(12345);
    EXPECT_THAT(ring.enter(1), Gives(1));
    EXPECT_EQ(ring.sq_head().load(), 1u);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 0)));
}

TEST(Hostile, masks_and_sizes_are_not_believed) {
    RawRing ring(4);
    for (const uint32_t value : {0u, 0xffffffffu}) {
        ring.sq_mask().store(value);
        ring.sq_entries().store(value);
        ring.cq_mask().store(value);
        ring.cq_entries().store(value);
        for (uint64_t round = 0; round < 10; ++round) EXPECT_THAT(ring.run(sqe::nop().data(round)), Gives(0));
    }
}

TEST(Hostile, completion_tail_is_not_believed) {
    RawRing ring(4);
    EXPECT_THAT(ring.run(sqe::nop()), Gives(0));
    ring.cq_tail().store(4711);
    // The next completion goes where it belongs and the tail says so again.
    EXPECT_THAT(ring.submit(sqe::nop().data(2)), Gives(1));
    EXPECT_EQ(ring.cq_tail().load(), 2u);
    EXPECT_EQ(ring.cqe_at(1)->user_data, 2u);
    expect_in_order(ring);
}

TEST(Hostile, completion_head_ahead_of_the_tail_stands_for_a_full_queue) {
    RawRing ring(4);
    ring.cq_head().store(1);
    EXPECT_THAT(ring.submit(sqe::nop().data(1)), Gives(1));
    EXPECT_EQ(ring.cq_tail().load(), 0u);
    EXPECT_EQ(ring.sq_flags().load(), IORING_SQ_CQ_OVERFLOW);
    // Once the head makes sense, the completion arrives.
    ring.cq_head().store(0);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 0)));
    expect_in_order(ring);
}

TEST(Hostile, flags_and_counters_may_be_scribbled_over) {
    RawRing ring(4);
    ring.sq_flags().store(0xffffffff);
    ring.sq_dropped().store(0xffffffff);
    ring.cq_overflow().store(0xffffffff);
    ring.cq_flags().store(0xfffffffe);
    EXPECT_THAT(ring.submit(sqe::nop().data(1)), Gives(1));
    EXPECT_THAT(ring.watch(1), ElementsAre(Completes(1, 0)));
}

TEST(Hostile, entries_of_random_bytes_complete_or_are_refused) {
    // Opcodes without effect on the process outside the ring; file descriptors that are not open; addresses of nothing.
    constexpr uint8_t opcodes[] = {
        IORING_OP_NOP,         IORING_OP_READ,           IORING_OP_WRITE,       IORING_OP_READV,
        IORING_OP_WRITEV,      IORING_OP_FSYNC,          IORING_OP_STATX,       IORING_OP_POLL_ADD,
        IORING_OP_POLL_REMOVE, IORING_OP_TIMEOUT_REMOVE, IORING_OP_ASYNC_CANCEL};
    std::mt19937_64 random(20240131);
    RawRing ring(32, IORING_SETUP_SUBMIT_ALL);
    for (unsigned round = 0; round < 2000; ++round) {
        Sqe sqe;
        uint64_t words[8];
        for (uint64_t& word : words) word = random();
        memcpy(static_cast<void*>(&sqe), words, sizeof(sqe));
        sqe.opcode = opcodes[random() % std::size(opcodes)];
        sqe.fd = 1'000'000 + static_cast<int>(random() % 1000);
        // A bad address, not one that happens to be good; no chains and no skipping, so that each gives a completion.
        sqe.addr = ~uint64_t{0} - random() % 4096;
        sqe.flags &= IOSQE_FIXED_FILE | IOSQE_ASYNC | IOSQE_BUFFER_SELECT;
        if (sqe.opcode == IORING_OP_POLL_ADD) sqe.len = 0;
        ASSERT_THAT(ring.submit(sqe), Gives(1));
        ASSERT_THAT(ring.wait(1), SizeIs(1)) << "opcode " << static_cast<int>(sqe.opcode);
    }
    expect_in_order(ring);
}

TEST(Hostile, thread_that_scribbles_while_requests_run_breaks_nothing) {
    RawRing ring(8, IORING_SETUP_SUBMIT_ALL);
    std::atomic<bool> stop = false;
    std::thread scribbler([&] {
        for (uint32_t value = 1; !stop; value = value * 1664525 + 1013904223) {
            ring.sq_array(value >> 29).store(value >> 28);
            ring.sq_tail().store(value);
            ring.cq_head().store(value >> 16);
            ring.sqe_at(value >> 29)->opcode = (value >> 8) & 1 ? IORING_OP_NOP : 255;
        }
    });
    for (unsigned round = 0; round < 2000; ++round) EXPECT_GE(ring.enter(8, 0, IORING_ENTER_GETEVENTS), 0);
    stop = true;
    scribbler.join();
    // Completions that did not fit wait for the head to come to its senses.
    ring.cq_head().store(ring.cq_tail().load());
    ring.sq_tail().store(ring.sq_head().load());
    while (ring.sq_flags().load() & IORING_SQ_CQ_OVERFLOW) {
        EXPECT_THAT(ring.enter(0, 0, IORING_ENTER_GETEVENTS), Gives(0));
        ring.reap();
    }
    expect_in_order(ring);
}

}  // namespace
}  // namespace ringside::test
