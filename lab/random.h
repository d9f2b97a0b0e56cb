// A small generator of random numbers that gives the same sequence everywhere (splitmix64), so that a seed is a
// program.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <vector>

namespace ringside::lab {

class Random {
  public:
    explicit Random(uint64_t seed) : state_(seed) {}

    uint64_t next() {
        state_ += 0x9e3779b97f4a7c15;
        uint64_t z = state_;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return z ^ (z >> 31);
    }
    // 0 .. bound - 1
    uint64_t below(uint64_t bound) { return next() % bound; }
    // first .. last
    uint64_t between(uint64_t first, uint64_t last) { return first + below(last - first + 1); }
    bool percent(unsigned chance) { return below(100) < chance; }

    template <typename T>
    T one_of(std::initializer_list<T> choices) {
        return choices.begin()[below(choices.size())];
    }
    template <typename T>
    const T& one_of(const std::vector<T>& choices) {
        return choices[below(choices.size())];
    }

  private:
    uint64_t state_;
};

}  // namespace ringside::lab
