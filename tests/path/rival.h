// What races need: how many turns, somebody to race against, and each request's one completion.
#pragma once

#include <gtest/gtest.h>
#include <limits.h>
#include <stdlib.h>

#include <atomic>
#include <thread>
#include <vector>

#include "support/cqe.h"

namespace ringside::test {

// How often a race is run of which a turn costs so much.
inline unsigned turns(unsigned cost) {
    const char* wanted = getenv("RINGSIDE_RACES");
    return wanted != nullptr ? static_cast<unsigned>(strtoul(wanted, nullptr, 10)) : 20'000 / cost + 1;
}

// Takes about as many nanoseconds.
inline void dawdle(unsigned rounds) {
    for (; rounds > 0; --rounds) asm volatile("" ::: "memory");
}

// A thread that does something once a turn, at about the moment at which the turn begins. The delay wanders, so that
// sooner or later the two meet at each point of their ways.
class Rival {
  public:
    template <typename Act>
    explicit Rival(Act act)
        : thread_([this, act] {
              for (unsigned seen = 0;;) {
                  unsigned now;
                  while ((now = turn_.load(std::memory_order_acquire)) == seen) std::this_thread::yield();
                  if (now == ended) return;
                  seen = now;
                  dawdle(now * 7 % 2000);
                  act();
                  done_.store(now, std::memory_order_release);
              }
          }) {}
    ~Rival() {
        turn_.store(ended, std::memory_order_release);
        thread_.join();
    }

    void begin() { turn_.store(turn_.load() + 1, std::memory_order_release); }
    void await() const {
        while (done_.load(std::memory_order_acquire) != turn_.load()) std::this_thread::yield();
    }

  private:
    static constexpr unsigned ended = ~0U;
    std::atomic<unsigned> turn_ = 0;
    std::atomic<unsigned> done_ = 0;
    std::thread thread_;
};

inline const Cqe* completion_of(const std::vector<Cqe>& completions, uint64_t data) {
    const Cqe* found = nullptr;
    for (const Cqe& cqe : completions) {
        if (cqe.user_data != data) continue;
        EXPECT_EQ(found, nullptr) << "a second completion: " << cqe;
        found = &cqe;
    }
    EXPECT_NE(found, nullptr) << "no completion of " << data;
    static constexpr Cqe none = {~0ULL, INT32_MIN, 0};
    return found != nullptr ? found : &none;
}

}  // namespace ringside::test
