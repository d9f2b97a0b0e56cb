// Memory that is certain to be there: the part of the calling thread's stack that its callers use. What a program
// passes by pointer most often lies there (a timespec, an iovec array), and needs no system call to be checked.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace ringside::engine {

// Whether `size` bytes at `from` lie between the current frame and the thread's first one.
bool is_on_own_stack(uint64_t from, size_t size);

}  // namespace ringside::engine
