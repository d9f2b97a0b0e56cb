// Which requests wait for which file. The ring's epoll set (service/poller.h) knows a file by a descriptor number. The
// requests that wait for it stand in that number's slot, and are tried again when an event comes for the number.
//
// A number may stand for several files over time. Each request holds its own file (Request::fd). So an event for the
// number only leads to a retry; it says something about the request's file only if it comes from the request's own
// registration.
//
// All of it is under the ring's lock.
#pragma once

#include <stdint.h>

#include "state/polling.h"
#include "state/request.h"

namespace ringside::engine {

struct KeptFile;
struct Ring;

// Request::poll_number of a request whose poll the kernel keeps (service/kernel_polls.h).
inline constexpr int number_of_kernel_poll = -3;

// Has a request wait for `wait_events` of its file. The epoll set knows the file by `number`: the program's descriptor
// while that is sure to be the same file (registering it again is cheaper than a new one), else Request::fd. If there
// is no epoll set, the request is tried at each look at the ring. Returns 0, -EPERM if the file cannot be polled (a
// regular file), or another error.
int arm_poll(Request& request, int number);

// The same for a request that holds its file in the engine's own table (service/keeper.h).
void arm_kept(Request& request, bool behind_others);

// Tries the requests that wait for such a file and for one of the events in `happened`; all of them if it is 0
// (unknown). Called by the keeper.
void attempt_waiting(KeptFile& file, uint32_t happened);

// Called when the ring's epoll set is lost: the request now waits without one. Always returns false, so that a search
// through all requests goes on.
bool leave_lost_set(Request& request);

// Takes the request out of its slot.
void disarm_poll(Request& request);

// Whether requests wait for the file that is known by this number.
bool is_waited_for(const Ring& ring, int number);

// Called before a descriptor of the engine is closed that requests may have waited for by its number.
void forget_number(Ring& ring, int fd);

// Called for an event from the epoll set: tries the requests concerned again (path/arm.cc). `is_news` says that the
// event describes the present state.
void handle_event(Ring& ring, uint32_t happened, uint64_t cookie, bool is_news);

void close_registrations(Registrations& registrations);

}  // namespace ringside::engine
