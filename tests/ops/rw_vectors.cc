// IORING_OP_READV and IORING_OP_WRITEV: what is gathered and scattered, and iovec arrays that are no good.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <limits.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "support/files.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

using sqe::file_position;

iovec over(char* start, size_t length) { return {start, length}; }
iovec over(const char* text) { return {const_cast<char*>(text), strlen(text)}; }

TEST(Readv, scatters_over_its_buffers_in_order) {
    RawRing ring;
    const Fd file = file_with("0123456789");
    char one[4] = {};
    char two[8] = {};
    const iovec vectors[] = {over(one, 3), over(two, 5)};
    EXPECT_THAT(ring.run(sqe::readv(file, vectors, 2, 1)), Gives(8));
    EXPECT_STREQ(one, "123");
    EXPECT_STREQ(two, "45678");
}

TEST(Readv, on_a_slot_without_a_file_has_its_buffers_looked_at_first) {
    RawRing ring;
    auto* const nowhere = static_cast<iovec*>(ForbiddenPage().address());
    EXPECT_THAT(ring.submit(sqe::readv(5, nowhere, 1).data(1).flag(IOSQE_FIXED_FILE), sqe::nop()), Gives(1));
    EXPECT_THAT(ring.wait(1), testing::ElementsAre(Completes(1, -EFAULT)));
    RawRing other;
    iovec good = {nullptr, 0};
    EXPECT_THAT(other.run(sqe::readv(5, &good, 1).flag(IOSQE_FIXED_FILE)), Gives(-EBADF));
}

TEST(Readv, falls_short_in_the_buffer_where_the_file_ends) {
    RawRing ring;
    const Fd file = file_with("01234");
    char one[4] = {};
    char two[8] = {};
    const iovec vectors[] = {over(one, 3), over(two, 5)};
    EXPECT_THAT(ring.run(sqe::readv(file, vectors, 2)), Gives(5));
    EXPECT_STREQ(one, "012");
    EXPECT_STREQ(two, "34");
}

TEST(Readv, at_offset_minus_one_uses_and_advances_the_position) {
    RawRing ring;
    const Fd file = file_with("0123456789");
    char buffer[8] = {};
    const iovec vector = over(buffer, 4);
    EXPECT_THAT(ring.run(sqe::readv(file, &vector, 1, file_position)), Gives(4));
    EXPECT_THAT(ring.run(sqe::readv(file, &vector, 1, file_position)), Gives(4));
    EXPECT_STREQ(buffer, "4567");
}

TEST(Readv, with_no_buffers_or_empty_ones_gives_zero) {
    RawRing ring;
    const Fd file = file_with("content");
    const iovec empty[] = {{nullptr, 0}, {nullptr, 0}};
    EXPECT_THAT(ring.run(sqe::readv(file, nullptr, 0)), Gives(0));
    EXPECT_THAT(ring.run(sqe::readv(file, empty, 2)), Gives(0));
}

TEST(Readv, passes_over_empty_buffers) {
    RawRing ring;
    const Fd file = file_with("content");
    char one[4] = {};
    char two[5] = {};
    const iovec vectors[] = {{nullptr, 0}, over(one, 3), {nullptr, 0}, over(two, 4), {nullptr, 0}};
    EXPECT_THAT(ring.run(sqe::readv(file, vectors, 5)), Gives(7));
    EXPECT_STREQ(one, "con");
    EXPECT_STREQ(two, "tent");
}

TEST(Readv, with_as_many_buffers_as_there_may_be) {
    RawRing ring;
    const std::string content(IOV_MAX, 'x');
    const Fd file = file_with(content);
    std::string buffer(IOV_MAX, '\0');
    std::vector<iovec> vectors;
    for (size_t index = 0; index < IOV_MAX; ++index) vectors.push_back(over(&buffer[index], 1));
    EXPECT_THAT(ring.run(sqe::readv(file, vectors.data(), IOV_MAX)), Gives(IOV_MAX));
    EXPECT_EQ(buffer, content);
}

TEST(Readv, with_more_buffers_than_there_may_be_is_refused) {
    RawRing ring;
    const Fd file = file_with("content");
    const std::vector<iovec> vectors(IOV_MAX + 1);
    EXPECT_THAT(ring.run(sqe::readv(file, vectors.data(), IOV_MAX + 1)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::readv(file, vectors.data(), UINT_MAX)), Gives(-EINVAL));
}

