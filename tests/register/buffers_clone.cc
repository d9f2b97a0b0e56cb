// IORING_REGISTER_CLONE_BUFFERS: the same memory in the tables of several rings.
#include <errno.h>
#include <gtest/gtest.h>

#include <thread>

#include "register/buffers.h"
#include "register/busy_ring.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

constexpr unsigned replace = IORING_REGISTER_DST_REPLACE;

class ClonedBuffers : public testing::Test {
  protected:
    int clone(RawRing& to, const RawRing& from, unsigned flags = 0, unsigned count = 0, unsigned from_slot = 0,
              unsigned to_slot = 0) {
        io_uring_clone_buffers wanted = {};
        wanted.flags = flags;
        wanted.nr = count;
        wanted.src_off = from_slot;
        wanted.dst_off = to_slot;
        return clone_buffers(to, from, wanted);
    }
    int read_by(RawRing& ring, unsigned slot, const char* address) {
        return ring.run(sqe::read_fixed(file_, slot, address, 5)).res;
    }
    // Which of the two buffers, or '-', each slot of a ring stands for.
    std::string slots_of(RawRing& ring, unsigned count) {
        std::string slots;
        for (unsigned slot = 0; slot < count; ++slot) {
            slots += read_by(ring, slot, first_) == 5 ? '1' : read_by(ring, slot, second_) == 5 ? '2' : '-';
        }
        return slots;
    }

    RawRing source_, ring_;
    Fd file_ = file_with("hello world");
    AlignedBuffer memory_{8192};
    char* const first_ = memory_.data();
    char* const second_ = memory_.data() + 4096;
    const iovec one_ = {first_, 100};
    const iovec two_ = {second_, 100};
    const iovec none_ = {nullptr, 0};
};

TEST_F(ClonedBuffers, live_on_when_the_originals_are_gone) {
    EXPECT_THAT(register_tagged_buffers(source_, {one_, none_, two_}, {5, 0, 7}), Gives(0));
    EXPECT_THAT(clone(ring_, source_), Gives(0));
    EXPECT_EQ(slots_of(ring_, 4), "1-2-");
    EXPECT_THAT(unregister_buffers(source_), Gives(0));
    EXPECT_THAT(source_.wait(2), ElementsAre(Completes(7, 0), Completes(5, 0))) << "tags are the originals' alone";
    EXPECT_EQ(slots_of(ring_, 4), "1-2-");
    EXPECT_THAT(unregister_buffers(ring_), Gives(0));
    EXPECT_THAT(ring_.linger(), IsEmpty());
}

TEST_F(ClonedBuffers, can_be_some_of_the_slots_at_other_places) {
    EXPECT_THAT(register_buffers(source_, {one_, none_, two_}), Gives(0));
    EXPECT_THAT(clone(ring_, source_, 0, 2, 1, 3), Gives(0));
    EXPECT_EQ(slots_of(ring_, 5), "----2");
    EXPECT_THAT(update_buffers(ring_, 4, {one_}), Gives(1));
    EXPECT_THAT(update_buffers(ring_, 5, {one_}), Gives(-EINVAL)) << "the table ends with the last";
}

TEST_F(ClonedBuffers, replace_what_stands_in_their_way) {
    EXPECT_THAT(register_buffers(source_, {one_, none_}), Gives(0));
    EXPECT_THAT(register_tagged_buffers(ring_, {two_, two_, two_, two_}, {1, 2, 3, 4}), Gives(0));
    EXPECT_THAT(clone(ring_, source_), Gives(-EBUSY));
    EXPECT_THAT(clone(ring_, source_, replace, 2, 0, 1), Gives(0));
    EXPECT_THAT(ring_.wait(2), UnorderedElementsAre(Completes(2, 0), Completes(3, 0)));
    EXPECT_EQ(slots_of(ring_, 4), "21-2");
    EXPECT_THAT(clone(ring_, source_, replace, 1, 0, 5), Gives(0));
    EXPECT_THAT(ring_.linger(), IsEmpty());
    EXPECT_EQ(slots_of(ring_, 7), "21-2-1-");
    EXPECT_THAT(unregister_buffers(ring_), Gives(0));
    EXPECT_THAT(ring_.wait(2), UnorderedElementsAre(Completes(1, 0), Completes(4, 0)));
}

TEST_F(ClonedBuffers, can_be_the_rings_own) {
    EXPECT_THAT(register_buffers(source_, {one_, two_}), Gives(0));
    EXPECT_THAT(clone(source_, source_), Gives(-EBUSY));
    EXPECT_THAT(clone(source_, source_, replace, 2, 0, 1), Gives(0));
    EXPECT_EQ(slots_of(source_, 4), "112-");
}

