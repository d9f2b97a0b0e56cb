// What libc has a function for, called by number with syscall(): it has to be the same for a ring.
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>

#include "raw.h"

static struct ring ring;

static void check_polled(int expected) {
    struct pollfd entry = {ring.fd, POLLIN, 0};
#ifdef SYS_poll
    CHECK(syscall(SYS_poll, &entry, 1, 0) == expected && entry.revents == (expected ? POLLIN : 0));
#endif
    struct timespec limit = {0, 20 * 1000 * 1000};
    CHECK(syscall(SYS_ppoll, &entry, 1, &limit, NULL, 0) == expected && entry.revents == (expected ? POLLIN : 0));
    CHECK(expected ? limit.tv_nsec > 0 : limit.tv_sec == 0 && limit.tv_nsec == 0);
    const uint64_t mask = 0;
    CHECK(syscall(SYS_ppoll, &entry, 1, &limit, &mask, 4) == -1 && errno == EINVAL);
}

static void check_selected(int expected) {
    fd_set in;
    FD_ZERO(&in);
    FD_SET(ring.fd, &in);
    struct timespec limit = {0, 20 * 1000 * 1000};
    CHECK(syscall(SYS_pselect6, ring.fd + 1, &in, NULL, NULL, &limit, NULL) == expected);
    CHECK(FD_ISSET(ring.fd, &in) == expected);
    CHECK(expected ? limit.tv_nsec > 0 : limit.tv_sec == 0 && limit.tv_nsec == 0);
#ifdef SYS_select
    FD_SET(ring.fd, &in);
    struct timeval none = {0, 0};
    CHECK(syscall(SYS_select, ring.fd + 1, &in, NULL, NULL, &none) == expected);
#endif
}

static void check_epolled(int epoll, int expected) {
    struct epoll_event event = {0};
#ifdef SYS_epoll_wait
    CHECK(syscall(SYS_epoll_wait, epoll, &event, 1, 0) == expected);
#endif
    CHECK(syscall(SYS_epoll_pwait, epoll, &event, 1, 0, NULL, 0) == expected);
    CHECK(!expected || (event.events == EPOLLIN && event.data.u64 == 7));
}

static void check_readiness(void) {
    const int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 7};
    CHECK(syscall(SYS_epoll_ctl, epoll, EPOLL_CTL_ADD, ring.fd, &event) == 0);
    for (int expected = 0; expected < 2; ++expected) {
        check_polled(expected);
        check_selected(expected);
        check_epolled(epoll, expected);
        if (expected) break;
        ring_push(&ring, (struct io_uring_sqe){.opcode = IORING_OP_NOP});
        CHECK(ring_enter(&ring, 1, 0) == 1);
    }
    CHECK(ring_reap(&ring).res == 0);
    check_epolled(epoll, 0);
    CHECK(syscall(SYS_epoll_ctl, epoll, EPOLL_CTL_DEL, ring.fd, NULL) == 0);
    CHECK(close(epoll) == 0);
}

static void check_copies(void) {
    const int first = (int)syscall(SYS_dup, ring.fd);
    const int second = (int)syscall(SYS_fcntl, ring.fd, F_DUPFD_CLOEXEC, 100);
    const int third = (int)syscall(SYS_dup3, ring.fd, 200, O_CLOEXEC);
    CHECK(first >= 0 && second >= 100 && third == 200);
    const int names[] = {first, second, third, ring.fd};
    for (int i = 0; i < 4; ++i) CHECK(ring_enter_by(names[i], 0, 0) == 0);
    CHECK(syscall(SYS_dup3, STDERR_FILENO, third, O_CLOEXEC) == third);
    CHECK(ring_enter_by(third, 0, 0) == -EOPNOTSUPP);
    CHECK(syscall(SYS_close, first) == 0 && ring_enter_by(first, 0, 0) == -EBADF);
    CHECK(syscall(SYS_close_range, second, third, 0) == 0);
    CHECK(ring_enter_by(second, 0, 0) == -EBADF);
    ring_check_works(&ring);
}

// The kernel's struct sigaction.
struct action {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)(void);
    uint64_t mask;
};

static void check_signals(void) {
    const size_t size = 8;
    const uint64_t all = ~UINT64_C(0);
    uint64_t before;
    CHECK(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, size) == 0);
    ring_check_works(&ring);
    CHECK(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, size) == 0);
    struct action ignored = {.handler = SIG_IGN};
    struct action old = {0};
    CHECK(syscall(SYS_rt_sigaction, SIGSYS, &ignored, &old, size) == 0 && old.handler == SIG_DFL);
    ring_check_works(&ring);
    CHECK(syscall(SYS_rt_sigaction, SIGSYS, NULL, &old, size) == 0 && old.handler == SIG_IGN);
    CHECK(raise(SIGSYS) == 0);
    struct action standard = {.handler = SIG_DFL};
    CHECK(syscall(SYS_rt_sigaction, SIGSYS, &standard, NULL, size) == 0);
    ring_check_works(&ring);
    CHECK(syscall(SYS_rt_sigaction, SIGSYS, (void*)1, NULL, size) == -1 && errno == EFAULT);
}

int main(void) {
    ring = ring_open(4);
    check_readiness();
    check_copies();
    check_signals();
    ring_unmap(&ring);
    CHECK(syscall(SYS_close, ring.fd) == 0);
    CHECK(ring_enter_by(ring.fd, 0, 0) == -EBADF);
    return 0;
}
