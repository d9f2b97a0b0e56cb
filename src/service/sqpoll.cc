#include "service/sqpoll.h"

#include <errno.h>
#include <sched.h>

#include "abi/syscall.h"
#include "path/path.h"
#include "service/poller.h"
#include "service/threads.h"
#include "service/workers.h"

namespace ringside::engine {
namespace {

constexpr int64_t default_idle_ms = 1000;
constexpr int64_t ns_per_ms = 1'000'000;

// One round under the lock. Returns whether there was anything to do.
bool work_once(Ring& ring) {
    Guard guard(ring.lock);
    if (ring.closing || ring.disabled) return false;
    const int submitted = submit(ring, ring.sq_entries);
    wake_workers(take_rung(ring));
    settle_ring(ring);
    if (ring.poller.leader == nullptr && (ring.poller.armed != 0 || !ring.timers.empty())) {
        poll_now(ring);
        settle_ring(ring);
    }
    if (submitted <= 0) return false;
    ring.sqpoll.space.fetch_add(1, std::memory_order_release);
    futex_wake(ring.sqpoll.space, INT32_MAX);
    return true;
}

bool is_closing(Ring& ring) {
    Guard guard(ring.lock);
    return ring.closing;
}

void sleep_until_woken(Ring& ring) {
    SqPoll& sqpoll = ring.sqpoll;
    const uint32_t bell = sqpoll.bell.load(std::memory_order_acquire);
    {
        Guard guard(ring.lock);
        set_sq_flag(ring, IORING_SQ_NEED_WAKEUP);                             // (C), sequentially consistent
        if (ring.closing || (queued_entries(ring) != 0 && !ring.disabled)) {  // (D)
            clear_sq_flag(ring, IORING_SQ_NEED_WAKEUP);
            return;
        }
        leave_to_helper(ring);
    }
    futex_wait(sqpoll.bell, bell);
    Guard guard(ring.lock);
    clear_sq_flag(ring, IORING_SQ_NEED_WAKEUP);
}

void* sqpoll_body(void* argument) {
    auto& ring = *static_cast<Ring*>(argument);
    int64_t last_work_ns = now_ns(CLOCK_MONOTONIC);
    while (!is_closing(ring)) {
        if (work_once(ring)) {
            last_work_ns = now_ns(CLOCK_MONOTONIC);
        } else if (now_ns(CLOCK_MONOTONIC) - last_work_ns >= ring.sqpoll.idle_ns) {
            sleep_until_woken(ring);
            last_work_ns = now_ns(CLOCK_MONOTONIC);
        } else {
            abi::syscall(__NR_sched_yield);
        }
    }
    return nullptr;
}

// Binds the thread to one processor: one that the process may use, whatever the calling thread is bound to.
int bind_to(pthread_t thread, unsigned processor) {
    if (processor >= CPU_SETSIZE) return -EINVAL;
    cpu_set_t only;
    CPU_ZERO(&only);
    CPU_SET(processor, &only);
    return -pthread_setaffinity_np(thread, sizeof(only), &only);
}

}  // namespace

int start_sqpoll(Ring& ring, const io_uring_params& params) {
    SqPoll& sqpoll = ring.sqpoll;
    if (!(params.flags & IORING_SETUP_SQPOLL)) return params.flags & IORING_SETUP_SQ_AFF ? -EINVAL : 0;
    const int64_t idle_ms = params.sq_thread_idle != 0 ? params.sq_thread_idle : default_idle_ms;
    sqpoll.idle_ns = idle_ms * ns_per_ms;
    const int result = start_thread(sqpoll.thread, "ringside-sqpoll", sqpoll_body, &ring);
    sqpoll.running = result == 0;
    if (result < 0 || !(params.flags & IORING_SETUP_SQ_AFF)) return result;
    return bind_to(sqpoll.thread, params.sq_thread_cpu);
}

void wake_sqpoll(Ring& ring) {
    ring.sqpoll.bell.fetch_add(1, std::memory_order_release);
    futex_wake(ring.sqpoll.bell, 1);
}

int wait_for_sq_space(Ring& ring) {
    for (;;) {
        const uint32_t seen = ring.sqpoll.space.load(std::memory_order_acquire);
        {
            Guard guard(ring.lock);
            if (ring.closing || queued_entries(ring) < ring.sq_entries) return 0;
        }
        if (futex_wait(ring.sqpoll.space, seen) == -EINTR) return -EINTR;
    }
}

void end_sqpoll(Ring& ring) {
    if (!ring.sqpoll.running) return;
    wake_sqpoll(ring);
    pthread_join(ring.sqpoll.thread, nullptr);
    ring.sqpoll.running = false;
}

}  // namespace ringside::engine
