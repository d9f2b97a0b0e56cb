// Which provider runs a ring, and calls to it. This is the only file that knows where struct io_uring keeps that.
//
// struct io_uring has no field for it, but it has spare bytes, in the same places as liburing's, that programs leave
// alone: int_flags holds the bits below, and the eight bytes of cq.pad hold the engine's ring, so that a submission
// reaches the engine with no look-up. A structure that a program zeroed and filled in by itself is thereby the
// kernel's.
#pragma once

#include <string.h>

#include "liburing/api.h"
#include "provider/kernel.h"
#include "provider/provider.h"

namespace ringside::liburing {

// io_uring.int_flags. Two bits have the values of the io_uring_enter(2) flags that they stand for, so that an enter
// only masks them.
enum InternalFlag : unsigned {
    // Register calls, too, use the registered index.
    internal_registered_register = 1U << 0,
    // The ring's memory is the program's, not to be unmapped.
    internal_program_memory = 1U << 1,
    // The engine runs the ring.
    internal_engine = 1U << 2,
    // Enters use the registered index.
    internal_registered_ring = IORING_ENTER_REGISTERED_RING,
    // Waits do not count as waiting for I/O.
    internal_no_iowait = IORING_ENTER_NO_IOWAIT,
};
inline constexpr unsigned internal_enter_flags = internal_registered_ring | internal_no_iowait;

static_assert(internal_no_iowait <= 0xff, "int_flags has eight bits");
static_assert(sizeof(io_uring_cq::pad) == sizeof(engine::Ring*));

inline bool has(const io_uring& ring, InternalFlag flag) { return (ring.int_flags & flag) != 0; }
inline void set(io_uring& ring, InternalFlag flag) { ring.int_flags = static_cast<__u8>(ring.int_flags | flag); }
inline void clear(io_uring& ring, unsigned flags) { ring.int_flags = static_cast<__u8>(ring.int_flags & ~flags); }

inline provider::Kind owner(const io_uring& ring) {
    return has(ring, internal_engine) ? provider::Kind::engine : provider::Kind::kernel;
}

// The engine's ring, or null: the kernel's ring, or one of the engine's that has an index but no descriptor.
inline engine::Ring* engine_ring(const io_uring& ring) {
    engine::Ring* pointer;
    memcpy(&pointer, ring.cq.pad, sizeof(pointer));
    return pointer;
}

// Notes which provider runs the ring behind `fd`. Call it on a zeroed structure, once the ring has its descriptor.
inline void set_owner(io_uring& ring, provider::Kind kind, int fd) {
    if (kind == provider::Kind::kernel) return;
    set(ring, internal_engine);
    engine::Ring* const pointer = engine::find(fd);
    memcpy(ring.cq.pad, &pointer, sizeof(pointer));
}

int enter_engine(io_uring& ring, unsigned to_submit, unsigned min_complete, unsigned flags, const void* arg,
                 size_t arg_size);

// io_uring_enter(2) on the ring.
inline int enter(io_uring& ring, unsigned to_submit, unsigned min_complete, unsigned flags, const void* arg,
                 size_t arg_size) {
    if (uring_unlikely(has(ring, internal_engine))) {
        return enter_engine(ring, to_submit, min_complete, flags, arg, arg_size);
    }
    return kernel::enter(static_cast<unsigned>(ring.enter_ring_fd), to_submit, min_complete,
                         flags | (ring.int_flags & internal_enter_flags), arg, arg_size);
}

// Called when the program found nothing to reap, or has nothing to submit. The kernel looks at the queue itself when
// ring_fd is polled. The engine's descriptor stays readable until the engine looks at the queue, which this call
// makes it do.
inline void note_idle(io_uring& ring) {
    if (has(ring, internal_engine)) enter_engine(ring, 0, 0, 0, nullptr, 0);
}

// io_uring_register(2) on the ring.
int register_call(io_uring& ring, unsigned opcode, const void* arg, unsigned nr_args);

// The provider that answers a bare system call on `fd`: the engine if it knows the descriptor, else the provider that
// new rings of this process get. So a program under RINGSIDE_PROVIDER=engine never makes a real io_uring call,
// whatever it passes.
provider::Kind owner_of_fd(int fd);

}  // namespace ringside::liburing
