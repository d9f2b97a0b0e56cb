// One ring, several threads: some submit, some reap, each side guarded by a lock of the program's own.
#include <errno.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include "support/files.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

constexpr uint64_t requests = 2000;

TEST(Threads, one_submits_and_another_reaps) {
    RawRing ring(16);
    std::thread submitter([&] {
        for (uint64_t number = 0; number < requests; ++number)
            ASSERT_THAT(ring.submit(sqe::nop().data(number)), Gives(1));
    });
    std::vector<bool> seen(requests);
    uint64_t count = 0;
    while (count < requests) {
        const std::vector<Cqe> completions = ring.wait(1);
        ASSERT_FALSE(completions.empty());
        for (const Cqe& cqe : completions) {
            EXPECT_FALSE(seen[cqe.user_data]) << cqe;
            seen[cqe.user_data] = true;
            ++count;
        }
    }
    submitter.join();
}

TEST(Threads, two_submit_with_a_lock_around_each_submission) {
    RawRing ring(16);
    std::mutex lock;
    const auto submit = [&](uint64_t base) {
        for (uint64_t number = 0; number < requests; ++number) {
            const std::lock_guard guard(lock);
            ASSERT_THAT(ring.submit(sqe::nop().data(base + number)), Gives(1));
        }
    };
    std::thread one(submit, 0);
    std::thread two(submit, requests);
    std::vector<bool> seen(2 * requests);
    uint64_t count = 0;
    while (count < 2 * requests) {
        const std::vector<Cqe> completions = ring.wait(1);
        ASSERT_FALSE(completions.empty());
        for (const Cqe& cqe : completions) seen[cqe.user_data] = true;
        count += completions.size();
    }
    one.join();
    two.join();
    EXPECT_EQ(seen, std::vector<bool>(2 * requests, true));
    EXPECT_EQ(ring.ready(), 0u);
}

TEST(Threads, that_enter_at_once_submit_each_entry_once) {
    // The queue is filled once; then two threads enter at the same time, each for all of it.
    RawRing ring(64);
    for (int round = 0; round < 100; ++round) {
        for (uint64_t number = 0; number < 64; ++number) ring.push(sqe::nop().data(number));
        std::atomic<int> submitted = 0;
        const auto enter = [&] { submitted += ring.enter(64); };
        std::thread other(enter);
        enter();
        other.join();
        ASSERT_EQ(submitted, 64);
        ASSERT_EQ(ring.wait(64).size(), 64u);
    }
}

TEST(Threads, with_a_ring_each_do_not_hinder_each_other) {
    const auto work = [] {
        RawRing ring(16);
        const Pipe pipe;
        for (uint64_t number = 0; number < 200; ++number) {
            char byte = 0;
            ASSERT_THAT(
                ring.submit(sqe::read(pipe.read_end, &byte, 1).data(1), sqe::write(pipe.write_end, "x", 1).data(2)),
                Gives(2));
            ASSERT_THAT(ring.wait(2), testing::UnorderedElementsAre(Completes(1, 1), Completes(2, 1)));
            ASSERT_EQ(byte, 'x');
        }
    };
    std::vector<std::thread> threads;
    for (int count = 0; count < 4; ++count) threads.emplace_back(work);
    for (std::thread& thread : threads) thread.join();
}

TEST(Threads, request_of_a_thread_that_has_ended_completes_all_the_same) {
    RawRing ring;
    const Pipe pipe;
    static char byte;
    std::thread([&] { EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &byte, 1).data(1)), Gives(1)); }).join();
    EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
    // The kernel does a request's remaining work in the task that submitted it, and cancels where there is none left.
    // An engine without that tie reads the byte.
    EXPECT_THAT(ring.wait(1), testing::ElementsAre(testing::AnyOf(Completes(1, -ECANCELED), Completes(1, 1))));
}

}  // namespace
}  // namespace ringside::test
