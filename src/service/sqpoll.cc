#include "service/sqpoll.h"

#include <errno.h>
#include <sched.h>

#include "abi/syscall.h"
#include "os/threads.h"
#include "service/crew.h"
#include "service/helper.h"
#include "service/path_face.h"
#include "service/poller.h"
#include "service/workers.h"

namespace ringside::engine {
namespace {

constexpr int64_t default_idle_ms = 1000;
constexpr int64_t ns_per_ms = 1'000'000;

enum class Round { worked, idle, closing };

// One round under the lock.
Round work_once(Ring& ring) {
    Guard guard(ring.lock);
    if (ring.closing) return Round::closing;
    if (ring.disabled) return Round::idle;
    const int submitted = submit(ring, ring.sq_entries);
    wake_workers(ring);
    settle_ring(ring);
    if (ring.waiters.leader == nullptr && something_waits(ring)) {
        poll_now(ring);
        settle_ring(ring);
    }
    if (submitted <= 0) return Round::idle;
    ring.sqpoll.space.fetch_add(1, std::memory_order_release);
    futex_wake(ring.sqpoll.space, INT32_MAX);
    return Round::worked;
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
        sqpoll.asleep = true;
        leave_to_helper(ring);
    }
    futex_wait(sqpoll.bell, bell);
    Guard guard(ring.lock);
    sqpoll.asleep = false;
    clear_sq_flag(ring, IORING_SQ_NEED_WAKEUP);
}

// The lock is left alone while there is nothing to take, but for a look now and then at what else may have come. The
// thread does not yield: on a busy machine that would cost it milliseconds, and it was asked for to be there at once.
bool worth_a_round(const Ring& ring, unsigned idle_rounds) {
    constexpr unsigned between_looks = 16;
    return queued_entries(ring) != 0 || idle_rounds % between_looks == 0;
}

void* sqpoll_body(void* argument) {
    auto& ring = *static_cast<Ring*>(argument);
    const bool alone = sysconf(_SC_NPROCESSORS_ONLN) == 1;
    int64_t last_work_ns = now_ns(CLOCK_MONOTONIC);
    for (unsigned idle_rounds = 0;; ++idle_rounds) {
        if (!worth_a_round(ring, idle_rounds)) {
            abi::relax();
            continue;
        }
        const Round round = work_once(ring);
        man_crew();
        if (round == Round::closing) return nullptr;
        if (round == Round::worked) {
            last_work_ns = now_ns(CLOCK_MONOTONIC);
            idle_rounds = 0;
        } else if (now_ns(CLOCK_MONOTONIC) - last_work_ns >= ring.sqpoll.idle_ns) {
            sleep_until_woken(ring);
            last_work_ns = now_ns(CLOCK_MONOTONIC);
        } else if (alone) {
            abi::syscall(__NR_sched_yield);
        }
    }
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
    // In the kernel a ring that shares another ring's thread cannot choose its processor.
    const bool bound = (params.flags & IORING_SETUP_SQ_AFF) && !(params.flags & IORING_SETUP_ATTACH_WQ);
    if (result < 0 || !bound) return result;
    return bind_to(sqpoll.thread, params.sq_thread_cpu);
}

void wake_sqpoll(Ring& ring) {
    ring.sqpoll.bell.fetch_add(1, std::memory_order_release);
    futex_wake(ring.sqpoll.bell, 1);
}

void wake_sqpoll_after_completion(Ring& ring) {
    ring.sqpoll.asleep = false;
    wake_sqpoll(ring);
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
