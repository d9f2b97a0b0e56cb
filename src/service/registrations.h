// Which requests wait for which file. The ring's epoll set (service/poller.h) knows a file by a descriptor number; the
// requests that wait for it stand in that number's slot, and are tried again when an event comes for it.
//
// A number may stand for several files over time. Each request holds its own file (Request::fd), so whatever event
// comes for the number, a retry decides; and only an event of the request's own registration tells of its file.
//
// All of it is under the ring's lock.
#pragma once

#include <stdint.h>

#include "state/polling.h"
#include "state/request.h"

namespace ringside::engine {

struct KeptFile;
struct Ring;

// Puts a request to wait for `wait_events` of its file, which the epoll set knows by `number`: the program's
// descriptor, while that is sure to be the file still (registering it again is cheaper than a new one), else
// Request::fd. Where there is no set to wait in, it is tried whenever somebody looks. Returns 0, -EPERM when the file
// cannot be waited for (a regular file), or another error.
int arm_poll(Request& request, int number);

// The same for one that holds a file in the engine's own table (service/keeper.h).
void arm_kept(Request& request, bool behind_others);

// Tries the requests that wait for such a file, as far as they wait for what has happened to it; all where that is 0,
// not known. Called by the keeper.
void attempt_waiting(KeptFile& file, uint32_t happened);

// The ring's set is lost: a request that waits in it waits without one. Returns false, for a search that goes on.
bool leave_lost_set(Request& request);

// Takes it out again.
void disarm_poll(Request& request);

// Whether requests wait for the file that is known by this number.
bool is_waited_for(const Ring& ring, int number);

// A descriptor of our own, which requests may have waited on by its number, is about to be closed.
void forget_number(Ring& ring, int fd);

// An event has come from the epoll set: the requests concerned are tried again (path/arm.cc). `is_news` where it tells
// what is so now.
void handle_event(Ring& ring, uint32_t happened, uint64_t cookie, bool is_news);

void close_registrations(Registrations& registrations);

}  // namespace ringside::engine
