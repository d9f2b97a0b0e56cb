/* SPDX-License-Identifier: MIT */
/* Making and ending a ring, and how much memory it takes. */
#ifndef LIBURING_SETUP_H
#define LIBURING_SETUP_H

#include "liburing/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Makes a ring with room for `entries` SQEs (rounded up to a power of two) and twice as many CQEs. `flags` are
 * IORING_SETUP_... flags. Returns 0, or -errno: -EINVAL for flags or sizes that the ring does not know, -EPERM,
 * -ENOSYS or -EACCES if io_uring is refused and RINGSIDE_PROVIDER is kernel, -ENOMEM, -EMFILE.
 */
int io_uring_queue_init(unsigned entries, struct io_uring* ring, unsigned flags);

/*
 * The same with all parameters. The program zeroes `p` and sets the fields that it wants; on return `p` describes the
 * ring. With IORING_SETUP_NO_MMAP the library allocates the memory.
 */
int io_uring_queue_init_params(unsigned entries, struct io_uring* ring, struct io_uring_params* p);

/*
 * The same in memory of the program's. `buf` is page-aligned and holds `buf_size` bytes
 * (io_uring_memory_size_params() returns how many are needed). It must outlive the ring; io_uring_queue_exit() does
 * not free it. IORING_SETUP_NO_MMAP is implied. Returns the number of bytes used, or -errno: -ENOMEM if buf is too
 * small.
 */
int io_uring_queue_init_mem(unsigned entries, struct io_uring* ring, struct io_uring_params* p, void* buf,
                            size_t buf_size);

/*
 * Turns the descriptor that io_uring_setup() returned, and the parameters it filled in, into a ring. The ring owns the
 * descriptor if this succeeds. Returns 0 or -errno.
 */
int io_uring_queue_mmap(int fd, struct io_uring_params* p, struct io_uring* ring);

/* Ends a ring: requests in flight are cancelled, its memory and descriptor go. No thread may still use the ring. */
void io_uring_queue_exit(struct io_uring* ring);

/*
 * Keeps the ring's memory from children made by fork(2), where it would only be copied on write. Returns 0 or -errno.
 */
int io_uring_ring_dontfork(struct io_uring* ring);

/*
 * Bytes of locked memory (RLIMIT_MEMLOCK) that a ring of this size takes: 0 where the kernel does not count them (5.12
 * and later, and the engine). Returns -errno on failure.
 */
ssize_t io_uring_mlock_size(unsigned entries, unsigned flags);
ssize_t io_uring_mlock_size_params(unsigned entries, struct io_uring_params* p);

/* Bytes that io_uring_queue_init_mem() uses for a ring of this size, or -EINVAL for a size that no ring can have. */
ssize_t io_uring_memory_size(unsigned entries, unsigned flags);
ssize_t io_uring_memory_size_params(unsigned entries, struct io_uring_params* p);

/*
 * Report which opcodes a ring knows. The first function makes a ring for this, the second uses an existing one. Both
 * return memory that io_uring_free_probe() releases, or null.
 */
struct io_uring_probe* io_uring_get_probe(void);
struct io_uring_probe* io_uring_get_probe_ring(struct io_uring* ring);
void io_uring_free_probe(struct io_uring_probe* probe);

/* Whether opcode `op` (IORING_OP_...) works, by the answer of io_uring_get_probe(): 1 or 0. */
IOURINGINLINE int io_uring_opcode_supported(const struct io_uring_probe* p, int op) {
    if (op < 0 || op > p->last_op || op >= p->ops_len) return 0;
    return (p->ops[op].flags & IO_URING_OP_SUPPORTED) != 0;
}

/*
 * The three system calls, bare, on the provider that was chosen for the process or owns `fd`. They return -errno and
 * leave errno alone. io_uring_enter() takes a signal mask as the kernel's first version did (null: leave signals as
 * they are); io_uring_enter2() takes `arg` of `sz` bytes, as flags say.
 */
int io_uring_setup(unsigned int entries, struct io_uring_params* p);
int io_uring_register(unsigned int fd, unsigned int opcode, const void* arg, unsigned int nr_args);

#ifdef __cplusplus
}
#endif

#endif
