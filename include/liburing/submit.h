/* SPDX-License-Identifier: MIT */
/*
 * Handing requests over and waiting for completions.
 *
 * Waits with a timeout: `ts` is a duration, null for no limit. When it has passed, the wait returns with fewer
 * completions, and with -ETIME if there is none at all. -EINTR means that a signal was handled. `sigmask`, if not
 * null, is the thread's signal mask while it waits. The completion that *cqe_ptr is set to stays the ring's until
 * io_uring_cqe_seen().
 */
#ifndef LIBURING_SUBMIT_H
#define LIBURING_SUBMIT_H

#include <signal.h>

#include "liburing/cq.h"
#include "liburing/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Hands over all SQEs that io_uring_get_sqe() gave out. Returns how many were taken, or -errno: -EBUSY or -EAGAIN to
 * ask for completions to be reaped first, -EBADR if completions were lost, -EEXIST if IORING_SETUP_SINGLE_ISSUER was
 * set and another thread submits.
 */
int io_uring_submit(struct io_uring* ring);

/* The same, then waits until `wait_nr` completions are there. Returns how many SQEs were taken, or -errno. */
int io_uring_submit_and_wait(struct io_uring* ring, unsigned wait_nr);

/*
 * The same with a timeout and a signal mask, and *cqe_ptr becomes the first completion, or null. Returns how many
 * SQEs were taken, or -errno: -ETIME only if none was taken. If some were taken, a null *cqe_ptr means that the
 * timeout passed.
 */
int io_uring_submit_and_wait_timeout(struct io_uring* ring, struct io_uring_cqe** cqe_ptr, unsigned wait_nr,
                                     struct __kernel_timespec* ts, sigset_t* sigmask);

/*
 * The same, and after `min_wait` microseconds a single completion is enough. Without `ts` the minimum is ignored. Needs
 * IORING_FEAT_MIN_TIMEOUT, else -EINVAL.
 */
int io_uring_submit_and_wait_min_timeout(struct io_uring* ring, struct io_uring_cqe** cqe_ptr, unsigned wait_nr,
                                         struct __kernel_timespec* ts, unsigned min_wait, sigset_t* sigmask);

/*
 * The same with timeout, minimum and signal mask taken from entry `reg_index` of the wait region (struct
 * io_uring_reg_wait) that io_uring_register_region() registered. -EINVAL where the ring has no EXT_ARG.
 */
int io_uring_submit_and_wait_reg(struct io_uring* ring, struct io_uring_cqe** cqe_ptr, unsigned wait_nr, int reg_index);

/* Submits and lets completions that wait for an enter (DEFER_TASKRUN, overflow, IOPOLL) appear, without waiting. */
int io_uring_submit_and_get_events(struct io_uring* ring);

/* Lets completions that wait for an enter appear, without submitting or waiting. Returns 0 or -errno. */
int io_uring_get_events(struct io_uring* ring);

/*
 * Waits for `wait_nr` completions; *cqe_ptr becomes the first one. Returns 0 or -errno. Nothing is submitted, except
 * where the kernel has no IORING_FEAT_EXT_ARG and ts is given: then a timeout request is, with all that is pending.
 */
int io_uring_wait_cqes(struct io_uring* ring, struct io_uring_cqe** cqe_ptr, unsigned wait_nr,
                       struct __kernel_timespec* ts, sigset_t* sigmask);

/* The same with a minimum, as io_uring_submit_and_wait_min_timeout(). */
int io_uring_wait_cqes_min_timeout(struct io_uring* ring, struct io_uring_cqe** cqe_ptr, unsigned wait_nr,
                                   struct __kernel_timespec* ts, unsigned int min_wait_usec, sigset_t* sigmask);

/* Waits for one completion, at most for `ts`. */
int io_uring_wait_cqe_timeout(struct io_uring* ring, struct io_uring_cqe** cqe_ptr, struct __kernel_timespec* ts);

/*
 * Up to `count` pointers to completions that are there, without waiting. Returns how many. Completions that overflowed
 * are fetched if the queue is empty. The caller passes them with one io_uring_cq_advance().
 */
unsigned io_uring_peek_batch_cqe(struct io_uring* ring, struct io_uring_cqe** cqes, unsigned count);

/* The bare system call; see setup.h. */
int io_uring_enter(unsigned int fd, unsigned int to_submit, unsigned int min_complete, unsigned int flags,
                   sigset_t* sig);
int io_uring_enter2(unsigned int fd, unsigned int to_submit, unsigned int min_complete, unsigned int flags, void* arg,
                    size_t sz);

/* For the inline helpers below, not for programs. */
int __io_uring_get_cqe(struct io_uring* ring, struct io_uring_cqe** cqe_ptr, unsigned submit, unsigned wait_nr,
                       sigset_t* sigmask);
int __io_uring_sqring_wait(struct io_uring* ring);

/* Waits for `wait_nr` completions without a limit; *cqe_ptr becomes the first. Returns 0 or -errno. */
IOURINGINLINE int io_uring_wait_cqe_nr(struct io_uring* ring, struct io_uring_cqe** cqe_ptr, unsigned wait_nr) {
    return __io_uring_get_cqe(ring, cqe_ptr, 0, wait_nr, NULL);
}

/* The first completion that is there, without waiting. Returns 0, or -EAGAIN and a null *cqe_ptr if there is none. */
IOURINGINLINE int io_uring_peek_cqe(struct io_uring* ring, struct io_uring_cqe** cqe_ptr) {
    if (__io_uring_peek_cqe(ring, cqe_ptr, NULL) == 0 && *cqe_ptr != NULL) return 0;
    return io_uring_wait_cqe_nr(ring, cqe_ptr, 0);
}

/* Waits for a completion without a limit; *cqe_ptr becomes the first. Returns 0 or -errno. */
IOURINGINLINE int io_uring_wait_cqe(struct io_uring* ring, struct io_uring_cqe** cqe_ptr) {
    if (__io_uring_peek_cqe(ring, cqe_ptr, NULL) == 0 && *cqe_ptr != NULL) return 0;
    return io_uring_wait_cqe_nr(ring, cqe_ptr, 1);
}

/*
 * With IORING_SETUP_SQPOLL: waits until the submission queue has room. Returns 0 or -errno; without it, 0 at once,
 * since an enter takes all there is.
 */
IOURINGINLINE int io_uring_sqring_wait(struct io_uring* ring) {
    if (!(ring->flags & IORING_SETUP_SQPOLL)) return 0;
    if (io_uring_sq_space_left(ring)) return 0;
    return __io_uring_sqring_wait(ring);
}

#ifdef __cplusplus
}
#endif

#endif
