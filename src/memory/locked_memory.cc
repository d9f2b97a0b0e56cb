#include "memory/locked_memory.h"

#include <linux/capability.h>
#include <stdlib.h>
#include <atomic>

#include "os/credentials.h"
#include "os/limits.h"

namespace ringside::engine {

struct LockedMemory {
    std::atomic<unsigned> holders;
    uint64_t pages;
};

namespace {

constexpr uint64_t page = 4096;

std::atomic<uint64_t> pages_locked{0};

}  // namespace

LockedMemory* lock_memory(uint64_t address, uint64_t length) {
    const uint64_t pages = (address + length + page - 1) / page - address / page;
    auto* memory = static_cast<LockedMemory*>(malloc(sizeof(LockedMemory)));
    if (memory == nullptr) return nullptr;
    const uint64_t locked = pages_locked.fetch_add(pages, std::memory_order_relaxed) + pages;
    if (locked > limit_of(RLIMIT_MEMLOCK, RLIM_INFINITY) / page && !has_capability(CAP_IPC_LOCK)) {
        pages_locked.fetch_sub(pages, std::memory_order_relaxed);
        free(memory);
        return nullptr;
    }
    memory->holders.store(1, std::memory_order_relaxed);
    memory->pages = pages;
    return memory;
}

LockedMemory* share(LockedMemory* memory) {
    memory->holders.fetch_add(1, std::memory_order_relaxed);
    return memory;
}

void unlock_memory(LockedMemory* memory) {
    if (memory->holders.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    pages_locked.fetch_sub(memory->pages, std::memory_order_relaxed);
    free(memory);
}

void forget_locked_memory() { pages_locked.store(0, std::memory_order_relaxed); }

}  // namespace ringside::engine
