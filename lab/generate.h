// Random programs, the same for the same seed and offer.
#pragma once

#include <cstdint>

#include "builder.h"
#include "program.h"

namespace ringside::lab {

Program generate(uint64_t seed, const Offer& offer);

}  // namespace ringside::lab
