// The changes to files of a ring that take place in the order of their submission (service/write_order.h).
//
// Guarded by the ring's lock.
#pragma once

#include "state/list.h"
#include "state/request.h"

namespace ringside::engine {

inline constexpr unsigned write_turns = 64;

struct WriteOrder {
    uint64_t taken = 0;  // a bit a turn
    Queue<Request, &Request::next> in_line[write_turns];
};

}  // namespace ringside::engine
