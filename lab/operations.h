// The table of operations that the generator knows: for each opcode a function that fills a valid SQE with a use of the
// program's resources. Flags, links and bad values are added by generate.cc, the same way for all.
#pragma once

#include <span>

#include "builder.h"
#include "program.h"

namespace ringside::lab {

// A request being made.
struct Draft {
    Builder& builder;
    Random& random;
    Sqe sqe{};
    bool will_be_mutated = false;
    bool selects_buffer = false;
    bool always_fixed = false;
    bool never_async = false;    // a multishot request in a worker may end early
    bool must_succeed = false;   // a write that would wake others for nothing
    uint32_t fd_resource = ~0u;  // id of the resource that `fd` names, for the fixed file table

    Value& operator[](Field field) { return sqe[field]; }
    void set(Field field, uint64_t value) { sqe[field] = number(value); }

    // A mutated request may do anything with what it names.
    Access at_most(Access access) const { return will_be_mutated ? Access::exclusive : access; }
    bool use_resource(std::initializer_list<ResourceKind> kinds, Access access);
    // A descriptor that a request opened.
    bool use_opened(Access access);
    bool use_channel(std::initializer_list<ResourceKind> kinds, unsigned end, bool waits);
    // A group of provided buffers, which this chain then has for itself.
    bool select_buffer();
    // A path relative to the scratch directory in `addr`, and the directory in `fd`.
    std::optional<Key> use_path(Access access, bool must_exist);
};

struct Operation {
    uint8_t opcode;
    unsigned weight;
    // Fills the request; false where the program has no room for it now.
    bool (*fill)(Draft&);
    // Alone in its epoch: it acts on other requests, or counts them.
    bool solo = false;
    // Bits of op_flags that no mutation sets, since the outcome would be open.
    uint32_t untouchable_flags = 0;
    // Fields that no mutation changes, for the same reason, or since it would do harm.
    uint32_t untouchable_fields = 0;
};

constexpr uint32_t bit(Field field) { return 1u << static_cast<unsigned>(field); }

std::span<const Operation> rw_operations();
std::span<const Operation> poll_operations();
std::span<const Operation> timeout_operations();
std::span<const Operation> file_operations();
std::span<const Operation> name_operations();
std::span<const Operation> net_operations();
std::span<const Operation> buffer_operations();
std::span<const Operation> other_operations();

// All of them.
const std::vector<Operation>& operations();
const Operation* find_operation(uint8_t opcode);

// user_data of a request to cancel or change: one that has settled, or none.
uint64_t some_target(Draft& draft);

// Fills an IORING_OP_EPOLL_CTL after which an instance has something to tell.
bool watch_something(Draft& draft);

// A timespec that is over soon (and makes the epoch wait for it), or one that never ends.
Value soon(Builder& builder);
Value never(Builder& builder);

// A transfer's place: -1 for the file position.
inline constexpr uint64_t file_position = ~uint64_t{0};

}  // namespace ringside::lab
