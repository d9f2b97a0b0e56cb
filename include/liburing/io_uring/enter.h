/* SPDX-License-Identifier: MIT */
/* io_uring_enter(2): its flags and arguments. Part of liburing/io_uring.h; do not include it alone. */
#ifndef RINGSIDE_ABI_ENTER_H
#define RINGSIDE_ABI_ENTER_H

/* flags of io_uring_enter(2) */
#define IORING_ENTER_GETEVENTS (1U << 0)       /* wait for min_complete completions */
#define IORING_ENTER_SQ_WAKEUP (1U << 1)       /* wake the SQPOLL thread */
#define IORING_ENTER_SQ_WAIT (1U << 2)         /* wait until the submission queue has room */
#define IORING_ENTER_EXT_ARG (1U << 3)         /* the argument is an io_uring_getevents_arg, not a signal mask */
#define IORING_ENTER_REGISTERED_RING (1U << 4) /* fd is the index of a registered ring */
#define IORING_ENTER_ABS_TIMER (1U << 5)       /* the timeout is a point in time */
#define IORING_ENTER_EXT_ARG_REG (1U << 6)     /* the argument is an offset into the registered wait region */
#define IORING_ENTER_NO_IOWAIT (1U << 7)       /* do not count this wait as waiting for I/O */

/* Argument of io_uring_enter(2) with IORING_ENTER_EXT_ARG. */
struct io_uring_getevents_arg {
    __u64 sigmask;       /* a sigset_t, or 0 */
    __u32 sigmask_sz;    /* bytes of it */
    __u32 min_wait_usec; /* IORING_FEAT_MIN_TIMEOUT: after these microseconds one completion is enough */
    __u64 ts;            /* a struct __kernel_timespec, or 0 */
};

/* io_uring_reg_wait.flags */
#define IORING_REG_WAIT_TS (1U << 0) /* ts is valid */

/* One entry of a registered wait region: the argument of io_uring_enter(2) with IORING_ENTER_EXT_ARG_REG. */
struct io_uring_reg_wait {
    struct __kernel_timespec ts;
    __u32 min_wait_usec;
    __u32 flags;
    __u64 sigmask;
    __u32 sigmask_sz;
    __u32 pad[3];
    __u64 pad2[2];
};

#endif
