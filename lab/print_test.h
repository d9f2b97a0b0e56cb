// A program as a GoogleTest over tests/support's RawRing, to be pasted into tests/ and given a better name.
#pragma once

#include <string>

#include "program.h"
#include "server.h"

namespace ringside::lab {

// `trace` is the kernel's: what the test expects.
std::string print_test(const Program& program, const Trace& trace);

}  // namespace ringside::lab
