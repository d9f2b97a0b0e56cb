// IORING_OP_OPENAT and IORING_OP_CLOSE.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "support/files.h"
#include "support/interruption.h"
#include "support/process.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;
using testing::UnorderedElementsAre;

// Opens through the ring; the descriptor, or -errno.
Fd open_through(RawRing& ring, int directory, const std::string& path, unsigned flags, unsigned mode = 0) {
    return Fd(ring.run(sqe::openat(directory, path.c_str(), flags, mode)).res);
}

bool is_open(int fd) { return fcntl(fd, F_GETFD) >= 0; }

TEST(Openat, opens_a_file_by_its_absolute_path) {
    RawRing ring;
    const TemporaryDirectory directory;
    const Fd file = open_through(ring, -1, directory.add("file", "content"), O_RDONLY);
    ASSERT_GE(file.get(), 0);
    EXPECT_EQ(content_of(file.get()), "content");
}

TEST(Openat, opens_relative_to_a_directory_and_to_the_working_directory) {
    RawRing ring;
    const TemporaryDirectory directory;
    directory.add("file", "content");
    const Fd parent(open(directory.path().c_str(), O_PATH | O_CLOEXEC));
    const Fd file = open_through(ring, parent, "file", O_RDONLY);
    ASSERT_GE(file.get(), 0);
    EXPECT_EQ(content_of(file.get()), "content");
    EXPECT_THAT(ring.run(sqe::openat(AT_FDCWD, "no such file here", O_RDONLY)), Gives(-ENOENT));
    const Fd here = open_through(ring, AT_FDCWD, ".", O_RDONLY | O_DIRECTORY);
    EXPECT_GE(here.get(), 0);
}

TEST(Openat, gives_the_lowest_free_descriptor) {
    RawRing ring;
    Fd lowest(dup(0));
    const int number = lowest.get();
    lowest.reset();
    EXPECT_EQ(open_through(ring, AT_FDCWD, "/dev/null", O_RDONLY).get(), number);
}

