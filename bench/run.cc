// ringside-bench: runs the cases and prints one row each, engine against kernel.
//
// All columns of a case are alive at once and take their samples in turn, so that whatever else the machine does falls
// on all of them alike; a ratio is taken within each round and its median over the rounds is what counts.
#include <fmt/format.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <map>
#include <memory>
#include <sstream>

#include "column.h"
#include "statistics.h"

namespace {

using namespace bench;

struct Plan {
    unsigned rounds = 21;
    double sample_ms = 10;
    int core = -1;
    std::vector<std::string> only;
};

struct CaseLine {
    std::string name;
    std::string what;
    double wanted;
    std::string unit;
};

struct Worker {
    std::string title;
    std::string program;
    std::string provider;
};

std::vector<CaseLine> list_cases(const std::string& program) {
    std::vector<CaseLine> lines;
    std::istringstream text(output_of(program + " --list"));
    for (CaseLine line;
         std::getline(std::getline(text, line.name, '\t'), line.what, '\t') >> line.wanted >> line.unit >> std::ws;) {
        lines.push_back(line);
    }
    return lines;
}

using Samples = std::map<std::string, std::vector<double>>;  // by the worker's title

Samples measure(const CaseLine& line, const std::vector<Worker>& workers, const Plan& plan) {
    const std::vector<std::string> arguments = {line.name, std::to_string(plan.sample_ms), std::to_string(plan.core)};
    std::vector<std::unique_ptr<Column>> columns;
    for (const auto& worker : workers) {
        columns.push_back(std::make_unique<Column>(worker.program, worker.provider, arguments));
    }
    Samples samples;
    // The first round waits for the workers to be ready and is not counted.
    for (const auto& column : columns) column->sample();
    for (unsigned round = 0; round < plan.rounds; ++round) {
        // Each round begins with another worker, so that none always comes after the same one.
        for (size_t i = 0; i < columns.size(); ++i) {
            const size_t turn = (i + round) % columns.size();
            samples[workers[turn].title].push_back(columns[turn]->sample());
        }
    }
    return samples;
}

// How many times the rate of `other` this one reaches, with the quartiles over the rounds.
std::string ratio(const Samples& samples, const std::string& one, const std::string& other) {
    if (!samples.contains(one) || !samples.contains(other)) return "-";
    std::vector<double> ratios;
    for (size_t i = 0; i < samples.at(one).size(); ++i) ratios.push_back(samples.at(other)[i] / samples.at(one)[i]);
    const auto [low, median, high] = quartiles(ratios);
    return fmt::format("{:.2f} ({:.2f}-{:.2f})", median, low, high);
}

std::string median_ns(const Samples& samples, const std::string& title) {
    if (!samples.contains(title)) return "-";
    return fmt::format("{:.0f}", quartiles(samples.at(title)).median);
}

int last_allowed_core() {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 0;
    for (int core = CPU_SETSIZE - 1; core > 0; --core) {
        if (CPU_ISSET(core, &set)) return core;
    }
    return 0;
}

// Real liburing is a column where it was there to compile against.
std::vector<Worker> find_workers(const std::filesystem::path& directory) {
    const std::string ours = directory / "bench-ringside";
    std::vector<Worker> workers = {{"engine", ours, "engine"}, {"kernel", ours, "kernel"}};
    const std::string theirs = directory / "bench-liburing";
    if (std::filesystem::exists(theirs)) workers.push_back({"liburing", theirs, ""});
    return workers;
}

// A folder for what the columns share, gone with the run.
class SharedFolder {
  public:
    SharedFolder() : path_(std::filesystem::temp_directory_path() / "ringside-bench-XXXXXX") {
        if (mkdtemp(path_.data()) == nullptr) throw std::system_error(errno, std::system_category(), path_);
        setenv("RINGSIDE_BENCH_FOLDER", path_.c_str(), 1);
    }
    ~SharedFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    SharedFolder(const SharedFolder&) = delete;
    SharedFolder& operator=(const SharedFolder&) = delete;

  private:
    std::string path_;
};

void run(const Plan& plan) {
    const SharedFolder folder;
    const auto workers = find_workers(std::filesystem::read_symlink("/proc/self/exe").parent_path());
    fmt::print("{} rounds of {} ms samples taken in turn, core {}; medians, ratios as median (quartiles)\n\n",
               plan.rounds, plan.sample_ms, plan.core);
    constexpr const char* layout = "{:<54} {:>10} {:>10} {:>11}  {:<18} {:>6}  {}\n";
    fmt::print(layout, "", "ringside,", "ringside,", "liburing,", "engine's rate,", "", "kernel provider,");
    fmt::print(layout, "nanoseconds an operation", "engine", "kernel", "kernel", "times kernel's", "wanted",
               "times liburing's");
    for (const auto& line : list_cases(workers.front().program)) {
        if (!plan.only.empty() && std::find(plan.only.begin(), plan.only.end(), line.name) == plan.only.end()) continue;
        const auto samples = measure(line, workers, plan);
        fmt::print(layout, line.what, median_ns(samples, "engine"), median_ns(samples, "kernel"),
                   median_ns(samples, "liburing"), ratio(samples, "engine", "kernel"),
                   line.wanted > 0 ? fmt::format("{}", line.wanted) : "", ratio(samples, "kernel", "liburing"));
        fflush(stdout);
    }
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Benchmarks: ringside's engine, the kernel's io_uring and liburing, side by side");
    Plan plan;
    plan.core = last_allowed_core();
    app.add_option("cases", plan.only, "Cases to run, by name; all of them if none is given");
    app.add_option("--rounds", plan.rounds, "Samples a column")->check(CLI::Range(1, 10000))->capture_default_str();
    app.add_option("--sample-ms", plan.sample_ms, "Length of a sample in milliseconds")->capture_default_str();
    app.add_option("--core", plan.core, "The processor that everything runs on")->capture_default_str();
    CLI11_PARSE(app, argc, argv);
    signal(SIGPIPE, SIG_IGN);
    try {
        run(plan);
    } catch (const std::exception& error) {
        fmt::print(stderr, "ringside-bench: {}\n", error.what());
        return 1;
    }
}
