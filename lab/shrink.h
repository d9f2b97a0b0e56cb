// Makes a failing program small: drops steps, resources and memory, sets fields to zero, as long as it still fails.
#pragma once

#include <functional>

#include "program.h"

namespace ringside::lab {

// `fails` runs a candidate and says whether it still shows the difference.
Program shrink(Program program, const std::function<bool(const Program&)>& fails);

}  // namespace ringside::lab
