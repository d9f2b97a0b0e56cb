// What a ring still allows once IORING_REGISTER_RESTRICTIONS is in force: a sandbox that its program locks from inside.
#pragma once

#include <stdint.h>

#include "liburing/io_uring.h"

namespace ringside::engine {

// A set of opcodes, of which there are fewer than 64 of either kind.
class OpcodeSet {
  public:
    void add(unsigned opcode) { bits_ |= uint64_t{1} << opcode; }
    bool has(unsigned opcode) const { return opcode < 64 && (bits_ >> opcode & 1); }

  private:
    uint64_t bits_ = 0;
};

struct Restrictions {
    bool registered = false;
    bool in_force = false;  // from the moment the ring is enabled
    OpcodeSet operations;
    OpcodeSet registrations;
    uint8_t flags_allowed = 0;
    uint8_t flags_required = 0;

    bool allow(const io_uring_sqe& sqe) const {
        const unsigned known = flags_allowed | flags_required;
        return operations.has(sqe.opcode) && (sqe.flags & flags_required) == flags_required &&
               (sqe.flags & ~known) == 0;
    }
};

}  // namespace ringside::engine
