// getrlimit(2), without errno; and a limit that all calls have.
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

// No transfer moves more at once; what is asked for beyond that is as if it had not been.
inline constexpr uint32_t most_at_once = INT32_MAX & ~4095u;

}  // namespace ringside::engine
