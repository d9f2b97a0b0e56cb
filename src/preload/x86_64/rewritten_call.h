// Where a trampoline comes out: io_uring_enter() as a call instead of a system call. Keeps what a system call keeps:
// all registers but rax, rcx and r11, those of the vector units included.
#pragma once

namespace ringside::preload {

// Whether the processor can save its vector registers in the way that is used here.
bool can_take_rewritten_calls();

extern "C" void ringside_rewritten_call();

}  // namespace ringside::preload
