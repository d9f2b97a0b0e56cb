// Shared by submissions and waits: how SQEs are published, and when the ring must be entered at all.
#pragma once

#include "liburing/owner.h"

namespace ringside::liburing {

// Offers the SQEs that were handed out to the ring. Returns how many it has not taken yet.
inline unsigned publish_sqes(io_uring& ring) {
    io_uring_sq& sq = ring.sq;
    if (uring_unlikely((ring.flags & IORING_SETUP_SQ_REWIND) != 0)) return sq.sqe_tail;
    if (sq.sqe_head != sq.sqe_tail) {
        sq.sqe_head = sq.sqe_tail;
        // The SQEs are written before the tail that offers them: pairs with the acquire with which the ring (the
        // kernel's or the engine's submission, or its SQPOLL thread) reads the tail before it reads SQEs.
        io_uring_smp_store_release(sq.ktail, sq.sqe_tail);
    }
    // An SQPOLL thread may be taking SQEs now, so this can be too many. It is only used to tell whether there are any.
    return sq.sqe_tail - IO_URING_READ_ONCE(*sq.khead);
}

// Whether `to_submit` SQEs need an enter to be taken, and with which flags: without SQPOLL always, with it if the
// thread sleeps.
inline bool submission_needs_enter(io_uring& ring, unsigned to_submit, unsigned& flags) {
    if (to_submit == 0) return false;
    if (!(ring.flags & IORING_SETUP_SQPOLL)) return true;

    //    program                         SQPOLL thread
    //    store tail                      store NEED_WAKEUP
    //    full barrier (here)             full barrier
    //    load NEED_WAKEUP                load tail, sleep if there is nothing
    //
    // Without the barriers both could read the old value, and the SQE would lie there while the thread sleeps.
    io_uring_smp_mb();
    if (uring_unlikely((IO_URING_READ_ONCE(*ring.sq.kflags) & IORING_SQ_NEED_WAKEUP) != 0)) {
        flags |= IORING_ENTER_SQ_WAKEUP;
        return true;
    }
    return false;
}

// Whether completions may be waiting for an enter: those that overflowed, those that this thread must run, and all
// those of a polled ring.
inline bool completions_need_enter(const io_uring& ring) {
    if (ring.flags & IORING_SETUP_IOPOLL) return true;
    return (IO_URING_READ_ONCE(*ring.sq.kflags) & (IORING_SQ_CQ_OVERFLOW | IORING_SQ_TASKRUN)) != 0;
}

// For a ring that starts at slot 0 each time: after an enter took `taken` SQEs, moves the remaining ones to the
// front.
void rewind_sqes(io_uring& ring, unsigned taken);

// io_uring_enter(2), and the library's own bookkeeping around it.
inline int enter_and_rewind(io_uring& ring, unsigned to_submit, unsigned min_complete, unsigned flags, const void* arg,
                            size_t arg_size) {
    const int taken = enter(ring, to_submit, min_complete, flags, arg, arg_size);
    if (uring_unlikely((ring.flags & IORING_SETUP_SQ_REWIND) != 0) && taken > 0) {
        rewind_sqes(ring, static_cast<unsigned>(taken));
    }
    return taken;
}

}  // namespace ringside::liburing
