// Where a trampoline comes out: io_uring_enter() as a call instead of a system call. Keeps what a system call keeps:
// all registers but rax, rcx and r11, those of the vector units included.
#pragma once

#include <stdint.h>

namespace ringside::preload {

// The code for this processor, which a trampoline calls with the registers of the system call.
uintptr_t rewritten_call();

}  // namespace ringside::preload
