// What goes with a thread of the program when it ends: the ring descriptors that it has registered, and its hold on the
// requests that it has submitted and that are still in flight. In the kernel a request is completed by the task that
// submitted it. Where that is gone, a request that waits for readiness ends with -ECANCELED when it comes, so that
// neither the file nor the memory that it was to fill is touched, and the next of a chain is not begun (-EFAULT). What
// a worker has is told to stop, or waited for if it ends by itself. Timeouts go on.
#pragma once

#include <stdint.h>

#include "state/submitter.h"

namespace ringside::engine {

// In a child after fork.
void forget_other_threads();

}  // namespace ringside::engine