TEST(Openat, creates_a_file_with_the_mode_that_the_umask_leaves) {
    RawRing ring;
    const TemporaryDirectory directory;
    const mode_t before = umask(027);
    const Fd file = open_through(ring, AT_FDCWD, directory.path_of("new"), O_CREAT | O_EXCL | O_RDWR, 0666);
    umask(before);
    ASSERT_GE(file.get(), 0);
    struct stat status;
    ASSERT_EQ(fstat(file, &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0640u);
    EXPECT_THAT(ring.run(sqe::openat(AT_FDCWD, directory.path_of("new").c_str(), O_CREAT | O_EXCL | O_RDWR, 0666)),
                Gives(-EEXIST));
}

TEST(Openat, truncates_and_appends_as_its_flags_say) {
    RawRing ring;
    const TemporaryDirectory directory;
    const std::string path = directory.add("file", "content");
    {
        const Fd file = open_through(ring, AT_FDCWD, path, O_WRONLY | O_APPEND);
        EXPECT_EQ(write(file, "!", 1), 1);
        EXPECT_EQ(content_of(path), "content!");
    }
    const Fd file = open_through(ring, AT_FDCWD, path, O_WRONLY | O_TRUNC);
    EXPECT_GE(file.get(), 0);
    EXPECT_EQ(content_of(path), "");
}

TEST(Openat, sets_close_on_exec_only_when_told_to) {
    RawRing ring;
    const Fd kept = open_through(ring, AT_FDCWD, "/dev/null", O_RDONLY);
    const Fd closed = open_through(ring, AT_FDCWD, "/dev/null", O_RDONLY | O_CLOEXEC);
    EXPECT_EQ(fcntl(kept, F_GETFD), 0);
    EXPECT_EQ(fcntl(closed, F_GETFD), FD_CLOEXEC);
}

TEST(Openat, allows_large_files) {
    // The kernel adds O_LARGEFILE as it does for open(2) of a 64-bit program.
    RawRing ring;
    const Fd file = open_through(ring, AT_FDCWD, "/dev/null", O_RDONLY);
    const Fd plain(open("/dev/null", O_RDONLY));
    EXPECT_EQ(fcntl(file, F_GETFL), fcntl(plain, F_GETFL));
}

TEST(Openat, makes_a_nameless_file) {
    RawRing ring;
    const TemporaryDirectory directory;
    const Cqe cqe = ring.run(sqe::openat(AT_FDCWD, directory.path().c_str(), O_TMPFILE | O_RDWR, 0600));
    // Not every file system has them.
    ASSERT_TRUE(cqe.res >= 0 || cqe.res == -EOPNOTSUPP) << cqe;
    const Fd file(cqe.res);
    EXPECT_TRUE(file.get() < 0 || write(file, "x", 1) == 1);
}

TEST(Openat, tells_each_error_of_a_path) {
    RawRing ring;
    const TemporaryDirectory directory;
    const std::string file = directory.add("file");
    const std::string loop = directory.path_of("loop");
    ASSERT_EQ(symlink(loop.c_str(), loop.c_str()), 0);
    const Fd not_a_directory(open(file.c_str(), O_RDONLY | O_CLOEXEC));
    const std::string too_long = "/" + std::string(5000, 'x');
    const std::string name_too_long = directory.path_of(std::string(300, 'x'));

    const auto open = [&](int at, const std::string& path, unsigned flags) {
        return ring.run(sqe::openat(at, path.c_str(), flags));
    };
    EXPECT_THAT(open(AT_FDCWD, directory.path_of("absent"), O_RDONLY), Gives(-ENOENT));
    EXPECT_THAT(open(AT_FDCWD, "", O_RDONLY), Gives(-ENOENT));
    EXPECT_THAT(open(AT_FDCWD, file + "/below", O_RDONLY), Gives(-ENOTDIR));
    EXPECT_THAT(open(AT_FDCWD, file, O_RDONLY | O_DIRECTORY), Gives(-ENOTDIR));
    EXPECT_THAT(open(AT_FDCWD, directory.path(), O_WRONLY), Gives(-EISDIR));
    EXPECT_THAT(open(AT_FDCWD, loop, O_RDONLY), Gives(-ELOOP));
    EXPECT_THAT(open(AT_FDCWD, loop, O_RDONLY | O_NOFOLLOW), Gives(-ELOOP));
    EXPECT_THAT(open(AT_FDCWD, too_long, O_RDONLY), Gives(-ENAMETOOLONG));
    EXPECT_THAT(open(AT_FDCWD, name_too_long, O_RDONLY), Gives(-ENAMETOOLONG));
    EXPECT_THAT(open(-1, "relative", O_RDONLY), Gives(-EBADF));
    EXPECT_THAT(open(1'000'000, "relative", O_RDONLY), Gives(-EBADF));
    EXPECT_THAT(open(not_a_directory, "relative", O_RDONLY), Gives(-ENOTDIR));
}

TEST(Openat, answers_a_bad_path_pointer_with_efault) {
    RawRing ring;
    const ForbiddenPage page;
    EXPECT_THAT(ring.run(sqe::openat(AT_FDCWD, nullptr, O_RDONLY)), Gives(-EFAULT));
    EXPECT_THAT(ring.run(sqe::openat(AT_FDCWD, static_cast<const char*>(page.address()), O_RDONLY)), Gives(-EFAULT));
    // A path that has no end before the memory has one.
    char* endless = page.brink(4);
    memcpy(endless, "/tmp", 4);
    EXPECT_THAT(ring.run(sqe::openat(AT_FDCWD, endless, O_RDONLY)), Gives(-EFAULT));
    // A path that ends where the memory does is fine.
    char* brief = page.brink(5);
    memcpy(brief, "/tmp", 5);
    EXPECT_GE(Fd(ring.run(sqe::openat(AT_FDCWD, brief, O_RDONLY)).res).get(), 0);
}

TEST(Openat, ignores_flags_that_do_not_exist) {
    // As openat(2) does, unlike openat2(2).
    RawRing ring;
    const Fd file = open_through(ring, AT_FDCWD, "/dev/null", O_RDONLY | 1U << 30);
    EXPECT_GE(file.get(), 0);
}

TEST(Openat, finds_no_table_of_fixed_files_where_none_is_registered) {
    RawRing ring;
    EXPECT_THAT(ring.run(sqe::openat(AT_FDCWD, "/dev/null", O_RDONLY).set(&Sqe::file_index, 1)), Gives(-ENXIO));
    // A fixed file cannot be closed on exec.
    EXPECT_THAT(ring.run(sqe::openat(AT_FDCWD, "/dev/null", O_RDONLY | O_CLOEXEC).set(&Sqe::file_index, 1)),
                Gives(-EINVAL));
}

TEST(Openat, leaves_no_descriptor_behind_when_it_fails) {
    RawRing ring;
    const size_t before = count_fds();
    for (int count = 0; count < 20; ++count) {
        EXPECT_THAT(ring.run(sqe::openat(AT_FDCWD, "/nowhere/at/all", O_RDONLY)), Gives(-ENOENT));
    }
    EXPECT_EQ(count_fds(), before);
}

TEST(Openat, of_many_files_in_a_batch_gives_each_its_own) {
    RawRing ring(32);
    const TemporaryDirectory directory;
    std::vector<std::string> paths;
    for (int index = 0; index < 32; ++index) {
        paths.push_back(directory.add("file" + std::to_string(index), std::to_string(index)));
    }
    for (uint64_t index = 0; index < 32; ++index) {
        ring.push(sqe::openat(AT_FDCWD, paths[index].c_str(), O_RDONLY).data(index));
    }
    EXPECT_THAT(ring.submit_pushed(32), Gives(32));
    for (const Cqe& cqe : ring.wait(32)) {
        const Fd file(cqe.res);
        EXPECT_GE(file.get(), 0);
        EXPECT_EQ(content_of(file.get()), std::to_string(cqe.user_data));
    }
}

TEST(Openat, of_a_fifo_does_not_wait_for_its_other_end) {
    // It is first tried as open(2) with O_NONBLOCK, which finds an answer for a FIFO; the flag itself is not kept.
    RawRing ring;
    const TemporaryDirectory directory;
    const std::string path = directory.path_of("fifo");
    ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
    EXPECT_THAT(ring.run(sqe::openat(AT_FDCWD, path.c_str(), O_WRONLY)), Gives(-ENXIO));
    const Fd reader = open_through(ring, AT_FDCWD, path, O_RDONLY);
    ASSERT_GE(reader.get(), 0);
    EXPECT_EQ(fcntl(reader, F_GETFL) & O_NONBLOCK, 0);
    const Fd writer = open_through(ring, AT_FDCWD, path, O_WRONLY);
    EXPECT_GE(writer.get(), 0);
}

TEST(Openat, that_blocks_holds_up_nobody) {
    RawRing ring;
    const TemporaryDirectory directory;
    const std::string path = directory.path_of("fifo");
    ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
    EXPECT_THAT(
        ring.submit(sqe::openat(AT_FDCWD, path.c_str(), O_RDONLY).data(1).flag(IOSQE_ASYNC), sqe::nop().data(2)),
        Gives(2));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(2, 0)));
    EXPECT_THAT(ring.linger(5), testing::IsEmpty());
    const Fd writer(open(path.c_str(), O_WRONLY | O_CLOEXEC));
    const std::vector<Cqe> completions = ring.wait(1);
    ASSERT_EQ(completions.size(), 1u);
    const Fd reader(completions[0].res);
    EXPECT_GE(reader.get(), 0);
    EXPECT_EQ(write(writer, "x", 1), 1);
    char byte = 0;
    EXPECT_EQ(read(reader, &byte, 1), 1);
    EXPECT_EQ(byte, 'x');
}

