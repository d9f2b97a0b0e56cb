// Several steps that belong together, since single ones seldom meet: requests that are done in one call, rings that
// send each other messages, transfers that use several provided buffers.
#pragma once

#include <vector>

#include "fuzz/step.h"
#include "random.h"

namespace ringside::fuzz {

std::vector<Step> random_scene(lab::Random& random);

}  // namespace ringside::fuzz
