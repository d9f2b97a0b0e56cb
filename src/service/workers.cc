#include "service/workers.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "path/path.h"
#include "service/threads.h"
#include "service/write_order.h"
#include "state/limits.h"

namespace ringside::engine {
namespace {

struct Pool;

struct Worker {
    Worker* next;  // of all workers of the pool
    Pool* pool;
    pthread_t thread;
    Interruptible interruptible;
    // What it is inside of. Set under the pool's lock, cleared under the request's ring's: who holds both knows.
    std::atomic<Request*> running;
    bool takes_next;  // has queued a request that it will come for itself
    bool ended;       // has left its loop and can be joined
};

struct Pool {
    Lock lock;
    RequestQueue queue RINGSIDE_GUARDED_BY(lock);
    Worker* workers RINGSIDE_GUARDED_BY(lock) = nullptr;
    unsigned count RINGSIDE_GUARDED_BY(lock) = 0;  // those that have not ended
    unsigned idle RINGSIDE_GUARDED_BY(lock) = 0;
    unsigned wakes RINGSIDE_GUARDED_BY(lock) = 0;  // idle workers that were woken and have not looked yet
    unsigned limit RINGSIDE_GUARDED_BY(lock) = 0;  // 0: the default
    bool ending RINGSIDE_GUARDED_BY(lock) = false;
    std::atomic<uint32_t> bell{0};  // futex that idle workers sleep on
};

Pool bounded_pool, unbounded_pool;
thread_local Worker* this_worker = nullptr;

// IORING_REGISTER_IOWQ_AFF
struct Affinity {
    Lock lock;
    bool set RINGSIDE_GUARDED_BY(lock) = false;
    cpu_set_t processors RINGSIDE_GUARDED_BY(lock);
};
Affinity affinity;

Pool& pool_of(const Request& request) { return request.bounded_work ? bounded_pool : unbounded_pool; }

// How many threads the user may have at all.
unsigned most_threads() {
    const uint64_t limit = limit_of(RLIMIT_NPROC, INT_MAX);
    return limit > INT_MAX ? INT_MAX : static_cast<unsigned>(limit);
}

unsigned default_limit(const Pool& pool) {
    if (&pool == &unbounded_pool) return most_threads();
    // Remembered, since libc reads a file to find out. The kernel does not look again either.
    static std::atomic<unsigned> remembered{0};
    if (const unsigned limit = remembered.load(std::memory_order_relaxed); limit != 0) return limit;
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    const auto limit = static_cast<unsigned>(4 * (processors > 0 ? processors : 1));
    remembered.store(limit, std::memory_order_relaxed);
    return limit;
}

// --- A worker's life ------------------------------------------------------------------------------------------------

// Sleeps until woken. Who wakes whom, in whatever order, is gone through in tests/model/workers.cc. Returns false when
// the worker has been idle for long enough.
bool rest(Pool& pool) RINGSIDE_REQUIRES(pool.lock) {
    const uint32_t bell = pool.bell.load(std::memory_order_relaxed);
    ++pool.idle;
    pool.lock.release();
    const int result = futex_wait_while_idle(pool.bell, bell);
    pool.lock.acquire();
    --pool.idle;
    if (pool.wakes > 0) --pool.wakes;
    return result != -ETIMEDOUT || !pool.queue.empty();
}

void follow_affinity() {
    Guard guard(affinity.lock);
    if (affinity.set) pthread_setaffinity_np(pthread_self(), sizeof(affinity.processors), &affinity.processors);
}

// Moves the workers that are there. One that is on its way looks for itself.
void move_workers(Pool& pool, const cpu_set_t& processors) {
    Guard guard(pool.lock);
    for (Worker* at = pool.workers; at != nullptr; at = at->next) {
        pthread_setaffinity_np(at->thread, sizeof(processors), &processors);
    }
}

void join_and_free(Worker* ended) {
    while (ended != nullptr) {
        Worker* next = ended->next;
        pthread_join(ended->thread, nullptr);
        free(ended);
        ended = next;
    }
}

// Takes the workers that have ended out of the pool's list.
Worker* take_ended(Pool& pool) RINGSIDE_REQUIRES(pool.lock) {
    Worker* ended = nullptr;
    for (Worker** at = &pool.workers; *at != nullptr;) {
        Worker* worker = *at;
        if (!worker->ended) {
            at = &worker->next;
            continue;
        }
        *at = worker->next;
        worker->next = ended;
        ended = worker;
    }
    return ended;
}

// A worker that ends joins those that ended before it, so that at most a few wait for end_pool() to do that: those that
// ended at the same moment.
void end_worker(Worker& worker) RINGSIDE_RELEASES(worker.pool->lock) RINGSIDE_UNCHECKED {
    Pool& pool = *worker.pool;
    Worker* ended = take_ended(pool);
    --pool.count;
    worker.ended = true;
    pool.lock.release();
    join_and_free(ended);
}

void* worker_body(void* argument) {
    auto& worker = *static_cast<Worker*>(argument);
    Pool& pool = *worker.pool;
    this_worker = &worker;
    begin_interruptible(worker.interruptible);
    follow_affinity();
    pool.lock.acquire();
    for (;;) {
        worker.takes_next = false;
        Request* request = pool.queue.pop();
        if (request == nullptr) {
            if (pool.ending || !rest(pool)) break;
            continue;
        }
        allow_blocking(worker.interruptible);
        worker.running.store(request);
        pool.lock.release();
        run_in_worker(*request);
        pool.lock.acquire();
    }
    end_worker(worker);
    return nullptr;
}

bool start_worker(Pool& pool) RINGSIDE_REQUIRES(pool.lock) {
    auto* worker = static_cast<Worker*>(calloc(1, sizeof(Worker)));
    if (worker == nullptr) return false;
    worker->pool = &pool;
    if (start_thread(worker->thread, "ringside-worker", worker_body, worker) < 0) {
        free(worker);
        return false;
    }
    worker->next = pool.workers;
    pool.workers = worker;
    ++pool.count;
    return true;
}

void end_pool(Pool& pool) {
    pool.lock.acquire();
    pool.ending = true;
    pool.bell.fetch_add(1);
    futex_wake(pool.bell, INT32_MAX);
    // One that has ended may be joining others: it is joined itself, so all are gone afterwards.
    while (Worker* worker = pool.workers) {
        pool.workers = worker->next;
        pool.lock.release();
        pthread_join(worker->thread, nullptr);
        free(worker);
        pool.lock.acquire();
    }
    pool.lock.release();
}

void revive_pool(Pool& pool) {
    Guard guard(pool.lock);
    pool.ending = false;
}

// The next of a chain is queued by the worker that did the one before it, which looks into the queue as soon as it has
// let go of the ring. Nobody else has to be woken for that one.
bool will_come_for_it(const Pool& pool) {
    if (this_worker == nullptr || this_worker->pool != &pool || this_worker->takes_next) return false;
    this_worker->takes_next = true;
    return true;
}

Withdrawal withdraw(Pool& pool, Request& request) {
    Guard guard(pool.lock);
    if (pool.queue.remove(request)) return Withdrawal::withdrawn;
    for (Worker* at = pool.workers; at != nullptr; at = at->next) {
        if (at->running.load() != &request) continue;
        interrupt(at->interruptible);
        return Withdrawal::interrupted;
    }
    return Withdrawal::gone;
}

// What is to be done for a batch, to be done without the ring's lock.
Rung take_rung(Ring& ring) {
    const Rung rung = ring.rung;
    ring.rung = {};
    return rung;
}

void wake(const Rung& rung) {
    if (rung.bounded != 0) futex_wake(bounded_pool.bell, rung.bounded);
    if (rung.unbounded != 0) futex_wake(unbounded_pool.bell, rung.unbounded);
}

void exchange_limit(Pool& pool, unsigned& limit) {
    Guard guard(pool.lock);
    const unsigned former = pool.limit != 0 ? pool.limit : default_limit(pool);
    const unsigned most = most_threads();
    if (limit != 0) pool.limit = limit < most ? limit : most;
    limit = former;
}

void forget(Pool& pool) RINGSIDE_UNCHECKED {
    pool.lock.reset();
    pool.queue = {};
    pool.workers = nullptr;
    pool.count = pool.idle = pool.wakes = 0;
    pool.ending = false;
}

}  // namespace

bool queue_for_worker(Request& request) {
    RequestQueue one;
    one.push(request);
    return queue_for_worker(one);
}

bool queue_for_worker(RequestQueue requests) {
    Ring& ring = *requests.front()->ring;
    Pool& pool = pool_of(*requests.front());
    Guard guard(pool.lock);
    pool.queue.append(requests);
    if (will_come_for_it(pool)) return true;
    if (pool.idle > pool.wakes) {
        ++pool.wakes;
        pool.bell.fetch_add(1);
        if (ring.submitting_inline) {
            ++(&pool == &bounded_pool ? ring.rung.bounded : ring.rung.unbounded);
        } else {
            futex_wake(pool.bell, 1);
        }
        return true;
    }
    const unsigned limit = pool.limit != 0 ? pool.limit : default_limit(pool);
    if (pool.count >= limit || start_worker(pool) || pool.count > 0) return true;
    // Nobody but these was in it.
    pool.queue = {};
    return false;
}

bool note_work_done() {
    this_worker->running.store(nullptr);
    return told_to_stop(this_worker->interruptible);
}

void wake_workers(Ring& ring) { wake(take_rung(ring)); }

void let_go_to_workers(Ring& ring) {
    const Rung rung = take_rung(ring);
    ring.lock.release();
    wake(rung);
}

bool in_worker() { return this_worker != nullptr; }

Withdrawal withdraw_from_worker(Request& request) {
    return leave_line(request) ? Withdrawal::withdrawn : withdraw(pool_of(request), request);
}

void exchange_worker_limits(unsigned& bounded, unsigned& unbounded) {
    exchange_limit(bounded_pool, bounded);
    exchange_limit(unbounded_pool, unbounded);
}

void set_worker_affinity(const cpu_set_t* processors) {
    cpu_set_t wanted;
    if (processors != nullptr) {
        wanted = *processors;
    } else {
        sched_getaffinity(0, sizeof(wanted), &wanted);
    }
    {
        Guard guard(affinity.lock);
        affinity.set = processors != nullptr;
        affinity.processors = wanted;
    }
    move_workers(bounded_pool, wanted);
    move_workers(unbounded_pool, wanted);
}

void end_workers() {
    end_pool(bounded_pool);
    end_pool(unbounded_pool);
}

void allow_workers() {
    revive_pool(bounded_pool);
    revive_pool(unbounded_pool);
}

void forget_workers() RINGSIDE_UNCHECKED {
    forget(bounded_pool);
    forget(unbounded_pool);
    affinity.lock.reset();
}

}  // namespace ringside::engine
