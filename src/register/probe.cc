// IORING_REGISTER_PROBE: which operations there are, as the operation table says.
#include <errno.h>

#include "memory/user_memory.h"
#include "register/register.h"
#include "state/operation.h"

namespace ringside::engine {

int register_probe(Ring&, uint64_t address, unsigned count) {
    constexpr unsigned most = 256;
    if (address == 0 || count > most) return -EINVAL;
    // Room for more is neither looked at nor written.
    if (count > operation_count) count = operation_count;
    struct Table {
        alignas(io_uring_probe) unsigned char head[sizeof(io_uring_probe)];
        io_uring_probe_op ops[operation_count];
    } table = {};
    const size_t size = sizeof(table.head) + count * sizeof(io_uring_probe_op);
    if (read_user(&table, address, size) < 0) return -EFAULT;
    const auto* bytes = reinterpret_cast<const unsigned char*>(&table);
    for (size_t i = 0; i < size; ++i) {
        if (bytes[i] != 0) return -EINVAL;
    }
    auto& probe = *reinterpret_cast<io_uring_probe*>(table.head);
    probe.last_op = operation_count - 1;
    for (unsigned i = 0; i < count; ++i) {
        table.ops[i].op = static_cast<uint8_t>(i);
        table.ops[i].flags = IO_URING_OP_SUPPORTED;
    }
    probe.ops_len = static_cast<uint8_t>(count);
    return write_user(address, &table, size);
}

}  // namespace ringside::engine
