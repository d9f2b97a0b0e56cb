/* SPDX-License-Identifier: MIT */
/*
 * Submission queue entries: getting one, and what all operations share.
 *
 * SQEs before sqe_tail are handed out; io_uring_submit() offers them to the ring by storing *ktail with release, and
 * the ring loads it with acquire before it reads them. The ring frees them by advancing *khead.
 */
#ifndef LIBURING_SQE_H
#define LIBURING_SQE_H

#include "liburing/barrier.h"
#include "liburing/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How far an SQE's index is shifted to find it in sq.sqes: 1 where each has 128 bytes. */
static inline unsigned io_uring_sqe_shift_from_flags(unsigned flags) { return !!(flags & IORING_SETUP_SQE128); }

/* The same for a ring. */
static inline unsigned io_uring_sqe_shift(const struct io_uring* ring) {
    return io_uring_sqe_shift_from_flags(ring->flags);
}

/* Number of SQEs that the ring has taken so far (modulo 2^32). */
static inline unsigned io_uring_load_sq_head(const struct io_uring* ring) {
    if (uring_unlikely((ring->flags & (IORING_SETUP_SQPOLL | IORING_SETUP_SQ_REWIND)) != 0)) {
        /* A submission starts at slot 0 then, and is over when the call returns. */
        if (ring->flags & IORING_SETUP_SQ_REWIND) return 0;
        /* The SQPOLL thread may be at work now: pairs with its release when it has read the SQEs before head. */
        return io_uring_smp_load_acquire(ring->sq.khead);
    }
    /* Otherwise head moves only within our own calls. */
    return *ring->sq.khead;
}

/* SQEs that were handed out and not yet taken by the ring. */
IOURINGINLINE unsigned io_uring_sq_ready(const struct io_uring* ring) {
    return ring->sq.sqe_tail - io_uring_load_sq_head(ring);
}

/* SQEs that io_uring_get_sqe() can still hand out. */
IOURINGINLINE unsigned io_uring_sq_space_left(const struct io_uring* ring) {
    return ring->sq.ring_entries - io_uring_sq_ready(ring);
}

/* Zeroes the fields that the io_uring_prep_... helpers leave alone. io_uring_get_sqe() calls it. */
static inline void io_uring_initialize_sqe(struct io_uring_sqe* sqe) {
    sqe->flags = 0;
    sqe->ioprio = 0;
    sqe->rw_flags = 0;
    sqe->buf_index = 0;
    sqe->personality = 0;
    sqe->file_index = 0;
    sqe->addr3 = 0;
    sqe->__pad2[0] = 0;
}

/* The body of io_uring_get_sqe(). It has another name, since the library also exports that function. */
static inline struct io_uring_sqe* _io_uring_get_sqe(struct io_uring* ring) {
    struct io_uring_sq* sq = &ring->sq;
    const unsigned tail = sq->sqe_tail;
    struct io_uring_sqe* sqe;

    if (tail - io_uring_load_sq_head(ring) >= sq->ring_entries) return NULL;
    sqe = &sq->sqes[(tail & sq->ring_mask) << io_uring_sqe_shift(ring)];
    sq->sqe_tail = tail + 1;
    io_uring_initialize_sqe(sqe);
    return sqe;
}

/*
 * The next free SQE, to be filled in by an io_uring_prep_... helper, or null if the queue is full: submit then. It
 * stays the program's until io_uring_submit() takes it. user_data has an old value.
 */
static inline struct io_uring_sqe* io_uring_get_sqe(struct io_uring* ring) { return _io_uring_get_sqe(ring); }

/*
 * The next free SQE of 128 bytes, in a ring where all have that size (IORING_SETUP_SQE128) or that mixes sizes
 * (IORING_SETUP_SQE_MIXED, for the ...128 operations); null if there is no room or the ring has no such entries.
 */
IOURINGINLINE struct io_uring_sqe* io_uring_get_sqe128(struct io_uring* ring) {
    struct io_uring_sq* sq = &ring->sq;
    struct io_uring_sqe* sqe;
    unsigned head;

    if (ring->flags & IORING_SETUP_SQE128) return io_uring_get_sqe(ring);
    if (!(ring->flags & IORING_SETUP_SQE_MIXED)) return NULL;

    head = io_uring_load_sq_head(ring);
    if (((sq->sqe_tail + 1) & sq->ring_mask) == 0) {
        /* The two halves must be neighbours: a no-op that posts nothing fills the last slot. */
        if (sq->sqe_tail + 3 - head > sq->ring_entries) return NULL;
        sqe = _io_uring_get_sqe(ring);
        sqe->opcode = IORING_OP_NOP;
        sqe->flags = IOSQE_CQE_SKIP_SUCCESS;
        sqe->fd = -1;
        sqe->off = 0;
        sqe->addr = 0;
        sqe->len = 0;
        sqe->user_data = 0;
    } else if (sq->sqe_tail + 2 - head > sq->ring_entries) {
        return NULL;
    }
    sqe = &sq->sqes[sq->sqe_tail & sq->ring_mask];
    sq->sqe_tail += 2;
    io_uring_initialize_sqe(sqe);
    return sqe;
}

/* Gives the request a pointer or a number that its completions will carry. */
IOURINGINLINE void io_uring_sqe_set_data(struct io_uring_sqe* sqe, void* data) {
    sqe->user_data = uring_ptr_to_u64(data);
}
IOURINGINLINE void io_uring_sqe_set_data64(struct io_uring_sqe* sqe, __u64 data) { sqe->user_data = data; }

/* Sets IOSQE_... flags, in place of those that were set. */
IOURINGINLINE void io_uring_sqe_set_flags(struct io_uring_sqe* sqe, unsigned flags) { sqe->flags = (__u8)flags; }

/* The group of provided buffers that an IOSQE_BUFFER_SELECT request takes its buffer from. */
IOURINGINLINE void io_uring_sqe_set_buf_group(struct io_uring_sqe* sqe, int bgid) { sqe->buf_group = (__u16)bgid; }

/* The common part of the io_uring_prep_... helpers: the five fields that nearly all operations have. */
IOURINGINLINE void io_uring_prep_rw(int op, struct io_uring_sqe* sqe, int fd, const void* addr, unsigned len,
                                    __u64 offset) {
    sqe->opcode = (__u8)op;
    sqe->fd = fd;
    sqe->off = offset;
    sqe->addr = uring_ptr_to_u64(addr);
    sqe->len = len;
}

/*
 * Lets the operation put its file into slot `file_index` of the registered files instead of the descriptor table, or
 * into any free slot (IORING_FILE_INDEX_ALLOC). The ABI counts slots from 1, so that 0 means none.
 */
static inline void __io_uring_set_target_fixed_file(struct io_uring_sqe* sqe, unsigned file_index) {
    sqe->file_index = file_index == IORING_FILE_INDEX_ALLOC ? file_index : file_index + 1;
}

#ifdef __cplusplus
}
#endif

#endif
