// What a test says of a verdict.
#pragma once

#include <gtest/gtest.h>

#include "model/explorer.h"

namespace ringside::model {

inline void expect_good(const Verdict& verdict) {
    std::string way;
    for (const std::string& step : verdict.trace) way += "\n  " + step;
    EXPECT_TRUE(verdict.good()) << verdict.wrong << way;
    // A model that hardly moves shows nothing.
    EXPECT_GT(verdict.states, 50u);
    testing::Test::RecordProperty("states", std::to_string(verdict.states));
}

// A model that is broken on purpose has to be found out.
inline void expect_wrong(const Verdict& verdict, const char* how) { EXPECT_EQ(verdict.wrong, how); }

}  // namespace ringside::model
