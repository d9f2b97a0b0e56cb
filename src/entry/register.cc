// io_uring_register(2)
#include <errno.h>
#include <fcntl.h>

#include "abi/syscall.h"
#include "entry/engine.h"
#include "entry/entry.h"
#include "ops/operation.h"
#include "state/registry.h"
#include "state/user_memory.h"

namespace ringside::engine {
namespace {

int register_probe(uint64_t address, unsigned count) {
    constexpr unsigned most = 256;
    if (count > most) count = most;
    struct Table {
        alignas(io_uring_probe) unsigned char head[sizeof(io_uring_probe)];
        io_uring_probe_op ops[most];
    } table = {};
    const size_t size = sizeof(table.head) + count * sizeof(io_uring_probe_op);
    if (read_user(&table, address, size) < 0) return -EFAULT;
    const auto* bytes = reinterpret_cast<const unsigned char*>(&table);
    for (size_t i = 0; i < size; ++i) {
        if (bytes[i] != 0) return -EINVAL;
    }
    auto& probe = *reinterpret_cast<io_uring_probe*>(table.head);
    probe.last_op = operation_count - 1;
    if (count > operation_count) count = operation_count;
    for (unsigned i = 0; i < count; ++i) {
        table.ops[i].op = static_cast<uint8_t>(i);
        if (!(operations[i].flags & op_unsupported)) table.ops[i].flags = IO_URING_OP_SUPPORTED;
    }
    probe.ops_len = static_cast<uint8_t>(count);
    return write_user(address, &table, size);
}

int enable_rings(Ring& ring) {
    if (!ring.disabled) return -EBADFD;
    if (ring.setup_flags & IORING_SETUP_SINGLE_ISSUER) ring.submitter = static_cast<int>(abi::syscall(__NR_gettid));
    ring.disabled = false;
    return 0;
}

int register_locked(Ring& ring, unsigned opcode, void* arg, unsigned nr_args) {
    const auto address = reinterpret_cast<uintptr_t>(arg);
    switch (opcode) {
        case IORING_REGISTER_PROBE: return arg == nullptr ? -EINVAL : register_probe(address, nr_args);
        case IORING_REGISTER_ENABLE_RINGS: return arg != nullptr || nr_args != 0 ? -EINVAL : enable_rings(ring);
        default: return -EINVAL;
    }
}

}  // namespace

int register_call(unsigned fd, unsigned opcode, void* arg, unsigned nr_args) {
    if (opcode >= IORING_REGISTER_LAST) return -EINVAL;
    const int number = static_cast<int>(fd);
    Ring* ring = ring_of(number);
    if (ring == nullptr) return abi::syscall(__NR_fcntl, number, F_GETFD) < 0 ? -EBADF : -EOPNOTSUPP;
    Guard guard(ring->lock);
    if (!ring->open || ring->inherited) return -EBADF;
    if (ring->submitter != 0 && wrong_submitter(*ring)) return -EEXIST;
    return register_locked(*ring, opcode, arg, nr_args);
}

}  // namespace ringside::engine
