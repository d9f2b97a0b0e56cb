// READ_FIXED, WRITE_FIXED, READV_FIXED and WRITEV_FIXED: transfers within registered buffers.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>

#include "register/buffers.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class FixedTransfer : public testing::Test {
  protected:
    void SetUp() override { ASSERT_THAT(register_buffers(ring_, {{start_, 100}, {nullptr, 0}}), Gives(0)); }

    Cqe read(const char* address, uint32_t length, uint64_t offset = 0) {
        return ring_.run(sqe::read_fixed(file_, 0, address, length, offset));
    }
    Cqe readv(const std::vector<iovec>& parts) {
        return ring_.run(sqe::readv_fixed(file_, 0, parts.data(), static_cast<unsigned>(parts.size())));
    }

    RawRing ring_;
    Fd file_ = file_with("hello world");
    AlignedBuffer memory_{8192};
    char* const start_ = memory_.data() + 4096;
};

TEST_F(FixedTransfer, reads_and_writes_at_an_offset) {
    EXPECT_THAT(read(start_ + 10, 5, 6), Gives(5));
    EXPECT_EQ(std::string(start_ + 10), "world");
    EXPECT_THAT(ring_.run(sqe::write_fixed(file_, 0, start_ + 10, 5, 3)), Gives(5));
    EXPECT_EQ(content_of(file_), "helworldrld");
}

TEST_F(FixedTransfer, uses_the_file_position_if_asked_to) {
    for (const char* part : {"hello", " worl", "d"}) {
        memset(start_, 0, 10);
        EXPECT_EQ(read(start_, 5, sqe::file_position).res, static_cast<int>(strlen(part)));
        EXPECT_STREQ(start_, part);
    }
}

TEST_F(FixedTransfer, stays_within_its_buffer) {
    EXPECT_THAT(read(start_, 100), Gives(11));
    EXPECT_THAT(read(start_ + 95, 5), Gives(5));
    EXPECT_THAT(read(start_ + 95, 6), Gives(-EFAULT));
    EXPECT_THAT(read(start_ - 1, 6), Gives(-EFAULT));
    EXPECT_THAT(read(start_, 101), Gives(-EFAULT));
    EXPECT_THAT(read(start_, 1U << 31), Gives(-EFAULT));
    EXPECT_THAT(read(reinterpret_cast<char*>(~uintptr_t{0}), 5), Gives(-EFAULT));
    EXPECT_THAT(read(nullptr, 0), Gives(-EFAULT)) << "even if there is nothing to transfer";
    EXPECT_THAT(read(start_ + 101, 0), Gives(-EFAULT));
    EXPECT_THAT(read(start_ + 100, 0), Gives(0));
}

TEST_F(FixedTransfer, needs_a_buffer_in_the_slot) {
    EXPECT_THAT(ring_.run(sqe::read_fixed(file_, 1, start_, 5)), Gives(-EFAULT));
    EXPECT_THAT(ring_.run(sqe::read_fixed(file_, 2, start_, 5)), Gives(-EFAULT));
    EXPECT_THAT(RawRing().run(sqe::read_fixed(file_, 0, start_, 5)), Gives(-EFAULT));
    // It is found out when the request is issued: the batch goes on.
    EXPECT_THAT(ring_.submit(sqe::read_fixed(file_, 1, start_, 5).data(1), sqe::nop().data(2)), Gives(2));
    EXPECT_THAT(ring_.wait(2), ElementsAre(Completes(1, -EFAULT), Completes(2, 0)));
}

TEST_F(FixedTransfer, tells_of_a_bad_file_first_and_of_a_bad_mode_last) {
    const Fd write_only(open("/dev/null", O_WRONLY | O_CLOEXEC));
    EXPECT_THAT(ring_.run(sqe::read_fixed(-1, 9, start_, 5)), Gives(-EBADF));
    EXPECT_THAT(ring_.run(sqe::read_fixed(write_only, 9, start_, 5)), Gives(-EFAULT));
    EXPECT_THAT(ring_.run(sqe::read_fixed(write_only, 0, start_, 5)), Gives(-EBADF));
    EXPECT_THAT(ring_.run(sqe::read_fixed(file_, 9, start_, 5).set(&Sqe::rw_flags, 1 << 30)), Gives(-EFAULT));
    EXPECT_THAT(ring_.run(sqe::read_fixed(file_, 0, start_, 5).set(&Sqe::rw_flags, 1 << 30)), Gives(-EOPNOTSUPP));
}

