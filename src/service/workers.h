// Threads for calls that may block. They serve all rings of the process. A worker starts when a request needs one and
// none is idle, and ends when it has been idle for a while or the last ring is closed.
//
// There are two classes, as in the kernel. Bounded work ends by itself (a disk answers), so a few threads are enough.
// Unbounded work may wait for anything (a FIFO's other end), so it must never wait for a thread.
//
// Requests whose calls depend on who makes them have workers of their own: service/crew.h.
#pragma once

#include <sched.h>
#include "os/interrupt.h"

#include "state/ring.h"

namespace ringside::engine {

// Hands a request over. The worker calls run_in_worker() (path/punt.cc). Called under the request's ring's lock.
// Returns false when no thread could be started at all: the caller has to do the work itself.
bool queue_for_worker(Request& request);

// The same for several requests of one class, in order: one worker is woken for them.
bool queue_for_worker(RequestQueue requests);

// Wakes the workers for the requests that a batch has queued. They need the ring's lock first. So a caller that is
// about to release the lock uses let_go_to_workers(), which wakes them after the release, and mans the caller's crew.
void wake_workers(Ring& ring);
void let_go_to_workers(Ring& ring) RINGSIDE_RELEASES(ring.lock);

// Called by a worker under the request's ring's lock when it is done with its request. Returns whether it was told to
// stop; it may have noticed too late.
bool note_work_done();

enum class Withdrawal : unsigned char {
    withdrawn,    // it had not begun, and will not
    interrupted,  // it is running, and was told to stop
    gone,         // no worker has it any more
};

// Takes a request back from the workers. Called under the ring's lock.
Withdrawal withdraw_from_worker(Request& request);

// Whether the calling thread is a worker. Workers hold no lock while they work.
bool in_worker();

// How many workers do work of this class at the most.
unsigned worker_limit(bool bounded);

// The limits of the two classes (IORING_REGISTER_IOWQ_MAX_WORKERS): sets those that are not 0, returns the former.
void exchange_worker_limits(unsigned& bounded, unsigned& unbounded);

// Sets the processors that workers run on; null for all that the process may use.
void set_worker_affinity(const cpu_set_t* processors);

// end_workers() ends all workers and waits until they are gone. allow_workers() allows new ones again. Called when the
// last ring is closed, and when a first one is set up.
void end_workers();
void allow_workers();

// Around a fork: while held, the pools do not change. Take the rings' locks before, the keeper's after.
void hold_workers();
void release_workers();

// Called in a child after fork, which has no workers.
void forget_workers();

}  // namespace ringside::engine
