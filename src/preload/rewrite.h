// Call sites of io_uring_enter() that were trapped once are rewritten, so that the next call is a jump and not a
// signal.
//
// The instruction before the system call puts the call's number into a register. A jump takes its place, to a
// trampoline that does the same and then calls the engine. The system call itself stays where it is, since other code
// may jump right to it:
//
//      b8 aa 01 00 00   mov $426, %eax            e9 xx xx xx xx   jmp trampoline
//      0f 05            syscall            ->     0f 05            syscall
//
//      44 89 f8         mov %r15d, %eax           e9 xx xx
//      0f 05            syscall            ->              0f 05   jmp trampoline, whose address ends in these two
//      bytes
//
// The trampoline makes calls with other numbers unchanged. A site is not rewritten, and stays trapped, if its bytes
// are different, if there is no memory for a trampoline, if the code is not mapped from a file, or if a policy
// forbids changing code. RINGSIDE_REWRITE=0 leaves all sites alone.
#pragma once

#include <stdint.h>

namespace ringside::preload {

// To be called once, before there is a trap: a fork waits until no code is half written.
void prepare_rewriting();

// To be called by the handler for a trapped io_uring_enter(); `next` is the address behind the system call. Each site
// is looked at once.
void consider_rewriting(uintptr_t next);

}  // namespace ringside::preload
