// Waiting for completions, with timeouts by either of two ways: the ring's own (IORING_FEAT_EXT_ARG), or a timeout
// request that is submitted for the purpose where a kernel before 5.11 has no better.
#include <errno.h>
#include <signal.h>

#include <algorithm>

#include "liburing/publish.h"

namespace ringside::liburing {
namespace {

// Bytes of a signal mask as system calls take it: libc's sigset_t has room for more signals than there are.
constexpr size_t kernel_sigset_bytes = _NSIG / 8;

struct Wait {
    unsigned to_submit = 0;
    unsigned reported = 0;  // so many of them are the program's to know of; others were submitted behind its back
    unsigned wait_nr = 0;
    unsigned flags = 0;         // for io_uring_enter(2), beside IORING_ENTER_GETEVENTS
    const void* arg = nullptr;  // as flags say
    size_t arg_size = 0;
    bool limited = false;  // the wait may end with fewer than wait_nr completions
    bool timeout = false;  // because of a timeout
};

// Whether the ring must be entered for the submission or the completions that are still missing, and with which
// flags.
bool needs_enter(io_uring& ring, const Wait& wait, unsigned available, bool nothing_asked, unsigned& flags) {
    flags = wait.flags;
    bool enter = submission_needs_enter(ring, wait.to_submit, flags);
    if (nothing_asked || wait.wait_nr > available) {
        flags |= IORING_ENTER_GETEVENTS;
        enter = true;
    }
    return enter;
}

// Submits, waits, and finds the first completion that is the program's; *out is null if there is none. Returns how many
// SQEs the first enter took, or -errno if it took none that are to be reported.
int get_cqe(io_uring& ring, io_uring_cqe** out, Wait wait) {
    int result = 0;
    for (bool entered = false;; entered = true) {
        unsigned available;
        const int expired = __io_uring_peek_cqe(&ring, out, &available);
        if (expired != 0) return result != 0 ? result : expired;

        const bool nothing_asked = *out == nullptr && wait.wait_nr == 0 && wait.to_submit == 0;
        // One enter posts all completions that are due. A second one would find no more.
        if (nothing_asked && (entered || !completions_need_enter(ring))) {
            note_idle(ring);
            return result != 0 ? result : -EAGAIN;
        }
        unsigned flags;
        if (!needs_enter(ring, wait, available, nothing_asked, flags)) return result;
        if (entered && wait.limited) return *out == nullptr && wait.timeout && result == 0 ? -ETIME : result;

        const int taken = enter_and_rewind(ring, wait.to_submit, wait.wait_nr, flags, wait.arg, wait.arg_size);
        if (taken < 0) return result != 0 ? result : taken;
        wait.to_submit -= static_cast<unsigned>(taken);
        if (!entered) result = static_cast<int>(std::min(static_cast<unsigned>(taken), wait.reported));
        if (*out != nullptr) return result;
    }
}

// The wait by the ring's own means.
int wait_with_argument(io_uring& ring, io_uring_cqe** out, unsigned to_submit, unsigned wait_nr,
                       const __kernel_timespec* ts, unsigned min_wait_usec, const sigset_t* sigmask) {
    io_uring_getevents_arg arg = {};
    arg.sigmask = uring_ptr_to_u64(sigmask);
    arg.sigmask_sz = kernel_sigset_bytes;
    arg.min_wait_usec = min_wait_usec;
    arg.ts = uring_ptr_to_u64(ts);

    Wait wait;
    wait.to_submit = wait.reported = to_submit;
    wait.wait_nr = wait_nr;
    wait.flags = IORING_ENTER_EXT_ARG;
    wait.arg = &arg;
    wait.arg_size = sizeof(arg);
    wait.limited = ts != nullptr || min_wait_usec != 0;
    wait.timeout = ts != nullptr;
    return get_cqe(ring, out, wait);
}

// The wait without a timeout.
int wait_without_limit(io_uring& ring, io_uring_cqe** out, unsigned to_submit, unsigned reported, unsigned wait_nr,
                       const sigset_t* sigmask) {
    Wait wait;
    wait.to_submit = to_submit;
    wait.reported = reported;
    wait.wait_nr = wait_nr;
    wait.arg = sigmask;
    wait.arg_size = kernel_sigset_bytes;
    return get_cqe(ring, out, wait);
}

// A wait that ends by a timeout request of the library's, which is submitted behind the program's SQEs. With `report`
// it returns the number of the program's SQEs. A plain wait does not report a number.
int wait_with_request(io_uring& ring, io_uring_cqe** out, unsigned wait_nr, const __kernel_timespec* ts,
                      const sigset_t* sigmask, bool report) {
    io_uring_sqe* sqe = io_uring_get_sqe(&ring);
    if (sqe == nullptr) {
        const int submitted = io_uring_submit(&ring);
        if (submitted < 0) return submitted;
        sqe = io_uring_get_sqe(&ring);
        if (sqe == nullptr) return -EAGAIN;
    }
    io_uring_prep_timeout(sqe, ts, wait_nr, 0);
    sqe->user_data = LIBURING_UDATA_TIMEOUT;
    const unsigned to_submit = publish_sqes(ring);
    return wait_without_limit(ring, out, to_submit, report ? to_submit - 1 : 0, wait_nr, sigmask);
}

// Peeks: there is nothing to submit and nothing to wait for.
int look(io_uring& ring, io_uring_cqe** out) {
    const int expired = __io_uring_peek_cqe(&ring, out, nullptr);
    if (expired != 0 || *out != nullptr) return expired;
    if (completions_need_enter(ring)) return wait_without_limit(ring, out, 0, 0, 0, nullptr);
    note_idle(ring);
    return -EAGAIN;
}

// All CQEs have one size here, so the next one is found without reading them.
unsigned collect(io_uring& ring, io_uring_cqe** cqes, unsigned count) {
    const unsigned ready = io_uring_cq_ready(&ring);
    const unsigned head = *ring.cq.khead, mask = ring.cq.ring_mask, shift = io_uring_cqe_shift(&ring);
    const unsigned found = std::min(ready, count);
    for (unsigned i = 0; i < found; ++i) cqes[i] = &ring.cq.cqes[((head + i) & mask) << shift];
    return found;
}

unsigned collect_mixed(io_uring& ring, io_uring_cqe** cqes, unsigned count) {
    io_uring_cqe_iter iter = io_uring_cqe_iter_init(&ring);
    unsigned found = 0;
    while (found < count && io_uring_cqe_iter_next(&iter, &cqes[found])) found++;
    return found;
}

}  // namespace
}  // namespace ringside::liburing

