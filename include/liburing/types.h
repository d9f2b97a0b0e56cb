/* SPDX-License-Identifier: MIT */
/*
 * struct io_uring: a ring as the program holds it. Programs are compiled against these offsets (inline helpers read
 * them), so they are ABI and the same as liburing's; src/abi/ asserts them.
 */
#ifndef LIBURING_TYPES_H
#define LIBURING_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "liburing/io_uring.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The submission queue. Pointers point into memory that is shared with the ring. */
struct io_uring_sq {
    unsigned* khead; /* the ring's: entries before it are taken */
    unsigned* ktail; /* the program's: entries before it are offered */
    unsigned* kring_mask;
    unsigned* kring_entries;
    unsigned* kflags;   /* IORING_SQ_... */
    unsigned* kdropped; /* entries whose index was out of range */
    unsigned* array;    /* index array, each slot naming the SQE of its own number; null with NO_SQARRAY */
    struct io_uring_sqe* sqes;

    unsigned sqe_head; /* SQEs before it are offered */
    unsigned sqe_tail; /* SQEs before it are handed out by io_uring_get_sqe() */

    size_t ring_sz;
    void* ring_ptr;

    unsigned ring_mask;
    unsigned ring_entries;
    unsigned sqes_sz; /* bytes mapped at sqes */

    unsigned pad;
};

/* The completion queue. Pointers point into memory that is shared with the ring. */
struct io_uring_cq {
    unsigned* khead; /* the program's: CQEs before it are reaped */
    unsigned* ktail; /* the ring's: CQEs before it are posted */
    unsigned* kring_mask;
    unsigned* kring_entries;
    unsigned* kflags; /* IORING_CQ_..., null where the ring has none */
    unsigned* koverflow;
    struct io_uring_cqe* cqes;

    size_t ring_sz;
    void* ring_ptr;

    unsigned ring_mask;
    unsigned ring_entries;

    unsigned pad[2]; /* the library's own: which provider runs the ring */
};

/* A ring. Made by io_uring_queue_init() and its kin, ended by io_uring_queue_exit(); programs read it at most. */
struct io_uring {
    struct io_uring_sq sq;
    struct io_uring_cq cq;
    unsigned flags; /* IORING_SETUP_... */
    int ring_fd;    /* readable by poll(2) while completions wait */

    unsigned features; /* IORING_FEAT_... */
    int enter_ring_fd; /* ring_fd, or the index of the registered ring */
    __u8 int_flags;    /* the library's own */
    __u8 pad[3];
    unsigned pad2;
};

/*
 * Where the kernel has no IORING_FEAT_EXT_ARG, a wait with a timeout submits a timeout request of its own, and this is
 * its user_data. Programs that run on such kernels must not use the value.
 */
#define LIBURING_UDATA_TIMEOUT ((__u64) - 1)

/* Tells programs that user_data can be set and read as a number of 64 bits. */
#define LIBURING_HAVE_DATA64

/* Branch hints, as liburing spells them. */
#define uring_unlikely(condition) __builtin_expect(!!(condition), 0)
#define uring_likely(condition) __builtin_expect(!!(condition), 1)

/*
 * How the small functions of these headers are defined. liburing-ffi.so.2 defines it as nothing and so gets them as
 * functions that other languages can call.
 */
#ifndef IOURINGINLINE
#define IOURINGINLINE static inline
#endif

/* A pointer as the ABI carries it. */
static inline __u64 uring_ptr_to_u64(const void* pointer) { return (__u64)(uintptr_t)pointer; }

#ifdef __cplusplus
}
#endif

#endif
