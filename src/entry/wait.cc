// The waiting half of io_uring_enter(2).
#include <errno.h>

#include "entry/entry.h"
#include "memory/user_memory.h"
#include "path/path.h"
#include "service/crew.h"
#include "service/disk.h"
#include "service/keeper.h"
#include "service/poller.h"
#include "service/waiters.h"

namespace ringside::engine {
namespace {

constexpr size_t kernel_sigset_size = 8;

// A sum that overflows wraps around, as in the kernel.
int64_t sum_of(int64_t a, int64_t b) {
    return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}

int64_t to_ns(const __kernel_timespec& time) {
    if (time.tv_sec >= INT64_MAX / nanoseconds_per_second) return no_deadline;
    const uint64_t seconds_ns = static_cast<uint64_t>(time.tv_sec) * nanoseconds_per_second;
    return sum_of(static_cast<int64_t>(seconds_ns), time.tv_nsec);
}

int read_timespec(uint64_t address, int64_t& ns) {
    __kernel_timespec time;
    if (read_user(time, address) < 0) return -EFAULT;
    ns = to_ns(time);
    return 0;
}

// With IORING_SETUP_IOPOLL the caller polls for completions. It does not wait for `min_complete` of them: one that is
// there already is enough, and if nothing is in flight there is nothing to poll for.
bool polls_for_completions(const Ring& ring) {
    return (ring.setup_flags & (IORING_SETUP_IOPOLL | IORING_SETUP_SQPOLL)) == IORING_SETUP_IOPOLL;
}

// A caller that polls for completions ignores the timeout: it is not even read.
int read_extended(const Ring& ring, uint64_t address, size_t size, WaitArguments& wait) {
    io_uring_getevents_arg extended;
    if (size != sizeof(extended)) return -EINVAL;
    if (read_user(extended, address) < 0) return -EFAULT;
    wait.mask_address = extended.sigmask;
    wait.mask_size = extended.sigmask_sz;
    wait.min_wait_ns = int64_t{extended.min_wait_usec} * 1000;
    if (extended.ts == 0 || polls_for_completions(ring)) return 0;
    wait.has_timeout = true;
    return read_timespec(extended.ts, wait.timeout_ns);
}

// IORING_ENTER_EXT_ARG_REG: the argument is an offset into the region that was registered for wait arguments.
int read_registered(const Region& region, uint64_t offset, size_t size, WaitArguments& wait) {
    io_uring_reg_wait registered;
    if (size != sizeof(registered)) return -EINVAL;
    if (offset % sizeof(long) != 0 || !region.holds_wait_arguments) return -EFAULT;
    if (offset > region.size || region.size - offset < sizeof(registered)) return -EFAULT;
    if (read_user(registered, region.address + offset) < 0) return -EFAULT;
    if (registered.flags & ~IORING_REG_WAIT_TS) return -EINVAL;
    wait.mask_address = registered.sigmask;
    wait.mask_size = registered.sigmask_sz;
    wait.min_wait_ns = int64_t{registered.min_wait_usec} * 1000;
    wait.has_timeout = registered.flags & IORING_REG_WAIT_TS;
    if (wait.has_timeout) wait.timeout_ns = to_ns(registered.ts);
    return 0;
}

// The signal mask is read only if the call has to wait, as in the kernel.
int read_mask(const WaitArguments& wait, sigset_t& mask) {
    if (wait.mask_size != kernel_sigset_size) return -EINVAL;
    return read_user(&mask, wait.mask_address, kernel_sigset_size);
}

// Runs what has become due. Task work of a ring with IORING_SETUP_DEFER_TASKRUN runs here and nowhere else.
void catch_up(Ring& ring) {
    if (__builtin_expect(!ring.kept.put_off.empty(), 0)) {
        withdraw_announcement(ring);
        attempt_deferred(ring);
    }
    settle_deferred(ring);
    withdraw_announcement(ring);
    if (ring.completion.overflow_first != nullptr) flush_overflow(ring);
}

// A negative deadline never comes, as in the kernel, which takes it for an overflow.
int64_t deadline_of(const Ring& ring, const WaitArguments& wait) {
    if (!wait.has_timeout) return no_deadline;
    const int64_t moment_ns = wait.absolute ? wait.timeout_ns : sum_of(now_ns(ring.wait_clock), wait.timeout_ns);
    return moment_ns < 0 ? no_deadline : moment_ns;
}

// Whether the wait ends with the last request that is in flight, and not before. (Should a multishot request end it
// sooner, it lasts as long as what a disk does.)
bool waits_for_all(const Ring& ring, const Waiter& waiter) {
    return ring.requests.in_use() <= waiter.target_tail - ring.completion.published;
}

int sleep_until(Ring& ring, Waiter& waiter, int64_t deadline_ns, const sigset_t* mask) {
    const uint32_t serial = waiter.serial;
    for (;;) {
        if (wait_is_over(ring, waiter)) return 0;
        int64_t left = no_deadline;
        if (deadline_ns != no_deadline) {
            left = deadline_ns - now_ns(ring.wait_clock);
            if (left <= 0) return -ETIME;
        }
        if (left == no_deadline && waits_for_all(ring, waiter) && work_in_person(ring)) {
            if (waiter.serial != serial) return wait_was_ended;
            catch_up(ring);
            continue;
        }
        const int result = sleep_for_events(ring, waiter, left, mask);
        if (result == wait_was_ended) return result;
        catch_up(ring);
        if (result < 0) return result;
    }
}

int poll_for_completions(Ring& ring) {
    constexpr int64_t between_looks_ns = 1'000'000;
    Waiter* waiter = begin_wait(ring);
    if (waiter == nullptr) return -ENOMEM;
    waiter->target_tail = ring.completion.published + 1;
    waiter->timeouts_seen = ring.completion.timeouts_fired;
    int result = 0;
    while (result == 0 && ring.requests.in_use() != 0 && !wait_is_over(ring, *waiter)) {
        result = sleep_for_events(ring, *waiter, between_looks_ns, nullptr);
        if (result == wait_was_ended) return -EINTR;
        catch_up(ring);
    }
    leave_wait(ring, *waiter);
    return result;
}

}  // namespace

int read_wait_arguments(const Ring& ring, unsigned flags, const void* arg, size_t arg_size, WaitArguments& wait) {
    wait.absolute = flags & IORING_ENTER_ABS_TIMER;
    if (!(flags & IORING_ENTER_EXT_ARG)) {
        wait.mask_address = reinterpret_cast<uintptr_t>(arg);
        wait.mask_size = arg_size;
        return 0;
    }
    const auto address = reinterpret_cast<uintptr_t>(arg);
    return flags & IORING_ENTER_EXT_ARG_REG ? read_registered(ring.region, address, arg_size, wait)
                                            : read_extended(ring, address, arg_size, wait);
}

namespace {

int gather_completions(Ring& ring, unsigned min_complete, const WaitArguments& wait) {
    if (min_complete > ring.cq_entries) min_complete = ring.cq_entries;
    // A call that does not wait looks for ready requests here. A call that waits finds them when it sleeps. But if the
    // program was told that something is ready, this call looks first: that may be enough for it to return.
    const bool looks = min_complete == 0 || ring.ready_announced;
    ring.ready_announced = false;
    if (looks) {
        look_at_kept(ring);
        poll_in_call(ring);
    }
    if (min_complete != 0 && ring.disk.in_flight != 0) reap_transfers(ring);
    catch_up(ring);
    const unsigned ready = completions_ready(ring);
    if (ready >= min_complete) return 0;
    if (polls_for_completions(ring)) return ready != 0 ? 0 : poll_for_completions(ring);

    sigset_t mask = {};
    if (wait.mask_address != 0) {
        const int result = read_mask(wait, mask);
        if (result < 0) return result;
    }
    Waiter* waiter = begin_wait(ring);
    if (waiter == nullptr) return -ENOMEM;
    // begin_wait() may have ended an earlier wait of this thread, and that may have posted completions: count again.
    waiter->target_tail = ring.completion.published - completions_ready(ring) + min_complete;
    waiter->timeouts_seen = ring.completion.timeouts_fired;
    const sigset_t* mask_in_use = wait.mask_address != 0 ? &mask : nullptr;
    const int64_t deadline_ns = deadline_of(ring, wait);
    int result;
    if (wait.min_wait_ns != 0) {
        const int64_t first_deadline_ns = now_ns(ring.wait_clock) + wait.min_wait_ns;
        result = sleep_until(ring, *waiter, first_deadline_ns, mask_in_use);
        if (result == -ETIME && deadline_ns != no_deadline) {
            // The minimum wait is over. From now on one completion is enough, and the timeout counts, which may be over
            // already. If there is no timeout, the minimum wait is all the time that there is.
            waiter->target_tail = ring.completion.published - completions_ready(ring) + 1;
            result = sleep_until(ring, *waiter, deadline_ns, mask_in_use);
        }
    } else {
        result = sleep_until(ring, *waiter, deadline_ns, mask_in_use);
    }
    if (result == wait_was_ended) return -EINTR;
    leave_wait(ring, *waiter);
    // If there are completions to reap, the reason why the wait ended does not matter.
    return completions_ready(ring) != 0 ? 0 : result;
}

}  // namespace

int wait_for_completions(Ring& ring, unsigned min_complete, const WaitArguments& wait) {
    ++ring.kept.gathering;
    const int result = gather_completions(ring, min_complete, wait);
    --ring.kept.gathering;
    return result;
}

}  // namespace ringside::engine
