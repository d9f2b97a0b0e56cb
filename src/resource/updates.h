// Updates of registered tables, for registrations (register/) and operations (ops/files_update.cc) alike.
#pragma once

#include <errno.h>
#include <stdint.h>

#include "state/ring.h"

namespace ringside::engine {

// Deals with `count` slots from `offset` on, of a table that has `slots`: update_slot(n) does with what is the nth in
// the program's array `data`. Returns how many slots were dealt with, or -errno if that is none.
template <typename UpdateSlot>
int update_slots(uint32_t slots, uint32_t offset, uint32_t count, uint64_t data, UpdateSlot update_slot) {
    uint32_t end;
    if (__builtin_add_overflow(offset, count, &end)) return -EOVERFLOW;
    if (slots == 0) return -ENXIO;
    if (end > slots) return -EINVAL;
    // Only a table can be described without.
    if (data == 0) return -EFAULT;
    for (uint32_t done = 0; done < count; ++done) {
        const int result = update_slot(done);
        if (result < 0) return done != 0 ? static_cast<int>(done) : result;
    }
    return static_cast<int>(count);
}

// --- Files -----------------------------------------------------------------------------------------------------------

inline constexpr int no_file = -1;

// What a slot is to become.
struct Input {
    int32_t fd = no_file;
    uint64_t tag = 0;
};

// One element of the program's arrays, either of which may be missing.
int read_input(uint64_t fds, uint64_t tags, uint32_t at, Input& input);

// New files for the slots from `offset` on, from arrays in the program's memory: of descriptors, and of tags unless
// that address is 0. Returns how many slots were dealt with, or -errno if that is none.
int update_files(Ring& ring, uint32_t offset, uint64_t fds, uint64_t tags, uint32_t count);

}  // namespace ringside::engine
