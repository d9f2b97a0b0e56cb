// Register calls for the mutator.
#pragma once

#include "fuzz/step.h"
#include "random.h"

namespace ringside::fuzz {

void fill_registration(Step& step, lab::Random& random);

// Changes a word of the argument, or how the call is made.
void vary_registration(Step& step, lab::Random& random);

}  // namespace ringside::fuzz
