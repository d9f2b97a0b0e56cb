#include <errno.h>
#include <gtest/gtest.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <memory>

#include "liburing/ring.h"
#include "support/files.h"

namespace ringside::test {
namespace {

int init(unsigned entries, io_uring_params params) {
    io_uring ring;
    const int result = io_uring_queue_init_params(entries, &ring, &params);
    if (result == 0) io_uring_queue_exit(&ring);
    return result;
}

io_uring_params with_flags(unsigned flags, unsigned cq_entries = 0) {
    io_uring_params params = {};
    params.flags = flags;
    params.cq_entries = cq_entries;
    return params;
}

TEST(QueueInit, rounds_up_to_a_power_of_two_and_gives_twice_as_many_cqes) {
    Uring ring(5);
    EXPECT_EQ(ring->sq.ring_entries, 8u);
    EXPECT_EQ(ring->sq.ring_mask, 7u);
    EXPECT_EQ(ring->cq.ring_entries, 16u);
    EXPECT_EQ(*ring->sq.kring_entries, 8u);
    EXPECT_EQ(*ring->cq.kring_entries, 16u);
    EXPECT_EQ(ring->enter_ring_fd, ring->ring_fd);
    EXPECT_EQ(io_uring_sq_space_left(ring.get()), 8u);
}

TEST(QueueInit, honours_a_size_for_the_completion_queue) {
    io_uring_params params = with_flags(IORING_SETUP_CQSIZE, 100);
    Uring ring(8, params);
    EXPECT_EQ(ring->cq.ring_entries, 128u);
}

TEST(QueueInit, refuses_sizes_that_no_ring_can_have) {
    EXPECT_EQ(init(0, {}), -EINVAL);
    EXPECT_EQ(init(32769, {}), -EINVAL);
    EXPECT_EQ(init(8, with_flags(IORING_SETUP_CQSIZE, 0)), -EINVAL);
    EXPECT_EQ(init(8, with_flags(IORING_SETUP_CQSIZE, 4)), -EINVAL);
    EXPECT_EQ(init(8, with_flags(IORING_SETUP_CQSIZE, 65537)), -EINVAL);
}

TEST(QueueInit, clamps_sizes_if_told_to) {
    Uring ring(100'000, IORING_SETUP_CLAMP);
    EXPECT_EQ(ring->sq.ring_entries, 32768u);
}

TEST(QueueInit, refuses_flags_that_do_not_exist) { EXPECT_EQ(init(8, with_flags(1U << 31)), -EINVAL); }

TEST(QueueInit, refuses_flags_that_contradict_each_other) {
    EXPECT_EQ(init(8, with_flags(IORING_SETUP_SQ_AFF)), -EINVAL);
    EXPECT_EQ(init(8, with_flags(IORING_SETUP_DEFER_TASKRUN)), -EINVAL);
    EXPECT_EQ(init(8, with_flags(IORING_SETUP_TASKRUN_FLAG)), -EINVAL);
}

TEST(QueueInit, leaves_errno_alone) {
    errno = 12345;
    EXPECT_EQ(init(0, {}), -EINVAL);
    EXPECT_EQ(errno, 12345);
}

TEST(QueueInit, names_the_index_array_only_where_there_is_one) {
    Uring ring(8);
    if (ring->flags & IORING_SETUP_NO_SQARRAY) {
        EXPECT_EQ(ring->sq.array, nullptr);
    } else {
        for (unsigned i = 0; i < 8; i++) EXPECT_EQ(ring->sq.array[i], i);
    }
}

TEST(QueueInit, makes_rings_that_work_side_by_side) {
    Uring first(8), second(8);
    EXPECT_NE(first->ring_fd, second->ring_fd);
    first.run_nops(2, 10);
    second.run_nops(3, 20);
    EXPECT_EQ(first.reap(), (std::vector<__u64>{10, 11}));
    EXPECT_EQ(second.reap(), (std::vector<__u64>{20, 21, 22}));
}

TEST(QueueInit, can_be_repeated_for_ever_without_using_anything_up) {
    for (int i = 0; i < 2000; i++) {
        Uring ring(4);
        ASSERT_FALSE(testing::Test::HasFailure()) << "ring number " << i;
    }
}

TEST(QueueExit, ends_a_ring_with_requests_in_flight) {
    Pipe pipe;
    {
        Uring ring(8);
        ring.await_readable(pipe.read_end, 1);
        ASSERT_EQ(io_uring_submit(ring.get()), 1);
    }
    EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
}

TEST(QueueMmap, turns_a_bare_descriptor_into_a_ring) {
    io_uring_params params = {};
    const int fd = io_uring_setup(8, &params);
    ASSERT_GE(fd, 0);
    io_uring ring;
    ASSERT_EQ(io_uring_queue_mmap(fd, &params, &ring), 0);
    EXPECT_EQ(ring.ring_fd, fd);
    EXPECT_EQ(ring.features, params.features);

    for (int round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 8; i++) {
            io_uring_sqe* const sqe = io_uring_get_sqe(&ring);
            ASSERT_NE(sqe, nullptr);
            io_uring_prep_nop(sqe);
            sqe->user_data = i;
        }
        ASSERT_EQ(io_uring_submit(&ring), 8);
        for (unsigned i = 0; i < 8; i++) {
            io_uring_cqe* cqe;
            ASSERT_EQ(io_uring_wait_cqe(&ring, &cqe), 0);
            EXPECT_EQ(cqe->user_data, i);
            io_uring_cqe_seen(&ring, cqe);
        }
    }
    io_uring_queue_exit(&ring);
}

TEST(QueueMmap, says_why_a_descriptor_is_no_ring) {
    const Fd file = file_with("");
    io_uring_params params = {};
    params.sq_entries = params.cq_entries = 8;
    params.sq_off.array = 8192;
    io_uring ring;
    EXPECT_LT(io_uring_queue_mmap(-1, &params, &ring), 0);
}

TEST(Dontfork, is_possible_for_a_ring_and_not_for_a_structure_that_is_none) {
    Uring ring(8);
    EXPECT_EQ(io_uring_ring_dontfork(ring.get()), 0);
    ring.run_nops(1, 7);
    EXPECT_EQ(ring.reap(), std::vector<__u64>{7});
    io_uring none = {};
    EXPECT_EQ(io_uring_ring_dontfork(&none), -EINVAL);
}

struct Unmap {
    size_t size;
    void operator()(void* memory) const { munmap(memory, size); }
};
using Mapping = std::unique_ptr<void, Unmap>;

Mapping pages(size_t size) {
    void* const memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return {memory == MAP_FAILED ? nullptr : memory, Unmap{size}};
}

TEST(QueueInitMem, uses_the_memory_of_the_program_and_no_more_than_it_says) {
    io_uring_params params = {};
    const ssize_t size = io_uring_memory_size_params(8, &params);
    ASSERT_GT(size, 0);
    const Mapping memory = pages(static_cast<size_t>(size) + 4096);
    ASSERT_NE(memory, nullptr);
    auto* const bytes = static_cast<unsigned char*>(memory.get());
    memset(bytes + size, 0x5a, 4096);

    io_uring ring;
    const int used = io_uring_queue_init_mem(8, &ring, &params, bytes, static_cast<size_t>(size));
    ASSERT_GT(used, 0);
    EXPECT_LE(used, size);
    EXPECT_GE(reinterpret_cast<unsigned char*>(ring.sq.sqes), bytes);
    EXPECT_LT(reinterpret_cast<unsigned char*>(ring.cq.cqes), bytes + size);
    for (unsigned i = 0; i < 100; i++) {
        io_uring_sqe* const sqe = io_uring_get_sqe(&ring);
        ASSERT_NE(sqe, nullptr);
        io_uring_prep_nop(sqe);
        sqe->user_data = i;
        ASSERT_EQ(io_uring_submit_and_wait(&ring, 1), 1);
        io_uring_cqe* cqe;
        ASSERT_EQ(io_uring_peek_cqe(&ring, &cqe), 0);
        EXPECT_EQ(cqe->user_data, i);
        io_uring_cqe_seen(&ring, cqe);
    }
    io_uring_queue_exit(&ring);
    for (unsigned i = 0; i < 4096; i++) ASSERT_EQ(bytes[size + i], 0x5a) << i;
    bytes[0] = 1;  // Still ours: the exit did not unmap it.
}

TEST(QueueInitMem, refuses_too_little_memory) {
    io_uring_params params = {};
    io_uring ring;
    const Mapping memory = pages(4096);
    EXPECT_EQ(io_uring_queue_init_mem(64, &ring, &params, memory.get(), 4096), -ENOMEM);
}

TEST(QueueInitMem, brings_the_memory_itself_when_asked_for_none) {
    Uring ring(8, IORING_SETUP_NO_MMAP);
    ring.run_nops(8, 1);
    EXPECT_EQ(ring.reap().size(), 8u);
}

TEST(MemorySize, grows_with_the_ring_and_knows_the_limits) {
    const ssize_t small = io_uring_memory_size(8, 0);
    const ssize_t large = io_uring_memory_size(4096, 0);
    EXPECT_GT(small, 0);
    EXPECT_GE(large, 4096 * 64 + 8192 * 16);
    EXPECT_GT(io_uring_memory_size(4096, IORING_SETUP_SQE128), large);
    EXPECT_GT(io_uring_memory_size(4096, IORING_SETUP_CQE32), large);
    EXPECT_EQ(io_uring_memory_size(0, 0), -EINVAL);
    EXPECT_EQ(io_uring_memory_size(32769, 0), -EINVAL);
    EXPECT_GT(io_uring_memory_size(32769, IORING_SETUP_CLAMP), 0);
}

TEST(MlockSize, is_nothing_where_workers_are_native) {
    Uring ring(8);
    if (ring->features & IORING_FEAT_NATIVE_WORKERS) EXPECT_EQ(io_uring_mlock_size(8, 0), 0);
    else EXPECT_GT(io_uring_mlock_size(8, 0), 0);
}

TEST(Probe, knows_operations_and_knows_those_that_do_not_exist) {
    io_uring_probe* const probe = io_uring_get_probe();
    ASSERT_NE(probe, nullptr);
    EXPECT_EQ(io_uring_opcode_supported(probe, IORING_OP_NOP), 1);
    EXPECT_EQ(io_uring_opcode_supported(probe, IORING_OP_READ), 1);
    EXPECT_EQ(io_uring_opcode_supported(probe, 255), 0);
    EXPECT_EQ(io_uring_opcode_supported(probe, -1), 0);
    io_uring_free_probe(probe);

    Uring ring(8);
    io_uring_probe* const of_ring = io_uring_get_probe_ring(ring.get());
    ASSERT_NE(of_ring, nullptr);
    EXPECT_EQ(io_uring_opcode_supported(of_ring, IORING_OP_WRITE), 1);
    io_uring_free_probe(of_ring);
}

TEST(Version, is_told_alike_by_headers_and_library) {
    EXPECT_EQ(io_uring_major_version(), IO_URING_VERSION_MAJOR);
    EXPECT_EQ(io_uring_minor_version(), IO_URING_VERSION_MINOR);
    EXPECT_FALSE(io_uring_check_version(IO_URING_VERSION_MAJOR, IO_URING_VERSION_MINOR));
    EXPECT_FALSE(io_uring_check_version(1, 99));
    EXPECT_TRUE(io_uring_check_version(IO_URING_VERSION_MAJOR, IO_URING_VERSION_MINOR + 1));
    EXPECT_TRUE(io_uring_check_version(IO_URING_VERSION_MAJOR + 1, 0));
}

}  // namespace
}  // namespace ringside::test
