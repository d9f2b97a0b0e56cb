// Runs cases: all columns of one alive at once, their samples taken in turn.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "results.h"

namespace bench {

struct Plan {
    unsigned rounds = 21;
    double sample_ms = 10;
    int core = -1;
    bool peers = true;
};

// The programs beside this one that can take samples, and the cases that they have.
class Workers {
  public:
    explicit Workers(const std::filesystem::path& folder);

    // The cases, each with its columns and no samples yet.
    std::vector<CaseResult> cases() const;
    // Fills in the samples, or why there are none.
    void measure(CaseResult& result, const Plan& plan) const;

  private:
    struct Worker {
        std::string program;
        std::string provider;
        std::string argument;
    };
    Worker worker_of(const CaseResult& result, const std::string& column) const;

    std::string ours_;
    std::string liburing_;  // "" where there was none to compile against
    std::string peers_;
};

}  // namespace bench
