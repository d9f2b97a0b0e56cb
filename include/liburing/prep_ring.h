/* SPDX-License-Identifier: MIT */
/*
 * Requests about rings themselves: no-ops, messages to other rings, and commands that a file's driver understands.
 * prep_rw.h describes what all io_uring_prep_... helpers have in common.
 */
#ifndef LIBURING_PREP_RING_H
#define LIBURING_PREP_RING_H

#include <sys/ioctl.h>
#include <sys/socket.h>

#include "liburing/sqe.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Completes with 0, at once. */
IOURINGINLINE void io_uring_prep_nop(struct io_uring_sqe* sqe) { io_uring_prep_rw(IORING_OP_NOP, sqe, -1, NULL, 0, 0); }

/* The same as an SQE of 128 bytes, from io_uring_get_sqe128(), in a ring of mixed sizes. */
IOURINGINLINE void io_uring_prep_nop128(struct io_uring_sqe* sqe) {
    io_uring_prep_rw(IORING_OP_NOP128, sqe, -1, NULL, 0, 0);
}

/*
 * Posts a completion on the ring behind `fd`, with `data` as its user_data and `len` as its res. The result here is 0;
 * -EBADFD if fd is no ring, -EOVERFLOW if the other ring could not take it.
 */
IOURINGINLINE void io_uring_prep_msg_ring(struct io_uring_sqe* sqe, int fd, unsigned int len, __u64 data,
                                          unsigned int flags) {
    io_uring_prep_rw(IORING_OP_MSG_RING, sqe, fd, NULL, len, data);
    sqe->msg_ring_flags = flags;
}

/* The same with `cqe_flags` as the flags of the completion. Linux 6.3. */
IOURINGINLINE void io_uring_prep_msg_ring_cqe_flags(struct io_uring_sqe* sqe, int fd, unsigned int len, __u64 data,
                                                    unsigned int flags, unsigned int cqe_flags) {
    io_uring_prep_msg_ring(sqe, fd, len, data, flags | IORING_MSG_RING_FLAGS_PASS);
    sqe->file_index = cqe_flags;
}

/*
 * Hands registered file `source_fd` to slot `target_fd` of the registered files of the ring behind `fd`, and posts a
 * completion with `data` there, unless `flags` has IORING_MSG_RING_CQE_SKIP.
 */
IOURINGINLINE void io_uring_prep_msg_ring_fd(struct io_uring_sqe* sqe, int fd, int source_fd, int target_fd, __u64 data,
                                             unsigned int flags) {
    io_uring_prep_rw(IORING_OP_MSG_RING, sqe, fd, NULL, 0, data);
    sqe->addr = IORING_MSG_SEND_FD;
    sqe->addr3 = (__u64)source_fd;
    __io_uring_set_target_fixed_file(sqe, (unsigned)target_fd);
    sqe->msg_ring_flags = flags;
}

/* The same to any free slot, which is the result and the res of the other completion. */
IOURINGINLINE void io_uring_prep_msg_ring_fd_alloc(struct io_uring_sqe* sqe, int fd, int source_fd, __u64 data,
                                                   unsigned int flags) {
    io_uring_prep_msg_ring_fd(sqe, fd, source_fd, (int)IORING_FILE_INDEX_ALLOC, data, flags);
}

/* A command of the driver behind `fd`; its payload goes to sqe->cmd. */
IOURINGINLINE void io_uring_prep_uring_cmd(struct io_uring_sqe* sqe, int cmd_op, int fd) {
    io_uring_prep_rw(IORING_OP_URING_CMD, sqe, fd, NULL, 0, 0);
    sqe->cmd_op = (__u32)cmd_op;
}

/* The same as an SQE of 128 bytes, from io_uring_get_sqe128(), in a ring of mixed sizes. */
IOURINGINLINE void io_uring_prep_uring_cmd128(struct io_uring_sqe* sqe, int cmd_op, int fd) {
    io_uring_prep_uring_cmd(sqe, cmd_op, fd);
    sqe->opcode = IORING_OP_URING_CMD128;
}

/*
 * SOCKET_URING_OP_... on socket `fd`. The result of getting a socket option is the number of bytes written to optval
 * (which has `optlen`), that of setting one is 0, and that of SIOCINQ and SIOCOUTQ is the number of bytes in the
 * queue. Linux 6.7.
 */
IOURINGINLINE void io_uring_prep_cmd_sock(struct io_uring_sqe* sqe, int cmd_op, int fd, int level, int optname,
                                          void* optval, int optlen) {
    io_uring_prep_uring_cmd(sqe, cmd_op, fd);
    sqe->level = (__u32)level;
    sqe->optname = (__u32)optname;
    sqe->optval = uring_ptr_to_u64(optval);
    sqe->optlen = (__u32)optlen;
}

/*
 * getsockname(2), or getpeername(2) if `peer` is 1: *sockaddr and *sockaddr_len are written when it completes. Linux
 * 6.19.
 */
IOURINGINLINE void io_uring_prep_cmd_getsockname(struct io_uring_sqe* sqe, int fd, struct sockaddr* sockaddr,
                                                 socklen_t* sockaddr_len, int peer) {
    io_uring_prep_uring_cmd(sqe, SOCKET_URING_OP_GETSOCKNAME, fd);
    sqe->addr = uring_ptr_to_u64(sockaddr);
    sqe->addr3 = uring_ptr_to_u64(sockaddr_len);
    sqe->optlen = (__u32)peer;
}

/* The commands of block devices, as <linux/blkdev.h> of newer systems has them. */
#ifndef BLOCK_URING_CMD_DISCARD
#define BLOCK_URING_CMD_DISCARD _IO(0x12, 0)
#endif
#ifndef BLOCK_URING_CMD_ZONE_RESET_ALL
#define BLOCK_URING_CMD_ZONE_RESET_ALL _IO(0x12, 1)
#endif

/* Discards `nbytes` bytes of block device `fd` from `offset` on, both multiples of its block size. Linux 6.12. */
IOURINGINLINE void io_uring_prep_cmd_discard(struct io_uring_sqe* sqe, int fd, uint64_t offset, uint64_t nbytes) {
    io_uring_prep_uring_cmd(sqe, BLOCK_URING_CMD_DISCARD, fd);
    sqe->addr = offset;
    sqe->addr3 = nbytes;
}

/* Resets all zones of zoned block device `fd` that must be written in sequence. */
IOURINGINLINE void io_uring_prep_cmd_zone_reset_all(struct io_uring_sqe* sqe, int fd) {
    io_uring_prep_uring_cmd(sqe, BLOCK_URING_CMD_ZONE_RESET_ALL, fd);
}

#ifdef __cplusplus
}
#endif

#endif
