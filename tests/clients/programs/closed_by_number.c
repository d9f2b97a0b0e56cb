// Rings closed by the system call's number, as libuv closes all its descriptors: once with libc's syscall(), once by an
// instruction. The engine took whatever file got the number next for the ring, and kept each of the rings for good.
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "raw.h"

static int close_by_number(int fd) { return (int)raw_call(__NR_close, fd, 0, 0, 0, 0, 0); }

static int run_one(const struct ring* ring, struct io_uring_sqe sqe) {
    ring_push(ring, sqe);
    CHECK(ring_enter(ring, 1, 1) == 1);
    return ring_reap(ring).res;
}

static int numbers_in_use(void) {
    const int lowest = open("/dev/null", O_RDONLY | O_CLOEXEC);
    CHECK(close(lowest) == 0);
    return lowest;
}

static int mappings(void) {
    FILE* maps = fopen("/proc/self/maps", "re");
    int lines = 0;
    for (int c = fgetc(maps); c != EOF; c = fgetc(maps)) lines += c == '\n';
    CHECK(fclose(maps) == 0);
    return lines;
}

// Leaves the number of a closed ring to the reading end of a pipe that holds a byte. The mappings stay where they are
// until afterwards: they keep the ring's file, and not its number.
static struct ring give_number_to_pipe(int ends[2], int unmap_first) {
    struct ring ring = ring_open(4);
    if (unmap_first) ring_unmap(&ring);
    CHECK(close_by_number(ring.fd) == 0);
    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    if (ends[0] != ring.fd) {
        CHECK(raw_call(__NR_dup3, ends[0], ring.fd, O_CLOEXEC, 0, 0, 0) == ring.fd);
        CHECK(close(ends[0]) == 0);
        ends[0] = ring.fd;
    }
    CHECK(write(ends[1], "x", 1) == 1);
    return ring;
}

static void check_number_is_the_pipes(const struct ring* other, int unmap_first) {
    int ends[2];
    struct ring gone = give_number_to_pipe(ends, unmap_first);
    struct pollfd entry = {ends[0], POLLIN | POLLOUT, 0};
    CHECK(poll(&entry, 1, 0) == 1 && entry.revents == POLLIN);
    const int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 5};
    CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event) == 0);
    CHECK(epoll_wait(epoll, &event, 1, 1000) == 1 && event.events == EPOLLIN && event.data.u64 == 5);
    CHECK(close(epoll) == 0);
    const int copy = dup(ends[0]);
    char byte = 0;
    CHECK(read(copy, &byte, 1) == 1 && byte == 'x');
    CHECK(close(copy) == 0);
    CHECK(raw_call(__NR_io_uring_register, other->fd, IORING_REGISTER_FILES, (long)&ends[0], 1, 0, 0) == 0);
    CHECK(raw_call(__NR_io_uring_register, other->fd, IORING_UNREGISTER_FILES, 0, 0, 0, 0) == 0);
    CHECK(run_one(other, (struct io_uring_sqe){.opcode = IORING_OP_CLOSE, .fd = ends[0]}) == 0);
    CHECK(fcntl(ends[0], F_GETFD) == -1 && errno == EBADF);
    CHECK(close(ends[1]) == 0);
    if (!unmap_first) ring_unmap(&gone);
}

static void check_next_ring_with_the_number(void) {
    struct ring ring = ring_open(4);
    ring_unmap(&ring);
    CHECK(close_by_number(ring.fd) == 0);
    CHECK(raw_call(__NR_io_uring_enter, ring.fd, 0, 0, 0, 0, 0) == -EBADF);
    struct ring next = ring_open(4);
    CHECK(next.fd == ring.fd);
    ring_check_works(&next);
    ring_close(&next);
}

static void check_nothing_is_left(void) {
    struct ring first = ring_open(4);
    ring_unmap(&first);
    CHECK(close_by_number(first.fd) == 0);
    const int numbers_before = numbers_in_use();
    const int mappings_before = mappings();
    for (int i = 0; i < 300; ++i) {
        struct ring ring = ring_open(4);
        ring_check_works(&ring);
        ring_unmap(&ring);
        CHECK(close_by_number(ring.fd) == 0);
    }
    CHECK(numbers_in_use() == numbers_before);
    CHECK(mappings() < mappings_before + 20);
}

static int is_lowest_free(int fd) {
    for (int below = 0; below < fd; ++below) {
        if (fcntl(below, F_GETFD) < 0) return 0;
    }
    return 1;
}

// As many rings as there are numbers, and more than the engine once watched: of the last one a receive waits, which has
// to end with its ring. A socket that the receive held would not end for its peer.
static void check_many_rings(int limit) {
    const struct rlimit few = {(rlim_t)limit, (rlim_t)limit};
    CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
    enum { COUNT = 70 };
    struct ring rings[COUNT];
    const int count = limit > 3 * COUNT ? COUNT : 2;
    for (int i = 0; i < count; ++i) {
        rings[i] = ring_open(4);
        CHECK(is_lowest_free(rings[i].fd));
    }
    struct ring* last = &rings[count - 1];
    int ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    char buffer[8] = ".......";
    ring_push(last,
              (struct io_uring_sqe){.opcode = IORING_OP_RECV, .fd = ends[0], .addr = (uintptr_t)buffer, .len = 6});
    CHECK(ring_enter(last, 1, 0) == 1);
    ring_unmap(last);
    CHECK(close_by_number(last->fd) == 0);
    CHECK(write(ends[1], "secret", 6) == 6);
    struct pollfd entry = {ends[1], POLLHUP, 0};
    CHECK(poll(&entry, 1, 50) == 0);
    CHECK(strcmp(buffer, ".......") == 0);
    char received[8] = "";
    CHECK(recv(ends[0], received, sizeof received, MSG_DONTWAIT) == 6 && strcmp(received, "secret") == 0);
    CHECK(close(ends[0]) == 0);
    CHECK(poll(&entry, 1, 5000) == 1 && (entry.revents & POLLHUP) != 0);
    CHECK(close(ends[1]) == 0);
    for (int i = 0; i < count - 1; ++i) {
        ring_check_works(&rings[i]);
        ring_close(&rings[i]);
    }
}

// A receive that a worker is at, and a ring whose submission thread sleeps.
static void check_what_threads_do(void) {
    int ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    struct ring ring = ring_open(4);
    char buffer[8] = ".......";
    ring_push(&ring,
              (struct io_uring_sqe){
                  .opcode = IORING_OP_RECV, .flags = IOSQE_ASYNC, .fd = ends[0], .addr = (uintptr_t)buffer, .len = 6});
    CHECK(ring_enter(&ring, 1, 0) == 1);
    usleep(10 * 1000);
    ring_unmap(&ring);
    CHECK(close_by_number(ring.fd) == 0);
    usleep(100 * 1000);
    CHECK(close(ends[0]) == 0);
    struct pollfd entry = {ends[1], POLLHUP, 0};
    CHECK(poll(&entry, 1, 5000) == 1 && (entry.revents & POLLHUP) != 0);
    CHECK(strcmp(buffer, ".......") == 0);
    CHECK(close(ends[1]) == 0);
}

int main(void) {
    struct ring other = ring_open(4);
    for (int i = 0; i < 20; ++i) check_number_is_the_pipes(&other, i % 2);
    ring_close(&other);
    check_next_ring_with_the_number();
    check_nothing_is_left();
    check_what_threads_do();
    check_many_rings(1000);
    check_many_rings(64);
    return 0;
}
