/* What the consumers in C and C++ do alike: read the beginning of their own executable through a ring. */
#include <liburing.h>
/* First, since -std=c11 hides what it needs unless it asks for it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int read_through(struct io_uring* ring, int fd, char* text, unsigned size) {
    struct io_uring_cqe* cqe;
    struct io_uring_sqe* sqe = io_uring_get_sqe(ring);
    int error;

    if (!sqe) return -EBUSY;
    io_uring_prep_read(sqe, fd, text, size, 0);
    error = io_uring_submit(ring);
    if (error < 0) return error;
    error = io_uring_wait_cqe(ring, &cqe);
    if (error < 0) return error;
    error = cqe->res;
    io_uring_cqe_seen(ring, cqe);
    return error;
}

static int read_itself(void) {
    char text[4];
    struct io_uring ring;
    int fd;
    int result = io_uring_queue_init(8, &ring, 0);

    if (result < 0) {
        fprintf(stderr, "no ring: %s\n", strerror(-result));
        return 1;
    }
    fd = open("/proc/self/exe", O_RDONLY);
    result = read_through(&ring, fd, text, sizeof(text));
    close(fd);
    io_uring_queue_exit(&ring);
    if (result != (int)sizeof(text) || memcmp(text, "\177ELF", sizeof(text)) != 0) {
        fprintf(stderr, "read %d\n", result);
        return 1;
    }
    puts("read");
    return 0;
}
