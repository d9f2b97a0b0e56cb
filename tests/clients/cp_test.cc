// ringside cp: what a copy keeps, and where it goes.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "clients/cp_fixture.h"

namespace ringside::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

INSTANTIATE_TEST_SUITE_P(Provider, Copy, testing::Values("kernel", "engine"),
                         [](const auto& provider) { return std::string(provider.param); });

void set_times(const std::string& path, time_t seconds) {
    const timespec times[2] = {{seconds, 123456789}, {seconds, 987654321}};
    ASSERT_EQ(utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW), 0) << path;
}

struct stat facts_of(const std::string& path) {
    struct stat facts = {};
    EXPECT_EQ(lstat(path.c_str(), &facts), 0) << path;
    return facts;
}

TEST_P(Copy, empty_file_is_copied) {
    add("empty", "");
    EXPECT_EQ(cp({path("empty"), path("copy")}), done);
    EXPECT_EQ(describe(path("copy")).at("."), describe(path("empty")).at("."));
}

TEST_P(Copy, content_mode_and_times_are_kept) {
    const auto source = add_large("source", 1'000'001);
    ASSERT_EQ(chmod(source.c_str(), 04751), 0);
    set_times(source, 1'000'000'000);
    EXPECT_EQ(cp({source, path("copy")}), done);
    EXPECT_EQ(content_of(path("copy")), content_of(source));
    EXPECT_EQ(describe(path("copy")).at("."), describe(source).at("."));
    EXPECT_THAT(names_in(path("")), UnorderedElementsAre("source", "copy"));
}

TEST_P(Copy, fsync_copies_files_and_trees) {
    fs::create_directories(path("tree/below"));
    add_large("tree/below/file", 300'000);
    EXPECT_EQ(cp({"--fsync", "-r", path("tree"), path("copy")}), done);
    EXPECT_EQ(describe(path("copy")), describe(path("tree")));
}

TEST_P(Copy, holes_of_a_huge_file_are_kept) {
    constexpr off_t size = 100LL << 30;
    constexpr off_t middle = size / 2 + 12345;
    const Fd source(open(path("sparse").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644));
    ASSERT_EQ(ftruncate(source, size), 0);
    ASSERT_EQ(pwrite(source, "begin", 5, 0), 5);
    ASSERT_EQ(pwrite(source, "middle", 6, middle), 6);

    EXPECT_EQ(cp({path("sparse"), path("copy")}), done);
    const auto facts = facts_of(path("copy"));
    EXPECT_EQ(facts.st_size, size);
    EXPECT_LE(facts.st_blocks, facts_of(path("sparse")).st_blocks);
    const Fd copy(open(path("copy").c_str(), O_RDONLY | O_CLOEXEC));
    char text[6];
    ASSERT_EQ(pread(copy, text, 5, 0), 5);
    EXPECT_EQ(std::string(text, 5), "begin");
    ASSERT_EQ(pread(copy, text, 6, middle), 6);
    EXPECT_EQ(std::string(text, 6), "middle");
}

TEST_P(Copy, file_of_nothing_but_a_hole_keeps_its_size) {
    const auto source = add("hole", "");
    ASSERT_EQ(truncate(source.c_str(), 1 << 20), 0);
    EXPECT_EQ(cp({source, path("copy")}), done);
    EXPECT_EQ(facts_of(path("copy")).st_size, 1 << 20);
    EXPECT_EQ(facts_of(path("copy")).st_blocks, 0);
}

TEST_P(Copy, file_of_proc_without_a_size_is_copied_whole) {
    EXPECT_EQ(cp({"/proc/version", path("copy")}), done);
    EXPECT_EQ(content_of(path("copy")), content_of("/proc/version"));
}

TEST_P(Copy, tree_with_odd_names_and_kinds_is_copied) {
    const std::string tree = path("tree");
    fs::create_directories(tree + "/a b/\xff\xfe not UTF-8/\n");
    fs::create_directory(tree + "/empty");
    for (const char* name : {"-r", "'quoted'", "two\nlines", "\\", "*", "..."}) add("tree/" + std::string(name), name);
    add("tree/a b/\xff\xfe not UTF-8/\n/" + std::string(255, 'x'), "long");
    fs::create_symlink("nowhere at all", tree + "/dangling");
    fs::create_symlink(std::string(1000, 'y'), tree + "/long link");
    fs::create_directory_symlink("a b", tree + "/directory link");
    ASSERT_EQ(mkfifo((tree + "/fifo").c_str(), 0640), 0);
    set_times(tree + "/dangling", 1'100'000'000);
    set_times(tree + "/empty", 1'200'000'000);
    set_times(tree + "/a b", 1'300'000'000);
    ASSERT_EQ(chmod((tree + "/empty").c_str(), 0510), 0);

    EXPECT_EQ(cp({"-r", tree, path("copy")}), done);
    EXPECT_EQ(describe(path("copy")), describe(tree));
}

TEST_P(Copy, hard_links_within_a_tree_stay_links_of_one_file) {
    fs::create_directories(path("tree/below"));
    const auto first = add_large("tree/file", 3'000'000);
    for (int i = 0; i < 100; ++i) fs::create_hard_link(first, path("tree/below/name-" + std::to_string(i)));
    fs::create_symlink("anywhere", path("tree/link"));
    ASSERT_EQ(linkat(AT_FDCWD, path("tree/link").c_str(), AT_FDCWD, path("tree/below/link").c_str(), 0), 0);

    EXPECT_EQ(cp({"-r", path("tree"), path("copy")}), done);
    EXPECT_EQ(describe(path("copy")), describe(path("tree")));
    EXPECT_EQ(facts_of(path("copy/file")).st_ino, facts_of(path("copy/below/name-99")).st_ino);
    EXPECT_NE(facts_of(path("copy/file")).st_ino, facts_of(first).st_ino);
}

// A tree with far more files than requests may be in flight, at the least and at a great depth.
TEST_P(Copy, any_depth_copies_the_same) {
    fs::create_directory(path("tree"));
    for (int i = 0; i < 300; ++i) add_large("tree/" + std::to_string(i), static_cast<size_t>(i) * 1000);
    add_large("tree/large", 10'000'000);
    for (const char* depth : {"1", "2", "3", "64", "1000"}) {
        EXPECT_EQ(cp({"-r", "--depth", depth, path("tree"), path(depth)}), done);
        EXPECT_EQ(describe(path(depth)), describe(path("tree"))) << "depth " << depth;
    }
}

TEST_P(Copy, existing_file_is_replaced) {
    add("source", "new");
    add("copy", "old and longer");
    EXPECT_EQ(cp({path("source"), path("copy")}), done);
    EXPECT_EQ(content_of(path("copy")), "new");
}

TEST_P(Copy, file_behind_a_link_is_replaced_and_the_link_stays) {
    add("source", "new");
    add("real", "old");
    fs::create_symlink("real", path("link"));
    EXPECT_EQ(cp({path("source"), path("link")}), done);
    EXPECT_EQ(content_of(path("real")), "new");
    EXPECT_TRUE(fs::is_symlink(path("link")));
}

TEST_P(Copy, several_sources_go_into_a_directory) {
    add("one", "1");
    add("two", "2");
    fs::create_directory(path("into"));
    EXPECT_EQ(cp({path("one"), path("two"), path("into")}), done);
    EXPECT_EQ(content_of(path("into/one")), "1");
    EXPECT_EQ(content_of(path("into/two")), "2");
}

TEST_P(Copy, tree_goes_into_an_existing_directory_and_joins_what_is_there) {
    fs::create_directories(path("tree/sub"));
    add("tree/sub/new", "new");
    add("tree/sub/both", "new");
    fs::create_directories(path("into/tree/sub"));
    add("into/tree/sub/both", "old");
    add("into/tree/sub/kept", "kept");
    EXPECT_EQ(cp({"-r", path("tree"), path("into")}), done);
    EXPECT_THAT(names_in(path("into/tree/sub")), UnorderedElementsAre("new", "both", "kept"));
    EXPECT_EQ(content_of(path("into/tree/sub/both")), "new");
}

TEST_P(Copy, link_on_the_command_line_means_its_file_unless_trees_are_copied) {
    add("real", "content");
    fs::create_symlink("real", path("link"));
    EXPECT_EQ(cp({path("link"), path("file")}), done);
    EXPECT_FALSE(fs::is_symlink(path("file")));
    EXPECT_EQ(content_of(path("file")), "content");
    EXPECT_EQ(cp({"-r", path("link"), path("copied link")}), done);
    EXPECT_TRUE(fs::is_symlink(path("copied link")));
}

// The main job: where the kernel refuses, the copy does not notice.
TEST(CopyUnderRefusal, is_the_same_and_the_kernel_alone_is_an_error) {
    const TemporaryDirectory directory;
    const auto source = directory.add("source", "content");
    const auto copy = directory.path_of("copy");
    const auto under_refusal = [&](const std::string& provider) {
        return run({RINGSIDE_BIN "/refuse-io-uring", "--", RINGSIDE_BIN "/ringside", "cp", "--provider", provider,
                    source, copy});
    };
    const auto refused = under_refusal("kernel");
    EXPECT_EQ(refused.status, 1);
    EXPECT_THAT(refused.output, HasSubstr("Operation not permitted"));
    EXPECT_FALSE(fs::exists(copy));
    EXPECT_EQ(under_refusal("auto"), Ended{});
    EXPECT_EQ(content_of(copy), "content");
}

}  // namespace
}  // namespace ringside::test