using namespace ringside::liburing;

int __io_uring_get_cqe(io_uring* ring, io_uring_cqe** cqe_ptr, unsigned submit, unsigned wait_nr, sigset_t* sigmask) {
    if (submit == 0 && wait_nr == 0) return look(*ring, cqe_ptr);
    return wait_without_limit(*ring, cqe_ptr, submit, submit, wait_nr, sigmask);
}

int io_uring_wait_cqes(io_uring* ring, io_uring_cqe** cqe_ptr, unsigned wait_nr, __kernel_timespec* ts,
                       sigset_t* sigmask) {
    if (ts == nullptr) return wait_without_limit(*ring, cqe_ptr, 0, 0, wait_nr, sigmask);
    if (ring->features & IORING_FEAT_EXT_ARG) return wait_with_argument(*ring, cqe_ptr, 0, wait_nr, ts, 0, sigmask);
    return wait_with_request(*ring, cqe_ptr, wait_nr, ts, sigmask, false);
}

int io_uring_wait_cqes_min_timeout(io_uring* ring, io_uring_cqe** cqe_ptr, unsigned wait_nr, __kernel_timespec* ts,
                                   unsigned min_wait_usec, sigset_t* sigmask) {
    if (!(ring->features & IORING_FEAT_MIN_TIMEOUT)) return -EINVAL;
    return wait_with_argument(*ring, cqe_ptr, 0, wait_nr, ts, min_wait_usec, sigmask);
}

int io_uring_wait_cqe_timeout(io_uring* ring, io_uring_cqe** cqe_ptr, __kernel_timespec* ts) {
    return io_uring_wait_cqes(ring, cqe_ptr, 1, ts, nullptr);
}

int io_uring_submit_and_wait_timeout(io_uring* ring, io_uring_cqe** cqe_ptr, unsigned wait_nr, __kernel_timespec* ts,
                                     sigset_t* sigmask) {
    if (ts != nullptr && !(ring->features & IORING_FEAT_EXT_ARG)) {
        return wait_with_request(*ring, cqe_ptr, wait_nr, ts, sigmask, true);
    }
    const unsigned to_submit = publish_sqes(*ring);
    if (ts != nullptr) return wait_with_argument(*ring, cqe_ptr, to_submit, wait_nr, ts, 0, sigmask);
    return wait_without_limit(*ring, cqe_ptr, to_submit, to_submit, wait_nr, sigmask);
}

int io_uring_submit_and_wait_min_timeout(io_uring* ring, io_uring_cqe** cqe_ptr, unsigned wait_nr,
                                         __kernel_timespec* ts, unsigned min_wait, sigset_t* sigmask) {
    if (!(ring->features & IORING_FEAT_MIN_TIMEOUT)) return -EINVAL;
    // As upstream: without a limit the minimum is none either. To the kernel it would be the limit.
    if (ts == nullptr) return io_uring_submit_and_wait_timeout(ring, cqe_ptr, wait_nr, nullptr, sigmask);
    return wait_with_argument(*ring, cqe_ptr, publish_sqes(*ring), wait_nr, ts, min_wait, sigmask);
}

int io_uring_submit_and_wait_reg(io_uring* ring, io_uring_cqe** cqe_ptr, unsigned wait_nr, int reg_index) {
    if (!(ring->features & IORING_FEAT_EXT_ARG)) return -EINVAL;
    Wait wait;
    wait.to_submit = wait.reported = publish_sqes(*ring);
    wait.wait_nr = wait_nr;
    wait.flags = IORING_ENTER_EXT_ARG | IORING_ENTER_EXT_ARG_REG;
    // The "pointer" is an offset into the region.
    wait.arg = reinterpret_cast<const void*>(static_cast<uintptr_t>(reg_index) * sizeof(io_uring_reg_wait));
    wait.arg_size = sizeof(io_uring_reg_wait);
    wait.limited = true;
    wait.timeout = true;
    return get_cqe(*ring, cqe_ptr, wait);
}

unsigned io_uring_peek_batch_cqe(io_uring* ring, io_uring_cqe** cqes, unsigned count) {
    // An empty queue with completions waiting outside it: one enter brings them in.
    if (io_uring_cq_ready(ring) == 0 && completions_need_enter(*ring)) io_uring_get_events(ring);
    const bool mixed = ring->flags & IORING_SETUP_CQE_MIXED;
    const unsigned found = mixed ? collect_mixed(*ring, cqes, count) : collect(*ring, cqes, count);
    if (found == 0) note_idle(*ring);
    return found;
}
