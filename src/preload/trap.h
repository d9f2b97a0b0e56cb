// System calls that a program makes with an instruction of its own: a seccomp filter turns them into SIGSYS, and our
// handler into answers.
#pragma once

#include <signal.h>

namespace ringside::preload {

// Puts up the handler, and the filter that calls it. Returns 0, or -errno where the kernel lets no filter be loaded:
// then only calls that go through libc are served.
int set_trap();

// Whether SIGSYS is ours in this process.
bool is_trap_set();

// What the program wants done with a SIGSYS that is not ours, as sigaction(2) reads and writes it.
void exchange_program_action(const struct sigaction* action, struct sigaction* old);

}  // namespace ringside::preload
