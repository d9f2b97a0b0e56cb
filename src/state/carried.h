// The requests of a batch whose first attempts are made by one io_submit(2) (path/carry.cc).
//
// Guarded by the ring's lock.
#pragma once

#include "state/list.h"
#include "state/request.h"

namespace ringside::engine {

struct Carrier;

struct Carried {
    Queue<Request, &Request::next> requests;
    unsigned count = 0;
    Carrier* carrier = nullptr;  // where their attempts are collected; the ring has it until the batch ends
    uint32_t candidates = 0;     // requests so far that could have been carried: whether to begin is decided by it
};

}  // namespace ringside::engine
