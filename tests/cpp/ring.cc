#include <errno.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <array>
#include <optional>
#include <thread>
#include <vector>

#include "ringside/ringside.hpp"
#include "support/eventually.h"
#include "support/files.h"

namespace ringside::test {
namespace {

using namespace std::chrono_literals;

void add_nop(Ring& ring, __u64 user_data) {
    io_uring_sqe* const sqe = ring.get_sqe();
    ASSERT_NE(sqe, nullptr);
    io_uring_prep_nop(sqe);
    io_uring_sqe_set_data64(sqe, user_data);
}

void add_poll(Ring& ring, int fd, __u64 user_data) {
    io_uring_sqe* const sqe = ring.get_sqe();
    ASSERT_NE(sqe, nullptr);
    io_uring_prep_poll_add(sqe, fd, POLLIN);
    io_uring_sqe_set_data64(sqe, user_data);
}

TEST(Ring, submits_and_waits) {
    Ring ring(8);
    add_nop(ring, 7);
    const Result<unsigned> submitted = ring.submit();
    ASSERT_TRUE(submitted.ok());
    EXPECT_EQ(*submitted, 1u);
    const Result<io_uring_cqe*> cqe = ring.wait();
    ASSERT_TRUE(cqe);
    EXPECT_EQ((*cqe)->user_data, 7u);
    EXPECT_EQ(ring.ready(), 1u);
    ring.seen(*cqe);
    EXPECT_EQ(ring.ready(), 0u);
    EXPECT_EQ(ring.peek(), nullptr);
}

TEST(Ring, gives_no_sqe_when_it_is_full) {
    Ring ring(2);
    add_nop(ring, 1);
    add_nop(ring, 2);
    EXPECT_EQ(ring.get_sqe(), nullptr);
    EXPECT_EQ(ring.submit_and_wait(2).value_or(0), 2u);
    EXPECT_NE(ring.get_sqe(), nullptr);
}

TEST(Ring, gives_up_waiting_when_the_time_has_passed) {
    Ring ring(8);
    const Stopwatch watch;
    const Result<io_uring_cqe*> cqe = ring.wait_for(20ms);
    EXPECT_FALSE(cqe.ok());
    EXPECT_EQ(cqe.error(), ETIME);
    EXPECT_GE(watch.elapsed_ms(), 19);
    EXPECT_EQ(ring.wait_for(0ms).error(), ETIME);
    EXPECT_EQ(ring.wait_for(-1s).error(), ETIME) << "a time in the past is over at once";
}

TEST(Ring, waits_for_several) {
    Ring ring(8);
    for (__u64 i = 0; i < 3; i++) add_nop(ring, i);
    ASSERT_TRUE(ring.submit());
    const Result<io_uring_cqe*> first = ring.wait_cqes(3);
    ASSERT_TRUE(first);
    EXPECT_EQ((*first)->user_data, 0u);
    ASSERT_TRUE(ring.wait_for(10s, 3));
    std::array<io_uring_cqe*, 8> room;
    const std::span<io_uring_cqe*> batch = ring.peek_batch(room);
    ASSERT_EQ(batch.size(), 3u);
    EXPECT_EQ(batch[2]->user_data, 2u);
    ring.advance(3);
    EXPECT_TRUE(ring.peek_batch(room).empty());
}

TEST(Ring, hands_out_all_that_is_ready_and_passes_it) {
    Ring ring(8);
    for (__u64 i = 0; i < 4; i++) add_nop(ring, i);
    ASSERT_TRUE(ring.submit_and_wait(4));
    std::vector<__u64> seen;
    EXPECT_EQ(ring.for_each_ready([&](io_uring_cqe& cqe) { seen.push_back(cqe.user_data); }), 4u);
    EXPECT_EQ(seen, (std::vector<__u64>{0, 1, 2, 3}));
    EXPECT_EQ(ring.ready(), 0u);
}

TEST(Ring, can_be_moved_with_requests_in_flight) {
    Pipe pipe;
    Ring first(8);
    add_poll(first, pipe.read_end, 5);
    ASSERT_TRUE(first.submit());
    Ring second = std::move(first);
    Ring third(4);
    third = std::move(second);
    ASSERT_EQ(write(pipe.write_end, "x", 1), 1);
    const Result<io_uring_cqe*> cqe = third.wait_for(10s);
    ASSERT_TRUE(cqe);
    EXPECT_EQ((*cqe)->user_data, 5u);
    EXPECT_EQ(third.entries(), 8u);
}

TEST(Ring, takes_its_requests_with_it) {
    Pipe pipe;
    {
        Ring ring(8);
        add_poll(ring, pipe.read_end, 5);
        ASSERT_TRUE(ring.submit());
    }
    EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
}

TEST(Ring, honours_its_options) {
    Ring ring(Options{.entries = 8, .completion_entries = 64, .flags = IORING_SETUP_SINGLE_ISSUER});
    EXPECT_EQ(ring.native()->cq.ring_entries, 64u);
    EXPECT_TRUE(ring.flags() & IORING_SETUP_SINGLE_ISSUER);
    EXPECT_TRUE(ring.features() & IORING_FEAT_NODROP);
    EXPECT_GE(ring.fd(), 0);
}

TEST(Ring, tells_who_runs_it_and_why) {
    Ring ring(8);
    const ringside_choice choice = ringside_choose();
    EXPECT_EQ(static_cast<int>(ring.provider()), static_cast<int>(choice.provider));
    EXPECT_STREQ(ring.provider_reason(), choice.reason);
    const char* const wish = getenv("RINGSIDE_PROVIDER");
    if (wish != nullptr && strcmp(wish, "auto") != 0) {
        EXPECT_STREQ(ringside_provider_name(choice.provider), wish);
        EXPECT_EQ(choice.refusal, 0);
    }
}

TEST(Ring, runs_on_the_engine_if_told_to_whatever_the_process_prefers) {
    Ring ring(Options{.entries = 8, .provider = Wish::engine});
    EXPECT_EQ(ring.provider(), Provider::engine);
    EXPECT_STREQ(ring.provider_reason(), "the ring's options ask for the engine");
    add_nop(ring, 7);
    EXPECT_EQ(ring.submit_and_wait(1).value_or(0), 1u);
    ASSERT_NE(ring.peek(), nullptr);
    EXPECT_EQ(ring.peek()->user_data, 7u);
}

TEST(Ring, that_cannot_be_made_throws_with_cause_and_remedy) {
    try {
        Ring ring(Options{.entries = 1'000'000});
        FAIL() << "there is no such ring";
    } catch (const std::system_error& error) {
        EXPECT_EQ(error.code().value(), EINVAL);
        EXPECT_NE(strstr(error.what(), "a size is out of range"), nullptr) << error.what();
    }
}

TEST(Ring, of_a_kernel_that_refuses_throws_with_what_refuses) {
    // In a thread of its own: the kernel ends a ring some time after it was closed, and interrupts by it whatever the
    // thread that made it waits for then.
    std::thread([] {
        const int refusal = ringside_choose().refusal;
        try {
            Ring ring(Options{.entries = 8, .provider = Wish::kernel});
            EXPECT_EQ(ring.provider(), Provider::kernel);
            EXPECT_EQ(refusal, 0);
        } catch (const std::system_error& error) {
            EXPECT_NE(refusal, 0) << error.what();
            EXPECT_EQ(error.code().value(), refusal);
            EXPECT_NE(strstr(error.what(), ringside_explain_setup(refusal)), nullptr) << error.what();
        }
    }).join();
}

TEST(Explanation, of_a_refusal_names_what_refuses_and_what_to_do) {
    for (const int error : {EPERM, ENOSYS, EACCES, EOPNOTSUPP}) {
        EXPECT_NE(strstr(ringside_explain_setup(error), "RINGSIDE_PROVIDER=auto"), nullptr) << error;
        EXPECT_STREQ(ringside_explain_setup(-error), ringside_explain_setup(error));
    }
    EXPECT_NE(strstr(ringside_explain_setup(EMFILE), "ulimit -n"), nullptr);
}

TEST(ResultOf, tells_values_from_errors) {
    EXPECT_EQ(result_of(5).value(), 5u);
    EXPECT_EQ(result_of(5).error(), 0);
    EXPECT_EQ(result_of(-ENOENT).error(), ENOENT);
    EXPECT_EQ(result_of(-ENOENT).code(), std::errc::no_such_file_or_directory);
    EXPECT_EQ(result_of(-ENOENT).value_or(9), 9u);
    EXPECT_TRUE(Result<void>().ok());
    EXPECT_EQ(Result<void>(Errno{EIO}).error(), EIO);
    static_assert(!result_of(-1).ok());
}

static_assert(std::is_nothrow_move_constructible_v<Ring> && std::is_nothrow_move_assignable_v<Ring>);
static_assert(!std::is_copy_constructible_v<Ring> && !std::is_copy_assignable_v<Ring>);

}  // namespace
}  // namespace ringside::test
