// Where buffers differ between the providers, and cannot but differ: each test states both. See docs/differences.md.
#include <errno.h>
#include <gtest/gtest.h>

#include "register/buffers.h"

namespace ringside::test {
namespace {

bool on_kernel() { return provider_under_test() == provider::Kind::kernel; }

TEST(BufferDifferences, registered_memory_is_pinned_by_the_kernel_alone) {
    RawRing ring;
    const Fd file = file_with("hello world");
    void* const page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT_THAT(register_buffers(ring, {{page, 4096}}), Gives(0));
    EXPECT_EQ(munmap(page, 4096), 0);
    EXPECT_THAT(ring.run(sqe::read_fixed(file, 0, page, 5)), Gives(on_kernel() ? 5 : -EFAULT));
}

TEST(BufferDifferences, a_shared_mapping_of_a_file_on_disk_can_be_registered_with_the_engine_alone) {
    RawRing ring;
    const Fd file = file_with(std::string(4096, 'x'));
    void* const page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    EXPECT_THAT(register_buffers(ring, {{page, 4096}}), Gives(on_kernel() ? -EFAULT : 0));
    EXPECT_EQ(munmap(page, 4096), 0);
}

TEST(BufferDifferences, only_the_kernel_refuses_to_map_a_buffer_ring_that_is_none) {
    RawRing ring;
    EXPECT_THAT(register_ring(ring, description_of_ring(nullptr, 4, 2, IOU_PBUF_RING_MMAP)), Gives(0));
    const Mapping mapping(ring.fd(), IORING_OFF_PBUF_RING | 1 << IORING_OFF_PBUF_SHIFT, 4096);
    EXPECT_EQ(mapping.error(), on_kernel() ? ENOMEM : 0);
}

TEST(BufferDifferences, a_mapped_buffer_ring_keeps_its_content_when_it_is_gone_on_the_kernel_alone) {
    RawRing ring;
    EXPECT_THAT(register_ring(ring, description_of_ring(nullptr, 4, 2, IOU_PBUF_RING_MMAP)), Gives(0));
    Mapping mapping(ring.fd(), IORING_OFF_PBUF_RING | 2 << IORING_OFF_PBUF_SHIFT, 4096);
    ASSERT_TRUE(mapping);
    auto* const shared = reinterpret_cast<io_uring_buf_ring*>(mapping.at(0));
    shared->bufs[0].len = 7;
    EXPECT_THAT(unregister_ring(ring, 2), Gives(0));
    EXPECT_EQ(shared->bufs[0].len, on_kernel() ? 7U : 0U);
}

}  // namespace
}  // namespace ringside::test
