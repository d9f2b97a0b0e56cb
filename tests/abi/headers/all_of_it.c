/* A program that uses the parts of the headers that compilers like to complain about. */
#include <liburing.h>

unsigned payload_of_a_command(struct io_uring_sqe *sqe) { return sqe->cmd[79]; }

unsigned long long second_word_of_a_large_completion(const struct io_uring_cqe *cqe) { return cqe->big_cqe[1]; }

unsigned short id_of_a_buffer(const struct io_uring_buf_ring *buffers) { return buffers->bufs[3].bid; }

int walk(struct io_uring *ring) {
    struct io_uring_cqe *cqe;
    unsigned head;
    int sum = 0;
    unsigned seen = 0;

    io_uring_for_each_cqe(ring, head, cqe) {
        if (head == 0) continue;
        sum += cqe->res;
        seen += io_uring_cqe_nr(cqe);
    }
    io_uring_cq_advance(ring, seen);
    return sum;
}

int read_some(struct io_uring *ring, int fd, void *buffer, unsigned size) {
    struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
    struct io_uring_cqe *cqe;

    if (!sqe) return -EBUSY;
    io_uring_prep_read(sqe, fd, buffer, size, 0);
    io_uring_sqe_set_data(sqe, buffer);
    if (io_uring_submit(ring) != 1) return -EIO;
    if (io_uring_wait_cqe(ring, &cqe)) return -EIO;
    if (io_uring_cqe_get_data(cqe) != buffer) return -EIO;
    size = (unsigned)cqe->res;
    io_uring_cqe_seen(ring, cqe);
    return (int)size;
}

unsigned how_many_names_are_macros(void) {
#if !defined(IORING_SETUP_SQPOLL) || !defined(IORING_FEAT_EXT_ARG) || !defined(LIBURING_HAVE_DATA64)
#error "programs test for these with #ifdef"
#endif
    return IORING_OP_LAST;
}
