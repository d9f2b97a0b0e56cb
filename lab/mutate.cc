#include "mutate.h"

#include <fcntl.h>

#include "liburing/io_uring.h"

namespace ringside::lab {
namespace {

// A request that a mutation of its opcode may become: numbers that no kernel knows.
constexpr uint64_t unknown_opcodes[] = {100, 128, 200, 255};

// A value for a field that has no business there.
uint64_t strange(Random& random, Field field) {
    switch (field) {
        case Field::opcode:
            return unknown_opcodes[random.below(std::size(unknown_opcodes))];
        case Field::flags:
            return random.one_of<uint64_t>({0x80, IOSQE_BUFFER_SELECT, IOSQE_FIXED_FILE});
        case Field::fd:
            return random.one_of<uint64_t>({190, ~uint64_t{0}, 0x7fffffff, static_cast<uint64_t>(AT_FDCWD)});
        case Field::addr:
            return random.one_of<uint64_t>({0, 1, 8, 4096, 0x7ffffffff000, 0x8000000000000000, ~uint64_t{0}});
        case Field::op_flags:
            return random.percent(70) ? uint64_t{1} << random.below(32)
                                      : random.one_of<uint64_t>({0xffff, ~uint64_t{0}, 3});
        case Field::len:
            return random.one_of<uint64_t>({0, 1, 2, 1024, 1025, 100'000, 0x7fffffff, 0xffffffff});
        case Field::off:
            return random.one_of<uint64_t>({1, 4095, 1 << 25, 0x7fffffffffffffff, uint64_t{1} << 63, ~uint64_t{1}});
        default:
            return random.one_of<uint64_t>({1, 2, 8, 0x4000, 0xffff});
    }
}

}  // namespace

void mutate(Draft& draft, const Operation& operation) {
    Random& random = draft.random;
    const auto field = static_cast<Field>(random.below(field_count));
    if (field == Field::user_data || (operation.untouchable_fields & bit(field)) != 0) return;
    // How far a timer that repeats itself for ever gets depends on who takes its completions out meanwhile, and whether
    // enough completions come before its time is up on how short that is.
    if (draft.sqe.opcode() == IORING_OP_TIMEOUT && field == Field::off) return;
    if (draft.must_succeed && field != Field::personality && field != Field::flags) return;
    uint64_t value = strange(random, field);
    if (field == Field::op_flags) value &= ~uint64_t{operation.untouchable_flags};
    if (field == Field::flags) value |= draft.sqe.flags();
    const bool looks_up_slot = field == Field::flags && (value & IOSQE_FIXED_FILE) != 0;
    if (looks_up_slot && !draft.builder.take(fixed_table_key, Access::shared)) return;
    // Another puts its descriptor into one.
    if (field == Field::file_index && !draft.builder.take(fixed_table_key, Access::exclusive)) return;
    // So does it a buffer, when the group has some.
    const bool selects = field == Field::flags && (value & IOSQE_BUFFER_SELECT) != 0;
    const Key group = buffer_group_key + (field == Field::buf_index ? value : draft[Field::buf_index].number);
    if ((selects || field == Field::buf_index) && !draft.builder.take(group, Access::exclusive)) return;
    const bool opens = draft.sqe[Field::fd].kind == Value::Kind::result;
    if (field == Field::fd && !opens && random.percent(50)) {
        draft.use_resource({ResourceKind::directory, ResourceKind::epoll, ResourceKind::path_only, ResourceKind::null,
                            ResourceKind::zero, ResourceKind::file},
                           Access::exclusive);
        // Nothing ever makes an epoll instance writable, say.
        draft.builder.chain_may_wait();
        return;
    }
    // Of a classic group the kernel sends a whole buffer, whatever length is asked for (docs/differences.md).
    if (selects && draft.sqe.opcode() == IORING_OP_SEND) draft.set(Field::len, 100'000);
    draft.set(field, value);
}

}  // namespace ringside::lab
