#include <errno.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "liburing/ring.h"
#include "support/eventually.h"
#include "support/files.h"

namespace ringside::test {
namespace {

TEST(Peek, finds_nothing_in_an_empty_queue) {
    Uring ring(8);
    io_uring_cqe* cqe = reinterpret_cast<io_uring_cqe*>(8);
    EXPECT_EQ(io_uring_peek_cqe(ring.get(), &cqe), -EAGAIN);
    EXPECT_EQ(cqe, nullptr);
    EXPECT_EQ(io_uring_cq_ready(ring.get()), 0u);
}

TEST(Peek, does_not_pass_what_it_finds) {
    Uring ring(8);
    ring.run_nops(1, 5);
    io_uring_cqe *first, *second;
    ASSERT_EQ(io_uring_peek_cqe(ring.get(), &first), 0);
    ASSERT_EQ(io_uring_peek_cqe(ring.get(), &second), 0);
    EXPECT_EQ(first, second);
    io_uring_cqe_seen(ring.get(), first);
    EXPECT_EQ(io_uring_peek_cqe(ring.get(), &first), -EAGAIN);
    io_uring_cqe_seen(ring.get(), nullptr);
    EXPECT_EQ(io_uring_cq_ready(ring.get()), 0u);
}

TEST(PeekBatch, takes_no_more_than_asked_for_and_no_more_than_there_are) {
    Uring ring(8);
    ring.run_nops(5);
    io_uring_cqe* cqes[8];
    EXPECT_EQ(io_uring_peek_batch_cqe(ring.get(), cqes, 3), 3u);
    for (unsigned i = 0; i < 3; i++) EXPECT_EQ(cqes[i]->user_data, i);
    io_uring_cq_advance(ring.get(), 3);
    EXPECT_EQ(io_uring_peek_batch_cqe(ring.get(), cqes, 8), 2u);
    EXPECT_EQ(cqes[0]->user_data, 3u);
    EXPECT_EQ(cqes[1]->user_data, 4u);
    io_uring_cq_advance(ring.get(), 2);
    EXPECT_EQ(io_uring_peek_batch_cqe(ring.get(), cqes, 8), 0u);
}

TEST(PeekBatch, fetches_completions_that_overflowed) {
    io_uring_params params = {};
    params.flags = IORING_SETUP_CQSIZE;
    params.cq_entries = 4;
    Uring ring(4, params);
    ring.run_nops(4, 0);
    ring.run_nops(4, 4);
    EXPECT_TRUE(io_uring_cq_has_overflow(ring.get()));

    io_uring_cqe* cqes[16];
    std::vector<__u64> seen;
    for (;;) {
        const unsigned count = io_uring_peek_batch_cqe(ring.get(), cqes, 16);
        if (count == 0) break;
        for (unsigned i = 0; i < count; i++) seen.push_back(cqes[i]->user_data);
        io_uring_cq_advance(ring.get(), count);
    }
    EXPECT_EQ(seen, (std::vector<__u64>{0, 1, 2, 3, 4, 5, 6, 7}));
    EXPECT_FALSE(io_uring_cq_has_overflow(ring.get()));
}

TEST(Peek, fetches_completions_that_overflowed) {
    io_uring_params params = {};
    params.flags = IORING_SETUP_CQSIZE;
    params.cq_entries = 4;
    Uring ring(4, params);
    ring.run_nops(4, 0);
    ring.run_nops(3, 4);
    EXPECT_EQ(ring.reap(), (std::vector<__u64>{0, 1, 2, 3, 4, 5, 6}));
}

TEST(ForEach, walks_what_is_there_and_passes_nothing) {
    Uring ring(8);
    ring.run_nops(6);
    ring.reap();
    ring.run_nops(7, 6);
    unsigned head, count = 0;
    io_uring_cqe* cqe;
    io_uring_for_each_cqe(ring.get(), head, cqe) {
        EXPECT_EQ(head, 6 + count);
        EXPECT_EQ(cqe->user_data, 6 + count);
        count++;
    }
    EXPECT_EQ(count, 7u);
    EXPECT_EQ(io_uring_cq_ready(ring.get()), 7u);
    io_uring_cq_advance(ring.get(), count);
    EXPECT_EQ(io_uring_cq_ready(ring.get()), 0u);
}

TEST(ForEach, can_be_left_early) {
    Uring ring(8);
    ring.run_nops(4);
    unsigned head, count = 0;
    io_uring_cqe* cqe;
    io_uring_for_each_cqe(ring.get(), head, cqe) {
        if (cqe->user_data == 2) break;
        count++;
    }
    io_uring_cq_advance(ring.get(), count);
    EXPECT_EQ(ring.reap(), (std::vector<__u64>{2, 3}));
}

TEST(LargeCompletions, lie_at_twice_the_distance) {
    Uring ring(4, IORING_SETUP_CQE32);
    EXPECT_EQ(io_uring_cqe_shift(ring.get()), 1u);
    for (int round = 0; round < 5; round++) {
        ring.run_nops(4, 4);
        io_uring_cqe* cqes[4];
        ASSERT_EQ(io_uring_peek_batch_cqe(ring.get(), cqes, 4), 4u);
        EXPECT_EQ(cqes[1] - cqes[0], 2);
        for (unsigned i = 0; i < 4; i++) {
            EXPECT_EQ(cqes[i]->user_data, 4 + i);
            EXPECT_EQ(cqes[i]->big_cqe[0], 0u);
            EXPECT_EQ(io_uring_cqe_nr(cqes[i]), 1u);
        }
        io_uring_cq_advance(ring.get(), 4);
    }
}

// A completion queue of mixed sizes on paper: the walk needs nobody at the other end.
TEST(MixedCompletions, are_walked_entry_by_entry_and_counted_so_that_the_sum_advances) {
    io_uring_cqe cqes[8] = {};
    unsigned head = 5, tail = 10;
    io_uring ring = {};
    ring.flags = IORING_SETUP_CQE_MIXED;
    ring.features = IORING_FEAT_EXT_ARG;
    ring.cq.cqes = cqes;
    ring.cq.ring_mask = 7;
    ring.cq.khead = &head;
    ring.cq.ktail = &tail;
    cqes[5].user_data = 1;
    cqes[5].flags = IORING_CQE_F_32;
    cqes[7].flags = IORING_CQE_F_SKIP;
    cqes[0].user_data = 2;
    cqes[0].flags = IORING_CQE_F_32;

    unsigned entries = 0;
    std::vector<__u64> seen;
    io_uring_cqe_iter iter = io_uring_cqe_iter_init(&ring);
    for (io_uring_cqe* cqe; io_uring_cqe_iter_next(&iter, &cqe);) {
        entries += io_uring_cqe_nr(cqe);
        if (!(cqe->flags & IORING_CQE_F_SKIP)) seen.push_back(cqe->user_data);
    }
    EXPECT_EQ(seen, (std::vector<__u64>{1, 2}));
    EXPECT_EQ(entries, 5u);

    io_uring_cqe* cqe;
    ASSERT_EQ(io_uring_peek_cqe(&ring, &cqe), 0);
    EXPECT_EQ(cqe, &cqes[5]);
    io_uring_cqe_seen(&ring, cqe);
    EXPECT_EQ(head, 7u);
    ASSERT_EQ(io_uring_peek_cqe(&ring, &cqe), 0);
    EXPECT_EQ(cqe, &cqes[0]) << "the filler is passed over";
    EXPECT_EQ(head, 8u);
    io_uring_cqe_seen(&ring, cqe);
    EXPECT_EQ(head, 10u);
}

TEST(Eventfd, is_signalled_unless_the_program_says_no) {
    Uring ring(8);
    const Fd counter(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    ASSERT_EQ(io_uring_register_eventfd(ring.get(), counter), 0);
    EXPECT_EQ(io_uring_register_eventfd(ring.get(), counter), -EBUSY);
    EXPECT_TRUE(io_uring_cq_eventfd_enabled(ring.get()));
    ring.run_nops(1);
    eventfd_t value = 0;
    EXPECT_TRUE(eventually([&] { return eventfd_read(counter, &value) == 0; }));
    EXPECT_GE(value, 1u);

    EXPECT_EQ(io_uring_cq_eventfd_toggle(ring.get(), false), 0);
    EXPECT_FALSE(io_uring_cq_eventfd_enabled(ring.get()));
    ring.run_nops(1);
    EXPECT_LT(eventfd_read(counter, &value), 0);

    EXPECT_EQ(io_uring_cq_eventfd_toggle(ring.get(), true), 0);
    EXPECT_EQ(io_uring_cq_eventfd_toggle(ring.get(), true), 0);
    ring.run_nops(1);
    EXPECT_TRUE(eventually([&] { return eventfd_read(counter, &value) == 0; }));
    EXPECT_EQ(io_uring_unregister_eventfd(ring.get()), 0);
    EXPECT_EQ(io_uring_unregister_eventfd(ring.get()), -ENXIO);
}

}  // namespace
}  // namespace ringside::test
