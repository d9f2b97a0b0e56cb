// System calls without libc's errno in between: the result is what the kernel returned, a value or -errno. What depends
// on the processor is in this file alone.
#pragma once

#include <sys/syscall.h>

#include "abi/return_stack.h"

#ifndef __NR_io_uring_setup
#define __NR_io_uring_setup 425
#define __NR_io_uring_enter 426
#define __NR_io_uring_register 427
#endif

namespace ringside::abi {

// Made where it is asked for, in every build: by that place the fault runs know a call (tests/faults).
#define RINGSIDE_IN_PLACE [[gnu::always_inline]] inline

#if defined(__x86_64__)

RINGSIDE_IN_PLACE long syscall6(long number, long a, long b, long c, long d, long e, long f) {
    long result;
    register long r10 asm("r10") = d;
    register long r8 asm("r8") = e;
    register long r9 asm("r9") = f;
    asm volatile("syscall\n\t" RINGSIDE_MEND_RETURN_STACK("%%")
                 : "=a"(result)
                 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                 : "rcx", "r11", "memory");
    return result;
}

#elif defined(__aarch64__)

RINGSIDE_IN_PLACE long syscall6(long number, long a, long b, long c, long d, long e, long f) {
    register long x8 asm("x8") = number;
    register long x0 asm("x0") = a;
    register long x1 asm("x1") = b;
    register long x2 asm("x2") = c;
    register long x3 asm("x3") = d;
    register long x4 asm("x4") = e;
    register long x5 asm("x5") = f;
    asm volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
    return x0;
}

#else
#error "ringside: give this processor a syscall6() here"
#endif

template <typename T>
RINGSIDE_IN_PLACE long syscall_argument(T value) {
    if constexpr (__is_enum(T)) {
        return static_cast<long>(value);
    } else {
        return (long)value;
    }
}

// syscall(NUMBER, ARGUMENTS...), up to six.
template <typename A = long, typename B = long, typename C = long, typename D = long, typename E = long,
          typename F = long>
RINGSIDE_IN_PLACE long syscall(long number, A a = 0, B b = 0, C c = 0, D d = 0, E e = 0, F f = 0) {
    return syscall6(number, syscall_argument(a), syscall_argument(b), syscall_argument(c), syscall_argument(d),
                    syscall_argument(e), syscall_argument(f));
}

#undef RINGSIDE_IN_PLACE

// What a processor does to tell a hyper-thread that this is a spin loop.
inline void relax() {
#if defined(__x86_64__)
    asm volatile("pause" ::: "memory");
#elif defined(__aarch64__)
    asm volatile("yield" ::: "memory");
#endif
}

}  // namespace ringside::abi
