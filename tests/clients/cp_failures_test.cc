// ringside cp when something is wrong: what it says, what it goes on with, and that it leaves nothing half done.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "clients/cp_fixture.h"
#include "support/eventually.h"

namespace ringside::test {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

class FailingCopy : public Copy {};
INSTANTIATE_TEST_SUITE_P(Provider, FailingCopy, testing::Values("kernel", "engine"),
                         [](const auto& provider) { return std::string(provider.param); });

constexpr int failed = 1;

// Takes root's right to read and write everything away from the program that is started; others never had it.
void respect_permissions() {
    prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE);
    prctl(PR_CAPBSET_DROP, CAP_DAC_READ_SEARCH);
}

TEST_P(FailingCopy, unreadable_file_is_named_and_the_rest_is_copied) {
    fs::create_directory(path("tree"));
    add("tree/one", "1");
    add("tree/secret", "2");
    add("tree/three", "3");
    ASSERT_EQ(chmod(path("tree/secret").c_str(), 0), 0);
    const auto ended = run(command({"-r", path("tree"), path("copy")}), respect_permissions);
    EXPECT_EQ(ended.status, failed);
    EXPECT_EQ(ended.output, "ringside cp: cannot open '" + path("tree/secret") + "': Permission denied\n");
    EXPECT_THAT(names_in(path("copy")), UnorderedElementsAre("one", "three"));
}

TEST_P(FailingCopy, directory_that_may_not_be_written_is_named) {
    add("source", "content");
    fs::create_directory(path("closed"));
    ASSERT_EQ(chmod(path("closed").c_str(), 0555), 0);
    const auto ended = run(command({path("source"), path("closed")}), respect_permissions);
    EXPECT_EQ(ended.status, failed);
    EXPECT_EQ(ended.output, "ringside cp: cannot create '" + path("closed/source") + "': Permission denied\n");
    EXPECT_THAT(names_in(path("closed")), IsEmpty());
}

TEST_P(FailingCopy, missing_source_is_named_and_the_rest_is_copied) {
    add("there", "content");
    fs::create_directory(path("into"));
    const auto ended = cp({path("missing"), path("there"), path("into")});
    EXPECT_EQ(ended.status, failed);
    EXPECT_EQ(ended.output, "ringside cp: cannot copy '" + path("missing") + "': No such file or directory\n");
    EXPECT_THAT(names_in(path("into")), UnorderedElementsAre("there"));
}

TEST_P(FailingCopy, file_larger_than_allowed_leaves_the_old_one_in_place) {
    add_large("large", 4 << 20);
    add("copy", "old");
    const auto ended = run(command({path("large"), path("copy")}), [] {
        const rlimit limit = {1 << 20, 1 << 20};
        setrlimit(RLIMIT_FSIZE, &limit);
    });
    EXPECT_EQ(ended.status, failed);
    EXPECT_EQ(ended.output, "ringside cp: cannot write '" + path("copy") + "': File too large\n");
    EXPECT_EQ(content_of(path("copy")), "old");
    EXPECT_THAT(names_in(path("")), UnorderedElementsAre("large", "copy"));
}

TEST_P(FailingCopy, full_disk_fails_one_file_and_leaves_room_for_the_next) {
    fs::create_directories(path("tree"));
    add_large("tree/too-large", 4 << 20);
    fs::create_directory(path("disk"));
    // The small disk is seen by this process alone, and vanishes with it.
    const auto mount_disk = [this] {
        if (unshare(CLONE_NEWNS | (geteuid() == 0 ? 0 : CLONE_NEWUSER)) != 0) return false;
        mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
        return mount("tmpfs", path("disk").c_str(), "tmpfs", 0, "size=1m") == 0;
    };
    // One shell inside that view copies and looks: a large file that does not fit, then a small one that does.
    const std::string script = R"(
        "$@" "$TREE" "$DISK/copy"; echo "status $?"
        echo small >"$TREE/small"; rm "$TREE/too-large"
        "$@" "$TREE/small" "$DISK/small"; echo "status $?"
        ls -A "$DISK" "$DISK/copy")";
    auto words = command({"-r"});
    words.insert(words.begin(), {"sh", "-c", script, "sh"});
    const auto ended = run(words, [&] {
        if (!mount_disk()) _exit(77);
        setenv("TREE", path("tree").c_str(), 1);
        setenv("DISK", path("disk").c_str(), 1);
    });
    if (ended.status == 77) GTEST_SKIP() << "this process may not mount a small disk";
    EXPECT_EQ(ended.output, "ringside cp: cannot write '" + path("disk/copy/too-large") +
                                "': No space left on device\nstatus 1\nstatus 0\n" + path("disk") +
                                ":\ncopy\nsmall\n\n" + path("disk/copy") + ":\n");
}

