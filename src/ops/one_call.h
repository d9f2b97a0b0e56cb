// Most operations on files are one system call that a worker makes.
#pragma once

#include "abi/syscall.h"
#include "ops/operation.h"
#include "service/workers.h"

namespace ringside::engine {

// Makes the call, which may block, and takes what it returns for the request's result. As in the kernel, the failure of
// such a call severs no chain.
template <typename... Arguments>
Outcome one_call(Request& request, long number, Arguments... arguments) {
    return request.ended(blocking_syscall(number, abi::syscall_argument(arguments)...));
}

// The same for the calls whose failure does.
template <typename... Arguments>
Outcome one_call_or_fail(Request& request, long number, Arguments... arguments) {
    one_call(request, number, arguments...);
    return request.done(request.res);
}

}  // namespace ringside::engine
