// The memory that a ring shares with its program: one header, the CQEs, the SQ array, and the SQEs.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <atomic>

#include "liburing/io_uring.h"

namespace ringside::engine {

// The header as the kernel lays it out. The program writes sq_tail, cq_head and cq_flags (and may scribble over the
// rest, none of which the engine trusts); we write the others.
struct SharedHeader {
    std::atomic<uint32_t> sq_head, sq_tail;
    std::atomic<uint32_t> cq_head, cq_tail;
    uint32_t sq_mask, cq_mask;
    uint32_t sq_entries, cq_entries;
    std::atomic<uint32_t> sq_dropped;
    std::atomic<uint32_t> sq_flags;
    std::atomic<uint32_t> cq_flags;
    std::atomic<uint32_t> cq_overflow;
};

inline constexpr size_t cqes_offset = 64;
static_assert(sizeof(SharedHeader) <= cqes_offset);

// Sizes of the two regions for given parameters; `array_offset` is where the SQ array begins in the first, 0 without.
struct RingLayout {
    size_t rings_size;
    size_t sqes_size;
    uint32_t array_offset;
};
RingLayout layout_of(const io_uring_params& params);

// Fills params.sq_off and params.cq_off.
void describe(const RingLayout& layout, io_uring_params& params);

// Our mapping of a ring's memory.
struct RingMemory {
    SharedHeader* header = nullptr;
    SharedHeader* cq = nullptr;  // the header whose CQ side the program uses: `header`, or the copy
    unsigned char* cqes = nullptr;
    const std::atomic<uint32_t>* array = nullptr;  // null with IORING_SETUP_NO_SQARRAY
    unsigned char* sqes = nullptr;
    SharedHeader* mirror = nullptr;  // the copy of the CQ ring, while it is not known which one the program uses
    void* mirror_mapping = nullptr;  // the same, to unmap
    size_t rings_size = 0;
    size_t sqes_size = 0;
    bool owned = false;  // ours to unmap; the program's own with IORING_SETUP_NO_MMAP
};

// Makes a sparse memfd with the regions at the kernel's mmap offsets and maps it. One offset of a file cannot show
// another's pages, so a program that maps the CQ ring by itself, at IORING_OFF_CQ_RING, would get memory apart from the
// SQ ring's: that is prepared as a copy, which path/post.cc keeps up. Returns the memfd, or -errno: -EFBIG where
// RLIMIT_FSIZE does not allow a file that large, though it is sparse.
int create_memory(const io_uring_params& params, RingMemory& memory);

// Makes memory for a ring that nobody maps but us. Returns 0 or -errno.
int create_private_memory(const io_uring_params& params, RingMemory& memory);

// The same on memory that the program gave (IORING_SETUP_NO_MMAP). Returns 0 or -errno.
int adopt_memory(const io_uring_params& params, RingMemory& memory);

// Gives memory that create_memory() made the size for other parameters, which must differ in nothing but the entries.
// It is all zero afterwards but for the constants. Returns 0 or -ENOMEM, and then nothing has changed.
int resize_memory(const io_uring_params& params, RingMemory& memory);

void destroy_memory(RingMemory& memory);

// Sets the sizes of both queues from the number of SQEs asked for and params.cq_entries, as params.flags say. Returns 0
// or -EINVAL.
int size_queues(unsigned entries, io_uring_params& params);

}  // namespace ringside::engine
