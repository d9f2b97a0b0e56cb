// libc's functions behind the ones that this library interposes: the next ones in the order of look-up, which may
// also be those of another preloaded library.
//
// Until resolve_next() has run, each pointer makes the bare system call: a library loaded with us may call close()
// before our constructor, and even from within dlsym(). So no interposer ever meets a null pointer or has to ask.
#pragma once

#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <time.h>

namespace ringside::preload {

struct Next {
    long (*syscall)(long number, long a, long b, long c, long d, long e, long f);

    int (*close)(int fd);
    int (*dup)(int fd);
    int (*dup2)(int fd, int copy);
    int (*dup3)(int fd, int copy, int flags);
    int (*fcntl)(int fd, int command, long argument);
    int (*fcntl64)(int fd, int command, long argument);
    int (*close_range)(unsigned first, unsigned last, int flags);
    void (*closefrom)(int first);

    int (*poll)(pollfd* entries, nfds_t count, int timeout_ms);
    int (*ppoll)(pollfd* entries, nfds_t count, const timespec* timeout, const sigset_t* mask);
    int (*poll_chk)(pollfd* entries, nfds_t count, int timeout_ms, size_t size);
    int (*ppoll_chk)(pollfd* entries, nfds_t count, const timespec* timeout, const sigset_t* mask, size_t size);
    int (*select)(int count, fd_set* in, fd_set* out, fd_set* except, timeval* timeout);
    int (*pselect)(int count, fd_set* in, fd_set* out, fd_set* except, const timespec* timeout, const sigset_t* mask);
    int (*epoll_ctl)(int epoll, int operation, int fd, epoll_event* event);
    int (*epoll_wait)(int epoll, epoll_event* events, int count, int timeout_ms);
    int (*epoll_pwait)(int epoll, epoll_event* events, int count, int timeout_ms, const sigset_t* mask);
    int (*epoll_pwait2)(int epoll, epoll_event* events, int count, const timespec* timeout, const sigset_t* mask);

    int (*sigaction)(int number, const struct sigaction* action, struct sigaction* old);
    sighandler_t (*signal)(int number, sighandler_t handler);
    sighandler_t (*sysv_signal)(int number, sighandler_t handler);
    int (*sigprocmask)(int how, const sigset_t* set, sigset_t* old);
    int (*pthread_sigmask)(int how, const sigset_t* set, sigset_t* old);
};

extern Next next;

// Fills `next` from libc. A function that libc lacks (close_range before glibc 2.34) stays a bare system call.
void resolve_next();

// errno and -1 for a negative result, as libc's wrappers answer.
long answer_as_libc(long result);

}  // namespace ringside::preload

// An interposer: exported under a libc function's name, which its declaration here could not have, since libc's own
// (variadic, nothrow, with attributes) would clash with it.
#define RINGSIDE_INTERPOSE(name) __asm__(name) __attribute__((visibility("default")))
