#include "liburing/owner.h"

namespace ringside::liburing {

int enter_engine(io_uring& ring, unsigned to_submit, unsigned min_complete, unsigned flags, const void* arg,
                 size_t arg_size) {
    flags |= ring.int_flags & internal_no_iowait;
    engine::Ring* const pointer = engine_ring(ring);
    if (pointer != nullptr) return engine::enter(*pointer, to_submit, min_complete, flags, arg, arg_size);
    flags |= ring.int_flags & internal_registered_ring;
    return engine::enter(static_cast<unsigned>(ring.enter_ring_fd), to_submit, min_complete, flags, arg, arg_size);
}

int register_call(io_uring& ring, unsigned opcode, const void* arg, unsigned nr_args) {
    unsigned fd = static_cast<unsigned>(ring.ring_fd);
    if (has(ring, internal_registered_register)) {
        fd = static_cast<unsigned>(ring.enter_ring_fd);
        opcode |= IORING_REGISTER_USE_REGISTERED_RING;
    }
    // Whether the argument is only read or also written to depends on the opcode; the ABI has one type for both.
    return provider::register_call(owner(ring), fd, opcode, const_cast<void*>(arg), nr_args);
}

provider::Kind owner_of_fd(int fd) {
    return engine::find(fd) != nullptr ? provider::Kind::engine : provider::choose().kind;
}

}  // namespace ringside::liburing
