// The three system calls of a program that makes them itself: which provider answers them in this process, and the
// answers. It does not matter here how the call was caught: by libc's syscall(), by the trap, or by a rewritten call
// site.
#pragma once

#include <stdint.h>

#include "abi/syscall.h"

namespace ringside::preload {

// A system call as the program made it.
struct Call {
    long number;
    long arguments[6];
};

inline bool is_io_uring(long number) {
    return number == __NR_io_uring_setup || number == __NR_io_uring_enter || number == __NR_io_uring_register;
}

// Chooses this process's provider and prepares the process for it. Happens once: in the library's constructor, or
// before that if the program makes a call earlier. Returns whether the engine serves.
bool engine_serves();

// The engine's answer: a value >= 0, or -errno. For io_uring's three calls alone, and only where engine_serves().
long serve(const Call& call);

// With RINGSIDE_VERBOSE=1, prints the choice on standard error, once, at the first ring.
void announce();

}  // namespace ringside::preload
