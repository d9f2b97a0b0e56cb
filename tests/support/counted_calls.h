// How many system calls a piece of a program takes, counted by ptrace(2) and not timed. All threads are counted that
// the program starts.
#pragma once

#include <functional>

namespace ringside::test {

// Runs `body` in a child and returns how many system calls it and its threads make within `counted(...)`, which it has
// to call once; -1 if the child fails.
using Counted = std::function<void(const std::function<void()>&)>;
int count_calls(const std::function<void(const Counted& counted)>& body);

}  // namespace ringside::test
