#include "service/workers.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "os/limits.h"
#include "os/threads.h"
#include "service/crew.h"
#include "service/keeper.h"
#include "service/path_face.h"
#include "service/worker.h"
#include "service/write_order.h"

namespace ringside::engine {

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
    // Its workers have the engine's own table of descriptors (service/keeper.h): the keeper starts them.
    const bool own_table;
    ThreadWanted wanted RINGSIDE_GUARDED_BY(lock) = {};
    bool asked RINGSIDE_GUARDED_BY(lock) = false;     // `wanted` is with the keeper
    unsigned to_start RINGSIDE_GUARDED_BY(lock) = 0;  // of `count`, those that the keeper is to start

    explicit constexpr Pool(bool with_own_table) : own_table(with_own_table) {}
};

namespace {

Pool bounded_pool{false}, unbounded_pool{false}, bounded_elsewhere{true}, unbounded_elsewhere{true};
Pool* const pools[] = {&bounded_pool, &unbounded_pool, &bounded_elsewhere, &unbounded_elsewhere};

// IORING_REGISTER_IOWQ_AFF
struct Affinity {
    Lock lock;
    bool set RINGSIDE_GUARDED_BY(lock) = false;
    cpu_set_t processors RINGSIDE_GUARDED_BY(lock);
};
Affinity affinity;

Pool& pool_of(const Request& request) {
    const bool elsewhere = request.works_elsewhere;
    if (request.bounded_work) return elsewhere ? bounded_elsewhere : bounded_pool;
    return elsewhere ? unbounded_elsewhere : unbounded_pool;
}

// How many threads the user may have at all.
unsigned most_threads() {
    const uint64_t limit = limit_of(RLIMIT_NPROC, INT_MAX);
    return limit > INT_MAX ? INT_MAX : static_cast<unsigned>(limit);
}

unsigned default_limit(const Pool& pool) {
    if (&pool == &unbounded_pool || &pool == &unbounded_elsewhere) return most_threads();
    // Remembered, since libc reads a file to find out. The kernel does not look again either.
    static std::atomic<unsigned> remembered{0};
    if (const unsigned limit = remembered.load(std::memory_order_relaxed); limit != 0) return limit;
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    const auto limit = static_cast<unsigned>(4 * (processors > 0 ? processors : 1));
    remembered.store(limit, std::memory_order_relaxed);
    return limit;
}

// --- A worker's life ------------------------------------------------------------------------------------------------

// Sleeps until woken. Returns false when the worker has been idle for long enough. tests/model/workers.cc checks all
// orders of sleeping and waking.
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

// Moves the running workers. A worker that is being started looks for itself (follow_affinity).
void move_workers(Pool& pool, const cpu_set_t& processors) {
    Guard guard(pool.lock);
    for (Worker* at = pool.workers; at != nullptr; at = at->next) {
        pthread_setaffinity_np(at->thread, sizeof(processors), &processors);
    }
}

// A worker that ends joins those that ended before it, so that at most a few wait for end_pool() to do that: those that
// ended at the same moment.
void end_worker(Worker& worker) RINGSIDE_RELEASES(worker.pool->lock) RINGSIDE_UNCHECKED {
    Pool& pool = *worker.pool;
    Worker* ended = take_ended(pool.workers);
    --pool.count;
    worker.ended = true;
    pool.lock.release();
    join_and_free(ended);
}

void* worker_body(void* argument) RINGSIDE_UNCHECKED {
    auto& worker = *static_cast<Worker*>(argument);
    Pool& pool = *worker.pool;
    this_worker = &worker;
    if (pool.own_table) note_own_table();
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

bool start_here(Pool& pool) RINGSIDE_REQUIRES(pool.lock) {
    auto* worker = static_cast<Worker*>(calloc(1, sizeof(Worker)));
    if (worker == nullptr) return false;
    worker->pool = &pool;
    if (start_thread(worker->thread, "ringside-worker", worker_body, worker) < 0) {
        free(worker);
        return false;
    }
    worker->next = pool.workers;
    pool.workers = worker;
    return true;
}

// Called by the keeper. If no thread can be started, the keeper does the work itself.
void start_for_keeper(void* argument) {
    Pool& pool = *static_cast<Pool*>(argument);
    pool.lock.acquire();
    pool.asked = false;
    for (; pool.to_start > 0; --pool.to_start) {
        if (!start_here(pool)) --pool.count;
    }
    while (pool.count == 0 && !pool.queue.empty()) {
        Request* request = pool.queue.pop();
        pool.lock.release();
        run_in_worker(*request);
        pool.lock.acquire();
    }
    pool.lock.release();
}

bool start_worker(Pool& pool) RINGSIDE_REQUIRES(pool.lock) {
    if (!pool.own_table || has_own_table()) {
        if (!start_here(pool)) return false;
        ++pool.count;
        return true;
    }
    if (!pool.asked) {
        pool.wanted = {start_for_keeper, &pool, nullptr};
        if (!start_with_own_table(pool.wanted)) return false;
        pool.asked = true;
    }
    ++pool.to_start;
    ++pool.count;
    return true;
}

void end_pool(Pool& pool) {
    pool.lock.acquire();
    pool.ending = true;
    // Workers that the keeper has not started yet are not started any more.
    pool.count -= pool.to_start;
    pool.to_start = 0;
    pool.bell.fetch_add(1);
    futex_wake(pool.bell, INT32_MAX);
    // A worker that has ended may be joining others. It is joined here, so all are gone afterwards.
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
    pool.ending = pool.asked = false;
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

// Takes the wake-ups of a batch, for the caller to send without the ring's lock.
Rung take_rung(Ring& ring) {
    const Rung rung = ring.rung;
    ring.rung = {};
    return rung;
}

void wake(const Rung& rung) {
    for (unsigned i = 0; i < worker_pools; ++i) {
        if (rung.of_pool[i] != 0) futex_wake(pools[i]->bell, rung.of_pool[i]);
    }
}

unsigned index_of(const Pool& pool) {
    unsigned index = 0;
    while (pools[index] != &pool) ++index;
    return index;
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
    pool.count = pool.idle = pool.wakes = pool.to_start = 0;
    pool.asked = false;
    pool.ending = false;
}

}  // namespace

void follow_affinity() {
    Guard guard(affinity.lock);
    if (affinity.set) pthread_setaffinity_np(pthread_self(), sizeof(affinity.processors), &affinity.processors);
}

void join_and_free(Worker* ended) {
    while (ended != nullptr) {
        Worker* next = ended->next;
        pthread_join(ended->thread, nullptr);
        free(ended);
        ended = next;
    }
}

Worker* take_ended(Worker*& all) {
    Worker* ended = nullptr;
    for (Worker** at = &all; *at != nullptr;) {
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

bool queue_for_worker(Request& request) {
    if (request.has(request_has_crew)) return queue_for_crew(request);
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
            ++ring.rung.of_pool[index_of(pool)];
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
    if (this_worker == nullptr) return false;
    this_worker->running.store(nullptr);
    return told_to_stop(this_worker->interruptible);
}

void wake_workers(Ring& ring) { wake(take_rung(ring)); }

void let_go_to_workers(Ring& ring) {
    if (__builtin_expect(ring.rung.empty(), 1)) {
        ring.lock.release();
    } else {
        const Rung rung = take_rung(ring);
        ring.lock.release();
        wake(rung);
    }
    man_crew();
}

bool in_worker() { return this_worker != nullptr; }

Withdrawal withdraw_from_worker(Request& request) {
    if (request.buffer_use == BufferUse::crew) return withdraw_from_crew(request);
    return leave_line(request) ? Withdrawal::withdrawn : withdraw(pool_of(request), request);
}

unsigned worker_limit(bool bounded) {
    Pool& pool = bounded ? bounded_pool : unbounded_pool;
    Guard guard(pool.lock);
    return pool.limit != 0 ? pool.limit : default_limit(pool);
}

void exchange_worker_limits(unsigned& bounded, unsigned& unbounded) {
    // One limit a class, which each of its two pools keeps.
    unsigned same_bounded = bounded, same_unbounded = unbounded;
    exchange_limit(bounded_elsewhere, same_bounded);
    exchange_limit(unbounded_elsewhere, same_unbounded);
    exchange_limit(bounded_pool, bounded);
    exchange_limit(unbounded_pool, unbounded);
    go_by_new_limits();
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
    for (Pool* pool : pools) move_workers(*pool, wanted);
    move_crews(wanted);
}

void end_workers() {
    for (Pool* pool : pools) end_pool(*pool);
    end_crews();
}

void allow_workers() {
    for (Pool* pool : pools) revive_pool(*pool);
}

void hold_workers() RINGSIDE_UNCHECKED {
    hold_crews();
    for (Pool* pool : pools) pool->lock.acquire();
}

void release_workers() RINGSIDE_UNCHECKED {
    for (Pool* pool : pools) pool->lock.release();
    release_crews();
}

void forget_workers() RINGSIDE_UNCHECKED {
    for (Pool* pool : pools) forget(*pool);
    forget_crews();
    affinity.lock.reset();
}

}  // namespace ringside::engine
