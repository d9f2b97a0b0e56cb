// Waiting for what ought to happen at once, with a bound instead of a sleep.
#pragma once

#include <stdint.h>
#include <time.h>

namespace ringside::test {

inline int64_t now_ns(clockid_t clock = CLOCK_MONOTONIC) {
    timespec time;
    clock_gettime(clock, &time);
    return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

inline void sleep_ms(int64_t milliseconds) {
    const timespec time = {milliseconds / 1000, milliseconds % 1000 * 1'000'000};
    nanosleep(&time, nullptr);
}

// Whether the condition comes true within ten seconds; it is looked at every millisecond.
template <typename Condition>
bool eventually(Condition condition, int64_t limit_ms = 10'000) {
    for (const int64_t deadline = now_ns() + limit_ms * 1'000'000; now_ns() < deadline; sleep_ms(1)) {
        if (condition()) return true;
    }
    return condition();
}

// Measures how long something took.
class Stopwatch {
  public:
    int64_t elapsed_ms() const { return (now_ns() - start_) / 1'000'000; }

  private:
    int64_t start_ = now_ns();
};

}  // namespace ringside::test