TEST_F(ClonedBuffers, stay_with_a_request_of_the_replaced_ones) {
    const Pipe pipe;
    EXPECT_THAT(register_buffers(source_, {one_}), Gives(0));
    EXPECT_THAT(register_tagged_buffers(ring_, {two_}, {77}), Gives(0));
    EXPECT_THAT(ring_.submit(sqe::read_fixed(pipe.read_end, 0, second_, 5).data(1)), Gives(1));
    EXPECT_THAT(clone(ring_, source_, replace), Gives(0));
    EXPECT_THAT(ring_.linger(), IsEmpty());
    EXPECT_EQ(write(pipe.write_end, "abcde", 5), 5);
    EXPECT_THAT(ring_.wait(2), ElementsAre(Completes(1, 5), Completes(77, 0)));
}

TEST_F(ClonedBuffers, tell_what_does_not_fit) {
    EXPECT_THAT(clone(ring_, source_), Gives(-ENXIO)) << "nothing to clone";
    EXPECT_THAT(register_buffers(source_, {one_, none_, two_}), Gives(0));
    EXPECT_THAT(clone(ring_, source_, 0, 0, 1, 0), Gives(-EINVAL)) << "a place needs a count";
    EXPECT_THAT(clone(ring_, source_, 0, 0, 0, 1), Gives(-EINVAL));
    EXPECT_THAT(clone(ring_, source_, 0, 4), Gives(-EINVAL));
    EXPECT_THAT(clone(ring_, source_, 0, 3, 1), Gives(-EOVERFLOW));
    EXPECT_THAT(clone(ring_, source_, 0, 3, ~0U), Gives(-EOVERFLOW));
    EXPECT_THAT(clone(ring_, source_, 0, 3, 0, ~0U), Gives(-EOVERFLOW));
    EXPECT_THAT(clone(ring_, source_, 0, 1, 0, 1U << 14), Gives(-EINVAL));
    EXPECT_THAT(clone(ring_, source_, 4), Gives(-EINVAL));
    EXPECT_THAT(clone(ring_, source_, 0, 1, 0, (1U << 14) - 1), Gives(0));
    EXPECT_EQ(read_by(ring_, (1U << 14) - 1, first_), 5);
}

TEST_F(ClonedBuffers, tell_what_is_no_ring) {
    const auto try_call = [&](io_uring_clone_buffers wanted, unsigned count = 1) {
        return ring_.register_call(IORING_REGISTER_CLONE_BUFFERS, &wanted, count);
    };
    io_uring_clone_buffers wanted = {};
    wanted.src_fd = 1'000'000;
    EXPECT_THAT(try_call(wanted), Gives(-EBADF));
    wanted.src_fd = static_cast<uint32_t>(file_.get());
    EXPECT_THAT(try_call(wanted), Gives(-EOPNOTSUPP));
    wanted.src_fd = 3;
    wanted.flags = IORING_REGISTER_SRC_REGISTERED;
    EXPECT_THAT(try_call(wanted), Gives(-EBADF)) << "nothing is registered there";
    wanted = {};
    EXPECT_THAT(try_call(wanted, 0), Gives(-EINVAL));
    EXPECT_THAT(try_call(wanted, 2), Gives(-EINVAL));
    wanted.pad[2] = 1;
    EXPECT_THAT(try_call(wanted), Gives(-EINVAL));
    EXPECT_THAT(ring_.register_call(IORING_REGISTER_CLONE_BUFFERS, nullptr, 1), Gives(-EINVAL));
    EXPECT_THAT(ring_.register_call(IORING_REGISTER_CLONE_BUFFERS, ForbiddenPage().address(), 1), Gives(-EFAULT));
}

TEST_F(ClonedBuffers, are_kept_by_a_single_issuer_from_other_threads) {
    RawRing single(8, IORING_SETUP_SINGLE_ISSUER);
    EXPECT_THAT(register_buffers(single, {one_}), Gives(0));
    std::thread([&] { EXPECT_THAT(clone(ring_, single), Gives(-EEXIST)); }).join();
    EXPECT_THAT(clone(ring_, single), Gives(0));
}

TEST_F(ClonedBuffers, are_had_from_a_ring_that_is_at_work) {
    BusyRing busy;
    EXPECT_THAT(register_buffers(busy.ring(), {one_, two_}), Gives(0));
    for (unsigned turn = 0; turn < 50; ++turn) {
        EXPECT_THAT(clone(ring_, busy.ring(), replace), Gives(0));
        EXPECT_EQ(slots_of(ring_, 3), "12-");
    }
}

TEST_F(ClonedBuffers, can_go_both_ways_at_the_same_time) {
    EXPECT_THAT(register_buffers(source_, {one_, two_}), Gives(0));
    EXPECT_THAT(register_buffers(ring_, {two_, one_}), Gives(0));
    const auto clone_often = [&](RawRing& to, const RawRing& from) {
        for (int i = 0; i < 500; ++i) ASSERT_THAT(clone(to, from, replace), Gives(0));
    };
    std::thread other([&] { clone_often(source_, ring_); });
    clone_often(ring_, source_);
    other.join();
    EXPECT_THAT(slots_of(ring_, 3), testing::AnyOf("12-", "21-"));
    EXPECT_THAT(slots_of(source_, 3), testing::AnyOf("12-", "21-"));
}

}  // namespace
}  // namespace ringside::test
