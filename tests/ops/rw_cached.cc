// Reads of a file that is in memory, batch after batch, so that an implementation may have come to know it; and what
// becomes of such knowledge when the file changes.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

#include "register/buffers.h"
#include "register/fixed_files.h"

namespace ringside::test {
namespace {

using testing::Each;

class CachedFile : public testing::Test {
  protected:
    static constexpr unsigned pieces = 16, size = 512;

    static std::string text() {
        std::string all;
        for (unsigned i = 0; i < pieces; ++i) all += std::string(size, static_cast<char>('a' + i));
        return all;
    }

    // Reads all pieces in one batch, out of order, and returns the results by piece.
    std::vector<int> read_all(int fd, unsigned flags = 0) {
        std::vector<int> results(pieces);
        memory_.assign(pieces * size, '.');
        for (unsigned i = 0; i < pieces; ++i) {
            const unsigned piece = i * 7 % pieces;
            ring_.push(sqe::read(fd, memory_.data() + piece * size, size, piece * size).flag(flags).data(piece));
        }
        EXPECT_EQ(ring_.enter(pieces), static_cast<int>(pieces));
        for (const Cqe& cqe : ring_.wait(pieces)) results.at(cqe.user_data) = cqe.res;
        return results;
    }
    void become_known(int fd, unsigned flags = 0) {
        for (unsigned turn = 0; turn < 100; ++turn) {
            ASSERT_THAT(read_all(fd, flags), Each(size));
            ASSERT_EQ(memory_, text());
        }
    }

    RawRing ring_{32};
    std::string memory_;
    Fd file_ = file_with(text());
};

TEST_F(CachedFile, is_read_again_and_again) { become_known(file_); }

TEST_F(CachedFile, is_read_from_its_slot) {
    ASSERT_THAT(register_files(ring_, {file_}), Gives(0));
    become_known(0, IOSQE_FIXED_FILE);
}

TEST_F(CachedFile, shows_what_is_written_to_it) {
    become_known(file_);
    ASSERT_EQ(pwrite(file_, "NEW", 3, 5 * size), 3);
    EXPECT_THAT(read_all(file_), Each(size));
    EXPECT_EQ(memory_.substr(5 * size, 4), "NEWf");
}

TEST_F(CachedFile, ends_earlier_once_it_is_truncated) {
    become_known(file_);
    ASSERT_EQ(ftruncate(file_, 3 * size + 100), 0);
    const std::vector<int> results = read_all(file_);
    for (unsigned i = 0; i < pieces; ++i) EXPECT_EQ(results[i], i < 3 ? int{size} : i == 3 ? 100 : 0) << i;
    EXPECT_EQ(memory_.substr(3 * size + 100, 10), "..........");
}

TEST_F(CachedFile, is_read_from_the_disk_once_it_has_left_memory) {
    become_known(file_);
    ASSERT_EQ(fsync(file_), 0);
    ASSERT_EQ(posix_fadvise(file_, 0, 0, POSIX_FADV_DONTNEED), 0);
    become_known(file_);
}

TEST_F(CachedFile, may_become_another) {
    become_known(file_);
    const Pipe pipe;
    ASSERT_EQ(dup2(pipe.read_end, file_), file_.get());
    ASSERT_EQ(write(pipe.write_end, text().data(), text().size()), static_cast<ssize_t>(text().size()));
    EXPECT_THAT(read_all(file_), Each(size));
    file_.reset();
    EXPECT_THAT(read_all(999), Each(-EBADF));
}

TEST_F(CachedFile, is_not_waited_for_by_others_when_it_becomes_an_empty_pipe) {
    become_known(file_);
    const Pipe pipe;
    ASSERT_EQ(dup2(pipe.read_end, file_), file_.get());
    char byte = '.';
    for (unsigned i = 0; i < 4; ++i) ring_.push(sqe::read(file_, &byte, 1, 8 * i));
    ring_.push(sqe::nop().data(9));
    EXPECT_EQ(ring_.enter(5), 5);
    EXPECT_THAT(ring_.wait(1), testing::ElementsAre(Completes(9, 0)));
    ASSERT_EQ(write(pipe.write_end, "abcd", 4), 4);
    EXPECT_EQ(ring_.wait(4).size(), 4u);
}

TEST_F(CachedFile, refuses_bad_memory_each_time) {
    become_known(file_);
    const ForbiddenPage forbidden;
    for (unsigned i = 0; i < pieces; ++i) {
        const bool bad = i % 4 == 3;
        ring_.push(sqe::read(file_, bad ? forbidden.address() : memory_.data(), size, (i * 5 % pieces) * size).data(i));
    }
    EXPECT_EQ(ring_.enter(pieces), static_cast<int>(pieces));
    for (const Cqe& cqe : ring_.wait(pieces)) EXPECT_EQ(cqe.res, cqe.user_data % 4 == 3 ? -EFAULT : int{size});
}

}  // namespace
}  // namespace ringside::test
