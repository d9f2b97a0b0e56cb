#include "preload/x86_64/rewritten_call.h"

#include <cpuid.h>
#include <errno.h>

#include "preload/serve.h"

namespace ringside::preload {

// x87, SSE, AVX and AVX-512, which take at most 2432 bytes in the compact form: 576 for the first two and the header,
// then 256, 64, 512 and 1024. A multiple of 64.
#define SAVED_STATES 0xe7
#define SAVED_STATES_SIZE 2432

extern "C" long ringside_answer_rewritten_call(const Call* call);
extern "C" __attribute__((used)) long ringside_answer_rewritten_call(const Call* call) {
    const int error = errno;
    const long result = serve(*call);
    errno = error;
    return result;
}

// On entry rax and the argument registers are those of a system call, and the stack is at no particular boundary. The
// pushes make a Call. Of the save area's header, xsavec writes 16 bytes, and xrstor wants the other 48 to be 0.
#define TEXT(x) TEXT_(x)
#define TEXT_(x) #x
__asm__(R"(
    .text
    .p2align 4
    .hidden ringside_rewritten_call
    .globl ringside_rewritten_call
    .type ringside_rewritten_call, @function
ringside_rewritten_call:
    .cfi_startproc
    pushq %rbp
    .cfi_def_cfa_offset 16
    .cfi_offset %rbp, -16
    movq %rsp, %rbp
    .cfi_def_cfa_register %rbp
    pushfq
    pushq %r9
    pushq %r8
    pushq %r10
    pushq %rdx
    pushq %rsi
    pushq %rdi
    pushq %rax
    movq %rsp, %rdi
    leaq -)" TEXT(SAVED_STATES_SIZE) R"((%rsp), %rsp
    andq $-64, %rsp
    xorl %edx, %edx
    movq %rdx, 528(%rsp)
    movq %rdx, 536(%rsp)
    movq %rdx, 544(%rsp)
    movq %rdx, 552(%rsp)
    movq %rdx, 560(%rsp)
    movq %rdx, 568(%rsp)
    movl $)" TEXT(SAVED_STATES) R"(, %eax
    xsavec (%rsp)
    cld
    call ringside_answer_rewritten_call
    movq %rax, %rcx
    movl $)" TEXT(SAVED_STATES) R"(, %eax
    xorl %edx, %edx
    xrstor (%rsp)
    movq %rcx, %rax
    leaq -56(%rbp), %rsp
    popq %rdi
    popq %rsi
    popq %rdx
    popq %r10
    popq %r8
    popq %r9
    popfq
    popq %rbp
    .cfi_def_cfa %rsp, 8
    ret
    .cfi_endproc
    .size ringside_rewritten_call, .-ringside_rewritten_call
)");

bool can_take_rewritten_calls() {
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & bit_OSXSAVE) == 0) return false;
    constexpr unsigned extended_states = 0xd;
    constexpr unsigned has_xsavec = 1U << 1;
    return __get_cpuid_count(extended_states, 1, &a, &b, &c, &d) != 0 && (a & has_xsavec) != 0;
}

}  // namespace ringside::preload
