#include "service/crew.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <new>

#include "os/clock.h"
#include "os/threads.h"
#include "service/path_face.h"
#include "service/worker.h"
#include "service/workers.h"
#include "state/submitter.h"

namespace ringside::engine {

struct Crew {
    uint32_t maker;    // the thread that submits (state/submitter.h)
    unsigned holders;  // its requests, and the submitter until it has manned it
    unsigned count;    // threads
    unsigned idle;
    unsigned wakes;  // idle ones that were woken and have not looked yet
    bool unmanned;   // there could be no thread
    RequestQueue queue;
    const Request* in_person;    // that the submitter executes itself
    std::atomic<uint32_t> bell;  // futex that idle ones sleep on
    unsigned places[2];          // in Crews::running, for requests that it has not begun
    bool held_up;                // the limits let it do none of its requests
    Crew* next_held_up;
};

namespace {

// If there are so many threads, a submitter does its bounded work itself. The disk cannot keep up with it anyway.
constexpr unsigned most_threads = 256;

// A call that took this long waited for something. Then the requests behind it get another thread.
constexpr int64_t long_call_ns = 100'000;

struct Crews {
    Lock lock;
    Worker* workers RINGSIDE_GUARDED_BY(lock) = nullptr;
    unsigned count RINGSIDE_GUARDED_BY(lock) = 0;
    // How many requests are being executed: unbounded ones, bounded ones. The limits of workers hold for all crews
    // together.
    unsigned running[2] RINGSIDE_GUARDED_BY(lock) = {};
    Queue<Crew, &Crew::next_held_up> held_up RINGSIDE_GUARDED_BY(lock);
};
Crews crews;

Crew* make_crew() {
    void* memory = calloc(1, sizeof(Crew));
    if (memory == nullptr) return nullptr;
    auto* crew = new (memory) Crew{};
    crew->maker = this_thread_number();
    crew->holders = 1;
    return crew;
}

void wake(Crew& crew, int count) {
    crew.bell.fetch_add(1);
    futex_wake(crew.bell, count);
}

bool is_at_limit(bool bounded) RINGSIDE_REQUIRES(crews.lock) {
    return crews.running[bounded] != 0 && crews.running[bounded] >= worker_limit(bounded);
}

void hold_up(Crew& crew) RINGSIDE_REQUIRES(crews.lock) {
    if (!crew.held_up) crews.held_up.push(crew);
    crew.held_up = true;
}

bool has_queued(const Crew& crew, bool bounded) {
    const Request* at = crew.queue.front();
    while (at != nullptr && at->bounded_work != bounded) at = at->next;
    return at != nullptr;
}

// Gives the place of a request that is done to the crew that has waited longest for one.
void pass_place_on(bool bounded) RINGSIDE_REQUIRES(crews.lock) {
    Crew* crew = crews.held_up.front();
    while (crew != nullptr && !has_queued(*crew, bounded)) crew = crew->next_held_up;
    if (crew == nullptr) {
        --crews.running[bounded];
        return;
    }
    crews.held_up.remove(*crew);
    crew->held_up = false;
    ++crew->places[bounded];
    wake(*crew, 1);
}

// Before the crew's thread is there, so that crews begin in the order of their submission.
void take_first_place(Crew& crew) RINGSIDE_REQUIRES(crews.lock) {
    if (crew.queue.empty()) return;
    const bool bounded = crew.queue.front()->bounded_work;
    if (is_at_limit(bounded)) return hold_up(crew);
    ++crews.running[bounded];
    ++crew.places[bounded];
}

void give_back_places(Crew& crew) RINGSIDE_REQUIRES(crews.lock) {
    for (const bool bounded : {false, true}) {
        for (; crew.places[bounded] != 0; --crew.places[bounded]) pass_place_on(bounded);
    }
}

// The next request that the limits allow. If there are only others, the crew is woken when that changes.
Request* take_request(Crew& crew) RINGSIDE_REQUIRES(crews.lock) {
    for (Request* at = crew.queue.front(); at != nullptr; at = at->next) {
        const bool bounded = at->bounded_work;
        if (crew.places[bounded] != 0) {
            --crew.places[bounded];
        } else if (is_at_limit(bounded)) {
            continue;
        } else {
            ++crews.running[bounded];
        }
        crew.queue.remove(*at);
        return at;
    }
    // What they were for was cancelled.
    give_back_places(crew);
    if (!crew.queue.empty()) hold_up(crew);
    return nullptr;
}

void free_if_over(Crew& crew) RINGSIDE_REQUIRES(crews.lock) {
    if (crew.holders != 0 || crew.count != 0) return;
    if (crew.held_up) crews.held_up.remove(crew);
    free(&crew);
}

void let_go(Crew& crew) RINGSIDE_REQUIRES(crews.lock) {
    if (--crew.holders != 0) return;
    if (crew.idle != 0) wake(crew, INT32_MAX);
    free_if_over(crew);
}

// Sleeps until woken. Returns false if the thread is not needed any more: when it has been idle for long, and another
// one is left.
bool rest(Crew& crew) RINGSIDE_REQUIRES(crews.lock) {
    const uint32_t bell = crew.bell.load(std::memory_order_relaxed);
    ++crew.idle;
    crews.lock.release();
    const int result = futex_wait_while_idle(crew.bell, bell);
    crews.lock.acquire();
    --crew.idle;
    if (crew.wakes > 0) --crew.wakes;
    return result != -ETIMEDOUT || crew.count == 1 || crew.held_up;
}

void* crew_body(void* argument);

bool start(Crew& crew) RINGSIDE_REQUIRES(crews.lock) {
    auto* worker = static_cast<Worker*>(calloc(1, sizeof(Worker)));
    if (worker == nullptr) return false;
    worker->crew = &crew;
    // It gives itself its name: for another thread that takes a file in /proc.
    if (start_thread(worker->thread, nullptr, crew_body, worker) < 0) {
        free(worker);
        return false;
    }
    worker->next = crews.workers;
    crews.workers = worker;
    ++crews.count;
    ++crew.count;
    return true;
}

// Unbounded work may wait for a request behind it, in the queue or still to come.
void provide_for_others(Crew& crew, const Request& taken) RINGSIDE_REQUIRES(crews.lock) {
    if (!taken.bounded_work && crew.holders > 1 && crew.idle == 0) start(crew);
}

void end_worker(Worker& worker) RINGSIDE_RELEASES(crews.lock) RINGSIDE_UNCHECKED {
    Crew& crew = *worker.crew;
    Worker* ended = take_ended(crews.workers);
    --crew.count;
    --crews.count;
    free_if_over(crew);
    worker.ended = true;
    crews.lock.release();
    join_and_free(ended);
}

void run_timed(Crew& crew, Request& request) RINGSIDE_REQUIRES(crews.lock) {
    const bool bounded = request.bounded_work;
    const bool some_behind = !crew.queue.empty();
    crews.lock.release();
    const int64_t before = some_behind ? now_ns(CLOCK_MONOTONIC) : 0;
    run_in_worker(request);
    const bool was_long = some_behind && now_ns(CLOCK_MONOTONIC) - before >= long_call_ns;
    crews.lock.acquire();
    pass_place_on(bounded);
    if (was_long && !crew.queue.empty() && crew.idle == 0 && crew.count < worker_limit(true)) start(crew);
}

void* crew_body(void* argument) RINGSIDE_UNCHECKED {
    auto& worker = *static_cast<Worker*>(argument);
    Crew& crew = *worker.crew;
    this_worker = &worker;
    pthread_setname_np(pthread_self(), "ringside-worker");
    begin_interruptible(worker.interruptible);
    follow_affinity();
    crews.lock.acquire();
    for (;;) {
        worker.takes_next = false;
        Request* request = take_request(crew);
        if (request == nullptr) {
            if (crew.holders == 0 || !rest(crew)) break;
            continue;
        }
        provide_for_others(crew, *request);
        allow_blocking(worker.interruptible);
        worker.running.store(request);
        run_timed(crew, *request);
    }
    end_worker(worker);
    return nullptr;
}

// Whether the crew has bounded work to do now, and nothing else later.
bool is_all_bounded(const Crew& crew) RINGSIDE_REQUIRES(crews.lock) {
    unsigned bounded = 0;
    for (const Request* at = crew.queue.front(); at != nullptr; at = at->next) bounded += at->bounded_work;
    return bounded + 1 == crew.holders;
}

// Without a thread, the submitter is the only one that may do the work.
void work_alone(Crew& crew) RINGSIDE_REQUIRES(crews.lock) {
    crew.unmanned = true;
    give_back_places(crew);
    while (Request* request = crew.queue.pop()) {
        const bool bounded = request->bounded_work;
        crew.in_person = request;
        crews.lock.release();
        bounded ? run_in_worker(*request) : finish_elsewhere(*request, -EAGAIN);
        crews.lock.acquire();
        crew.in_person = nullptr;
    }
}

}  // namespace

bool join_crew(Request& request) {
    // None of those that take a buffer asks for rights.
    if (request.has(request_has_crew | IOSQE_BUFFER_SELECT)) return true;
    Crew* crew = unmanned_crew.load(std::memory_order_relaxed);
    if (crew == nullptr) {
        crew = make_crew();
        if (crew == nullptr) return false;
        unmanned_crew.store(crew, std::memory_order_relaxed);
    }
    Guard guard(crews.lock);
    ++crew->holders;
    request.crew = crew;
    request.buffer_use = BufferUse::crew;
    request.set(request_has_crew);
    return true;
}

void leave_crew(Request& request) {
    if (!request.has(request_has_crew)) return;
    request.clear(request_has_crew);
    request.buffer_use = BufferUse::classic;
    Guard guard(crews.lock);
    let_go(*request.crew);
}

bool acts_for_submitter(const Request& request) {
    if (this_worker != nullptr && this_worker->crew == request.crew) return true;
    return this_thread_number() == request.crew->maker;
}

bool queue_for_crew(Request& request) {
    Crew& crew = *request.crew;
    Guard guard(crews.lock);
    if (crew.unmanned) return false;
    crew.queue.push(request);
    if (this_worker != nullptr && this_worker->crew == &crew && !this_worker->takes_next) {
        this_worker->takes_next = true;
    } else if (crew.idle > crew.wakes) {
        ++crew.wakes;
        wake(crew, 1);
    }
    return true;
}

void man_crew_in_full() {
    // A signal handler that comes before this has manned it; one that comes later begins another.
    Crew* crew = unmanned_crew.exchange(nullptr, std::memory_order_relaxed);
    if (crew == nullptr) return;
    crews.lock.acquire();
    take_first_place(*crew);
    const bool may_start = crews.count < most_threads || !is_all_bounded(*crew);
    if (crew->holders > 1 && !(may_start && start(*crew))) work_alone(*crew);
    let_go(*crew);
    crews.lock.release();
}

bool work_in_person(Ring& ring) RINGSIDE_UNCHECKED {
    Crew* crew = unmanned_crew.load(std::memory_order_relaxed);
    if (crew == nullptr) return false;
    ring.lock.release();
    crews.lock.acquire();
    const bool may = is_all_bounded(*crew);
    if (may) work_alone(*crew);
    crews.lock.release();
    if (may) man_crew();
    ring.lock.acquire();
    return may;
}

Withdrawal withdraw_from_crew(Request& request) {
    Guard guard(crews.lock);
    if (request.crew->in_person == &request) return Withdrawal::interrupted;
    if (request.crew->queue.remove(request)) return Withdrawal::withdrawn;
    for (Worker* at = crews.workers; at != nullptr; at = at->next) {
        if (at->running.load() != &request) continue;
        interrupt(at->interruptible);
        return Withdrawal::interrupted;
    }
    return Withdrawal::gone;
}

void move_crews(const cpu_set_t& processors) {
    Guard guard(crews.lock);
    for (Worker* at = crews.workers; at != nullptr; at = at->next) {
        pthread_setaffinity_np(at->thread, sizeof(processors), &processors);
    }
}

void go_by_new_limits() {
    Guard guard(crews.lock);
    for (const bool bounded : {false, true}) {
        for (unsigned i = crews.count; i > 0 && !is_at_limit(bounded); --i) {
            ++crews.running[bounded];
            pass_place_on(bounded);
        }
    }
}

// No request is left, so each thread ends by itself.
void end_crews() {
    crews.lock.acquire();
    while (Worker* worker = crews.workers) {
        crews.workers = worker->next;
        crews.lock.release();
        pthread_join(worker->thread, nullptr);
        free(worker);
        crews.lock.acquire();
    }
    crews.lock.release();
}

void hold_crews() RINGSIDE_UNCHECKED { crews.lock.acquire(); }
void release_crews() RINGSIDE_UNCHECKED { crews.lock.release(); }

void forget_crews() RINGSIDE_UNCHECKED {
    crews.lock.reset();
    crews.workers = nullptr;
    crews.count = crews.running[0] = crews.running[1] = 0;
    crews.held_up = {};
    unmanned_crew.store(nullptr);
}

}  // namespace ringside::engine
