#include "driver.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <new>
#include <stdexcept>

#include "compare.h"
#include "generate.h"
#include "offer.h"
#include "print_test.h"
#include "server.h"
#include "shrink.h"

namespace ringside::lab {
namespace {

using Clock = std::chrono::steady_clock;

constexpr unsigned programs_per_child = 500;
constexpr unsigned confirmations = 3;
constexpr unsigned most_of_a_kind = 3;   // findings with the same signature that a job keeps
constexpr unsigned more_questions = 20;  // to the first provider, whether it has the other's answer, too

// What the jobs report, in memory that they share.
struct Board {
    Coverage coverage;
    std::atomic<uint64_t> programs;
    std::atomic<uint64_t> requests;  // that the programs make
    std::atomic<uint64_t> kinds;     // of differences: those that begin in the same way are one
    std::atomic<uint64_t> steady;    // differ whenever they are run again
    std::atomic<uint64_t> unsteady;  // differed once
    std::atomic<uint64_t> known;     // like some that the job had already
    std::atomic<uint64_t> noisy;     // the first provider disagrees with itself: a fault of the lab
    std::atomic<uint64_t> open;      // the first provider gives the second's answer, too
    std::atomic<uint64_t> stalled;   // stood still once, and not when run again
};

// Two servers that run the same programs.
class Pair {
  public:
    Pair(const RunOptions& options, const std::string& name)
        : limit_ms_(options.limit_ms),
          first_(options.first, options.scratch + "/" + name + "-a", options.fresh ? 1 : programs_per_child),
          second_(options.second, options.scratch + "/" + name + "-b", options.fresh ? 1 : programs_per_child) {}

    struct Traces {
        Trace first;
        Trace second;
    };

    Traces run(const Program& program) {
        const std::string text = to_text(program);
        first_.begin(text);
        second_.begin(text);
        Traces traces;
        traces.first = first_.finish(limit_ms_);
        traces.second = second_.finish(limit_ms_);
        return traces;
    }
    // The next program gets new processes.
    void retire() {
        first_.retire();
        second_.retire();
    }
    Trace run_first(const Program& program) { return first_.run(to_text(program), limit_ms_); }

  private:
    int limit_ms_;
    Server first_;
    Server second_;
};

// Something did not come to its end in time, be it the end of a ring: a disk that is busy with others, or a worker,
// which the kernel gives up starting after three attempts, so that what waits for it is stuck.
bool is_stalled(const Trace& trace) {
    return std::any_of(trace.begin(), trace.end(), [](const std::string& line) {
        return line.starts_with("waited ") || line.starts_with("descriptors left") || line == "restless" ||
               line == "HANG";
    });
}

std::optional<Difference> difference_of(Pair& pair, const Program& program) {
    const Pair::Traces traces = pair.run(program);
    return compare(program, traces.first, traces.second);
}

// The same difference again, in each of `times` runs, while the first provider agrees with itself.
bool differs_so(Pair& pair, const Program& program, const std::string& wanted, unsigned times) {
    for (unsigned i = 0; i < times; ++i) {
        const auto difference = difference_of(pair, program);
        if (!difference || signature(program, *difference) != wanted) return false;
    }
    return !compare(program, pair.run_first(program), pair.run_first(program));
}

// The smallest program that differs in the same way, as far as that can be had in a minute.
Program smallest_of(Pair& pair, const Program& program, const Difference& difference) {
    const std::string wanted = signature(program, difference);
    const auto end = Clock::now() + std::chrono::minutes(1);
    return shrink(program, [&](const Program& candidate) {
        return Clock::now() < end && differs_so(pair, candidate, wanted, 2);
    });
}

std::string joined(const std::vector<std::string>& lines, const char* indent = "  ") {
    std::string text;
    for (const std::string& line : lines) text += indent + line + "\n";
    return text;
}

uint64_t requests_of(const Program& program) {
    return static_cast<uint64_t>(std::count_if(program.steps.begin(), program.steps.end(),
                                               [](const Step& step) { return std::holds_alternative<Push>(step); }));
}

class Job {
  public:
    Job(const RunOptions& options, const Offer& offer, Board& board, unsigned index)
        : options_(options), offer_(offer), board_(board), index_(index), pair_(options, fmt::format("job{}", index)) {}

