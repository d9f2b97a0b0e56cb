// ringside cp: copies files and trees with many requests in flight, on the kernel's io_uring or on the engine. It uses
// nothing that a program outside this project could not use.
#include <fmt/format.h>
#include <signal.h>

#include <map>
#include <memory>

#include "cli/command.h"
#include "cli/cp/copier.h"
#include "cli/cp/plan.h"
#include "cli/cp/progress.h"
#include "cli/cp/report.h"

namespace ringside::cli {
namespace {

const std::map<std::string, Wish> providers = {
    {"auto", Wish::automatic}, {"kernel", Wish::kernel}, {"engine", Wish::engine}};

constexpr unsigned most_depth = 4096;

constexpr const char* details =
    "Modes, times, links, holes and, where permitted, owners are kept; extended attributes and access control lists "
    "are "
    "not. A file appears under its name only when it is whole.";

void run_cp(const cp::Options& options) {
    int interrupted_by = 0;
    bool failures = false;
    {
        cp::Progress progress(options.progress);
        cp::Report report(progress);
        progress.measure(options.sources, options.recursive);
        cp::Copier copier(options, progress, report);
        interrupted_by = copier.run(cp::plan(options, report));
        failures = report.any();
    }
    if (interrupted_by != 0) {
        fmt::print(stderr, "ringside cp: interrupted; what was not whole has been removed\n");
        // A shell must see that the signal ended the program.
        signal(interrupted_by, SIG_DFL);
        raise(interrupted_by);
    }
    if (failures) finish(failed);
}

void add(CLI::App& tool) {
    CLI::App* command = tool.add_subcommand("cp", "Copy files and trees through io_uring");
    command->footer(details);
    const auto options = std::make_shared<cp::Options>();
    const auto paths = std::make_shared<std::vector<std::string>>();
    command->add_option("paths", *paths, "What to copy, and where to: SOURCE... DESTINATION")
        ->required()
        ->expected(2, -1)
        ->option_text("SOURCE... DESTINATION");
    command->add_flag("-r,-R,--recursive", options->recursive, "Copy directories with all that is in them");
    command->add_option("--depth", options->depth, "Requests in flight at a time")
        ->check(CLI::Range(1U, most_depth))
        ->option_text(fmt::format("NUMBER={}", options->depth));
    command->add_option("--provider", options->provider, "Whose io_uring does it (default: RINGSIDE_PROVIDER or auto)")
        ->transform(CLI::CheckedTransformer(providers))
        ->option_text("auto|kernel|engine");
    command->add_flag("--fsync", options->fsync, "Return only when everything is on disk");
    command->add_flag("--progress,!--no-progress", options->progress, "Show a progress line where there is a terminal");
    command->callback([options, paths] {
        options->destination = paths->back();
        paths->pop_back();
        options->sources = std::move(*paths);
        run_cp(*options);
    });
}

const Command command(add);

}  // namespace
}  // namespace ringside::cli
