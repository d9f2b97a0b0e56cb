// The size of a page on this machine. One processor has but one, and there the compiler may count with it.
#pragma once

#include <stddef.h>
#include <sys/auxv.h>
#include <atomic>

namespace ringside::abi {

#if defined(__x86_64__)

constexpr size_t page_size() { return 4096; }

#else

inline constinit std::atomic<size_t> known_page_size{0};

inline size_t page_size() {
    size_t size = known_page_size.load(std::memory_order_relaxed);
    if (__builtin_expect(size == 0, 0)) {
        size = getauxval(AT_PAGESZ);
        known_page_size.store(size, std::memory_order_relaxed);
    }
    return size;
}

#endif

}  // namespace ringside::abi
