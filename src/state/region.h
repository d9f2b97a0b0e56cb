// IORING_REGISTER_MEM_REGION: memory that program and ring share, for arguments of waits.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace ringside::engine {

inline constexpr uint64_t region_offset = 0x20000000;  // where the program maps one that we made

struct Region {
    uint64_t address = 0;
    size_t size = 0;    // 0: there is none
    bool ours = false;  // our mapping; else the program's own memory
    bool holds_wait_arguments = false;
};

}  // namespace ringside::engine
