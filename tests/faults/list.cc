// The list of calls against the code.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <regex>
#include <set>

#include "faults/call_sites.h"
#include "faults/trial.h"

namespace ringside::test {
namespace {

using Calls = std::set<std::pair<std::string, std::string>>;

// System calls by their numbers' names; those that the C library may not know have a constant instead. Threads, and
// memory, by the functions that one gets them from.
constexpr const char* call =
    R"(__NR_(\w+)|\b(\w+)_call = \d+|\b(pthread_create|malloc|calloc|realloc|aligned_alloc)\()";
const std::map<std::string, std::string> calls_of_functions = {{"pthread_create", "clone3"}};

// Of the engine, which is made of these folders. Those of abi/ are numbers, and the call itself.
Calls calls_in_the_code() {
    const std::filesystem::path root = RINGSIDE_SOURCE "/src";
    const std::regex pattern(call);
    Calls found;
    for (const char* folder :
         {"entry", "path", "ops", "register", "resource", "service", "process", "state", "memory", "os"}) {
        for (const auto& file : std::filesystem::directory_iterator(root / folder)) {
            const std::string text = text_of_file(file.path());
            for (std::sregex_iterator at(text.begin(), text.end(), pattern), end; at != end; ++at) {
                const std::string name = (*at)[1].str() + (*at)[2].str() + (*at)[3].str();
                const auto known = calls_of_functions.find(name);
                found.emplace(std::filesystem::relative(file.path(), root),
                              known == calls_of_functions.end() ? name : known->second);
            }
        }
    }
    return found;
}

std::string missing_from(const Calls& some, const Calls& others) {
    std::string missing;
    for (const auto& [source, name] : some) {
        if (!others.contains({source, name})) missing += source + ": " + name + "\n";
    }
    return missing;
}

TEST(OwnCalls, are_listed_and_the_list_has_nothing_else) {
    const Calls present = calls_in_the_code();
    Calls listed;
    for (const ListedCall& row : listed_calls) listed.emplace(row.source, row.call);
    EXPECT_EQ(missing_from(present, listed), "") << "are not in tests/faults/own_calls.def";
    EXPECT_EQ(missing_from(listed, present), "") << "are not in the code any more";
}

TEST(OwnCalls, are_made_by_scenarios_that_there_are) {
    std::set<std::string_view> names;
    for (const Scenario& scenario : scenarios) names.insert(scenario.name);
    for (const ListedCall& row : listed_calls) {
        if (row.error != 0) {
            EXPECT_THAT(names, testing::Contains(row.scenario)) << row.source << ", " << row.call;
        }
    }
}

}  // namespace
}  // namespace ringside::test
