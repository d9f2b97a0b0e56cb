#include "measure.h"

#include <memory>
#include <sstream>

#include "column.h"

namespace bench {
namespace {

std::vector<CaseResult> list_cases(const std::string& program) {
    std::vector<CaseResult> lines;
    std::istringstream text(output_of(program + " --list"));
    for (CaseResult line; std::getline(std::getline(text, line.name, '\t'), line.what, '\t') >> line.wanted >>
                          line.rounds >> line.unit >> std::ws;) {
        lines.push_back(line);
    }
    return lines;
}

std::string if_there(const std::filesystem::path& program) {
    return std::filesystem::exists(program) ? program.string() : "";
}

}  // namespace

Workers::Workers(const std::filesystem::path& folder)
    : ours_(folder / "bench-ringside"),
      liburing_(if_there(folder / "bench-liburing")),
      peers_(if_there(folder / "bench-peers")) {}

// A peer's case is named CASE@PEER.
std::vector<CaseResult> Workers::cases() const {
    auto all = list_cases(ours_);
    const auto others = peers_.empty() ? std::vector<CaseResult>() : list_cases(peers_);
    for (auto& each : all) {
        each.columns = {engine_column, kernel_column};
        if (!liburing_.empty()) each.columns.push_back(liburing_column);
        for (const auto& other : others) {
            if (other.name.starts_with(each.name + "@"))
                each.columns.push_back(other.name.substr(each.name.size() + 1));
        }
    }
    return all;
}

Workers::Worker Workers::worker_of(const CaseResult& result, const std::string& column) const {
    if (column == engine_column || column == kernel_column) return {ours_, column, result.name};
    if (column == liburing_column) return {liburing_, "", result.name};
    return {peers_, "", result.name + "@" + column};
}

void Workers::measure(CaseResult& result, const Plan& plan) const try {
    if (!plan.peers) {
        for (const auto& peer : result.peers()) std::erase(result.columns, peer);
    }
    std::vector<std::unique_ptr<Column>> columns;
    for (const auto& title : result.columns) {
        const auto worker = worker_of(result, title);
        columns.push_back(std::make_unique<Column>(
            worker.program, worker.provider,
            std::vector{worker.argument, std::to_string(plan.sample_ms), std::to_string(plan.core)}));
    }
    const unsigned rounds = result.rounds > 0 ? std::min(result.rounds, plan.rounds) : plan.rounds;
    // The first round waits for the workers to be ready and is not counted, unless it is the only one.
    if (rounds > 1) {
        for (const auto& column : columns) column->sample();
    }
    for (unsigned round = 0; round < rounds; ++round) {
        // Each round begins with another worker, so that none always comes after the same one.
        for (size_t i = 0; i < columns.size(); ++i) {
            const size_t turn = (i + round) % columns.size();
            result.samples[result.columns[turn]].push_back(columns[turn]->sample());
        }
    }
} catch (const std::exception& error) {
    result.samples.clear();
    result.failure = error.what();
}

}  // namespace bench
