// IORING_REGISTER_RESIZE_RINGS: a ring in use gets other sizes, and loses nothing.
#include <errno.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>
#include <vector>

#include "support/eventually.h"
#include "support/files.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;

// The kernel resizes no others; and it answers with no place for the SQ array, so that rings without one are usual.
constexpr unsigned resizable = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_NO_SQARRAY;

io_uring_params sizes(unsigned sq_entries, unsigned cq_entries = 0, unsigned more_flags = 0) {
    io_uring_params params = params_with(more_flags | (cq_entries != 0 ? IORING_SETUP_CQSIZE : 0));
    params.sq_entries = sq_entries;
    params.cq_entries = cq_entries;
    return params;
}

int resize(RawRing& ring, io_uring_params& params) {
    return ring.register_call(IORING_REGISTER_RESIZE_RINGS, &params, 1);
}

// Resizes and maps the rings anew, as a program has to.
void resize_to(RawRing& ring, unsigned sq_entries, unsigned cq_entries = 0) {
    io_uring_params params = sizes(sq_entries, cq_entries);
    ASSERT_THAT(resize(ring, params), Gives(0));
    EXPECT_EQ(params.sq_entries, sq_entries);
    EXPECT_EQ(params.cq_entries, cq_entries != 0 ? cq_entries : 2 * sq_entries);
    ring.map_anew(params);
    EXPECT_EQ(ring.sq_entries().load(), sq_entries);
    EXPECT_EQ(ring.sq_mask().load(), sq_entries - 1);
    EXPECT_EQ(ring.cq_entries().load(), params.cq_entries);
    EXPECT_EQ(ring.cq_mask().load(), params.cq_entries - 1);
}

TEST(Resize, grows_and_shrinks_an_idle_ring) {
    RawRing ring(8, resizable);
    uint64_t number = 0;
    for (const unsigned entries : {64U, 8U, 4U, 512U, 1U, 32U}) {
        resize_to(ring, entries);
        for (unsigned round = 0; round < 3; ++round) {
            for (unsigned i = 0; i < entries; ++i) ring.push(sqe::nop().data(number + i));
            EXPECT_THAT(ring.submit_pushed(entries), Gives(entries));
            const std::vector<Cqe> completions = ring.wait(entries);
            ASSERT_EQ(completions.size(), entries);
            for (unsigned i = 0; i < entries; ++i) EXPECT_EQ(completions[i], (Cqe{number + i, 0, 0}));
            number += entries;
        }
    }
}

TEST(Resize, moves_what_lies_in_the_queues) {
    for (const unsigned more_flags : {0U, unsigned{IORING_SETUP_SQE128}, unsigned{IORING_SETUP_CQE32}}) {
        RawRing ring(8, resizable | more_flags);
        // Not at the beginning of the queues, so that other masks put everything elsewhere.
        for (int count = 0; count < 5; ++count) EXPECT_THAT(ring.run(sqe::nop()), Gives(0));
        for (uint64_t number = 0; number < 6; ++number) ring.push(sqe::nop().data(number));
        EXPECT_THAT(ring.submit_pushed(6), Gives(6));
        for (uint64_t number = 6; number < 12; ++number) ring.push(sqe::nop().data(number));

        resize_to(ring, 32);
        EXPECT_EQ(ring.ready(), 6u);
        EXPECT_THAT(ring.submit_pushed(6), Gives(6));
        std::vector<Cqe> completions = ring.wait(12);
        ASSERT_EQ(completions.size(), 12u);
        for (uint64_t number = 0; number < 12; ++number) EXPECT_EQ(completions[number], (Cqe{number, 0, 0}));

        for (uint64_t number = 0; number < 4; ++number) ring.push(sqe::nop().data(number));
        EXPECT_THAT(ring.submit_pushed(4), Gives(4));
        for (uint64_t number = 4; number < 8; ++number) ring.push(sqe::nop().data(number));
        resize_to(ring, 4);
        EXPECT_THAT(ring.submit_pushed(4), Gives(4));
        completions = ring.wait(8);
        ASSERT_EQ(completions.size(), 8u);
        for (uint64_t number = 0; number < 8; ++number) EXPECT_EQ(completions[number], (Cqe{number, 0, 0}));
    }
}

// A completion ring as it is mapped on its own.
class CompletionRing {
  public:
    explicit CompletionRing(const RawRing& ring)
        : params_(ring.params()),
          mapping_(ring.fd(), IORING_OFF_CQ_RING, params_.cq_off.cqes + params_.cq_entries * sizeof(io_uring_cqe)) {}

    // The user_data of all that lies there, which is taken out.
    std::vector<uint64_t> reap() {
        const RawRing::Word head = word(params_.cq_off.head), tail = word(params_.cq_off.tail);
        const auto* cqes = reinterpret_cast<const io_uring_cqe*>(mapping_.at(params_.cq_off.cqes));
        std::vector<uint64_t> found;
        uint32_t at = head.load();
        for (; at != tail.load(); ++at) found.push_back(cqes[at & (params_.cq_entries - 1)].user_data);
        head.store(at);
        return found;
    }

  private:
    RawRing::Word word(uint32_t offset) const {
        return RawRing::Word(reinterpret_cast<uint32_t&>(*mapping_.at(offset)));
    }

    io_uring_params params_;
    Mapping mapping_;
};

