// The three system calls of a program that makes them itself: which provider answers them in this process, and the
// answers. Who catches the call (libc's syscall(), a trapped instruction) does not matter here, so that a call site may
// one day be rewritten to come here without a trap.
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

// Tells about the choice on stderr where RINGSIDE_VERBOSE=1 asks for it, once, at the first ring.
void announce();

}  // namespace ringside::preload
