// A ring's descriptor in poll(), ppoll(), select(), pselect() and epoll: not readable while it is empty, readable with
// a completion, with other descriptors beside it.
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <time.h>

#include "raw.h"

static struct ring ring;
static int full_pipe[2];

static short polled(void) {
    struct pollfd entries[] = {{-1, POLLIN, 0x7f}, {full_pipe[0], POLLIN, 0}, {ring.fd, POLLIN, 0}};
    CHECK(poll(entries, 3, 0) >= 1);
    CHECK(entries[0].revents == 0 && entries[0].fd == -1);
    CHECK(entries[1].revents == POLLIN && entries[1].fd == full_pipe[0]);
    CHECK(entries[2].fd == ring.fd && entries[2].events == POLLIN);
    return entries[2].revents;
}

static short ppolled(void) {
    struct pollfd entry = {ring.fd, POLLIN, 0};
    const struct timespec now = {0, 0};
    const int result = ppoll(&entry, 1, &now, NULL);
    CHECK(result == (entry.revents != 0));
    return entry.revents;
}

// More entries than fit on a stack.
static short polled_among_many(void) {
    enum { COUNT = 500 };
    struct pollfd* entries = calloc(COUNT, sizeof *entries);
    for (int i = 0; i < COUNT; ++i) entries[i] = (struct pollfd){i == 417 ? ring.fd : full_pipe[0], POLLIN, 0};
    const int result = poll(entries, COUNT, 0);
    const short answer = entries[417].revents;
    CHECK(result == COUNT - (answer == 0));
    free(entries);
    return answer;
}

static int selected(void) {
    fd_set in, out;
    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_SET(ring.fd, &in);
    FD_SET(full_pipe[0], &in);
    FD_SET(full_pipe[1], &out);
    struct timeval timeout = {0, 0};
    const int result = select(ring.fd + full_pipe[0] + full_pipe[1] + 1, &in, &out, NULL, &timeout);
    CHECK(FD_ISSET(full_pipe[0], &in) && FD_ISSET(full_pipe[1], &out));
    CHECK(result == 2 + (FD_ISSET(ring.fd, &in) != 0));
    return FD_ISSET(ring.fd, &in) != 0;
}

static int pselected(void) {
    fd_set in;
    FD_ZERO(&in);
    FD_SET(ring.fd, &in);
    const struct timespec now = {0, 0};
    const int result = pselect(ring.fd + 1, &in, NULL, NULL, &now, NULL);
    CHECK(result == (FD_ISSET(ring.fd, &in) != 0));
    return result;
}

static void check_readable(int expected) {
    const short events = expected ? POLLIN : 0;
    CHECK(polled() == events);
    CHECK(ppolled() == events);
    CHECK(polled_among_many() == events);
    CHECK(selected() == expected);
    CHECK(pselected() == expected);
}

static int epolled(int epoll, uint64_t expected_data) {
    struct epoll_event event = {0};
    const int result = epoll_wait(epoll, &event, 1, 0);
    CHECK(result == 0 || (event.events == EPOLLIN && event.data.u64 == expected_data));
    return result;
}

static void complete_one(void) {
    ring_push(&ring, (struct io_uring_sqe){.opcode = IORING_OP_NOP});
    CHECK(ring_enter(&ring, 1, 0) == 1);
}

static void check_epoll(void) {
    const int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 7};
    CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, ring.fd, &event) == 0);
    CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, ring.fd, &event) == -1 && errno == EEXIST);
    CHECK(epolled(epoll, 7) == 0);
    complete_one();
    CHECK(epolled(epoll, 7) == 1);
    event.data.u64 = 8;
    CHECK(epoll_ctl(epoll, EPOLL_CTL_MOD, ring.fd, &event) == 0);
    CHECK(epolled(epoll, 8) == 1);
    // Reaped from memory, with no call that would tell.
    ring_reap(&ring);
    CHECK(epolled(epoll, 8) == 0);
    CHECK(epoll_pwait(epoll, &event, 1, 0, NULL) == 0);
    complete_one();
    event.data.u64 = 8;
    CHECK(epoll_pwait(epoll, &event, 1, 0, NULL) == 1);
    CHECK(epoll_ctl(epoll, EPOLL_CTL_DEL, ring.fd, NULL) == 0);
    CHECK(epolled(epoll, 8) == 0);
    CHECK(epoll_ctl(epoll, EPOLL_CTL_DEL, ring.fd, NULL) == -1 && errno == ENOENT);
    ring_reap(&ring);
    CHECK(close(epoll) == 0);
}

// A completion that comes by itself ends a wait in poll().
static void check_waking(void) {
    struct __kernel_timespec soon = {0, 30 * 1000 * 1000};
    ring_push(&ring, (struct io_uring_sqe){.opcode = IORING_OP_TIMEOUT, .fd = -1, .addr = (uintptr_t)&soon, .len = 1});
    CHECK(ring_enter(&ring, 1, 0) == 1);
    struct pollfd entry = {ring.fd, POLLIN, 0};
    CHECK(poll(&entry, 1, 10 * 1000) == 1 && entry.revents == POLLIN);
    CHECK(ring_reap(&ring).res == -ETIME);
}

int main(void) {
    CHECK(pipe(full_pipe) == 0);
    CHECK(write(full_pipe[1], "x", 1) == 1);
    ring = ring_open(4);
    check_readable(0);
    complete_one();
    check_readable(1);
    ring_reap(&ring);
    check_readable(0);
    check_epoll();
    check_waking();
    ring_close(&ring);
    struct pollfd entry = {ring.fd, POLLIN, 0};
    CHECK(poll(&entry, 1, 0) == 1 && entry.revents == POLLNVAL);
    return 0;
}