TEST_F(FixedTransfer, ignores_or_refuses_the_fields_that_plain_ones_do) {
    const Sqe good = sqe::read_fixed(file_, 0, start_, 5);
    EXPECT_THAT(ring_.run(Sqe(good).set(&Sqe::ioprio, 1)), Gives(-EINVAL));
    EXPECT_THAT(ring_.run(Sqe(good).set(&Sqe::file_index, 7).set(&Sqe::addr3, 7)), Gives(5));
    EXPECT_THAT(ring_.run(Sqe(good).flag(IOSQE_BUFFER_SELECT)), Gives(-EOPNOTSUPP));
}

TEST_F(FixedTransfer, goes_to_a_worker_if_asked_to) {
    EXPECT_THAT(ring_.run(sqe::read_fixed(file_, 0, start_, 5).flag(IOSQE_ASYNC)), Gives(5));
    EXPECT_THAT(ring_.run(sqe::write_fixed(file_, 0, start_, 5, 11).flag(IOSQE_ASYNC)), Gives(5));
    EXPECT_EQ(content_of(file_), "hello worldhello");
    EXPECT_THAT(ring_.run(sqe::read_fixed(file_, 1, start_, 5).flag(IOSQE_ASYNC)), Gives(-EFAULT));
    const iovec parts[] = {{start_, 2}, {start_ + 50, 3}};
    EXPECT_THAT(ring_.run(sqe::readv_fixed(file_, 0, parts, 2).flag(IOSQE_ASYNC)), Gives(5));
    EXPECT_EQ(std::string(start_ + 50), "llo");
}

TEST_F(FixedTransfer, severs_its_chain_when_it_is_short) {
    const auto run_linked = [&](const Sqe& first) {
        EXPECT_THAT(ring_.submit(Sqe(first).data(1).flag(IOSQE_IO_LINK), sqe::nop().data(2)), Gives(2));
        return ring_.wait(2);
    };
    EXPECT_THAT(run_linked(sqe::read_fixed(file_, 0, start_, 11)), ElementsAre(Completes(1, 11), Completes(2, 0)));
    EXPECT_THAT(run_linked(sqe::read_fixed(file_, 0, start_, 12)),
                ElementsAre(Completes(1, 11), Completes(2, -ECANCELED)));
    EXPECT_THAT(run_linked(sqe::read_fixed(file_, 1, start_, 11)),
                ElementsAre(Completes(1, -EFAULT), Completes(2, -ECANCELED)));
}

TEST_F(FixedTransfer, is_as_long_as_the_buffer_may_be) {
    constexpr size_t size = size_t{3} << 20;
    AlignedBuffer large(size);
    memset(large.data(), 'x', size);
    EXPECT_THAT(update_buffers(ring_, 1, {vector_of(large)}), Gives(1));
    const Fd target = file_with("");
    EXPECT_THAT(ring_.run(sqe::write_fixed(target, 1, large.data(), size)), Gives(static_cast<int>(size)));
    memset(large.data(), 0, size);
    EXPECT_THAT(ring_.run(sqe::read_fixed(target, 1, large.data(), size)), Gives(static_cast<int>(size)));
    EXPECT_EQ(std::string(large.data(), size), std::string(size, 'x'));
}

// --- Several parts --------------------------------------------------------------------------------------------------

TEST_F(FixedTransfer, scatters_and_gathers_within_its_buffer) {
    EXPECT_THAT(readv({{start_, 3}, {start_ + 10, 3}, {start_ + 96, 4}}), Gives(10));
    EXPECT_EQ(std::string(start_), "hel");
    EXPECT_EQ(std::string(start_ + 10), "lo ");
    EXPECT_EQ(std::string(start_ + 96, 4), "worl");
    const iovec parts[] = {{start_ + 10, 2}, {start_, 2}};
    EXPECT_THAT(ring_.run(sqe::writev_fixed(file_, 0, parts, 2, 11)), Gives(4));
    EXPECT_EQ(content_of(file_), "hello worldlohe");
    EXPECT_THAT(readv(std::vector<iovec>(1024, iovec{start_, 1})), Gives(15));
}

