// getrlimit(2), without errno.
#pragma once

#include <stdint.h>
#include <sys/resource.h>

#include "abi/syscall.h"

namespace ringside::engine {

// The limit in force of a resource (RLIMIT_...), RLIM_INFINITY for none; `otherwise` where a policy refuses to tell.
inline uint64_t limit_of(int resource, uint64_t otherwise) {
    struct rlimit64 limit = {};
    return abi::syscall(__NR_prlimit64, 0, resource, nullptr, &limit) == 0 ? limit.rlim_cur : otherwise;
}

}  // namespace ringside::engine
