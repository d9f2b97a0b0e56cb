// One thread that makes calls which may block: of a pool that serves all (service/workers.h), or of a crew that serves
// one submitter (service/crew.h).
#pragma once

#include <pthread.h>
#include <atomic>

#include "os/interrupt.h"
#include "state/request.h"

namespace ringside::engine {

struct Pool;
struct Crew;

struct Worker {
    Worker* next;  // of all workers of the pool, or of all crews
    Pool* pool;    // of the two, the one that is not the worker's is null
    Crew* crew;
    pthread_t thread;
    Interruptible interruptible;
    // The request that it executes. Set under the pool's lock (or that of the crews), cleared under the lock of the
    // request's ring: a thread that holds both can rely on it.
    std::atomic<Request*> running;
    bool takes_next;  // has queued a request that it will come for itself
    bool ended;       // has left its loop and can be joined
};

// Of the calling thread; null in those that are none.
inline constinit thread_local Worker* this_worker = nullptr;

// The last step of a worker's life and what others do when they find workers of the past. The lists are guarded by the
// lock of the pool, or that of the crews.
Worker* take_ended(Worker*& all);
void join_and_free(Worker* ended);

// Has the worker run where IORING_REGISTER_IOWQ_AFF says.
void follow_affinity();

}  // namespace ringside::engine
