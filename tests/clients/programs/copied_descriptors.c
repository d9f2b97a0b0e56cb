// A ring by each name that its descriptor can get, and its end with the last of them.
#include <fcntl.h>
#include <linux/close_range.h>

#include "raw.h"

static void check_works_by(const struct ring* ring, int fd) {
    struct ring other_name = *ring;
    other_name.fd = fd;
    ring_check_works(&other_name);
}

static void check_gone(int fd) { CHECK(ring_enter_by(fd, 0, 0) == -EBADF); }

static void check_copies(void) {
    struct ring ring = ring_open(4);
    const int first = dup(ring.fd);
    const int second = fcntl(ring.fd, F_DUPFD_CLOEXEC, 100);
    const int third = dup2(first, 200);
    const int fourth = dup3(ring.fd, 201, O_CLOEXEC);
    CHECK(first >= 0 && second >= 100 && third == 200 && fourth == 201);
    check_works_by(&ring, first);
    check_works_by(&ring, second);
    check_works_by(&ring, third);
    check_works_by(&ring, fourth);
    CHECK(raw_close(ring.fd) == 0);
    check_gone(ring.fd);
    CHECK(raw_close(second) == 0 && close(third) == 0 && raw_close(fourth) == 0);
    check_works_by(&ring, first);
    ring_unmap(&ring);
    CHECK(raw_close(first) == 0);
    check_gone(first);
}

// dup2() onto a ring's descriptor closes the ring; a dup2() that fails does not.
static void check_replacing(void) {
    struct ring ring = ring_open(4);
    CHECK(dup2(9999, ring.fd) == -1 && errno == EBADF);
    CHECK(dup2(ring.fd, ring.fd) == ring.fd);
    CHECK(dup3(ring.fd, ring.fd, 0) == -1 && errno == EINVAL);
    CHECK(dup3(STDERR_FILENO, ring.fd, O_APPEND) == -1 && errno == EINVAL);
    ring_check_works(&ring);
    const int file = open("/dev/null", O_RDWR | O_CLOEXEC);
    CHECK(dup2(file, ring.fd) == ring.fd);
    CHECK(ring_enter(&ring, 0, 0) == -EOPNOTSUPP);
    CHECK(write(ring.fd, "x", 1) == 1);
    CHECK(close(ring.fd) == 0 && close(file) == 0);
    ring_unmap(&ring);
}

static void check_ranges(void) {
    struct ring ring = ring_open(4);
    struct ring other = ring_open(4);
    const int end = 3000;
    CHECK(close_range(10, 5, 0) == -1 && errno == EINVAL);
    CHECK(close_range((unsigned)ring.fd, (unsigned)ring.fd, CLOSE_RANGE_CLOEXEC) == 0);
    ring_check_works(&ring);
    CHECK(close_range((unsigned)ring.fd, (unsigned)ring.fd, 0) == 0);
    check_gone(ring.fd);
    ring_check_works(&other);
    CHECK(close_range((unsigned)other.fd, (unsigned)end, 0) == 0);
    check_gone(other.fd);
    ring_unmap(&ring);
    ring_unmap(&other);
    struct ring last = ring_open(4);
    closefrom(3);
    check_gone(last.fd);
    ring_unmap(&last);
}

// A number that a ring had is an ordinary one afterwards.
static void check_reused_number(void) {
    struct ring ring = ring_open(4);
    const int number = ring.fd;
    ring_close(&ring);
    const int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    CHECK(file == number || dup2(file, number) == number);
    CHECK(ring_enter_by(number, 0, 0) == -EOPNOTSUPP);
    CHECK(raw_close(number) == 0);
    struct ring again = ring_open(4);
    ring_check_works(&again);
    ring_close(&again);
}

int main(void) {
    check_copies();
    check_replacing();
    check_reused_number();
    check_ranges();
    return 0;
}
