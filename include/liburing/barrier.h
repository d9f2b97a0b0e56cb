/* SPDX-License-Identifier: MIT */
/*
 * Access to memory that the program shares with the ring. Each macro takes a pointer to an integer.
 *
 * An entry and the index that publishes it are two writes, and the other side must not see the index first: the writer
 * stores the index with release, the reader loads it with acquire, and what was written before the one is visible
 * after the other.
 */
#ifndef LIBURING_BARRIER_H
#define LIBURING_BARRIER_H

/* Publishes: everything written before is visible to a thread that loads `value` with acquire. */
#define io_uring_smp_store_release(pointer, value) __atomic_store_n((pointer), (value), __ATOMIC_RELEASE)

/* Subscribes: later reads see everything that was written before the store whose value this load returns. */
#define io_uring_smp_load_acquire(pointer) __atomic_load_n((pointer), __ATOMIC_ACQUIRE)

/* Full barrier, for "write mine, then read yours" on both sides. */
#define io_uring_smp_mb() __atomic_thread_fence(__ATOMIC_SEQ_CST)

/* One access, not torn, not repeated and not left out by the compiler; no order with others. */
#define IO_URING_READ_ONCE(variable) __atomic_load_n(&(variable), __ATOMIC_RELAXED)
#define IO_URING_WRITE_ONCE(variable, value) __atomic_store_n(&(variable), (value), __ATOMIC_RELAXED)

#endif
