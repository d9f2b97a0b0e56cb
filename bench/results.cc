#include "results.h"

#include <algorithm>

namespace bench {

std::vector<std::string> CaseResult::peers() const {
    std::vector<std::string> titles;
    for (const auto& title : columns) {
        if (title != engine_column && title != kernel_column && title != liburing_column) titles.push_back(title);
    }
    return titles;
}

std::optional<Quartiles> CaseResult::figure(const std::string& column) const {
    const auto found = samples.find(column);
    if (found == samples.end() || found->second.empty()) return std::nullopt;
    return quartiles(found->second);
}

std::optional<Quartiles> CaseResult::ratio(const std::string& one, const std::string& other) const {
    const auto ours = samples.find(one), theirs = samples.find(other);
    if (ours == samples.end() || theirs == samples.end()) return std::nullopt;
    std::vector<double> ratios;
    for (size_t i = 0; i < std::min(ours->second.size(), theirs->second.size()); ++i) {
        if (ours->second[i] > 0) ratios.push_back(theirs->second[i] / ours->second[i]);
    }
    if (ratios.empty()) return std::nullopt;
    return quartiles(ratios);
}

std::optional<Quartiles> CaseResult::engine_ratio() const {
    return ratio(engine_column, samples.count(liburing_column) != 0 ? liburing_column : kernel_column);
}

nlohmann::json to_json(const Results& results) {
    nlohmann::json json = {{"machine", results.machine}, {"cases", nlohmann::json::array()}};
    for (const auto& each : results.cases) {
        nlohmann::json figures = nlohmann::json::object();
        for (const auto& title : each.columns) {
            const auto figure = each.figure(title);
            if (!figure) continue;
            figures[title] = {{"median", figure->median}, {"low", figure->low}, {"high", figure->high}};
            const auto ratio = each.ratio(engine_column, title);
            if (title == engine_column || !ratio) continue;
            figures[title]["engine_is_times_as_good"] = {
                {"median", ratio->median}, {"low", ratio->low}, {"high", ratio->high}};
        }
        json["cases"].push_back({{"name", each.name},
                                 {"what", each.what},
                                 {"wanted", each.wanted},
                                 {"unit", each.unit},
                                 {"columns", each.columns},
                                 {"figures", figures},
                                 {"samples", each.samples},
                                 {"failure", each.failure}});
    }
    return json;
}

Results from_json(const nlohmann::json& json) {
    Results results;
    json.at("machine").get_to(results.machine);
    for (const auto& each : json.at("cases")) {
        CaseResult result;
        each.at("name").get_to(result.name);
        each.at("what").get_to(result.what);
        each.at("wanted").get_to(result.wanted);
        each.at("unit").get_to(result.unit);
        each.at("columns").get_to(result.columns);
        each.at("samples").get_to(result.samples);
        each.at("failure").get_to(result.failure);
        results.cases.push_back(std::move(result));
    }
    return results;
}

}  // namespace bench
