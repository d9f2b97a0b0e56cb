#include "allocations.h"

#include <stdlib.h>

#include <atomic>
#include <new>

namespace {

std::atomic<size_t> made, live;

void* allocate(size_t size) {
    void* const memory = malloc(size);
    if (memory == nullptr) abort();
    made.fetch_add(1, std::memory_order_relaxed);
    live.fetch_add(1, std::memory_order_relaxed);
    return memory;
}

void release(void* memory) {
    if (memory == nullptr) return;
    live.fetch_sub(1, std::memory_order_relaxed);
    free(memory);
}

}  // namespace

void* operator new(size_t size) { return allocate(size); }
void* operator new[](size_t size) { return allocate(size); }
void* operator new(size_t size, const std::nothrow_t&) noexcept { return allocate(size); }
void* operator new[](size_t size, const std::nothrow_t&) noexcept { return allocate(size); }
void operator delete(void* memory) noexcept { release(memory); }
void operator delete[](void* memory) noexcept { release(memory); }
void operator delete(void* memory, size_t) noexcept { release(memory); }
void operator delete[](void* memory, size_t) noexcept { release(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { release(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { release(memory); }

namespace ringside::test {

size_t allocations_made() { return made.load(std::memory_order_relaxed); }
size_t allocations_live() { return live.load(std::memory_order_relaxed); }

}  // namespace ringside::test