    // Until `end`, or until everything was exercised, if that is wanted; but no longer than `last_end`.
    void run(Clock::time_point end, Clock::time_point last_end) {
        const auto is_over = [&] {
            const auto now = Clock::now();
            if (now < end) return false;
            return !options_.require_coverage || now >= last_end || is_complete(board_.coverage, offer_);
        };
        for (uint64_t i = index_; i < options_.programs && !is_over(); i += options_.jobs) {
            const Program program = generate(options_.seed + i, offer_);
            Pair::Traces traces = pair_.run(program);
            if (is_stalled(traces.first) != is_stalled(traces.second)) traces = run_once_more(program, traces);
            board_.coverage.count(program, traces.first);
            board_.programs.fetch_add(1);
            board_.requests.fetch_add(requests_of(program));
            if (const auto difference = compare(program, traces.first, traces.second)) {
                examine(program, traces, *difference);
            }
        }
    }

  private:
    // What stands still each time is a difference. What did so once is told, and no difference: a busy machine is the
    // likely cause, on either side.
    Pair::Traces run_once_more(const Program& program, const Pair::Traces& stalled) {
        pair_.retire();
        Pair::Traces again = pair_.run(program);
        if (is_stalled(again.first) || is_stalled(again.second)) return again;
        board_.stalled.fetch_add(1);
        fmt::print("stalled once: seed {} on {}\n", program.seed,
                   is_stalled(stalled.first) ? "the first" : "the second");
        return again;
    }

    // In new processes, since what earlier programs left behind may be the cause: then it counts as unsteady.
    void examine(const Program& program, const Pair::Traces& differing, const Difference& difference) {
        const std::string found = signature(program, difference);
        if (seen_[found] == most_of_a_kind) {
            board_.known.fetch_add(1);
            return;
        }
        Answers answers{{differing.first}, {differing.second}};
        unsigned again = 0;
        bool noise = false;
        for (unsigned i = 0; i < confirmations; ++i) {
            pair_.retire();
            Pair::Traces traces = pair_.run(program);
            if (compare(program, traces.first, traces.second)) ++again;
            noise = noise || compare(program, pair_.run_first(program), pair_.run_first(program));
            answers.first.push_back(std::move(traces.first));
            answers.second.push_back(std::move(traces.second));
        }
        if (is_open(program, answers)) {
            board_.open.fetch_add(1);
            save(program, difference, "open", again);
            return;
        }
        if (seen_[found]++ == 0) board_.kinds.fetch_add(1);
        const char* kind = noise ? "noisy" : again == confirmations ? "steady" : "unsteady";
        (noise ? board_.noisy : again == confirmations ? board_.steady : board_.unsteady).fetch_add(1);
        save(program, difference, kind, again);
    }

    // What each provider has answered to one program.
    struct Answers {
        std::vector<Trace> first;
        std::vector<Trace> second;
    };

    // Timing decides: the allowed outcomes are those that the first provider itself gives when it is asked often
    // enough, and the second has given no other. Which it gives to a program alone in a new process may differ from
    // what it gives beside others, so both are tried.
    bool is_open(const Program& program, Answers& answers) {
        const auto is_allowed = [&](const Trace& answer) {
            return std::any_of(answers.first.begin(), answers.first.end(),
                               [&](const Trace& allowed) { return !compare(program, allowed, answer); });
        };
        const auto all_are_allowed = [&] {
            return std::all_of(answers.second.begin(), answers.second.end(), is_allowed);
        };
        for (unsigned i = 0; i < more_questions && !all_are_allowed(); ++i) {
            if (i % 5 == 0) pair_.retire();
            answers.first.push_back(pair_.run_first(program));
        }
        return all_are_allowed();
    }

    void save(const Program& program, const Difference& difference, const std::string& kind, unsigned again) {
        const std::string path = fmt::format("{}/{}-{}", options_.findings, kind, program.seed);
        std::ofstream(path + ".lab") << to_text(program);
        Program smallest = program;
        Difference shown = difference;
        if (kind == "steady") {
            smallest = smallest_of(pair_, program, difference);
            shown = difference_of(pair_, smallest).value_or(difference);
            std::ofstream(path + ".small.lab") << to_text(smallest);
            std::ofstream(path + ".cc") << print_test(smallest, pair_.run_first(smallest));
        }
        const std::string text =
            fmt::format("{} seed {} (again {} of {}): {}\n{}{}\n", kind, program.seed, again, confirmations,
                        signature(smallest, shown), joined(shown), to_text(smallest));
        std::ofstream(path + ".txt") << text;
        fmt::print("{}", text);
        fflush(stdout);
    }

