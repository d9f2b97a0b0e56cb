#include "abi/interruptible.h"

#include <ucontext.h>

#include "abi/return_stack.h"

extern "C" {
extern const char ringside_interruptible_begin[] __attribute__((visibility("hidden")));
extern const char ringside_interruptible_end[] __attribute__((visibility("hidden")));
extern const char ringside_interruptible_abort[] __attribute__((visibility("hidden")));
}

asm(R"(
    .globl ringside_interruptible_syscall
    .globl ringside_interruptible_begin
    .globl ringside_interruptible_end
    .globl ringside_interruptible_abort
    .hidden ringside_interruptible_syscall
    .hidden ringside_interruptible_begin
    .hidden ringside_interruptible_end
    .hidden ringside_interruptible_abort
    .globl ringside_return_from_signal
    .hidden ringside_return_from_signal
)");

#if defined(__x86_64__)

asm(R"(
    .text
    .type ringside_interruptible_syscall, @function
ringside_interruptible_syscall:
    movq %rdi, %r11
    movq %rsi, %rax
    movq %rdx, %rdi
    movq %rcx, %rsi
    movq %r8, %rdx
    movq %r9, %r10
    movq 8(%rsp), %r8
    movq 16(%rsp), %r9
ringside_interruptible_begin:
    cmpl $0, (%r11)
    jne ringside_interruptible_abort
    syscall
ringside_interruptible_end:
    )" RINGSIDE_MEND_RETURN_STACK("%") R"(
    ret
ringside_interruptible_abort:
    movq $-4, %rax
    ret
    .size ringside_interruptible_syscall, . - ringside_interruptible_syscall

    // Who unwinds a stack knows a signal's frame by these very bytes, and looks for what describes the one before them.
    nop
    .type ringside_return_from_signal, @function
ringside_return_from_signal:
    movq $15, %rax
    syscall
    .size ringside_return_from_signal, . - ringside_return_from_signal
)");

namespace {
greg_t& program_counter(ucontext_t& context) { return context.uc_mcontext.gregs[REG_RIP]; }
}  // namespace

#elif defined(__aarch64__)

asm(R"(
    .text
    .type ringside_interruptible_syscall, %function
ringside_interruptible_syscall:
    mov x9, x0
    mov x8, x1
    mov x0, x2
    mov x1, x3
    mov x2, x4
    mov x3, x5
    mov x4, x6
    mov x5, x7
ringside_interruptible_begin:
    ldr w10, [x9]
    cbnz w10, ringside_interruptible_abort
    svc 0
ringside_interruptible_end:
    ret
ringside_interruptible_abort:
    mov x0, #-4
    ret
    .size ringside_interruptible_syscall, . - ringside_interruptible_syscall

    nop
    .type ringside_return_from_signal, %function
ringside_return_from_signal:
    mov x8, #139
    svc 0
    .size ringside_return_from_signal, . - ringside_return_from_signal
)");

namespace {
unsigned long long& program_counter(ucontext_t& context) { return context.uc_mcontext.pc; }
}  // namespace

#endif

namespace ringside::abi {

void redirect_interrupted(void* context) {
    auto& counter = program_counter(*static_cast<ucontext_t*>(context));
    const auto at = static_cast<uintptr_t>(counter);
    if (at < reinterpret_cast<uintptr_t>(ringside_interruptible_begin)) return;
    if (at >= reinterpret_cast<uintptr_t>(ringside_interruptible_end)) return;
    counter = static_cast<__typeof__(counter + 0)>(reinterpret_cast<uintptr_t>(ringside_interruptible_abort));
}

}  // namespace ringside::abi
