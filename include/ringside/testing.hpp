// A deterministic Io for tests: the same coroutines, with virtual time, and files and sockets in memory. A seed decides
// in which order requests complete, how short transfers are, how long they take and what fails; the same seed does the
// same again. Not part of ringside.hpp.
//
//     const auto outcome = ringside::testing::explore([](ringside::testing::Io& io) -> ringside::Task<void> {
//         auto [client, server] = io.socket_pair();
//         ...
//         io.expect(answer == "hello", "the echo is what was sent");
//     });
//     EXPECT_TRUE(outcome.ok()) << outcome.report();
//
// Beside what the test expects, these are failures: nothing can happen any more while tasks wait; two requests use the
// same memory at once; the program does not come to an end.
#pragma once

#include "ringside/testing/simulation.hpp"

namespace ringside::testing {

namespace detail {
// Comes before the Io, which uses it until its end.
class Worlds {
  protected:
    Worlds(Decisions decisions, const Faults& faults) : world_(std::move(decisions), faults) {}
    World world_;
};
}  // namespace detail

// Takes the place of ringside::Io. One a thread at a time. Descriptors are of its own: system calls do not know them.
class Io : private detail::Worlds, public ringside::Io {
  public:
    explicit Io(std::uint64_t seed = 0, const Faults& faults = {}) : Io(detail::Decisions(seed), faults) {}
    Io(detail::Decisions decisions, const Faults& faults)
        : Worlds(std::move(decisions), faults), ringside::Io(static_cast<ringside::detail::Simulation&>(world_)) {
        world_.attach(*this);
    }

    // Two ends of a connection.
    std::pair<Descriptor, Descriptor> socket_pair() {
        const auto [first, second] = world_.pair();
        return {Descriptor(first), Descriptor(second)};
    }
    // A socket that listens on a port, and a connection to one; none if nobody listens there.
    Descriptor listener(unsigned port) { return Descriptor(world_.add(world_.listener(port, true))); }
    Descriptor connect(unsigned port) { return Descriptor(world_.connect(port)); }

    // Files that async::openat() finds by exactly that path.
    void add_file(const std::string& path, std::string content) {
        world_.path(path) = std::make_shared<detail::File>(detail::File::Kind::regular);
        world_.path(path)->bytes = std::move(content);
    }
    std::string content_of(const std::string& path) {
        const detail::FilePointer& file = world_.path(path);
        return file == nullptr ? "" : file->bytes;
    }

    // The run fails unless that is so. The first failure counts.
    void expect(bool condition, const std::string& what) {
        if (!condition) world_.fail("expected: " + what);
    }

    // Why the run has failed, or empty; what happened, as sentences; and the decisions that it was made of.
    const std::string& failure() const noexcept { return world_.failure(); }
    const std::vector<std::string>& schedule() const noexcept { return world_.schedule(); }
    const std::vector<unsigned>& decisions() const noexcept { return world_.decisions(); }
};

// What came of many runs.
struct Outcome {
    std::uint64_t runs = 0;
    std::uint64_t seed = 0;             // of the run that failed
    std::string failure;                // why; empty if none has
    std::vector<unsigned> decisions;    // that fail too, as few of them as were found; replay() takes them
    size_t decisions_of_seed = 0;       // how many the seed made
    std::vector<std::string> schedule;  // of these

    bool ok() const noexcept { return failure.empty(); }

    std::string report() const {
        if (ok()) return std::to_string(runs) + " runs, and none has failed\n";
        std::string text = "seed " + std::to_string(seed) + ": " + failure + "\n" + std::to_string(decisions_of_seed) +
                           " decisions, of which " + std::to_string(decisions.size()) + " are enough. What happens:\n";
        for (const std::string& sentence : schedule) text += "  " + sentence + "\n";
        return text;
    }
};

struct Exploration {
    std::uint64_t seeds = 1000;
    std::uint64_t first_seed = 1;
    Faults faults = {};
    unsigned shrinking_runs = 400;
};

namespace detail {

template <typename Scenario>
Outcome run_once(Scenario& scenario, Decisions decisions, const Faults& faults) {
    Outcome outcome;
    Io io(std::move(decisions), faults);
    io.run(scenario(io));
    outcome.failure = io.failure();
    outcome.decisions = io.decisions();
    outcome.schedule = io.schedule();
    outcome.runs = 1;
    while (!outcome.decisions.empty() && outcome.decisions.back() == 0) outcome.decisions.pop_back();
    return outcome;
}

// Makes decisions plain, many at once and then fewer, as long as the run still fails.
template <typename Scenario>
void shrink(Scenario& scenario, const Faults& faults, unsigned runs, Outcome& failed) {
    for (size_t size = failed.decisions.size(); size > 0 && runs > 0; size /= 2) {
        for (size_t from = 0; from < failed.decisions.size() && runs > 0; from += size) {
            std::vector<unsigned> plainer = failed.decisions;
            const size_t to = std::min(from + size, plainer.size());
            if (std::all_of(plainer.begin() + static_cast<std::ptrdiff_t>(from),
                            plainer.begin() + static_cast<std::ptrdiff_t>(to), [](unsigned it) { return it == 0; })) {
                continue;
            }
            std::fill(plainer.begin() + static_cast<std::ptrdiff_t>(from),
                      plainer.begin() + static_cast<std::ptrdiff_t>(to), 0);
            --runs;
            Outcome tried = run_once(scenario, Decisions(std::move(plainer)), faults);
            if (tried.ok() || tried.decisions.size() > failed.decisions.size()) continue;
            failed.failure = std::move(tried.failure);
            failed.decisions = std::move(tried.decisions);
            failed.schedule = std::move(tried.schedule);
        }
    }
}

}  // namespace detail

// Runs `scenario(Io&)`, which returns a Task<void>, with one seed after the other, until one fails; that one is shrunk.
// Each run begins with nothing: the scenario must not keep anything outside of itself.
template <typename Scenario>
Outcome explore(Scenario scenario, const Exploration& exploration = {}) {
    for (std::uint64_t i = 0; i < exploration.seeds; i++) {
        const std::uint64_t seed = exploration.first_seed + i;
        Outcome outcome = detail::run_once(scenario, detail::Decisions(seed), exploration.faults);
        if (outcome.ok()) continue;
        outcome.seed = seed;
        outcome.decisions_of_seed = outcome.decisions.size();
        detail::shrink(scenario, exploration.faults, exploration.shrinking_runs, outcome);
        outcome.runs = i + 1;
        return outcome;
    }
    Outcome outcome;
    outcome.runs = exploration.seeds;
    return outcome;
}

// The one run of a seed, or of the decisions that an Outcome has.
template <typename Scenario>
Outcome replay(Scenario scenario, std::uint64_t seed, const Faults& faults = {}) {
    return detail::run_once(scenario, detail::Decisions(seed), faults);
}
template <typename Scenario>
Outcome replay(Scenario scenario, const std::vector<unsigned>& decisions, const Faults& faults = {}) {
    return detail::run_once(scenario, detail::Decisions(decisions), faults);
}

}  // namespace ringside::testing