TEST(Openat, that_blocks_is_interrupted_by_a_cancellation) {
    RawRing ring;
    const TemporaryDirectory directory;
    const std::string path = directory.path_of("fifo");
    ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
    const Interruption seen = interrupt(ring, sqe::openat(AT_FDCWD, path.c_str(), O_RDONLY).flag(IOSQE_ASYNC));
    EXPECT_THAT(seen.cancellation, Gives(-EALREADY));
    EXPECT_THAT(seen.request, testing::AnyOf(restart, -EINTR));
}

TEST(Close, closes_a_descriptor) {
    RawRing ring;
    Pipe pipe;
    const int number = pipe.write_end.release();
    EXPECT_THAT(ring.run(sqe::close(number)), Gives(0));
    EXPECT_FALSE(is_open(number));
    char byte;
    EXPECT_EQ(read(pipe.read_end, &byte, 1), 0);
    EXPECT_THAT(ring.run(sqe::close(number)), Gives(-EBADF));
}

TEST(Close, of_what_is_not_open_gives_ebadf) {
    RawRing ring;
    EXPECT_THAT(ring.run(sqe::close(-1)), Gives(-EBADF));
    EXPECT_THAT(ring.run(sqe::close(1'000'000)), Gives(-EBADF));
}

TEST(Close, of_a_ring_is_refused) {
    RawRing ring;
    EXPECT_THAT(ring.run(sqe::close(ring.fd())), Gives(-EBADF));
    EXPECT_TRUE(is_open(ring.fd()));
    const RawRing other;
    EXPECT_THAT(ring.run(sqe::close(other.fd())), Gives(-EBADF));
    EXPECT_THAT(ring.run(sqe::nop()), Gives(0));
}

TEST(Close, finds_no_fixed_file_where_none_is_registered) {
    RawRing ring;
    EXPECT_THAT(ring.run(Sqe(IORING_OP_CLOSE, 0).set(&Sqe::file_index, 1)), Gives(-ENXIO));
    // A descriptor and a fixed file at once is a contradiction.
    EXPECT_THAT(ring.run(sqe::close(1'000'000).set(&Sqe::file_index, 1)), Gives(-EINVAL));
}

TEST(Close, leaves_requests_on_the_file_alone) {
    RawRing ring;
    Pipe pipe;
    char byte = 0;
    EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &byte, 1).data(1)), Gives(1));
    EXPECT_THAT(ring.run(sqe::close(pipe.read_end.release()).data(2)), Gives(0));
    EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 1)));
    EXPECT_EQ(byte, 'x');
}

TEST(Close, in_a_batch_behind_a_use_of_the_same_number) {
    // Inline requests run in order: the write finds its file before it is closed.
    RawRing ring;
    Pipe pipe;
    const int number = pipe.write_end.release();
    EXPECT_THAT(ring.submit(sqe::write(number, "x", 1).data(1), sqe::close(number).data(2)), Gives(2));
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, 1), Completes(2, 0)));
    EXPECT_FALSE(is_open(number));
}

}  // namespace
}  // namespace ringside::test
