// IORING_REGISTER_MEM_REGION, and IORING_ENTER_EXT_ARG_REG: arguments of waits that lie in memory registered for them.
#include <errno.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>

#include "support/eventually.h"
#include "support/files.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;

constexpr size_t page = 4096;
constexpr unsigned by_region = IORING_ENTER_EXT_ARG | IORING_ENTER_EXT_ARG_REG;

struct Pages {
    explicit Pages(size_t count)
        : size(count * page), start(mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {}
    ~Pages() { munmap(start, size); }
    size_t size;
    void* start;
};

// A region in the program's memory, or (without an address) in the ring's.
io_uring_region_desc region_at(const void* address, size_t size = page) {
    io_uring_region_desc region = {};
    region.user_addr = address_of(address);
    region.size = size;
    region.flags = address != nullptr ? IORING_MEM_REGION_TYPE_USER : 0;
    return region;
}

int register_region(RawRing& ring, io_uring_region_desc& region, uint64_t flags = 0) {
    io_uring_mem_region_reg registration = {};
    registration.region_uptr = address_of(&region);
    registration.flags = flags;
    return ring.register_call(IORING_REGISTER_MEM_REGION, &registration, 1);
}

int enable(RawRing& ring) { return ring.register_call(IORING_REGISTER_ENABLE_RINGS, nullptr, 0); }

TEST(Region, may_be_the_programs_memory) {
    RawRing ring;
    const Pages memory(2);
    io_uring_region_desc region = region_at(memory.start, 2 * page);
    EXPECT_THAT(register_region(ring, region), Gives(0));
    EXPECT_EQ(region.mmap_offset, 0u);
    EXPECT_THAT(register_region(ring, region), Gives(-EBUSY));
    EXPECT_THAT(ring.register_call(IORING_REGISTER_MEM_REGION, ForbiddenPage().address(), 1), Gives(-EBUSY));
}

TEST(Region, may_be_the_rings_memory_for_the_program_to_map) {
    RawRing ring;
    io_uring_region_desc region = region_at(nullptr, 2 * page);
    EXPECT_THAT(register_region(ring, region), Gives(0));
    EXPECT_EQ(region.user_addr, 0u);
    EXPECT_NE(region.mmap_offset, 0u);
    const Mapping mapping(ring.fd(), region.mmap_offset, 2 * page);
    ASSERT_TRUE(mapping);
    EXPECT_EQ(*mapping.at(2 * page - 1), std::byte{0});
    *mapping.at(0) = std::byte{1};
    const Mapping again(ring.fd(), region.mmap_offset, 2 * page);
    EXPECT_EQ(*again.at(0), std::byte{1});
}

TEST(Region, registration_tells_each_error) {
    RawRing ring;
    const Pages memory(1);
    const ForbiddenPage forbidden;
    const auto answer = [&](auto spoil) {
        io_uring_region_desc region = region_at(memory.start);
        spoil(region);
        return register_region(ring, region);
    };
    EXPECT_THAT(answer([](auto& region) { region.__resv[3] = 1; }), Gives(-EINVAL));
    EXPECT_THAT(answer([](auto& region) { region.size = 0; }), Gives(-EINVAL));
    EXPECT_THAT(answer([](auto& region) { region.size = 100; }), Gives(-EINVAL));
    EXPECT_THAT(answer([](auto& region) { region.size = uint64_t{1} << 44; }), Gives(-E2BIG));
    EXPECT_THAT(answer([](auto& region) { region.user_addr += 1; }), Gives(-EINVAL));
    EXPECT_THAT(answer([](auto& region) { region.user_addr = 0; }), Gives(-EFAULT));
    EXPECT_THAT(answer([](auto& region) { region.user_addr = ~uint64_t{page - 1}; }), Gives(-EOVERFLOW));
    EXPECT_THAT(answer([](auto& region) { region.flags = 0; }), Gives(-EFAULT));
    EXPECT_THAT(answer([](auto& region) { region.flags = 3; }), Gives(-EINVAL));
    EXPECT_THAT(answer([](auto& region) { region.mmap_offset = 1; }), Gives(-EINVAL));
    EXPECT_THAT(answer([](auto& region) { region.id = 1; }), Gives(-EINVAL));
    EXPECT_THAT(answer([&](auto& region) { region.user_addr = address_of(forbidden.address()); }), Gives(-EFAULT));

    io_uring_region_desc region = region_at(memory.start);
    EXPECT_THAT(register_region(ring, region, 2), Gives(-EINVAL));
    io_uring_mem_region_reg registration = {};
    registration.region_uptr = address_of(&region);
    registration.__resv[1] = 1;
    EXPECT_THAT(ring.register_call(IORING_REGISTER_MEM_REGION, &registration, 1), Gives(-EINVAL));
    registration = {};
    registration.region_uptr = address_of(forbidden.address());
    EXPECT_THAT(ring.register_call(IORING_REGISTER_MEM_REGION, &registration, 1), Gives(-EFAULT));
    EXPECT_THAT(register_region(ring, region, IORING_MEM_REGION_REG_WAIT_ARG), Gives(-EINVAL))
        << "the ring is enabled already";
    EXPECT_THAT(register_region(ring, region), Gives(0));
}

// A ring with a page for arguments of waits.
struct WaitRing : RawRing {
    explicit WaitRing(bool memory_of_ring) : RawRing(8, IORING_SETUP_R_DISABLED), memory(1) {
        io_uring_region_desc region = region_at(memory_of_ring ? nullptr : memory.start);
        EXPECT_THAT(register_region(*this, region, IORING_MEM_REGION_REG_WAIT_ARG), Gives(0));
        EXPECT_THAT(enable(*this), Gives(0));
        if (memory_of_ring) mapping = Mapping(fd(), region.mmap_offset, page);
        arguments = memory_of_ring ? reinterpret_cast<io_uring_reg_wait*>(mapping.at(0))
                                   : static_cast<io_uring_reg_wait*>(memory.start);
        arguments[0].ts = milliseconds_of(1);
        arguments[0].flags = IORING_REG_WAIT_TS;
    }
    int wait_by(uint64_t offset, size_t size = sizeof(io_uring_reg_wait)) {
        return enter(0, 1, IORING_ENTER_GETEVENTS | by_region, reinterpret_cast<void*>(offset), size);
    }
    Pages memory;
    Mapping mapping;
    io_uring_reg_wait* arguments = nullptr;
};

TEST(WaitRegion, holds_the_time_a_wait_may_take) {
    for (const bool memory_of_ring : {false, true}) {
        WaitRing ring(memory_of_ring);
        EXPECT_THAT(ring.wait_by(0), Gives(-ETIME));
        ring.arguments[3] = ring.arguments[0];
        ring.arguments[3].ts = milliseconds_of(30);
        const Stopwatch stopwatch;
        EXPECT_THAT(ring.wait_by(3 * sizeof(io_uring_reg_wait)), Gives(-ETIME));
        EXPECT_GE(stopwatch.elapsed_ms(), 29);
        EXPECT_THAT(ring.submit(sqe::nop().data(1)), Gives(1));
        EXPECT_THAT(ring.wait_by(0), Gives(0));
        EXPECT_THAT(ring.reap(), ElementsAre(Completes(1, 0)));
    }
}

TEST(WaitRegion, without_a_time_waits_until_something_comes) {
    WaitRing ring(false);
    ring.arguments[0].flags = 0;
    const __kernel_timespec time = milliseconds_of(20);
    EXPECT_THAT(ring.submit(sqe::timeout(&time).data(1)), Gives(1));
    EXPECT_THAT(ring.wait_by(0), Gives(0));
    EXPECT_THAT(ring.reap(), ElementsAre(Completes(1, -ETIME)));
}

TEST(WaitRegion, holds_a_moment_a_minimum_and_a_mask_too) {
    WaitRing ring(false);
    const int64_t moment = now_ns() + 20'000'000;
    ring.arguments[0].ts = {moment / 1'000'000'000, moment % 1'000'000'000};
    const auto wait = [&](unsigned count, unsigned flags) {
        return ring.enter(0, count, IORING_ENTER_GETEVENTS | by_region | flags, nullptr, sizeof(io_uring_reg_wait));
    };
    EXPECT_THAT(wait(1, IORING_ENTER_ABS_TIMER), Gives(-ETIME));
    EXPECT_GE(now_ns(), moment);

    ring.arguments[0].ts = milliseconds_of(patience_ms);
    ring.arguments[0].min_wait_usec = 20'000;
    EXPECT_THAT(ring.submit(sqe::nop().data(1)), Gives(1));
    const Stopwatch watch;
    EXPECT_THAT(wait(3, 0), Gives(0));
    EXPECT_GE(watch.elapsed_ms(), 19);
    EXPECT_THAT(ring.reap(), ElementsAre(Completes(1, 0)));

    // A signal that is blocked outside is let in.
    struct sigaction action = {}, before;
    action.sa_handler = [](int) {};
    sigaction(SIGUSR1, &action, &before);
    sigset_t blocked, old_mask, none;
    sigemptyset(&none);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &blocked, &old_mask);
    pthread_kill(pthread_self(), SIGUSR1);
    ring.arguments[0].min_wait_usec = 0;
    ring.arguments[0].sigmask = address_of(&none);
    ring.arguments[0].sigmask_sz = 8;
    EXPECT_THAT(wait(1, 0), Gives(-EINTR));
    pthread_sigmask(SIG_SETMASK, &old_mask, nullptr);
    sigaction(SIGUSR1, &before, nullptr);
}

