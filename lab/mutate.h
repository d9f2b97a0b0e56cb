// Bad values in good requests.
#pragma once

#include "operations.h"

namespace ringside::lab {

// Puts a value into one of its fields that has no business there, unless the outcome would be open.
void mutate(Draft& draft, const Operation& operation);

}  // namespace ringside::lab