TEST(Readv, with_an_array_that_is_not_there_gives_efault) {
    RawRing ring;
    const Fd file = file_with("content");
    const ForbiddenPage page;
    EXPECT_THAT(ring.run(sqe::readv(file, nullptr, 1)), Gives(-EFAULT));
    EXPECT_THAT(ring.run(sqe::readv(file, static_cast<const iovec*>(page.address()), 1)), Gives(-EFAULT));
    // The array's first element alone is there.
    auto* vectors = reinterpret_cast<iovec*>(page.brink(sizeof(iovec)));
    char buffer[8];
    vectors[0] = over(buffer, 4);
    EXPECT_THAT(ring.run(sqe::readv(file, vectors, 1)), Gives(4));
    EXPECT_THAT(ring.run(sqe::readv(file, vectors, 2)), Gives(-EFAULT));
    EXPECT_THAT(ring.run(sqe::readv(file, vectors, 100)), Gives(-EFAULT));
}

TEST(Readv, with_a_buffer_that_is_not_there_gives_what_came_before_it) {
    RawRing ring;
    const Fd file = file_with("content");
    const ForbiddenPage page;
    char buffer[8] = {};
    const iovec good_first[] = {over(buffer, 3), {page.address(), 4}};
    EXPECT_THAT(ring.run(sqe::readv(file, good_first, 2)), Gives(3));
    EXPECT_STREQ(buffer, "con");
    const iovec bad_first[] = {{page.address(), 4}, over(buffer, 3)};
    EXPECT_THAT(ring.run(sqe::readv(file, bad_first, 2)), Gives(-EFAULT));
}

TEST(Readv, with_lengths_that_no_buffer_has_is_refused) {
    RawRing ring;
    const Fd file = file_with("content");
    char buffer[8];
    const iovec negative = {buffer, static_cast<size_t>(-1)};
    EXPECT_THAT(ring.run(sqe::readv(file, &negative, 1)), Gives(-EINVAL));
    const iovec negative_second[] = {over(buffer, 4), {buffer, static_cast<size_t>(INT64_MIN)}};
    EXPECT_THAT(ring.run(sqe::readv(file, negative_second, 2)), Gives(-EINVAL));
}

TEST(Readv, of_a_bad_file_is_refused_before_or_after_the_array_is_looked_at) {
    RawRing ring;
    char buffer[8];
    const iovec vector = over(buffer, 4);
    EXPECT_THAT(ring.run(sqe::readv(-1, &vector, 1)), Gives(-EBADF));
    // The array is read first, as part of the entry.
    EXPECT_THAT(ring.run(sqe::readv(-1, nullptr, 1)), Gives(-EFAULT));
}

TEST(Writev, gathers_its_buffers_in_order) {
    RawRing ring;
    const Fd file = file_with("..........");
    const iovec vectors[] = {over("abc"), over(""), over("de"), over("f")};
    EXPECT_THAT(ring.run(sqe::writev(file, vectors, 4, 2)), Gives(6));
    EXPECT_EQ(content_of(file.get()), "..abcdef..");
}

TEST(Writev, at_offset_minus_one_uses_and_advances_the_position) {
    RawRing ring;
    const Fd file = file_with("");
    const iovec vectors[] = {over("ab"), over("cd")};
    EXPECT_THAT(ring.run(sqe::writev(file, vectors, 2, file_position)), Gives(4));
    EXPECT_THAT(ring.run(sqe::writev(file, vectors, 2, file_position)), Gives(4));
    EXPECT_EQ(content_of(file.get()), "abcdabcd");
}

TEST(Writev, with_no_buffers_gives_zero) {
    RawRing ring;
    const Fd file = file_with("content");
    EXPECT_THAT(ring.run(sqe::writev(file, nullptr, 0)), Gives(0));
    EXPECT_EQ(content_of(file.get()), "content");
}

TEST(Writev, with_an_array_that_is_not_there_gives_efault) {
    RawRing ring;
    const Fd file = file_with("content");
    const ForbiddenPage page;
    EXPECT_THAT(ring.run(sqe::writev(file, nullptr, 1)), Gives(-EFAULT));
    EXPECT_THAT(ring.run(sqe::writev(file, static_cast<const iovec*>(page.address()), 1)), Gives(-EFAULT));
    EXPECT_EQ(content_of(file.get()), "content");
}

TEST(Writev, with_more_buffers_than_there_may_be_is_refused) {
    RawRing ring;
    const Fd file = file_with("content");
    const std::vector<iovec> vectors(IOV_MAX + 1);
    EXPECT_THAT(ring.run(sqe::writev(file, vectors.data(), IOV_MAX + 1)), Gives(-EINVAL));
}

TEST(Writev, with_flags_of_pwritev2) {
    RawRing ring;
    const Fd file = file_with("content");
    const iovec vectors[] = {over("a"), over("b")};
    EXPECT_THAT(ring.run(sqe::writev(file, vectors, 2).set(&Sqe::rw_flags, RWF_APPEND)), Gives(2));
    EXPECT_EQ(content_of(file.get()), "contentab");
}

