// IORING_REGISTER_RESIZE_RINGS: other sizes for a ring that is in use. What lies in the queues moves along: entries
// keep their indices, and so do the heads and tails, only the masks change.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "memory/user_memory.h"
#include "register/register.h"
#include "service/path_face.h"

namespace ringside::engine {
namespace {

constexpr uint32_t allowed_flags = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
constexpr uint32_t kept_flags =
    IORING_SETUP_NO_SQARRAY | IORING_SETUP_SQE128 | IORING_SETUP_CQE32 | IORING_SETUP_CQE_MIXED | IORING_SETUP_NO_MMAP;

// The entries of a queue from `first` on, put aside while its memory changes.
struct Entries {
    unsigned char* bytes = nullptr;
    unsigned first = 0;
    unsigned count = 0;
};

// What the header holds and the layout does not.
struct Words {
    uint32_t sq_head, sq_tail, cq_head, cq_tail, sq_dropped, sq_flags, cq_flags, cq_overflow;
};

Words read_words(const RingMemory& memory) {
    const SharedHeader& sq = *memory.header;
    const SharedHeader& cq = *memory.cq;
    return {sq.sq_head.load(),    sq.sq_tail.load(),  cq.cq_head.load(),  cq.cq_tail.load(),
            sq.sq_dropped.load(), sq.sq_flags.load(), cq.cq_flags.load(), cq.cq_overflow.load()};
}

void write_words(SharedHeader& header, const Words& words) {
    header.sq_head.store(words.sq_head);
    header.sq_tail.store(words.sq_tail);
    header.cq_head.store(words.cq_head);
    header.cq_tail.store(words.cq_tail);
    header.sq_dropped.store(words.sq_dropped);
    header.sq_flags.store(words.sq_flags);
    header.cq_flags.store(words.cq_flags);
    header.cq_overflow.store(words.cq_overflow);
}

bool make_room(Entries& entries, unsigned shift) {
    entries.bytes = static_cast<unsigned char*>(malloc((size_t{entries.count} << shift) + 1));
    return entries.bytes != nullptr;
}

// SQEs by way of the SQ array, if there is one: from now on each stands at its own place.
void save_sqes(const Ring& ring, Entries& saved) {
    const size_t size = size_t{1} << ring.sqe_shift;
    const uint32_t mask = ring.sq_entries - 1;
    for (unsigned i = 0; i < saved.count; ++i) {
        uint32_t index = (saved.first + i) & mask;
        if (ring.memory.array != nullptr) index = ring.memory.array[index].load() & mask;
        memcpy(saved.bytes + i * size, ring.memory.sqes + index * size, size);
    }
}

void save_cqes(const Ring& ring, Entries& saved) {
    const size_t size = size_t{1} << ring.cqe_shift;
    const uint32_t mask = ring.cq_entries - 1;
    for (unsigned i = 0; i < saved.count; ++i) {
        memcpy(saved.bytes + i * size, ring.memory.cqes + ((saved.first + i) & mask) * size, size);
    }
}

void restore(const Entries& saved, unsigned char* to, uint32_t queue_entries, unsigned shift) {
    const size_t size = size_t{1} << shift;
    for (unsigned i = 0; i < saved.count; ++i) {
        memcpy(to + ((saved.first + i) & (queue_entries - 1)) * size, saved.bytes + i * size, size);
    }
}

int change_memory(Ring& ring, const io_uring_params& params) {
    if (params.flags & IORING_SETUP_NO_MMAP) return adopt_memory(params, ring.memory);
    return resize_memory(params, ring.memory);
}

// Moves the ring to its new sizes. Returns 0, or -errno with nothing changed.
int move(Ring& ring, const io_uring_params& params, Entries& sqes, Entries& cqes) {
    if (!make_room(sqes, ring.sqe_shift) || !make_room(cqes, ring.cqe_shift)) return -ENOMEM;
    save_sqes(ring, sqes);
    save_cqes(ring, cqes);
    const Words words = read_words(ring.memory);
    const int result = change_memory(ring, params);
    if (result < 0) return result;

    ring.sq_entries = params.sq_entries;
    ring.cq_entries = params.cq_entries;
    restore(sqes, ring.memory.sqes, ring.sq_entries, ring.sqe_shift);
    restore(cqes, ring.memory.cqes, ring.cq_entries, ring.cqe_shift);
    write_words(*ring.memory.header, words);
    SharedHeader* mirror = static_cast<SharedHeader*>(ring.memory.mirror_mapping);
    if (mirror != nullptr) {
        write_words(*mirror, words);
        restore(cqes, reinterpret_cast<unsigned char*>(mirror) + cqes_offset, ring.cq_entries, ring.cqe_shift);
    }
    if (ring.memory.array != nullptr) {
        auto* array = const_cast<std::atomic<uint32_t>*>(ring.memory.array);
        for (uint32_t i = 0; i < ring.sq_entries; ++i) array[i].store(i, std::memory_order_relaxed);
    }
    // No slot is known to be free until the program's head has been looked at.
    ring.completion.plain_until = ring.completion.tail;
    return 0;
}

}  // namespace

int register_resize_rings(Ring& ring, uint64_t address, unsigned) {
    if (!(ring.setup_flags & IORING_SETUP_DEFER_TASKRUN)) return -EINVAL;
    io_uring_params params;
    if (read_user(params, address) < 0) return -EFAULT;
    if (params.flags & ~allowed_flags) return -EINVAL;
    params.flags |= ring.setup_flags & kept_flags;
    int result = size_queues(params.sq_entries, params);
    if (result < 0) return result;

    publish(ring);
    Entries sqes, cqes;
    sqes.first = ring.sq_head;
    sqes.count = ring.memory.header->sq_tail.load(std::memory_order_acquire) - ring.sq_head;
    cqes.count = completions_ready(ring);
    cqes.first = ring.completion.published - cqes.count;
    if (sqes.count > params.sq_entries || cqes.count > params.cq_entries) return -EOVERFLOW;
    describe(layout_of(params), params);
    if (write_user(address, params) < 0) return -EFAULT;
    result = move(ring, params, sqes, cqes);
    free(sqes.bytes);
    free(cqes.bytes);
    return result;
}

}  // namespace ringside::engine
