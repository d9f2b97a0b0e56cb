// The seccomp filters that make an inline system call of the program come to us as SIGSYS. A trap outranks an errno, so
// this works under the refusal of a container too.
//
// A filter outlives exec, the signal handler does not. So whoever is started by a served program has to be served too
// (its constructor puts a handler up again), or its io_uring calls end it with SIGSYS: a static or setuid program, or
// one started with an empty environment. That is the price of a trap that needs nothing but seccomp, and the reason why
// the second filter waits until a program is known to make inline calls.
#pragma once

namespace ringside::preload {

enum class Filter {
    // Traps io_uring_setup, io_uring_enter and io_uring_register.
    calls,
    // Traps close() of a descriptor in the range where rings of such programs are put: who sets a ring up with an
    // inline
    // call closes it with one too, and no kernel object would tell the engine.
    closing,
};

// Descriptors of rings that were set up by an inline call. Under the usual limit of 1024 descriptors, and where few
// programs have any. An inline close of any other descriptor goes unnoticed: of a copy that the program made of such a
// ring's, or of a ring that found no place here.
constexpr int first_watched_fd = 960;
constexpr int end_of_watched_fds = 1024;

inline bool is_watched_fd(int fd) { return fd >= first_watched_fd && fd < end_of_watched_fds; }

// Whether the filter is in force in this process, installed by it or by an ancestor.
bool is_installed(Filter filter);

// Installs a filter for all threads of the process, unless it is there already. Returns 0 or -errno.
int install(Filter filter);

// close(2) that the filter lets through: the trap handler's own. Returns 0 or -errno.
int close_unwatched(int fd);

}  // namespace ringside::preload
