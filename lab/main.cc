// ringside-lab: the kernel as judge of the engine.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "driver.h"
#include "generate.h"
#include "offer.h"

namespace {

using namespace ringside;
using namespace ringside::lab;

Program load(const std::string& path) {
    std::ifstream file(path);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    std::string error;
    const std::optional<Program> program = parse(text, &error);
    if (!file || !program) throw std::runtime_error(path + " is no program: " + error);
    return *program;
}

const std::map<std::string, provider::Kind> kinds = {{"kernel", provider::Kind::kernel},
                                                     {"engine", provider::Kind::engine}};

void add_providers(CLI::App* command, RunOptions& options) {
    command->add_option("--first", options.first, "The provider that is right")
        ->transform(CLI::CheckedTransformer(kinds));
    command->add_option("--second", options.second, "The provider that is compared with it")
        ->transform(CLI::CheckedTransformer(kinds));
    command->add_option("--scratch", options.scratch, "Directory for the programs' files");
    command->add_option("--limit-ms", options.limit_ms, "A program that takes longer hangs");
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Random ring programs, run on the kernel's io_uring and on the engine, and compared");
    app.require_subcommand(1);
    RunOptions options;
    options.scratch = fmt::format("/dev/shm/ringside-lab.{}", getpid());
    options.findings = "lab-findings";
    std::string file;
    unsigned times = 1;
    uint64_t seed = 0;
    int status = 0;

    CLI::App* run = app.add_subcommand("run", "Generate programs and compare the providers");
    add_providers(run, options);
    run->add_option("--programs", options.programs, "How many");
    run->add_option("--seed", options.seed, "Seed of the first; the next has the next");
    run->add_option("--minutes", options.minutes, "Stop after so long (0: when the programs are done)");
    run->add_option("--jobs", options.jobs, "Pairs of processes at work at once");
    run->add_flag("--fresh", options.fresh, "A new process for each program");
    run->add_option("--findings", options.findings, "Directory for the programs that differ");
    run->add_flag("--require-coverage", options.require_coverage,
                  "Go on beyond the time until all on offer was exercised, and fail if that takes too long");
    run->callback([&] { status = run_programs(options); });

    CLI::App* replay = app.add_subcommand("replay", "Run a saved program on both providers");
    add_providers(replay, options);
    replay->add_option("file", file)->required();
    replay->add_option("--times", times, "How often");
    replay->callback([&] { status = replay_program(options, load(file), times); });

    CLI::App* shrink = app.add_subcommand("shrink", "Make a program that differs as small as it gets");
    add_providers(shrink, options);
    shrink->add_option("file", file)->required();
    shrink->callback([&] { fmt::print("{}", to_text(shrink_program(options, load(file)))); });

    CLI::App* show = app.add_subcommand("show", "Print a saved program as a C++ test");
    add_providers(show, options);
    show->add_option("file", file)->required();
    show->callback([&] { fmt::print("{}", show_program(options, load(file))); });

    CLI::App* generate_one = app.add_subcommand("generate", "Print the program of a seed");
    add_providers(generate_one, options);
    generate_one->add_option("seed", seed)->required();
    generate_one->callback([&] {
        std::string notes;
        fmt::print("{}", to_text(generate(seed, common_offer(options.first, options.second, options.scratch, notes))));
    });

    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error);
    } catch (const std::exception& error) {
        fmt::print(stderr, "ringside-lab: {}\n", error.what());
        return 2;
    }
    std::error_code ignored;
    std::filesystem::remove_all(options.scratch, ignored);
    return status;
}