// A FIFO as the source keeps the copy in the middle for as long as the test likes.
TEST_P(FailingCopy, interrupted_copy_leaves_nothing_under_the_final_name) {
    ASSERT_EQ(mkfifo(path("slow").c_str(), 0600), 0);
    fs::create_directory(path("into"));
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
        Child copy(command({path("slow"), path("into/copy")}));
        const Fd writer(open(path("slow").c_str(), O_WRONLY | O_CLOEXEC));
        ASSERT_EQ(write(writer, "first half", 10), 10);
        // Under way, and under another name.
        ASSERT_TRUE(eventually([&] { return !names_in(path("into")).empty(); }));
        EXPECT_FALSE(fs::exists(path("into/copy")));
        copy.send(signal);
        const auto ended = copy.wait();
        EXPECT_EQ(ended.signal, signal);
        EXPECT_THAT(ended.output, HasSubstr("interrupted"));
        EXPECT_THAT(names_in(path("into")), IsEmpty());
    }
}

TEST_P(FailingCopy, ignored_hangup_does_not_interrupt) {
    ASSERT_EQ(mkfifo(path("slow").c_str(), 0600), 0);
    Child copy(command({path("slow"), path("copy")}), [] { signal(SIGHUP, SIG_IGN); });
    Fd writer(open(path("slow").c_str(), O_WRONLY | O_CLOEXEC));
    ASSERT_EQ(write(writer, "first ", 6), 6);
    copy.send(SIGHUP);
    ASSERT_EQ(write(writer, "second", 6), 6);
    writer.reset();
    EXPECT_EQ(copy.wait(), done);
    EXPECT_EQ(content_of(path("copy")), "first second");
}

TEST_P(FailingCopy, directory_is_not_copied_without_being_asked_to) {
    fs::create_directory(path("tree"));
    const auto ended = cp({path("tree"), path("copy")});
    EXPECT_EQ(ended.status, failed);
    EXPECT_THAT(ended.output, AllOf(HasSubstr(path("tree")), HasSubstr("--recursive")));
    EXPECT_FALSE(fs::exists(path("copy")));
}

TEST_P(FailingCopy, directory_is_not_copied_into_itself) {
    fs::create_directories(path("tree/below"));
    for (const char* target : {"tree", "tree/new", "tree/below", "tree/below/new"}) {
        const auto ended = cp({"-r", path("tree"), path(target)});
        EXPECT_EQ(ended.status, failed);
        EXPECT_THAT(ended.output, HasSubstr("into itself"));
    }
    EXPECT_THAT(describe(path("tree")), testing::SizeIs(2));
}

TEST_P(FailingCopy, file_is_not_copied_onto_itself) {
    add("file", "content");
    fs::create_hard_link(path("file"), path("other name"));
    for (const char* target : {"file", "other name"}) {
        const auto ended = cp({path("file"), path(target)});
        EXPECT_EQ(ended.status, failed);
        EXPECT_THAT(ended.output, HasSubstr("are the same file"));
    }
    EXPECT_EQ(content_of(path("file")), "content");
}

TEST_P(FailingCopy, directory_is_not_copied_onto_itself) {
    fs::create_directory(path("tree"));
    add("tree/file", "content");
    const auto ended = cp({"-r", path("tree"), path("")});
    EXPECT_EQ(ended.status, failed);
    EXPECT_THAT(ended.output, HasSubstr("are the same directory"));
    EXPECT_EQ(content_of(path("tree/file")), "content");
}

