// Buffers that requests choose from.
#include "liburing/io_uring.h"
#include "operations.h"

namespace ringside::lab {
namespace {

using enum ResourceKind;

constexpr uint64_t buffer_bytes = 64;

bool provide(Draft& draft) {
    const uint64_t group = draft.random.below(3);
    if (!draft.builder.take(buffer_group_key + group, Access::exclusive)) return false;
    const uint64_t count = draft.random.between(1, 4);
    draft.set(Field::fd, count);
    draft[Field::addr] = draft.builder.bytes(count * buffer_bytes, 0);
    draft.set(Field::len, buffer_bytes);
    draft.set(Field::off, draft.random.below(4) * 10);
    draft.set(Field::buf_index, group);
    draft.builder.buffer_groups.insert(group);
    return true;
}

bool remove(Draft& draft) {
    const uint64_t group = draft.random.below(3);
    if (!draft.builder.take(buffer_group_key + group, Access::exclusive)) return false;
    draft.set(Field::fd, draft.random.between(1, 5));
    draft.set(Field::buf_index, group);
    return true;
}

bool read_multishot(Draft& draft) {
    if (!draft.builder.has_cq_room(32) || !draft.select_buffer()) return false;
    if (!draft.use_channel({pipe, stream}, 0, true)) return false;
    draft.never_async = true;
    draft.set(Field::off, file_position);
    draft.builder.channel_of(static_cast<uint32_t>(draft[Field::fd].number))->waiting[0] += 1000;
    return true;
}

constexpr Operation table[] = {
    {.opcode = IORING_OP_PROVIDE_BUFFERS, .weight = 5, .fill = provide},
    {.opcode = IORING_OP_REMOVE_BUFFERS, .weight = 2, .fill = remove},
    {.opcode = IORING_OP_READ_MULTISHOT, .weight = 4, .fill = read_multishot},
};

}  // namespace

std::span<const Operation> buffer_operations() { return table; }

}  // namespace ringside::lab
