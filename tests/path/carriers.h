// Tests of how a batch goes into the kernel (path/carry.cc), on each carrier.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include "support/process.h"

namespace ringside::test {

// Runs `body` in a child whose engine carries as RINGSIDE_CARRIER says. It has to be a child, because the engine
// decides once a process.
template <typename Body>
void in_child_with(const char* carrier, Body body) {
    EXPECT_EQ(ending_of_child([&] {
                  setenv("RINGSIDE_CARRIER", carrier, 1);
                  body();
                  return testing::Test::HasFailure() ? 1 : 0;
              }),
              0);
}

// With the name of a carrier.
class OnCarrier : public testing::TestWithParam<const char*> {
  protected:
    template <typename Body>
    void in_child(Body body) {
        in_child_with(GetParam(), body);
    }
};

inline auto carriers() { return testing::Values("aio", "calls"); }
inline const char* name_of_carrier(const testing::TestParamInfo<const char*>& carrier) { return carrier.param; }

}  // namespace ringside::test
