/*
 * Stands in for a header of liburing's own sources: some programs of its test suite make the system calls by an
 * internal name, which here leads to the library's public function. The answers are the same: a value >= 0, or -errno.
 */
#ifndef RINGSIDE_STAND_IN_SYSCALL_H
#define RINGSIDE_STAND_IN_SYSCALL_H

#include <errno.h>
#include <liburing.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define __sys_io_uring_setup(entries, params) io_uring_setup((entries), (params))
#define __sys_io_uring_register(fd, opcode, arg, count) io_uring_register((fd), (opcode), (arg), (count))
#define __sys_io_uring_enter(fd, submit, complete, flags, signals) \
    io_uring_enter((fd), (submit), (complete), (flags), (signals))
#define __sys_io_uring_enter2(fd, submit, complete, flags, arg, size) \
    io_uring_enter2((fd), (submit), (complete), (flags), (arg), (size))

/* A program that enters the ring by itself wants the entries that it was given published first; how many there are. */
static inline unsigned __io_uring_flush_sq(struct io_uring* ring) {
    struct io_uring_sq* sq = &ring->sq;

    sq->sqe_head = sq->sqe_tail;
    io_uring_smp_store_release(sq->ktail, sq->sqe_tail);
    return sq->sqe_tail - *sq->khead;
}

#endif
