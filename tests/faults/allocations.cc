// Requests for memory: the linker has this program's own go here (--wrap), and the C library's where they always go.
#include <stddef.h>

#include "faults/injector.h"

using ringside::test::fails;

extern "C" {

void* __real_malloc(size_t size);
void* __real_calloc(size_t count, size_t size);
void* __real_realloc(void* block, size_t size);
void* __real_aligned_alloc(size_t alignment, size_t size);

void* __wrap_malloc(size_t size) {
    return fails(ringside::test::call_malloc, __builtin_return_address(0)) ? nullptr : __real_malloc(size);
}

void* __wrap_calloc(size_t count, size_t size) {
    return fails(ringside::test::call_calloc, __builtin_return_address(0)) ? nullptr : __real_calloc(count, size);
}

void* __wrap_realloc(void* block, size_t size) {
    return fails(ringside::test::call_realloc, __builtin_return_address(0)) ? nullptr : __real_realloc(block, size);
}

void* __wrap_aligned_alloc(size_t alignment, size_t size) {
    return fails(ringside::test::call_aligned_alloc, __builtin_return_address(0))
               ? nullptr
               : __real_aligned_alloc(alignment, size);
}
}
