#include "table.h"

#include <fmt/format.h>

namespace bench {
namespace {

constexpr const char* layout = "{:<64} {:>9} {:>9} {:>9}  {:<18} {:>6}  {}\n";

std::string text(const std::optional<Quartiles>& ratio) {
    if (!ratio) return "-";
    return fmt::format("{:.2f} ({:.2f}-{:.2f})", ratio->median, ratio->low, ratio->high);
}

std::string median(const CaseResult& result, const std::string& column) {
    const auto figure = result.figure(column);
    return figure ? fmt::format("{:.0f}", figure->median) : "-";
}

}  // namespace

void print_head(const Plan& plan) {
    fmt::print("{} rounds of {} ms samples taken in turn, core {}; medians, ratios as median (quartiles)\n\n",
               plan.rounds, plan.sample_ms, plan.core);
    fmt::print(layout, "", "ringside,", "ringside,", "liburing,", "engine's rate,", "", "kernel provider,");
    fmt::print(layout, "nanoseconds an operation, or as it says", "engine", "kernel", "kernel", "times liburing's",
               "wanted", "times liburing's");
}

void print_lines(const CaseResult& result) {
    const std::string what = result.unit == "ns" ? result.what : result.what + ", " + result.unit;
    if (!result.failure.empty()) {
        fmt::print("{:<64} {}\n", what, result.failure);
    } else {
        fmt::print(layout, what, median(result, engine_column), median(result, kernel_column),
                   median(result, liburing_column), text(result.engine_ratio()),
                   result.wanted > 0 ? fmt::format("{}", result.wanted) : "",
                   text(result.ratio(kernel_column, liburing_column)));
        for (const auto& peer : result.peers()) {
            fmt::print(layout, "    against " + peer, "", median(result, peer), "",
                       text(result.ratio(engine_column, peer)), "", "");
        }
    }
    fflush(stdout);
}

}  // namespace bench
