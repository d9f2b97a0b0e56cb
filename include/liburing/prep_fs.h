/* SPDX-License-Identifier: MIT */
/*
 * Files by name, their state, and their end. prep_rw.h describes what all io_uring_prep_... helpers have in common.
 *
 * Helpers named ..._direct put the file into slot `file_index` of the registered files, not into the descriptor table:
 * the result is then 0, or the slot if IORING_FILE_INDEX_ALLOC asked for any free one (-ENFILE if there is none).
 */
#ifndef LIBURING_PREP_FS_H
#define LIBURING_PREP_FS_H

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>

#include "liburing/sqe.h"

#ifdef __cplusplus
extern "C" {
#endif

struct statx;

/* openat(2). The result is the descriptor. */
IOURINGINLINE void io_uring_prep_openat(struct io_uring_sqe* sqe, int dfd, const char* path, int flags, mode_t mode) {
    io_uring_prep_rw(IORING_OP_OPENAT, sqe, dfd, path, mode, 0);
    sqe->open_flags = (__u32)flags;
}
IOURINGINLINE void io_uring_prep_openat_direct(struct io_uring_sqe* sqe, int dfd, const char* path, int flags,
                                               mode_t mode, unsigned file_index) {
    io_uring_prep_openat(sqe, dfd, path, flags, mode);
    __io_uring_set_target_fixed_file(sqe, file_index);
}

/* open(2): openat from the working directory. */
IOURINGINLINE void io_uring_prep_open(struct io_uring_sqe* sqe, const char* path, int flags, mode_t mode) {
    io_uring_prep_openat(sqe, AT_FDCWD, path, flags, mode);
}
IOURINGINLINE void io_uring_prep_open_direct(struct io_uring_sqe* sqe, const char* path, int flags, mode_t mode,
                                             unsigned file_index) {
    io_uring_prep_openat_direct(sqe, AT_FDCWD, path, flags, mode, file_index);
}

/* openat2(2). `how` is read when the request is submitted. */
IOURINGINLINE void io_uring_prep_openat2(struct io_uring_sqe* sqe, int dfd, const char* path,
                                         const struct open_how* how) {
    io_uring_prep_rw(IORING_OP_OPENAT2, sqe, dfd, path, sizeof(*how), uring_ptr_to_u64(how));
}
IOURINGINLINE void io_uring_prep_openat2_direct(struct io_uring_sqe* sqe, int dfd, const char* path,
                                                const struct open_how* how, unsigned file_index) {
    io_uring_prep_openat2(sqe, dfd, path, how);
    __io_uring_set_target_fixed_file(sqe, file_index);
}

/* close(2). Requests in flight on the file go on. */
IOURINGINLINE void io_uring_prep_close(struct io_uring_sqe* sqe, int fd) {
    io_uring_prep_rw(IORING_OP_CLOSE, sqe, fd, NULL, 0, 0);
}

/* Empties slot `file_index` of the registered files. -EBADF if it was empty. */
IOURINGINLINE void io_uring_prep_close_direct(struct io_uring_sqe* sqe, unsigned file_index) {
    io_uring_prep_close(sqe, 0);
    __io_uring_set_target_fixed_file(sqe, file_index);
}

/* statx(2): STATX_... `mask`, AT_... `flags`; *statxbuf is written when the request completes. */
IOURINGINLINE void io_uring_prep_statx(struct io_uring_sqe* sqe, int dfd, const char* path, int flags, unsigned mask,
                                       struct statx* statxbuf) {
    io_uring_prep_rw(IORING_OP_STATX, sqe, dfd, path, mask, uring_ptr_to_u64(statxbuf));
    sqe->statx_flags = (__u32)flags;
}

/* fsync(2), or fdatasync(2) with IORING_FSYNC_DATASYNC. It does not wait for writes that are still in flight. */
IOURINGINLINE void io_uring_prep_fsync(struct io_uring_sqe* sqe, int fd, unsigned fsync_flags) {
    io_uring_prep_rw(IORING_OP_FSYNC, sqe, fd, NULL, 0, 0);
    sqe->fsync_flags = fsync_flags;
}

/* sync_file_range(2) of `len` bytes from `offset` on, with SYNC_FILE_RANGE_... flags. */
IOURINGINLINE void io_uring_prep_sync_file_range(struct io_uring_sqe* sqe, int fd, unsigned len, __u64 offset,
                                                 int flags) {
    io_uring_prep_rw(IORING_OP_SYNC_FILE_RANGE, sqe, fd, NULL, len, offset);
    sqe->sync_range_flags = (__u32)flags;
}

/* fallocate(2): FALLOC_FL_... `mode`, `len` bytes from `offset` on. */
IOURINGINLINE void io_uring_prep_fallocate(struct io_uring_sqe* sqe, int fd, int mode, __u64 offset, __u64 len) {
    io_uring_prep_rw(IORING_OP_FALLOCATE, sqe, fd, NULL, (unsigned)mode, offset);
    sqe->addr = len;
}

/* ftruncate(2) to `len` bytes. Linux 6.9. */
IOURINGINLINE void io_uring_prep_ftruncate(struct io_uring_sqe* sqe, int fd, int64_t len) {
    io_uring_prep_rw(IORING_OP_FTRUNCATE, sqe, fd, NULL, 0, (__u64)len);
}

/* posix_fadvise(2): POSIX_FADV_... for `len` bytes from `offset` on (0: to the end). fadvise64 takes long lengths. */
IOURINGINLINE void io_uring_prep_fadvise(struct io_uring_sqe* sqe, int fd, __u64 offset, __u32 len, int advice) {
    io_uring_prep_rw(IORING_OP_FADVISE, sqe, fd, NULL, len, offset);
    sqe->fadvise_advice = (__u32)advice;
}
IOURINGINLINE void io_uring_prep_fadvise64(struct io_uring_sqe* sqe, int fd, __u64 offset, off_t len, int advice) {
    io_uring_prep_fadvise(sqe, fd, offset, 0, advice);
    sqe->addr = (__u64)len;
}

/* madvise(2): MADV_... for `length` bytes from addr on. madvise64 takes long lengths. */
IOURINGINLINE void io_uring_prep_madvise(struct io_uring_sqe* sqe, void* addr, __u32 length, int advice) {
    io_uring_prep_rw(IORING_OP_MADVISE, sqe, -1, addr, length, 0);
    sqe->fadvise_advice = (__u32)advice;
}
IOURINGINLINE void io_uring_prep_madvise64(struct io_uring_sqe* sqe, void* addr, off_t length, int advice) {
    io_uring_prep_madvise(sqe, addr, 0, advice);
    sqe->off = (__u64)length;
}

/* unlinkat(2): `flags` may be AT_REMOVEDIR. */
IOURINGINLINE void io_uring_prep_unlinkat(struct io_uring_sqe* sqe, int dfd, const char* path, int flags) {
    io_uring_prep_rw(IORING_OP_UNLINKAT, sqe, dfd, path, 0, 0);
    sqe->unlink_flags = (__u32)flags;
}
IOURINGINLINE void io_uring_prep_unlink(struct io_uring_sqe* sqe, const char* path, int flags) {
    io_uring_prep_unlinkat(sqe, AT_FDCWD, path, flags);
}

/* renameat2(2), with RENAME_... flags. */
IOURINGINLINE void io_uring_prep_renameat(struct io_uring_sqe* sqe, int olddfd, const char* oldpath, int newdfd,
                                          const char* newpath, unsigned int flags) {
    io_uring_prep_rw(IORING_OP_RENAMEAT, sqe, olddfd, oldpath, (unsigned)newdfd, uring_ptr_to_u64(newpath));
    sqe->rename_flags = flags;
}
IOURINGINLINE void io_uring_prep_rename(struct io_uring_sqe* sqe, const char* oldpath, const char* newpath) {
    io_uring_prep_renameat(sqe, AT_FDCWD, oldpath, AT_FDCWD, newpath, 0);
}

/* mkdirat(2). */
IOURINGINLINE void io_uring_prep_mkdirat(struct io_uring_sqe* sqe, int dfd, const char* path, mode_t mode) {
    io_uring_prep_rw(IORING_OP_MKDIRAT, sqe, dfd, path, mode, 0);
}
IOURINGINLINE void io_uring_prep_mkdir(struct io_uring_sqe* sqe, const char* path, mode_t mode) {
    io_uring_prep_mkdirat(sqe, AT_FDCWD, path, mode);
}

/* symlinkat(2): linkpath becomes a symbolic link to target. */
IOURINGINLINE void io_uring_prep_symlinkat(struct io_uring_sqe* sqe, const char* target, int newdirfd,
                                           const char* linkpath) {
    io_uring_prep_rw(IORING_OP_SYMLINKAT, sqe, newdirfd, target, 0, uring_ptr_to_u64(linkpath));
}
IOURINGINLINE void io_uring_prep_symlink(struct io_uring_sqe* sqe, const char* target, const char* linkpath) {
    io_uring_prep_symlinkat(sqe, target, AT_FDCWD, linkpath);
}

/* linkat(2): newpath becomes another name of oldpath; AT_SYMLINK_FOLLOW and AT_EMPTY_PATH as flags. */
IOURINGINLINE void io_uring_prep_linkat(struct io_uring_sqe* sqe, int olddfd, const char* oldpath, int newdfd,
                                        const char* newpath, int flags) {
    io_uring_prep_rw(IORING_OP_LINKAT, sqe, olddfd, oldpath, (unsigned)newdfd, uring_ptr_to_u64(newpath));
    sqe->hardlink_flags = (__u32)flags;
}
IOURINGINLINE void io_uring_prep_link(struct io_uring_sqe* sqe, const char* oldpath, const char* newpath, int flags) {
    io_uring_prep_linkat(sqe, AT_FDCWD, oldpath, AT_FDCWD, newpath, flags);
}

/* getxattr(2): attribute `name` of `path` into `len` bytes at value. The result is its length. */
IOURINGINLINE void io_uring_prep_getxattr(struct io_uring_sqe* sqe, const char* name, char* value, const char* path,
                                          unsigned int len) {
    io_uring_prep_rw(IORING_OP_GETXATTR, sqe, 0, name, len, uring_ptr_to_u64(value));
    sqe->addr3 = uring_ptr_to_u64(path);
    sqe->xattr_flags = 0;
}

/* setxattr(2): `len` bytes at value become attribute `name` of `path`; XATTR_CREATE and XATTR_REPLACE as flags. */
IOURINGINLINE void io_uring_prep_setxattr(struct io_uring_sqe* sqe, const char* name, const char* value,
                                          const char* path, int flags, unsigned int len) {
    io_uring_prep_rw(IORING_OP_SETXATTR, sqe, 0, name, len, uring_ptr_to_u64(value));
    sqe->addr3 = uring_ptr_to_u64(path);
    sqe->xattr_flags = (__u32)flags;
}

/* fgetxattr(2) and fsetxattr(2): the same for an open file. */
IOURINGINLINE void io_uring_prep_fgetxattr(struct io_uring_sqe* sqe, int fd, const char* name, char* value,
                                           unsigned int len) {
    io_uring_prep_rw(IORING_OP_FGETXATTR, sqe, fd, name, len, uring_ptr_to_u64(value));
    sqe->xattr_flags = 0;
}
IOURINGINLINE void io_uring_prep_fsetxattr(struct io_uring_sqe* sqe, int fd, const char* name, const char* value,
                                           int flags, unsigned int len) {
    io_uring_prep_rw(IORING_OP_FSETXATTR, sqe, fd, name, len, uring_ptr_to_u64(value));
    sqe->xattr_flags = (__u32)flags;
}

/* pipe2(2): fds[0] reads what fds[1] writes. `pipe_flags` as there. Linux 6.16. */
IOURINGINLINE void io_uring_prep_pipe(struct io_uring_sqe* sqe, int* fds, int pipe_flags) {
    io_uring_prep_rw(IORING_OP_PIPE, sqe, 0, fds, 0, 0);
    sqe->pipe_flags = (__u32)pipe_flags;
}

/* The same into slots `file_index` and the next one, or into any two free ones, which fds then names. */
IOURINGINLINE void io_uring_prep_pipe_direct(struct io_uring_sqe* sqe, int* fds, int pipe_flags,
                                             unsigned int file_index) {
    io_uring_prep_pipe(sqe, fds, pipe_flags);
    __io_uring_set_target_fixed_file(sqe, file_index);
}

/*
 * New files for the `nr_fds` slots of the registered files from `offset` on: -1 empties a slot. Or any free slots, if
 * offset is IORING_FILE_INDEX_ALLOC: fds then becomes their numbers. The result is how many were done.
 */
IOURINGINLINE void io_uring_prep_files_update(struct io_uring_sqe* sqe, int* fds, unsigned nr_fds, int offset) {
    io_uring_prep_rw(IORING_OP_FILES_UPDATE, sqe, -1, fds, nr_fds, (__u64)offset);
}

/* Gives registered file `fd` a descriptor, close-on-exec unless IORING_FIXED_FD_NO_CLOEXEC. Linux 6.8. */
IOURINGINLINE void io_uring_prep_fixed_fd_install(struct io_uring_sqe* sqe, int fd, unsigned int flags) {
    io_uring_prep_rw(IORING_OP_FIXED_FD_INSTALL, sqe, fd, NULL, 0, 0);
    sqe->flags = IOSQE_FIXED_FILE;
    sqe->install_fd_flags = flags;
}

#ifdef __cplusplus
}
#endif

#endif
