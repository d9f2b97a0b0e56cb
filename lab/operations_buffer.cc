#include "liburing/io_uring.h"
#include "operations.h"

namespace ringside::lab {

std::span<const Operation> buffer_operations() { return {}; }

}  // namespace ringside::lab
