// What is measured. Most measurements are cases: batches of operations, done again and again. Cases in cases/ do them
// through the liburing API: the same source is compiled against ringside's liburing.h and against liburing itself, so
// it uses nothing that only one of them has. Cases in peers/ do the same work in other ways.
#pragma once

#include <stdlib.h>
#include <time.h>

#include <algorithm>
#include <memory>
#include <vector>

namespace bench {

inline double now_ns(clockid_t clock = CLOCK_MONOTONIC) {
    timespec time;
    clock_gettime(clock, &time);
    return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

// What batches are timed with: the time that passes, or the processor time of all threads of the process, those that
// work for it in the kernel included.
inline clockid_t cost_clock() {
    static const clockid_t clock = getenv("RINGSIDE_BENCH_CPU") != nullptr ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC;
    return clock;
}

// Something that can be measured again and again; the smaller, the better.
class Measurement {
  public:
    virtual ~Measurement() = default;
    // Warms up, and finds out what has to be done for a sample that takes about this long.
    virtual void prepare(double sample_ns) = 0;
    // Takes one sample: nanoseconds an operation, or what the row says.
    virtual double sample() = 0;
};

class Case : public Measurement {
  public:
    void prepare(double sample_ns) final {
        // The longest of a few attempts: somebody else may have had the processor during the others.
        unsigned long most = 0;
        for (unsigned attempt = 0; attempt < 3; ++attempt) most = std::max(most, operations_in(sample_ns));
        operations_ = most;
    }
    double sample() final {
        at_least(2 * in_flight());
        const double begin = now_ns(cost_clock());
        const unsigned long done = at_least(operations_);
        return (now_ns(cost_clock()) - begin) / static_cast<double>(done);
    }

    // Does one batch and returns how many operations that was. Aborts when an operation fails: a wrong answer has no
    // speed.
    virtual unsigned batch() = 0;
    // How many operations are left in flight between batches. They complete while others take their samples, so as many
    // are done again before the clock runs.
    virtual unsigned in_flight() const { return 0; }

  private:
    unsigned long operations_in(double sample_ns) {
        for (unsigned long operations = 1;; operations *= 2) {
            const double begin = now_ns();
            const unsigned long done = at_least(operations);
            const double took = now_ns() - begin;
            if (took < sample_ns) continue;
            return static_cast<unsigned long>(static_cast<double>(done) * sample_ns / took) + 1;
        }
    }

    unsigned long at_least(unsigned long operations) {
        unsigned long done = 0;
        while (done < operations) done += batch();
        return done;
    }

    unsigned long operations_ = 0;  // a sample's
};

struct CaseRow {
    const char* name;
    const char* what;  // for people: the work, and how much of it at a time
    double wanted;     // how many times the kernel's rate the engine is to reach; 0 if we ask for nothing
    unsigned rounds;   // at most so many samples, since each takes long; 0 for as many as are asked for
    const char* unit;
    std::unique_ptr<Measurement> (*make)();
};

inline std::vector<CaseRow>& cases() {
    static std::vector<CaseRow> rows;
    return rows;
}

struct Terms {
    double wanted = 0;
    unsigned rounds = 0;
    const char* unit = "ns";
};

// A measurement joins the table by declaring one of these in its file. Its class sets up in the constructor.
template <typename Work>
struct Row {
    Row(const char* name, const char* what, Terms terms = {}) {
        cases().push_back({name, what, terms.wanted, terms.rounds, terms.unit,
                           []() -> std::unique_ptr<Measurement> { return std::make_unique<Work>(); }});
    }
    Row(const char* name, const char* what, double wanted) : Row(name, what, Terms{.wanted = wanted}) {}
};

}  // namespace bench
