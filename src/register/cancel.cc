// IORING_REGISTER_SYNC_CANCEL: cancels, and waits until what was being done is over.
#include "ops/cancel.h"

#include <errno.h>

#include "memory/user_memory.h"
#include "os/epoll.h"
#include "register/register.h"
#include "service/path_face.h"

namespace ringside::engine {
namespace {

constexpr int64_t look_interval_ns = 1'000'000;

int check(const io_uring_sync_cancel_reg& wanted) {
    if (wanted.flags & ~known_cancel_flags) return -EINVAL;
    for (const uint8_t byte : wanted.pad) {
        if (byte != 0) return -EINVAL;
    }
    for (const uint64_t word : wanted.pad2) {
        if (word != 0) return -EINVAL;
    }
    return 0;
}

// Both fields -1 is no limit.
int64_t deadline_of(const __kernel_timespec& timeout) {
    if (timeout.tv_sec == -1 && timeout.tv_nsec == -1) return no_deadline;
    return later(now_ns(CLOCK_MONOTONIC), nanoseconds_of(timeout));
}

// Lets a worker finish what it was told to stop. Returns 0, -EINTR or -ETIME.
int wait_a_moment(Ring& ring, int64_t deadline_ns) RINGSIDE_REQUIRES(ring.lock) {
    if (now_ns(CLOCK_MONOTONIC) >= deadline_ns) return -ETIME;
    ring.lock.release();
    const int result = wait_on_eventfd(-1, look_interval_ns, nullptr);
    ring.lock.acquire();
    return result == -EINTR ? -EINTR : 0;
}

}  // namespace

int register_sync_cancel(Ring& ring, uint64_t address, unsigned) RINGSIDE_REQUIRES(ring.lock) {
    io_uring_sync_cancel_reg wanted;
    if (read_user(wanted, address) < 0) return -EFAULT;
    const int checked = check(wanted);
    if (checked < 0) return checked;
    // The workers of a polling thread are its own: in the kernel nobody else reaches into them.
    const bool spares_workers = ring.setup_flags & IORING_SETUP_SQPOLL;
    const Cancel cancel = {wanted.addr, wanted.flags, wanted.fd, wanted.opcode, spares_workers, false, false};
    long result = cancel_matches(ring, cancel);
    settle_from_outside(ring);
    if (result != -EALREADY) return static_cast<int>(result);
    const int64_t deadline_ns = deadline_of(wanted.timeout);
    while (result == -EALREADY) {
        const int waited = wait_a_moment(ring, deadline_ns);
        if (waited < 0) return waited;
        if (!ring.open || ring.closing) return 0;
        result = cancel_matches(ring, cancel);
        settle_from_outside(ring);
    }
    // It was there, and is not any more.
    return result == -ENOENT ? 0 : static_cast<int>(result);
}

}  // namespace ringside::engine
