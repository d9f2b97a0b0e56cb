// What the files of this folder share.
#pragma once

#include <signal.h>
#include <stdint.h>
#include <time.h>

#include "state/ring.h"

namespace ringside::engine {

// How to wait, from the last two arguments of io_uring_enter.
struct WaitArguments {
    bool has_timeout = false;
    bool absolute = false;  // the time-out is a point in time
    int64_t timeout_ns = 0;
    int64_t min_wait_ns = 0;    // wait for the full count this long, then for any completion
    uint64_t mask_address = 0;  // the program's signal mask while waiting
    uint64_t mask_size = 0;
};

// Reads them. Returns 0, -EINVAL or -EFAULT.
int read_wait_arguments(const Ring& ring, unsigned flags, const void* arg, size_t arg_size, WaitArguments& wait);

// Waits until `min_complete` completions are there. Called under the ring's lock, which it releases while it sleeps.
// Returns 0 or -errno.
int wait_for_completions(Ring& ring, unsigned min_complete, const WaitArguments& wait);

// The answer to a call for a ring that is not open: -EBADF. In a child it says on stderr, once, why.
int refuse_closed(const Ring& ring);

// Ends a ring of which nobody holds a descriptor any more.
void destroy_ring(Ring& ring);

// --- gone.cc --------------------------------------------------------------------------------------------------------

// Ends the rings whose last descriptor was closed without a word, before it returns. Without a lock, and not in a
// thread that ends with the last ring: that one calls leave_gone_rings() (process/callbacks.h).
void end_gone_rings();

}  // namespace ringside::engine
