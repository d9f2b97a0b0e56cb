// Ways to use a ring: scenarios.def names them.
#pragma once

#include <gmock/gmock.h>
#include <unistd.h>

#include "faults/trial.h"
#include "support/files.h"

namespace ringside::test {

#define SCENARIO(name) void name(Trial& trial);
#include "faults/scenarios.def"
#undef SCENARIO

inline void give(const Pipe& pipe) { EXPECT_EQ(write(pipe.write_end, "x", 1), 1); }

}  // namespace ringside::test
