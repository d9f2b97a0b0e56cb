// IORING_OP_STATX and IORING_OP_FSYNC.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "support/files.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

// Every byte is overwritten by a statx that succeeds.
struct statx untouched() {
    struct statx status;
    memset(&status, 0xee, sizeof(status));
    return status;
}

void expect_same_file(const struct statx& one, const std::string& path) {
    struct statx other = untouched();
    ASSERT_EQ(statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &other), 0);
    EXPECT_EQ(one.stx_ino, other.stx_ino);
    EXPECT_EQ(one.stx_dev_minor, other.stx_dev_minor);
    EXPECT_EQ(one.stx_mode, other.stx_mode);
    EXPECT_EQ(one.stx_size, other.stx_size);
    EXPECT_EQ(one.stx_mtime.tv_nsec, other.stx_mtime.tv_nsec);
}

TEST(Statx, tells_about_a_file_by_its_path) {
    RawRing ring;
    const TemporaryDirectory directory;
    const std::string path = directory.add("file", "content");
    struct statx status = untouched();
    EXPECT_THAT(ring.run(sqe::statx(AT_FDCWD, path.c_str(), 0, STATX_BASIC_STATS, &status)), Gives(0));
    EXPECT_EQ(status.stx_size, 7u);
    EXPECT_EQ(status.stx_mask & STATX_BASIC_STATS, STATX_BASIC_STATS);
    expect_same_file(status, path);
}

TEST(Statx, path_that_is_none_ends_the_batch_and_a_missing_file_does_not) {
    const ForbiddenPage forbidden;
    struct statx status;
    const std::string long_path(5000, 'x');
    const std::pair<const char*, int> paths[] = {
        {static_cast<const char*>(forbidden.address()), -EFAULT}, {"", -ENOENT}, {long_path.c_str(), -ENAMETOOLONG}};
    for (const auto& [path, error] : paths) {
        RawRing ring;
        EXPECT_THAT(ring.submit(sqe::statx(AT_FDCWD, path, 0, STATX_BASIC_STATS, &status), sqe::nop()), Gives(1));
        EXPECT_THAT(ring.wait(1), testing::ElementsAre(Completes(0, error)));
        // It fails, so it is heard of, unlike a statx that has not found its file.
        RawRing other;
        const Sqe silent = sqe::statx(AT_FDCWD, path, 0, STATX_BASIC_STATS, &status).flag(IOSQE_CQE_SKIP_SUCCESS);
        EXPECT_THAT(other.run(silent), Gives(error));
        Sqe missing = silent;
        EXPECT_THAT(other.submit(missing.set(&Sqe::addr, address_of("/no/where"))), Gives(1));
        EXPECT_THAT(other.linger(5), testing::IsEmpty());
    }
    RawRing ring;
    EXPECT_THAT(
        ring.submit(sqe::statx(AT_FDCWD, "/no/where", 0, STATX_BASIC_STATS, &status).data(1), sqe::nop().data(2)),
        Gives(2));
    EXPECT_THAT(ring.wait(2), testing::UnorderedElementsAre(Completes(1, -ENOENT), Completes(2, 0)));
}

TEST(Statx, tells_about_a_link_itself_where_links_are_not_followed) {
    RawRing ring;
    const TemporaryDirectory directory;
    const std::string file = directory.add("file", "content"), link = directory.path_of("link");
    ASSERT_EQ(symlink(file.c_str(), link.c_str()), 0);
    struct statx status = untouched();
    EXPECT_THAT(ring.run(sqe::statx(AT_FDCWD, link.c_str(), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &status)),
                Gives(0));
    EXPECT_TRUE(S_ISLNK(status.stx_mode));
    EXPECT_THAT(ring.run(sqe::statx(AT_FDCWD, link.c_str(), 0, STATX_BASIC_STATS, &status)), Gives(0));
    expect_same_file(status, file);
}

