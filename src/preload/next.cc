#include "preload/next.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>

#include "abi/syscall.h"

namespace ringside::preload {
namespace {

// The kernel's signal sets have this many bytes; libc's are larger.
constexpr long kernel_sigset_size = _NSIG / CHAR_BIT;

long bare_syscall(long number, long a, long b, long c, long d, long e, long f) {
    return answer_as_libc(abi::syscall(number, a, b, c, d, e, f));
}

template <typename... Arguments>
int bare(long number, Arguments... arguments) {
    return static_cast<int>(answer_as_libc(abi::syscall(number, arguments...)));
}

int bare_close(int fd) { return bare(__NR_close, fd); }
int bare_dup(int fd) { return bare(__NR_dup, fd); }
int bare_dup3(int fd, int copy, int flags) { return bare(__NR_dup3, fd, copy, flags); }
int bare_fcntl(int fd, int command, long argument) { return bare(__NR_fcntl, fd, command, argument); }

// arm64 has dup3 only. dup2 of a descriptor onto itself does nothing, and dup3 refuses it.
int bare_dup2(int fd, int copy) { return fd == copy ? (bare_fcntl(fd, 1, 0) < 0 ? -1 : fd) : bare_dup3(fd, copy, 0); }

int bare_close_range(unsigned first, unsigned last, int flags) { return bare(__NR_close_range, first, last, flags); }
void bare_closefrom(int first) { bare_close_range(first < 0 ? 0 : static_cast<unsigned>(first), UINT_MAX, 0); }

// The kernel writes the time left into the timeout; POSIX's functions leave it alone.
int bare_ppoll(pollfd* entries, nfds_t count, const timespec* timeout, const sigset_t* mask) {
    timespec left = timeout != nullptr ? *timeout : timespec{};
    return bare(__NR_ppoll, entries, count, timeout != nullptr ? &left : nullptr, mask, kernel_sigset_size);
}

int bare_poll(pollfd* entries, nfds_t count, int timeout_ms) {
    const timespec timeout = {timeout_ms / 1000, timeout_ms % 1000 * 1'000'000L};
    return bare_ppoll(entries, count, timeout_ms < 0 ? nullptr : &timeout, nullptr);
}

int bare_poll_chk(pollfd* entries, nfds_t count, int timeout_ms, size_t) {
    return bare_poll(entries, count, timeout_ms);
}

int bare_ppoll_chk(pollfd* entries, nfds_t count, const timespec* timeout, const sigset_t* mask, size_t) {
    return bare_ppoll(entries, count, timeout, mask);
}

int bare_pselect(int count, fd_set* in, fd_set* out, fd_set* except, const timespec* timeout, const sigset_t* mask) {
    timespec left = timeout != nullptr ? *timeout : timespec{};
    const struct {
        const sigset_t* mask;
        size_t size;
    } mask_argument = {mask, kernel_sigset_size};
    return bare(__NR_pselect6, count, in, out, except, timeout != nullptr ? &left : nullptr, &mask_argument);
}

int bare_select(int count, fd_set* in, fd_set* out, fd_set* except, timeval* timeout) {
    const timespec limit = timeout != nullptr ? timespec{timeout->tv_sec, timeout->tv_usec * 1000} : timespec{};
    return bare_pselect(count, in, out, except, timeout != nullptr ? &limit : nullptr, nullptr);
}

int bare_epoll_ctl(int epoll, int operation, int fd, epoll_event* event) {
    return bare(__NR_epoll_ctl, epoll, operation, fd, event);
}

int bare_epoll_pwait(int epoll, epoll_event* events, int count, int timeout_ms, const sigset_t* mask) {
    return bare(__NR_epoll_pwait, epoll, events, count, timeout_ms, mask, kernel_sigset_size);
}

int bare_epoll_wait(int epoll, epoll_event* events, int count, int timeout_ms) {
    return bare_epoll_pwait(epoll, events, count, timeout_ms, nullptr);
}

int bare_epoll_pwait2(int epoll, epoll_event* events, int count, const timespec* timeout, const sigset_t* mask) {
    return bare(__NR_epoll_pwait2, epoll, events, count, timeout, mask, kernel_sigset_size);
}

int bare_sigprocmask(int how, const sigset_t* set, sigset_t* old) {
    return bare(__NR_rt_sigprocmask, how, set, old, kernel_sigset_size);
}

int bare_pthread_sigmask(int how, const sigset_t* set, sigset_t* old) {
    return static_cast<int>(-abi::syscall(__NR_rt_sigprocmask, how, set, old, kernel_sigset_size));
}

template <typename Function>
void resolve(Function& pointer, const char* name) {
    if (void* found = dlsym(RTLD_NEXT, name)) pointer = reinterpret_cast<Function>(found);
}

// A bare system call cannot replace these: a handler returns through code of libc's. If one is called this early, it
// looks libc's function up.
int early_sigaction(int number, const struct sigaction* action, struct sigaction* old) {
    resolve(next.sigaction, "sigaction");
    return next.sigaction(number, action, old);
}

sighandler_t early_signal(int number, sighandler_t handler) {
    resolve(next.signal, "signal");
    return next.signal(number, handler);
}

sighandler_t early_sysv_signal(int number, sighandler_t handler) {
    resolve(next.sysv_signal, "sysv_signal");
    return next.sysv_signal(number, handler);
}

}  // namespace

constinit Next next = {
    .syscall = bare_syscall,
    .close = bare_close,
    .dup = bare_dup,
    .dup2 = bare_dup2,
    .dup3 = bare_dup3,
    .fcntl = bare_fcntl,
    .fcntl64 = bare_fcntl,
    .close_range = bare_close_range,
    .closefrom = bare_closefrom,
    .poll = bare_poll,
    .ppoll = bare_ppoll,
    .poll_chk = bare_poll_chk,
    .ppoll_chk = bare_ppoll_chk,
    .select = bare_select,
    .pselect = bare_pselect,
    .epoll_ctl = bare_epoll_ctl,
    .epoll_wait = bare_epoll_wait,
    .epoll_pwait = bare_epoll_pwait,
    .epoll_pwait2 = bare_epoll_pwait2,
    .sigaction = early_sigaction,
    .signal = early_signal,
    .sysv_signal = early_sysv_signal,
    .sigprocmask = bare_sigprocmask,
    .pthread_sigmask = bare_pthread_sigmask,
};

void resolve_next() {
    resolve(next.syscall, "syscall");
    resolve(next.close, "close");
    resolve(next.dup, "dup");
    resolve(next.dup2, "dup2");
    resolve(next.dup3, "dup3");
    resolve(next.fcntl, "fcntl");
    resolve(next.fcntl64, "fcntl64");
    resolve(next.close_range, "close_range");
    resolve(next.closefrom, "closefrom");
    resolve(next.poll, "poll");
    resolve(next.ppoll, "ppoll");
    resolve(next.poll_chk, "__poll_chk");
    resolve(next.ppoll_chk, "__ppoll_chk");
    resolve(next.select, "select");
    resolve(next.pselect, "pselect");
    resolve(next.epoll_ctl, "epoll_ctl");
    resolve(next.epoll_wait, "epoll_wait");
    resolve(next.epoll_pwait, "epoll_pwait");
    resolve(next.epoll_pwait2, "epoll_pwait2");
    resolve(next.sigaction, "sigaction");
    resolve(next.signal, "signal");
    resolve(next.sysv_signal, "sysv_signal");
    resolve(next.sigprocmask, "sigprocmask");
    resolve(next.pthread_sigmask, "pthread_sigmask");
}

long answer_as_libc(long result) {
    if (result >= 0 || result < -4095) return result;
    errno = static_cast<int>(-result);
    return -1;
}

}  // namespace ringside::preload
