// What every opcode of io_uring_register(2) says of its two bare arguments, before anything else is looked at.
#include <errno.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

#include "support/files.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

struct Expectation {
    unsigned opcode;
    // For a null pointer with counts 0, 1 and 2, and for a bad address with count 1.
    int null_0, null_1, null_2, bad_1;
};

TEST(Arguments, are_checked_in_the_same_way_for_each_opcode) {
    const Expectation expectations[] = {
        {IORING_REGISTER_FILES, -EFAULT, -EFAULT, -EFAULT, -EFAULT},
        {IORING_UNREGISTER_FILES, -ENXIO, -EINVAL, -EINVAL, -EINVAL},
        {IORING_REGISTER_EVENTFD, -EINVAL, -EFAULT, -EINVAL, -EFAULT},
        {IORING_UNREGISTER_EVENTFD, -ENXIO, -EINVAL, -EINVAL, -EINVAL},
        {IORING_REGISTER_FILES_UPDATE, -EINVAL, -EFAULT, -EFAULT, -EFAULT},
        {IORING_REGISTER_EVENTFD_ASYNC, -EINVAL, -EFAULT, -EINVAL, -EFAULT},
        {IORING_REGISTER_PROBE, -EINVAL, -EINVAL, -EINVAL, -EFAULT},
        {IORING_REGISTER_PERSONALITY, 1, -EINVAL, -EINVAL, -EINVAL},
        {IORING_UNREGISTER_PERSONALITY, -EINVAL, -EINVAL, -EINVAL, -EINVAL},
        {IORING_REGISTER_RESTRICTIONS, -EBADFD, -EBADFD, -EBADFD, -EBADFD},
        {IORING_REGISTER_ENABLE_RINGS, -EBADFD, -EINVAL, -EINVAL, -EINVAL},
        {IORING_REGISTER_FILES2, -EINVAL, -EINVAL, -EINVAL, -EINVAL},
        {IORING_REGISTER_FILES_UPDATE2, -EINVAL, -EINVAL, -EINVAL, -EINVAL},
        {IORING_REGISTER_IOWQ_AFF, -EINVAL, -EINVAL, -EINVAL, -EFAULT},
        {IORING_UNREGISTER_IOWQ_AFF, 0, -EINVAL, -EINVAL, -EINVAL},
        {IORING_REGISTER_IOWQ_MAX_WORKERS, -EINVAL, -EINVAL, -EINVAL, -EINVAL},
        {IORING_REGISTER_RING_FDS, -EINVAL, -EFAULT, -EFAULT, -EFAULT},
        {IORING_UNREGISTER_RING_FDS, -EINVAL, -EFAULT, -EFAULT, -EFAULT},
        {IORING_REGISTER_SYNC_CANCEL, -EINVAL, -EINVAL, -EINVAL, -EFAULT},
        {IORING_REGISTER_FILE_ALLOC_RANGE, -EINVAL, -EINVAL, -EINVAL, -EINVAL},
        {IORING_REGISTER_NAPI, -EINVAL, -EINVAL, -EINVAL, -EFAULT},
        {IORING_UNREGISTER_NAPI, -EINVAL, 0, -EINVAL, -EFAULT},
        {IORING_REGISTER_CLOCK, -EINVAL, -EINVAL, -EINVAL, -EINVAL},
        {IORING_REGISTER_SEND_MSG_RING, -EINVAL, -EINVAL, -EINVAL, -EINVAL},
        {IORING_REGISTER_ZCRX_IFQ, -EINVAL, -EINVAL, -EINVAL, -EINVAL},
        {IORING_REGISTER_RESIZE_RINGS, -EINVAL, -EINVAL, -EINVAL, -EINVAL},
        {IORING_REGISTER_MEM_REGION, -EINVAL, -EINVAL, -EINVAL, -EFAULT},
        {IORING_REGISTER_QUERY, 0, -EINVAL, -EINVAL, -EINVAL},
        // Younger than the kernel that is the reference.
        {IORING_REGISTER_ZCRX_CTRL, -EINVAL, -EINVAL, -EINVAL, -EINVAL},
        {IORING_REGISTER_BPF_FILTER, -EINVAL, -EINVAL, -EINVAL, -EINVAL},
        {IORING_REGISTER_LAST, -EINVAL, -EINVAL, -EINVAL, -EINVAL},
    };
    const ForbiddenPage page;
    for (const Expectation& expected : expectations) {
        SCOPED_TRACE(testing::Message() << "opcode " << expected.opcode);
        RawRing ring;
        EXPECT_THAT(ring.register_call(expected.opcode, nullptr, 0), Gives(expected.null_0));
        EXPECT_THAT(ring.register_call(expected.opcode, nullptr, 1), Gives(expected.null_1));
        EXPECT_THAT(ring.register_call(expected.opcode, nullptr, 2), Gives(expected.null_2));
        EXPECT_THAT(ring.register_call(expected.opcode, page.address(), 1), Gives(expected.bad_1));
    }
}

