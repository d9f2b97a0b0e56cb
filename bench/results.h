// What a run found out: samples, and what they come down to. Written and read as JSON.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "statistics.h"

namespace bench {

// Columns by title. "engine", "kernel" and "liburing" are the same case; all others are peers, which do the same work
// in another way.
inline constexpr const char* engine_column = "engine";
inline constexpr const char* kernel_column = "kernel";
inline constexpr const char* liburing_column = "liburing";

struct CaseResult {
    std::string name;
    std::string what;
    double wanted = 0;
    unsigned rounds = 0;
    std::string unit;
    std::vector<std::string> columns;  // in the order in which they are shown
    std::map<std::string, std::vector<double>> samples;
    std::string failure;  // why there are no samples

    std::vector<std::string> peers() const;
    std::optional<Quartiles> figure(const std::string& column) const;
    // How many times as good as `other` `one` is (all figures are costs), taken within each round.
    std::optional<Quartiles> ratio(const std::string& one, const std::string& other) const;
    // The engine against what there is without ringside: liburing on the kernel, or, where that is not installed, our
    // library on it.
    std::optional<Quartiles> engine_ratio() const;
};

struct Results {
    std::map<std::string, std::string> machine;  // kernel, processor...
    std::vector<CaseResult> cases;
};

nlohmann::json to_json(const Results& results);
Results from_json(const nlohmann::json& json);

// What a reader has to know about this machine to make sense of numbers.
std::map<std::string, std::string> describe_machine(const std::string& folder);

}  // namespace bench
