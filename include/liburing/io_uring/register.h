/* SPDX-License-Identifier: MIT */
/* io_uring_register(2): its opcodes and arguments. Part of liburing/io_uring.h; do not include it alone. */
#ifndef RINGSIDE_ABI_REGISTER_H
#define RINGSIDE_ABI_REGISTER_H

/* opcode of io_uring_register(2) */
enum io_uring_register_op {
    IORING_REGISTER_BUFFERS = 0,
    IORING_UNREGISTER_BUFFERS = 1,
    IORING_REGISTER_FILES = 2,
    IORING_UNREGISTER_FILES = 3,
    IORING_REGISTER_EVENTFD = 4,
    IORING_UNREGISTER_EVENTFD = 5,
    IORING_REGISTER_FILES_UPDATE = 6,
    IORING_REGISTER_EVENTFD_ASYNC = 7,
    IORING_REGISTER_PROBE = 8,
    IORING_REGISTER_PERSONALITY = 9,
    IORING_UNREGISTER_PERSONALITY = 10,
    IORING_REGISTER_RESTRICTIONS = 11,
    IORING_REGISTER_ENABLE_RINGS = 12,
    IORING_REGISTER_FILES2 = 13,
    IORING_REGISTER_FILES_UPDATE2 = 14,
    IORING_REGISTER_BUFFERS2 = 15,
    IORING_REGISTER_BUFFERS_UPDATE = 16,
    IORING_REGISTER_IOWQ_AFF = 17,
    IORING_UNREGISTER_IOWQ_AFF = 18,
    IORING_REGISTER_IOWQ_MAX_WORKERS = 19,
    IORING_REGISTER_RING_FDS = 20,
    IORING_UNREGISTER_RING_FDS = 21,
    IORING_REGISTER_PBUF_RING = 22,
    IORING_UNREGISTER_PBUF_RING = 23,
    IORING_REGISTER_SYNC_CANCEL = 24,
    IORING_REGISTER_FILE_ALLOC_RANGE = 25,
    IORING_REGISTER_PBUF_STATUS = 26,
    IORING_REGISTER_NAPI = 27,
    IORING_UNREGISTER_NAPI = 28,
    IORING_REGISTER_CLOCK = 29,
    IORING_REGISTER_CLONE_BUFFERS = 30,
    IORING_REGISTER_SEND_MSG_RING = 31,
    IORING_REGISTER_ZCRX_IFQ = 32,
    IORING_REGISTER_RESIZE_RINGS = 33,
    IORING_REGISTER_MEM_REGION = 34,
    IORING_REGISTER_QUERY = 35,
    IORING_REGISTER_ZCRX_CTRL = 36,
    IORING_REGISTER_BPF_FILTER = 37,
    IORING_REGISTER_LAST = 38,
};

/* Or-ed into the opcode: fd is the index of a registered ring. */
#define IORING_REGISTER_USE_REGISTERED_RING (1U << 31)

/* A slot that a files update leaves as it is, where a file descriptor would stand. */
#define IORING_REGISTER_FILES_SKIP (-2)

/* IORING_REGISTER_FILES_UPDATE and IORING_OP_FILES_UPDATE's older form: new files for slots from `offset` on. */
struct io_uring_files_update {
    __u32 offset;
    __u32 resv;
    __aligned_u64 fds; /* array of int */
};

/* io_uring_rsrc_register.flags */
#define IORING_RSRC_REGISTER_SPARSE (1U << 0) /* a table of `nr` empty slots; data must be 0 */

/* IORING_REGISTER_FILES2 and IORING_REGISTER_BUFFERS2: a table of files or buffers, with tags. */
struct io_uring_rsrc_register {
    __u32 nr;
    __u32 flags;
    __u64 resv2;
    __aligned_u64 data; /* array of int or of struct iovec */
    __aligned_u64 tags; /* array of __u64, or 0: user_data of the completion that tells that a slot is free again */
};

/* Argument of updates without tags. */
struct io_uring_rsrc_update {
    __u32 offset;
    __u32 resv;
    __aligned_u64 data;
};

/* IORING_REGISTER_FILES_UPDATE2 and IORING_REGISTER_BUFFERS_UPDATE. */
struct io_uring_rsrc_update2 {
    __u32 offset;
    __u32 resv;
    __aligned_u64 data;
    __aligned_u64 tags;
    __u32 nr;
    __u32 resv2;
};

/* io_uring_probe_op.flags */
#define IO_URING_OP_SUPPORTED (1U << 0)

/* What IORING_REGISTER_PROBE says of one opcode. */
struct io_uring_probe_op {
    __u8 op;
    __u8 resv;
    __u16 flags; /* IO_URING_OP_SUPPORTED */
    __u32 resv2;
};

/* IORING_REGISTER_PROBE: must be all zero when handed over. */
struct io_uring_probe {
    __u8 last_op; /* highest opcode that the ring knows */
    __u8 ops_len; /* entries of ops that were filled in */
    __u16 resv;
    __u32 resv2[3];
    struct io_uring_probe_op ops[];
};

