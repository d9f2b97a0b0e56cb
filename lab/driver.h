// Runs many programs on two providers, in several jobs at once, and keeps what differs.
#pragma once

#include <cstdint>
#include <string>

#include "builder.h"
#include "coverage.h"
#include "provider/provider.h"

namespace ringside::lab {

struct RunOptions {
    uint64_t programs = 10'000;
    uint64_t seed = 1;
    double minutes = 0;  // 0: until the programs are done
    unsigned jobs = 4;
    bool fresh = false;  // a process for each program
    provider::Kind first = provider::Kind::kernel;
    provider::Kind second = provider::Kind::engine;
    std::string scratch;    // below it each job has its directories
    std::string findings;   // where failing programs are saved
    int limit_ms = 10'000;  // a program that takes longer hangs
    bool require_coverage = false;
};

// Prints what it finds; gives the exit status of the command.
int run_programs(const RunOptions& options);

// Runs the program once on each provider and prints both traces, where they differ; gives the exit status.
int replay_program(const RunOptions& options, const Program& program, unsigned times);

// The smallest program that still differs.
Program shrink_program(const RunOptions& options, const Program& program);

// The program as a C++ test that expects what the first provider does.
std::string show_program(const RunOptions& options, const Program& program);

}  // namespace ringside::lab
