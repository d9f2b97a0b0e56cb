// Reads and writes.
#include <fcntl.h>
#include <sys/uio.h>

#include "liburing/io_uring.h"
#include "operations.h"

namespace ringside::lab {
namespace {

using enum ResourceKind;

uint64_t some_length(Random& random) { return random.one_of<uint64_t>({0, 1, 7, 8, 8, 16, 64, 512, 1000, 4096, 8192}); }

// Where a transfer goes: a file at an offset, something without offsets, or an end of a channel.
// A write to an eventfd is left to plain(): it adds a number, and too large a sum waits.
bool use_transfer_file(Draft& draft, bool write) {
    const Access access = write ? Access::exclusive : Access::shared;
    const unsigned kind = static_cast<unsigned>(draft.random.below(100));
    if (kind < 15 && draft.use_opened(Access::exclusive)) {
        draft.set(Field::off, draft.random.one_of<uint64_t>({0, file_position, 5, 512}));
        return true;
    }
    if (kind < 55) {
        const bool positioned = draft.random.percent(15);
        if (!draft.use_resource({file, memfd}, positioned ? Access::exclusive : access)) return false;
        draft.set(Field::off, positioned ? file_position
                                         : draft.random.one_of<uint64_t>({0, 0, 1, 5, 500, 512, 4096, 9990, 1 << 20}));
        return true;
    }
    if (kind < 65) return draft.use_resource({null}, Access::shared);
    draft.set(Field::off, draft.random.one_of<uint64_t>({0, 0, file_position, 5}));
    if (kind < 75 && !write) return draft.use_channel({eventfd}, 0, true);
    if (write) {
        if (!draft.use_channel({pipe, stream, datagram, seqpacket}, 1, false)) return false;
        draft.must_succeed = !draft.builder.bears_empty_wake(static_cast<uint32_t>(draft[Field::fd].number));
        return true;
    }
    return draft.use_channel({pipe, stream, datagram, seqpacket}, 0, true);
}

void set_rw_flags(Draft& draft, bool write) {
    if (!draft.random.percent(12)) return;
    const uint32_t for_reads = draft.random.one_of<uint32_t>({RWF_HIPRI, RWF_NOWAIT, RWF_SYNC});
    const uint32_t for_writes = draft.random.one_of<uint32_t>({RWF_DSYNC, RWF_SYNC, RWF_APPEND, RWF_NOWAIT});
    draft.set(Field::op_flags, write ? for_writes : for_reads);
}

bool add_to_eventfd(Draft& draft) {
    if (!draft.use_channel({eventfd}, 0, false)) return false;
    const bool may_be_zero = draft.builder.bears_empty_wake(static_cast<uint32_t>(draft[Field::fd].number));
    draft[Field::addr] = draft.builder.cells("counter", {{8, number(draft.random.between(may_be_zero ? 0 : 1, 3))}});
    draft.set(Field::len, draft.random.percent(90) ? 8 : 4);
    return true;
}

bool plain(Draft& draft, bool write) {
    if (write && draft.random.percent(8)) return add_to_eventfd(draft);
    if (!use_transfer_file(draft, write)) return false;
    const uint64_t length = some_length(draft.random);
    draft.set(Field::len, length);
    if (!write && draft.random.percent(15) && draft.select_buffer()) return true;
    if (draft.random.percent(3)) {
        draft[Field::addr] = memory_at(first_read_only_memory);  // reading into it is a fault
    } else {
        draft[Field::addr] =
            draft.builder.bytes(length, write ? static_cast<uint8_t>(draft.random.between(1, 200)) : 0);
    }
    set_rw_flags(draft, write);
    return !draft.must_succeed || !draft[Field::addr].is_zero();
}

bool vectored(Draft& draft, bool write) {
    if (!use_transfer_file(draft, write)) return false;
    const uint64_t count = draft.random.one_of<uint64_t>({0, 1, 1, 2, 2, 3, 5});
    std::vector<Cell> cells;
    for (uint64_t i = 0; i < count; ++i) {
        const uint64_t length = some_length(draft.random);
        const uint8_t fill = write ? static_cast<uint8_t>(draft.random.between(1, 200)) : 0;
        const bool bad = draft.random.percent(4) && !draft.must_succeed;
        const Value memory = bad ? number(8) : draft.builder.bytes(length, fill);
        if (memory.is_zero() && draft.must_succeed) return false;
        cells.push_back({8, memory});
        cells.push_back({8, number(draft.random.percent(2) ? ~uint64_t{0} : length)});
    }
    draft.set(Field::len, count);
    if (count > 0) draft[Field::addr] = draft.builder.cells("iovec", cells);
    set_rw_flags(draft, write);
    return true;
}

bool read(Draft& draft) { return plain(draft, false); }
bool write(Draft& draft) { return plain(draft, true); }
bool readv(Draft& draft) { return vectored(draft, false); }
bool writev(Draft& draft) { return vectored(draft, true); }

bool fixed(Draft& draft, bool write) {
    if (!use_transfer_file(draft, write)) return false;
    const std::vector<Value>& buffers = draft.builder.fixed_buffers;
    const uint64_t length = some_length(draft.random);
    draft.set(Field::len, length);
    if (buffers.empty()) {
        draft[Field::addr] = draft.builder.bytes(length, 3);
        return true;
    }
    const uint64_t index = draft.random.below(buffers.size());
    const Value& buffer = buffers[index];
    if (buffer.kind == Value::Kind::memory && !draft.builder.take(memory_key + buffer.number, Access::exclusive))
        return false;
    draft.set(Field::buf_index, index);
    draft[Field::addr] = buffer;
    if (draft.random.percent(30)) draft[Field::addr].offset += 8;
    return true;
}

bool read_fixed(Draft& draft) { return fixed(draft, false); }
bool write_fixed(Draft& draft) { return fixed(draft, true); }

bool fixed_vectored(Draft& draft, bool write) {
    if (!fixed(draft, write)) return false;
    const Value base = draft[Field::addr];
    draft[Field::addr] = draft.builder.cells("iovec", {{8, base}, {8, draft[Field::len]}});
    draft.set(Field::len, 1);
    return true;
}

bool readv_fixed(Draft& draft) { return fixed_vectored(draft, false); }
bool writev_fixed(Draft& draft) { return fixed_vectored(draft, true); }

// RWF_HIPRI spins for completions that a plain file never gives; RWF_ATOMIC and the like are refused at once.
constexpr Operation table[] = {
    {.opcode = IORING_OP_READ, .weight = 12, .fill = read},
    {.opcode = IORING_OP_WRITE, .weight = 12, .fill = write},
    {.opcode = IORING_OP_READV, .weight = 6, .fill = readv},
    {.opcode = IORING_OP_WRITEV, .weight = 6, .fill = writev},
    {.opcode = IORING_OP_READ_FIXED, .weight = 3, .fill = read_fixed},
    {.opcode = IORING_OP_WRITE_FIXED, .weight = 3, .fill = write_fixed},
    {.opcode = IORING_OP_READV_FIXED, .weight = 2, .fill = readv_fixed},
    {.opcode = IORING_OP_WRITEV_FIXED, .weight = 2, .fill = writev_fixed},
};

}  // namespace

std::span<const Operation> rw_operations() { return table; }

}  // namespace ringside::lab
