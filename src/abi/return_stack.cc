#include "abi/return_stack.h"

#if defined(__x86_64__)

#include <cpuid.h>
#include <string.h>
#include <atomic>

bool ringside_mends_return_stack = false;

// The speculation that follows one of these addresses ends at once. Half as many as a processor remembers are enough
// for the functions between a system call and the program.
asm(R"(
    .text
    .p2align 6
    .globl ringside_mend_return_stack
    .hidden ringside_mend_return_stack
    .type ringside_mend_return_stack, @function
ringside_mend_return_stack:
    .cfi_startproc
    .cfi_def_cfa %rsp, 0
    .cfi_register %rip, %rcx
    lea -128(%rsp), %rsp
    .cfi_adjust_cfa_offset 128
    .rept 16
    call 1f
    int3
1:
    .cfi_adjust_cfa_offset 8
    .endr
    lea 256(%rsp), %rsp
    .cfi_adjust_cfa_offset -256
    notrack jmp *%rcx
    .cfi_endproc
    .size ringside_mend_return_stack, . - ringside_mend_return_stack
)");

namespace ringside::abi {
namespace {

// Zen to Zen 4, and Hygon's of the same make.
bool returns_safely() {
    unsigned most, b, c, d;
    if (__get_cpuid(0, &most, &b, &c, &d) == 0) return false;
    const unsigned maker[3] = {b, d, c};
    const auto is = [&](const char* name) { return memcmp(maker, name, sizeof(maker)) == 0; };
    if (!is("AuthenticAMD") && !is("HygonGenuine")) return false;
    unsigned version;
    if (__get_cpuid(1, &version, &b, &c, &d) == 0) return false;
    const unsigned family = ((version >> 8) & 0xf) + ((version >> 20) & 0xff);
    return family >= 0x17 && family <= 0x19;
}

// Such a stack holds a program to its returns. The instruction does nothing where there is none.
bool has_shadow_stack() {
    unsigned long top = 0;
    asm volatile("rdsspq %0" : "+r"(top));
    return top != 0;
}

}  // namespace

void look_at_processor() {
    // Asking is dear on a virtual machine.
    static std::atomic<bool> looked{false};
    if (looked.load(std::memory_order_relaxed)) return;
    __atomic_store_n(&ringside_mends_return_stack, returns_safely() && !has_shadow_stack(), __ATOMIC_RELAXED);
    looked.store(true, std::memory_order_relaxed);
}

}  // namespace ringside::abi

#else

namespace ringside::abi {

void look_at_processor() {}

}  // namespace ringside::abi

#endif
