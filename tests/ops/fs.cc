// IORING_OP_RENAMEAT, UNLINKAT, MKDIRAT, SYMLINKAT, LINKAT.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "support/files.h"
#include "support/raw_ring.h"
#include "support/sqe_files.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;

// A directory to work in, open as well.
struct Workplace {
    TemporaryDirectory directory;
    Fd fd{open(directory.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};

    bool has(const char* name) const { return faccessat(fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0; }
    struct stat status(const char* name) const {
        struct stat result = {};
        EXPECT_EQ(fstatat(fd, name, &result, AT_SYMLINK_NOFOLLOW), 0) << name;
        return result;
    }
    std::string target(const char* name) const {
        char buffer[PATH_MAX];
        const ssize_t length = readlinkat(fd, name, buffer, sizeof(buffer));
        return length < 0 ? "" : std::string(buffer, static_cast<size_t>(length));
    }
};

TEST(Renameat, moves_a_file) {
    RawRing ring;
    const Workplace place;
    place.directory.add("old", "content");
    EXPECT_THAT(ring.run(sqe::renameat(place.fd, "old", place.fd, "new")), Gives(0));
    EXPECT_FALSE(place.has("old"));
    EXPECT_EQ(content_of(place.directory.path_of("new")), "content");
}

TEST(Renameat, takes_absolute_paths_and_the_working_directory) {
    RawRing ring;
    const Workplace place;
    const std::string old_path = place.directory.add("old"), new_path = place.directory.path_of("new");
    EXPECT_THAT(ring.run(sqe::renameat(-1, old_path.c_str(), AT_FDCWD, new_path.c_str())), Gives(0));
    EXPECT_TRUE(place.has("new"));
    EXPECT_THAT(ring.run(sqe::renameat(AT_FDCWD, "no such file here", AT_FDCWD, "nor here")), Gives(-ENOENT));
}

TEST(Renameat, replaces_unless_told_not_to) {
    RawRing ring;
    const Workplace place;
    place.directory.add("one", "1");
    place.directory.add("two", "2");
    EXPECT_THAT(ring.run(sqe::renameat(place.fd, "one", place.fd, "two", RENAME_NOREPLACE)), Gives(-EEXIST));
    EXPECT_THAT(ring.run(sqe::renameat(place.fd, "one", place.fd, "two", RENAME_EXCHANGE)), Gives(0));
    EXPECT_EQ(content_of(place.directory.path_of("one")), "2");
    EXPECT_THAT(ring.run(sqe::renameat(place.fd, "one", place.fd, "two")), Gives(0));
    EXPECT_EQ(content_of(place.directory.path_of("two")), "2");
    EXPECT_FALSE(place.has("one"));
    EXPECT_THAT(ring.run(sqe::renameat(place.fd, "two", place.fd, "one", RENAME_NOREPLACE | RENAME_EXCHANGE)),
                Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::renameat(place.fd, "two", place.fd, "one", 1U << 31)), Gives(-EINVAL));
}

TEST(Renameat, tells_each_error) {
    RawRing ring;
    const Workplace place;
    place.directory.add("file");
    ASSERT_EQ(mkdirat(place.fd, "directory", 0700), 0);
    ASSERT_EQ(mkdirat(place.fd, "directory/below", 0700), 0);
    const auto rename = [&](const char* from, const char* to) {
        return ring.run(sqe::renameat(place.fd, from, place.fd, to));
    };
    EXPECT_THAT(rename("absent", "new"), Gives(-ENOENT));
    EXPECT_THAT(rename("file", "absent/new"), Gives(-ENOENT));
    EXPECT_THAT(rename("file", "directory"), Gives(-EISDIR));
    EXPECT_THAT(rename("directory", "file"), Gives(-ENOTDIR));
    EXPECT_THAT(rename("directory", "directory/below/new"), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::renameat(place.fd, "file", 1'000'000, "new")), Gives(-EBADF));
    EXPECT_THAT(ring.run(sqe::renameat(1'000'000, "file", place.fd, "new")), Gives(-EBADF));
    EXPECT_THAT(ring.run(sqe::renameat(place.fd, "file", AT_FDCWD, "/proc/new")), Gives(-EXDEV));
    EXPECT_TRUE(place.has("file"));
}

