#include "registrations.h"

#include "liburing/io_uring.h"

namespace ringside::lab {
namespace {

using enum ResourceKind;

void call(Builder& builder, uint32_t opcode, Value arg, uint32_t nr_args) {
    builder.program.steps.push_back(Register{opcode, arg, nr_args});
}

// A descriptor for a slot, or -1 for an empty one.
Cell slot_cell(Builder& builder, std::vector<int64_t>& slots) {
    const auto id =
        builder.random.percent(20) ? std::nullopt : builder.resource({file, file, memfd, null}, Access::shared);
    slots.push_back(id ? static_cast<int64_t>(*id) : -1);
    return {4, id ? fd_of(*id) : number(~uint64_t{0})};
}

bool files(Builder& builder) {
    std::vector<Cell> cells;
    std::vector<int64_t> slots;
    for (uint64_t count = builder.random.between(1, 4); count > 0; --count) cells.push_back(slot_cell(builder, slots));
    call(builder, IORING_REGISTER_FILES, builder.cells("fds", cells), static_cast<uint32_t>(cells.size()));
    if (builder.fixed_files.empty()) builder.fixed_files = slots;
    return true;
}

bool sparse_files(Builder& builder) {
    const Value arg = builder.cells("rsrc_register", {{4, number(builder.random.between(1, 8))},
                                                      {4, number(IORING_RSRC_REGISTER_SPARSE)},
                                                      {8, number(0)},
                                                      {8, number(0)},
                                                      {8, number(0)}});
    call(builder, IORING_REGISTER_FILES2, arg, sizeof(io_uring_rsrc_register));
    return true;
}

bool unregister_files(Builder& builder) {
    call(builder, IORING_UNREGISTER_FILES, number(0), 0);
    builder.fixed_files.clear();
    return true;
}

bool update_files(Builder& builder) {
    std::vector<int64_t> slots;
    const Value fds = builder.cells("fds", {slot_cell(builder, slots)});
    const uint64_t offset = builder.random.below(5);
    const Value arg = builder.cells("files_update", {{4, number(offset)}, {4, number(0)}, {8, fds}});
    call(builder, IORING_REGISTER_FILES_UPDATE, arg, 1);
    if (offset < builder.fixed_files.size()) builder.fixed_files[offset] = slots[0];
    return true;
}

bool allocation_range(Builder& builder) {
    const Value arg = builder.cells(
        "range", {{4, number(builder.random.below(4))}, {4, number(builder.random.below(4))}, {8, number(0)}});
    call(builder, IORING_REGISTER_FILE_ALLOC_RANGE, arg, 0);
    return true;
}

bool buffers(Builder& builder) {
    std::vector<Cell> cells;
    std::vector<Value> values;
    for (uint64_t count = builder.random.between(1, 3); count > 0; --count) {
        const uint64_t size = builder.random.one_of<uint64_t>({64, 1000, 8192});
        values.push_back(builder.bytes(size, static_cast<uint8_t>(builder.random.between(1, 99))));
        cells.push_back({8, values.back()});
        cells.push_back({8, number(size)});
    }
    call(builder, IORING_REGISTER_BUFFERS, builder.cells("iovec", cells), static_cast<uint32_t>(values.size()));
    if (builder.fixed_buffers.empty()) builder.fixed_buffers = values;
    return true;
}

bool unregister_buffers(Builder& builder) {
    call(builder, IORING_UNREGISTER_BUFFERS, number(0), 0);
    builder.fixed_buffers.clear();
    return true;
}

bool register_eventfd(Builder& builder) {
    const uint32_t id = builder.add_resource(eventfd);
    const uint32_t opcode = builder.random.percent(70) ? IORING_REGISTER_EVENTFD : IORING_REGISTER_EVENTFD_ASYNC;
    // From now on completions count in it, so that nobody else may.
    builder.channel_of(id)->waiting[0] += 1000;
    call(builder, builder.offer.registers.test(opcode) ? opcode : uint32_t{IORING_REGISTER_EVENTFD},
         builder.cells("fds", {{4, fd_of(id)}}), 1);
    return true;
}

bool unregister_eventfd(Builder& builder) {
    call(builder, IORING_UNREGISTER_EVENTFD, number(0), 0);
    return true;
}

bool personality(Builder& builder) {
    call(builder, IORING_REGISTER_PERSONALITY, number(0), 0);
    return true;
}

bool unregister_personality(Builder& builder) {
    call(builder, IORING_UNREGISTER_PERSONALITY, number(0), static_cast<uint32_t>(builder.random.between(1, 2)));
    return true;
}

bool provide_ring(Builder& builder) {
    Memory page;
    page.label = "page";
    page.size = 4096;
    const uint64_t group = builder.random.below(4);
    builder.ring_groups.insert(group);
    const Value memory = builder.memory(page).value_or(number(0));
    const uint64_t entries = builder.random.one_of<uint64_t>({1, 4, 8, 3});
    const Value arg = builder.cells("buf_reg", {{8, memory},
                                                {4, number(entries)},
                                                {2, number(group)},
                                                {2, number(0)},
                                                {8, number(0)},
                                                {8, number(0)},
                                                {8, number(0)}});
    call(builder, IORING_REGISTER_PBUF_RING, arg, 1);
    return true;
}

bool remove_ring(Builder& builder) {
    const bool known = !builder.ring_groups.empty() && builder.random.percent(70);
    const uint64_t group = known ? *builder.ring_groups.begin() : builder.random.below(4);
    const Value arg = builder.cells("buf_reg", {{8, number(0)},
                                                {4, number(0)},
                                                {2, number(group)},
                                                {2, number(0)},
                                                {8, number(0)},
                                                {8, number(0)},
                                                {8, number(0)}});
    call(builder, IORING_UNREGISTER_PBUF_RING, arg, 1);
    return true;
}

// All that are in flight, or one that settled long ago.
bool sync_cancel(Builder& builder) {
    const bool any = builder.random.percent(50);
    std::vector<Cell> cells = {{8, number(any ? 0 : builder.random.between(1, 20))},
                               {4, number(~uint64_t{0})},
                               {4, number(any ? IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL : 0)},
                               {8, number(~uint64_t{0})},
                               {8, number(~uint64_t{0})}};
    for (int word = 0; word < 4; ++word) cells.push_back({8, number(0)});
    call(builder, IORING_REGISTER_SYNC_CANCEL, builder.cells("sync_cancel", cells), 1);
    return true;
}

bool clock(Builder& builder) {
    const uint64_t id = builder.random.one_of<uint64_t>({1, 7, 0});  // CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_REALTIME
    call(builder, IORING_REGISTER_CLOCK, builder.cells("clock", {{8, number(id)}, {8, number(0)}}), 0);
    return true;
}

bool enable(Builder& builder) {
    call(builder, IORING_REGISTER_ENABLE_RINGS, number(0), 0);
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
    {IORING_REGISTER_FILES2, 3, sparse_files},
    {IORING_UNREGISTER_FILES, 2, unregister_files, IORING_REGISTER_FILES},
    {IORING_REGISTER_FILES_UPDATE, 4, update_files, IORING_REGISTER_FILES},
    {IORING_REGISTER_FILE_ALLOC_RANGE, 1, allocation_range, IORING_REGISTER_FILES2},
    {IORING_REGISTER_BUFFERS, 6, buffers},
    {IORING_UNREGISTER_BUFFERS, 2, unregister_buffers, IORING_REGISTER_BUFFERS},
    {IORING_REGISTER_EVENTFD, 3, register_eventfd},
    {IORING_UNREGISTER_EVENTFD, 1, unregister_eventfd, IORING_REGISTER_EVENTFD},
    {IORING_REGISTER_PERSONALITY, 2, personality},
    {IORING_UNREGISTER_PERSONALITY, 1, unregister_personality, IORING_REGISTER_PERSONALITY},
    {IORING_REGISTER_PBUF_RING, 2, provide_ring},
    {IORING_UNREGISTER_PBUF_RING, 1, remove_ring, IORING_REGISTER_PBUF_RING},
    {IORING_REGISTER_SYNC_CANCEL, 2, sync_cancel},
    {IORING_REGISTER_CLOCK, 1, clock},
    {IORING_REGISTER_ENABLE_RINGS, 1, enable},
};

}  // namespace

bool add_registration(Builder& builder) {
    unsigned total = 0;
    for (const Registration& row : table) total += builder.offer.registers.test(row.opcode) ? row.weight : 0;
    if (total == 0) return false;
    uint64_t at = builder.random.below(total);
    for (const Registration& row : table) {
        if (!builder.offer.registers.test(row.opcode)) continue;
        if (at < row.weight) {
            const bool provided_for = row.needs != nothing && builder.offer.registers.test(row.needs);
            if (provided_for && builder.random.percent(50)) add_registration(builder, row.needs);
            return row.add(builder);
        }
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
    if (builder.offer.registers.test(IORING_REGISTER_ENABLE_RINGS)) enable(builder);
}

}  // namespace ringside::lab
