#include "registrations.h"

#include "liburing/io_uring.h"

namespace ringside::lab {
namespace {

using enum ResourceKind;

void call(Builder& builder, uint32_t opcode, Value arg, uint32_t nr_args) {
    builder.program.steps.push_back(Register{opcode, arg, nr_args});
}

bool files(Builder& builder) {
    std::vector<Cell> cells;
    std::vector<int64_t> slots;
    for (uint64_t count = builder.random.between(1, 4); count > 0; --count) {
        const auto id = builder.random.percent(20) ? std::nullopt
                                                   : builder.resource({file, file, memfd, null}, Access::shared);
        cells.push_back({4, id ? fd_of(*id) : number(~uint64_t{0})});
        slots.push_back(id ? static_cast<int64_t>(*id) : -1);
    }
    call(builder, IORING_REGISTER_FILES, builder.cells("fds", cells), static_cast<uint32_t>(cells.size()));
    if (builder.fixed_files.empty()) builder.fixed_files = slots;
    return true;
}

bool unregister_files(Builder& builder) {
    call(builder, IORING_UNREGISTER_FILES, number(0), 0);
    builder.fixed_files.clear();
    return true;
}

constexpr uint32_t nothing = ~0u;

struct Registration {
    uint32_t opcode;
    unsigned weight;
    bool (*add)(Builder&);
    uint32_t needs = nothing;  // a call without which this one fails
};

constexpr Registration table[] = {
    {IORING_REGISTER_FILES, 6, files},
    {IORING_UNREGISTER_FILES, 2, unregister_files, IORING_REGISTER_FILES},
};

}  // namespace

bool add_registration(Builder& builder) {
    unsigned total = 0;
    for (const Registration& row : table) total += builder.offer.registers.test(row.opcode) ? row.weight : 0;
    if (total == 0) return false;
    uint64_t at = builder.random.below(total);
    for (const Registration& row : table) {
        if (!builder.offer.registers.test(row.opcode)) continue;
        if (at < row.weight) return row.add(builder);
        at -= row.weight;
    }
    return false;
}

bool add_registration(Builder& builder, uint32_t opcode) {
    for (const Registration& row : table) {
        if (row.opcode != opcode) continue;
        if (row.needs != nothing && !add_registration(builder, row.needs)) return false;
        return row.add(builder);
    }
    return false;
}

std::vector<uint32_t> known_registrations() {
    std::vector<uint32_t> known;
    for (const Registration& row : table) known.push_back(row.opcode);
    return known;
}

void enable_rings(Builder& builder) {
    if (builder.offer.registers.test(IORING_REGISTER_ENABLE_RINGS)) call(builder, IORING_REGISTER_ENABLE_RINGS, number(0), 0);
}

}  // namespace ringside::lab
