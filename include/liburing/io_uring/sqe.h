/* SPDX-License-Identifier: MIT */
/* The submission queue entry and the flags of its operations. Part of liburing/io_uring.h; do not include it alone. */
#ifndef RINGSIDE_ABI_SQE_H
#define RINGSIDE_ABI_SQE_H

/* Bit numbers of io_uring_sqe.flags. */
enum io_uring_sqe_flags_bit {
    IOSQE_FIXED_FILE_BIT = 0,
    IOSQE_IO_DRAIN_BIT = 1,
    IOSQE_IO_LINK_BIT = 2,
    IOSQE_IO_HARDLINK_BIT = 3,
    IOSQE_ASYNC_BIT = 4,
    IOSQE_BUFFER_SELECT_BIT = 5,
    IOSQE_CQE_SKIP_SUCCESS_BIT = 6,
};

/* io_uring_sqe.flags */
#define IOSQE_FIXED_FILE (1U << 0)       /* fd is an index of the registered files */
#define IOSQE_IO_DRAIN (1U << 1)         /* start after all earlier requests, and let later ones wait */
#define IOSQE_IO_LINK (1U << 2)          /* the next request starts when this one has succeeded */
#define IOSQE_IO_HARDLINK (1U << 3)      /* the next request starts when this one is over, whatever its result */
#define IOSQE_ASYNC (1U << 4)            /* do not try inline: give it to a worker at once */
#define IOSQE_BUFFER_SELECT (1U << 5)    /* take a provided buffer of buf_group */
#define IOSQE_CQE_SKIP_SUCCESS (1U << 6) /* post no completion if it succeeds */

/* io_uring_sqe.fsync_flags */
#define IORING_FSYNC_DATASYNC (1U << 0)

/* io_uring_sqe.timeout_flags */
#define IORING_TIMEOUT_ABS (1U << 0)    /* the time is a point in time, not a span */
#define IORING_TIMEOUT_UPDATE (1U << 1) /* IORING_OP_TIMEOUT_REMOVE changes a timeout */
#define IORING_TIMEOUT_BOOTTIME (1U << 2)
#define IORING_TIMEOUT_REALTIME (1U << 3)
#define IORING_LINK_TIMEOUT_UPDATE (1U << 4)   /* IORING_OP_TIMEOUT_REMOVE changes a link timeout */
#define IORING_TIMEOUT_ETIME_SUCCESS (1U << 5) /* expiry counts as success for links and skipped completions */
#define IORING_TIMEOUT_MULTISHOT (1U << 6)     /* off says how many times, 0 for ever */
#define IORING_TIMEOUT_IMMEDIATE_ARG (1U << 7) /* addr is the time in nanoseconds, not a pointer */
#define IORING_TIMEOUT_CLOCK_MASK (IORING_TIMEOUT_BOOTTIME | IORING_TIMEOUT_REALTIME)
#define IORING_TIMEOUT_UPDATE_MASK (IORING_TIMEOUT_UPDATE | IORING_LINK_TIMEOUT_UPDATE)

/* io_uring_sqe.splice_flags, beside those of splice(2): splice_fd_in is an index of a registered file. */
#define SPLICE_F_FD_IN_FIXED (1U << 31)

/* io_uring_sqe.len of IORING_OP_POLL_ADD and IORING_OP_POLL_REMOVE */
#define IORING_POLL_ADD_MULTI (1U << 0)
#define IORING_POLL_UPDATE_EVENTS (1U << 1)
#define IORING_POLL_UPDATE_USER_DATA (1U << 2)
#define IORING_POLL_ADD_LEVEL (1U << 3)

/* io_uring_sqe.cancel_flags */
#define IORING_ASYNC_CANCEL_ALL (1U << 0)      /* all that match, not the first */
#define IORING_ASYNC_CANCEL_FD (1U << 1)       /* match the file of fd */
#define IORING_ASYNC_CANCEL_ANY (1U << 2)      /* match every request */
#define IORING_ASYNC_CANCEL_FD_FIXED (1U << 3) /* fd is an index of the registered files */
#define IORING_ASYNC_CANCEL_USERDATA (1U << 4) /* match user_data, in addition */
#define IORING_ASYNC_CANCEL_OP (1U << 5)       /* match the opcode in len */

/* io_uring_sqe.ioprio of the send and receive operations */
#define IORING_RECVSEND_POLL_FIRST (1U << 0) /* wait for readiness before the first try */
#define IORING_RECV_MULTISHOT (1U << 1)
#define IORING_RECVSEND_FIXED_BUF (1U << 2)   /* buf_index names a registered buffer */
#define IORING_SEND_ZC_REPORT_USAGE (1U << 3) /* the notification tells whether data was copied */
#define IORING_RECVSEND_BUNDLE (1U << 4)      /* several provided buffers in one go */
#define IORING_SEND_VECTORIZED (1U << 5)      /* addr points to iovecs */

/* io_uring_sqe.ioprio of IORING_OP_ACCEPT */
#define IORING_ACCEPT_MULTISHOT (1U << 0)
#define IORING_ACCEPT_DONTWAIT (1U << 1)
#define IORING_ACCEPT_POLL_FIRST (1U << 2)

