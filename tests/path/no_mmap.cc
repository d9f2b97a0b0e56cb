// IORING_SETUP_NO_MMAP: the ring lives in memory of the program's own.
#include <errno.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>

#include "support/files.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

constexpr size_t page = 4096;
constexpr unsigned entries = 8;

// Pages that hold the program's rings, full of what the program had there before.
class Pages {
  public:
    explicit Pages(size_t count, int protection = PROT_READ | PROT_WRITE)
        : size_(count * page),
          start_(mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
        memset(start_, 0xff, size_);
        mprotect(start_, size_, protection);
    }
    ~Pages() { munmap(start_, size_); }
    Pages(const Pages&) = delete;
    Pages& operator=(const Pages&) = delete;

    std::byte* at(size_t offset = 0) const { return static_cast<std::byte*>(start_) + offset; }
    void take_away(size_t offset) const { munmap(at(offset), size_ - offset); }

  private:
    size_t size_;
    void* start_;
};

io_uring_params in_memory(const void* rings, const void* sqes, unsigned more_flags = 0) {
    io_uring_params params = params_with(IORING_SETUP_NO_MMAP | more_flags);
    params.cq_off.user_addr = address_of(rings);
    params.sq_off.user_addr = address_of(sqes);
    return params;
}

// What setup says, with no ring left of it.
int answer_to(io_uring_params params, unsigned count = entries) {
    const int result = setup_ring(count, &params);
    if (result < 0) return result;
    provider::close(provider_under_test(), result);
    return 0;
}

// A ring in the program's memory, driven by hand.
class OwnRing {
  public:
    OwnRing(const Pages& memory, size_t sqes_offset, unsigned more_flags = 0, unsigned count = entries)
        : memory_(memory),
          sqes_offset_(sqes_offset),
          params_(in_memory(memory.at(), memory.at(sqes_offset), more_flags)) {
        fd_ = setup_ring(count, &params_);
        EXPECT_GE(fd_, 0) << result_text(fd_);
    }
    ~OwnRing() { EXPECT_EQ(provider::close(provider_under_test(), fd_), 0); }
    OwnRing(const OwnRing&) = delete;
    OwnRing& operator=(const OwnRing&) = delete;

    const io_uring_params& params() const { return params_; }
    std::atomic_ref<uint32_t> word(size_t offset) const {
        return std::atomic_ref<uint32_t>(*reinterpret_cast<uint32_t*>(memory_.at(offset)));
    }

    Cqe run(const io_uring_sqe& sqe) {
        const unsigned tail = word(params_.sq_off.tail).load(), index = tail & (params_.sq_entries - 1);
        const size_t size = params_.flags & IORING_SETUP_SQE128 ? 128 : 64;
        memcpy(memory_.at(sqes_offset_ + index * size), &sqe, sizeof(sqe));
        if (!(params_.flags & IORING_SETUP_NO_SQARRAY))
            word(params_.sq_off.array + index * sizeof(uint32_t)).store(index);
        word(params_.sq_off.tail).store(tail + 1);
        EXPECT_THAT(provider::enter(provider_under_test(), fd_, 1, 1, IORING_ENTER_GETEVENTS, nullptr, 0), Gives(1));
        const unsigned head = word(params_.cq_off.head).load();
        EXPECT_EQ(word(params_.cq_off.tail).load(), head + 1);
        const size_t cqe_size = params_.flags & IORING_SETUP_CQE32 ? 32 : 16;
        io_uring_cqe cqe;
        memcpy(&cqe, memory_.at(params_.cq_off.cqes + (head & (params_.cq_entries - 1)) * cqe_size), sizeof(cqe));
        word(params_.cq_off.head).store(head + 1);
        return {cqe.user_data, cqe.res, cqe.flags};
    }

  private:
    const Pages& memory_;
    size_t sqes_offset_;
    io_uring_params params_;
    int fd_;
};

TEST(NoMmap, ring_works_in_the_programs_memory) {
    for (const unsigned flags : {0U, IORING_SETUP_NO_SQARRAY, IORING_SETUP_SQE128 | IORING_SETUP_CQE32,
                                 IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN}) {
        SCOPED_TRACE(testing::Message() << "flags " << flags);
        const Pages memory(2);
        OwnRing ring(memory, page, flags);
        EXPECT_EQ(ring.params().cq_off.user_addr, address_of(memory.at()));
        EXPECT_EQ(ring.params().sq_off.user_addr, address_of(memory.at(page)));
        EXPECT_EQ(ring.word(ring.params().sq_off.ring_entries).load(), entries);
        EXPECT_EQ(ring.word(ring.params().cq_off.ring_entries).load(), 2 * entries);
        for (uint64_t number = 0; number < 50; ++number) {
            EXPECT_THAT(ring.run(sqe::nop().data(number)), Completes(number, 0));
        }
    }
}

TEST(NoMmap, large_ring_spreads_over_several_pages) {
    const Pages memory(24);
    OwnRing ring(memory, 8 * page, 0, 256);
    const Fd file = memory_file_with("content");
    char buffer[8] = {};
    for (uint64_t number = 0; number < 600; ++number) {
        ASSERT_THAT(ring.run(sqe::read(file, buffer, 7).data(number)), Completes(number, 7));
    }
    EXPECT_STREQ(buffer, "content");
}

TEST(NoMmap, memory_is_the_programs_again_when_the_ring_is_closed) {
    const Pages memory(2);
    {
        OwnRing ring(memory, page);
        EXPECT_THAT(ring.run(sqe::nop().data(1)), Completes(1, 0));
    }
    memset(memory.at(), 0x5a, 2 * page);
    OwnRing again(memory, page);
    EXPECT_THAT(again.run(sqe::nop().data(2)), Completes(2, 0));
}

TEST(NoMmap, needs_addresses_of_both_parts) {
    const Pages memory(2);
    EXPECT_THAT(answer_to(in_memory(nullptr, memory.at())), Gives(-EFAULT));
    EXPECT_THAT(answer_to(in_memory(memory.at(), nullptr)), Gives(-EFAULT));
}

TEST(NoMmap, needs_whole_pages) {
    const Pages memory(4);
    EXPECT_THAT(answer_to(in_memory(memory.at(64), memory.at(2 * page))), Gives(-EINVAL));
    EXPECT_THAT(answer_to(in_memory(memory.at(), memory.at(2 * page + 64))), Gives(-EINVAL));
}

TEST(NoMmap, needs_memory_that_is_there_and_can_be_written) {
    const Pages memory(2), constant(2, PROT_READ), gone(2);
    gone.take_away(0);
    EXPECT_THAT(answer_to(in_memory(constant.at(), memory.at())), Gives(-EFAULT));
    EXPECT_THAT(answer_to(in_memory(memory.at(), constant.at())), Gives(-EFAULT));
    EXPECT_THAT(answer_to(in_memory(gone.at(), memory.at())), Gives(-EFAULT));
    EXPECT_THAT(answer_to(in_memory(memory.at(), gone.at())), Gives(-EFAULT));
}

TEST(NoMmap, needs_all_of_the_memory) {
    // 128 entries are two pages of them, 256 completions more than one.
    const Pages memory(4), cut(4);
    cut.take_away(page);
    EXPECT_THAT(answer_to(in_memory(memory.at(), cut.at()), 128), Gives(-EFAULT));
    EXPECT_THAT(answer_to(in_memory(cut.at(), memory.at()), 256), Gives(-EFAULT));
    EXPECT_THAT(answer_to(in_memory(cut.at(), memory.at())), Gives(0));
}

}  // namespace
}  // namespace ringside::test
