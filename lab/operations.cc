#include "operations.h"

#include <fcntl.h>

#include "liburing/io_uring.h"

namespace ringside::lab {

bool Draft::use_resource(std::initializer_list<ResourceKind> kinds, Access access) {
    const std::optional<uint32_t> id = builder.resource(kinds, at_most(access));
    if (!id) return false;
    sqe[Field::fd] = fd_of(*id);
    fd_resource = *id;
    return true;
}

bool Draft::use_opened(Access access) {
    for (const Opened& opened : builder.opened) {
        if (opened.closed || !builder.settled(opened.user_data) || random.percent(40)) continue;
        if (!builder.take(opened.key, at_most(access))) continue;
        sqe[Field::fd] = result_of(opened.user_data);
        return true;
    }
    return false;
}

bool Draft::use_channel(std::initializer_list<ResourceKind> kinds, unsigned end, bool waits) {
    const std::optional<uint32_t> id = builder.channel(kinds, end, waits);
    if (!id) return false;
    sqe[Field::fd] = fd_of(*id);
    fd_resource = *id;
    return true;
}

bool Draft::select_buffer() {
    for (const uint64_t group : builder.buffer_groups) {
        if (!builder.take(buffer_group_key + group, Access::exclusive)) continue;
        set(Field::buf_index, group);
        selects_buffer = true;
        return true;
    }
    return false;
}

std::optional<Key> Draft::use_path(Access access, bool must_exist) {
    const auto name = builder.name(at_most(access), must_exist);
    if (!name) return std::nullopt;
    sqe[Field::addr] = builder.path(name->first);
    if (random.percent(30)) {
        const auto scratch = builder.resource({ResourceKind::scratch}, Access::shared);
        if (!scratch) return std::nullopt;
        sqe[Field::fd] = fd_of(*scratch);
    } else {
        set(Field::fd, static_cast<uint64_t>(AT_FDCWD));
    }
    return name->second;
}

uint64_t some_target(Draft& draft) {
    const std::vector<uint64_t> waiting = draft.builder.waiting_requests();
    if (!waiting.empty() && draft.random.percent(50)) return draft.random.one_of(waiting);
    const std::vector<uint64_t> settled = draft.builder.settled_requests();
    if (settled.empty() || draft.random.percent(10)) return 9999;
    return draft.random.one_of(settled);
}

Value soon(Builder& builder) {
    return builder.timespec(0, builder.random.one_of<int64_t>({0, 1000, 300'000, 1'000'000}));
}

Value never(Builder& builder) { return builder.timespec(4'000'000'000, 0); }

const std::vector<Operation>& operations() {
    static const std::vector<Operation> all = [] {
        std::vector<Operation> list;
        for (const auto family : {rw_operations(), poll_operations(), timeout_operations(), file_operations(),
                                  name_operations(), net_operations(), buffer_operations(), other_operations()}) {
            list.insert(list.end(), family.begin(), family.end());
        }
        return list;
    }();
    return all;
}

const Operation* find_operation(uint8_t opcode) {
    for (const Operation& operation : operations()) {
        if (operation.opcode == opcode) return &operation;
    }
    return nullptr;
}

}  // namespace ringside::lab
