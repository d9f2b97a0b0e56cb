/* SPDX-License-Identifier: MIT */
/* IORING_REGISTER_BPF_FILTER: classic BPF programs that allow or deny requests. Part of liburing/io_uring.h. */
#ifndef LINUX_IO_URING_BPF_FILTER_H
#define LINUX_IO_URING_BPF_FILTER_H

#include <linux/types.h>

/* What a filter sees of a request. */
struct io_uring_bpf_ctx {
    __u64 user_data;
    __u8 opcode;
    __u8 sqe_flags;
    __u8 pdu_size; /* bytes of the union that the operation fills */
    __u8 pad[5];
    union {
        struct {
            __u32 family;
            __u32 type;
            __u32 protocol;
        } socket;
        struct {
            __u64 flags;
            __u64 mode;
            __u64 resolve;
        } open;
    };
};

/* io_uring_bpf_filter.flags */
enum io_uring_bpf_filter_flags {
    IO_URING_BPF_FILTER_DENY_REST = 1, /* opcodes that have no filter are denied from now on */
    IO_URING_BPF_FILTER_SZ_STRICT = 2, /* refuse if pdu_size is not the ring's own */
};

/* The filter of one opcode: nonzero allows the request, zero fails it with -EACCES. */
struct io_uring_bpf_filter {
    __u32 opcode;
    __u32 flags;
    __u32 filter_len; /* instructions */
    __u8 pdu_size;
    __u8 resv[3];
    __u64 filter_ptr; /* array of struct sock_filter */
    __u64 resv2[5];
};

/* io_uring_bpf.cmd_type */
enum io_uring_bpf_cmd {
    IO_URING_BPF_CMD_FILTER = 1,
};

/* IORING_REGISTER_BPF_FILTER. */
struct io_uring_bpf {
    __u16 cmd_type;
    __u16 cmd_flags;
    __u32 resv;
    union {
        struct io_uring_bpf_filter filter;
    };
};

#endif
