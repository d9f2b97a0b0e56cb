/* SPDX-License-Identifier: MIT */
/*
 * Reaping completions: how many are there, looking at them, passing them.
 *
 * The ring publishes a CQE by storing *ktail with release; every function here that looks at CQEs first loads it with
 * acquire. The program frees a CQE by storing *khead with release (io_uring_cq_advance()); the ring loads it with
 * acquire before it writes there again. One thread at a time may reap.
 */
#ifndef LIBURING_CQ_H
#define LIBURING_CQ_H

#include <errno.h>

#include "liburing/barrier.h"
#include "liburing/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How far a CQE's index is shifted to find it in cq.cqes: 1 where each has 32 bytes. */
static inline unsigned io_uring_cqe_shift_from_flags(unsigned flags) { return !!(flags & IORING_SETUP_CQE32); }

/* The same for a ring. */
static inline unsigned io_uring_cqe_shift(const struct io_uring* ring) {
    return io_uring_cqe_shift_from_flags(ring->flags);
}

/* Where CQE number `ptr` is in cq.cqes. */
#define io_uring_cqe_index(ring, ptr, mask) (((ptr) & (mask)) << io_uring_cqe_shift(ring))

/* How many entries this CQE takes: 2 for one of 32 bytes in a ring of mixed sizes (IORING_SETUP_CQE_MIXED), else 1. */
IOURINGINLINE unsigned io_uring_cqe_nr(const struct io_uring_cqe* cqe) {
    return 1U << !!(cqe->flags & IORING_CQE_F_32);
}

/* Entries that wait to be reaped. */
IOURINGINLINE unsigned io_uring_cq_ready(const struct io_uring* ring) {
    return io_uring_smp_load_acquire(ring->cq.ktail) - *ring->cq.khead;
}

/* Whether completions wait outside the full queue; io_uring_get_events() fetches them once there is room. */
IOURINGINLINE bool io_uring_cq_has_overflow(const struct io_uring* ring) {
    return (IO_URING_READ_ONCE(*ring->sq.kflags) & IORING_SQ_CQ_OVERFLOW) != 0;
}

/* Whether the registered eventfd is signalled for completions. */
IOURINGINLINE bool io_uring_cq_eventfd_enabled(const struct io_uring* ring) {
    if (!ring->cq.kflags) return true;
    return !(IO_URING_READ_ONCE(*ring->cq.kflags) & IORING_CQ_EVENTFD_DISABLED);
}

/* Switches that. Returns 0, or -EOPNOTSUPP where the ring has no such flag. */
IOURINGINLINE int io_uring_cq_eventfd_toggle(struct io_uring* ring, bool enabled) {
    unsigned flags;

    if (enabled == io_uring_cq_eventfd_enabled(ring)) return 0;
    if (!ring->cq.kflags) return -EOPNOTSUPP;
    flags = IO_URING_READ_ONCE(*ring->cq.kflags);
    if (enabled) flags &= ~IORING_CQ_EVENTFD_DISABLED;
    else flags |= IORING_CQ_EVENTFD_DISABLED;
    IO_URING_WRITE_ONCE(*ring->cq.kflags, flags);
    return 0;
}

/* Passes `nr` entries: their CQEs must not be looked at any more. */
IOURINGINLINE void io_uring_cq_advance(struct io_uring* ring, unsigned nr) {
    /* The reads of these CQEs come before the ring learns that it may overwrite them. */
    if (nr) io_uring_smp_store_release(ring->cq.khead, *ring->cq.khead + nr);
}

/* Passes one completion. A null cqe is allowed. */
IOURINGINLINE void io_uring_cqe_seen(struct io_uring* ring, struct io_uring_cqe* cqe) {
    if (!cqe) return;
    if (uring_unlikely((cqe->flags & IORING_CQE_F_32) != 0)) io_uring_cq_advance(ring, 2);
    else io_uring_cq_advance(ring, 1);
}

/* The value that io_uring_sqe_set_data() or io_uring_sqe_set_data64() put into the request. */
IOURINGINLINE void* io_uring_cqe_get_data(const struct io_uring_cqe* cqe) { return (void*)(uintptr_t)cqe->user_data; }
IOURINGINLINE __u64 io_uring_cqe_get_data64(const struct io_uring_cqe* cqe) { return cqe->user_data; }

