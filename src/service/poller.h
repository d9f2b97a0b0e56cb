// The ring's epoll set, edge-triggered, and the threads that look into it. It holds the files that requests wait for
// (service/registrations.h) and eventfds of the engine.
//
// A thread that waits for the ring's completions sleeps in the set (service/waiters.h). While no thread waits, a call
// of the program looks now and then what is ready, and the process's helper thread (service/helper.h) stands in.
//
// All of it is under the ring's lock.
#pragma once

#include <stdint.h>
#include <sys/epoll.h>

#include "state/polling.h"
#include "state/request.h"

namespace ringside::engine {

struct KeptFile;
struct Ring;

// Makes the epoll set if the ring has none. Returns 0 or -errno.
int open_poller(Ring& ring);

// Puts an eventfd of ours into the set, under a cookie that handle_events() knows. Returns 0 or -errno.
inline constexpr uint64_t wake_cookie = ~uint64_t{0};
inline constexpr uint64_t disk_cookie = ~uint64_t{1};
int watch_eventfd(Ring& ring, int eventfd, uint64_t cookie);

// Takes events out of the set without waiting, for a holder of the lock. A leader that sleeps in the set may have been
// about to take them. The caller has to handle the events of files and of the disk; a wake-up is sent on to the leader.
// Returns as wait_in_set() does.
int look_into_set(Ring& ring, epoll_event* events);

// Handles what was taken out of the set.
void handle_events(Ring& ring, const epoll_event* events, int count);

// Handles all events of the epoll set, which is not ready afterwards.
void take_events(Ring& ring);

// Tries the requests that wait without a set, or moves them into the set as soon as there is one.
void look_at_unpolled(Ring& ring);

// Handles all that is ready or due now, without waiting.
void poll_now(Ring& ring);

// Called when a call of the program ends while requests wait. Calls that need not sleep skip the look into the set;
// every few calls look all the same. look_with_next_call() has the next call look.
void look_now_and_then(Ring& ring);
void look_with_next_call(Ring& ring);
// Like poll_now(), for a call of the program. If all waiting requests wait for a disk, their results are in memory, and
// it makes no system call. Their event stays in the epoll set then, and the next look there finds nothing to do for it.
void poll_in_call(Ring& ring);

// Whether the result of a look into the set shows that the set is gone: the program has closed its number, or has
// another file there. Requests that waited in it then wait without one, until there is a new one.
bool note_lost_set(Ring& ring, int result);

void close_poller(Ring& ring);

}  // namespace ringside::engine
