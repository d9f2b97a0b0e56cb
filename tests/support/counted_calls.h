// How many system calls a thread makes in a piece of its program, counted by ptrace(2) and not timed. Those of other
// threads are not counted: how often they are woken depends on the machine's load.
#pragma once

#include <functional>

namespace ringside::test {

// Runs `body` in a child and returns how many system calls its thread makes within `counted(...)`, which it has to call
// once; -1 if the child fails.
using Counted = std::function<void(const std::function<void()>&)>;
int count_calls(const std::function<void(const Counted& counted)>& body);

}  // namespace ringside::test
