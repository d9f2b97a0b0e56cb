// Where a processor keeps a system call that was trapped. The rest of the trap knows no register.
#pragma once

#include <ucontext.h>

#include "preload/serve.h"

namespace ringside::preload {

#if defined(__x86_64__)

inline Call trapped_call(const ucontext_t& context) {
    const auto& r = context.uc_mcontext.gregs;
    return {r[REG_RAX], {r[REG_RDI], r[REG_RSI], r[REG_RDX], r[REG_R10], r[REG_R8], r[REG_R9]}};
}

inline void answer_trapped_call(ucontext_t& context, long result) { context.uc_mcontext.gregs[REG_RAX] = result; }

inline uintptr_t address_behind_trapped_call(const ucontext_t& context) {
    return static_cast<uintptr_t>(context.uc_mcontext.gregs[REG_RIP]);
}

#elif defined(__aarch64__)

inline Call trapped_call(const ucontext_t& context) {
    const auto& r = context.uc_mcontext.regs;
    const auto at = [&r](int index) { return static_cast<long>(r[index]); };
    return {at(8), {at(0), at(1), at(2), at(3), at(4), at(5)}};
}

inline void answer_trapped_call(ucontext_t& context, long result) {
    context.uc_mcontext.regs[0] = static_cast<unsigned long>(result);
}

inline uintptr_t address_behind_trapped_call(const ucontext_t& context) { return context.uc_mcontext.pc; }

#else
#error "ringside: say here where this processor keeps a trapped system call"
#endif

}  // namespace ringside::preload