    const RunOptions& options_;
    const Offer& offer_;
    Board& board_;
    unsigned index_;
    Pair pair_;
    std::map<std::string, unsigned> seen_;
};

Board* share_board() {
    void* memory = mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::runtime_error("no memory for the board");
    return new (memory) Board{};
}

// Forks the jobs and waits for them; true if all ended well.
bool run_jobs(const RunOptions& options, const Offer& offer, Board& board) {
    const auto length = options.minutes > 0 ? std::chrono::duration<double, std::ratio<60>>(options.minutes)
                                            : std::chrono::duration<double, std::ratio<60>>(60 * 24);
    const auto start = Clock::now();
    const auto end = start + std::chrono::duration_cast<Clock::duration>(length);
    const auto last_end = std::max(start + 4 * (end - start), start + std::chrono::minutes(4));
    std::vector<pid_t> children;
    for (unsigned index = 0; index < options.jobs; ++index) {
        const pid_t child = fork();
        if (child != 0) {
            children.push_back(child);
            continue;
        }
        prctl(PR_SET_PDEATHSIG, SIGTERM);  // no job outlives the run
        try {
            Job(options, offer, board, index).run(end, last_end);
        } catch (const std::exception& error) {
            fmt::print(stderr, "job {}: {}\n", index, error.what());
            _exit(2);
        }
        _exit(0);
    }
    bool well = true;
    for (const pid_t child : children) {
        int status = 0;
        waitpid(child, &status, 0);
        well = well && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    }
    return well;
}

}  // namespace

int run_programs(const RunOptions& options) {
    signal(SIGPIPE, SIG_IGN);
    std::filesystem::create_directories(options.findings);
    std::string notes;
    const Offer offer = common_offer(options.first, options.second, options.scratch, notes);
    fmt::print("seed {}, {} against {}, {} jobs\n{}", options.seed, provider::name(options.first),
               provider::name(options.second), options.jobs, notes);
    fflush(stdout);
    Board& board = *share_board();
    const auto start = Clock::now();
    const bool well = run_jobs(options, offer, board);
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    fmt::print("{}", coverage_table(board.coverage, offer));
    fmt::print(
        "{} programs in {:.1f} s, {:.0f} a second; differences: {} steady, {} unsteady, {} noisy, {} more like these; "
        "open: {}, stalled once: {}\n"
        "compared: {} requests; distinct differences: {}\n",
        board.programs.load(), seconds, static_cast<double>(board.programs) / seconds, board.steady.load(),
        board.unsteady.load(), board.noisy.load(), board.known.load(), board.open.load(), board.stalled.load(),
        board.requests.load(), board.kinds.load());
    std::error_code ignored;
    std::filesystem::remove_all(options.scratch, ignored);
    const bool agree = board.steady + board.unsteady + board.noisy == 0;
    const bool complete = is_complete(board.coverage, offer);
    return well && agree && (complete || !options.require_coverage) ? 0 : 1;
}

int replay_program(const RunOptions& options, const Program& program, unsigned times) {
    signal(SIGPIPE, SIG_IGN);
    Pair pair(options, "replay");
    unsigned differing = 0;
    for (unsigned i = 0; i < times; ++i) {
        const Pair::Traces traces = pair.run(program);
        const auto difference = compare(program, traces.first, traces.second);
        if (i == 0) fmt::print("{}:\n{}", provider::name(options.first), joined(traces.first));
        if (!difference) continue;
        if (++differing == 1) fmt::print("{} differs:\n{}", provider::name(options.second), joined(*difference));
    }
    fmt::print("{} of {} runs differ\n", differing, times);
    return differing == 0 ? 0 : 1;
}

Program shrink_program(const RunOptions& options, const Program& program) {
    signal(SIGPIPE, SIG_IGN);
    Pair pair(options, "shrink");
    const auto difference = difference_of(pair, program);
    return difference ? smallest_of(pair, program, *difference) : program;
}

std::string show_program(const RunOptions& options, const Program& program) {
    signal(SIGPIPE, SIG_IGN);
    Pair pair(options, "show");
    return print_test(program, pair.run_first(program));
}

}  // namespace ringside::lab
