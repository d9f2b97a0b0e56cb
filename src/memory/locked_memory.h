// How much memory counts as locked because it is registered (RLIMIT_MEMLOCK). Nothing is locked here; but a program is
// refused what the kernel refuses it. The kernel counts for all processes of a user, we can only count for this one.
#pragma once

#include <stdint.h>

namespace ringside::engine {

// What one registered buffer counts for; shared with its clones on other rings, whichever of them goes last.
struct LockedMemory;

// Counts the pages of a range. Returns null if they are more than the limit leaves and the thread has no CAP_IPC_LOCK,
// or if memory is out: -ENOMEM either way.
LockedMemory* lock_memory(uint64_t address, uint64_t length);

LockedMemory* share(LockedMemory* memory);
void unlock_memory(LockedMemory* memory);

// Called in a child after fork, which has no registered memory.
void forget_locked_memory();

}  // namespace ringside::engine
