// Poll requests and cancellation.
#include <sys/epoll.h>
#include <sys/poll.h>

#include "liburing/io_uring.h"
#include "operations.h"

namespace ringside::lab {
namespace {

using enum ResourceKind;

uint32_t some_events(Random& random) {
    return random.one_of<uint32_t>({POLLIN, POLLIN, POLLIN, POLLOUT, POLLIN | POLLOUT, POLLPRI, POLLRDHUP | POLLIN, 0,
                                    POLLIN | EPOLLET, POLLIN | EPOLLEXCLUSIVE, POLLIN | EPOLLONESHOT});
}

// What a multishot request is to do, since of several events the engine tells all that hold (docs/differences.md).
void ask_for_one_event(Draft& draft) {
    if ((draft[Field::op_flags].number & POLLOUT) != 0) draft.set(Field::op_flags, POLLOUT);
}

bool poll_add(Draft& draft) {
    if (!draft.builder.can_wait()) return false;
    draft.builder.chain_may_wait();
    draft.set(Field::op_flags, some_events(draft.random));
    if (draft.random.percent(25))
        return draft.use_resource({file, memfd, null, zero, directory, epoll}, Access::shared);
    const unsigned end = static_cast<unsigned>(draft.random.below(2));
    if (!draft.use_channel({pipe, stream, datagram, eventfd, listener}, end, true)) return false;
    // A multishot request that finds the CQ full ends, so there must be room for whatever comes first.
    if (!draft.builder.has_cq_room(32) || !draft.random.percent(50)) return true;
    draft.never_async = true;
    ask_for_one_event(draft);
    draft.set(Field::len,
              draft.random.percent(80) ? IORING_POLL_ADD_MULTI : IORING_POLL_ADD_MULTI | IORING_POLL_ADD_LEVEL);
    // It waits again after each event, so the end is never free again.
    draft.builder.channel_of(static_cast<uint32_t>(draft[Field::fd].number))->waiting[0] += 1000;
    return true;
}

bool poll_remove(Draft& draft) {
    draft.set(Field::addr, some_target(draft));
    if (!draft.random.percent(40)) return true;
    draft.set(Field::len, draft.random.one_of<uint32_t>({IORING_POLL_UPDATE_EVENTS, IORING_POLL_UPDATE_USER_DATA,
                                                         IORING_POLL_UPDATE_EVENTS | IORING_POLL_UPDATE_USER_DATA,
                                                         IORING_POLL_UPDATE_EVENTS | IORING_POLL_ADD_MULTI}));
    draft.set(Field::op_flags, some_events(draft.random));
    ask_for_one_event(draft);  // It may be one.
    if ((draft[Field::len].number & IORING_POLL_UPDATE_USER_DATA) != 0) {
        draft.set(Field::off, 500 + draft.random.below(3));
    }
    return true;
}

bool async_cancel(Draft& draft) {
    const unsigned kind = static_cast<unsigned>(draft.random.below(100));
    draft.set(Field::addr, some_target(draft));
    if (kind < 50) return true;
    // Which one goes, of those of a file or an operation, is the provider's choice.
    const uint32_t all = kind >= 60 || draft.random.percent(50) ? IORING_ASYNC_CANCEL_ALL : 0;
    if (kind < 60) {
        draft.set(Field::op_flags, all);
        return true;
    }
    if (kind < 80) {
        draft.set(Field::op_flags, all | IORING_ASYNC_CANCEL_FD);
        const std::vector<Resource>& resources = draft.builder.program.resources;
        if (!resources.empty()) draft[Field::fd] = fd_of(draft.random.one_of(resources).id);
        return true;
    }
    if (kind < 90) {
        draft.set(Field::addr, 0);
        draft.set(Field::op_flags, all | IORING_ASYNC_CANCEL_ANY);
        return true;
    }
    draft.set(Field::op_flags, all | IORING_ASYNC_CANCEL_OP);
    draft.set(Field::len, draft.random.one_of<uint32_t>({IORING_OP_READ, IORING_OP_POLL_ADD, IORING_OP_TIMEOUT}));
    draft.set(Field::addr, draft.random.one_of<uint32_t>({IORING_OP_READ, IORING_OP_POLL_ADD, IORING_OP_TIMEOUT}));
    return true;
}

constexpr Operation table[] = {
    // A socket wakes those who wait for urgent data, too, with whatever comes (docs/differences.md).
    {.opcode = IORING_OP_POLL_ADD, .weight = 8, .fill = poll_add, .untouchable_flags = POLLPRI | POLLRDBAND},
    {.opcode = IORING_OP_POLL_REMOVE, .weight = 4, .fill = poll_remove, .solo = true},
    {.opcode = IORING_OP_ASYNC_CANCEL, .weight = 8, .fill = async_cancel, .solo = true},
};

}  // namespace

std::span<const Operation> poll_operations() { return table; }

}  // namespace ringside::lab
