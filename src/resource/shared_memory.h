// Memory that a ring shares with its program beside the rings themselves, at offsets of their own: buffer rings, and
// the region for arguments of waits.
//
// A program that maps its rings itself does so through the ring's descriptor, a sparse file that holds them at the
// offsets of the ABI; it grows as far as is needed. Where the descriptor cannot be mapped, engine::map() gives the
// memory out.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace ringside::engine {

struct Ring;

// Zeroed memory of `size` bytes, whole pages. Null when there is none to be had.
void* make_shared_memory(const Ring& ring, uint64_t offset, size_t size);

void free_shared_memory(const Ring& ring, uint64_t offset, void* memory, size_t size);

}  // namespace ringside::engine
