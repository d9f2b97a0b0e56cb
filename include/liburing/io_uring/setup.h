/* SPDX-License-Identifier: MIT */
/* io_uring_setup(2): what a program asks for and what it is told. Part of liburing/io_uring.h; do not include it alone.
 */
#ifndef RINGSIDE_ABI_SETUP_H
#define RINGSIDE_ABI_SETUP_H

/* io_uring_params.flags: how io_uring_setup(2) makes a ring. */
#define IORING_SETUP_IOPOLL (1U << 0)              /* completions are found by busy polling, not by interrupt */
#define IORING_SETUP_SQPOLL (1U << 1)              /* a thread of the ring takes submissions without any call */
#define IORING_SETUP_SQ_AFF (1U << 2)              /* that thread runs on sq_thread_cpu */
#define IORING_SETUP_CQSIZE (1U << 3)              /* cq_entries says how large the completion queue shall be */
#define IORING_SETUP_CLAMP (1U << 4)               /* sizes beyond the limits are cut down, not refused */
#define IORING_SETUP_ATTACH_WQ (1U << 5)           /* share the workers of the ring behind wq_fd */
#define IORING_SETUP_R_DISABLED (1U << 6)          /* nothing is taken until IORING_REGISTER_ENABLE_RINGS */
#define IORING_SETUP_SUBMIT_ALL (1U << 7)          /* a request that fails at once does not end the submission */
#define IORING_SETUP_COOP_TASKRUN (1U << 8)        /* do not interrupt the program to complete requests */
#define IORING_SETUP_TASKRUN_FLAG (1U << 9)        /* tell by IORING_SQ_TASKRUN that such work waits */
#define IORING_SETUP_SQE128 (1U << 10)             /* every SQE has 128 bytes */
#define IORING_SETUP_CQE32 (1U << 11)              /* every CQE has 32 bytes */
#define IORING_SETUP_SINGLE_ISSUER (1U << 12)      /* one thread alone will submit */
#define IORING_SETUP_DEFER_TASKRUN (1U << 13)      /* requests complete only while that thread waits for them */
#define IORING_SETUP_NO_MMAP (1U << 14)            /* the program brings the rings' memory (the two user_addr fields) */
#define IORING_SETUP_REGISTERED_FD_ONLY (1U << 15) /* no file descriptor: the ring is registered and has an index */
#define IORING_SETUP_NO_SQARRAY (1U << 16)         /* the submission queue has no index array */
#define IORING_SETUP_HYBRID_IOPOLL (1U << 17)      /* IOPOLL that sleeps a while before it spins */
#define IORING_SETUP_CQE_MIXED (1U << 18)          /* CQEs of 16 and of 32 bytes (IORING_CQE_F_32) in one ring */
#define IORING_SETUP_SQE_MIXED (1U << 19)          /* SQEs of 64 and of 128 bytes (the ...128 opcodes) in one ring */
#define IORING_SETUP_SQ_REWIND (1U << 20)          /* each submission starts at slot 0; head and tail are not used */

/* io_uring_params.features: what the ring can do, filled in by io_uring_setup(2). */
#define IORING_FEAT_SINGLE_MMAP (1U << 0)     /* one mapping holds both rings */
#define IORING_FEAT_NODROP (1U << 1)          /* completions beyond the queue's size are kept, not dropped */
#define IORING_FEAT_SUBMIT_STABLE (1U << 2)   /* what an SQE points to may go once it is submitted */
#define IORING_FEAT_RW_CUR_POS (1U << 3)      /* offset -1 reads and writes at the file's position */
#define IORING_FEAT_CUR_PERSONALITY (1U << 4) /* a request runs with the credentials of the thread that submits it */
#define IORING_FEAT_FAST_POLL (1U << 5)       /* a request that would block waits for readiness, not in a worker */
#define IORING_FEAT_POLL_32BITS (1U << 6)     /* poll32_events is read in full */
#define IORING_FEAT_SQPOLL_NONFIXED (1U << 7) /* SQPOLL takes plain file descriptors too */
#define IORING_FEAT_EXT_ARG (1U << 8)         /* IORING_ENTER_EXT_ARG: waiting with a timeout */
#define IORING_FEAT_NATIVE_WORKERS (1U << 9)  /* workers are threads of the process; memory is not counted as locked */
#define IORING_FEAT_RSRC_TAGS (1U << 10)      /* registered files and buffers can carry tags */
#define IORING_FEAT_CQE_SKIP (1U << 11)       /* IOSQE_CQE_SKIP_SUCCESS */
#define IORING_FEAT_LINKED_FILE (1U << 12)  /* a linked request looks up its file when it starts, not when submitted */
#define IORING_FEAT_REG_REG_RING (1U << 13) /* register calls too take a registered ring */
#define IORING_FEAT_RECVSEND_BUNDLE (1U << 14) /* IORING_RECVSEND_BUNDLE */
#define IORING_FEAT_MIN_TIMEOUT (1U << 15)     /* min_wait_usec */
#define IORING_FEAT_RW_ATTR (1U << 16)         /* attr_ptr and attr_type_mask of reads and writes */
#define IORING_FEAT_NO_IOWAIT (1U << 17)       /* IORING_ENTER_NO_IOWAIT */

