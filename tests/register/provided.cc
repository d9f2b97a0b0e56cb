// IORING_REGISTER_PBUF_RING and what belongs to it: groups of provided buffers that are rings shared with the program.
#include <errno.h>
#include <gtest/gtest.h>

#include "register/buffers.h"

namespace ringside::test {
namespace {

constexpr unsigned group = 7;

uint64_t offset_of_group(unsigned id) { return IORING_OFF_PBUF_RING | uint64_t{id} << IORING_OFF_PBUF_SHIFT; }

class BufferRings : public testing::Test {
  protected:
    int register_entries(unsigned entries, unsigned flags = 0) {
        return register_ring(ring_, description_of_ring(memory_.data(), entries, group, flags));
    }

    RawRing ring_;
    AlignedBuffer memory_{32768 * sizeof(io_uring_buf)};
    Buffers buffers_{8, 64};
};

TEST_F(BufferRings, have_a_power_of_two_of_entries) {
    for (const unsigned entries : {0U, 3U, 1000U, 65536U, 1U << 31}) {
        EXPECT_THAT(register_entries(entries), Gives(-EINVAL)) << entries;
    }
    for (const unsigned entries : {1U, 2U, 1024U, 32768U}) {
        EXPECT_THAT(register_entries(entries), Gives(0)) << entries;
        EXPECT_THAT(unregister_ring(ring_, group), Gives(0));
    }
}

TEST_F(BufferRings, lie_in_memory_that_can_be_written) {
    const ForbiddenPage page;
    void* const read_only = mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const auto try_memory = [&](void* memory) { return register_ring(ring_, description_of_ring(memory, 4, group)); };
    EXPECT_THAT(try_memory(nullptr), Gives(-EFAULT));
    EXPECT_THAT(try_memory(page.address()), Gives(-EFAULT));
    EXPECT_THAT(try_memory(read_only), Gives(-EFAULT));
    EXPECT_THAT(try_memory(reinterpret_cast<void*>(~uintptr_t{4095})), Gives(-EOVERFLOW));
    EXPECT_THAT(try_memory(memory_.data() + 8), Gives(-EINVAL)) << "not at the beginning of a page";
    EXPECT_THAT(register_ring(ring_, description_of_ring(page.brink(4096), 512, group)), Gives(-EFAULT))
        << "8192 bytes";
    EXPECT_THAT(register_ring(ring_, description_of_ring(page.brink(4096), 256, group)), Gives(0)) << "4096 bytes";
    EXPECT_THAT(unregister_ring(ring_, group), Gives(0));
    EXPECT_EQ(munmap(read_only, 4096), 0);
}

TEST_F(BufferRings, tell_each_error_of_their_description) {
    const io_uring_buf_reg good = description_of_ring(memory_.data(), 4, group);
    io_uring_buf_reg bad = good;
    bad.flags = 4;
    EXPECT_THAT(register_ring(ring_, bad), Gives(-EINVAL));
    for (const unsigned at : {0U, 4U}) {
        bad = good;
        bad.resv[at] = 1;
        EXPECT_THAT(register_ring(ring_, bad), Gives(-EINVAL)) << at;
    }
    bad = good;
    bad.min_left = 16;
    EXPECT_THAT(register_ring(ring_, bad), Gives(-EINVAL)) << "only for buffers that are used piece by piece";
    bad = good;
    for (const unsigned opcode :
         {IORING_REGISTER_PBUF_RING, IORING_UNREGISTER_PBUF_RING, IORING_REGISTER_PBUF_STATUS}) {
        EXPECT_THAT(ring_.register_call(opcode, nullptr, 1), Gives(-EINVAL));
        EXPECT_THAT(ring_.register_call(opcode, &bad, 0), Gives(-EINVAL));
        EXPECT_THAT(ring_.register_call(opcode, &bad, 2), Gives(-EINVAL));
        EXPECT_THAT(ring_.register_call(opcode, ForbiddenPage().address(), 1), Gives(-EFAULT));
    }
    bad.flags = IOU_PBUF_RING_MMAP;
    EXPECT_THAT(register_ring(ring_, good), Gives(0));
    EXPECT_THAT(ring_.register_call(IORING_UNREGISTER_PBUF_RING, &bad, 1), Gives(-EINVAL));
    bad = good;
    bad.resv[4] = 1;
    EXPECT_THAT(ring_.register_call(IORING_UNREGISTER_PBUF_RING, &bad, 1), Gives(-EINVAL));
    bad = good;
    bad.min_left = 16;
    EXPECT_THAT(ring_.register_call(IORING_UNREGISTER_PBUF_RING, &bad, 1), Gives(0)) << "the group is all that counts";
    EXPECT_THAT(ring_.register_call(IORING_UNREGISTER_PBUF_RING, &bad, 1), Gives(-ENOENT));
}

TEST_F(BufferRings, are_one_of_the_two_kinds_of_groups) {
    EXPECT_THAT(ring_.run(sqe::provide(buffers_, 1, group)), Gives(0));
    EXPECT_THAT(register_entries(4), Gives(-EEXIST));
    EXPECT_THAT(unregister_ring(ring_, group), Gives(-EINVAL));
    EXPECT_THAT(head_of_ring(ring_, group), Gives(-EINVAL));
    EXPECT_THAT(ring_.run(sqe::remove_buffers(1, group)), Gives(1));
    EXPECT_THAT(register_entries(4), Gives(0)) << "an empty group may change its kind";
    EXPECT_THAT(register_entries(4), Gives(-EEXIST));
    EXPECT_THAT(ring_.run(sqe::provide(buffers_, 1, group)), Gives(-EINVAL));
    EXPECT_THAT(ring_.run(sqe::remove_buffers(1, group)), Gives(-EINVAL));
    EXPECT_THAT(unregister_ring(ring_, group), Gives(0));
    EXPECT_THAT(unregister_ring(ring_, group), Gives(-ENOENT));
    EXPECT_THAT(ring_.run(sqe::provide(buffers_, 1, group)), Gives(0));
}

TEST_F(BufferRings, tell_how_far_their_buffers_are_taken) {
    const Fd file = file_with("hello world");
    BufferRing buffer_ring(ring_, 4, group);
    EXPECT_THAT(head_of_ring(ring_, group), Gives(0));
    EXPECT_THAT(head_of_ring(ring_, group + 1), Gives(-ENOENT));
    EXPECT_THAT(head_of_ring(ring_, 65536 + group), Gives(-ENOENT)) << "group ids have 16 bits";
    for (unsigned round = 0; round < 9; ++round) {
        EXPECT_THAT(head_of_ring(ring_, group), Gives(round));
        buffer_ring.add(buffers_, 0);
        EXPECT_EQ(ring_.run(sqe::read_selecting(file, group)).res, 11);
    }
    io_uring_buf_status status = {};
    status.buf_group = group;
    status.resv[0] = 1;
    EXPECT_THAT(ring_.register_call(IORING_REGISTER_PBUF_STATUS, &status, 1), Gives(-EINVAL));
}

// --- Memory that the ring brings ------------------------------------------------------------------------------------

class MappedBufferRings : public BufferRings {
  protected:
    int register_mapped(unsigned id, unsigned entries = 4) {
        return register_ring(ring_, description_of_ring(nullptr, entries, id, IOU_PBUF_RING_MMAP));
    }
    // Provides one buffer in a mapped ring that is otherwise untouched.
    void provide_first(Mapping& mapping, unsigned id) {
        auto* const shared = reinterpret_cast<io_uring_buf_ring*>(mapping.at(0));
        shared->bufs[0].addr = address_of(buffers_.at(id));
        shared->bufs[0].len = buffers_.size();
        shared->bufs[0].bid = static_cast<uint16_t>(id);
        __atomic_store_n(&shared->tail, uint16_t{1}, __ATOMIC_RELEASE);
    }
};

TEST_F(MappedBufferRings, are_found_at_an_offset_for_each_group) {
    const Fd file = file_with("hello world");
    for (const unsigned id : {0U, 1U, 7U, 2047U}) {
        EXPECT_THAT(register_mapped(id), Gives(0)) << id;
        EXPECT_THAT(register_mapped(id), Gives(-EEXIST)) << id;
    }
    for (const unsigned id : {2047U, 7U, 1U, 0U}) {
        Mapping mapping(ring_.fd(), offset_of_group(id), 4096);
        ASSERT_TRUE(mapping) << id;
        provide_first(mapping, id % 8);
        EXPECT_EQ(ring_.run(sqe::read_selecting(file, id)), (Cqe{0, 11, with_buffer(id % 8)}));
        EXPECT_THAT(ring_.run(sqe::read_selecting(file, id)), Gives(-ENOBUFS));
    }
    EXPECT_EQ(buffers_.text(7, 11), "hello world");
}

TEST_F(MappedBufferRings, can_be_as_large_as_any) {
    const Fd file = file_with("hello world");
    constexpr unsigned entries = 32768;
    EXPECT_THAT(register_mapped(group, entries), Gives(0));
    Mapping mapping(ring_.fd(), offset_of_group(group), entries * sizeof(io_uring_buf));
    ASSERT_TRUE(mapping);
    auto* const shared = reinterpret_cast<io_uring_buf_ring*>(mapping.at(0));
    EXPECT_EQ(shared->bufs[entries - 1].len, 0U);
    provide_first(mapping, 3);
    EXPECT_EQ(ring_.run(sqe::read_selecting(file, group)), (Cqe{0, 11, with_buffer(3)}));
}

TEST_F(MappedBufferRings, begin_empty_again_when_they_are_registered_again) {
    const Fd file = file_with("hello world");
    EXPECT_THAT(register_mapped(group), Gives(0));
    {
        Mapping mapping(ring_.fd(), offset_of_group(group), 4096);
        ASSERT_TRUE(mapping);
        provide_first(mapping, 3);
    }
    EXPECT_THAT(unregister_ring(ring_, group), Gives(0));
    EXPECT_THAT(register_mapped(group), Gives(0));
    EXPECT_THAT(ring_.run(sqe::read_selecting(file, group)), Gives(-ENOBUFS));
    const Mapping mapping(ring_.fd(), offset_of_group(group), 4096);
    ASSERT_TRUE(mapping);
    EXPECT_EQ(reinterpret_cast<io_uring_buf_ring*>(mapping.at(0))->bufs[0].addr, 0U);
}

TEST_F(MappedBufferRings, can_be_written_while_mapped_even_when_they_are_gone) {
    EXPECT_THAT(register_mapped(group), Gives(0));
    Mapping mapping(ring_.fd(), offset_of_group(group), 4096);
    ASSERT_TRUE(mapping);
    EXPECT_THAT(unregister_ring(ring_, group), Gives(0));
    provide_first(mapping, 3);
    EXPECT_EQ(ring_.close(), 0);
    provide_first(mapping, 4);
    EXPECT_EQ(reinterpret_cast<io_uring_buf_ring*>(mapping.at(0))->bufs[0].bid, 4);
}

}  // namespace
}  // namespace ringside::test
