// SQEs for the mutator.
#pragma once

#include "liburing/io_uring.h"
#include "random.h"

namespace ringside::fuzz {

io_uring_sqe random_entry(lab::Random& random);

// Changes one field or a few.
void vary_entry(io_uring_sqe& sqe, lab::Random& random);

}  // namespace ringside::fuzz
