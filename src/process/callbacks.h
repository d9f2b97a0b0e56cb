// What the process calls of the floors above it, and where that is. No other call runs upwards from here, but the one
// of process/inside.h.
#pragma once

#include "state/ring.h"

namespace ringside::engine {

// --- Services: service/services.cc ----------------------------------------------------------------------------------

// A first ring is set up: there may be threads of ours.
void allow_services();

// The last ring is closed: ends all threads of ours, and waits until they are gone.
void end_services();

// Around a fork: no thread of ours is between two steps.
void hold_services();
void release_services();

// In a child after fork: there are none of them. Descriptors are closed if they are known to be ours still.
void forget_services(bool closes_descriptors);

// --- Services: service/readiness.cc and service/cancel.cc -----------------------------------------------------------

// The ring is being closed; or it is a parent's, in a child after fork.
void drop_readiness(Readiness& readiness);

// The thread with this number ends, and with it what process/thread_end.h says. Lets go of the ring's lock while it
// waits.
void orphan_requests(Ring& ring, uint32_t thread) RINGSIDE_REQUIRES(ring.lock);

// --- Services: service/waiters.cc ------------------------------------------------------------------------------------

// Ends the waits that a thread has left. Returns whether there were any.
bool end_waits_of(Ring& ring, uint32_t thread);

// --- Entry: entry/close.cc -------------------------------------------------------------------------------------------

// One name of the ring less (a descriptor, or a registered index); the last one ends it.
void let_go_of_ring(Ring& ring);

// --- Entry: entry/gone.cc, and services call it, too ----------------------------------------------------------------

// Ends the rings whose last descriptor was closed without a word, for a thread that ends with the last ring: when it
// returns nothing of their requests touches the program's memory any more unless a worker is at it; another thread
// takes the rings apart. Without a lock.
void leave_gone_rings();

// In a child after fork.
void forget_ended_rings();

}  // namespace ringside::engine