TEST_P(FailingCopy, device_or_fifo_is_not_replaced_by_a_file) {
    add("file", "content");
    ASSERT_EQ(mkfifo(path("fifo").c_str(), 0600), 0);
    const auto ended = cp({path("file"), path("fifo")});
    EXPECT_EQ(ended.status, failed);
    EXPECT_THAT(ended.output, HasSubstr("is not a regular file"));
    EXPECT_TRUE(fs::is_fifo(path("fifo")));
}

TEST_P(FailingCopy, file_and_directory_do_not_replace_each_other) {
    fs::create_directories(path("tree/name"));
    fs::create_directories(path("into/tree"));
    add("into/tree/name", "file");
    const auto over_file = cp({"-r", path("tree"), path("into")});
    EXPECT_EQ(over_file.status, failed);
    EXPECT_THAT(over_file.output, HasSubstr("which is no directory"));
    EXPECT_EQ(content_of(path("into/tree/name")), "file");

    add("name", "file");
    const auto over_directory = cp({path("name"), path("tree")});
    EXPECT_EQ(over_directory.status, failed);
    EXPECT_THAT(over_directory.output, HasSubstr("Is a directory"));
    EXPECT_TRUE(fs::is_directory(path("tree/name")));
}

TEST_P(FailingCopy, two_sources_do_not_take_one_name) {
    fs::create_directories(path("a"));
    fs::create_directories(path("b"));
    fs::create_directories(path("into"));
    add("a/name", "first");
    add("b/name", "second");
    const auto ended = cp({path("a/name"), path("b/name"), path("into")});
    EXPECT_EQ(ended.status, failed);
    EXPECT_THAT(ended.output, HasSubstr("is taken by an earlier source"));
    EXPECT_EQ(content_of(path("into/name")), "first");
}

TEST_P(FailingCopy, several_sources_need_a_directory) {
    add("one", "1");
    add("two", "2");
    const auto ended = cp({path("one"), path("two"), path("nowhere")});
    EXPECT_EQ(ended.status, failed);
    EXPECT_EQ(ended.output,
              "ringside cp: cannot copy several things to '" + path("nowhere") + "': No such file or directory\n");
}

TEST_P(FailingCopy, names_in_messages_cannot_confuse_a_terminal) {
    const auto ended = cp({path("\x1b[2J\n'"), path("copy")});
    EXPECT_EQ(ended.output, "ringside cp: cannot copy '" + path("") + "\\x1b[2J\\x0a\\'': No such file or directory\n");
}

TEST_P(FailingCopy, command_line_without_a_destination_is_a_usage_error) {
    const auto ended = cp({path("only one")});
    EXPECT_EQ(ended.status, 2);
    EXPECT_THAT(ended.output, HasSubstr("At least 2 required"));
}

// The line is drawn anew ten times a second at most, so the source is a FIFO that gives for longer than that.
TEST_P(FailingCopy, progress_is_shown_on_a_terminal) {
    const Fd terminal(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
    ASSERT_EQ(grantpt(terminal), 0);
    ASSERT_EQ(unlockpt(terminal), 0);
    const std::string name = ptsname(terminal);
    ASSERT_EQ(mkfifo(path("slow").c_str(), 0600), 0);
    Child copy(command({path("slow"), path("copy")}),
               [&] { dup2(open(name.c_str(), O_RDWR | O_NOCTTY), STDERR_FILENO); });
    Fd writer(open(path("slow").c_str(), O_WRONLY | O_CLOEXEC));
    for (int i = 0; i < 5; ++i) {
        ASSERT_EQ(write(writer, "0123456789", 10), 10);
        sleep_ms(60);
    }
    writer.reset();
    EXPECT_EQ(copy.wait(), done);
    char shown[4096];
    const ssize_t length = read(terminal, shown, sizeof shown);
    ASSERT_GT(length, 0);
    EXPECT_THAT(std::string(shown, static_cast<size_t>(length)), AllOf(HasSubstr("%"), HasSubstr("/s")));
}

}  // namespace
}  // namespace ringside::test
