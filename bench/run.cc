// ringside-bench: runs the cases and prints a line for each, engine against kernel and against whatever else does the
// same work.
//
// All columns of a case are alive at once and take their samples in turn, so that whatever else the machine does falls
// on all of them alike; a ratio is taken within each round and its median over the rounds is what counts.
#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>

#include "measure.h"
#include "table.h"

namespace {

using namespace bench;

struct Wish {
    Plan plan;
    std::vector<std::string> cases;
    std::string json;
    std::string commit;
    bool quick = false;
    bool cpu = false;
    bool list = false;
};

int last_allowed_core() {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 0;
    for (int core = CPU_SETSIZE - 1; core > 0; --core) {
        if (CPU_ISSET(core, &set)) return core;
    }
    return 0;
}

// A folder for what the columns share. A process of its own removes it when this one ends, in whatever way that may be:
// it holds the other end of a pipe that is never written to.
class SharedFolder {
  public:
    SharedFolder() : path_(std::filesystem::temp_directory_path() / "ringside-bench-XXXXXX") {
        int ends[2];
        if (mkdtemp(path_.data()) == nullptr) throw std::system_error(errno, std::system_category(), path_);
        if (pipe2(ends, O_CLOEXEC) != 0) throw std::system_error(errno, std::system_category(), "pipe");
        setenv("RINGSIDE_BENCH_FOLDER", path_.c_str(), 1);
        remover_ = fork();
        if (remover_ < 0) throw std::system_error(errno, std::system_category(), "fork");
        if (remover_ == 0) {
            setsid();  // what ends the run from the terminal does not end this
            close(ends[1]);
            char nothing;
            while (read(ends[0], &nothing, 1) < 0 && errno == EINTR) {
            }
            std::error_code ignored;
            std::filesystem::remove_all(path_, ignored);
            _exit(0);
        }
        close(ends[0]);
        alive_ = ends[1];
    }
    ~SharedFolder() {
        close(alive_);
        waitpid(remover_, nullptr, 0);
    }
    SharedFolder(const SharedFolder&) = delete;
    SharedFolder& operator=(const SharedFolder&) = delete;

    const std::string& path() const { return path_; }

  private:
    std::string path_;
    pid_t remover_;
    int alive_;
};

// A case is asked for by its name, or with others by how their names begin: "read*".
bool is_wanted(const CaseResult& result, const Wish& wish) {
    if (wish.cases.empty()) return !wish.quick || result.rounds == 0;
    return std::any_of(wish.cases.begin(), wish.cases.end(), [&](const std::string& name) {
        return name.ends_with('*') ? result.name.starts_with(name.substr(0, name.size() - 1)) : result.name == name;
    });
}

int run(const Wish& wish) {
    const Workers workers(std::filesystem::read_symlink("/proc/self/exe").parent_path());
    auto cases = workers.cases();
    std::erase_if(cases, [&](const CaseResult& each) { return !is_wanted(each, wish); });
    if (wish.list) {
        for (const auto& each : cases) fmt::print("{:<24} {}\n", each.name, each.what);
        return 0;
    }
    const SharedFolder folder;
    Results results{describe_machine(folder.path()), std::move(cases)};
    results.machine["figures"] = wish.cpu ? "processor time" : "elapsed time";
    if (!wish.commit.empty()) results.machine["commit"] = wish.commit;
    bool failed = results.cases.empty();
    print_head(wish.plan);
    for (auto& each : results.cases) {
        workers.measure(each, wish.plan);
        print_lines(each);
        failed = failed || !each.failure.empty();
        // Again after each, so that a run that is broken off has left what it knew.
        if (!wish.json.empty()) std::ofstream(wish.json) << to_json(results).dump(1) << "\n";
    }
    return failed ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Benchmarks: ringside's engine, the kernel's io_uring, liburing and others, side by side");
    Wish wish;
    Plan& plan = wish.plan;
    plan.core = last_allowed_core();
    app.add_option("cases", wish.cases, "Cases to run, by name or beginning*; all of them if none is given");
    auto* const rounds = app.add_option("--rounds", plan.rounds, "Samples a column")->check(CLI::Range(1, 10000));
    auto* const sample = app.add_option("--sample-ms", plan.sample_ms, "Length of a sample in milliseconds");
    rounds->capture_default_str();
    sample->capture_default_str();
    app.add_option("--core", plan.core, "The processor that everything runs on")->capture_default_str();
    app.add_option("--json", wish.json, "File for all samples, and what they come down to");
    app.add_option("--commit", wish.commit, "Goes into that file as what was measured");
    app.add_flag("--peers,!--no-peers", plan.peers, "Other ways to do the same work as well")->default_val(true);
    app.add_flag("--quick", wish.quick, "A look at everything that is quick: few and short samples");
    app.add_flag("--cpu", wish.cpu, "Processor time of all of a column's threads, in place of the time that passes");
    app.add_flag("--list", wish.list, "Only name the cases");
    CLI11_PARSE(app, argc, argv);
    if (wish.quick && rounds->empty()) plan.rounds = 3;
    if (wish.quick && sample->empty()) plan.sample_ms = 2;
    if (wish.cpu) setenv("RINGSIDE_BENCH_CPU", "1", 1);
    signal(SIGPIPE, SIG_IGN);
    try {
        return run(wish);
    } catch (const std::exception& error) {
        fmt::print(stderr, "ringside-bench: {}\n", error.what());
        return 1;
    }
}
