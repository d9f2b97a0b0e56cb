// What rings and requests take while they do nothing: memory, threads, wake-ups.
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "case.h"
#include "pairs.h"
#include "ring.h"

namespace bench {
namespace {

// The process's own memory in bytes: what it alone uses, and its share of what it shares. What the kernel keeps for
// itself is not seen.
double memory_used() {
    std::ifstream file("/proc/self/smaps_rollup");
    for (std::string word; file >> word;) {
        if (double kib; word == "Pss:" && file >> kib) return kib * 1024;
    }
    die("/proc/self/smaps_rollup", EIO);
}

// Sums a field of /proc/self/task/*/status; counts the threads too.
unsigned long sum_over_threads(const std::string& field, unsigned& threads) {
    unsigned long sum = 0;
    threads = 0;
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
        ++threads;
        std::ifstream file(task.path() / "status");
        for (std::string word; file >> word;) {
            if (unsigned long value; word == field && file >> value) sum += value;
        }
    }
    return sum;
}

// A ring that has done some work.
std::unique_ptr<Ring> used_ring() {
    auto ring = std::make_unique<Ring>(64);
    ring->batch(64, 0, io_uring_prep_nop);
    return ring;
}

class MemoryOfRing final : public Measurement {
  public:
    void prepare(double) override {}
    double sample() override {
        constexpr unsigned count = 100;
        std::vector<std::unique_ptr<Ring>> rings(count);
        const double before = memory_used();
        for (auto& ring : rings) ring = used_ring();
        return (memory_used() - before) / count;
    }
};

// Of requests that wait for a file to become ready.
class MemoryOfRequest final : public Measurement {
  public:
    void prepare(double) override {}
    double sample() override {
        constexpr unsigned steps = 200, step = 64;
        const auto ring = used_ring();
        const double before = memory_used();
        for (unsigned i = 0; i < steps; ++i) {
            for (unsigned j = 0; j < step; ++j) io_uring_prep_poll_add(ring->sqe(), pair_.end(0, 0), POLLIN);
            ring->submit_and_wait(0);
        }
        return (memory_used() - before) / (steps * step);
    }

  private:
    Pairs<1> pair_;
};

// Ten rings that have been used: the wake-ups of all threads in ten seconds of nothing, and a
// thousand for each thread that is there besides ours.
class Idle final : public Measurement {
  public:
    Idle() {
        for (auto& ring : rings_) ring = used_ring();
    }
    void prepare(double) override { sleep(1); }
    double sample() override {
        unsigned threads;
        const unsigned long before = wake_ups(threads);
        sleep(10);
        // Our own sleep is one of them.
        return static_cast<double>(wake_ups(threads) - before - 1) + 1000.0 * (threads - 1);
    }

  private:
    static unsigned long wake_ups(unsigned& threads) { return sum_over_threads("voluntary_ctxt_switches:", threads); }

    std::unique_ptr<Ring> rings_[10];
};

const Row<MemoryOfRing> ring("memory-ring", "memory of a ring of 64 entries, without the kernel's own",
                             Terms{.rounds = 1, .unit = "bytes"});
const Row<MemoryOfRequest> request("memory-request", "memory of a request that waits, without the kernel's own",
                                   Terms{.rounds = 1, .unit = "bytes"});
const Row<Idle> idle("idle", "10 idle rings for 10 s: wake-ups, and 1,000 for each thread",
                     Terms{.rounds = 1, .unit = "wake-ups"});

}  // namespace
}  // namespace bench
