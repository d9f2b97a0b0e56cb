// Steps that make sense, for the mutator to begin with: a valid request or registration, now and then with a field that
// is not.
#pragma once

#include "fuzz/step.h"
#include "random.h"

namespace ringside::fuzz {

Step random_step(lab::Random& random);

// The first step of most inputs.
Step random_set_up(lab::Random& random);

// Replaces something in a step by something else of its kind.
void vary(Step& step, lab::Random& random);

}  // namespace ringside::fuzz
