// What the flags of io_uring_setup(2) change that have no file of their own here: how completions of several sizes
// share a queue, when deferred work runs, what a ring shares with another.
#include <errno.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string.h>
#include <unistd.h>

#include <thread>
#include <utility>

#include "support/eventually.h"
#include "support/files.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;

constexpr unsigned getevents = IORING_ENTER_GETEVENTS;
constexpr unsigned deferred = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;

Sqe nop(uint64_t data, unsigned flags = 0) { return sqe::nop().data(data).flag(flags); }

// A NOP that completes with 32 bytes, the second half of which are these.
Sqe large_nop(uint64_t data, uint64_t first, uint64_t second) {
    return sqe::nop(IORING_NOP_CQE32).data(data).set(&Sqe::off, first).set(&Sqe::addr, second);
}

// --- Completions of two sizes in one queue ---------------------------------------------------------------------------

// Takes out what lies in a mixed queue: large ones whole, fillers not at all.
std::vector<Cqe> reap_mixed(RawRing& ring) {
    std::vector<Cqe> reaped;
    unsigned head = ring.cq_head().load();
    for (const unsigned tail = ring.cq_tail().load(); head != tail; ++head) {
        const io_uring_cqe* cqe = ring.cqe_at(head);
        if (cqe->flags & IORING_CQE_F_SKIP) continue;
        Cqe& copy = reaped.emplace_back(Cqe{cqe->user_data, cqe->res, cqe->flags});
        if (!(cqe->flags & IORING_CQE_F_32)) continue;
        memcpy(copy.big_cqe, ring.cqe_at(++head), sizeof(copy.big_cqe));
    }
    ring.cq_head().store(head);
    return reaped;
}

TEST(MixedCompletions, of_any_order_go_around_the_queue) {
    RawRing ring(8, IORING_SETUP_CQE_MIXED);
    uint64_t pattern = 0x2545f4914f6cdd1d;
    for (uint64_t number = 0; number < 1000; ++number) {
        pattern = pattern << 1 | ((pattern >> 63 ^ pattern >> 61 ^ pattern >> 60 ^ pattern >> 58) & 1);
        const bool large = pattern & 1;
        ASSERT_THAT(ring.submit(large ? large_nop(number, number + 1, number + 2) : nop(number)), Gives(1));
        const Cqe expected = large ? Cqe{number, 0, IORING_CQE_F_32, {number + 1, number + 2}} : Cqe{number, 0, 0};
        ASSERT_THAT(reap_mixed(ring), ElementsAre(expected));
    }
}

TEST(MixedCompletions, keep_their_order_when_the_queue_overflows) {
    RawRing ring(4, IORING_SETUP_CQE_MIXED);
    constexpr uint64_t count = 24;
    for (uint64_t number = 0; number < count; ++number) {
        ASSERT_THAT(ring.submit(number % 3 == 0 ? large_nop(number, number, 7) : nop(number)), Gives(1));
    }
    EXPECT_TRUE(ring.sq_flags().load() & IORING_SQ_CQ_OVERFLOW);
    std::vector<Cqe> reaped;
    EXPECT_TRUE(eventually([&] {
        EXPECT_THAT(ring.enter(0, 0, getevents), Gives(0));
        for (const Cqe& cqe : reap_mixed(ring)) reaped.push_back(cqe);
        return reaped.size() >= count;
    }));
    ASSERT_EQ(reaped.size(), count);
    for (uint64_t number = 0; number < count; ++number) {
        const Cqe small = {number, 0, 0}, large = {number, 0, IORING_CQE_F_32, {number, 7}};
        EXPECT_EQ(reaped[number], number % 3 == 0 ? large : small);
    }
}

TEST(LargeEntries, second_half_is_not_looked_at) {
    RawRing ring(4, IORING_SETUP_SQE128);
    for (uint64_t number = 0; number < 10; ++number) {
        ring.push(nop(number));
        memset(reinterpret_cast<char*>(ring.sqe_at(static_cast<unsigned>(number))) + 64, 0xff, 64);
        EXPECT_THAT(ring.enter(1), Gives(1));
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(number, 0)));
    }
}

// --- Deferred and cooperative work -----------------------------------------------------------------------------------

TEST(Deferred, ring_is_entered_by_its_issuer_alone) {
    RawRing ring(8, deferred);
    ring.push(nop(1));
    std::thread([&] {
        EXPECT_THAT(ring.enter(1), Gives(-EEXIST));
        EXPECT_THAT(ring.enter(0, 0, getevents), Gives(-EEXIST));
        EXPECT_THAT(ring.enter(0, 1, getevents), Gives(-EEXIST));
        // A call for nothing is nobody's.
        EXPECT_THAT(ring.enter(0), Gives(0));
    }).join();
    EXPECT_THAT(ring.enter(1, 1, getevents), Gives(1));
    EXPECT_THAT(ring.reap(), ElementsAre(Completes(1, 0)));
}

TEST(Deferred, single_issuer_ring_may_be_waited_on_by_others) {
    RawRing ring(8, IORING_SETUP_SINGLE_ISSUER);
    EXPECT_THAT(ring.submit(nop(1)), Gives(1));
    std::thread([&] {
        EXPECT_THAT(ring.enter(0, 1, getevents), Gives(0));
        EXPECT_THAT(ring.reap(), ElementsAre(Completes(1, 0)));
    }).join();
}

