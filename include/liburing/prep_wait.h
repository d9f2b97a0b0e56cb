/* SPDX-License-Identifier: MIT */
/*
 * Waiting for readiness, time, processes and futexes, and cancelling. prep_rw.h describes what all io_uring_prep_...
 * helpers have in common.
 */
#ifndef LIBURING_PREP_WAIT_H
#define LIBURING_PREP_WAIT_H

#include <sys/wait.h>

#include "liburing/sqe.h"

#ifdef __cplusplus
extern "C" {
#endif

struct epoll_event;
struct futex_waitv;

/* Poll masks have 32 bits in the SQE, whose halves are swapped on big-endian machines. */
static inline __u32 ringside_poll_mask(unsigned poll_mask) {
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return (poll_mask << 16) | (poll_mask >> 16);
#else
    return poll_mask;
#endif
}

/* poll(2) of one file, once. The result is the mask of events. */
IOURINGINLINE void io_uring_prep_poll_add(struct io_uring_sqe* sqe, int fd, unsigned poll_mask) {
    io_uring_prep_rw(IORING_OP_POLL_ADD, sqe, fd, NULL, 0, 0);
    sqe->poll32_events = ringside_poll_mask(poll_mask);
}

/* The same again and again, with IORING_CQE_F_MORE as long as it goes on. */
IOURINGINLINE void io_uring_prep_poll_multishot(struct io_uring_sqe* sqe, int fd, unsigned poll_mask) {
    io_uring_prep_poll_add(sqe, fd, poll_mask);
    sqe->len = IORING_POLL_ADD_MULTI;
}

/* Ends the poll request with that user_data. 0, -ENOENT if there is none, -EALREADY if it is completing. */
IOURINGINLINE void io_uring_prep_poll_remove(struct io_uring_sqe* sqe, __u64 user_data) {
    io_uring_prep_rw(IORING_OP_POLL_REMOVE, sqe, -1, NULL, 0, 0);
    sqe->addr = user_data;
}

/*
 * Changes a poll request: its user_data (IORING_POLL_UPDATE_USER_DATA in `flags`), its events
 * (IORING_POLL_UPDATE_EVENTS), and whether it is multishot (IORING_POLL_ADD_MULTI). Results as for poll_remove.
 */
IOURINGINLINE void io_uring_prep_poll_update(struct io_uring_sqe* sqe, __u64 old_user_data, __u64 new_user_data,
                                             unsigned poll_mask, unsigned flags) {
    io_uring_prep_rw(IORING_OP_POLL_REMOVE, sqe, -1, NULL, flags, new_user_data);
    sqe->addr = old_user_data;
    sqe->poll32_events = ringside_poll_mask(poll_mask);
}

/* epoll_ctl(2): EPOLL_CTL_... `op` on `fd` in the interest list of `epfd`. */
IOURINGINLINE void io_uring_prep_epoll_ctl(struct io_uring_sqe* sqe, int epfd, int fd, int op,
                                           const struct epoll_event* ev) {
    io_uring_prep_rw(IORING_OP_EPOLL_CTL, sqe, epfd, ev, (unsigned)op, (__u64)fd);
}

/* epoll_wait(2) without a timeout: the result is how many of `maxevents` events were written. Linux 6.15. */
IOURINGINLINE void io_uring_prep_epoll_wait(struct io_uring_sqe* sqe, int fd, struct epoll_event* events, int maxevents,
                                            unsigned flags) {
    io_uring_prep_rw(IORING_OP_EPOLL_WAIT, sqe, fd, events, (unsigned)maxevents, 0);
    sqe->rw_flags = (int)flags;
}

/*
 * A timer: -ETIME when `ts` has passed, or 0 when `count` other requests have completed (0: do not count).
 * IORING_TIMEOUT_... flags.
 */
IOURINGINLINE void io_uring_prep_timeout(struct io_uring_sqe* sqe, const struct __kernel_timespec* ts, unsigned count,
                                         unsigned flags) {
    io_uring_prep_rw(IORING_OP_TIMEOUT, sqe, -1, ts, 1, count);
    sqe->timeout_flags = flags;
}

/* Ends the timer with that user_data. 0, -ENOENT if there is none, -EBUSY if it is expiring. */
IOURINGINLINE void io_uring_prep_timeout_remove(struct io_uring_sqe* sqe, __u64 user_data, unsigned flags) {
    io_uring_prep_rw(IORING_OP_TIMEOUT_REMOVE, sqe, -1, NULL, 0, 0);
    sqe->addr = user_data;
    sqe->timeout_flags = flags;
}

/* Gives a timer a new time; IORING_LINK_TIMEOUT_UPDATE in `flags` for a link timeout. Results as above. */
IOURINGINLINE void io_uring_prep_timeout_update(struct io_uring_sqe* sqe, const struct __kernel_timespec* ts,
                                                __u64 user_data, unsigned flags) {
    io_uring_prep_rw(IORING_OP_TIMEOUT_REMOVE, sqe, -1, NULL, 0, uring_ptr_to_u64(ts));
    sqe->addr = user_data;
    sqe->timeout_flags = flags | IORING_TIMEOUT_UPDATE;
}

/*
 * Cancels the request before it, which has IOSQE_IO_LINK, if that takes longer than `ts`. -ETIME if so (-EALREADY if
 * the request could not be stopped), -ECANCELED if the request was in time.
 */
IOURINGINLINE void io_uring_prep_link_timeout(struct io_uring_sqe* sqe, const struct __kernel_timespec* ts,
                                              unsigned flags) {
    io_uring_prep_rw(IORING_OP_LINK_TIMEOUT, sqe, -1, ts, 1, 0);
    sqe->timeout_flags = flags;
}

/*
 * Cancels the request with that user_data, with IORING_ASYNC_CANCEL_... flags. 0, -ENOENT if there is none, -EALREADY
 * if it is past stopping; with IORING_ASYNC_CANCEL_ALL or _ANY, how many were cancelled.
 */
IOURINGINLINE void io_uring_prep_cancel64(struct io_uring_sqe* sqe, __u64 user_data, int flags) {
    io_uring_prep_rw(IORING_OP_ASYNC_CANCEL, sqe, -1, NULL, 0, 0);
    sqe->addr = user_data;
    sqe->cancel_flags = (__u32)flags;
}
IOURINGINLINE void io_uring_prep_cancel(struct io_uring_sqe* sqe, const void* user_data, int flags) {
    io_uring_prep_cancel64(sqe, uring_ptr_to_u64(user_data), flags);
}

/* Cancels a request on file `fd`, or all of them with IORING_ASYNC_CANCEL_ALL. Results as above. */
IOURINGINLINE void io_uring_prep_cancel_fd(struct io_uring_sqe* sqe, int fd, unsigned int flags) {
    io_uring_prep_rw(IORING_OP_ASYNC_CANCEL, sqe, fd, NULL, 0, 0);
    sqe->cancel_flags = flags | IORING_ASYNC_CANCEL_FD;
}

/* waitid(2): *infop (or null) is written when a child changes state. `flags` must be 0 for now. Linux 6.7. */
IOURINGINLINE void io_uring_prep_waitid(struct io_uring_sqe* sqe, idtype_t idtype, id_t id, siginfo_t* infop,
                                        int options, unsigned int flags) {
    io_uring_prep_rw(IORING_OP_WAITID, sqe, (int)id, NULL, (unsigned)idtype, 0);
    sqe->waitid_flags = flags;
    sqe->file_index = (__u32)options;
    sqe->addr2 = uring_ptr_to_u64(infop);
}

/*
 * futex_wake(2): wakes up to `val` waiters whose mask meets `mask`; the result is how many. `futex_flags` are
 * FUTEX2_... flags (the size must be given), `flags` must be 0 for now. Linux 6.7.
 */
IOURINGINLINE void io_uring_prep_futex_wake(struct io_uring_sqe* sqe, const uint32_t* futex, uint64_t val,
                                            uint64_t mask, uint32_t futex_flags, unsigned int flags) {
    io_uring_prep_rw(IORING_OP_FUTEX_WAKE, sqe, (int)futex_flags, futex, 0, val);
    sqe->futex_flags = flags;
    sqe->addr3 = mask;
}

/* futex_wait(2): waits to be woken as long as *futex is `val`, else -EAGAIN. Flags as above. Linux 6.7. */
IOURINGINLINE void io_uring_prep_futex_wait(struct io_uring_sqe* sqe, const uint32_t* futex, uint64_t val,
                                            uint64_t mask, uint32_t futex_flags, unsigned int flags) {
    io_uring_prep_rw(IORING_OP_FUTEX_WAIT, sqe, (int)futex_flags, futex, 0, val);
    sqe->futex_flags = flags;
    sqe->addr3 = mask;
}

/* futex_waitv(2): waits for any of `nr_futex` futexes; the result is the index of the one. Linux 6.7. */
IOURINGINLINE void io_uring_prep_futex_waitv(struct io_uring_sqe* sqe, const struct futex_waitv* futex,
                                             uint32_t nr_futex, unsigned int flags) {
    io_uring_prep_rw(IORING_OP_FUTEX_WAITV, sqe, 0, futex, nr_futex, 0);
    sqe->futex_flags = flags;
}

#ifdef __cplusplus
}
#endif

#endif