TEST(Resize, keeps_completions_where_the_program_has_mapped_them) {
    RawRing ring(8, resizable);
    uint64_t submitted = 0;
    for (const unsigned entries : {8U, 32U, 4U}) {
        if (entries != 8) resize_to(ring, entries);
        CompletionRing completions(ring);
        // More than one round, since the engine learns from a head that moves which mapping is used.
        for (unsigned round = 0; round < 3 * entries; ++round) {
            EXPECT_THAT(ring.submit(sqe::nop().data(++submitted)), Gives(1));
            EXPECT_THAT(completions.reap(), ElementsAre(submitted));
        }
    }
}

TEST(Resize, makes_room_for_what_had_overflowed) {
    RawRing ring(2, resizable);
    for (uint64_t number = 0; number < 8; number += 2) {
        EXPECT_THAT(ring.submit(sqe::nop().data(number), sqe::nop().data(number + 1)), Gives(2));
    }
    EXPECT_EQ(ring.ready(), 4u);
    EXPECT_EQ(ring.sq_flags().load() & IORING_SQ_CQ_OVERFLOW, IORING_SQ_CQ_OVERFLOW);
    resize_to(ring, 16);
    const std::vector<Cqe> completions = ring.wait(8);
    ASSERT_EQ(completions.size(), 8u);
    for (uint64_t number = 0; number < 8; ++number) EXPECT_EQ(completions[number].user_data, number);
}

TEST(Resize, leaves_requests_in_flight_alone) {
    RawRing ring(8, resizable);
    const Pipe pipe;
    char byte = 0;
    EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &byte, 1).data(1)), Gives(1));
    resize_to(ring, 64);
    EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 1)));
    EXPECT_EQ(byte, 'x');
}

TEST(Resize, under_messages_from_another_ring_loses_none) {
    constexpr uint64_t count = 2000;
    RawRing ring(8, resizable);
    std::thread sender([to = ring.fd()] {
        RawRing from;
        for (uint64_t number = 0; number < count; ++number) {
            EXPECT_THAT(from.run(Sqe(IORING_OP_MSG_RING, to).set(&Sqe::off, number)), Gives(0));
        }
    });
    uint64_t received = 0;
    const int64_t give_up = now_ns() + patience_ms * 1'000'000;
    for (unsigned round = 0; received < count && now_ns() < give_up; ++round) {
        io_uring_params params = sizes(round % 3 == 0 ? 4 : 64);
        const int resized = resize(ring, params);
        // There may lie more than the smaller one can hold.
        EXPECT_THAT(resized, testing::AnyOf(0, -EOVERFLOW));
        if (resized == 0) ring.map_anew(params);
        ring.enter(0, 0, IORING_ENTER_GETEVENTS);
        for (const Cqe& cqe : ring.reap()) EXPECT_EQ(cqe, (Cqe{received++, 0, 0}));
    }
    EXPECT_EQ(received, count);
    sender.join();
}

TEST(Resize, refuses_sizes_too_small_for_what_lies_there) {
    RawRing ring(8, resizable);
    for (int count = 0; count < 6; ++count) ring.push(sqe::nop().data(1));
    io_uring_params params = sizes(4);
    EXPECT_THAT(resize(ring, params), Gives(-EOVERFLOW));
    EXPECT_THAT(ring.submit_pushed(6), Gives(6));
    params = sizes(2, 4);
    EXPECT_THAT(resize(ring, params), Gives(-EOVERFLOW));
    EXPECT_EQ(ring.wait(6).size(), 6u);
    resize_to(ring, 2, 4);
    EXPECT_THAT(ring.run(sqe::nop()), Gives(0));
}

TEST(Resize, tells_each_error) {
    RawRing ring(8, resizable);
    const auto answer = [&](io_uring_params params) { return resize(ring, params); };
    EXPECT_THAT(answer(sizes(0)), Gives(-EINVAL));
    EXPECT_THAT(answer(sizes(100'000)), Gives(-EINVAL));
    EXPECT_THAT(answer(sizes(16, 4)), Gives(-EINVAL));
    EXPECT_THAT(answer(sizes(16, 0, IORING_SETUP_CQSIZE)), Gives(-EINVAL));
    EXPECT_THAT(answer(sizes(16, 0, IORING_SETUP_SQPOLL)), Gives(-EINVAL));
    EXPECT_THAT(answer(sizes(16, 0, IORING_SETUP_DEFER_TASKRUN)), Gives(-EINVAL));
    EXPECT_THAT(ring.register_call(IORING_REGISTER_RESIZE_RINGS, ForbiddenPage().address(), 1), Gives(-EFAULT));
    EXPECT_THAT(ring.run(sqe::nop()), Gives(0));
    io_uring_params params = sizes(16);
    RawRing plain;
    EXPECT_THAT(resize(plain, params), Gives(-EINVAL));
    RawRing single(8, IORING_SETUP_SINGLE_ISSUER);
    EXPECT_THAT(resize(single, params), Gives(-EINVAL));
}

TEST(Resize, clamps_when_told_to) {
    RawRing ring(8, resizable);
    io_uring_params params = sizes(100'000, 0, IORING_SETUP_CLAMP);
    EXPECT_THAT(resize(ring, params), Gives(0));
    EXPECT_EQ(params.sq_entries, 32768u);
    EXPECT_EQ(params.cq_entries, 65536u);
    EXPECT_EQ(params.flags, IORING_SETUP_CLAMP | IORING_SETUP_NO_SQARRAY);
    ring.map_anew(params);
    EXPECT_THAT(ring.run(sqe::nop()), Gives(0));
}

}  // namespace
}  // namespace ringside::test
