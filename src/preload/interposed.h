// The functions that replace libc's, under libc's names. by_number.cc calls them for system calls by number.
#pragma once

#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <time.h>

#include "preload/next.h"

namespace ringside::preload {

extern "C" {

// --- descriptors.cc ---
int interposed_close(int fd) RINGSIDE_INTERPOSE("close");
int interposed_dup(int fd) RINGSIDE_INTERPOSE("dup");
int interposed_dup2(int fd, int copy) RINGSIDE_INTERPOSE("dup2");
int interposed_dup3(int fd, int copy, int flags) RINGSIDE_INTERPOSE("dup3");
int interposed_fcntl(int fd, int command, long argument) RINGSIDE_INTERPOSE("fcntl");
int interposed_fcntl64(int fd, int command, long argument) RINGSIDE_INTERPOSE("fcntl64");
int interposed_close_range(unsigned first, unsigned last, int flags) RINGSIDE_INTERPOSE("close_range");
void interposed_closefrom(int first) RINGSIDE_INTERPOSE("closefrom");

// --- wait.cc ---
int interposed_poll(pollfd* entries, nfds_t count, int timeout_ms) RINGSIDE_INTERPOSE("poll");
int interposed_poll_chk(pollfd* entries, nfds_t count, int timeout_ms, size_t size) RINGSIDE_INTERPOSE("__poll_chk");
int interposed_ppoll(pollfd* entries, nfds_t count, const timespec* timeout, const sigset_t* mask)
    RINGSIDE_INTERPOSE("ppoll");
int interposed_ppoll_chk(pollfd* entries, nfds_t count, const timespec* timeout, const sigset_t* mask, size_t size)
    RINGSIDE_INTERPOSE("__ppoll_chk");
int interposed_epoll_ctl(int epoll, int operation, int fd, epoll_event* event) RINGSIDE_INTERPOSE("epoll_ctl");
int interposed_epoll_wait(int epoll, epoll_event* events, int count, int timeout_ms) RINGSIDE_INTERPOSE("epoll_wait");
int interposed_epoll_pwait(int epoll, epoll_event* events, int count, int timeout_ms, const sigset_t* mask)
    RINGSIDE_INTERPOSE("epoll_pwait");
int interposed_epoll_pwait2(int epoll, epoll_event* events, int count, const timespec* timeout, const sigset_t* mask)
    RINGSIDE_INTERPOSE("epoll_pwait2");

// --- select.cc ---
int interposed_pselect(int count, fd_set* in, fd_set* out, fd_set* except, const timespec* timeout,
                       const sigset_t* mask) RINGSIDE_INTERPOSE("pselect");
int interposed_select(int count, fd_set* in, fd_set* out, fd_set* except, timeval* timeout)
    RINGSIDE_INTERPOSE("select");

// --- signals.cc ---
int interposed_sigaction(int number, const struct sigaction* action, struct sigaction* old)
    RINGSIDE_INTERPOSE("sigaction");
sighandler_t interposed_signal(int number, sighandler_t handler) RINGSIDE_INTERPOSE("signal");
sighandler_t interposed_sysv_signal(int number, sighandler_t handler) RINGSIDE_INTERPOSE("sysv_signal");
int interposed_sigprocmask(int how, const sigset_t* set, sigset_t* old) RINGSIDE_INTERPOSE("sigprocmask");
int interposed_pthread_sigmask(int how, const sigset_t* set, sigset_t* old) RINGSIDE_INTERPOSE("pthread_sigmask");

}  // extern "C"

// Whether a ring is in one of the sets of a select().
bool select_names_a_ring(int count, const fd_set* in, const fd_set* out, const fd_set* except);

}  // namespace ringside::preload
