// What the programs of a run exercised, counted over all jobs: it lies in memory that they share.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "builder.h"
#include "program.h"
#include "server.h"

namespace ringside::lab {

struct Tally {
    std::atomic<uint64_t> success;
    std::atomic<uint64_t> error;

    void add(bool good) { (good ? success : error).fetch_add(1, std::memory_order_relaxed); }
};

struct Coverage {
    Tally opcodes[256];
    Tally sqe_flags[8];
    Tally setup_flags[32];
    Tally enter_flags[32];
    Tally registers[64];

    // Counts a program by its trace on the first provider.
    void count(const Program& program, const Trace& trace);
};

// Whether everything that is on offer was exercised.
bool is_complete(const Coverage& coverage, const Offer& offer);

// The table, and beneath it what the offer has and nothing has exercised.
std::string coverage_table(const Coverage& coverage, const Offer& offer);

}  // namespace ringside::lab
