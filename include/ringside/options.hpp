// How a ring is to be made.
#pragma once

#include "ringside/provider.h"

namespace ringside {

// Who runs a ring.
enum class Provider { kernel = RINGSIDE_PROVIDER_KERNEL, engine = RINGSIDE_PROVIDER_ENGINE };

// Who shall. `automatic` leaves it to the process: RINGSIDE_PROVIDER, ringside_set_wish(), or else the kernel where it
// allows io_uring, and the engine where it does not.
enum class Wish { automatic = RINGSIDE_WISH_AUTO, kernel = RINGSIDE_WISH_KERNEL, engine = RINGSIDE_WISH_ENGINE };

struct Options {
    // Requests that can be queued between two submissions; rounded up to a power of two.
    unsigned entries = 256;
    // Completions that fit before they overflow; 0 for twice the entries.
    unsigned completion_entries = 0;
    // IORING_SETUP_...
    unsigned flags = 0;
    // With IORING_SETUP_SQPOLL: milliseconds without work until the submission thread sleeps; 0 for a second.
    unsigned submission_thread_idle_ms = 0;
    Wish provider = Wish::automatic;
};

}  // namespace ringside
