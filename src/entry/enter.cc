// io_uring_enter(2)
#include <errno.h>
#include <fcntl.h>

#include "abi/syscall.h"
#include "entry/engine.h"
#include "entry/entry.h"
#include "os/own_process.h"
#include "path/path.h"
#include "process/inside.h"
#include "process/registered_rings.h"
#include "process/registry.h"
#include "service/helper.h"
#include "service/messages.h"
#include "service/poll_call.h"
#include "service/poller.h"
#include "service/readiness.h"
#include "service/sqpoll.h"
#include "service/workers.h"
#include "state/known.h"

namespace ringside::engine {
namespace {

// The error for a descriptor that is not one of our rings.
int not_a_ring(int fd) { return abi::syscall(__NR_fcntl, fd, F_GETFD) < 0 ? -EBADF : -EOPNOTSUPP; }

// Once a thread begins to close a ring, no other thread enters it.
bool is_open(const Ring& ring) { return ring.open && !ring.closing && !ring.inherited; }

// Leaves the SQEs to the submission thread, and wakes it or waits for it if the flags say so. Returns to_submit or
// -errno. Called without the lock.
int enter_sqpoll(Ring& ring, unsigned to_submit, unsigned flags) {
    if (flags & IORING_ENTER_SQ_WAKEUP) wake_sqpoll(ring);
    if (flags & IORING_ENTER_SQ_WAIT) {
        const int result = wait_for_sq_space(ring);
        if (result < 0) return result;
    }
    return static_cast<int>(to_submit);
}

int submit_here(Ring& ring, unsigned to_submit) {
    if (wrong_submitter(ring)) return -EEXIST;
    const int submitted = submit(ring, to_submit);
    settle_ring(ring);
    return submitted;
}

int reap_here(Ring& ring, unsigned min_complete, unsigned flags, const void* arg, size_t arg_size) {
    if ((ring.setup_flags & IORING_SETUP_DEFER_TASKRUN) && wrong_submitter(ring)) return -EEXIST;
    WaitArguments wait;
    const int result = read_wait_arguments(ring, flags, arg, arg_size, wait);
    return result < 0 ? result : wait_for_completions(ring, min_complete, wait);
}

// Inlined: this is the hot path of each call.
inline int enter_locked(Ring& ring, unsigned to_submit, unsigned min_complete, unsigned flags, const void* arg,
                        size_t arg_size) RINGSIDE_REQUIRES(ring.lock) {
    int result = 0;
    if (ring.setup_flags & IORING_SETUP_SQPOLL) {
        ring.lock.release();
        result = enter_sqpoll(ring, to_submit, flags);
        ring.lock.acquire();
        if (result < 0) return result;
        if (!is_open(ring)) return -EBADF;
    } else if (to_submit != 0) {
        result = submit_here(ring, to_submit);
        if (result != static_cast<int>(to_submit)) return result;
    }
    if (flags & IORING_ENTER_GETEVENTS) {
        const int reaped = reap_here(ring, min_complete, flags, arg, arg_size);
        if (result == 0) result = reaped;
    }
    return result;
}

// With IORING_SETUP_DEFER_TASKRUN, only a call that asks for completions runs task work.
bool runs_work(const Ring& ring, unsigned flags) {
    return !(ring.setup_flags & IORING_SETUP_DEFER_TASKRUN) || (flags & IORING_ENTER_GETEVENTS);
}

// The program comes for completions. If this call waits for them, the program does not poll the ring's descriptor
// meanwhile, so the descriptor can stay readable, unless other threads poll it.
__attribute__((noinline)) void come_for_completions(Ring& ring, unsigned min_complete, unsigned flags) {
    const bool waits = (flags & IORING_ENTER_GETEVENTS) && min_complete != 0;
    if (!waits || ring.readiness.polled) lower_readiness(ring);
}

// Requests still wait when the call returns: from now on the helper thread attends to them.
__attribute__((noinline)) void leave_waiting(Ring& ring, unsigned flags, int result) {
    if (ring.closing) return;
    if (result >= 0 && runs_work(ring, flags)) look_now_and_then(ring);
    end_own_poll_call(ring);
    leave_to_helper(ring);
}

[[gnu::always_inline]] inline int enter_open(Ring& ring, unsigned to_submit, unsigned min_complete, unsigned flags,
                                             const void* arg, size_t arg_size) RINGSIDE_REQUIRES(ring.lock) {
    if (!is_open(ring)) return refuse_closed(ring);
    if (ring.disabled) return -EBADFD;
    ++ring.calls;
    take_messages(ring);
    if (to_submit == 0) come_for_completions(ring, min_complete, flags);
    const int result = enter_locked(ring, to_submit, min_complete, flags, arg, arg_size);
    if (something_waits(ring)) leave_waiting(ring, flags, result);
    return result;
}

// A signal handler calls for a ring while its thread is inside of the engine for the same ring. The call is put off
// until the thread leaves the ring (make_up_for). It has consumed no SQE yet, so it returns 0.
__attribute__((noinline)) int put_off(Inside& interrupted, unsigned generation, unsigned to_submit,
                                      unsigned min_complete, unsigned flags) {
    if ((flags & IORING_ENTER_GETEVENTS) && min_complete != 0) return -EDEADLK;
    PutOff& due = interrupted.put_off;
    if (!due.wanted) due = {true, generation, 0, 0};
    due.to_submit += to_submit;
    due.flags |= flags & (IORING_ENTER_GETEVENTS | IORING_ENTER_SQ_WAKEUP);
    return 0;
}

// Between finding a ring and locking it, another thread may close it, and its memory may become the next ring's. The
// generation shows that.
[[gnu::always_inline]] inline int enter_generation(Ring& ring, unsigned generation, unsigned to_submit,
                                                   unsigned min_complete, unsigned flags, const void* arg,
                                                   size_t arg_size) {
    come_in();
    if (__builtin_expect(innermost != nullptr, 0)) {
        Inside* interrupted = find_interrupted(ring);
        if (interrupted != nullptr) return put_off(*interrupted, generation, to_submit, min_complete, flags);
    }
    Inside inside(ring);
    ring.lock.acquire();
    const bool same = ring.generation.load(std::memory_order_relaxed) == generation;
    const int result = same ? enter_open(ring, to_submit, min_complete, flags, arg, arg_size) : -EBADF;
    let_go_to_workers(ring);
    return result;
}

}  // namespace

void make_up_for(Ring& ring, const PutOff& put_off) {
    enter_generation(ring, put_off.generation, put_off.to_submit, 0, put_off.flags, nullptr, 0);
}

int enter(unsigned fd, unsigned to_submit, unsigned min_complete, unsigned flags, const void* arg, size_t arg_size) {
    if (flags & ~known_enter_flags) return -EINVAL;
    const int number = static_cast<int>(fd);
    Ring* ring;
    if (flags & IORING_ENTER_REGISTERED_RING) {
        const int result = find_registered_ring(fd, ring);
        return result < 0 ? result : enter(*ring, to_submit, min_complete, flags, arg, arg_size);
    }
    ring = ring_of(number);
    if (ring == nullptr) return not_a_ring(number);
    const unsigned generation = ring->generation.load();
    if (ring_of(number) != ring) return -EBADF;
    const int result = enter_generation(*ring, generation, to_submit, min_complete, flags, arg, arg_size);
    // Only a call that had nothing to do checks that the number is still the ring's. In every call that would be too
    // slow.
    constexpr unsigned work = IORING_ENTER_GETEVENTS | IORING_ENTER_SQ_WAKEUP | IORING_ENTER_SQ_WAIT;
    const bool was_idle = result == 0 && (flags & work) == 0;
    return was_idle && find_named(number) == nullptr ? not_a_ring(number) : result;
}

int enter(Ring& ring, unsigned to_submit, unsigned min_complete, unsigned flags, const void* arg, size_t arg_size) {
    if (flags & ~known_enter_flags) return -EINVAL;
    return enter_generation(ring, ring.generation.load(), to_submit, min_complete, flags, arg, arg_size);
}

}  // namespace ringside::engine
