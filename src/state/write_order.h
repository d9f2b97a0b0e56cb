// What a ring knows of service/write_order.h.
#pragma once

#include "state/list.h"
#include "state/request.h"
#include "state/tables.h"

namespace ringside::engine {

inline constexpr unsigned write_turns = 64;

struct WriteOrder {
    uint64_t taken = 0;  // a bit a turn
    Queue<Request, &Request::next> in_line[write_turns];
};

}  // namespace ringside::engine
