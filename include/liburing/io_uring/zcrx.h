/* SPDX-License-Identifier: MIT */
/* Zero-copy receive: its registration and its ring. Part of liburing/io_uring.h. */
#ifndef LINUX_IO_ZCRX_H
#define LINUX_IO_ZCRX_H

#include <linux/types.h>

/* An offset into an area carries the area's id in its upper bits. */
#define IORING_ZCRX_AREA_SHIFT 48
#define IORING_ZCRX_AREA_MASK (~(((__u64)1 << IORING_ZCRX_AREA_SHIFT) - 1))

/* One entry of the refill ring: memory that the program gives back. */
struct io_uring_zcrx_rqe {
    __u64 off;
    __u32 len;
    __u32 __pad;
};

/* big_cqe of IORING_OP_RECV_ZC: where the data is. */
struct io_uring_zcrx_cqe {
    __u64 off;
    __u64 __pad;
};

/* Where the parts of the refill ring are, in bytes from the start of its region. */
struct io_uring_zcrx_offsets {
    __u32 head;
    __u32 tail;
    __u32 rqes;
    __u32 __resv2;
    __u64 __resv[2];
};

/* io_uring_zcrx_area_reg.flags */
enum io_uring_zcrx_area_flags {
    IORING_ZCRX_AREA_DMABUF = 1,
};

/* The memory that packets land in. */
struct io_uring_zcrx_area_reg {
    __u64 addr;
    __u64 len;
    __u64 rq_area_token; /* to be or-ed into io_uring_zcrx_rqe.off */
    __u32 flags;
    __u32 dmabuf_fd;
    __u64 __resv2[2];
};

/* io_uring_zcrx_ifq_reg.flags */
enum zcrx_reg_flags {
    ZCRX_REG_IMPORT = 1,
    ZCRX_REG_NODEV = 2,
};

/* io_uring_query_zcrx.features */
enum zcrx_features {
    ZCRX_FEATURE_RX_PAGE_SIZE = 1 << 0, /* rx_buf_len is read */
};

/* IORING_REGISTER_ZCRX_IFQ: a receive queue of a network device. */
struct io_uring_zcrx_ifq_reg {
    __u32 if_idx;
    __u32 if_rxq;
    __u32 rq_entries;
    __u32 flags;
    __u64 area_ptr;   /* struct io_uring_zcrx_area_reg */
    __u64 region_ptr; /* struct io_uring_region_desc */
    struct io_uring_zcrx_offsets offsets;
    __u32 zcrx_id;
    __u32 rx_buf_len;
    __u64 __resv[3];
};

/* zcrx_ctrl.op */
enum zcrx_ctrl_op {
    ZCRX_CTRL_FLUSH_RQ = 0,
    ZCRX_CTRL_EXPORT = 1,
    __ZCRX_CTRL_LAST = 2,
};

/* ZCRX_CTRL_FLUSH_RQ takes nothing. */
struct zcrx_ctrl_flush_rq {
    __u64 __resv[6];
};

/* ZCRX_CTRL_EXPORT answers with a file descriptor. */
struct zcrx_ctrl_export {
    __u32 zcrx_fd;
    __u32 __resv1[11];
};

/* IORING_REGISTER_ZCRX_CTRL. */
struct zcrx_ctrl {
    __u32 zcrx_id;
    __u32 op;
    __u64 __resv[2];
    union {
        struct zcrx_ctrl_export zc_export;
        struct zcrx_ctrl_flush_rq zc_flush;
    };
};

#endif
