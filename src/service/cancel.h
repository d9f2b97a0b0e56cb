// Ending requests before their time. It knows where a request can be (Place), not what it does.
#pragma once

#include "state/ring.h"

namespace ringside::engine {

// Cancels a request that waits somewhere. Returns what the canceller reports: 0 (or 1, for some operations) when
// it will end with -ECANCELED, -EALREADY when it is being done right now (and has been told to stop), -ENOENT when it
// is past that.
int cancel_request(Request& request);

// Ends everything in flight, silently, because the ring is being closed. Requests that are inside a worker's system
// call are told to stop; they may still be there when it returns (Ring::worker_jobs counts them).
void cancel_all(Ring& ring);

}  // namespace ringside::engine