int register_by(int fd, unsigned opcode) {
    return provider::register_call(provider_under_test(), static_cast<unsigned>(fd), opcode, nullptr, 0);
}

TEST(Arguments, name_a_ring) {
    const Pipe pipe;
    EXPECT_THAT(register_by(1'000'000, IORING_UNREGISTER_FILES), Gives(-EBADF));
    EXPECT_THAT(register_by(-2, IORING_UNREGISTER_FILES), Gives(-EBADF));
    EXPECT_THAT(register_by(pipe.read_end, IORING_UNREGISTER_FILES), Gives(-EOPNOTSUPP));
    // An opcode that does not exist is found out first.
    EXPECT_THAT(register_by(1'000'000, 100), Gives(-EINVAL));
}

TEST(Arguments, without_a_ring_are_for_two_opcodes_only) {
    for (unsigned opcode = 0; opcode < 40; ++opcode) {
        EXPECT_THAT(register_by(-1, opcode), Gives(opcode == IORING_REGISTER_QUERY ? 0 : -EINVAL)) << opcode;
    }
}

TEST(Napi, settings_are_kept_and_reported) {
    RawRing ring;
    io_uring_napi napi = {};
    napi.busy_poll_to = 50;
    napi.prefer_busy_poll = 7;
    EXPECT_THAT(ring.register_call(IORING_REGISTER_NAPI, &napi, 1), Gives(0));
    EXPECT_EQ(napi.busy_poll_to, 0u) << "what was in force before";
    EXPECT_EQ(napi.prefer_busy_poll, 0);
    EXPECT_EQ(napi.resv, 255u);
    napi = {};
    EXPECT_THAT(ring.register_call(IORING_UNREGISTER_NAPI, &napi, 1), Gives(0));
    EXPECT_EQ(napi.busy_poll_to, 50u);
    EXPECT_EQ(napi.prefer_busy_poll, 1);
    EXPECT_EQ(napi.resv, 0u);
    EXPECT_THAT(ring.register_call(IORING_REGISTER_NAPI, &napi, 1), Gives(0));
    EXPECT_EQ(napi.resv, 255u);
}

TEST(Napi, queues_to_poll_are_a_list_where_tracking_is_static) {
    constexpr uint8_t add = 1, remove = 2;
    RawRing ring;
    const auto answer = [&](uint8_t command, uint64_t parameter) {
        io_uring_napi napi = {};
        napi.pad[0] = command;
        napi.resv = parameter;
        return ring.register_call(IORING_REGISTER_NAPI, &napi, 1);
    };
    EXPECT_THAT(answer(add, 100'000), Gives(-EINVAL));
    EXPECT_THAT(answer(0, 2), Gives(-EINVAL));
    EXPECT_THAT(answer(0, 1), Gives(0));
    EXPECT_THAT(answer(add, 5), Gives(-EINVAL));
    EXPECT_THAT(answer(add, 100'000), Gives(0));
    EXPECT_THAT(answer(add, 100'000), Gives(-EEXIST));
    EXPECT_THAT(answer(remove, 100'000), Gives(0));
    EXPECT_THAT(answer(remove, 100'000), Gives(-ENOENT));
    EXPECT_THAT(answer(3, 0), Gives(-EINVAL));
    EXPECT_THAT(answer(0, 0), Gives(0));
    EXPECT_THAT(answer(add, 100'000), Gives(-EINVAL));
    EXPECT_THAT(answer(0, uint64_t{1} << 32), Gives(-EINVAL));
    io_uring_napi napi = {};
    napi.pad[1] = 1;
    EXPECT_THAT(ring.register_call(IORING_REGISTER_NAPI, &napi, 1), Gives(-EINVAL));
    RawRing polled(8, IORING_SETUP_IOPOLL);
    napi = {};
    EXPECT_THAT(polled.register_call(IORING_REGISTER_NAPI, &napi, 1), Gives(-EINVAL));
}

TEST(Clock, of_waits_is_monotonic_or_boot_time) {
    RawRing ring;
    for (unsigned id = 0; id < 12; ++id) {
        io_uring_clock_register clock = {};
        clock.clockid = id;
        const bool good = id == CLOCK_MONOTONIC || id == CLOCK_BOOTTIME;
        EXPECT_THAT(ring.register_call(IORING_REGISTER_CLOCK, &clock, 0), Gives(good ? 0 : -EINVAL)) << id;
    }
    io_uring_clock_register clock = {};
    clock.clockid = CLOCK_BOOTTIME;
    clock.__resv[2] = 1;
    EXPECT_THAT(ring.register_call(IORING_REGISTER_CLOCK, &clock, 0), Gives(-EINVAL));
    EXPECT_THAT(ring.register_call(IORING_REGISTER_CLOCK, ForbiddenPage().address(), 0), Gives(-EFAULT));
}

}  // namespace
}  // namespace ringside::test
