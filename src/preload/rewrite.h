// Call sites of io_uring_enter() that were trapped once are rewritten, so that the next call is a jump and not a
// signal.
//
// The instruction before the system call puts the call's number into a register. A jump takes its place, to a
// trampoline that does the same and then calls the engine; the system call itself stays where it is, for whoever jumps
// right to it:
//
//      b8 aa 01 00 00   mov $426, %eax            e9 xx xx xx xx   jmp trampoline
//      0f 05            syscall            ->     0f 05            syscall
//
//      44 89 f8         mov %r15d, %eax           e9 xx xx
//      0f 05            syscall            ->              0f 05   jmp trampoline, whose address ends in these two
//      bytes
//
// All other calls that come along the trampoline are made as they are. A site stays as it is, and trapped, where the
// bytes are others, where there is no memory for a trampoline, where the code is not that of a file, or where a policy
// lets no code be changed. RINGSIDE_REWRITE=0 leaves all of them alone.
#pragma once

#include <stdint.h>

namespace ringside::preload {

// To be called once, before there is a trap: a fork waits until no code is half written.
void prepare_rewriting();

// To be called by the handler for a trapped io_uring_enter(); `next` is the address behind the system call. Each site
// is looked at once.
void consider_rewriting(uintptr_t next);

}  // namespace ringside::preload
