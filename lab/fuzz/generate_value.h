// Values for the fields of SQEs and arguments.
#pragma once

#include <cstdint>

#include "fuzz/shapes.h"
#include "random.h"

namespace ringside::fuzz {

uint64_t value_for(Holds holds, lab::Random& random);
uint32_t random_length(lab::Random& random);
int random_fd(const Shape& shape, lab::Random& random);

// A number that means something somewhere: small, a limit, or an address in the arena.
uint64_t random_word(lab::Random& random);

}  // namespace ringside::fuzz