TEST(Statx, path_may_change_once_the_request_is_submitted) {
    // Whether it completes inline or in a worker, in a chain or alone.
    RawRing ring;
    const TemporaryDirectory directory;
    std::string path = directory.add("file", "content");
    struct statx first = untouched(), second = untouched();
    EXPECT_THAT(ring.submit(sqe::statx(AT_FDCWD, path.c_str(), 0, STATX_BASIC_STATS, &first).flag(IOSQE_IO_LINK),
                            sqe::statx(AT_FDCWD, path.c_str(), AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &second)),
                Gives(2));
    const std::string same = path;
    path.assign(path.size(), 'x');
    EXPECT_THAT(ring.wait(2), testing::ElementsAre(Gives(0), Gives(0)));
    expect_same_file(first, same);
    expect_same_file(second, same);
}

TEST(Statx, takes_a_path_relative_to_a_directory) {
    RawRing ring;
    const TemporaryDirectory directory;
    const std::string path = directory.add("file", "content");
    const Fd parent(open(directory.path().c_str(), O_PATH | O_CLOEXEC));
    struct statx status = untouched();
    EXPECT_THAT(ring.run(sqe::statx(parent, "file", 0, STATX_BASIC_STATS, &status)), Gives(0));
    expect_same_file(status, path);
}

TEST(Statx, tells_about_an_open_file_without_a_path) {
    RawRing ring;
    const Fd file = file_with("content");
    struct statx status = untouched();
    EXPECT_THAT(ring.run(sqe::statx(file, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &status)), Gives(0));
    EXPECT_EQ(status.stx_size, 7u);
    EXPECT_EQ(status.stx_nlink, 0u);
    // The path must be there all the same, though statx(2) itself has come to take none.
    EXPECT_THAT(ring.run(sqe::statx(file, nullptr, AT_EMPTY_PATH, STATX_BASIC_STATS, &status)), Gives(-EFAULT));
}

TEST(Statx, follows_a_link_unless_told_not_to) {
    RawRing ring;
    const TemporaryDirectory directory;
    const std::string path = directory.add("file", "content");
    const std::string link = directory.path_of("link");
    ASSERT_EQ(symlink("file", link.c_str()), 0);
    struct statx status = untouched();
    EXPECT_THAT(ring.run(sqe::statx(AT_FDCWD, link.c_str(), 0, STATX_BASIC_STATS, &status)), Gives(0));
    expect_same_file(status, path);
    EXPECT_THAT(ring.run(sqe::statx(AT_FDCWD, link.c_str(), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &status)),
                Gives(0));
    expect_same_file(status, link);
    EXPECT_TRUE(S_ISLNK(status.stx_mode));
}

TEST(Statx, takes_flags_about_synchronisation) {
    RawRing ring;
    struct statx status;
    for (const unsigned flags : {AT_STATX_FORCE_SYNC, AT_STATX_DONT_SYNC, AT_STATX_SYNC_AS_STAT}) {
        EXPECT_THAT(ring.run(sqe::statx(AT_FDCWD, "/", flags, STATX_BASIC_STATS, &status)), Gives(0));
    }
    EXPECT_THAT(ring.run(sqe::statx(AT_FDCWD, "/", AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC, STATX_ALL, &status)),
                Gives(-EINVAL));
}

