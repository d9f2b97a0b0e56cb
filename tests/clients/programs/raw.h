// What the client programs share: a ring without any library, its three system calls made through libc's syscall(), or,
// with INLINE_CALLS, by an instruction in the program; and a check that ends the program with the line that failed.
#pragma once

#include <errno.h>
#include <linux/io_uring.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CHECK(condition)                                                                      \
    do {                                                                                      \
        if (!(condition)) {                                                                   \
            fprintf(stderr, "%s:%d: %s (errno %d)\n", __FILE__, __LINE__, #condition, errno); \
            _exit(1);                                                                         \
        }                                                                                     \
    } while (0)

// Returns a value >= 0 or -errno, in both flavours.
#if !defined(INLINE_CALLS)
static inline long raw_call(long number, long a, long b, long c, long d, long e, long f) {
    const long result = syscall(number, a, b, c, d, e, f);
    return result < 0 ? -errno : result;
}
static inline int raw_close(int fd) { return close(fd) < 0 ? -errno : 0; }
#else
static inline long raw_call(long number, long a, long b, long c, long d, long e, long f) {
#if defined(__x86_64__)
    register long fourth __asm__("r10") = d;
    register long fifth __asm__("r8") = e;
    register long sixth __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "+a"(number)
                     : "D"(a), "S"(b), "d"(c), "r"(fourth), "r"(fifth), "r"(sixth)
                     : "rcx", "r11", "memory");
    return number;
#elif defined(__aarch64__)
    register long which __asm__("x8") = number;
    register long first __asm__("x0") = a;
    register long second __asm__("x1") = b;
    register long third __asm__("x2") = c;
    register long fourth __asm__("x3") = d;
    register long fifth __asm__("x4") = e;
    register long sixth __asm__("x5") = f;
    __asm__ volatile("svc 0"
                     : "+r"(first)
                     : "r"(which), "r"(second), "r"(third), "r"(fourth), "r"(fifth), "r"(sixth)
                     : "memory");
    return first;
#endif
}
static inline int raw_close(int fd) { return (int)raw_call(__NR_close, fd, 0, 0, 0, 0, 0); }
#endif

struct ring {
    int fd;
    struct io_uring_params params;
    char* rings;
    size_t rings_size;
    struct io_uring_sqe* sqes;
    size_t sqes_size;
};

static inline _Atomic unsigned* ring_number(const struct ring* ring, unsigned offset) {
    return (_Atomic unsigned*)(ring->rings + offset);
}

static inline struct ring ring_open(unsigned entries) {
    struct ring ring = {0};
    ring.fd = (int)raw_call(__NR_io_uring_setup, entries, (long)&ring.params, 0, 0, 0, 0);
    CHECK(ring.fd >= 0);
    const size_t sq_size = ring.params.sq_off.array + ring.params.sq_entries * sizeof(unsigned);
    const size_t cq_size = ring.params.cq_off.cqes + ring.params.cq_entries * sizeof(struct io_uring_cqe);
    ring.rings_size = sq_size > cq_size ? sq_size : cq_size;
    ring.rings = (char*)mmap(NULL, ring.rings_size, PROT_READ | PROT_WRITE, MAP_SHARED, ring.fd, IORING_OFF_SQ_RING);
    CHECK(ring.rings != MAP_FAILED);
    ring.sqes_size = ring.params.sq_entries * sizeof(struct io_uring_sqe);
    ring.sqes =
        (struct io_uring_sqe*)mmap(NULL, ring.sqes_size, PROT_READ | PROT_WRITE, MAP_SHARED, ring.fd, IORING_OFF_SQES);
    CHECK(ring.sqes != MAP_FAILED);
    return ring;
}

static inline void ring_unmap(struct ring* ring) {
    CHECK(munmap(ring->rings, ring->rings_size) == 0);
    CHECK(munmap(ring->sqes, ring->sqes_size) == 0);
}

static inline void ring_close(struct ring* ring) {
    ring_unmap(ring);
    CHECK(raw_close(ring->fd) == 0);
}

static inline void ring_push(const struct ring* ring, struct io_uring_sqe sqe) {
    const unsigned tail = *ring_number(ring, ring->params.sq_off.tail);
    const unsigned index = tail & *ring_number(ring, ring->params.sq_off.ring_mask);
    ring->sqes[index] = sqe;
    *(ring_number(ring, ring->params.sq_off.array) + index) = index;
    atomic_store_explicit(ring_number(ring, ring->params.sq_off.tail), tail + 1, memory_order_release);
}

// io_uring_enter with the ring's descriptor, or with `fd` as another name of it.
static inline long ring_enter_by(int fd, unsigned submit, unsigned wait) {
    return raw_call(__NR_io_uring_enter, fd, submit, wait, wait > 0 ? IORING_ENTER_GETEVENTS : 0, 0, 0);
}
static inline long ring_enter(const struct ring* ring, unsigned submit, unsigned wait) {
    return ring_enter_by(ring->fd, submit, wait);
}

// A completion as the programs look at it.
struct completion {
    uint64_t user_data;
    int res;
};

// Takes one completion off the ring, which has to be there.
static inline struct completion ring_reap(const struct ring* ring) {
    _Atomic unsigned* head = ring_number(ring, ring->params.cq_off.head);
    CHECK(*head != atomic_load_explicit(ring_number(ring, ring->params.cq_off.tail), memory_order_acquire));
    const unsigned mask = *ring_number(ring, ring->params.cq_off.ring_mask);
    const struct io_uring_cqe* cqes = (const struct io_uring_cqe*)(ring->rings + ring->params.cq_off.cqes);
    const struct completion completion = {cqes[*head & mask].user_data, cqes[*head & mask].res};
    atomic_fetch_add_explicit(head, 1, memory_order_release);
    return completion;
}

// A NOP through the whole ring.
static inline void ring_check_works(const struct ring* ring) {
    static uint64_t number = 0;
    const uint64_t mine = ++number;
    ring_push(ring, (struct io_uring_sqe){.opcode = IORING_OP_NOP, .user_data = mine});
    CHECK(ring_enter(ring, 1, 1) == 1);
    const struct completion completion = ring_reap(ring);
    CHECK(completion.user_data == mine && completion.res == 0);
}
