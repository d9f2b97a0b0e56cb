// Programs that make io_uring's system calls themselves, unchanged under `ringside run`: on the kernel's io_uring,
// which says what is right, on the engine, and where the kernel refuses in each of its ways.
#include <gtest/gtest.h>

#include <ostream>

#include "clients/command.h"

namespace ringside::test {
namespace {

using Words = std::vector<std::string>;

struct Place {
    const char* name;
    Words (*around)(Words program);
};

void PrintTo(const Place& place, std::ostream* out) { *out << place.name; }

const Place places[] = {
    {"bare_on_the_kernel", [](Words program) { return program; }},
    {"run_on_the_kernel", [](Words program) { return served("kernel", program); }},
    {"engine", [](Words program) { return served("engine", program); }},
    {"refused_with_EPERM", [](Words program) { return refused("EPERM", served("auto", program)); }},
    {"refused_with_ENOSYS", [](Words program) { return refused("ENOSYS", served("auto", program)); }},
    {"refused_by_SIGSYS", [](Words program) { return refused("TRAP", served("auto", program)); }},
};

// A policy that kills outranks a trap: only calls that go through libc can be served there.
const Place deadly_place = {"refused_by_death", [](Words program) { return refused("KILL", served("auto", program)); }};

const char* const programs[] = {"polled-ring", "polling",  "copied-descriptors", "closed-in-flight", "signals",
                                "processes",   "ordinary", "call-sites",         "closed-by-number", "by-number"};

void expect_success(const Place& place, const std::string& program) {
    const Outcome outcome = Command{place.around({built(program)})}.run();
    EXPECT_EQ(outcome.status, 0) << outcome;
    EXPECT_EQ(outcome.errors, "");
}

class RawProgram : public testing::TestWithParam<std::tuple<Place, const char*>> {};

std::string name_of(const testing::TestParamInfo<std::tuple<Place, const char*>>& info) {
    std::string name = std::string(std::get<1>(info.param)) + "_" + std::get<0>(info.param).name;
    for (char& character : name) character = character == '-' ? '_' : character;
    return name;
}

TEST_P(RawProgram, works_through_libc) {
    const auto& [place, program] = GetParam();
    expect_success(place, std::string("client-") + program);
}

TEST_P(RawProgram, works_with_instructions_of_its_own) {
    const auto& [place, program] = GetParam();
    expect_success(place, std::string("client-") + program + "-inline");
}

INSTANTIATE_TEST_SUITE_P(everywhere, RawProgram,
                         testing::Combine(testing::ValuesIn(places), testing::ValuesIn(programs)), name_of);

#if defined(__x86_64__)
TEST(CallSites, are_rewritten_unless_that_is_not_wanted) {
    const auto words = served("engine", {built("client-call-sites-inline")});
    const auto run_with = [&](const char* rewrite, const char* change) {
        return Command{words, {{"RINGSIDE_REWRITE", rewrite}, {"CALL_SITES_CHANGE", change}}}.run();
    };
    EXPECT_EQ(run_with("", "1").status, 0) << run_with("", "1");
    EXPECT_EQ(run_with("0", "0").status, 0) << run_with("0", "0");
}
#endif

TEST(RawProgramUnderDeadlyPolicy, works_through_libc) {
    for (const char* program : programs) {
        SCOPED_TRACE(program);
        expect_success(deadly_place, std::string("client-") + program);
    }
}

TEST(RawProgramWithoutPrivileges, works_under_a_filter_that_needs_no_new_privileges) {
    for (const std::string program : {"client-processes", "client-processes-inline"}) {
        const Outcome outcome = Command{.words = served("engine", {built(program)}), .unprivileged = true}.run();
        EXPECT_EQ(outcome.status, 0) << outcome;
    }
}

// A handler of SIGSYS and an unblocked SIGSYS do not survive exec, the filter does: each started program has to put
// them up again, and not the filter.
TEST(StartedPrograms, carry_one_filter_however_long_the_line_of_their_parents) {
    const Outcome outcome =
        Command{served("engine", {"sh", "-c", "sh -c 'env grep Seccomp_filters /proc/self/status'"})}.run();
    EXPECT_EQ(outcome.status, 0) << outcome;
    EXPECT_EQ(outcome.output, "Seccomp_filters:\t1\n");
}

TEST(StartedPrograms, are_served_through_a_shell) {
    const std::string script = built("client-processes-inline") + " && " + built("client-signals-inline");
    const Outcome outcome = Command{refused("EPERM", served("auto", {"sh", "-c", script}))}.run();
    EXPECT_EQ(outcome.status, 0) << outcome;
}

class Examples : public testing::TestWithParam<Place> {};

TEST_P(Examples, raw_cat_copies_files_and_standard_input) {
    // Larger than a block, and not a whole number of them.
    const std::string text(100'001, 'x');
    const Outcome copied = Command{.words = GetParam().around({built("example-raw-cat")}), .input = text}.run();
    EXPECT_EQ(copied.status, 0) << copied.errors;
    EXPECT_TRUE(copied.output == text) << copied.output.size();
    const Outcome twice = Command{GetParam().around({built("example-raw-cat"), "/etc/passwd", "/etc/passwd"})}.run();
    const Outcome expected = Command{{"cat", "/etc/passwd", "/etc/passwd"}}.run();
    EXPECT_EQ(twice.output, expected.output);
    const Outcome missing = Command{GetParam().around({built("example-raw-cat"), "/nonexistent"})}.run();
    EXPECT_EQ(missing.status, 1);
    EXPECT_EQ(missing.errors, "raw_cat: /nonexistent: No such file or directory\n");
}

TEST_P(Examples, raw_count_counts_lines_and_bytes) {
    const Outcome counted = Command{GetParam().around({built("example-raw-count"), RINGSIDE_SOURCE "/LICENSE"})}.run();
    EXPECT_EQ(counted.status, 0) << counted;
    const Outcome expected = Command{{"sh", "-c", "echo $(wc -lc < $0) $0", RINGSIDE_SOURCE "/LICENSE"}}.run();
    EXPECT_EQ(counted.output, expected.output);
    const Outcome missing = Command{GetParam().around({built("example-raw-count"), "/nonexistent"})}.run();
    EXPECT_EQ(missing.errors, "raw_count: /nonexistent: No such file or directory\n");
}

INSTANTIATE_TEST_SUITE_P(everywhere, Examples, testing::ValuesIn(places),
                         [](const auto& place) { return std::string(place.param.name); });

}  // namespace
}  // namespace ringside::test