TEST(Deferred, work_is_announced_in_the_flags_and_done_by_the_next_call_for_events) {
    RawRing ring(8, deferred | IORING_SETUP_TASKRUN_FLAG);
    const Pipe pipe;
    char byte;
    EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &byte, 1).data(1)), Gives(1));
    EXPECT_FALSE(ring.sq_flags().load() & IORING_SQ_TASKRUN);
    EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
    EXPECT_TRUE(eventually([&] { return ring.sq_flags().load() & IORING_SQ_TASKRUN; }));
    EXPECT_EQ(ring.ready(), 0u);
    EXPECT_THAT(ring.enter(0, 0, getevents), Gives(0));
    EXPECT_THAT(ring.reap(), ElementsAre(Completes(1, 1)));
    EXPECT_FALSE(ring.sq_flags().load() & IORING_SQ_TASKRUN);
}

TEST(Cooperative, work_is_announced_or_done) {
    // A program that enters when the flag is set, and reaps what it sees, misses nothing.
    RawRing ring(8, IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG);
    const Pipe pipe;
    char byte;
    for (uint64_t number = 0; number < 20; ++number) {
        EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &byte, 1).data(number)), Gives(1));
        std::thread([&] { EXPECT_EQ(write(pipe.write_end, "x", 1), 1); }).join();
        EXPECT_TRUE(eventually([&] { return ring.ready() != 0 || (ring.sq_flags().load() & IORING_SQ_TASKRUN); }));
        EXPECT_THAT(ring.enter(0, 0, getevents), Gives(0));
        EXPECT_THAT(ring.reap(), ElementsAre(Completes(number, 1)));
        EXPECT_FALSE(ring.sq_flags().load() & IORING_SQ_TASKRUN);
    }
}

// --- Disabled rings --------------------------------------------------------------------------------------------------

TEST(Disabled, ring_takes_registrations_before_it_is_enabled) {
    for (const unsigned flags : {0U, deferred}) {
        RawRing ring(8, IORING_SETUP_R_DISABLED | flags);
        const Pipe pipe;
        int fds[] = {pipe.read_end};
        EXPECT_THAT(ring.register_call(IORING_REGISTER_FILES, fds, 1), Gives(0));
        EXPECT_THAT(ring.register_call(IORING_REGISTER_ENABLE_RINGS, nullptr, 0), Gives(0));
        char byte;
        EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
        EXPECT_THAT(ring.run(sqe::read(0, &byte, 1).data(1).flag(IOSQE_FIXED_FILE)), Gives(1));
    }
}

TEST(Disabled, flags_of_a_call_are_looked_at_first) {
    RawRing ring(8, IORING_SETUP_R_DISABLED);
    EXPECT_THAT(ring.enter(0, 0, 1U << 20), Gives(-EINVAL));
    EXPECT_THAT(ring.enter(0), Gives(-EBADFD));
    EXPECT_EQ(ring.close(), 0);
}

// --- Attached rings --------------------------------------------------------------------------------------------------

TEST(Attached, rings_work_side_by_side_and_one_outlives_the_other) {
    RawRing first;
    io_uring_params params = params_with(IORING_SETUP_ATTACH_WQ);
    params.wq_fd = static_cast<unsigned>(first.fd());
    RawRing second(8, params);
    const Fd file = memory_file_with("content");
    char buffer[8];
    for (RawRing* ring : {&first, &second, &first}) {
        EXPECT_THAT(ring->run(sqe::read(file, buffer, 7).data(1).flag(IOSQE_ASYNC)), Gives(7));
    }
    EXPECT_EQ(first.close(), 0);
    EXPECT_THAT(second.run(sqe::read(file, buffer, 7).data(2).flag(IOSQE_ASYNC)), Gives(7));
}

TEST(Attached, ring_may_be_of_another_kind) {
    io_uring_params params = params_with(IORING_SETUP_SQPOLL);
    params.sq_thread_idle = 1;
    const RawRing polled(8, params);
    for (const unsigned flags : {0U, deferred, unsigned{IORING_SETUP_R_DISABLED}}) {
        params = params_with(IORING_SETUP_ATTACH_WQ | flags);
        params.wq_fd = static_cast<unsigned>(polled.fd());
        RawRing ring(8, params);
        if (ring.has(IORING_SETUP_R_DISABLED)) ring.register_call(IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
        EXPECT_THAT(ring.run(nop(1)), Gives(0));
    }
}

TEST(Attached, needs_a_ring_to_attach_to) {
    const Pipe pipe;
    RawRing closed;
    const int number = closed.fd();
    closed.close();
    for (const auto& [fd, answer] : {std::pair(number, -ENXIO), {-1, -ENXIO}, {pipe.read_end.get(), -EINVAL}}) {
        // The pipe was opened before the ring and holds other numbers.
        io_uring_params params = params_with(IORING_SETUP_ATTACH_WQ);
        params.wq_fd = static_cast<unsigned>(fd);
        EXPECT_THAT(setup_ring(8, &params), Gives(answer)) << fd;
    }
}

// --- Clamped sizes ---------------------------------------------------------------------------------------------------

TEST(Clamped, ring_of_the_largest_size_works) {
    io_uring_params params = params_with(IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE);
    params.cq_entries = 1'000'000;
    RawRing ring(1'000'000, params);
    EXPECT_EQ(ring.params().sq_entries, 32768u);
    EXPECT_EQ(ring.params().cq_entries, 65536u);
    for (unsigned number = 0; number < 32768; ++number) ring.push(nop(number));
    EXPECT_THAT(ring.enter(32768), Gives(32768));
    const std::vector<Cqe> completions = ring.wait(32768);
    ASSERT_EQ(completions.size(), 32768u);
    for (unsigned number = 0; number < 32768; ++number) ASSERT_THAT(completions[number], Completes(number, 0));
}

}  // namespace
}  // namespace ringside::test
