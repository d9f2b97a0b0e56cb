// `ringside doctor` as a user sees it, where io_uring is allowed and under each kind of refusal.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "clients/command.h"

namespace ringside::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;

std::vector<std::string> doctor(std::vector<std::string> options = {}) {
    options.insert(options.begin(), {built("ringside"), "doctor"});
    return options;
}

struct Examination {
    int status;
    json report;
};

Examination examine(std::vector<std::string> words, const std::string& provider = "auto") {
    const Outcome outcome = Command{std::move(words), {{"RINGSIDE_PROVIDER", provider}}}.run();
    EXPECT_EQ(outcome.errors, "");
    return {outcome.status, json::parse(outcome.output, nullptr, false)};
}

const char* const calls[] = {"setup", "enter", "register"};

TEST(Doctor, finds_io_uring_allowed_on_this_kernel) {
    const auto [status, report] = examine(doctor({"--json"}));
    EXPECT_EQ(status, 0);
    EXPECT_EQ(report["io_uring"]["usable"], true) << report;
    for (const char* call : calls) EXPECT_EQ(report["io_uring"][call]["answer"], "allowed");
    EXPECT_EQ(report["causes"], json::array({"none"}));
    EXPECT_EQ(report["provider"]["name"], "kernel");
    EXPECT_EQ(report["provider"]["wish"], "auto");
    EXPECT_THAT(report["kernel"]["release"].get<std::string>(), MatchesRegex("[0-9]+\\.[0-9]+.*"));
}

TEST(Doctor, names_the_errno_of_a_refusal_and_takes_the_engine) {
    for (const std::string number : {"EPERM", "ENOSYS", "EACCES"}) {
        SCOPED_TRACE(number);
        const auto [status, report] = examine(refused(number, doctor({"--json"})));
        EXPECT_EQ(status, 0);
        EXPECT_EQ(report["io_uring"]["usable"], false) << report;
        for (const char* call : calls) {
            EXPECT_EQ(report["io_uring"][call], (json{{"answer", "refused"}, {"errno", number}}));
        }
        EXPECT_EQ(report["seccomp"]["mode"], "filter");
        EXPECT_EQ(report["causes"], json::array({"seccomp"}));
        EXPECT_EQ(report["remedies"].size(), 1U);
        EXPECT_EQ(report["provider"]["name"], "engine");
        EXPECT_EQ(report["provider"]["reason"], "the kernel refuses io_uring here");
    }
}

TEST(Doctor, survives_a_policy_that_kills) {
    for (const std::string way : {"KILL", "TRAP"}) {
        SCOPED_TRACE(way);
        const auto [status, report] = examine(refused(way, doctor({"--json"})));
        EXPECT_EQ(status, 1);
        EXPECT_EQ(report["io_uring"]["usable"], false) << report;
        for (const char* call : calls) {
            EXPECT_EQ(report["io_uring"][call], (json{{"answer", "killed"}, {"signal", "SIGSYS"}}));
        }
        EXPECT_EQ(report["causes"], json::array({"seccomp"}));
        EXPECT_EQ(report["provider"]["name"], nullptr);
    }
}

TEST(Doctor, says_that_it_is_served_by_run_itself) {
    const auto [status, report] = examine(refused("EPERM", served("auto", doctor({"--json"}))));
    EXPECT_EQ(status, 0);
    EXPECT_EQ(report["io_uring"]["usable"], nullptr) << report;
    for (const char* call : calls) EXPECT_EQ(report["io_uring"][call], (json{{"answer", "not asked"}}));
    EXPECT_EQ(report["causes"], json::array({"under run"}));
    EXPECT_EQ(report["provider"]["name"], "engine");
}

TEST(Doctor, asks_nothing_of_the_kernel_when_the_engine_is_wanted) {
    const auto [status, report] = examine(refused("KILL", doctor({"--json"})), "engine");
    EXPECT_EQ(status, 0);
    EXPECT_EQ(report["io_uring"]["usable"], nullptr) << report;
    for (const char* call : calls) EXPECT_EQ(report["io_uring"][call], (json{{"answer", "not asked"}}));
    EXPECT_EQ(report["provider"]["name"], "engine");
}

TEST(Doctor, answers_no_where_a_wanted_kernel_refuses) {
    const auto [status, report] = examine(refused("EPERM", doctor({"--json"})), "kernel");
    EXPECT_EQ(status, 1);
    EXPECT_EQ(report["provider"]["name"], nullptr) << report;
}

TEST(Doctor, writes_a_table_for_people) {
    const Outcome outcome = Command{refused("EPERM", doctor()), {{"RINGSIDE_PROVIDER", ""}}}.run();
    EXPECT_EQ(outcome.status, 0);
    EXPECT_THAT(outcome.output, HasSubstr("io_uring_setup     refused with EPERM\n"));
    EXPECT_THAT(outcome.output, HasSubstr("finding            a seccomp filter answers EPERM to "));
    EXPECT_THAT(outcome.output,
                HasSubstr("provider           engine: the kernel refuses io_uring here (RINGSIDE_PROVIDER=auto)\n"));
    EXPECT_THAT(outcome.output, HasSubstr("ringside run -- CMD serves a program"));
    EXPECT_THAT(outcome.output,
                testing::ContainsRegex("system calls       [0-9]+ ns each, [0-9]+ ns carried by io_submit"));
    const Outcome allowed = Command{doctor(), {{"RINGSIDE_PROVIDER", ""}}}.run();
    EXPECT_THAT(allowed.output, Not(HasSubstr("would allow it")));
}

TEST(Doctor, knows_a_container_by_its_environment) {
    const Outcome outcome = Command{doctor({"--json"}), {{"KUBERNETES_SERVICE_HOST", "10.0.0.1"}}}.run();
    EXPECT_EQ(json::parse(outcome.output)["container"]["kind"], "kubernetes");
}

}  // namespace
}  // namespace ringside::test