TEST(Unlinkat, removes_a_file) {
    RawRing ring;
    const Workplace place;
    place.directory.add("file");
    EXPECT_THAT(ring.run(sqe::unlinkat(place.fd, "file")), Gives(0));
    EXPECT_FALSE(place.has("file"));
    EXPECT_THAT(ring.run(sqe::unlinkat(place.fd, "file")), Gives(-ENOENT));
}

TEST(Unlinkat, removes_a_directory_when_told_to) {
    RawRing ring;
    const Workplace place;
    ASSERT_EQ(mkdirat(place.fd, "directory", 0700), 0);
    place.directory.add("directory/file");
    EXPECT_THAT(ring.run(sqe::unlinkat(place.fd, "directory")), Gives(-EISDIR));
    EXPECT_THAT(ring.run(sqe::unlinkat(place.fd, "directory", AT_REMOVEDIR)), Gives(-ENOTEMPTY));
    EXPECT_THAT(ring.run(sqe::unlinkat(place.fd, "directory/file", AT_REMOVEDIR)), Gives(-ENOTDIR));
    EXPECT_THAT(ring.run(sqe::unlinkat(place.fd, "directory/file")), Gives(0));
    EXPECT_THAT(ring.run(sqe::unlinkat(place.fd, "directory", AT_REMOVEDIR)), Gives(0));
    EXPECT_FALSE(place.has("directory"));
}

TEST(Unlinkat, removes_the_link_and_not_its_target) {
    RawRing ring;
    const Workplace place;
    place.directory.add("file");
    ASSERT_EQ(symlinkat("file", place.fd, "link"), 0);
    EXPECT_THAT(ring.run(sqe::unlinkat(place.fd, "link")), Gives(0));
    EXPECT_TRUE(place.has("file"));
}

TEST(Unlinkat, refuses_unknown_flags_before_it_looks_at_the_path) {
    RawRing ring;
    for (unsigned bit = 0; bit < 32; ++bit) {
        if (1U << bit == AT_REMOVEDIR) continue;
        EXPECT_THAT(ring.run(sqe::unlinkat(AT_FDCWD, nullptr, 1U << bit)), Gives(-EINVAL)) << bit;
    }
}

TEST(Mkdirat, makes_a_directory_with_the_mode_that_the_umask_leaves) {
    RawRing ring;
    const Workplace place;
    const mode_t before = umask(027);
    EXPECT_THAT(ring.run(sqe::mkdirat(place.fd, "new", 0777)), Gives(0));
    umask(before);
    EXPECT_TRUE(S_ISDIR(place.status("new").st_mode));
    EXPECT_EQ(place.status("new").st_mode & 0777, 0750u);
    EXPECT_THAT(ring.run(sqe::mkdirat(place.fd, "new", 0777)), Gives(-EEXIST));
}

TEST(Mkdirat, ignores_mode_bits_that_mean_nothing) {
    RawRing ring;
    const Workplace place;
    EXPECT_THAT(ring.run(sqe::mkdirat(place.fd, "new", 0xfffe0000 | 0700)), Gives(0));
    EXPECT_EQ(place.status("new").st_mode & 0777, 0700u);
}

TEST(Mkdirat, tells_each_error) {
    RawRing ring;
    const Workplace place;
    place.directory.add("file");
    EXPECT_THAT(ring.run(sqe::mkdirat(place.fd, "absent/new", 0700)), Gives(-ENOENT));
    EXPECT_THAT(ring.run(sqe::mkdirat(place.fd, "file/new", 0700)), Gives(-ENOTDIR));
    EXPECT_THAT(ring.run(sqe::mkdirat(place.fd, std::string(300, 'x').c_str(), 0700)), Gives(-ENAMETOOLONG));
    EXPECT_THAT(ring.run(sqe::mkdirat(1'000'000, "new", 0700)), Gives(-EBADF));
    EXPECT_THAT(ring.run(sqe::mkdirat(AT_FDCWD, "/", 0700)), Gives(-EEXIST));
}

