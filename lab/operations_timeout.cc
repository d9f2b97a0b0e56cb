// Timeouts. They are over at once or never: what happens between would depend on the clock.
#include "liburing/io_uring.h"
#include "operations.h"

namespace ringside::lab {
namespace {

uint32_t some_clock(Random& random) {
    return random.one_of<uint32_t>({0, 0, 0, IORING_TIMEOUT_BOOTTIME, IORING_TIMEOUT_REALTIME});
}

// A timespec that no provider may accept.
Value invalid(Builder& builder) {
    return builder.random.percent(50) ? builder.timespec(-1, 0) : builder.timespec(0, -5);
}

bool timeout(Draft& draft) {
    draft.set(Field::len, 1);
    uint32_t flags = some_clock(draft.random);
    if (draft.random.percent(5)) {
        draft[Field::addr] = invalid(draft.builder);
    } else if (!draft.builder.no_time_is_up && draft.random.percent(50)) {
        draft[Field::addr] = soon(draft.builder);
        if (draft.random.percent(20)) flags |= IORING_TIMEOUT_ABS;  // long ago
        if (draft.random.percent(20)) flags |= IORING_TIMEOUT_ETIME_SUCCESS;
        if (draft.builder.has_cq_room(32) && draft.random.percent(20)) {
            flags |= IORING_TIMEOUT_MULTISHOT;
            draft.set(Field::off, draft.random.between(1, 3));
        }
    } else {
        if (!draft.builder.may_wait) return false;
        draft[Field::addr] = never(draft.builder);
        draft.builder.chain_may_wait();
        if (draft.random.percent(15)) {
            draft.set(Field::off, draft.random.between(1, 3));
            draft.builder.no_time_is_up = true;
            draft.builder.submit_in_one();
        }
        if (draft.random.percent(10)) {
            flags |= IORING_TIMEOUT_MULTISHOT;
            draft.builder.no_time_is_up = true;
        }
    }
    draft.set(Field::op_flags, flags);
    return true;
}

bool timeout_remove(Draft& draft) {
    draft.set(Field::addr, some_target(draft));
    if (!draft.random.percent(40)) return true;
    draft.set(Field::op_flags, IORING_TIMEOUT_UPDATE | (draft.random.percent(20) ? IORING_LINK_TIMEOUT_UPDATE : 0u) |
                                   (draft.random.percent(10) ? some_clock(draft.random) : 0u));
    draft.builder.linger_us = 5000;
    const bool fires = !draft.builder.no_time_is_up && draft.random.percent(50);
    draft[Field::off] = fires ? soon(draft.builder) : never(draft.builder);
    return true;
}

// Outside a chain it is an error; generate.cc puts the good ones behind requests.
bool link_timeout(Draft& draft) {
    draft.set(Field::len, 1);
    draft[Field::addr] = never(draft.builder);
    return true;
}

bool nop(Draft& draft) {
    if (!draft.random.percent(30)) return true;
    draft.set(Field::op_flags, IORING_NOP_INJECT_RESULT);
    draft.set(Field::len, draft.random.one_of<uint64_t>({7, static_cast<uint64_t>(-5), static_cast<uint64_t>(-125)}));
    return true;
}

constexpr Operation table[] = {
    {.opcode = IORING_OP_NOP, .weight = 14, .fill = nop},
    {.opcode = IORING_OP_TIMEOUT,
     .weight = 6,
     .fill = timeout,
     .solo = true,
     .untouchable_flags = IORING_TIMEOUT_MULTISHOT},
    {.opcode = IORING_OP_TIMEOUT_REMOVE, .weight = 4, .fill = timeout_remove, .solo = true},
    {.opcode = IORING_OP_LINK_TIMEOUT, .weight = 1, .fill = link_timeout},
};

}  // namespace

std::span<const Operation> timeout_operations() { return table; }

}  // namespace ringside::lab
