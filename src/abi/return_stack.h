// What a system call costs after it: the processor's predictions of returns.
//
// A processor remembers where its latest calls came from, to predict where they return to. Against "speculative return
// stack overflow" Linux returns from its own functions in a way ("safe RET") that leaves this memory full of addresses
// in the kernel, on AMD's processors up to Zen 4. The first return that a program makes from a function which it had
// called before the system call is then predicted to go there, which costs about as much again as entering the kernel:
// 140 of the 470 ns of a pread of 512 bytes. So each system call is followed by calls that nobody returns from. Their
// addresses are no better as predictions, but being wrong with them costs a twentieth.
#pragma once

#if defined(__x86_64__)

// Behind `syscall`, whose result stays in rax; rcx and r11 are its to use. `P` is how the assembler's text writes a
// register's mark.
#define RINGSIDE_MEND_RETURN_STACK(P)         \
    "cmpb $0, ringside_mends_return_stack(" P \
    "rip)\n\t"                                \
    "je 1f\n\t"                               \
    "lea 1f(" P "rip), " P                    \
    "rcx\n\t"                                 \
    "jmp ringside_mend_return_stack\n"        \
    "1:"

extern "C" {
// Goes on at rcx. All registers but rcx are kept, and what lies below the stack's end.
extern const char ringside_mend_return_stack[] __attribute__((visibility("hidden")));
extern bool ringside_mends_return_stack __attribute__((visibility("hidden")));
}

#else
#define RINGSIDE_MEND_RETURN_STACK(P) ""
#endif

namespace ringside::abi {

// Finds out, once, whether this processor needs it; until then system calls are left as they are.
void look_at_processor();

}  // namespace ringside::abi
