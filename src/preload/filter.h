// The seccomp filter that makes a program's inline io_uring_setup, io_uring_enter and io_uring_register come to us as
// SIGSYS. A trap outranks an errno, so this works under the refusal of a container too. Every other call passes: also
// the close() of a ring, which is noticed in another way (service/ring_file.h).
//
// A filter outlives exec, the signal handler does not. So whoever is started by a served program has to be served too
// (its constructor puts a handler up again), or its io_uring calls end it with SIGSYS: a static or setuid program, or
// one started with an empty environment. That is the price of a trap that needs nothing but seccomp.
#pragma once

namespace ringside::preload {

// Whether the filter is in force in this process, installed by it or by an ancestor.
bool is_filter_installed();

// Installs the filter for all threads of the process, unless it is there already. Returns 0 or -errno.
int install_filter();

}  // namespace ringside::preload
