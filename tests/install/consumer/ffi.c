/* A program that knows no header, as one in another language: it declares what it calls. */
#include <stdio.h>

struct io_uring_sqe;
struct io_uring_cqe;
extern int io_uring_queue_init(unsigned entries, void* ring, unsigned flags);
extern struct io_uring_sqe* io_uring_get_sqe(void* ring);
extern void io_uring_prep_nop(struct io_uring_sqe* sqe);
extern void io_uring_sqe_set_data64(struct io_uring_sqe* sqe, unsigned long long data);
extern int io_uring_submit(void* ring);
extern int io_uring_wait_cqe(void* ring, struct io_uring_cqe** cqe);
extern unsigned long long io_uring_cqe_get_data64(const struct io_uring_cqe* cqe);
extern void io_uring_cqe_seen(void* ring, struct io_uring_cqe* cqe);
extern void io_uring_queue_exit(void* ring);

int main(void) {
    _Alignas(8) char ring[216];
    struct io_uring_sqe* sqe;
    struct io_uring_cqe* cqe;
    unsigned long long data;

    if (io_uring_queue_init(4, ring, 0) != 0) return 1;
    sqe = io_uring_get_sqe(ring);
    io_uring_prep_nop(sqe);
    io_uring_sqe_set_data64(sqe, 4711);
    if (io_uring_submit(ring) != 1 || io_uring_wait_cqe(ring, &cqe) != 0) return 1;
    data = io_uring_cqe_get_data64(cqe);
    io_uring_cqe_seen(ring, cqe);
    io_uring_queue_exit(ring);
    if (data != 4711) return 1;
    puts("read");
    return 0;
}
