// The memory of programs, at the same addresses in every process: slots that each end at an unmapped page, so that
// whoever reads or writes past the end of an object is found out, and a bad address is bad in every run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "program.h"

namespace ringside::lab {

class Arena {
  public:
    Arena();
    ~Arena();
    Arena(const Arena&) = delete;
    Arena& operator=(const Arena&) = delete;

    // The address of an object of a program that has been placed.
    uint64_t address(uint64_t id, int64_t offset) const;

    // Lays the objects out and fills those that need no descriptor or address; cells are written by World.
    void place(const std::vector<Memory>& memories);

    std::span<std::byte> bytes(uint64_t id) const;

  private:
    std::byte* base_;
    std::vector<std::span<std::byte>> objects_;
};

// How many bytes an object takes.
uint64_t size_of(const Memory& memory);

// The largest object.
inline constexpr uint64_t slot_bytes = 4 * 4096;

}  // namespace ringside::lab
