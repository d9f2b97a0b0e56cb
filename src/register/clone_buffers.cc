// IORING_REGISTER_CLONE_BUFFERS: the registered buffers of one ring for another.
//
// It is the one registration that needs two rings' locks. Whoever wants a second lock and finds it taken gives up the
// first and takes both in the order of their addresses, so that two rings can be cloned into each other at the same
// time.
#include <errno.h>

#include "memory/user_memory.h"
#include "process/inside.h"
#include "process/registered_rings.h"
#include "process/registry.h"
#include "register/register.h"
#include "resource/registered_buffers.h"
#include "service/ring_file.h"

namespace ringside::engine {
namespace {

// Locks another ring beside the one that is locked, which may be unlocked for a moment.
void lock_too(Ring& ring, Ring& other) RINGSIDE_UNCHECKED {
    if (other.lock.try_acquire()) return;
    ring.lock.release();
    Ring& first = &ring < &other ? ring : other;
    Ring& second = &ring < &other ? other : ring;
    first.lock.acquire();
    second.lock.acquire();
}

// The ring to clone from, or -errno.
int find_source(const io_uring_clone_buffers& wanted, FoundRing& source) {
    if (!(wanted.flags & IORING_REGISTER_SRC_REGISTERED))
        return find_ring_named(static_cast<int>(wanted.src_fd), source);
    const int result = find_registered_ring(wanted.src_fd, source.ring);
    if (result == 0) source.generation = source.ring->generation.load();
    return result;
}

// What is to go where, once all is known to fit.
struct Plan {
    uint32_t from;
    uint32_t to;
    uint32_t count;
    uint32_t table;  // slots that the new table has
};

int make_plan(const RegisteredBuffers& source, const RegisteredBuffers& old, const io_uring_clone_buffers& wanted,
              Plan& plan) {
    if (wanted.nr == 0 && (wanted.dst_off != 0 || wanted.src_off != 0)) return -EINVAL;
    if (old.count != 0 && !(wanted.flags & IORING_REGISTER_DST_REPLACE)) return -EBUSY;
    if (source.count == 0) return -ENXIO;
    plan = {wanted.src_off, wanted.dst_off, wanted.nr != 0 ? wanted.nr : source.count, 0};
    if (plan.count > source.count) return -EINVAL;
    uint32_t end;
    if (__builtin_add_overflow(plan.from, plan.count, &end) || end > source.count) return -EOVERFLOW;
    if (__builtin_add_overflow(plan.to, plan.count, &end)) return -EOVERFLOW;
    if (end > most_registered_buffers) return -EINVAL;
    plan.table = end > old.count ? end : old.count;
    return 0;
}

int copy_buffers(Ring& ring, const RegisteredBuffers& source, const Plan& plan, RegisteredBuffers& table) {
    for (uint32_t i = 0; i < plan.count; ++i) {
        const RegisteredBuffer* buffer = source.slots[plan.from + i];
        if (buffer == nullptr) continue;
        // The tag stays with the original.
        const iovec range = {user_pointer(buffer->address), buffer->length};
        const int result = put_buffer(ring, table, plan.to + i, range, 0, buffer);
        if (result < 0) return result;
    }
    return 0;
}

// Those outside the cloned range stay.
void move_others(RegisteredBuffers& old, const Plan& plan, RegisteredBuffers& table) {
    for (uint32_t index = 0; index < old.count; ++index) {
        if (index >= plan.to && index - plan.to < plan.count) continue;
        table.slots[index] = old.slots[index];
        old.slots[index] = nullptr;
    }
}

int clone(Ring& ring, Ring& source, const io_uring_clone_buffers& wanted) {
    if (!ring.open || !source.open) return -EBADF;
    if (&source != &ring && source.submitter != 0 && wrong_submitter(source)) return -EEXIST;
    Plan plan;
    RegisteredBuffers table;
    int result = make_plan(source.buffers, ring.buffers, wanted, plan);
    if (result == 0) result = make_buffer_table(table, plan.table);
    if (result < 0) return result;
    result = copy_buffers(ring, source.buffers, plan, table);
    if (result < 0) {
        drop_buffers(ring, table);
        return result;
    }
    move_others(ring.buffers, plan, table);
    drop_buffers(ring);
    ring.buffers = table;
    return 0;
}

}  // namespace

int register_clone_buffers(Ring& ring, uint64_t address, unsigned) RINGSIDE_UNCHECKED {
    io_uring_clone_buffers wanted;
    if (read_user(wanted, address) < 0) return -EFAULT;
    if (wanted.flags & ~(IORING_REGISTER_SRC_REGISTERED | IORING_REGISTER_DST_REPLACE)) return -EINVAL;
    if (ring.buffers.count != 0 && !(wanted.flags & IORING_REGISTER_DST_REPLACE)) return -EBUSY;
    for (uint32_t pad : wanted.pad) {
        if (pad != 0) return -EINVAL;
    }
    FoundRing source;
    const FoundRing target = {&ring, ring.generation.load()};
    const int found = find_source(wanted, source);
    if (found < 0) return found;
    if (source.ring == &ring) return clone(ring, ring, wanted);
    // In a handler, in the middle of a call on the other ring.
    if (find_interrupted(*source.ring) != nullptr) return -EDEADLK;
    Inside inside(*source.ring);
    lock_too(ring, *source.ring);
    const int result = source.is_same() && target.is_same() ? clone(ring, *source.ring, wanted) : -EBADF;
    source.ring->lock.release();
    return result;
}

}  // namespace ringside::engine
