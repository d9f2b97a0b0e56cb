// A few things that a process keeps to use again, each a word. Threads take them and give them back without a lock.
#pragma once

#include <stdint.h>
#include <atomic>

namespace ringside::engine {

template <unsigned places>
class IdlePool {
  public:
    // Takes one out; 0 if there is none.
    uintptr_t take() {
        for (auto& place : places_) {
            if (place.load(std::memory_order_relaxed) == 0) continue;
            // Pairs with the release in give(): what the last user did comes before.
            const uintptr_t one = place.exchange(0, std::memory_order_acquire);
            if (one != 0) return one;
        }
        return 0;
    }

    // Returns false if all places are taken.
    bool give(uintptr_t one) {
        for (auto& place : places_) {
            uintptr_t empty = 0;
            if (place.compare_exchange_strong(empty, one, std::memory_order_release)) return true;
        }
        return false;
    }

    // For the child of a fork, whose parent has what is in it.
    void forget() {
        for (auto& place : places_) place.store(0, std::memory_order_relaxed);
    }

  private:
    std::atomic<uintptr_t> places_[places] = {};
};

}  // namespace ringside::engine
