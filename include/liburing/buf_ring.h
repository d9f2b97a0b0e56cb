/* SPDX-License-Identifier: MIT */
/*
 * Buffer rings: a queue in shared memory through which the program provides buffers to requests that have
 * IOSQE_BUFFER_SELECT. The program fills entries, then publishes them by storing the tail with release; the ring loads
 * it with acquire before it takes one.
 */
#ifndef LIBURING_BUF_RING_H
#define LIBURING_BUF_RING_H

#include "liburing/barrier.h"
#include "liburing/cq.h"
#include "liburing/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Makes, registers and initialises a buffer ring of `nentries` entries (a power of two, at most 32768) for group
 * `bgid`. `flags` may be IOU_PBUF_RING_INC. Returns it, or null and *err = -errno. io_uring_free_buf_ring() ends it.
 */
struct io_uring_buf_ring* io_uring_setup_buf_ring(struct io_uring* ring, unsigned int nentries, int bgid,
                                                  unsigned int flags, int* err);

/*
 * Unregisters and frees a buffer ring of io_uring_setup_buf_ring(), with the same `nentries` and `bgid`. Returns 0 or
 * -errno.
 */
int io_uring_free_buf_ring(struct io_uring* ring, struct io_uring_buf_ring* br, unsigned int nentries, int bgid);

/* Registers a buffer ring in memory of the program (page-aligned, at reg->ring_addr). Returns 0 or -errno. */
int io_uring_register_buf_ring(struct io_uring* ring, struct io_uring_buf_reg* reg, unsigned int flags);

/* Ends the registration. -EINVAL or -ENOENT if the group is none. */
int io_uring_unregister_buf_ring(struct io_uring* ring, int bgid);

/* *head becomes the entry that the ring will take next (modulo 65536). Returns 0 or -errno. Linux 6.8. */
int io_uring_buf_ring_head(struct io_uring* ring, int buf_group, uint16_t* head);

/* The mask that turns a running count into an index of a ring with `ring_entries` entries. */
IOURINGINLINE int io_uring_buf_ring_mask(__u32 ring_entries) { return (int)(ring_entries - 1); }

/* Empties a buffer ring that was just registered. */
IOURINGINLINE void io_uring_buf_ring_init(struct io_uring_buf_ring* br) { br->tail = 0; }

/*
 * Fills the entry that lies `buf_offset` places after the tail with a buffer of `len` bytes and id `bid`. The ring does
 * not see it before io_uring_buf_ring_advance().
 */
IOURINGINLINE void io_uring_buf_ring_add(struct io_uring_buf_ring* br, void* addr, unsigned int len, unsigned short bid,
                                         int mask, int buf_offset) {
    struct io_uring_buf* buf = &br->bufs[(br->tail + buf_offset) & mask];

    /* Not the whole structure: the last field of entry 0 is the tail itself. */
    buf->addr = uring_ptr_to_u64(addr);
    buf->len = len;
    buf->bid = bid;
}

/* Publishes `count` entries. */
IOURINGINLINE void io_uring_buf_ring_advance(struct io_uring_buf_ring* br, int count) {
    const unsigned short tail = (unsigned short)(br->tail + count);

    io_uring_smp_store_release(&br->tail, tail);
}

/* Publishes `buf_count` entries and passes `cq_count` completions. */
IOURINGINLINE void __io_uring_buf_ring_cq_advance(struct io_uring* ring, struct io_uring_buf_ring* br, int cq_count,
                                                  int buf_count) {
    io_uring_buf_ring_advance(br, buf_count);
    io_uring_cq_advance(ring, (unsigned)cq_count);
}

/* Publishes `count` entries and passes as many completions. */
IOURINGINLINE void io_uring_buf_ring_cq_advance(struct io_uring* ring, struct io_uring_buf_ring* br, int count) {
    __io_uring_buf_ring_cq_advance(ring, br, count, count);
}

/* Entries that the ring has not taken yet, or -errno. Out of date at once if requests are in flight. */
IOURINGINLINE int io_uring_buf_ring_available(struct io_uring* ring, struct io_uring_buf_ring* br,
                                              unsigned short bgid) {
    uint16_t head;
    const int ret = io_uring_buf_ring_head(ring, bgid, &head);

    if (ret) return ret;
    return (uint16_t)(br->tail - head);
}

#ifdef __cplusplus
}
#endif

#endif
