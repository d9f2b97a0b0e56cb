// Clocks, and spans of time in nanoseconds.
#pragma once

#include <stdint.h>
#include <time.h>

#include "liburing/io_uring.h"

namespace ringside::engine {

inline constexpr int64_t nanoseconds_per_second = 1'000'000'000;
inline constexpr int64_t no_deadline = INT64_MAX;

// Time on a clock (CLOCK_MONOTONIC, CLOCK_BOOTTIME or CLOCK_REALTIME), in nanoseconds.
int64_t now_ns(clockid_t clock);

// A point in time some way after another: no_deadline where that is further than time goes.
inline int64_t later(int64_t time_ns, int64_t span_ns) {
    int64_t sum;
    return __builtin_add_overflow(time_ns, span_ns, &sum) ? no_deadline : sum;
}

// A program's time in nanoseconds. A negative one is over at once, an absurd one never.
inline int64_t nanoseconds_of(const __kernel_timespec& time) {
    if (time.tv_sec < 0) return 0;
    if (time.tv_sec >= no_deadline / nanoseconds_per_second) return no_deadline;
    const int64_t sum = later(time.tv_sec * nanoseconds_per_second, time.tv_nsec);
    return sum < 0 ? 0 : sum;
}

}  // namespace ringside::engine
