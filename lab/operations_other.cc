#include "liburing/io_uring.h"
#include "operations.h"

namespace ringside::lab {

std::span<const Operation> other_operations() { return {}; }

}  // namespace ringside::lab