/* io_uring_restriction.opcode */
enum io_uring_register_restriction_op {
    IORING_RESTRICTION_REGISTER_OP = 0,        /* allow register_op */
    IORING_RESTRICTION_SQE_OP = 1,             /* allow sqe_op */
    IORING_RESTRICTION_SQE_FLAGS_ALLOWED = 2,  /* allow sqe_flags */
    IORING_RESTRICTION_SQE_FLAGS_REQUIRED = 3, /* demand sqe_flags */
    IORING_RESTRICTION_LAST = 4,
};

/* One rule of IORING_REGISTER_RESTRICTIONS. */
struct io_uring_restriction {
    __u16 opcode;
    union {
        __u8 register_op;
        __u8 sqe_op;
        __u8 sqe_flags;
    };
    __u8 resv;
    __u32 resv2[3];
};

/* One buffer of a buffer ring. */
struct io_uring_buf {
    __u64 addr;
    __u32 len;
    __u16 bid;
    __u16 resv; /* the ring's tail lives here in entry 0, so it must not be written */
};

/* A buffer ring: entries that overlay a header of which only the tail is used. */
struct io_uring_buf_ring {
    union {
        struct {
            __u64 resv1;
            __u32 resv2;
            __u16 resv3;
            __u16 tail; /* the program's side: one past the last buffer provided */
        };
        struct io_uring_buf bufs[0];
    };
};

/* io_uring_buf_reg.flags */
enum io_uring_register_pbuf_ring_flags {
    IOU_PBUF_RING_MMAP = 1, /* the ring brings the memory; map it at IORING_OFF_PBUF_RING */
    IOU_PBUF_RING_INC = 2,  /* buffers are used up piece by piece */
};

/* IORING_REGISTER_PBUF_RING and IORING_UNREGISTER_PBUF_RING. */
struct io_uring_buf_reg {
    __u64 ring_addr; /* page-aligned, 0 with IOU_PBUF_RING_MMAP */
    __u32 ring_entries;
    __u16 bgid;
    __u16 flags;
    __u32 min_left; /* IOU_PBUF_RING_INC: a buffer with fewer bytes left is retired */
    __u32 resv[5];
};

/* IORING_REGISTER_PBUF_STATUS: where the ring will take the next buffer from. */
struct io_uring_buf_status {
    __u32 buf_group;
    __u32 head;
    __u32 resv[8];
};

/* IORING_REGISTER_NAPI: busy polling of network devices while the program waits. */
struct io_uring_napi {
    __u32 busy_poll_to; /* microseconds */
    __u8 prefer_busy_poll;
    __u8 pad[3];
    __u64 resv;
};

/* Index into the pair that IORING_REGISTER_IOWQ_MAX_WORKERS takes. */
enum io_wq_type {
    IO_WQ_BOUND = 0,   /* workers for files and block devices */
    IO_WQ_UNBOUND = 1, /* workers for what may take for ever */
};

/* IORING_REGISTER_SYNC_CANCEL: as IORING_OP_ASYNC_CANCEL, and waits until the requests are gone. */
struct io_uring_sync_cancel_reg {
    __u64 addr;
    __s32 fd;
    __u32 flags;                      /* IORING_ASYNC_CANCEL_... */
    struct __kernel_timespec timeout; /* both fields -1: no limit */
    __u8 opcode;
    __u8 pad[7];
    __u64 pad2[3];
};

/* IORING_REGISTER_FILE_ALLOC_RANGE: where IORING_FILE_INDEX_ALLOC looks for free slots. */
struct io_uring_file_index_range {
    __u32 off;
    __u32 len;
    __u64 resv;
};

/* What a multishot recvmsg writes at the start of the buffer: lengths that were there, though not all may have fit. */
struct io_uring_recvmsg_out {
    __u32 namelen;
    __u32 controllen;
    __u32 payloadlen;
    __u32 flags; /* MSG_... */
};

/* IORING_REGISTER_CLOCK: the clock of the timeouts of waits, CLOCK_MONOTONIC or CLOCK_BOOTTIME. */
struct io_uring_clock_register {
    __u32 clockid;
    __u32 __resv[3];
};

/* io_uring_clone_buffers.flags */
#define IORING_REGISTER_SRC_REGISTERED (1U << 0) /* src_fd is the index of a registered ring */
#define IORING_REGISTER_DST_REPLACE (1U << 1)    /* buffers in the way are replaced */

/* IORING_REGISTER_CLONE_BUFFERS: registered buffers of another ring. */
struct io_uring_clone_buffers {
    __u32 src_fd;
    __u32 flags;
    __u32 src_off;
    __u32 dst_off;
    __u32 nr; /* 0 for all */
    __u32 pad[3];
};

/* io_uring_region_desc.flags */
#define IORING_MEM_REGION_TYPE_USER (1U << 0) /* the program's memory at user_addr; else the ring's, to be mapped */

/* Memory that program and ring share. */
struct io_uring_region_desc {
    __u64 user_addr;
    __u64 size;
    __u32 flags;
    __u32 id;
    __u64 mmap_offset;
    __u64 __resv[4];
};

/* io_uring_mem_region_reg.flags */
#define IORING_MEM_REGION_REG_WAIT_ARG (1U << 0) /* it holds io_uring_reg_wait entries */

/* IORING_REGISTER_MEM_REGION. */
struct io_uring_mem_region_reg {
    __u64 region_uptr; /* struct io_uring_region_desc */
    __u64 flags;
    __u64 __resv[2];
};

#endif
