// ringside run -- CMD...: starts a program that makes io_uring's system calls itself with a library in front of it that
// answers them. The program takes this process's place, so its exit status is its own.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <fmt/format.h>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/kernel_answer.h"
#include "cli/program.h"

namespace ringside::cli {
namespace {

struct Options {
    std::string provider;
    bool verbose = false;
};

[[noreturn]] void complain(int status, const std::string& text) {
    fmt::print(stderr, "ringside: {}\n", text);
    finish(status);
}

// A variable that is set to nothing counts as not set.
std::string variable(const char* name) {
    const char* value = getenv(name);
    return value != nullptr ? value : "";
}

// The path of the preload library: the one in RINGSIDE_PRELOAD; or beside this program, as it lies in a build or in
// an installation; or in the installation that this program was built for. Empty if none of these exists.
std::string find_library() {
    namespace fs = std::filesystem;
    if (std::string named = variable("RINGSIDE_PRELOAD"); !named.empty()) return named;
    std::error_code error;
    const fs::path here = fs::read_symlink("/proc/self/exe", error).parent_path();
    const char* const file = "libringside-preload.so";
    for (const fs::path& directory : {here / ".." / "lib", here / ".." / RINGSIDE_LIBDIR / "ringside",
                                      fs::path(RINGSIDE_FULL_LIBDIR) / "ringside"}) {
        if (fs::exists(directory / file, error)) return fs::weakly_canonical(directory / file, error).string();
    }
    return {};
}

std::string library_or_complain() {
    const std::string library = find_library();
    if (library.empty()) {
        complain(not_served,
                 "libringside-preload.so is neither beside this program nor installed; RINGSIDE_PRELOAD=FILE names it");
    }
    if (access(library.c_str(), R_OK) != 0) {
        complain(not_served, fmt::format("the preload library {} cannot be read: {}", library, strerror(errno)));
    }
    if (library.find_first_of(" :") != std::string::npos) {
        complain(not_served, fmt::format("LD_PRELOAD cannot hold the path {}: it has a space or a colon", library));
    }
    return library;
}

// The provider that the program is started with, and whether the program would fail without the library.
struct Plan {
    std::string provider;
    bool engine_needed;
};

Plan plan_for(const std::string& wish) {
    if (wish == "engine") return {wish, true};
    if (wish == "kernel") return {wish, false};
    const KernelAnswers answers = ask_kernel();
    if (answers.usable()) return {wish, false};
    // The library in the program would try io_uring_setup, in the program's own process. It must not if a policy
    // kills for the call, or if setup is allowed and the other calls are not.
    const bool must_not_ask = answers.deadly() || answers.setup.allowed();
    return {must_not_ask ? "engine" : wish, true};
}

// Appends the library to LD_PRELOAD, unless it is there. A sanitizer's runtime must stay first.
std::string with_library(const std::string& preloaded, const std::string& library) {
    if (preloaded.empty()) return library;
    return preloaded.find(library) != std::string::npos ? preloaded : preloaded + ":" + library;
}

[[noreturn]] void execute(const std::vector<std::string>& command) {
    std::vector<char*> arguments;
    for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
    arguments.push_back(nullptr);
    execvp(arguments[0], arguments.data());
    complain(errno == ENOENT ? not_found : not_executable, fmt::format("{}: {}", command[0], strerror(errno)));
}

const std::set<std::string> providers = {"auto", "kernel", "engine"};

[[noreturn]] void run(const Options& options, const std::vector<std::string>& command) {
    // CLI11 checks the option; the variable is checked here. The library would take a misspelt "engine" as "auto".
    if (!providers.contains(options.provider)) {
        complain(not_served, fmt::format("RINGSIDE_PROVIDER={} is none of auto, kernel and engine", options.provider));
    }
    const Plan plan = plan_for(options.provider);
    const Verdict verdict = judge_program(command[0]);
    const std::string complaint = fmt::format("{} {}", command[0], verdict.why);
    if (verdict.kind == Verdict::Kind::missing) complain(not_found, complaint);
    if (verdict.kind == Verdict::Kind::inexecutable) complain(not_executable, complaint);
    if (verdict.kind == Verdict::Kind::out_of_reach && plan.engine_needed) {
        complain(not_served, complaint + "; the engine cannot serve it");
    }
    const std::string preload = with_library(variable("LD_PRELOAD"), library_or_complain());
    setenv("LD_PRELOAD", preload.c_str(), 1);
    setenv("RINGSIDE_PROVIDER", plan.provider.c_str(), 1);
    if (options.verbose) setenv("RINGSIDE_VERBOSE", "1", 1);
    execute(command);
}

const Command command{[](CLI::App& tool) {
    static Options options = {variable("RINGSIDE_PROVIDER").empty() ? "auto" : variable("RINGSIDE_PROVIDER"), false};
    CLI::App* app = tool.add_subcommand("run", "Run a program that uses io_uring, unchanged: ringside run -- CMD...");
    app->add_option("--provider", options.provider,
                    "Whose io_uring the program gets (default: RINGSIDE_PROVIDER or auto)")
        ->check(CLI::IsMember(providers));
    app->add_flag("--verbose", options.verbose, "Say on stderr which was chosen and why, at the first ring");
    app->footer(
        "Exit status: the program's own; 125 when it cannot be served, 126 when it cannot be executed, 127 when "
        "it is not found.");
    static std::vector<std::string> words;
    app->add_option("CMD", words, "The program and its arguments, behind --")->required();
    app->callback([] { run(options, words); });
}};

}  // namespace
}  // namespace ringside::cli
