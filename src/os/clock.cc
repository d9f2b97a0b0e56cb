#include "os/clock.h"

namespace ringside::engine {

int64_t now_ns(clockid_t clock) {
    timespec time = {};
    clock_gettime(clock, &time);
    return time.tv_sec * nanoseconds_per_second + time.tv_nsec;
}

}  // namespace ringside::engine
