// The kernel's io_uring: the three system calls, bare. Each returns a value >= 0, or -errno; errno is left alone.
// Inline, since on the way of a submission nothing else should stand between a program and the kernel.
#pragma once

#include <stddef.h>

#include "abi/syscall.h"
#include "liburing/io_uring.h"

namespace ringside::kernel {

inline int setup(unsigned entries, io_uring_params* params) {
    abi::look_at_processor();
    return static_cast<int>(abi::syscall(__NR_io_uring_setup, entries, params));
}

inline int enter(unsigned fd, unsigned to_submit, unsigned min_complete, unsigned flags, const void* arg,
                 size_t arg_size) {
    return static_cast<int>(abi::syscall(__NR_io_uring_enter, fd, to_submit, min_complete, flags, arg, arg_size));
}

inline int register_call(unsigned fd, unsigned opcode, void* arg, unsigned nr_args) {
    return static_cast<int>(abi::syscall(__NR_io_uring_register, fd, opcode, arg, nr_args));
}

}  // namespace ringside::kernel
