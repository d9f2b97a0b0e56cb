// Most operations on files are one system call that a worker makes.
#pragma once

#include "abi/syscall.h"
#include "ops/operation.h"
#include "service/workers.h"

namespace ringside::engine {

// Makes the call, which may block, and takes what it returns for the request's result.
template <typename... Arguments>
Outcome one_call(Request& request, long number, Arguments... arguments) {
    return request.done(blocking_syscall(number, abi::syscall_argument(arguments)...));
}

}  // namespace ringside::engine
