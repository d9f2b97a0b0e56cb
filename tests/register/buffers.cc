// IORING_REGISTER_BUFFERS, its updates and its end: which memory a slot stands for.
#include <errno.h>
#include <gtest/gtest.h>

#include "register/buffers.h"

namespace ringside::test {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr unsigned most_slots = 1U << 14;

class RegisteredBuffers : public testing::Test {
  protected:
    // What a read of five bytes to this address, by this slot, gives.
    int read_by(unsigned slot, const char* address) { return ring_.run(sqe::read_fixed(file_, slot, address, 5)).res; }

    // Registers it alone and lets it go again.
    int try_buffer(const void* address, size_t length) {
        const int result = register_buffers(ring_, {{const_cast<void*>(address), length}});
        if (result == 0) {
            EXPECT_THAT(unregister_buffers(ring_), Gives(0));
        }
        return result;
    }

    RawRing ring_;
    Fd file_ = file_with("hello world");
    AlignedBuffer memory_{8192};
    char* const first_ = memory_.data();
    char* const second_ = memory_.data() + 4096;
    const iovec one_ = {first_, 100};
    const iovec two_ = {second_, 100};
    const iovec none_ = {nullptr, 0};
};

TEST_F(RegisteredBuffers, stand_for_ranges_of_memory) {
    EXPECT_THAT(register_buffers(ring_, {one_, none_, two_}), Gives(0));
    EXPECT_EQ(read_by(0, first_), 5);
    EXPECT_EQ(read_by(2, second_), 5);
    EXPECT_EQ(std::string(first_), "hello");
    EXPECT_EQ(std::string(second_), "hello");
    EXPECT_EQ(read_by(0, second_), -EFAULT) << "another slot's";
    EXPECT_EQ(read_by(1, first_), -EFAULT) << "an empty slot";
    EXPECT_EQ(read_by(3, first_), -EFAULT) << "beyond the table";
}

TEST_F(RegisteredBuffers, vanish_with_their_table) {
    EXPECT_THAT(unregister_buffers(ring_), Gives(-ENXIO));
    EXPECT_THAT(register_buffers(ring_, {one_}), Gives(0));
    EXPECT_THAT(ring_.register_call(IORING_UNREGISTER_BUFFERS, first_, 1), Gives(-EINVAL));
    EXPECT_THAT(unregister_buffers(ring_), Gives(0));
    EXPECT_EQ(read_by(0, first_), -EFAULT);
    EXPECT_THAT(unregister_buffers(ring_), Gives(-ENXIO));
}

TEST_F(RegisteredBuffers, come_in_tables_of_limited_size) {
    EXPECT_THAT(register_buffers(ring_, std::vector<iovec>(most_slots, one_)), Gives(0));
    EXPECT_EQ(read_by(most_slots - 1, first_), 5);
    EXPECT_THAT(register_buffers(ring_, std::vector<iovec>(most_slots + 1, one_)), Gives(-EBUSY));
    EXPECT_THAT(unregister_buffers(ring_), Gives(0));
    EXPECT_THAT(register_buffers(ring_, std::vector<iovec>(most_slots + 1, one_)), Gives(-EINVAL));
    EXPECT_THAT(register_sparse_buffers(ring_, most_slots + 1), Gives(-EINVAL));
    EXPECT_THAT(register_sparse_buffers(ring_, 0), Gives(-EINVAL));
    EXPECT_THAT(register_sparse_buffers(ring_, most_slots), Gives(0));
    EXPECT_THAT(register_sparse_buffers(ring_, 1), Gives(-EBUSY));
}

TEST_F(RegisteredBuffers, must_be_memory_that_can_be_written) {
    const ForbiddenPage page;
    void* const read_only = mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT_EQ(try_buffer(first_ + 1, 3), 0) << "no alignment is asked for";
    EXPECT_EQ(try_buffer(page.brink(4), 4), 0);
    EXPECT_EQ(try_buffer(page.brink(4), 5), -EFAULT);
    EXPECT_EQ(try_buffer(page.address(), 4), -EFAULT);
    EXPECT_EQ(try_buffer(read_only, 4), -EFAULT);
    EXPECT_EQ(munmap(read_only, 4096), 0);
}

TEST_F(RegisteredBuffers, must_have_a_length_that_makes_sense) {
    EXPECT_EQ(try_buffer(nullptr, 0), 0) << "an empty slot";
    EXPECT_EQ(try_buffer(nullptr, 1), -EFAULT);
    EXPECT_EQ(try_buffer(first_, 0), -EFAULT);
    EXPECT_EQ(try_buffer(first_, (size_t{1} << 30) + 1), -EFAULT);
    EXPECT_EQ(try_buffer(first_, ~size_t{0}), -EINVAL);
    EXPECT_EQ(try_buffer(reinterpret_cast<void*>(~uintptr_t{0} - 10), 4), -EOVERFLOW);
    EXPECT_EQ(try_buffer(reinterpret_cast<void*>(uintptr_t{1} << 63), 4), -EFAULT);
}

TEST_F(RegisteredBuffers, tell_each_error_of_a_registration) {
    iovec one = one_;
    EXPECT_THAT(ring_.register_call(IORING_REGISTER_BUFFERS, nullptr, 1), Gives(-EFAULT));
    EXPECT_THAT(ring_.register_call(IORING_REGISTER_BUFFERS, nullptr, 0), Gives(-EFAULT));
    EXPECT_THAT(ring_.register_call(IORING_REGISTER_BUFFERS, &one, 0), Gives(-EINVAL));
    EXPECT_THAT(ring_.register_call(IORING_REGISTER_BUFFERS, ForbiddenPage().address(), 1), Gives(-EFAULT));
    // One bad buffer spoils all.
    EXPECT_THAT(register_tagged_buffers(ring_, {one_, {first_, 0}}, {1, 2}), Gives(-EFAULT));
    EXPECT_EQ(read_by(0, first_), -EFAULT);
    EXPECT_THAT(ring_.linger(), IsEmpty());
    EXPECT_THAT(register_buffers(ring_, {one_}), Gives(0));
}

TEST_F(RegisteredBuffers, tell_each_error_of_a_tables_description) {
    iovec one = one_;
    uint64_t tag = 5;
    const auto describe = [&](unsigned flags) {
        io_uring_rsrc_register table = {};
        table.nr = 1;
        table.data = address_of(&one);
        table.flags = flags;
        return table;
    };
    const auto try_table = [&](io_uring_rsrc_register table, unsigned size = sizeof(io_uring_rsrc_register)) {
        return ring_.register_call(IORING_REGISTER_BUFFERS2, &table, size);
    };
    io_uring_rsrc_register table = describe(0);
    EXPECT_THAT(try_table(table, sizeof(table) - 1), Gives(-EINVAL));
    EXPECT_THAT(try_table(describe(2)), Gives(-EINVAL));
    EXPECT_THAT(try_table(describe(IORING_RSRC_REGISTER_SPARSE)), Gives(-EINVAL));
    table.resv2 = 1;
    EXPECT_THAT(try_table(table), Gives(-EINVAL));
    table = describe(0);
    table.tags = address_of(ForbiddenPage().address());
    EXPECT_THAT(try_table(table), Gives(-EFAULT));
    // A length that is negative is found before that.
    one.iov_len = ~size_t{0};
    EXPECT_THAT(try_table(table), Gives(-EINVAL));
    one = one_;
    // A table without buffers is one of empty slots, which have no tags.
    table = describe(0);
    table.data = 0;
    table.tags = address_of(&tag);
    EXPECT_THAT(try_table(table), Gives(-EINVAL));
    table.tags = 0;
    EXPECT_THAT(try_table(table), Gives(0));
    EXPECT_THAT(ring_.register_call(IORING_REGISTER_BUFFERS2, nullptr, sizeof(table)), Gives(-EFAULT));
}

TEST_F(RegisteredBuffers, are_told_by_their_tags_when_they_go) {
    EXPECT_THAT(register_tagged_buffers(ring_, {one_, none_, two_, two_}, {5, 0, 7, 0}), Gives(0));
    EXPECT_THAT(ring_.linger(), IsEmpty());
    EXPECT_THAT(update_buffers(ring_, 0, {two_}, {9}), Gives(1));
    EXPECT_THAT(ring_.wait(1), ElementsAre(Completes(5, 0)));
    EXPECT_THAT(update_buffers(ring_, 3, {none_}), Gives(1));
    EXPECT_THAT(ring_.linger(), IsEmpty());
    EXPECT_THAT(unregister_buffers(ring_), Gives(0));
    EXPECT_THAT(ring_.wait(2), ElementsAre(Completes(7, 0), Completes(9, 0)));
}

TEST_F(RegisteredBuffers, are_replaced_slot_by_slot) {
    EXPECT_THAT(register_sparse_buffers(ring_, 3), Gives(0));
    EXPECT_EQ(read_by(1, first_), -EFAULT);
    EXPECT_THAT(update_buffers(ring_, 1, {one_, two_}), Gives(2));
    EXPECT_EQ(read_by(1, first_), 5);
    EXPECT_EQ(read_by(2, second_), 5);
    EXPECT_THAT(update_buffers(ring_, 1, {none_}), Gives(1));
    EXPECT_EQ(read_by(1, first_), -EFAULT);
}

TEST_F(RegisteredBuffers, tell_each_error_of_an_update) {
    EXPECT_THAT(update_buffers(ring_, 0, {one_}), Gives(-ENXIO));
    EXPECT_THAT(update_buffers(ring_, ~0U, {one_}), Gives(-EOVERFLOW));
    EXPECT_THAT(register_tagged_buffers(ring_, {one_, one_}, {1, 2}), Gives(0));
    EXPECT_THAT(update_buffers(ring_, 0, {}), Gives(-EINVAL));
    EXPECT_THAT(update_buffers(ring_, 1, {one_, one_}), Gives(-EINVAL));
    EXPECT_THAT(update_buffers(ring_, 2, {one_}), Gives(-EINVAL));
    EXPECT_THAT(update_buffers(ring_, 0, {none_}, {9}), Gives(-EINVAL)) << "an empty slot has no tag";
    EXPECT_THAT(update_buffers(ring_, 0, {{nullptr, 1}, one_}), Gives(-EFAULT));
    EXPECT_THAT(ring_.linger(), IsEmpty()) << "nothing of all this took effect";
    EXPECT_EQ(read_by(0, first_), 5);
    // What came before the bad one is done.
    EXPECT_THAT(update_buffers(ring_, 0, {two_, {nullptr, 1}}), Gives(1));
    EXPECT_THAT(ring_.wait(1), ElementsAre(Completes(1, 0)));
    EXPECT_EQ(read_by(0, second_), 5);

    io_uring_rsrc_update2 update = {};
    update.nr = 1;
    EXPECT_THAT(ring_.register_call(IORING_REGISTER_BUFFERS_UPDATE, &update, sizeof(update)), Gives(-EFAULT))
        << "no array is no way to empty slots";
    EXPECT_THAT(ring_.register_call(IORING_REGISTER_BUFFERS_UPDATE, &update, sizeof(update) - 1), Gives(-EINVAL));
    EXPECT_THAT(ring_.register_call(IORING_REGISTER_BUFFERS_UPDATE, nullptr, sizeof(update)), Gives(-EFAULT));
    update.resv = 1;
    EXPECT_THAT(ring_.register_call(IORING_REGISTER_BUFFERS_UPDATE, &update, sizeof(update)), Gives(-EINVAL));
    update.resv = 0;
    update.resv2 = 1;
    EXPECT_THAT(ring_.register_call(IORING_REGISTER_BUFFERS_UPDATE, &update, sizeof(update)), Gives(-EINVAL));
}

TEST_F(RegisteredBuffers, have_tags_where_the_ring_says_so) {
    EXPECT_TRUE(ring_.params().features & IORING_FEAT_RSRC_TAGS);
}

// --- In use while they are taken away -------------------------------------------------------------------------------

TEST_F(RegisteredBuffers, stay_with_a_request_that_waits_when_they_are_replaced) {
    const Pipe pipe;
    EXPECT_THAT(register_tagged_buffers(ring_, {one_}, {77}), Gives(0));
    EXPECT_THAT(ring_.submit(sqe::read_fixed(pipe.read_end, 0, first_, 5).data(1)), Gives(1));
    EXPECT_THAT(update_buffers(ring_, 0, {two_}, {78}), Gives(1));
    EXPECT_EQ(read_by(0, first_), -EFAULT);
    EXPECT_EQ(read_by(0, second_), 5);
    EXPECT_EQ(write(pipe.write_end, "abcde", 5), 5);
    EXPECT_THAT(ring_.wait(2), ElementsAre(Completes(1, 5), Completes(77, 0)));
    EXPECT_EQ(std::string(first_), "abcde");
    EXPECT_THAT(unregister_buffers(ring_), Gives(0));
    EXPECT_THAT(ring_.wait(1), ElementsAre(Completes(78, 0)));
}

TEST_F(RegisteredBuffers, stay_with_all_who_use_them_until_the_last_is_done) {
    const Pipe early, late;
    EXPECT_THAT(register_tagged_buffers(ring_, {one_}, {77}), Gives(0));
    iovec parts[2] = {{first_, 2}, {first_ + 50, 3}};
    EXPECT_THAT(ring_.submit(sqe::read_fixed(early.read_end, 0, first_ + 90, 5).data(1),
                             sqe::readv_fixed(late.read_end, 0, parts, 2).data(2)),
                Gives(2));
    // The array was read when the request was submitted.
    parts[0] = parts[1] = {second_, 100};
    EXPECT_THAT(unregister_buffers(ring_), Gives(0));
    EXPECT_EQ(write(early.write_end, "abcde", 5), 5);
    EXPECT_THAT(ring_.wait(1), ElementsAre(Completes(1, 5)));
    EXPECT_THAT(ring_.linger(), IsEmpty());
    EXPECT_EQ(write(late.write_end, "fghij", 5), 5);
    EXPECT_THAT(ring_.wait(2), ElementsAre(Completes(2, 5), Completes(77, 0)));
    EXPECT_EQ(std::string(first_), "fg");
    EXPECT_EQ(std::string(first_ + 50), "hij");
}

TEST_F(RegisteredBuffers, are_let_go_by_a_request_that_is_cancelled) {
    const Pipe pipe;
    for (const unsigned flags : {0U, static_cast<unsigned>(IOSQE_ASYNC)}) {
        EXPECT_THAT(register_tagged_buffers(ring_, {one_}, {77}), Gives(0));
        EXPECT_THAT(ring_.submit(sqe::read_fixed(pipe.read_end, 0, first_, 5).data(1).flag(flags)), Gives(1));
        // A worker needs a moment to take it up.
        EXPECT_THAT(ring_.linger(flags != 0 ? 200 : 1), IsEmpty());
        EXPECT_THAT(unregister_buffers(ring_), Gives(0));
        EXPECT_THAT(ring_.linger(), IsEmpty());
        EXPECT_THAT(ring_.submit(sqe::cancel(1).data(2)), Gives(1));
        EXPECT_THAT(ring_.wait(3), ElementsAre(Completes(2, 0), Completes(1, -ECANCELED), Completes(77, 0)));
    }
}

TEST_F(RegisteredBuffers, are_looked_up_when_the_request_is_issued) {
    const Pipe pipe;
    EXPECT_THAT(register_tagged_buffers(ring_, {one_}, {77}), Gives(0));
    EXPECT_THAT(ring_.submit(sqe::read_fixed(pipe.read_end, 0, first_, 5).data(1).flag(IOSQE_IO_LINK),
                             sqe::read_fixed(file_, 0, first_, 5).data(2)),
                Gives(2));
    EXPECT_THAT(unregister_buffers(ring_), Gives(0));
    EXPECT_EQ(write(pipe.write_end, "abcde", 5), 5);
    EXPECT_THAT(ring_.wait(3), ElementsAre(Completes(1, 5), Completes(77, 0), Completes(2, -EFAULT)));
}

TEST_F(RegisteredBuffers, are_never_touched_again_once_their_tag_has_come) {
    // The memory is made inaccessible at that moment: whoever writes into it later gets a fault instead of a result.
    const Pipe pipe;
    for (int round = 0; round < 20; ++round) {
        void* const page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        EXPECT_THAT(register_tagged_buffers(ring_, {{page, 4096}}, {77}), Gives(0));
        EXPECT_THAT(ring_.submit(sqe::read_fixed(pipe.read_end, 0, page, 5).data(1),
                                 sqe::read_fixed(file_, 0, page, 5).data(2).flag(IOSQE_ASYNC)),
                    Gives(2));
        EXPECT_THAT(ring_.wait(1), ElementsAre(Completes(2, 5)));
        EXPECT_THAT(unregister_buffers(ring_), Gives(0));
        EXPECT_EQ(write(pipe.write_end, "abcde", 5), 5);
        EXPECT_THAT(ring_.wait(2), ElementsAre(Completes(1, 5), Completes(77, 0)));
        EXPECT_EQ(mprotect(page, 4096, PROT_NONE), 0);
        EXPECT_EQ(write(pipe.write_end, "fghij", 5), 5);
        EXPECT_EQ(ring_.run(sqe::read(pipe.read_end, second_, 5)).res, 5) << "nobody else has read it";
        EXPECT_EQ(munmap(page, 4096), 0);
    }
}

TEST_F(RegisteredBuffers, go_silently_with_their_ring) {
    const Pipe pipe;
    RawRing ring;
    EXPECT_THAT(register_tagged_buffers(ring, {one_}, {77}), Gives(0));
    EXPECT_THAT(ring.submit(sqe::read_fixed(pipe.read_end, 0, first_, 5).data(1)), Gives(1));
    EXPECT_EQ(ring.close(), 0);
    EXPECT_THAT(ring.reap(), IsEmpty());
}

}  // namespace
}  // namespace ringside::test
