// The order in which workers write to one file. The result of writes at the file's position, or to its end, depends on
// the order. So the kernel's io-wq writes to a regular file one request after the other, in the order of submission,
// and so do our workers.
//
// Files are told apart by a hash of their inode. If two files share a turn, their writes only wait for each other
// without need. A turn belongs to one request, from when the request is handed to the workers until it is done or
// withdrawn. The requests behind it stand in line here, where no worker finds them.
//
// Guarded by the ring's lock.
#pragma once

#include "state/list.h"
#include "state/request.h"
#include "state/write_order.h"

namespace ringside::engine {

// Which turn a request needs; 0 if it needs none. Looks at the request's file.
uint8_t turn_of(const Request& request);

// Takes the turn for the request, or puts it in line. Returns whether it may be handed to the workers.
bool take_turn(Request& request, uint8_t turn);

// Ends the request's turn, if it has one. Returns the next request in line, which the caller hands to the workers.
Request* end_turn(Request& request);

// Takes a request out of the line. Returns false when it does not stand there.
bool leave_line(Request& request);

// Whether a request has to wait for others on its file though it could be done at once.
bool has_to_line_up(const Request& request);

}  // namespace ringside::engine