/* A walk over the completions that are there when it starts; none is passed. */
struct io_uring_cqe_iter {
    struct io_uring_cqe* cqes;
    unsigned mask;
    unsigned shift;
    unsigned head;
    unsigned tail;
};

/* Starts a walk. */
static inline struct io_uring_cqe_iter io_uring_cqe_iter_init(const struct io_uring* ring) {
    struct io_uring_cqe_iter iter;

    iter.cqes = ring->cq.cqes;
    iter.mask = ring->cq.ring_mask;
    iter.shift = io_uring_cqe_shift(ring);
    iter.head = *ring->cq.khead;
    iter.tail = io_uring_smp_load_acquire(ring->cq.ktail);
    return iter;
}

/*
 * The next completion of a walk, or false at its end. In a ring of mixed sizes a CQE of 32 bytes counts as the two
 * entries it is, and filler (IORING_CQE_F_SKIP) is handed out too, to be ignored: so the sum of io_uring_cqe_nr() over
 * a walk is always what io_uring_cq_advance() wants.
 */
static inline bool io_uring_cqe_iter_next(struct io_uring_cqe_iter* iter, struct io_uring_cqe** cqe) {
    if (iter->head == iter->tail) return false;
    *cqe = &iter->cqes[(iter->head & iter->mask) << iter->shift];
    iter->head += io_uring_cqe_nr(*cqe);
    return true;
}

/*
 * for (each completion that is there): `head` is an unsigned variable of the program that the loop sets to the entry's
 * number, `cqe` a pointer. The program counts what it has handled and passes it with one io_uring_cq_advance().
 */
#define io_uring_for_each_cqe(ring_, head_, cqe_)                                 \
    for (struct io_uring_cqe_iter ringside_iter_ = io_uring_cqe_iter_init(ring_); \
         (head_) = ringside_iter_.head, io_uring_cqe_iter_next(&ringside_iter_, &(cqe_)); (void)(head_))

/*
 * Whether a CQE is not the program's: filler of a ring of mixed sizes, or the timeout request of a wait without
 * IORING_FEAT_EXT_ARG. Such a CQE is skipped. If the timeout ended the wait, *err becomes its result (-ETIME) and the
 * function returns false, so that the caller stops.
 */
static inline bool io_uring_skip_cqe(struct io_uring* ring, struct io_uring_cqe* cqe, int* err) {
    const bool filler = (cqe->flags & IORING_CQE_F_SKIP) != 0;
    const bool own_timeout = !(ring->features & IORING_FEAT_EXT_ARG) && cqe->user_data == LIBURING_UDATA_TIMEOUT;

    if (!filler && !own_timeout) return false;
    if (!filler && cqe->res < 0) *err = cqe->res;
    io_uring_cq_advance(ring, io_uring_cqe_nr(cqe));
    return *err == 0;
}

/*
 * For io_uring_peek_cqe() and similar functions, not for programs. The first CQE that is the program's, or null;
 * *nr_available (if asked for) becomes the number of entries there. Returns 0, or the result of an expired timeout.
 */
static inline int __io_uring_peek_cqe(struct io_uring* ring, struct io_uring_cqe** cqe_ptr, unsigned* nr_available) {
    const unsigned mask = ring->cq.ring_mask;
    const unsigned shift = io_uring_cqe_shift(ring);
    struct io_uring_cqe* cqe;
    unsigned available;
    int err = 0;

    for (;;) {
        const unsigned head = *ring->cq.khead;

        cqe = NULL;
        available = io_uring_smp_load_acquire(ring->cq.ktail) - head;
        if (!available) break;
        cqe = &ring->cq.cqes[(head & mask) << shift];
        if (uring_likely((ring->features & IORING_FEAT_EXT_ARG) && !(cqe->flags & IORING_CQE_F_SKIP))) break;
        if (!io_uring_skip_cqe(ring, cqe, &err)) {
            if (err) cqe = NULL; /* it was the timeout, and it is passed */
            break;
        }
    }
    *cqe_ptr = cqe;
    if (nr_available) *nr_available = available;
    return err;
}

#ifdef __cplusplus
}
#endif

#endif
