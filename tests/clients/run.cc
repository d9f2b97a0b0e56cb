// `ringside run` itself: what it sets, what it passes on, and what it says when a program cannot be served.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "clients/command.h"
#include "support/files.h"

namespace ringside::test {
namespace {

const std::string library = RINGSIDE_LIB "/libringside-preload.so";

Outcome run_with(std::vector<std::string> words, std::vector<std::pair<std::string, std::string>> environment = {}) {
    return Command{std::move(words), std::move(environment)}.run();
}

TEST(Run, gives_the_exit_status_and_the_arguments_of_the_program) {
    const Outcome outcome =
        run_with(served("auto", {"sh", "-c", "echo \"$@\"; exit 7", "sh", "--", "-x", "--provider=kernel"}));
    EXPECT_EQ(outcome.status, 7);
    EXPECT_EQ(outcome.output, "-- -x --provider=kernel\n");
    EXPECT_EQ(outcome.errors, "");
}

TEST(Run, ends_by_the_signal_that_ends_the_program) {
    EXPECT_EQ(run_with(served("auto", {"sh", "-c", "kill -TERM $$"})).status, 128 + 15);
}

TEST(Run, sets_the_library_and_the_provider) {
    const Outcome outcome = run_with(served("engine", {"sh", "-c", "echo $LD_PRELOAD $RINGSIDE_PROVIDER"}));
    EXPECT_EQ(outcome.output, library + " engine\n");
}

TEST(Run, keeps_what_is_preloaded_already_and_adds_itself_once) {
    const Outcome outcome =
        run_with(served("auto", served("auto", {"sh", "-c", "echo $LD_PRELOAD"})), {{"LD_PRELOAD", "libc.so.6"}});
    EXPECT_EQ(outcome.output, "libc.so.6:" + library + "\n");
}

TEST(Run, takes_the_provider_from_the_environment_when_it_is_not_told) {
    const Outcome outcome = run_with({built("ringside"), "run", "--", "sh", "-c", "echo $RINGSIDE_PROVIDER"},
                                     {{"RINGSIDE_PROVIDER", "engine"}});
    EXPECT_EQ(outcome.output, "engine\n");
}

// It was passed on, and meant "auto" to the program.
TEST(Run, refuses_a_provider_from_the_environment_that_there_is_not) {
    const Outcome outcome = run_with({built("ringside"), "run", "--", "true"}, {{"RINGSIDE_PROVIDER", "enigne"}});
    EXPECT_EQ(outcome.status, 125);
    EXPECT_EQ(outcome.errors, "ringside: RINGSIDE_PROVIDER=enigne is none of auto, kernel and engine\n");
}

TEST(Run, tells_a_program_not_to_ask_where_asking_is_deadly) {
    const auto words = served("auto", {"sh", "-c", "echo $RINGSIDE_PROVIDER"});
    EXPECT_EQ(run_with(refused("KILL", words)).output, "engine\n");
    EXPECT_EQ(run_with(refused("EPERM", words)).output, "auto\n");
}

TEST(Run, says_that_a_command_line_makes_no_sense) {
    EXPECT_EQ(run_with({built("ringside"), "run"}).status, 2);
    EXPECT_EQ(run_with(served("teapot", {"true"})).status, 2);
    EXPECT_EQ(run_with({built("ringside"), "sprint"}).status, 2);
}

TEST(Run, says_what_is_not_there_and_what_is_no_program) {
    const Outcome missing = run_with(served("auto", {"no-such-program"}));
    EXPECT_EQ(missing.status, 127);
    EXPECT_EQ(missing.errors, "ringside: no-such-program is not found in PATH\n");
    const Outcome nowhere = run_with(served("auto", {"/no/such/program"}));
    EXPECT_EQ(nowhere.status, 127);
    EXPECT_EQ(nowhere.errors, "ringside: /no/such/program does not exist\n");
    const Outcome data = run_with(served("auto", {"/etc/passwd"}));
    EXPECT_EQ(data.status, 126);
    EXPECT_EQ(data.errors, "ringside: /etc/passwd is no executable file\n");
    const Outcome directory = run_with(served("auto", {"/etc"}));
    EXPECT_EQ(directory.status, 126);
}

TEST(Run, says_that_a_library_is_missing) {
    const Outcome outcome = run_with(served("engine", {"true"}), {{"RINGSIDE_PRELOAD", "/no/such/library.so"}});
    EXPECT_EQ(outcome.status, 125);
    EXPECT_NE(outcome.errors.find("/no/such/library.so cannot be read"), std::string::npos) << outcome;
}

TEST(StaticProgram, is_not_started_where_it_would_need_the_engine) {
    const Outcome outcome = run_with(served("engine", {built("client-static")}));
    EXPECT_EQ(outcome.status, 125);
    EXPECT_NE(outcome.errors.find("is statically linked"), std::string::npos) << outcome;
    EXPECT_EQ(run_with(refused("EPERM", served("auto", {built("client-static")}))).status, 125);
}

TEST(StaticProgram, runs_where_the_kernel_serves_it) {
    EXPECT_EQ(run_with(served("kernel", {built("client-static")})).status, 7);
    EXPECT_EQ(run_with(served("auto", {built("client-static")})).status, 7);
}

// The filter that traps a served program's calls is inherited; the library that answers them is not.
TEST(StaticProgram, started_by_a_served_one_is_ended_when_it_asks_for_a_ring) {
    const std::vector<std::string> by_a_shell = {"sh", "-c", built("client-static-asks") + "; exit $?"};
    EXPECT_EQ(run_with(served("engine", by_a_shell)).status, 128 + SIGSYS);
    EXPECT_EQ(run_with(served("kernel", by_a_shell)).status, 0);
    EXPECT_EQ(run_with(served("engine", {"sh", "-c", built("client-static") + "; exit $?"})).status, 7);
}

// Writes an executable file that begins with `bytes`.
std::string executable(const TemporaryDirectory& directory, const std::string& name, const std::string& bytes) {
    const std::string path = directory.path() + "/" + name;
    std::ofstream(path) << bytes;
    chmod(path.c_str(), 0755);
    return path;
}

TEST(Script, is_judged_by_its_interpreter) {
    const TemporaryDirectory directory;
    const std::string by_shell = executable(directory, "by_shell", "#!/bin/sh\nexit 5\n");
    EXPECT_EQ(run_with(served("engine", {by_shell})).status, 5);
    const std::string by_static = executable(directory, "by_static", "#!" + built("client-static") + "\n");
    const Outcome outcome = run_with(served("engine", {by_static}));
    EXPECT_EQ(outcome.status, 125);
    EXPECT_NE(outcome.errors.find("is a script of " + built("client-static") + ", which is statically linked"),
              std::string::npos)
        << outcome;
    const std::string by_itself = executable(directory, "by_itself", "#!" + directory.path() + "/by_itself\n");
    EXPECT_EQ(run_with(served("engine", {by_itself})).status, 126);
    const std::string by_nobody = executable(directory, "by_nobody", "#!/no/such/interpreter\n");
    EXPECT_EQ(run_with(served("engine", {by_nobody})).status, 127);
}

TEST(Script, without_an_interpreter_is_the_shells) {
    const TemporaryDirectory directory;
    EXPECT_EQ(run_with(served("engine", {executable(directory, "bare", "exit 6\n")})).status, 6);
}

TEST(ProgramOfAnotherKind, is_not_started) {
    const TemporaryDirectory directory;
    const std::string rest(120, '\0');
    const Outcome small = run_with(served("engine", {executable(directory, "small", "\177ELF\1\1\1" + rest)}));
    EXPECT_EQ(small.status, 125);
    EXPECT_NE(small.errors.find("is a 32-bit program"), std::string::npos) << small;
    const Outcome foreign = run_with(served("engine", {executable(directory, "foreign", "\177ELF\2\1\1" + rest)}));
    EXPECT_EQ(foreign.status, 125);
    EXPECT_NE(foreign.errors.find("is made for another processor"), std::string::npos) << foreign;
}

TEST(SetuidProgram, is_not_started_where_it_would_need_the_engine) {
    if (geteuid() != 0) GTEST_SKIP() << "only root can make a program that changes the user";
    const TemporaryDirectory directory;
    const std::string path = directory.path() + "/changes_user";
    ASSERT_EQ(run_with({"cp", "/bin/true", path}).status, 0);
    ASSERT_EQ(chown(path.c_str(), 65534, 65534), 0);
    ASSERT_EQ(chmod(path.c_str(), 04755), 0);
    const Outcome outcome = run_with(served("engine", {path}));
    EXPECT_EQ(outcome.status, 125);
    EXPECT_NE(outcome.errors.find("is setuid"), std::string::npos) << outcome;
    ASSERT_EQ(chmod(path.c_str(), 02755), 0);
    EXPECT_NE(run_with(served("engine", {path})).errors.find("is setgid"), std::string::npos);
    EXPECT_EQ(run_with(served("kernel", {path})).status, 0);
}

Outcome run_verbosely(const std::string& provider, const std::string& program) {
    return run_with(
        {built("ringside"), "run", "--verbose", "--provider=" + provider, "--", built(program), "/dev/null"});
}

TEST(Verbose, tells_the_choice_and_its_reason_once) {
    const std::string by_engine = run_verbosely("engine", "example-raw-count").errors;
    EXPECT_EQ(by_engine.find("ringside: io_uring of example-raw-count ("), 0U) << by_engine;
    EXPECT_NE(by_engine.find(") is the engine's: the engine was asked for\n"), std::string::npos) << by_engine;
    EXPECT_EQ(std::count(by_engine.begin(), by_engine.end(), '\n'), 1);
    const std::string by_kernel = run_verbosely("auto", "example-raw-cat").errors;
    EXPECT_NE(by_kernel.find(") is the kernel's: the kernel allows io_uring here\n"), std::string::npos) << by_kernel;
}

TEST(Verbose, names_the_refusal) {
    const auto words =
        refused("ENOSYS", {built("ringside"), "run", "--verbose", "--", built("example-raw-cat"), "/dev/null"});
    const Outcome outcome = run_with(words);
    EXPECT_NE(outcome.errors.find(") is the engine's: the kernel refuses io_uring here (ENOSYS)\n"), std::string::npos)
        << outcome;
}

TEST(Verbose, says_nothing_about_a_program_without_rings) {
    EXPECT_EQ(run_with({built("ringside"), "run", "--verbose", "--provider=engine", "--", "true"}).errors, "");
}

}  // namespace
}  // namespace ringside::test
