// A blocking system call that another thread can break off, with no moment in which the request to do so is missed.
//
// The stub looks at a flag and then makes the call. Who wants to break it off sets the flag and sends the thread a
// signal: if it arrives before the call, the signal's handler sees the program counter between the look and the call
// and moves it past (redirect_interrupted); if it arrives within, the call returns -EINTR by itself.
#pragma once

#include <signal.h>
#include <stdint.h>

namespace ringside::abi {

extern "C" long ringside_interruptible_syscall(const int* broken_off, long number, long a, long b, long c, long d,
                                               long e, long f);

// For the signal's handler: `context` is its third argument.
void redirect_interrupted(void* context);

// What a handler returns to; libc's own is for handlers that were set through libc.
extern "C" void ringside_return_from_signal();

}  // namespace ringside::abi
