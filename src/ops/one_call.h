// Most operations on files are one system call that a worker makes.
#pragma once

#include <errno.h>

#include "abi/syscall.h"
#include "service/workers.h"
#include "state/operation.h"

namespace ringside::engine {

// io_uring treats a descriptor opened with O_PATH as a bad one. System calls check other arguments first.
bool is_path_only(int fd);

// A system call that a worker makes. Bounded work is done even if the request has been cancelled: as in the kernel,
// the cancellation comes too late.
template <typename... Arguments>
long call_in_worker(const Request& request, long number, Arguments... arguments) {
    return request.has(request_bounded) ? abi::syscall(number, arguments...)
                                        : blocking_syscall(number, abi::syscall_argument(arguments)...);
}

// Makes the call, which may block, and takes what it returns for the request's result. As in the kernel, the failure of
// such a call severs no chain.
template <typename... Arguments>
Outcome one_call(Request& request, long number, Arguments... arguments) {
    const long result = call_in_worker(request, number, arguments...);
    const bool no_file = result == -EBADF && (operation_of(request).flags & op_file) && is_path_only(request.fd);
    return no_file ? request.done(result) : request.ended(result);
}

// The same for calls whose failure severs the chain.
template <typename... Arguments>
Outcome one_call_or_fail(Request& request, long number, Arguments... arguments) {
    one_call(request, number, arguments...);
    return request.done(request.res);
}

}  // namespace ringside::engine
