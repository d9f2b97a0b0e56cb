// Threads for what has to block. They serve all rings of the process, start when a request needs one and none is idle,
// and end when they have been idle for a while or the last ring is closed.
//
// Two classes, as in the kernel: bounded work ends by itself (a disk answers), so a few threads do; unbounded work may
// wait for anything (a FIFO's other end), so it must never wait for a thread.
#pragma once

#include <sched.h>
#include "os/interrupt.h"

#include "state/ring.h"

namespace ringside::engine {

// Hands a request over. The worker calls run_in_worker() (path/punt.cc). Called under the request's ring's lock.
// Returns false when no thread could be started at all: the caller has to do the work itself.
bool queue_for_worker(Request& request);

// The same for several, in order, of one class: one worker is woken for them.
bool queue_for_worker(RequestQueue requests);

// Wakes the workers for what was queued in a batch. They need the ring's lock next, so who is about to let go of that
// does it first, by let_go_to_workers().
void wake_workers(Ring& ring);
void let_go_to_workers(Ring& ring) RINGSIDE_RELEASES(ring.lock);

// The worker is done with its request: called in the worker under the request's ring's lock. Returns whether it was
// told to stop, which it may have been too late to notice.
bool note_work_done();

enum class Withdrawal {
    withdrawn,    // it had not begun, and will not
    interrupted,  // it is running, and was told to stop
    gone,         // no worker has it any more
};

// Takes a request back from the workers. Called under the ring's lock.
Withdrawal withdraw_from_worker(Request& request);

// Whether the calling thread is a worker: one that holds no lock while it works.
bool in_worker();

// The limits of the two classes (IORING_REGISTER_IOWQ_MAX_WORKERS): sets those that are not 0, returns the former.
void exchange_worker_limits(unsigned& bounded, unsigned& unbounded);

// The processors that workers run on; null for all that the process may use.
void set_worker_affinity(const cpu_set_t* processors);

// Ends all workers and waits until they are gone, and allows new ones again. Called when the last ring is closed and
// when a first one is set up.
void end_workers();
void allow_workers();

// A fork takes the pools between two steps. The rings' locks come first, the keeper's after them.
void hold_workers();
void release_workers();

// In a child after fork: there are no workers there.
void forget_workers();

}  // namespace ringside::engine
