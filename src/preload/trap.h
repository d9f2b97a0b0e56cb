// System calls that a program makes with an instruction of its own: a seccomp filter turns them into SIGSYS, and our
// handler into answers.
#pragma once

#include <signal.h>

namespace ringside::preload {

// Installs the handler and the filter. Returns 0, or -errno if the kernel allows no filter. Then only calls through
// libc are served.
int set_trap();

// Whether SIGSYS is ours in this process.
bool is_trap_set();

// The program's action for a SIGSYS that is not ringside's: reads and replaces it as sigaction(2) does.
void exchange_program_action(const struct sigaction* action, struct sigaction* old);

}  // namespace ringside::preload
