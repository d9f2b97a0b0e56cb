// The seccomp filter that makes a program's inline io_uring_setup, io_uring_enter and io_uring_register come to us as
// SIGSYS. A trap outranks an errno, so this works under the refusal of a container too. Every other call passes: also
// the close() of a ring, which is noticed in another way (service/ring_file.h).
//
// A filter survives execve, the signal handler does not. So a program that a served program starts must load the
// library too, whose constructor installs a handler again. Otherwise SIGSYS ends it at its first io_uring call: a
// static or setuid program, or one started with an empty environment. That is the price of a trap that needs nothing
// but seccomp.
#pragma once

namespace ringside::preload {

// Whether the filter is in force in this process, installed by it or by an ancestor.
bool is_filter_installed();

// Installs the filter for all threads of the process, unless it is there already. Returns 0 or -errno.
int install_filter();

}  // namespace ringside::preload
