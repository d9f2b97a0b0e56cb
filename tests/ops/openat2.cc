// IORING_OP_OPENAT2: what it has beyond IORING_OP_OPENAT (openclose.cc).
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "support/files.h"
#include "support/raw_ring.h"
#include "support/sqe_files.h"

namespace ringside::test {
namespace {

open_how how_with(uint64_t flags, uint64_t mode = 0, uint64_t resolve = 0) {
    return {.flags = flags, .mode = mode, .resolve = resolve};
}

Cqe open_with(RawRing& ring, const std::string& path, const open_how& how, int directory = AT_FDCWD) {
    const Cqe cqe = ring.run(sqe::openat2(directory, path.c_str(), &how));
    if (cqe.res >= 0) close(cqe.res);
    return cqe;
}

MATCHER(Opens, "") { return arg.res >= 0; }

TEST(Openat2, opens_as_it_is_told_how) {
    RawRing ring;
    const TemporaryDirectory directory;
    const open_how how = how_with(O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0640);
    const Fd file(ring.run(sqe::openat2(AT_FDCWD, directory.path_of("new").c_str(), &how)).res);
    ASSERT_GE(file.get(), 0);
    struct stat status;
    ASSERT_EQ(fstat(file, &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0640u);
    EXPECT_EQ(fcntl(file, F_GETFD), FD_CLOEXEC);
    EXPECT_EQ(fcntl(file, F_GETFL) & O_ACCMODE, O_RDWR);
    EXPECT_THAT(open_with(ring, directory.path_of("new"), how), Gives(-EEXIST));
}

TEST(Openat2, in_a_worker_does_the_same) {
    RawRing ring;
    const TemporaryDirectory directory;
    const std::string path = directory.add("file", "content");
    const open_how how = how_with(O_RDONLY);
    const Fd file(ring.run(sqe::openat2(AT_FDCWD, path.c_str(), &how).flag(IOSQE_ASYNC)).res);
    ASSERT_GE(file.get(), 0);
    EXPECT_EQ(content_of(file.get()), "content");
    const open_how unknown = how_with(uint64_t{1} << 40);
    EXPECT_THAT(ring.run(sqe::openat2(AT_FDCWD, path.c_str(), &unknown).flag(IOSQE_ASYNC)), Gives(-EINVAL));
}

TEST(Openat2, takes_longer_and_shorter_versions_of_how) {
    RawRing ring;
    struct {
        open_how how = {};
        char more[8192 - sizeof(open_how)] = {};
    } longer;
    static_assert(sizeof(longer) == 8192);
    const auto open = [&](uint32_t size) {
        const Cqe cqe = ring.run(sqe::openat2(AT_FDCWD, "/dev/null", &longer, size));
        if (cqe.res >= 0) close(cqe.res);
        return cqe;
    };
    for (const uint32_t size : {0u, 1u, 23u}) EXPECT_THAT(open(size), Gives(-EINVAL)) << size;
    for (const uint32_t size : {24u, 25u, 32u, 4096u, 4097u, 8192u}) EXPECT_THAT(open(size), Opens()) << size;
    longer.more[8] = 1;
    EXPECT_THAT(open(32), Opens());
    EXPECT_THAT(open(33), Gives(-E2BIG));
    EXPECT_THAT(open(8192), Gives(-E2BIG));
}

TEST(Openat2, does_not_forgive_what_openat_forgives) {
    RawRing ring;
    const TemporaryDirectory directory;
    const std::string path = directory.add("file");
    EXPECT_THAT(open_with(ring, path, how_with(uint64_t{1} << 40)), Gives(-EINVAL));
    EXPECT_THAT(open_with(ring, path, how_with(O_RDONLY | 1U << 30)), Gives(-EINVAL));
    EXPECT_THAT(open_with(ring, path, how_with(O_RDONLY, 0600)), Gives(-EINVAL));
    EXPECT_THAT(open_with(ring, path, how_with(O_CREAT | O_RDWR, 010000)), Gives(-EINVAL));
    EXPECT_THAT(open_with(ring, path, how_with(O_PATH | O_RDWR)), Gives(-EINVAL));
    EXPECT_THAT(open_with(ring, path, how_with(O_RDONLY, 0, uint64_t{1} << 20)), Gives(-EINVAL));
    EXPECT_THAT(open_with(ring, path, how_with(O_RDONLY, 0, RESOLVE_BENEATH | RESOLVE_IN_ROOT)), Gives(-EINVAL));
}

TEST(Openat2, stays_where_it_is_told_to) {
    RawRing ring;
    const TemporaryDirectory directory;
    const std::string path = directory.add("file", "content");
    ASSERT_EQ(symlink("file", directory.path_of("link").c_str()), 0);
    const Fd root(open(directory.path().c_str(), O_PATH | O_CLOEXEC));
    EXPECT_THAT(open_with(ring, "file", how_with(O_RDONLY, 0, RESOLVE_BENEATH), root), Opens());
    EXPECT_THAT(open_with(ring, path, how_with(O_RDONLY, 0, RESOLVE_BENEATH), root), Gives(-EXDEV));
    EXPECT_THAT(open_with(ring, "../file", how_with(O_RDONLY, 0, RESOLVE_BENEATH), root), Gives(-EXDEV));
    EXPECT_THAT(open_with(ring, "/../file", how_with(O_RDONLY, 0, RESOLVE_IN_ROOT), root), Opens());
    EXPECT_THAT(open_with(ring, "link", how_with(O_RDONLY), root), Opens());
    EXPECT_THAT(open_with(ring, "link", how_with(O_RDONLY, 0, RESOLVE_NO_SYMLINKS), root), Gives(-ELOOP));
    EXPECT_THAT(open_with(ring, "/proc/self/fd/0", how_with(O_PATH, 0, RESOLVE_NO_MAGICLINKS)), Gives(-ELOOP));
    EXPECT_THAT(open_with(ring, "proc/self", how_with(O_PATH, 0, RESOLVE_NO_XDEV), Fd(open("/", O_PATH | O_CLOEXEC))),
                Gives(-EXDEV));
}

TEST(Openat2, from_the_cache_alone_gives_eagain_for_what_needs_the_disk) {
    RawRing ring;
    const TemporaryDirectory directory;
    const std::string path = directory.add("file");
    EXPECT_THAT(open_with(ring, path, how_with(O_RDONLY, 0, RESOLVE_CACHED)), Opens());
    EXPECT_THAT(open_with(ring, path, how_with(O_RDWR | O_CREAT, 0600, RESOLVE_CACHED)), Gives(-EAGAIN));
    EXPECT_THAT(open_with(ring, path, how_with(O_RDWR | O_TRUNC, 0, RESOLVE_CACHED)), Gives(-EAGAIN));
}

TEST(Openat2, answers_bad_pointers_with_efault) {
    RawRing ring;
    const ForbiddenPage page;
    const open_how how = how_with(O_RDONLY);
    EXPECT_THAT(ring.run(sqe::openat2(AT_FDCWD, nullptr, &how)), Gives(-EFAULT));
    EXPECT_THAT(ring.run(sqe::openat2(AT_FDCWD, "/dev/null", nullptr)), Gives(-EFAULT));
    EXPECT_THAT(ring.run(sqe::openat2(AT_FDCWD, "/dev/null", page.address())), Gives(-EFAULT));
    char* brink = page.brink(sizeof(how));
    memcpy(brink, &how, sizeof(how));
    const Fd file(ring.run(sqe::openat2(AT_FDCWD, "/dev/null", brink)).res);
    EXPECT_GE(file.get(), 0);
    EXPECT_THAT(ring.run(sqe::openat2(AT_FDCWD, "/dev/null", brink, sizeof(how) + 1)), Gives(-EFAULT));
}

TEST(Openat2, tells_the_first_of_several_faults) {
    RawRing ring;
    const open_how unknown = how_with(uint64_t{1} << 40);
    char too_big[sizeof(open_how) + 1] = {};
    too_big[sizeof(open_how)] = 1;
    const Sqe good = sqe::openat2(AT_FDCWD, nullptr, &unknown);
    // How it is to be opened is looked at before the entry's other fields, those before the path, that before what the
    // flags say.
    EXPECT_THAT(ring.run(Sqe(good).set(&Sqe::len, 1).set(&Sqe::buf_index, 1)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(Sqe(good).set(&Sqe::addr2, 1).set(&Sqe::buf_index, 1)), Gives(-EFAULT));
    EXPECT_THAT(ring.run(sqe::openat2(AT_FDCWD, nullptr, too_big, sizeof(too_big)).set(&Sqe::buf_index, 1)),
                Gives(-E2BIG));
    EXPECT_THAT(ring.run(Sqe(good).set(&Sqe::buf_index, 1).flag(IOSQE_FIXED_FILE)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(Sqe(good).flag(IOSQE_FIXED_FILE)), Gives(-EBADF));
    EXPECT_THAT(ring.run(good), Gives(-EFAULT));
    EXPECT_THAT(ring.run(sqe::openat2(AT_FDCWD, "", &unknown)), Gives(-ENOENT));
    EXPECT_THAT(ring.run(sqe::openat2(-1, "relative", &unknown)), Gives(-EINVAL));
}

TEST(Openat2, keeps_what_it_was_given) {
    RawRing ring;
    const TemporaryDirectory directory;
    std::string path = directory.add("file", "content");
    open_how how = how_with(O_RDONLY);
    Pipe pipe;
    char byte;
    // It waits for the read, and meanwhile the program's memory changes.
    ring.push(sqe::read(pipe.read_end, &byte, 1).data(1).flag(IOSQE_IO_LINK));
    ring.push(sqe::openat2(AT_FDCWD, path.c_str(), &how).data(2));
    EXPECT_THAT(ring.submit_pushed(2), Gives(2));
    path.assign(path.size(), 'x');
    how.flags = ~uint64_t{0};
    EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
    const std::vector<Cqe> completions = ring.wait(2);
    ASSERT_EQ(completions.size(), 2u);
    const Fd file(completions[1].res);
    ASSERT_GE(file.get(), 0) << completions[1];
    EXPECT_EQ(content_of(file.get()), "content");
}

TEST(Openat2, of_a_fifo_does_not_wait_for_its_other_end) {
    RawRing ring;
    const TemporaryDirectory directory;
    const std::string path = directory.path_of("fifo");
    ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
    EXPECT_THAT(open_with(ring, path, how_with(O_WRONLY)), Gives(-ENXIO));
    EXPECT_THAT(open_with(ring, path, how_with(O_RDONLY)), Opens());
}

TEST(Openat2, into_a_slot_gives_a_fixed_file) {
    RawRing ring;
    const TemporaryDirectory directory;
    const std::string path = directory.add("file", "content");
    int empty[2] = {-1, -1};
    ASSERT_THAT(ring.register_call(IORING_REGISTER_FILES, empty, 2), Gives(0));
    const open_how how = how_with(O_RDONLY);
    EXPECT_THAT(ring.run(sqe::openat2(AT_FDCWD, path.c_str(), &how).set(&Sqe::file_index, 2)), Gives(0));
    char buffer[8] = {};
    EXPECT_THAT(ring.run(sqe::read(1, buffer, 7).flag(IOSQE_FIXED_FILE)), Gives(7));
    EXPECT_STREQ(buffer, "content");
    const open_how closed_on_exec = how_with(O_RDONLY | O_CLOEXEC);
    EXPECT_THAT(ring.run(sqe::openat2(AT_FDCWD, path.c_str(), &closed_on_exec).set(&Sqe::file_index, 1)),
                Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::openat2(AT_FDCWD, path.c_str(), &how).set(&Sqe::file_index, 3)), Gives(-EINVAL));
}

// What it is told is found to make no sense at once, by no worker: what follows in its chain is the submitter's, and
// may be told not to wait.
TEST(Openat2, that_makes_no_sense_leaves_what_follows_alone) {
    RawRing ring;
    const Pipe pipe;
    char byte;
    const open_how how = how_with(O_PATH | O_RDWR);
    EXPECT_THAT(ring.submit(sqe::openat2(AT_FDCWD, "/", &how).data(1).flag(IOSQE_IO_HARDLINK),
                            sqe::read(pipe.read_end, &byte, 1).data(2).set(&Sqe::rw_flags, RWF_NOWAIT)),
                Gives(2));
    EXPECT_THAT(ring.wait(2), testing::ElementsAre(Completes(1, -EINVAL), Completes(2, -EAGAIN)));
}

}  // namespace
}  // namespace ringside::test