TEST_F(FixedTransfer, needs_every_part_within_its_buffer) {
    EXPECT_THAT(readv({{start_, 3}, {start_ + 96, 5}}), Gives(-EFAULT));
    EXPECT_THAT(readv({{start_ - 1, 3}}), Gives(-EFAULT));
    EXPECT_THAT(readv({{start_, 3}, {start_ + 10, 0}, {start_ + 20, 3}}), Gives(-EFAULT)) << "an empty one is none";
    EXPECT_THAT(readv({{start_, ~size_t{0}}}), Gives(-EINVAL));
    EXPECT_THAT(readv({{reinterpret_cast<void*>(uintptr_t{1} << 63), 4}}), Gives(-EFAULT));
    EXPECT_THAT(readv({{start_, 3}, {start_, size_t{1} << 44}}), Gives(-EOVERFLOW)) << "more pages than can be counted";
    const iovec part = {start_, 3};
    EXPECT_THAT(ring_.run(sqe::readv_fixed(file_, 1, &part, 1)), Gives(-EFAULT));
    EXPECT_THAT(ring_.run(sqe::readv_fixed(-1, 1, &part, 1)), Gives(-EBADF));
    EXPECT_THAT(ring_.run(sqe::readv_fixed(Fd(open("/tmp", O_PATH | O_CLOEXEC)), 1, &part, 1)), Gives(-EBADF));
}

TEST_F(FixedTransfer, reads_the_array_of_parts_when_it_is_submitted) {
    const ForbiddenPage page;
    const auto* const forbidden = static_cast<const iovec*>(page.address());
    EXPECT_THAT(readv({}), Gives(0));
    EXPECT_THAT(readv(std::vector<iovec>(1025, iovec{start_, 1})), Gives(-EINVAL));
    EXPECT_THAT(ring_.submit(sqe::readv_fixed(file_, 0, forbidden, 1).data(1), sqe::nop().data(2)), Gives(1))
        << "the batch ends with it";
    EXPECT_THAT(ring_.wait(1), ElementsAre(Completes(1, -EFAULT)));
    EXPECT_THAT(ring_.submit_pushed(1), Gives(1));
    EXPECT_THAT(ring_.wait(1), ElementsAre(Completes(2, 0)));
}

// --- Protection information -----------------------------------------------------------------------------------------

TEST_F(FixedTransfer, has_protection_information_looked_at_that_no_file_here_has) {
    io_uring_attr_pi information = {};
    const auto run_with = [&](const Sqe& sqe, const void* attribute) {
        return ring_.run(
            Sqe(sqe).set(&Sqe::attr_type_mask, IORING_RW_ATTR_FLAG_PI).set(&Sqe::attr_ptr, address_of(attribute)));
    };
    const Pipe pipe;
    const iovec part = {start_, 5};
    for (const Sqe& good :
         {sqe::read(file_, start_, 5), sqe::write(file_, "hello", 5), sqe::read(pipe.read_end, start_, 5),
          sqe::readv(file_, &part, 1), sqe::read_fixed(file_, 0, start_, 5), sqe::readv_fixed(file_, 0, &part, 1),
          sqe::read(file_, start_, 5).flag(IOSQE_ASYNC)}) {
        SCOPED_TRACE(testing::Message() << "opcode " << static_cast<int>(good.opcode));
        EXPECT_THAT(run_with(good, &information), Gives(-EINVAL));
        EXPECT_THAT(run_with(good, ForbiddenPage().address()), Gives(-EFAULT));
        EXPECT_THAT(run_with(Sqe(good).set(&Sqe::fd, -1), &information), Gives(-EBADF));
    }
    information.addr = uint64_t{1} << 63;
    information.len = 8;
    EXPECT_THAT(run_with(sqe::read(file_, start_, 5), &information), Gives(-EFAULT));
    information.rsvd = 1;
    EXPECT_THAT(run_with(sqe::read(file_, start_, 5), &information), Gives(-EINVAL));
    EXPECT_THAT(run_with(sqe::read_fixed(file_, 1, start_, 5), &information), Gives(-EINVAL));
    information = {};
    EXPECT_THAT(run_with(sqe::read_fixed(file_, 1, start_, 5), &information), Gives(-EFAULT)) << "no buffer there";
}

}  // namespace
}  // namespace ringside::test
