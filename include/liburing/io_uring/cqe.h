/* SPDX-License-Identifier: MIT */
/* The completion queue entry. Part of liburing/io_uring.h; do not include it alone. */
#ifndef RINGSIDE_ABI_CQE_H
#define RINGSIDE_ABI_CQE_H

/* io_uring_cqe.flags */
#define IORING_CQE_F_BUFFER (1U << 0)        /* the upper 16 bits hold the id of the provided buffer that was used */
#define IORING_CQE_F_MORE (1U << 1)          /* more completions of this request will come */
#define IORING_CQE_F_SOCK_NONEMPTY (1U << 2) /* the socket had more to read */
#define IORING_CQE_F_NOTIF (1U << 3)         /* zero-copy send: the buffer is free again */
#define IORING_CQE_F_BUF_MORE (1U << 4)      /* the provided buffer was used in part and stays in its ring */
#define IORING_CQE_F_SKIP (1U << 5)          /* no completion, but filler at the end of a ring of mixed sizes */
#define IORING_CQE_F_32 (1U << 15)           /* this CQE has 32 bytes, in a ring of mixed sizes */

/* Where io_uring_cqe.flags keeps the id of the provided buffer that was used. */
#define IORING_CQE_BUFFER_SHIFT 16

/* SOCKET_URING_OP_TX_TIMESTAMP: bits of io_uring_cqe.flags. */
#define IORING_TIMESTAMP_HW_SHIFT 16
#define IORING_TIMESTAMP_TYPE_SHIFT 17
#define IORING_CQE_F_TSTAMP_HW (1U << 16) /* the time stamp is the hardware's */

/* In the result of the notification of a zero-copy send that asked for a report: the data was copied after all. */
#define IORING_NOTIF_USAGE_ZC_COPIED (1U << 31)

/* What became of a request. */
struct io_uring_cqe {
    __u64 user_data; /* as the SQE had it */
    __s32 res;       /* the operation's result, or -errno */
    __u32 flags;     /* IORING_CQE_F_... */
    __u64 big_cqe[]; /* two more words, where a CQE has 32 bytes */
};

/* Transmit time stamp, in big_cqe of SOCKET_URING_OP_TX_TIMESTAMP. */
struct io_timespec {
    __u64 tv_sec;
    __u64 tv_nsec;
};

#endif
