// How the ring of a program is set up.
#pragma once

#include "builder.h"

namespace ringside::lab {

// Mostly a setup that is served, of flags that both providers have; now and then one that may be refused.
void choose_setup(Builder& builder);

}  // namespace ringside::lab
