// The thread that runs inputs, confined, and what is checked after each: that neighbouring memory is as it was, and
// that neither threads nor descriptors remain.
#pragma once

#include <span>

#include "fuzz/step.h"

namespace ringside::fuzz::runner {

// Starts the thread. `scribble`: another one rewrites rings while they are entered.
void start(bool scribble);

// Runs an input, checks, and runs it again where something seems to have been left behind.
void run(std::span<const Step> steps);

}  // namespace ringside::fuzz::runner
