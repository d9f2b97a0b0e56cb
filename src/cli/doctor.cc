// ringside doctor: is io_uring usable here, what refuses it and how, what would allow it, and which provider a program
// will get. With RINGSIDE_PROVIDER=engine it makes no real io_uring call either.
#include <stdlib.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "cli/command.h"
#include "cli/diagnosis.h"
#include "cli/kernel_answer.h"
#include "cli/operations.h"
#include "cli/surroundings.h"
#include "provider/provider.h"

namespace ringside::cli {
namespace {

using nlohmann::json;

// The provider that a program gets that is started here with this environment.
struct Outlook {
    std::optional<provider::Kind> kind;  // none: nobody would serve it
    std::string wish;                    // RINGSIDE_PROVIDER
    std::string reason;
};

struct Report {
    Surroundings here;
    KernelAnswers answers;
    Diagnosis diagnosis;
    Outlook outlook;
    std::optional<engine::CarryingCosts> costs;  // if the engine serves
};

std::string wish_of_environment() {
    const char* wish = getenv("RINGSIDE_PROVIDER");
    return wish == nullptr || *wish == '\0' ? "auto" : wish;
}

Outlook look_ahead(const Surroundings& here, const KernelAnswers& answers) {
    Outlook outlook = {std::nullopt, wish_of_environment(), {}};
    if (here.under_run) {
        outlook.kind = provider::Kind::engine;
        outlook.reason = "ringside run serves this process and those that it starts";
        return outlook;
    }
    const bool engine_wanted = outlook.wish == "engine";
    if (!engine_wanted && answers.deadly()) {
        outlook.reason = "a policy kills processes that ask the kernel; RINGSIDE_PROVIDER=engine never asks";
        return outlook;
    }
    const provider::Choice choice = provider::choose();
    const bool served = choice.kind == provider::Kind::engine || answers.usable();
    outlook.reason = choice.reason;
    if (served) outlook.kind = choice.kind;
    if (!served && choice.wish == provider::Wish::automatic) {
        outlook.reason = "the kernel grants rings but not their use; RINGSIDE_PROVIDER=engine does without it";
    }
    return outlook;
}

Report examine() {
    Report report;
    report.here = look_around();
    if (wish_of_environment() != "engine" && !report.here.under_run) report.answers = ask_kernel();
    report.diagnosis = diagnose(report.answers, report.here);
    report.outlook = look_ahead(report.here, report.answers);
    if (report.outlook.kind == provider::Kind::engine) report.costs = provider::measure_costs();
    return report;
}

const char* word(Answer::Kind kind) {
    switch (kind) {
        case Answer::Kind::not_asked:
            return "not asked";
        case Answer::Kind::allowed:
            return "allowed";
        case Answer::Kind::refused:
            return "refused";
        case Answer::Kind::killed:
            return "killed";
        case Answer::Kind::silent:
            return "silent";
    }
    return "unknown";
}

std::string line_of(const Answer& answer) {
    const std::string number = name_of_number(answer);
    return number.empty() ? word(answer.kind) : fmt::format("{} with {}", word(answer.kind), number);
}

std::string line_of_container(const Surroundings& here) {
    if (here.container == Container::none) return "none seen";
    return fmt::format("{} ({})", name(here.container), here.container_hint);
}

std::string line_of_seccomp(const Surroundings& here) {
    if (!here.seccomp) return "unknown";
    if (here.seccomp_filters == 0) return name(*here.seccomp);
    return fmt::format("{} ({} loaded)", name(*here.seccomp), here.seccomp_filters);
}

std::string line_of_sysctl(const Surroundings& here) {
    if (!here.io_uring_disabled) return "no kernel.io_uring_disabled here";
    const std::string group = here.io_uring_group ? fmt::format("{}", *here.io_uring_group) : "-1";
    return fmt::format("kernel.io_uring_disabled={} kernel.io_uring_group={}", *here.io_uring_disabled, group);
}

std::string line_of_provider(const Outlook& outlook) {
    const char* who = outlook.kind ? provider::name(*outlook.kind) : "none";
    return fmt::format("{}: {} (RINGSIDE_PROVIDER={})", who, outlook.reason, outlook.wish);
}

std::string line_of_costs(const engine::CarryingCosts& costs) {
    if (costs.attempt_ns == 0) return fmt::format("{} ns each; io_submit is refused", costs.call_ns);
    return fmt::format("{} ns each, {} ns carried by io_submit: RINGSIDE_CARRIER=auto takes {}", costs.call_ns,
                       costs.attempt_ns, costs.pays ? "aio" : "calls");
}

void print_row(const std::string& label, const std::string& text) { fmt::print("{:<18} {}\n", label, text); }

void print_table(const Report& report) {
    const Surroundings& here = report.here;
    print_row("kernel", fmt::format("Linux {} {}", here.kernel_release, here.machine));
    print_row("container", line_of_container(here));
    print_row("seccomp", line_of_seccomp(here));
    print_row("sysctl", line_of_sysctl(here));
    print_row("io_uring_setup", line_of(report.answers.setup));
    print_row("io_uring_enter", line_of(report.answers.enter));
    print_row("io_uring_register", line_of(report.answers.register_call));
    for (const std::string& finding : report.diagnosis.findings) print_row("finding", finding);
    for (const std::string& remedy : report.diagnosis.remedies) print_row("would allow it", remedy);
    print_row("provider", line_of_provider(report.outlook));
    if (report.costs) print_row("system calls", line_of_costs(*report.costs));
    if (report.outlook.kind == provider::Kind::engine && !here.under_run) {
        print_row("so", "ringside run -- CMD serves a program that uses io_uring, with nothing changed here");
    }
}

json json_of(const Answer& answer) {
    json object = {{"answer", word(answer.kind)}};
    if (answer.kind == Answer::Kind::refused) object["errno"] = name_of_number(answer);
    if (answer.kind == Answer::Kind::killed) object["signal"] = name_of_number(answer);
    return object;
}

template <typename T>
json json_or_null(const std::optional<T>& value) {
    return value ? json(*value) : json(nullptr);
}

json json_of(const Surroundings& here) {
    return {
        {"kernel", {{"release", here.kernel_release}, {"machine", here.machine}}},
        {"container", {{"kind", name(here.container)}, {"hint", here.container_hint}}},
        {"seccomp",
         {{"mode", here.seccomp ? json(name(*here.seccomp)) : json(nullptr)}, {"filters", here.seccomp_filters}}},
        {"sysctl",
         {{"kernel.io_uring_disabled", json_or_null(here.io_uring_disabled)},
          {"kernel.io_uring_group", json_or_null(here.io_uring_group)}}},
    };
}

void print_json(const Report& report) {
    json object = json_of(report.here);
    const bool asked = report.answers.setup.kind != Answer::Kind::not_asked;
    object["ringside"] = RINGSIDE_VERSION;
    object["io_uring"] = {{"usable", asked ? json(report.answers.usable()) : json(nullptr)},
                          {"setup", json_of(report.answers.setup)},
                          {"enter", json_of(report.answers.enter)},
                          {"register", json_of(report.answers.register_call)}};
    json causes = json::array();
    for (const Cause cause : report.diagnosis.causes) causes.push_back(name(cause));
    object["causes"] = std::move(causes);
    object["findings"] = report.diagnosis.findings;
    object["remedies"] = report.diagnosis.remedies;
    const Outlook& outlook = report.outlook;
    object["provider"] = {{"name", outlook.kind ? json(provider::name(*outlook.kind)) : json(nullptr)},
                          {"wish", outlook.wish},
                          {"reason", outlook.reason}};
    object["system_calls"] = nullptr;
    if (report.costs) {
        object["system_calls"] = {{"call_ns", report.costs->call_ns},
                                  {"carried_ns", report.costs->attempt_ns},
                                  {"carrier", report.costs->pays ? "aio" : "calls"}};
    }
    fmt::print("{}\n", object.dump(2));
}

void doctor(bool as_json) {
    const Report report = examine();
    if (as_json) {
        print_json(report);
    } else {
        print_table(report);
    }
    if (!report.outlook.kind) finish(failed);
}

// Whether a ring of the kernel's may be set up in this process, to ask it which operations it has.
bool may_ask_kernel() { return wish_of_environment() != "engine" && ask_kernel().usable(); }

void operations(bool as_json, bool as_markdown) {
    const auto format = as_json       ? OperationsFormat::json
                        : as_markdown ? OperationsFormat::markdown
                                      : OperationsFormat::table;
    fmt::print("{}", list_operations(format, !as_markdown && may_ask_kernel()));
}

const Command command{[](CLI::App& tool) {
    CLI::App* app =
        tool.add_subcommand("doctor", "Say whether io_uring works here, what refuses it, what would allow it");
    app->footer("Exit status: 0 when a program that uses io_uring will be served here, 1 when not.");
    static bool as_json = false, ops = false, as_markdown = false;
    app->add_flag("--json", as_json, "Answer as JSON");
    CLI::Option* const list =
        app->add_flag("--ops", ops, "List the operations: since when there are, who has them, what is different");
    app->add_flag("--markdown", as_markdown, "With --ops: as docs/opcodes.md has it")->needs(list);
    app->callback([] { ops ? operations(as_json, as_markdown) : doctor(as_json); });
}};

}  // namespace
}  // namespace ringside::cli