TEST(Symlinkat, makes_a_link_to_whatever_it_is_told) {
    RawRing ring;
    const Workplace place;
    EXPECT_THAT(ring.run(sqe::symlinkat("nowhere/at all", place.fd, "link")), Gives(0));
    EXPECT_EQ(place.target("link"), "nowhere/at all");
    EXPECT_THAT(ring.run(sqe::symlinkat("other", place.fd, "link")), Gives(-EEXIST));
    EXPECT_THAT(ring.run(sqe::symlinkat("other", place.fd, "absent/link")), Gives(-ENOENT));
    EXPECT_THAT(ring.run(sqe::symlinkat("other", 1'000'000, "new")), Gives(-EBADF));
}

TEST(Linkat, gives_a_file_a_second_name) {
    RawRing ring;
    const Workplace place;
    place.directory.add("file", "content");
    EXPECT_THAT(ring.run(sqe::linkat(place.fd, "file", place.fd, "other")), Gives(0));
    EXPECT_EQ(place.status("file").st_ino, place.status("other").st_ino);
    EXPECT_THAT(ring.run(sqe::linkat(place.fd, "file", place.fd, "other")), Gives(-EEXIST));
    EXPECT_THAT(ring.run(sqe::linkat(place.fd, "absent", place.fd, "new")), Gives(-ENOENT));
    EXPECT_THAT(ring.run(sqe::linkat(place.fd, ".", place.fd, "new")), Gives(-EPERM));
    EXPECT_THAT(ring.run(sqe::linkat(1'000'000, "file", place.fd, "new")), Gives(-EBADF));
    EXPECT_THAT(ring.run(sqe::linkat(place.fd, "file", 1'000'000, "new")), Gives(-EBADF));
    EXPECT_THAT(ring.run(sqe::linkat(place.fd, "file", place.fd, "new", 1U << 31)), Gives(-EINVAL));
}

TEST(Linkat, links_a_symbolic_link_or_what_it_leads_to) {
    RawRing ring;
    const Workplace place;
    place.directory.add("file");
    ASSERT_EQ(symlinkat("file", place.fd, "link"), 0);
    EXPECT_THAT(ring.run(sqe::linkat(place.fd, "link", place.fd, "same link")), Gives(0));
    EXPECT_TRUE(S_ISLNK(place.status("same link").st_mode));
    EXPECT_THAT(ring.run(sqe::linkat(place.fd, "link", place.fd, "same file", AT_SYMLINK_FOLLOW)), Gives(0));
    EXPECT_EQ(place.status("same file").st_ino, place.status("file").st_ino);
}

TEST(Linkat, names_an_open_file_that_has_no_name) {
    RawRing ring;
    const Workplace place;
    const Fd file(open(place.directory.add("file", "content").c_str(), O_RDONLY | O_CLOEXEC));
    // Allowed to who has CAP_DAC_READ_SEARCH; others find nothing there.
    const Cqe cqe = ring.run(sqe::linkat(file, "", place.fd, "named", AT_EMPTY_PATH));
    const int plain = linkat(file, "", place.fd, "named plainly", AT_EMPTY_PATH) == 0 ? 0 : -errno;
    EXPECT_THAT(cqe, Gives(plain));
    EXPECT_EQ(place.has("named"), plain == 0);
    EXPECT_THAT(ring.run(sqe::linkat(file, "", place.fd, "new")), Gives(-ENOENT));
    EXPECT_THAT(ring.run(sqe::linkat(file, "", place.fd, "", AT_EMPTY_PATH)), Gives(-ENOENT));
}

// --- All of them ----------------------------------------------------------------------------------------------------

// Each operation with both of its paths, or one, to be given.
struct Operation {
    const char* name;
    bool two_paths;
    Sqe (*make)(int directory, const char* first, const char* second);
};

