#include "arena.h"

#include <string.h>
#include <sys/mman.h>

#include <algorithm>
#include <stdexcept>

#include "hash.h"

namespace ringside::lab {
namespace {

// An address that is free in every build: the thread sanitizer's program memory begins low, the address sanitizer's
// high.
#if defined(__SANITIZE_THREAD__)
constexpr uint64_t arena_start = 0x4000000000;
#else
constexpr uint64_t arena_start = 0x200000000000;
#endif

constexpr uint64_t guard_bytes = 4096;
constexpr uint64_t stride = slot_bytes + guard_bytes;
constexpr uint8_t read_only_fill = 9;

uint64_t alignment_of(const Memory& memory) {
    if (memory.label == "page") return 4096;
    return memory.label == "bytes" || memory.label == "path" ? 1 : 16;
}

}  // namespace

uint64_t size_of(const Memory& memory) {
    if (!memory.text.empty()) return memory.text.size() + 1;
    if (memory.cells.empty()) return std::min(memory.size, slot_bytes);
    uint64_t size = 0;
    for (const Cell& cell : memory.cells) size += cell.width;
    return std::min(std::max(size, memory.size), slot_bytes);
}

Arena::Arena() : objects_(memory_slots) {
    void* start = mmap(reinterpret_cast<void*>(arena_start), memory_slots * stride, PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (start == MAP_FAILED) throw std::runtime_error("the lab's memory cannot be mapped");
    base_ = static_cast<std::byte*>(start);
    for (uint32_t slot = 0; slot < memory_slots; ++slot) {
        std::byte* first = base_ + slot * stride;
        mprotect(first, slot_bytes, PROT_READ | PROT_WRITE);
        if (slot < first_read_only_memory) continue;
        for (uint64_t i = 0; i < slot_bytes; ++i) first[i] = pattern_byte(read_only_fill, i);
        mprotect(first, slot_bytes, PROT_READ);
    }
}

Arena::~Arena() { munmap(base_, memory_slots * stride); }

uint64_t Arena::address(uint64_t id, int64_t offset) const {
    return reinterpret_cast<uint64_t>(bytes(id).data()) + static_cast<uint64_t>(offset);
}

std::span<std::byte> Arena::bytes(uint64_t id) const { return objects_[std::min<uint64_t>(id, memory_slots - 1)]; }

void Arena::place(const std::vector<Memory>& memories) {
    // A name without an object is the start of its slot.
    for (uint32_t slot = 0; slot < memory_slots; ++slot) objects_[slot] = {base_ + slot * stride, 0};
    for (const Memory& memory : memories) {
        if (memory.id >= memory_slots) continue;
        const uint64_t size = size_of(memory);
        const uint64_t start = (slot_bytes - size) / alignment_of(memory) * alignment_of(memory);
        objects_[memory.id] = {base_ + memory.id * stride + start, size};
        if (memory.id >= first_read_only_memory) continue;
        std::byte* bytes = objects_[memory.id].data();
        for (uint64_t i = 0; i < size; ++i) bytes[i] = pattern_byte(memory.fill, i);
        if (!memory.text.empty()) memcpy(bytes, memory.text.c_str(), memory.text.size() + 1);
    }
}

}  // namespace ringside::lab
