// Every system call that the engine makes for itself fails once, in turn, and so does every request for memory: the
// program gets an error that says so, or what it wanted by another way. Nothing is lost and nothing hangs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <exception>
#include <set>

#include "faults/call_sites.h"
#include "faults/scenarios.h"
#include "support/process.h"

namespace ringside::test {

const std::vector<Scenario> scenarios = {
#define SCENARIO(name) {#name, name},
#include "faults/scenarios.def"
#undef SCENARIO
};

namespace {

// How much the test has found wrong so far.
int complaints() { return testing::UnitTest::GetInstance()->current_test_info()->result()->total_part_count(); }

// Runs the scenario in a child. What it has against the result it says itself.
int run(const Scenario& scenario, const Fault& fault, Sightings& sightings) {
    return ending_of_child([&] {
        // A process that hangs is killed.
        alarm(30);
        const int before = complaints();
        Trial trial(fault, sightings);
        try {
            scenario.run(trial);
        } catch (const std::exception& error) {
            ADD_FAILURE() << error.what();
        }
        EXPECT_TRUE(trial.begun());
        fflush(stdout);
        return complaints() == before ? 0 : 1;
    });
}

struct Site {
    long number;
    uintptr_t place;
    unsigned calls;
    std::string object;
};

std::vector<Site> engine_sites(const Sightings& sightings) {
    std::vector<Site> sites;
    sightings.for_each([&](long number, uintptr_t place, unsigned calls) {
        const std::string object = engine_object_at(place);
        if (!object.empty()) sites.push_back({number, place, calls, object});
    });
    return sites;
}

// Calls that worker threads make in the name of operations are all made at one place.
bool is_made_for_an_operation(const Site& site) {
    return is_compiled_into("abi/interruptible.cc", site.object) || is_compiled_into("os/interrupt.cc", site.object);
}

// Of many calls at one place the first, the last, and one between them. Under load there may be more of them than the
// last time; more would be more of the same.
std::set<unsigned> which_to_fail(unsigned calls) { return {1, (calls + 1) / 2, calls}; }

class Faults : public testing::TestWithParam<Scenario> {
  protected:
    // Fails the calls made at this place with what the list says. Returns whether it says anything.
    bool fail(const Site& site) {
        bool listed = is_made_for_an_operation(site);
        for (size_t i = 0; i < listed_calls.size(); ++i) {
            const ListedCall& row = listed_calls[i];
            if (row.number != site.number || !is_compiled_into(row.source, site.object)) continue;
            listed = true;
            if (row.error == 0) continue;
            for (const unsigned nth : which_to_fail(site.calls)) fail_once(site, nth, i);
        }
        return listed;
    }

    std::set<size_t> failed;  // rows of the list

  private:
    void fail_once(const Site& site, unsigned nth, size_t index) {
        const ListedCall& row = listed_calls[index];
        SCOPED_TRACE(testing::Message() << row.call << " in " << row.source << ", call " << nth << " of " << site.calls
                                        << " at " << std::hex << site.place);
        Sightings& sightings = fresh_sightings();
        EXPECT_EQ(run(GetParam(), {site.number, site.place, nth, row.error}, sightings), 0);
        if (sightings.injected) failed.insert(index);
    }
};

INSTANTIATE_TEST_SUITE_P(Engine, Faults, testing::ValuesIn(scenarios),
                         [](const testing::TestParamInfo<Scenario>& scenario) { return scenario.param.name; });

TEST_P(Faults, of_each_call_in_turn_are_told_or_made_good) {
    ASSERT_EQ(provider_under_test(), provider::Kind::engine) << "RINGSIDE_PROVIDER=engine, please";
    Sightings& seen = fresh_sightings();
    ASSERT_EQ(run(GetParam(), {}, seen), 0);
    for (const Site& site : engine_sites(seen)) {
        EXPECT_TRUE(fail(site)) << "call " << site.number << " of " << site.object << " is not in the list";
    }
    for (size_t i = 0; i < listed_calls.size(); ++i) {
        const ListedCall& row = listed_calls[i];
        if (row.scenario != GetParam().name) continue;
        EXPECT_TRUE(failed.contains(i)) << row.call << " in " << row.source << " was not made";
    }
}

}  // namespace
}  // namespace ringside::test
