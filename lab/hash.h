// FNV-1a, for contents that are compared and not shown.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace ringside::lab {

inline uint64_t hash_of(std::span<const std::byte> bytes) {
    uint64_t hash = 0xcbf29ce484222325;
    for (const std::byte byte : bytes) hash = (hash ^ uint64_t(byte)) * 0x100000001b3;
    return hash;
}

// Byte `i` of the pattern that files and memory are filled with; pattern 0 is zeros.
inline std::byte pattern_byte(uint8_t fill, uint64_t i) {
    return std::byte(fill == 0 ? 0 : static_cast<uint8_t>(fill * 31 + i * 7 + (i >> 8)));
}

}  // namespace ringside::lab
