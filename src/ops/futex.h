// Futexes of the kinds that futex_waitv(2) and its relatives know. The classic futex(2) serves most of them, on every
// kernel and under every policy. The newer calls (Linux 6.7) serve the others.
#pragma once

#include <linux/futex.h>
#include <stdint.h>

namespace ringside::engine {

// Whether the flags name a supported kind of futex: 32 bits wide, with any of the options.
bool is_futex_kind(uint64_t flags);

inline bool fits_futex(uint64_t value) { return value <= UINT32_MAX; }

// Whether a futex of this kind cannot be at this address.
bool is_misaligned(uint64_t address, uint32_t flags);

// Waits while the futex has its value; blocks, in a thread of ours. Returns 0 when woken, or -errno.
long wait_at(const futex_waitv& futex, uint32_t mask);

// Wakes up to `count` waiters whose mask meets `mask`. Returns how many, or -errno.
long wake(uint64_t address, uint32_t flags, int count, uint32_t mask);

// Moves one waiter from one futex to another of the same kind, while the first has its value. Returns how many, or
// -errno.
long requeue_one(const futex_waitv& from, const futex_waitv& to);

}  // namespace ringside::engine