/* Offsets for mmap(2) of a ring file descriptor. */
#define IORING_OFF_SQ_RING 0ULL
#define IORING_OFF_CQ_RING 0x8000000ULL
#define IORING_OFF_SQES 0x10000000ULL
#define IORING_OFF_PBUF_RING 0x80000000ULL /* with the buffer group shifted left by IORING_OFF_PBUF_SHIFT */
#define IORING_OFF_PBUF_SHIFT 16
#define IORING_OFF_MMAP_MASK 0xf8000000ULL

/* Flags that the ring writes beside the submission queue. */
#define IORING_SQ_NEED_WAKEUP (1U << 0) /* the SQPOLL thread sleeps: enter with IORING_ENTER_SQ_WAKEUP */
#define IORING_SQ_CQ_OVERFLOW (1U << 1) /* completions wait for room: enter with IORING_ENTER_GETEVENTS */
#define IORING_SQ_TASKRUN (1U << 2)     /* completions wait for the program to enter */

/* Flags that the program writes beside the completion queue. */
#define IORING_CQ_EVENTFD_DISABLED (1U << 0) /* do not signal the registered eventfd */

/* Where the parts of the submission queue are, in bytes from the start of its mapping. */
struct io_sqring_offsets {
    __u32 head;      /* the ring's side: next entry that will be taken */
    __u32 tail;      /* the program's side: one past the last entry offered */
    __u32 ring_mask; /* entries - 1 */
    __u32 ring_entries;
    __u32 flags;   /* IORING_SQ_... */
    __u32 dropped; /* entries whose index was out of range */
    __u32 array;   /* indices of SQEs, absent with IORING_SETUP_NO_SQARRAY */
    __u32 resv1;
    __u64 user_addr; /* IORING_SETUP_NO_MMAP: the program's memory for the SQEs */
};

/* Where the parts of the completion queue are, in bytes from the start of its mapping. */
struct io_cqring_offsets {
    __u32 head;      /* the program's side: next CQE that it will read */
    __u32 tail;      /* the ring's side: one past the last CQE written */
    __u32 ring_mask; /* entries - 1 */
    __u32 ring_entries;
    __u32 overflow; /* completions that were lost for lack of memory */
    __u32 cqes;     /* the CQEs themselves */
    __u32 flags;    /* IORING_CQ_... */
    __u32 resv1;
    __u64 user_addr; /* IORING_SETUP_NO_MMAP: the program's memory for both rings */
};

/* Argument of io_uring_setup(2): zero it, fill in what is wanted, read back what was made. */
struct io_uring_params {
    __u32 sq_entries;
    __u32 cq_entries;
    __u32 flags; /* IORING_SETUP_... */
    __u32 sq_thread_cpu;
    __u32 sq_thread_idle; /* milliseconds without work until the SQPOLL thread sleeps; 0 stands for one second */
    __u32 features;       /* IORING_FEAT_... */
    __u32 wq_fd;
    __u32 resv[3];
    struct io_sqring_offsets sq_off;
    struct io_cqring_offsets cq_off;
};

#endif
