/* SPDX-License-Identifier: MIT */
/*
 * cat FILE...: prints files by the liburing API, one request at a time.
 *
 * Nothing here knows of ringside: the same source compiles against liburing. Where the kernel refuses io_uring,
 * ringside's engine runs the ring instead, and the program does not notice.
 */
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char block[64 * 1024];

/* Submits the request that was prepared and waits for it. Returns its result: what the system call would, or -errno. */
static int run(struct io_uring* ring) {
    struct io_uring_cqe* cqe;
    int result = io_uring_submit(ring);

    if (result < 0) return result;
    do {
        result = io_uring_wait_cqe(ring, &cqe);
    } while (result == -EINTR);
    if (result < 0) return result;
    result = cqe->res;
    io_uring_cqe_seen(ring, cqe);
    return result;
}

/* Writes `size` bytes of the block to the standard output: a write may take fewer than it is given. */
static int print_block(struct io_uring* ring, unsigned size) {
    unsigned done = 0;

    while (done < size) {
        int result;

        io_uring_prep_write(io_uring_get_sqe(ring), STDOUT_FILENO, block + done, size - done, (__u64)-1);
        result = run(ring);
        if (result < 0) return result;
        done += (unsigned)result;
    }
    return 0;
}

static int print_file(struct io_uring* ring, const char* path) {
    int fd;
    int result;

    io_uring_prep_open(io_uring_get_sqe(ring), path, O_RDONLY | O_CLOEXEC, 0);
    fd = run(ring);
    if (fd < 0) return fd;
    do {
        /* Offset -1 stands for the file's own position, so that pipes and terminals can be read too. */
        io_uring_prep_read(io_uring_get_sqe(ring), fd, block, sizeof(block), (__u64)-1);
        result = run(ring);
        if (result > 0 && print_block(ring, (unsigned)result) < 0) result = -EIO;
    } while (result > 0);
    io_uring_prep_close(io_uring_get_sqe(ring), fd);
    run(ring);
    return result;
}

int main(int argc, char** argv) {
    struct io_uring ring;
    int status = 0;
    int i;
    int result = io_uring_queue_init(4, &ring, 0);

    if (result < 0) {
        fprintf(stderr, "cat: cannot set up a ring: %s\n", strerror(-result));
        return 1;
    }
    for (i = 1; i < argc; i++) {
        result = print_file(&ring, argv[i]);
        if (result < 0) {
            fprintf(stderr, "cat: %s: %s\n", argv[i], strerror(-result));
            status = 1;
        }
    }
    io_uring_queue_exit(&ring);
    return status;
}