/* io_uring_sqe.addr of IORING_OP_MSG_RING */
enum io_uring_msg_ring_flags {
    IORING_MSG_DATA = 0,    /* post a completion on the other ring */
    IORING_MSG_SEND_FD = 1, /* hand over a registered file */
};

/* io_uring_sqe.msg_ring_flags */
#define IORING_MSG_RING_CQE_SKIP (1U << 0)   /* IORING_MSG_SEND_FD: post nothing on the other ring */
#define IORING_MSG_RING_FLAGS_PASS (1U << 1) /* file_index holds the flags of the completion */

/* io_uring_sqe.install_fd_flags */
#define IORING_FIXED_FD_NO_CLOEXEC (1U << 0)

/* io_uring_sqe.nop_flags */
#define IORING_NOP_INJECT_RESULT (1U << 0) /* complete with len as the result */
#define IORING_NOP_CQE32 (1U << 5)         /* complete with a CQE of 32 bytes */

/* io_uring_sqe.uring_cmd_flags */
#define IORING_URING_CMD_FIXED (1U << 0)     /* buf_index names a registered buffer */
#define IORING_URING_CMD_MULTISHOT (1U << 1) /* posts many completions; needs IOSQE_BUFFER_SELECT */
#define IORING_URING_CMD_MASK (IORING_URING_CMD_FIXED | IORING_URING_CMD_MULTISHOT)

/* io_uring_sqe.cmd_op of IORING_OP_URING_CMD on a socket */
enum io_uring_socket_op {
    SOCKET_URING_OP_SIOCINQ = 0,
    SOCKET_URING_OP_SIOCOUTQ = 1,
    SOCKET_URING_OP_GETSOCKOPT = 2,
    SOCKET_URING_OP_SETSOCKOPT = 3,
    SOCKET_URING_OP_TX_TIMESTAMP = 4,
    SOCKET_URING_OP_GETSOCKNAME = 5,
};

/* io_uring_sqe.attr_type_mask: attr_ptr points to an io_uring_attr_pi. */
#define IORING_RW_ATTR_FLAG_PI (1U << 0)

/* Protection information of a read or write, for devices that store some beside the data. */
struct io_uring_attr_pi {
    __u16 flags;
    __u16 app_tag;
    __u32 len;
    __u64 addr;
    __u64 seed;
    __u64 rsvd;
};

/* io_uring_sqe.file_index: take any free slot of the registered files. */
#define IORING_FILE_INDEX_ALLOC (~0U)

/*
 * A request. Which fields an operation reads is the operation's own affair: the io_uring_prep_... helpers set them.
 * The fields that no operation uses must be zero.
 */
struct io_uring_sqe {
    __u8 opcode;  /* IORING_OP_... */
    __u8 flags;   /* IOSQE_... */
    __u16 ioprio; /* I/O priority, or flags of socket operations */
    __s32 fd;     /* file descriptor, or index with IOSQE_FIXED_FILE */
    union {
        __u64 off; /* bytes from the start of the file */
        __u64 addr2;
        struct {
            __u32 cmd_op; /* command of IORING_OP_URING_CMD */
            __u32 __pad1;
        };
    };
    union {
        __u64 addr; /* buffer, iovecs, or what the operation points to */
        __u64 splice_off_in;
        struct {
            __u32 level; /* socket option commands */
            __u32 optname;
        };
    };
    __u32 len; /* bytes, or number of iovecs */
    union {
        __kernel_rwf_t rw_flags;
        __u32 fsync_flags;
        __u16 poll_events;   /* low half only; kept for old programs */
        __u32 poll32_events; /* halves swapped on big-endian machines */
        __u32 sync_range_flags;
        __u32 msg_flags;
        __u32 timeout_flags;
        __u32 accept_flags;
        __u32 cancel_flags;
        __u32 open_flags;
        __u32 statx_flags;
        __u32 fadvise_advice;
        __u32 splice_flags;
        __u32 rename_flags;
        __u32 unlink_flags;
        __u32 hardlink_flags;
        __u32 xattr_flags;
        __u32 msg_ring_flags;
        __u32 uring_cmd_flags;
        __u32 waitid_flags;
        __u32 futex_flags;
        __u32 install_fd_flags;
        __u32 nop_flags;
        __u32 pipe_flags;
    };
    __u64 user_data; /* comes back in the completion; the ring never looks at it */
    union {
        __u16 buf_index; /* registered buffer */
        __u16 buf_group; /* group of provided buffers, with IOSQE_BUFFER_SELECT */
    };
    __u16 personality; /* registered credentials, 0 for those of who submits */
    union {
        __s32 splice_fd_in;
        __u32 file_index; /* slot + 1 of a direct descriptor, or IORING_FILE_INDEX_ALLOC */
        __u32 zcrx_ifq_idx;
        __u32 optlen;
        struct {
            __u16 addr_len; /* bytes of the destination address of a send */
            __u16 __pad3[1];
        };
    };
    union {
        struct {
            __u64 addr3;
            __u64 __pad2[1];
        };
        struct {
            __u64 attr_ptr;
            __u64 attr_type_mask; /* IORING_RW_ATTR_FLAG_... */
        };
        __u64 optval;
        __u8 cmd[0]; /* payload of IORING_OP_URING_CMD: 16 bytes, or 80 where an SQE has 128 */
    };
};

#endif
