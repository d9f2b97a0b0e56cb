// What an input of the fuzzer is: a list of steps of one size, each a thing that a program may do to its rings. Nearly
// every input therefore does something; what bytes do not make sense are tamed where they are used, not refused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace ringside::fuzz {

enum class Action : uint8_t {
    set_up,         // a ring: `word` entries, io_uring_params in `bytes`
    submit,         // an SQE in `bytes`, pushed at the tail; entered for at once where `big` is odd
    write_entry,    // an SQE in `bytes`, into slot `small`; the tail stays where it is
    set_index,      // the index `small` of the SQ ring's words becomes `word`
    enter,          // to_submit `small`, min_complete and the kind of argument in `word`, flags in `big`
    register_call,  // opcode `small`, nr_args `word`, argument in `bytes`, to be placed as `big` says
    reap,           // all completions, or `small` of them
    write_memory,   // `bytes` into the arena at `big`
    provide,        // the tail of a buffer ring in the arena moves on
    change_memory,  // pages of the arena go, lose their rights, or come back
    duplicate,      // another descriptor of the ring
    poll,           // the descriptor that says whether completions are there
    close_file,     // a descriptor that is not a ring's
    close_ring,
};
inline constexpr unsigned action_count = static_cast<unsigned>(Action::close_ring) + 1;

struct Step {
    uint8_t action;
    uint8_t ring;
    uint16_t small;
    uint32_t word;
    uint64_t big;
    std::byte bytes[120];
};
static_assert(sizeof(Step) == 136);

// `big` of a register call that has no argument.
inline constexpr uint64_t no_argument = 8;

inline constexpr size_t most_steps = 30;

inline Action action_of(const Step& step) { return static_cast<Action>(step.action % action_count); }

// The whole steps in an input, as they lie there.
inline size_t steps_in(size_t size) {
    const size_t count = size / sizeof(Step);
    return count < most_steps ? count : most_steps;
}

}  // namespace ringside::fuzz