TEST(Writev, to_a_pipe_and_back) {
    RawRing ring;
    const Pipe pipe;
    const iovec out[] = {over("hello"), over(" "), over("world")};
    char one[8] = {};
    char two[8] = {};
    const iovec in[] = {over(one, 6), over(two, 7)};
    EXPECT_THAT(ring.run(sqe::writev(pipe.write_end, out, 3)), Gives(11));
    EXPECT_THAT(ring.run(sqe::readv(pipe.read_end, in, 2)), Gives(11));
    EXPECT_STREQ(one, "hello ");
    EXPECT_STREQ(two, "world");
}

TEST(Writev, keeps_a_copy_of_a_long_array_while_it_waits) {
    RawRing ring;
    const Pipe pipe;
    std::string buffer(100, '\0');
    {
        std::vector<iovec> vectors;
        for (size_t index = 0; index < buffer.size(); ++index) vectors.push_back(over(&buffer[index], 1));
        EXPECT_THAT(ring.submit(sqe::readv(pipe.read_end, vectors.data(), 100).data(1)), Gives(1));
        memset(static_cast<void*>(vectors.data()), 0xff, vectors.size() * sizeof(iovec));
    }
    const std::string content(100, 'y');
    EXPECT_EQ(write(pipe.write_end, content.data(), 100), 100);
    EXPECT_THAT(ring.wait(1), testing::ElementsAre(Completes(1, 100)));
    EXPECT_EQ(buffer, content);
}

// What is left of it is tried again, and that fails; so the position is not moved, though something was transferred. A
// worker, which reads from memory, does not try again.
TEST(Vectored, half_way_failure_leaves_the_position_where_it_was) {
    RawRing ring;
    const ForbiddenPage page;
    char bytes[4] = {'a', 'b', 'c', 'd'};
    const iovec vectors[] = {over(bytes, 4), over(static_cast<char*>(page.address()), 8)};
    constexpr uint64_t here = ~uint64_t{0};
    for (const bool memory : {false, true}) {
        for (const int flags : {0, O_NONBLOCK, O_APPEND}) {
            SCOPED_TRACE(std::to_string(flags) + (memory ? " in memory" : " on disk"));
            const Fd file = memory ? memory_file_with("content") : file_with("content");
            ASSERT_EQ(fcntl(file, F_SETFL, flags), 0);
            EXPECT_EQ(lseek(file, 1, SEEK_SET), 1);
            EXPECT_THAT(ring.run(sqe::readv(file, vectors, 2, here)), Gives(4));
            EXPECT_EQ(lseek(file, 0, SEEK_CUR), memory && flags != O_NONBLOCK ? 5 : 1);
            for (const unsigned by_worker : {IOSQE_ASYNC, IOSQE_IO_LINK, IOSQE_IO_DRAIN}) {
                EXPECT_EQ(lseek(file, 1, SEEK_SET), 1);
                EXPECT_THAT(ring.run(sqe::readv(file, vectors, 2, here).flag(by_worker)), Gives(4));
                EXPECT_EQ(lseek(file, 0, SEEK_CUR), 5);
            }
            EXPECT_EQ(lseek(file, 1, SEEK_SET), 1);
            EXPECT_THAT(ring.run(sqe::writev(file, vectors, 2, here)), Gives(4));
            EXPECT_EQ(lseek(file, 0, SEEK_CUR), 1);
            EXPECT_THAT(ring.run(sqe::write(file, page.brink(4), 8, here)), Gives(4));
            EXPECT_EQ(lseek(file, 0, SEEK_CUR), 1);
        }
    }
}

TEST(Readv, finds_a_length_that_is_none_before_iovecs_that_cannot_be_read) {
    RawRing ring;
    const ForbiddenPage page;
    auto* const vectors = reinterpret_cast<iovec*>(page.brink(2 * sizeof(iovec)));
    char byte;
    vectors[0] = {&byte, 1};
    vectors[1] = {&byte, static_cast<size_t>(-1)};
    for (const unsigned flag : {0u, unsigned{IOSQE_ASYNC}}) {
        EXPECT_THAT(ring.run(sqe::readv(-1, vectors, 100).flag(flag)), Gives(-EINVAL));
        EXPECT_THAT(ring.run(sqe::writev(-1, vectors, 1024).flag(flag)), Gives(-EINVAL));
    }
    vectors[1].iov_len = 1;
    EXPECT_THAT(ring.run(sqe::readv(-1, vectors, 100)), Gives(-EFAULT));
}

}  // namespace
}  // namespace ringside::test
