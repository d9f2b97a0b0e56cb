// RLIMIT_MEMLOCK: registered buffers count as locked memory.
#include <errno.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/resource.h>
#include <unistd.h>

#include <thread>

#include "register/buffers.h"
#include "support/eventually.h"
#include "support/process.h"

namespace ringside::test {
namespace {

// The kernel counts the memory of rings too: there is room for that.
constexpr size_t limit = 1 << 20;
constexpr size_t nearly_all = limit / 8 * 7, nearly_half = limit / 16 * 7, a_quarter = limit / 4;

// What closed rings had registered counts until the kernel has got rid of them, a moment later.
void wait_for_room() {
    RawRing ring;
    AlignedBuffer all(nearly_all);
    EXPECT_TRUE(eventually([&] { return register_buffers(ring, {vector_of(all)}) == 0; }));
    EXPECT_THAT(unregister_buffers(ring), Gives(0));
}

// Runs in a thread that may lock so much and no more. Capabilities are a thread's own.
template <typename Body>
void with_limit(Body body) {
    rlimit before;
    ASSERT_EQ(getrlimit(RLIMIT_MEMLOCK, &before), 0);
    const rlimit low = {limit, before.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_MEMLOCK, &low), 0);
    std::thread([&] {
        drop_capability(CAP_IPC_LOCK);
        wait_for_room();
        body();
    }).join();
    ASSERT_EQ(setrlimit(RLIMIT_MEMLOCK, &before), 0);
}

TEST(LockedMemory, is_limited_over_all_rings_of_the_process) {
    with_limit([] {
        AlignedBuffer most(nearly_all), half(nearly_half), other(nearly_half), more(a_quarter);
        RawRing ring, second;
        AlignedBuffer too_much(limit + 4096);
        EXPECT_THAT(register_buffers(ring, {vector_of(too_much)}), Gives(-ENOMEM));
        EXPECT_THAT(register_buffers(ring, {vector_of(half), vector_of(other), vector_of(more)}), Gives(-ENOMEM));
        EXPECT_THAT(register_buffers(ring, {vector_of(half), vector_of(other)}), Gives(0));
        EXPECT_THAT(register_buffers(second, {vector_of(more)}), Gives(-ENOMEM));
        EXPECT_THAT(unregister_buffers(ring), Gives(0));
        EXPECT_THAT(register_buffers(second, {vector_of(most)}), Gives(0));
    });
}

TEST(LockedMemory, of_a_buffer_that_is_replaced_counts_until_the_new_one_is_there) {
    with_limit([] {
        AlignedBuffer most(nearly_all), half(nearly_half), other(nearly_half);
        RawRing ring;
        EXPECT_THAT(register_buffers(ring, {vector_of(half)}), Gives(0));
        EXPECT_THAT(update_buffers(ring, 0, {vector_of(other)}), Gives(1));
        EXPECT_THAT(update_buffers(ring, 0, {vector_of(most)}), Gives(-ENOMEM));
        EXPECT_THAT(update_buffers(ring, 0, {{nullptr, 0}}), Gives(1));
        EXPECT_THAT(update_buffers(ring, 0, {vector_of(most)}), Gives(1));
    });
}

TEST(LockedMemory, of_clones_counts_once_and_until_the_last_is_gone) {
    with_limit([] {
        AlignedBuffer most(nearly_all), more(a_quarter);
        RawRing ring, second, third;
        EXPECT_THAT(register_buffers(ring, {vector_of(most)}), Gives(0));
        EXPECT_THAT(clone_buffers(second, ring), Gives(0));
        EXPECT_THAT(unregister_buffers(ring), Gives(0));
        EXPECT_THAT(register_buffers(third, {vector_of(more)}), Gives(-ENOMEM));
        EXPECT_THAT(unregister_buffers(second), Gives(0));
        EXPECT_THAT(register_buffers(third, {vector_of(more)}), Gives(0));
    });
}

TEST(LockedMemory, of_who_may_lock_any_is_not_limited) {
    rlimit before;
    ASSERT_EQ(getrlimit(RLIMIT_MEMLOCK, &before), 0);
    const rlimit low = {limit, before.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_MEMLOCK, &low), 0);
    RawRing ring;
    AlignedBuffer large(2 * limit);
    EXPECT_THAT(register_buffers(ring, {vector_of(large)}), Gives(geteuid() == 0 ? 0 : -ENOMEM));
    ASSERT_EQ(setrlimit(RLIMIT_MEMLOCK, &before), 0);
}

}  // namespace
}  // namespace ringside::test
