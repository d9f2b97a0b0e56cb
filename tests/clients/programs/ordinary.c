// A program without rings that leans on what ringside interposes: all of it has to work as ever.
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "raw.h"

extern char** environ;

static void check_polling(int readable, int writable) {
    struct pollfd entries[] = {{readable, POLLIN, 0}, {writable, POLLOUT, 0}, {9999, POLLIN, 0}};
    CHECK(poll(entries, 3, 0) == 3);
    CHECK(entries[0].revents == POLLIN && entries[1].revents == POLLOUT && entries[2].revents == POLLNVAL);
    const struct timespec now = {0, 0};
    CHECK(ppoll(entries, 2, &now, NULL) == 2);
    fd_set in, out;
    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_SET(readable, &in);
    FD_SET(writable, &out);
    struct timeval timeout = {1, 0};
    CHECK(select(writable + readable + 1, &in, &out, NULL, &timeout) == 2);
    CHECK(timeout.tv_sec == 0 && timeout.tv_usec > 900 * 1000);
    CHECK(pselect(readable + 1, &in, NULL, NULL, &now, NULL) == 1);
    const int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = readable};
    CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, readable, &event) == 0);
    CHECK(epoll_wait(epoll, &event, 1, 0) == 1 && event.data.fd == readable);
    CHECK(close(epoll) == 0);
}

static void check_descriptors(int fd) {
    const int copy = dup(fd);
    CHECK(dup2(copy, 60) == 60 && dup3(copy, 61, O_CLOEXEC) == 61);
    CHECK(fcntl(61, F_GETFD) == FD_CLOEXEC && fcntl(60, F_GETFD) == 0);
    CHECK(fcntl(60, F_SETFD, FD_CLOEXEC) == 0 && fcntl(60, F_GETFD) == FD_CLOEXEC);
    CHECK(close(copy) == 0 && close(copy) == -1 && errno == EBADF);
    CHECK(close_range(60, 61, 0) == 0 && fcntl(60, F_GETFD) == -1);
    // Where rings of programs with calls of their own would be.
    const int high = fcntl(fd, F_DUPFD, 970);
    CHECK(high < 0 || raw_close(high) == 0);
}

static volatile sig_atomic_t signals_seen;

static void on_signal(int number) { signals_seen += number == SIGUSR1; }

static void check_signals(void) {
    CHECK(signal(SIGUSR1, on_signal) == SIG_DFL);
    sigset_t all, old;
    sigfillset(&all);
    CHECK(sigprocmask(SIG_BLOCK, &all, &old) == 0);
    CHECK(raise(SIGUSR1) == 0 && signals_seen == 0);
    CHECK(sigprocmask(SIG_SETMASK, &old, NULL) == 0 && signals_seen == 1);
    CHECK(sigprocmask(4711, &all, NULL) == -1 && errno == EINVAL);
    struct sigaction action;
    CHECK(sigaction(SIGUSR1, NULL, &action) == 0 && action.sa_handler == on_signal);
    CHECK(sigaction(SIGKILL, &action, NULL) == -1 && errno == EINVAL);
}

// A signal of SIGSYS ends a process that does not handle it, as ever.
static void check_sigsys_kills(void) {
    const pid_t child = fork();
    if (child == 0) {
        raise(SIGSYS);
        _exit(0);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}

static void check_spawn(int fd) {
    posix_spawn_file_actions_t actions;
    CHECK(posix_spawn_file_actions_init(&actions) == 0);
    CHECK(posix_spawn_file_actions_addclose(&actions, fd) == 0);
    char* const words[] = {"true", NULL};
    pid_t child;
    CHECK(posix_spawnp(&child, "true", &actions, NULL, words, environ) == 0);
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(posix_spawn_file_actions_destroy(&actions) == 0);
}

int main(void) {
    int ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    CHECK(write(ends[1], "x", 1) == 1);
    check_polling(ends[0], ends[1]);
    check_descriptors(ends[0]);
    check_signals();
    check_sigsys_kills();
    check_spawn(ends[0]);
    CHECK(syscall(SYS_getpid) == getpid());
    CHECK(syscall(SYS_close, 9999) == -1 && errno == EBADF);
    CHECK(syscall(4711) == -1 && errno == ENOSYS);
    return 0;
}
