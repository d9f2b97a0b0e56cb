/* SPDX-License-Identifier: MIT */
/*
 * Reading, writing and moving data. Each helper fills in an SQE that io_uring_get_sqe() gave out.
 *
 * Common to all io_uring_prep_... helpers: memory that describes the request (iovec arrays, paths, times) must stay
 * valid until the request is submitted. Memory that data is read from or written to must stay valid until the request
 * has completed. `fd` is a file descriptor, or a slot of the registered files if IOSQE_FIXED_FILE is set afterwards.
 * Offsets are bytes; -1 means the file's current position. The result comes in the CQE's res, as the system call of
 * the same name returns it, or -errno.
 */
#ifndef LIBURING_PREP_RW_H
#define LIBURING_PREP_RW_H

#include <sys/uio.h>

#include "liburing/sqe.h"

#ifdef __cplusplus
extern "C" {
#endif

/* read(2), pread(2): up to `nbytes` into buf. */
IOURINGINLINE void io_uring_prep_read(struct io_uring_sqe* sqe, int fd, void* buf, unsigned nbytes, __u64 offset) {
    io_uring_prep_rw(IORING_OP_READ, sqe, fd, buf, nbytes, offset);
}

/* write(2), pwrite(2): up to `nbytes` of buf. */
IOURINGINLINE void io_uring_prep_write(struct io_uring_sqe* sqe, int fd, const void* buf, unsigned nbytes,
                                       __u64 offset) {
    io_uring_prep_rw(IORING_OP_WRITE, sqe, fd, buf, nbytes, offset);
}

/* preadv(2) into `nr_vecs` buffers. */
IOURINGINLINE void io_uring_prep_readv(struct io_uring_sqe* sqe, int fd, const struct iovec* iovecs, unsigned nr_vecs,
                                       __u64 offset) {
    io_uring_prep_rw(IORING_OP_READV, sqe, fd, iovecs, nr_vecs, offset);
}

/* preadv2(2): as readv, with RWF_... flags. */
IOURINGINLINE void io_uring_prep_readv2(struct io_uring_sqe* sqe, int fd, const struct iovec* iovecs, unsigned nr_vecs,
                                        __u64 offset, int flags) {
    io_uring_prep_readv(sqe, fd, iovecs, nr_vecs, offset);
    sqe->rw_flags = flags;
}

/* pwritev(2) of `nr_vecs` buffers. */
IOURINGINLINE void io_uring_prep_writev(struct io_uring_sqe* sqe, int fd, const struct iovec* iovecs, unsigned nr_vecs,
                                        __u64 offset) {
    io_uring_prep_rw(IORING_OP_WRITEV, sqe, fd, iovecs, nr_vecs, offset);
}

/* pwritev2(2): as writev, with RWF_... flags. */
IOURINGINLINE void io_uring_prep_writev2(struct io_uring_sqe* sqe, int fd, const struct iovec* iovecs, unsigned nr_vecs,
                                         __u64 offset, int flags) {
    io_uring_prep_writev(sqe, fd, iovecs, nr_vecs, offset);
    sqe->rw_flags = flags;
}

/* A read into registered buffer `buf_index`: buf and nbytes lie within it. -EFAULT if they do not. */
IOURINGINLINE void io_uring_prep_read_fixed(struct io_uring_sqe* sqe, int fd, void* buf, unsigned nbytes, __u64 offset,
                                            int buf_index) {
    io_uring_prep_rw(IORING_OP_READ_FIXED, sqe, fd, buf, nbytes, offset);
    sqe->buf_index = (__u16)buf_index;
}

/* A write from registered buffer `buf_index`: buf and nbytes lie within it. -EFAULT if they do not. */
IOURINGINLINE void io_uring_prep_write_fixed(struct io_uring_sqe* sqe, int fd, const void* buf, unsigned nbytes,
                                             __u64 offset, int buf_index) {
    io_uring_prep_rw(IORING_OP_WRITE_FIXED, sqe, fd, buf, nbytes, offset);
    sqe->buf_index = (__u16)buf_index;
}

/* A vectored read into parts of registered buffer `buf_index`, with RWF_... flags. Linux 6.15. */
IOURINGINLINE void io_uring_prep_readv_fixed(struct io_uring_sqe* sqe, int fd, const struct iovec* iovecs,
                                             unsigned nr_vecs, __u64 offset, int flags, int buf_index) {
    io_uring_prep_rw(IORING_OP_READV_FIXED, sqe, fd, iovecs, nr_vecs, offset);
    sqe->rw_flags = flags;
    sqe->buf_index = (__u16)buf_index;
}

/* A vectored write of parts of registered buffer `buf_index`, with RWF_... flags. Linux 6.15. */
IOURINGINLINE void io_uring_prep_writev_fixed(struct io_uring_sqe* sqe, int fd, const struct iovec* iovecs,
                                              unsigned nr_vecs, __u64 offset, int flags, int buf_index) {
    io_uring_prep_rw(IORING_OP_WRITEV_FIXED, sqe, fd, iovecs, nr_vecs, offset);
    sqe->rw_flags = flags;
    sqe->buf_index = (__u16)buf_index;
}

/*
 * Reads whenever there is data, into buffers of group `buf_group`, and completes each time (IORING_CQE_F_MORE while it
 * goes on). Files that can be polled only: -EBADFD for others. `nbytes` limits each read, 0 means the buffer's size.
 */
IOURINGINLINE void io_uring_prep_read_multishot(struct io_uring_sqe* sqe, int fd, unsigned nbytes, __u64 offset,
                                                int buf_group) {
    io_uring_prep_rw(IORING_OP_READ_MULTISHOT, sqe, fd, NULL, nbytes, offset);
    sqe->buf_group = (__u16)buf_group;
    sqe->flags = IOSQE_BUFFER_SELECT;
}

/*
 * splice(2): moves up to `nbytes` from fd_in to fd_out, one of which is a pipe. A pipe's offset is -1. `splice_flags`
 * may have SPLICE_F_FD_IN_FIXED (fd_in is a registered file); IOSQE_FIXED_FILE is about fd_out.
 */
IOURINGINLINE void io_uring_prep_splice(struct io_uring_sqe* sqe, int fd_in, int64_t off_in, int fd_out,
                                        int64_t off_out, unsigned int nbytes, unsigned int splice_flags) {
    io_uring_prep_rw(IORING_OP_SPLICE, sqe, fd_out, NULL, nbytes, (__u64)off_out);
    sqe->splice_off_in = (__u64)off_in;
    sqe->splice_fd_in = fd_in;
    sqe->splice_flags = splice_flags;
}

/* tee(2): copies up to `nbytes` from pipe fd_in to pipe fd_out without taking them out. Flags as for splice. */
IOURINGINLINE void io_uring_prep_tee(struct io_uring_sqe* sqe, int fd_in, int fd_out, unsigned int nbytes,
                                     unsigned int splice_flags) {
    io_uring_prep_rw(IORING_OP_TEE, sqe, fd_out, NULL, nbytes, 0);
    sqe->splice_off_in = 0;
    sqe->splice_fd_in = fd_in;
    sqe->splice_flags = splice_flags;
}

/*
 * Gives `nr` buffers of `len` bytes each, one after the other from addr on, to group `bgid`; their ids count from
 * `bid`. A buffer ring (buf_ring.h) does the same without a request.
 */
IOURINGINLINE void io_uring_prep_provide_buffers(struct io_uring_sqe* sqe, void* addr, int len, int nr, int bgid,
                                                 int bid) {
    io_uring_prep_rw(IORING_OP_PROVIDE_BUFFERS, sqe, nr, addr, (unsigned)len, (__u64)bid);
    sqe->buf_group = (__u16)bgid;
}

/* Takes up to `nr` buffers back from group `bgid`. The result is how many there were; -ENOENT if no such group. */
IOURINGINLINE void io_uring_prep_remove_buffers(struct io_uring_sqe* sqe, int nr, int bgid) {
    io_uring_prep_rw(IORING_OP_REMOVE_BUFFERS, sqe, nr, NULL, 0, 0);
    sqe->buf_group = (__u16)bgid;
}

#ifdef __cplusplus
}
#endif

#endif