const Operation operations[] = {
    {"RENAMEAT", true,
     [](int at, const char* first, const char* second) { return sqe::renameat(at, first, at, second); }},
    {"UNLINKAT", false, [](int at, const char* first, const char*) { return sqe::unlinkat(at, first); }},
    {"MKDIRAT", false, [](int at, const char* first, const char*) { return sqe::mkdirat(at, first, 0700); }},
    {"SYMLINKAT", true,
     [](int at, const char* first, const char* second) { return sqe::symlinkat(first, at, second); }},
    {"LINKAT", true, [](int at, const char* first, const char* second) { return sqe::linkat(at, first, at, second); }},
};

class Names : public testing::TestWithParam<Operation> {
  protected:
    Sqe make(const char* first, const char* second = "absent/too") const {
        return GetParam().make(place.fd, first, second);
    }
    RawRing ring;
    Workplace place;
};

INSTANTIATE_TEST_SUITE_P(all, Names, testing::ValuesIn(operations),
                         [](const auto& operation) { return std::string(operation.param.name); });

TEST_P(Names, have_to_be_somewhere) {
    const ForbiddenPage page;
    const auto* forbidden = static_cast<const char*>(page.address());
    char* endless = page.brink(3);
    memcpy(endless, "abc", 3);
    for (const char* bad : {static_cast<const char*>(nullptr), forbidden, static_cast<const char*>(endless)}) {
        EXPECT_THAT(ring.run(make(bad)), Gives(-EFAULT));
        if (!GetParam().two_paths) continue;
        EXPECT_THAT(ring.run(make("absent", bad)), Gives(-EFAULT));
    }
    const std::string too_long(PATH_MAX, 'x');
    EXPECT_THAT(ring.run(make(too_long.c_str())), Gives(-ENAMETOOLONG));
    EXPECT_THAT(ring.run(make("")), Gives(-ENOENT));
    if (!GetParam().two_paths) return;
    EXPECT_THAT(ring.run(make("absent", "")), Gives(-ENOENT));
    EXPECT_THAT(ring.run(make("absent", too_long.c_str())), Gives(-ENAMETOOLONG));
    // The first that is wrong counts.
    EXPECT_THAT(ring.run(make("", nullptr)), Gives(-ENOENT));
    EXPECT_THAT(ring.run(make(nullptr, "")), Gives(-EFAULT));
}

TEST_P(Names, that_cannot_be_read_end_the_batch) {
    EXPECT_THAT(ring.submit(make(nullptr).data(1), sqe::nop().data(2)), Gives(1));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, -EFAULT)));
    EXPECT_THAT(ring.submit_pushed(1), Gives(1));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(2, 0)));
}

TEST_P(Names, are_not_relative_to_fixed_files) {
    EXPECT_THAT(ring.run(make("absent/one").flag(IOSQE_FIXED_FILE)), Gives(-EBADF));
    EXPECT_THAT(ring.run(make(nullptr).flag(IOSQE_FIXED_FILE)), Gives(-EBADF));
    EXPECT_THAT(ring.run(make(nullptr).flag(IOSQE_FIXED_FILE).set(&Sqe::buf_index, 1)), Gives(-EINVAL));
}

TEST_P(Names, are_found_by_a_worker_too) {
    EXPECT_THAT(ring.run(make("absent/one").flag(IOSQE_ASYNC)), Gives(-ENOENT));
}

// A result that is an error does not end a chain here, and is silent where success is to be silent: so it is in Linux.
TEST_P(Names, that_are_not_found_end_no_chain) {
    EXPECT_THAT(ring.submit(make("absent/one").data(1).flag(IOSQE_IO_LINK), sqe::nop().data(2)), Gives(2));
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, -ENOENT), Completes(2, 0)));
    EXPECT_THAT(
        ring.submit(make("absent/one").data(3).flag(IOSQE_CQE_SKIP_SUCCESS | IOSQE_IO_LINK), sqe::nop().data(4)),
        Gives(2));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(4, 0)));
    EXPECT_THAT(ring.linger(5), testing::IsEmpty());
}

