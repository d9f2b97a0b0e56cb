#include "preload/x86_64/rewritten_call.h"

#include <cpuid.h>
#include <errno.h>

#include "preload/serve.h"

namespace ringside::preload {

extern "C" long ringside_answer_rewritten_call(const Call* call);
extern "C" __attribute__((used)) long ringside_answer_rewritten_call(const Call* call) {
    const int error = errno;
    const long result = serve(*call);
    errno = error;
    return result;
}

// The vector registers are saved by themselves, since xsave and xrstor take five times as long as all the rest. The x87
// unit is left out: nothing that the engine calls uses it, or changes how the units round.
//
// On entry rax and the argument registers are those of a system call, and the stack is at no particular boundary. The
// pushes make a Call.
__asm__(R"(
    .macro ringside_each_vector operation, register, size, from, numbers:vararg
    .set ringside_at, 0
    .irp number, \numbers
    .if \from
    \operation ringside_at(%rsp), %\register\number
    .else
    \operation %\register\number, ringside_at(%rsp)
    .endif
    .set ringside_at, ringside_at + \size
    .endr
    .endm

    .macro ringside_vectors_sse from
    ringside_each_vector movaps, xmm, 16, \from, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    .endm

    .macro ringside_vectors_avx from
    ringside_each_vector vmovaps, ymm, 32, \from, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    .endm

    .macro ringside_vectors_avx512 from
    ringside_each_vector vmovaps, zmm, 64, \from, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,)"
        R"( 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    .irp number, 0, 1, 2, 3, 4, 5, 6, 7
    .if \from
    kmovq 2048+8*\number(%rsp), %k\number
    .else
    kmovq %k\number, 2048+8*\number(%rsp)
    .endif
    .endr
    .endm

    .macro ringside_rewritten_call_with vectors, size
    .text
    .p2align 4
    .hidden ringside_rewritten_call_\vectors
    .globl ringside_rewritten_call_\vectors
    .type ringside_rewritten_call_\vectors, @function
ringside_rewritten_call_\vectors:
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
    leaq -\size(%rsp), %rsp
    andq $-64, %rsp
    ringside_vectors_\vectors 0
    cld
    call ringside_answer_rewritten_call
    ringside_vectors_\vectors 1
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
    .size ringside_rewritten_call_\vectors, .-ringside_rewritten_call_\vectors
    .endm

    ringside_rewritten_call_with sse, 256
    ringside_rewritten_call_with avx, 512
    ringside_rewritten_call_with avx512, 2112
)");

extern "C" {
void ringside_rewritten_call_sse();
void ringside_rewritten_call_avx();
void ringside_rewritten_call_avx512();
}

namespace {

// The register states that the kernel saves for programs. A program can use a unit of the processor only if the
// kernel does.
unsigned enabled_states() {
    unsigned low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

}  // namespace

uintptr_t rewritten_call() {
    constexpr unsigned avx_states = 0x06;
    constexpr unsigned avx512_states = 0xe6;
    unsigned a = 0, b = 0, c = 0, d = 0;
    __get_cpuid(1, &a, &b, &c, &d);
    const bool has_avx = (c & bit_AVX) != 0 && (c & bit_OSXSAVE) != 0;
    const unsigned states = has_avx ? enabled_states() : 0;
    const bool has_leaf = __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0;
    if (has_leaf && (b & bit_AVX512BW) != 0 && (states & avx512_states) == avx512_states) {
        return reinterpret_cast<uintptr_t>(&ringside_rewritten_call_avx512);
    }
    if ((states & avx_states) == avx_states) return reinterpret_cast<uintptr_t>(&ringside_rewritten_call_avx);
    return reinterpret_cast<uintptr_t>(&ringside_rewritten_call_sse);
}

}  // namespace ringside::preload
