// The function that a trampoline calls: io_uring_enter() as a function instead of a system call. Like a system call
// it preserves all registers except rax, rcx and r11, also the vector registers.
#pragma once

#include <stdint.h>

namespace ringside::preload {

// The code for this processor, which a trampoline calls with the registers of the system call.
uintptr_t rewritten_call();

}  // namespace ringside::preload
