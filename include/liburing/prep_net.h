/* SPDX-License-Identifier: MIT */
/*
 * Sockets. prep_rw.h describes what all io_uring_prep_... helpers have in common, prep_fs.h what ..._direct means.
 *
 * A multishot request completes again and again, with IORING_CQE_F_MORE as long as it goes on; the receiving ones take
 * provided buffers (set IOSQE_BUFFER_SELECT and buf_group afterwards). IORING_RECVSEND_... flags go into ioprio,
 * afterwards too.
 */
#ifndef LIBURING_PREP_NET_H
#define LIBURING_PREP_NET_H

#include <sys/socket.h>

#include "liburing/sqe.h"

#ifdef __cplusplus
extern "C" {
#endif

/* socket(2). `flags` must be 0 for now. The result is the descriptor. */
IOURINGINLINE void io_uring_prep_socket(struct io_uring_sqe* sqe, int domain, int type, int protocol,
                                        unsigned int flags) {
    io_uring_prep_rw(IORING_OP_SOCKET, sqe, domain, NULL, (unsigned)protocol, (__u64)type);
    sqe->rw_flags = (int)flags;
}
IOURINGINLINE void io_uring_prep_socket_direct(struct io_uring_sqe* sqe, int domain, int type, int protocol,
                                               unsigned file_index, unsigned int flags) {
    io_uring_prep_socket(sqe, domain, type, protocol, flags);
    __io_uring_set_target_fixed_file(sqe, file_index);
}
IOURINGINLINE void io_uring_prep_socket_direct_alloc(struct io_uring_sqe* sqe, int domain, int type, int protocol,
                                                     unsigned int flags) {
    io_uring_prep_socket_direct(sqe, domain, type, protocol, IORING_FILE_INDEX_ALLOC, flags);
}

/* bind(2). Linux 6.11. */
IOURINGINLINE void io_uring_prep_bind(struct io_uring_sqe* sqe, int fd, const struct sockaddr* addr,
                                      socklen_t addrlen) {
    io_uring_prep_rw(IORING_OP_BIND, sqe, fd, addr, 0, addrlen);
}

/* listen(2). Linux 6.11. */
IOURINGINLINE void io_uring_prep_listen(struct io_uring_sqe* sqe, int fd, int backlog) {
    io_uring_prep_rw(IORING_OP_LISTEN, sqe, fd, NULL, (unsigned)backlog, 0);
}

/* connect(2). The address is read when the request is submitted. */
IOURINGINLINE void io_uring_prep_connect(struct io_uring_sqe* sqe, int fd, const struct sockaddr* addr,
                                         socklen_t addrlen) {
    io_uring_prep_rw(IORING_OP_CONNECT, sqe, fd, addr, 0, addrlen);
}

/* accept4(2): addr and *addrlen (or null) are written when the request completes; SOCK_... flags. */
IOURINGINLINE void io_uring_prep_accept(struct io_uring_sqe* sqe, int fd, struct sockaddr* addr, socklen_t* addrlen,
                                        int flags) {
    io_uring_prep_rw(IORING_OP_ACCEPT, sqe, fd, addr, 0, uring_ptr_to_u64(addrlen));
    sqe->accept_flags = (__u32)flags;
}
IOURINGINLINE void io_uring_prep_accept_direct(struct io_uring_sqe* sqe, int fd, struct sockaddr* addr,
                                               socklen_t* addrlen, int flags, unsigned int file_index) {
    io_uring_prep_accept(sqe, fd, addr, addrlen, flags);
    __io_uring_set_target_fixed_file(sqe, file_index);
}

/* Accepts one connection after the other. The address is of little use: each one overwrites the last. */
IOURINGINLINE void io_uring_prep_multishot_accept(struct io_uring_sqe* sqe, int fd, struct sockaddr* addr,
                                                  socklen_t* addrlen, int flags) {
    io_uring_prep_accept(sqe, fd, addr, addrlen, flags);
    sqe->ioprio |= IORING_ACCEPT_MULTISHOT;
}

/* The same into any free slots of the registered files. */
IOURINGINLINE void io_uring_prep_multishot_accept_direct(struct io_uring_sqe* sqe, int fd, struct sockaddr* addr,
                                                         socklen_t* addrlen, int flags) {
    io_uring_prep_multishot_accept(sqe, fd, addr, addrlen, flags);
    __io_uring_set_target_fixed_file(sqe, IORING_FILE_INDEX_ALLOC);
}

/* send(2) of `len` bytes, with MSG_... flags. MSG_WAITALL makes it go on after a short send. */
IOURINGINLINE void io_uring_prep_send(struct io_uring_sqe* sqe, int sockfd, const void* buf, size_t len, int flags) {
    io_uring_prep_rw(IORING_OP_SEND, sqe, sockfd, buf, (unsigned)len, 0);
    sqe->msg_flags = (__u32)flags;
}

/*
 * Sends provided buffers, as many in one go as there are, up to `len` bytes (0: no limit). Set IOSQE_BUFFER_SELECT and
 * buf_group afterwards. Needs IORING_FEAT_RECVSEND_BUNDLE.
 */
IOURINGINLINE void io_uring_prep_send_bundle(struct io_uring_sqe* sqe, int sockfd, size_t len, int flags) {
    io_uring_prep_send(sqe, sockfd, NULL, len, flags);
    sqe->ioprio |= IORING_RECVSEND_BUNDLE;
}

/* Gives a send that was prepared a destination address of `addr_len` bytes, as sendto(2) has. */
IOURINGINLINE void io_uring_prep_send_set_addr(struct io_uring_sqe* sqe, const struct sockaddr* dest_addr,
                                               __u16 addr_len) {
    sqe->addr2 = uring_ptr_to_u64(dest_addr);
    sqe->addr_len = addr_len;
}

/* sendto(2). */
IOURINGINLINE void io_uring_prep_sendto(struct io_uring_sqe* sqe, int sockfd, const void* buf, size_t len, int flags,
                                        const struct sockaddr* addr, socklen_t addrlen) {
    io_uring_prep_send(sqe, sockfd, buf, len, flags);
    io_uring_prep_send_set_addr(sqe, addr, (__u16)addrlen);
}

/*
 * A send that may transmit from buf without copying. It completes twice: with the result (IORING_CQE_F_MORE), and with
 * IORING_CQE_F_NOTIF when buf is free again. `zc_flags` are IORING_RECVSEND_... and IORING_SEND_ZC_... flags.
 */
IOURINGINLINE void io_uring_prep_send_zc(struct io_uring_sqe* sqe, int sockfd, const void* buf, size_t len, int flags,
                                         unsigned zc_flags) {
    io_uring_prep_rw(IORING_OP_SEND_ZC, sqe, sockfd, buf, (unsigned)len, 0);
    sqe->msg_flags = (__u32)flags;
    sqe->ioprio = (__u16)zc_flags;
}

/* The same from registered buffer `buf_index`. */
IOURINGINLINE void io_uring_prep_send_zc_fixed(struct io_uring_sqe* sqe, int sockfd, const void* buf, size_t len,
                                               int flags, unsigned zc_flags, unsigned buf_index) {
    io_uring_prep_send_zc(sqe, sockfd, buf, len, flags, zc_flags);
    sqe->ioprio |= IORING_RECVSEND_FIXED_BUF;
    sqe->buf_index = (__u16)buf_index;
}

/* recv(2) of up to `len` bytes, with MSG_... flags. MSG_WAITALL makes it go on until len bytes are there. */
IOURINGINLINE void io_uring_prep_recv(struct io_uring_sqe* sqe, int sockfd, void* buf, size_t len, int flags) {
    io_uring_prep_rw(IORING_OP_RECV, sqe, sockfd, buf, (unsigned)len, 0);
    sqe->msg_flags = (__u32)flags;
}
IOURINGINLINE void io_uring_prep_recv_multishot(struct io_uring_sqe* sqe, int sockfd, void* buf, size_t len,
                                                int flags) {
    io_uring_prep_recv(sqe, sockfd, buf, len, flags);
    sqe->ioprio |= IORING_RECV_MULTISHOT;
}

/*
 * sendmsg(2). *msg is read when the request is submitted. The memory that it points to must stay valid until
 * completion.
 */
IOURINGINLINE void io_uring_prep_sendmsg(struct io_uring_sqe* sqe, int fd, const struct msghdr* msg, unsigned flags) {
    io_uring_prep_rw(IORING_OP_SENDMSG, sqe, fd, msg, 1, 0);
    sqe->msg_flags = flags;
}

/* The same without copying; completes as io_uring_prep_send_zc() does. */
IOURINGINLINE void io_uring_prep_sendmsg_zc(struct io_uring_sqe* sqe, int fd, const struct msghdr* msg,
                                            unsigned flags) {
    io_uring_prep_sendmsg(sqe, fd, msg, flags);
    sqe->opcode = IORING_OP_SENDMSG_ZC;
}

/* The same from parts of registered buffer `buf_index`. Linux 6.15. */
IOURINGINLINE void io_uring_prep_sendmsg_zc_fixed(struct io_uring_sqe* sqe, int fd, const struct msghdr* msg,
                                                  unsigned flags, unsigned buf_index) {
    io_uring_prep_sendmsg_zc(sqe, fd, msg, flags);
    sqe->ioprio |= IORING_RECVSEND_FIXED_BUF;
    sqe->buf_index = (__u16)buf_index;
}

/* recvmsg(2). *msg is written when the request completes. */
IOURINGINLINE void io_uring_prep_recvmsg(struct io_uring_sqe* sqe, int fd, struct msghdr* msg, unsigned flags) {
    io_uring_prep_rw(IORING_OP_RECVMSG, sqe, fd, msg, 1, 0);
    sqe->msg_flags = flags;
}

/* Message after message, each in a provided buffer that recvmsg.h takes apart; of *msg the lengths alone are used. */
IOURINGINLINE void io_uring_prep_recvmsg_multishot(struct io_uring_sqe* sqe, int fd, struct msghdr* msg,
                                                   unsigned flags) {
    io_uring_prep_recvmsg(sqe, fd, msg, flags);
    sqe->ioprio |= IORING_RECV_MULTISHOT;
}

/* shutdown(2): SHUT_RD, SHUT_WR or SHUT_RDWR. */
IOURINGINLINE void io_uring_prep_shutdown(struct io_uring_sqe* sqe, int fd, int how) {
    io_uring_prep_rw(IORING_OP_SHUTDOWN, sqe, fd, NULL, (unsigned)how, 0);
}

#ifdef __cplusplus
}
#endif

#endif
