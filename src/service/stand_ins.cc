#include "service/stand_ins.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "os/interrupt.h"
#include "os/lock.h"
#include "os/threads.h"
#include "service/path_face.h"
#include "service/ring_file.h"
#include "state/ring.h"

namespace ringside::engine {
namespace {

// What a stand-in is doing, a futex that it and its canceller sleep on. Who sets it next stands behind each.
enum State : uint32_t {
    idle,         // in the list of idle ones: whoever takes it out of there
    standing,     // for its request: the thread
    over,         // it has a result: the thread
    abandoned,    // for its request still, but its canceller does not wait for it any more: the thread
    called_back,  // it has none: the canceller
    dismissed,    // it is to end: nobody
};

struct Pool {
    Lock lock;
    StandIn* idle RINGSIDE_GUARDED_BY(lock) = nullptr;   // the last to become so is the first to be sent again
    StandIn* ended RINGSIDE_GUARDED_BY(lock) = nullptr;  // to be joined
    bool ending RINGSIDE_GUARDED_BY(lock) = false;
    std::atomic<uint32_t> living{0};  // a futex that end_stand_ins() sleeps on
};

Pool pool;

}  // namespace

struct StandIn {
    StandIn* next;  // of those that are idle, or have ended
    pthread_t thread;
    Interruptible interruptible;
    std::atomic<uint32_t> state;
    Request* request;
    Stand stand;
    std::atomic<int> late_result;  // of the request, when it was abandoned
};

namespace {

void set_state(StandIn& stand_in, State state) {
    stand_in.state.store(state, std::memory_order_release);
    futex_wake(stand_in.state, 1);
}

// --- A stand-in's life ----------------------------------------------------------------------------------------------

// It is nobody's any more. Returns false if it is to end.
bool become_idle(StandIn& stand_in) {
    Guard guard(pool.lock);
    if (pool.ending) return false;
    stand_in.state.store(idle, std::memory_order_relaxed);
    stand_in.next = pool.idle;
    pool.idle = &stand_in;
    return true;
}

void stand(StandIn& stand_in) {
    Request& request = *stand_in.request;
    long result = stand_in.stand(request);
    if (result == -EINTR) {
        uint32_t before = standing;
        if (stand_in.state.compare_exchange_strong(before, called_back)) return futex_wake(stand_in.state, 1);
        result = stand_in.late_result.load();
    }
    set_state(stand_in, over);
    finish_elsewhere(request, result);
    if (!become_idle(stand_in)) stand_in.state.store(dismissed);
}

// It has been idle for long: it ends, unless somebody sends it just now.
void retire(StandIn& stand_in) {
    Guard guard(pool.lock);
    for (StandIn** at = &pool.idle; *at != nullptr; at = &(*at)->next) {
        if (*at != &stand_in) continue;
        *at = stand_in.next;
        return stand_in.state.store(dismissed);
    }
}

void end(StandIn& stand_in) {
    Guard guard(pool.lock);
    stand_in.next = pool.ended;
    pool.ended = &stand_in;
    pool.living.fetch_sub(1);
    futex_wake(pool.living, 1);
}

void* stand_in_body(void* argument) {
    auto& stand_in = *static_cast<StandIn*>(argument);
    begin_interruptible(stand_in.interruptible);
    for (;;) {
        switch (stand_in.state.load(std::memory_order_acquire)) {
            case standing:
            case abandoned:
                stand(stand_in);
                break;
            case idle:
                if (futex_wait_while_idle(stand_in.state, idle) == -ETIMEDOUT) retire(stand_in);
                break;
            case called_back:
                futex_wait(stand_in.state, called_back);
                break;
            default:
                end(stand_in);
                return nullptr;
        }
    }
}

// --- From outside ---------------------------------------------------------------------------------------------------

StandIn* take_idle() {
    Guard guard(pool.lock);
    StandIn* stand_in = pool.idle;
    if (stand_in != nullptr) pool.idle = stand_in->next;
    return stand_in;
}

// Joins and frees those that have ended.
void reap() {
    pool.lock.acquire();
    StandIn* ended = pool.ended;
    pool.ended = nullptr;
    pool.lock.release();
    while (ended != nullptr) {
        StandIn* next = ended->next;
        pthread_join(ended->thread, nullptr);
        free(ended);
        ended = next;
    }
}

// A new one, which begins by standing.
StandIn* start(Request& request, Stand stand) {
    reap();
    if (!can_interrupt()) return nullptr;
    auto* stand_in = static_cast<StandIn*>(calloc(1, sizeof(StandIn)));
    if (stand_in == nullptr) return nullptr;
    stand_in->request = &request;
    stand_in->stand = stand;
    stand_in->state.store(standing);
    pool.living.fetch_add(1);
    if (start_thread(stand_in->thread, "ringside-waiter", stand_in_body, stand_in) == 0) return stand_in;
    pool.living.fetch_sub(1);
    free(stand_in);
    return nullptr;
}

bool is_out(const StandIn& stand_in) {
    const uint32_t state = stand_in.state.load(std::memory_order_acquire);
    return state == standing || state == abandoned;
}

// Interrupts it and waits until it has left its call, but not for long.
bool returns_soon(StandIn& stand_in) {
    constexpr int most_tries = 20;
    const timespec moment = {0, 50'000'000};
    for (int tries = 0; tries < most_tries && is_out(stand_in); ++tries) {
        if (!interrupt(stand_in.interruptible)) return false;
        const uint32_t state = stand_in.state.load(std::memory_order_acquire);
        if (state == standing || state == abandoned) futex_wait(stand_in.state, state, &moment);
    }
    return !is_out(stand_in);
}

void send(StandIn& stand_in, Request& request, Stand stand) {
    stand_in.request = &request;
    stand_in.stand = stand;
    allow_blocking(stand_in.interruptible);
    set_state(stand_in, standing);
}

}  // namespace

StandIn* send_stand_in(Request& request, Stand stand) {
    StandIn* stand_in = take_idle();
    if (stand_in != nullptr) {
        send(*stand_in, request, stand);
    } else {
        stand_in = start(request, stand);
    }
    if (stand_in == nullptr) return nullptr;
    Ring& ring = *request.ring;
    request.place = Place::parked;
    ring.requests.table.insert(request);
    ++ring.worker_jobs;
    wait_for_end_of_file(ring);
    return stand_in;
}

CalledBack call_back(StandIn& stand_in, int late_result) {
    if (!returns_soon(stand_in)) {
        stand_in.late_result.store(late_result);
        uint32_t before = standing;
        if (stand_in.state.compare_exchange_strong(before, abandoned) || before == abandoned) {
            return CalledBack::not_yet;
        }
    }
    if (has_result(stand_in)) return CalledBack::with_result;
    Request& request = *stand_in.request;
    --request.ring->worker_jobs;
    request.place = Place::path;
    if (!become_idle(stand_in)) set_state(stand_in, dismissed);
    futex_wake(stand_in.state, 1);
    return CalledBack::with_nothing;
}

int unpark_from(StandIn& stand_in) {
    switch (call_back(stand_in, -ECANCELED)) {
        case CalledBack::with_nothing:
            return 0;
        case CalledBack::with_result:
            return -ENOENT;
        case CalledBack::not_yet:
            return -EALREADY;
    }
    return -ENOENT;
}

void let_begin(StandIn& stand_in, unsigned tries) {
    constexpr unsigned most_yields = 10;
    if (tries < most_yields) {
        abi::syscall(__NR_sched_yield);
        return;
    }
    // To yield is not enough where the thread's priority is lower.
    const timespec moment = {0, 50'000};
    futex_wait(stand_in.state, standing, &moment);
}

bool has_result(const StandIn& stand_in) { return stand_in.state.load(std::memory_order_acquire) == over; }

void end_stand_ins() {
    pool.lock.acquire();
    pool.ending = true;
    while (StandIn* stand_in = pool.idle) {
        pool.idle = stand_in->next;
        set_state(*stand_in, dismissed);
    }
    pool.lock.release();
    while (const uint32_t living = pool.living.load()) futex_wait(pool.living, living);
    reap();
}

void allow_stand_ins() {
    Guard guard(pool.lock);
    pool.ending = false;
}

void forget_stand_ins() RINGSIDE_UNCHECKED {
    pool.lock.reset();
    pool.idle = pool.ended = nullptr;
    pool.living.store(0);
    pool.ending = false;
}

}  // namespace ringside::engine
