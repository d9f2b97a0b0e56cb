// The requests of a batch whose first attempts are made together (path/carry.cc, path/carry_polls.cc).
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
    Queue<Request, &Request::next> polls;  // polls, which are looked at by one ppoll(2)
    unsigned poll_count = 0;
    Carrier* carrier = nullptr;  // where their attempts are collected; the ring has it until the batch ends
    uint32_t candidates = 0;     // requests so far that could have been carried: whether to begin is decided by it
};

}  // namespace ringside::engine