TEST(Statx, tells_each_error) {
    RawRing ring;
    const ForbiddenPage page;
    const Fd file = memory_file_with("");
    struct statx status;
    EXPECT_THAT(ring.run(sqe::statx(AT_FDCWD, "/nowhere", 0, STATX_ALL, &status)), Gives(-ENOENT));
    EXPECT_THAT(ring.run(sqe::statx(AT_FDCWD, "", 0, STATX_ALL, &status)), Gives(-ENOENT));
    EXPECT_THAT(ring.run(sqe::statx(-1, "relative", 0, STATX_ALL, &status)), Gives(-EBADF));
    EXPECT_THAT(ring.run(sqe::statx(-1, "", AT_EMPTY_PATH, STATX_ALL, &status)), Gives(-EBADF));
    EXPECT_THAT(ring.run(sqe::statx(file, "relative", 0, STATX_ALL, &status)), Gives(-ENOTDIR));
    EXPECT_THAT(ring.run(sqe::statx(AT_FDCWD, "/dev/null/below", 0, STATX_ALL, &status)), Gives(-ENOTDIR));
    EXPECT_THAT(ring.run(sqe::statx(AT_FDCWD, "/", 1U << 30, STATX_ALL, &status)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::statx(AT_FDCWD, "/", 0, STATX__RESERVED, &status)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::statx(AT_FDCWD, nullptr, 0, STATX_ALL, &status)), Gives(-EFAULT));
    EXPECT_THAT(ring.run(sqe::statx(AT_FDCWD, static_cast<char*>(page.address()), 0, STATX_ALL, &status)),
                Gives(-EFAULT));
    EXPECT_THAT(ring.run(sqe::statx(AT_FDCWD, "/", 0, STATX_ALL, nullptr)), Gives(-EFAULT));
    EXPECT_THAT(ring.run(sqe::statx(AT_FDCWD, "/", 0, STATX_ALL, page.brink(100))), Gives(-EFAULT));
}

TEST(Statx, of_a_fixed_file_is_refused) {
    RawRing ring;
    struct statx status;
    EXPECT_THAT(ring.run(sqe::statx(0, "", AT_EMPTY_PATH, STATX_ALL, &status).flag(IOSQE_FIXED_FILE)), Gives(-EBADF));
}

TEST(Fsync, puts_a_file_on_its_device) {
    RawRing ring;
    const Fd file = file_with("content");
    EXPECT_THAT(ring.run(sqe::fsync(file)), Gives(0));
    EXPECT_THAT(ring.run(sqe::fsync(file, IORING_FSYNC_DATASYNC)), Gives(0));
}

TEST(Fsync, takes_a_range) {
    RawRing ring;
    const Fd file = memory_file_with("content");
    EXPECT_THAT(ring.run(sqe::fsync(file, 0, 2, 3)), Gives(0));
    EXPECT_THAT(ring.run(sqe::fsync(file, IORING_FSYNC_DATASYNC, 100, 1)), Gives(0));
    EXPECT_THAT(ring.run(sqe::fsync(file, 0, static_cast<uint64_t>(-5), 1)), Gives(-EINVAL));
}

TEST(Fsync, works_on_a_directory) {
    RawRing ring;
    const TemporaryDirectory directory;
    const Fd fd(open(directory.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    EXPECT_THAT(ring.run(sqe::fsync(fd)), Gives(0));
}

TEST(Fsync, of_what_has_no_device_is_refused) {
    RawRing ring;
    const Pipe pipe;
    const Ends ends = unix_pair(SOCK_STREAM);
    EXPECT_THAT(ring.run(sqe::fsync(pipe.read_end)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::fsync(ends.near)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::fsync(-1)), Gives(-EBADF));
    EXPECT_THAT(ring.run(sqe::fsync(1'000'000)), Gives(-EBADF));
}

TEST(Fsync, refuses_unknown_flags) {
    RawRing ring;
    const Fd file = memory_file_with("");
    for (unsigned bit = 1; bit < 32; ++bit) EXPECT_THAT(ring.run(sqe::fsync(file, 1U << bit)), Gives(-EINVAL)) << bit;
}

TEST(Fsync, holds_up_nobody) {
    RawRing ring;
    const Fd file = file_with(std::string(100'000, 'x'));
    EXPECT_THAT(ring.submit(sqe::fsync(file).data(1), sqe::nop().data(2)), Gives(2));
    EXPECT_THAT(ring.wait(2), testing::UnorderedElementsAre(Completes(1, 0), Completes(2, 0)));
}

}  // namespace
}  // namespace ringside::test
