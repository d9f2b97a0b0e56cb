// The order of what workers do to one file. Writes at the file's position, or to its end, depend on it, so the kernel's
// workers write to a regular file one after the other, in the order of submission; so do ours.
//
// Files are told apart by a hash of their inode. Two that share a turn only wait for each other. A turn belongs to one
// request, from when it is handed to the workers until it is done or withdrawn; those behind it stand in line here,
// where no worker finds them.
//
// Guarded by the ring's lock.
#pragma once

#include "state/list.h"
#include "state/request.h"
#include "state/write_order.h"

namespace ringside::engine {

// Which turn a request needs: 0 for one that needs none. Looks at its file.
uint8_t turn_of(const Request& request);

// Takes the turn for the request, or puts it in line. Returns whether it may be handed to the workers.
bool take_turn(Request& request, uint8_t turn);

// The request has no use for its turn any more, if it has one. Returns who is next, to be handed to the workers.
Request* end_turn(Request& request);

// Takes a request out of the line. Returns false when it does not stand there.
bool leave_line(Request& request);

// Whether a request that could be done at once has to come after others on its file.
bool has_to_line_up(const Request& request);

}  // namespace ringside::engine