// The answer for a descriptor that is none once depended on what the ring had worked on before.
TEST_P(Names, below_what_is_no_directory_end_no_chain) {
    const Fd path_only(open("/", O_PATH | O_CLOEXEC));
    EXPECT_THAT(ring.run(sqe::fadvise(path_only, 0, 0, POSIX_FADV_NORMAL)), Gives(-EBADF));
    EXPECT_THAT(ring.submit(GetParam().make(1'000'000, "one", "two").data(1).flag(IOSQE_IO_LINK), sqe::nop().data(2)),
                Gives(2));
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, -EBADF), Completes(2, 0)));
}

TEST(NamesInAChain, are_made_and_moved_and_removed_in_order) {
    RawRing ring(16);
    const Workplace place;
    ring.push(sqe::mkdirat(place.fd, "a", 0700).data(0).flag(IOSQE_IO_LINK));
    ring.push(sqe::symlinkat("target", place.fd, "a/link").data(1).flag(IOSQE_IO_LINK));
    ring.push(sqe::linkat(place.fd, "a/link", place.fd, "a/other").data(2).flag(IOSQE_IO_LINK));
    ring.push(sqe::renameat(place.fd, "a", place.fd, "b").data(3).flag(IOSQE_IO_LINK));
    ring.push(sqe::unlinkat(place.fd, "b/link").data(4));
    EXPECT_THAT(ring.submit_pushed(5), Gives(5));
    EXPECT_THAT(ring.wait(5),
                ElementsAre(Completes(0, 0), Completes(1, 0), Completes(2, 0), Completes(3, 0), Completes(4, 0)));
    EXPECT_EQ(place.target("b/other"), "target");
    EXPECT_FALSE(place.has("b/link"));
    EXPECT_FALSE(place.has("a"));
}

TEST(NamesInAChain, are_those_of_the_submission) {
    RawRing ring;
    const Workplace place;
    place.directory.add("old");
    std::string from = "old", to = "new";
    const Pipe pipe;
    char byte;
    ring.push(sqe::read(pipe.read_end, &byte, 1).data(1).flag(IOSQE_IO_LINK));
    ring.push(sqe::renameat(place.fd, from.c_str(), place.fd, to.c_str()).data(2));
    EXPECT_THAT(ring.submit_pushed(2), Gives(2));
    from = to = "xxx";
    EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, 1), Completes(2, 0)));
    EXPECT_TRUE(place.has("new"));
}

TEST(NamesInABatch, of_many_are_all_made) {
    constexpr unsigned count = 200;
    RawRing ring(256);
    const Workplace place;
    std::vector<std::string> names;
    for (unsigned index = 0; index < count; ++index) names.push_back("directory" + std::to_string(index));
    for (unsigned index = 0; index < count; ++index) ring.push(sqe::mkdirat(place.fd, names[index].c_str(), 0700));
    EXPECT_THAT(ring.submit_pushed(count), Gives(count));
    const std::vector<Cqe> completions = ring.wait(count);
    EXPECT_EQ(completions.size(), count);
    for (const Cqe& cqe : completions) EXPECT_THAT(cqe, Gives(0));
    for (const std::string& name : names) EXPECT_TRUE(place.has(name.c_str()));
}

TEST(Renameat, leaves_a_whiteout_where_told_to) {
    RawRing ring;
    const TemporaryDirectory directory;
    const std::string from = directory.add("from", "content"), to = directory.path_of("to");
    EXPECT_THAT(ring.run(sqe::renameat(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_WHITEOUT)), Gives(0));
    EXPECT_EQ(content_of(to), "content");
    struct stat left;
    ASSERT_EQ(lstat(from.c_str(), &left), 0);
    EXPECT_TRUE(S_ISCHR(left.st_mode));
    EXPECT_EQ(left.st_rdev, 0U);
}

}  // namespace
}  // namespace ringside::test