TEST(WaitRegion, arguments_are_checked) {
    WaitRing ring(false);
    EXPECT_THAT(ring.wait_by(0, 63), Gives(-EINVAL));
    EXPECT_THAT(ring.wait_by(0, sizeof(io_uring_getevents_arg)), Gives(-EINVAL));
    EXPECT_THAT(ring.wait_by(page), Gives(-EFAULT));
    EXPECT_THAT(ring.wait_by(page - 32), Gives(-EFAULT));
    EXPECT_THAT(ring.wait_by(7), Gives(-EFAULT));
    EXPECT_THAT(ring.wait_by(~uint64_t{63}), Gives(-EFAULT));
    ring.arguments[page / sizeof(io_uring_reg_wait) - 1] = ring.arguments[0];
    EXPECT_THAT(ring.wait_by(page - sizeof(io_uring_reg_wait)), Gives(-ETIME));
    ring.arguments[0].flags = 2 | IORING_REG_WAIT_TS;
    EXPECT_THAT(ring.wait_by(0), Gives(-EINVAL));
    ring.arguments[0].flags = IORING_REG_WAIT_TS;
    ring.arguments[0].pad[1] = 1;
    ring.arguments[0].pad2[1] = 1;
    EXPECT_THAT(ring.wait_by(0), Gives(-ETIME)) << "padding is not looked at";
    ring.arguments[0].sigmask = 8;
    ring.arguments[0].sigmask_sz = 8;
    EXPECT_THAT(ring.wait_by(0), Gives(-EFAULT));
    ring.arguments[0].sigmask_sz = 4;
    EXPECT_THAT(ring.wait_by(0), Gives(-EINVAL));
}

TEST(WaitRegion, that_was_not_registered_for_it_holds_no_arguments) {
    RawRing ring;
    const auto wait = [&] {
        return ring.enter(0, 1, IORING_ENTER_GETEVENTS | by_region, nullptr, sizeof(io_uring_reg_wait));
    };
    EXPECT_THAT(wait(), Gives(-EFAULT));
    const Pages memory(1);
    io_uring_region_desc region = region_at(memory.start);
    EXPECT_THAT(register_region(ring, region), Gives(0));
    EXPECT_THAT(wait(), Gives(-EFAULT));
}

TEST(WaitRegion, whose_memory_is_gone_is_no_crash) {
    // What the kernel has pinned stays good; what we only know by its address is -EFAULT.
    WaitRing ring(false);
    ASSERT_EQ(munmap(ring.memory.start, page), 0);
    const int result = ring.wait_by(0);
    EXPECT_TRUE(result == -ETIME || result == -EFAULT) << result_text(result);
}

}  // namespace
}  // namespace ringside::test
