/* SPDX-License-Identifier: MIT */
/* IORING_REGISTER_QUERY: asking what io_uring offers, without a ring. Part of liburing/io_uring.h. */
#ifndef LINUX_IO_URING_QUERY_H
#define LINUX_IO_URING_QUERY_H

#include <linux/types.h>

/* io_uring_query_hdr.query_op */
enum io_uring_query_op {
    IO_URING_QUERY_OPCODES = 0,
    IO_URING_QUERY_ZCRX = 1,
    IO_URING_QUERY_SCQ = 2,
};

/* One question; a chain of them can be asked at once. */
struct io_uring_query_hdr {
    __u64 next_entry; /* the next io_uring_query_hdr, or 0 */
    __u64 query_data; /* where the answer goes */
    __u32 query_op;
    __u32 size;   /* bytes at query_data; afterwards, bytes of the answer */
    __s32 result; /* 0 or -errno */
    __u32 __resv[3];
};

/* Answer to IO_URING_QUERY_OPCODES. */
struct io_uring_query_opcode {
    __u32 nr_request_opcodes;
    __u32 nr_register_opcodes;
    __u64 feature_flags;
    __u64 ring_setup_flags;
    __u64 enter_flags;
    __u64 sqe_flags;
    __u32 nr_query_opcodes;
    __u32 __pad;
};

/* Answer to IO_URING_QUERY_ZCRX. */
struct io_uring_query_zcrx {
    __u64 register_flags; /* ZCRX_REG_... */
    __u64 area_flags;     /* IORING_ZCRX_AREA_... */
    __u32 nr_ctrl_opcodes;
    __u32 features;    /* ZCRX_FEATURE_... */
    __u32 rq_hdr_size; /* bytes of the refill ring's header */
    __u32 rq_hdr_alignment;
    __u64 __resv2;
};

/* Answer to IO_URING_QUERY_SCQ: the header of the memory that IORING_SETUP_NO_MMAP wants for the rings. */
struct io_uring_query_scq {
    __u64 hdr_size;
    __u64 hdr_alignment;
};

#endif
