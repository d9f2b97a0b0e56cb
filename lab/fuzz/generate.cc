#include "fuzz/generate.h"

#include <sys/socket.h>

#include <cstring>

#include "fuzz/arena.h"
#include "fuzz/generate_entry.h"
#include "fuzz/generate_registration.h"
#include "fuzz/generate_value.h"
#include "fuzz/world.h"

namespace ringside::fuzz {
namespace {

Step blank(Action action, lab::Random& random) {
    Step step{};
    step.action = static_cast<uint8_t>(action);
    step.ring = static_cast<uint8_t>(random.percent(80) ? 0 : random.below(4));
    step.small = static_cast<uint16_t>(random.below(16));
    return step;
}

void fill(Step& step, const auto& value) { memcpy(step.bytes, &value, std::min(sizeof(value), sizeof(step.bytes))); }

void fill_entry(Step& step, lab::Random& random) {
    io_uring_sqe sqe = random_entry(random);
    fill(step, sqe);
    if (sqe.opcode == IORING_OP_URING_CMD) step.bytes[sizeof(sqe)] = std::byte{1};
}

void fill_enter(Step& step, lab::Random& random) {
    step.small = static_cast<uint16_t>(random.percent(90) ? random.below(9) : random.next());
    const uint32_t kind = static_cast<uint32_t>(random.percent(70) ? 1 : random.below(8));
    step.word = kind << 16 | static_cast<uint32_t>(random.percent(70) ? random.below(3) : random.below(0x10000));
    const uint64_t flags = random.percent(80) ? IORING_ENTER_GETEVENTS : random.below(0x100);
    step.big = flags | (random.percent(30) ? uint64_t{1} << 63 : 0);
}

void fill_memory(Step& step, lab::Random& random) {
    step.big = arena::fixtures + random.below(0xa80 / 8) * 8;
    for (size_t at = 0; at < sizeof(step.bytes); at += 8) {
        const uint64_t word = random_word(random);
        memcpy(step.bytes + at, &word, sizeof(word));
    }
}

}  // namespace

Step random_set_up(lab::Random& random) {
    Step step = blank(Action::set_up, random);
    step.word =
        static_cast<uint32_t>(random.percent(90) ? random.between(1, 16) : random.one_of({0u, 64u, 4096u, ~0u}));
    io_uring_params params{};
    constexpr unsigned most_flags = 21;
    if (random.percent(70)) {
        for (uint64_t count = random.between(1, 3); count > 0; --count) params.flags |= 1u << random.below(most_flags);
    }
    if (random.percent(30)) params.flags |= IORING_SETUP_SUBMIT_ALL;
    // Only a ring of this kind can be resized.
    if (random.percent(20)) params.flags |= IORING_SETUP_DEFER_TASKRUN;
    if (params.flags & IORING_SETUP_DEFER_TASKRUN) params.flags |= IORING_SETUP_SINGLE_ISSUER;
    if (params.flags & IORING_SETUP_REGISTERED_FD_ONLY) params.flags |= IORING_SETUP_NO_MMAP;
    if (params.flags & IORING_SETUP_HYBRID_IOPOLL) params.flags |= IORING_SETUP_IOPOLL;
    if (params.flags & IORING_SETUP_NO_MMAP) {
        params.sq_off.user_addr = arena::base + 8 * arena::page;
        params.cq_off.user_addr = arena::base;
    }
    params.cq_entries = static_cast<uint32_t>(random.below(64));
    params.sq_thread_idle = static_cast<uint32_t>(random.below(3));
    params.wq_fd = world::first_fd + world::file_count;
    if (random.percent(5)) params.resv[random.below(3)] = static_cast<uint32_t>(random.next());
    fill(step, params);
    return step;
}

Step random_step(lab::Random& random) {
    const uint64_t roll = random.below(100);
    if (roll < 45) {
        Step step = blank(Action::submit, random);
        step.big = random.below(2);
        fill_entry(step, random);
        return step;
    }
    if (roll < 70) {
        Step step = blank(Action::register_call, random);
        fill_registration(step, random);
        return step;
    }
    if (roll < 82) {
        Step step = blank(Action::enter, random);
        fill_enter(step, random);
        return step;
    }
    if (roll < 86) return random_set_up(random);
    Step step = blank(static_cast<Action>(random.below(action_count)), random);
    step.word = static_cast<uint32_t>(random.percent(50) ? random.below(16) : random.next());
    step.big = random_word(random);
    if (action_of(step) == Action::write_entry) fill_entry(step, random);
    if (action_of(step) == Action::write_memory) fill_memory(step, random);
    return step;
}

void vary(Step& step, lab::Random& random) {
    switch (action_of(step)) {
        case Action::set_up:
            step = random_set_up(random);
            return;
        case Action::submit:
        case Action::write_entry: {
            io_uring_sqe sqe;
            memcpy(&sqe, step.bytes, sizeof(sqe));
            vary_entry(sqe, random);
            fill(step, sqe);
            return;
        }
        case Action::enter:
            fill_enter(step, random);
            return;
        case Action::register_call:
            vary_registration(step, random);
            return;
        case Action::write_memory:
            fill_memory(step, random);
            return;
        default:
            step.small = static_cast<uint16_t>(random.below(32));
            step.word = static_cast<uint32_t>(random.percent(50) ? random.below(16) : random.next());
            return;
    }
}

}  // namespace ringside::fuzz
