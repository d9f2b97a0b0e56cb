// The ring's epoll set, edge-triggered, and who looks into it. What stands in it are the files that requests wait for
// (service/registrations.h), and eventfds of our own.
//
// A thread that waits for the ring's completions sleeps in the set (service/waiters.h). While no thread waits, a call
// of the program's looks now and then what is ready, and the process's helper thread (service/helper.h) stands in.
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

// Takes events out of the set without waiting, for whoever has the lock: a leader that sleeps in the set may have been
// about to take them. Those of files and of the disk are the caller's to handle now; a wake-up goes on to the leader.
// Returns as wait_in_set() does.
int look_into_set(Ring& ring, epoll_event* events);

// Handles what was taken out of the set.
void handle_events(Ring& ring, const epoll_event* events, int count);

// Handles what has happened in the epoll set, which is ready no more then.
void take_events(Ring& ring);

// Tries those that wait without a set, or has them wait in it as soon as there can be one.
void look_at_unpolled(Ring& ring);

// Handles all that is ready or due now, without waiting.
void poll_now(Ring& ring);

// The program's call ends, while requests wait. One that had no need to sleep may not have looked what is ready, and
// neither may the next ones: so it is looked now and then. look_with_next_call() has the next one do it.
void look_now_and_then(Ring& ring);
void look_with_next_call(Ring& ring);
// The same for a call of the program's: where it is for a disk alone that requests wait, its results are in memory, and
// no call is needed to look. What told of them stays in the epoll set then, and makes the next look there a vain one.
void poll_in_call(Ring& ring);

// Whether a look into the set, with this result, has found that it is gone: the program has closed its number, or put
// something else there. What waited in it waits without one then, until there is another.
bool note_lost_set(Ring& ring, int result);

void close_poller(Ring& ring);

}  // namespace ringside::engine
