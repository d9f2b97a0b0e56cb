// Sockets.
#include <fmt/format.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "liburing/io_uring.h"
#include "operations.h"

namespace ringside::lab {
namespace {

using enum ResourceKind;

uint64_t some_length(Random& random) { return random.one_of<uint64_t>({0, 1, 8, 8, 64, 1000, 4096}); }

void poll_first(Draft& draft) {
    if (draft.builder.chain_begun() || !draft.builder.has_cq_room(16) || !draft.random.percent(15)) return;
    draft.set(Field::ioprio, IORING_RECVSEND_POLL_FIRST);
    draft.never_async = true;  // a worker may or may not find the poll done already
}

uint32_t some_send_flags(Random& random) {
    return random.one_of<uint32_t>({0, 0, 0, MSG_DONTWAIT, MSG_NOSIGNAL, MSG_MORE, MSG_WAITALL, MSG_EOR});
}

uint32_t some_receive_flags(Random& random) {
    return random.one_of<uint32_t>({0, 0, 0, MSG_DONTWAIT, MSG_PEEK, MSG_WAITALL, MSG_TRUNC});
}

bool use_socket(Draft& draft, unsigned end, bool waits) {
    if (draft.random.percent(5)) return draft.use_resource({file, null, directory}, Access::exclusive);
    return draft.use_channel({stream, stream, datagram, seqpacket}, end, waits);
}

bool send(Draft& draft) {
    const uint64_t length = some_length(draft.random);
    draft[Field::addr] = draft.builder.bytes(length, static_cast<uint8_t>(draft.random.between(1, 200)));
    draft.set(Field::len, length);
    draft.set(Field::op_flags, some_send_flags(draft.random));
    poll_first(draft);
    return use_socket(draft, 1, false);
}

// A drain also counts the notification, and that comes when it comes.
bool send_zc(Draft& draft) { return draft.builder.may_wait && send(draft); }

bool receive(Draft& draft) {
    draft.set(Field::op_flags, some_receive_flags(draft.random));
    poll_first(draft);
    const uint64_t length = some_length(draft.random);
    draft.set(Field::len, length);
    if (draft.random.percent(25) && draft.select_buffer()) {
        if (draft.random.percent(30)) draft.set(Field::len, 0);
    } else {
        draft[Field::addr] = draft.builder.bytes(length, 0);
    }
    return use_socket(draft, 0, true);
}

Value message(Draft& draft, uint8_t fill) {
    Builder& builder = draft.builder;
    std::vector<Cell> vectors;
    const uint64_t count = draft.random.between(0, 3);
    for (uint64_t i = 0; i < count; ++i) {
        const uint64_t length = some_length(draft.random);
        vectors.push_back({8, builder.bytes(length, fill)});
        vectors.push_back({8, number(length)});
    }
    const Value iovec = vectors.empty() ? number(0) : builder.cells("iovec", vectors);
    const bool control = fill == 0 && draft.random.percent(20);
    return builder.cells("msghdr", {{8, number(0)},
                                    {8, number(0)},
                                    {8, iovec},
                                    {8, number(count)},
                                    {8, control ? builder.bytes(64, 0) : number(0)},
                                    {8, number(control ? 64 : 0)},
                                    {8, number(0)}});
}

bool sendmsg(Draft& draft) {
    draft[Field::addr] = message(draft, static_cast<uint8_t>(draft.random.between(1, 200)));
    draft.set(Field::len, 1);
    draft.set(Field::op_flags, some_send_flags(draft.random));
    poll_first(draft);
    return use_socket(draft, 1, false);
}

bool sendmsg_zc(Draft& draft) { return draft.builder.may_wait && sendmsg(draft); }

bool recvmsg(Draft& draft) {
    draft[Field::addr] = message(draft, 0);
    draft.set(Field::len, 1);
    draft.set(Field::op_flags, some_receive_flags(draft.random));
    poll_first(draft);
    return use_socket(draft, 0, true);
}

bool shutdown(Draft& draft) {
    draft.set(Field::len, draft.random.below(4));
    if (draft.random.percent(15)) return draft.use_resource({unix_socket, file}, Access::exclusive);
    return draft.use_channel({stream, seqpacket}, 1, false);
}

bool socket(Draft& draft) {
    draft.set(Field::fd, draft.random.one_of<uint64_t>({AF_UNIX, AF_INET, 77}));
    const uint32_t flags = draft.random.one_of<uint32_t>({0, SOCK_CLOEXEC, SOCK_NONBLOCK});
    draft.set(Field::off, draft.random.one_of<uint64_t>({SOCK_STREAM, SOCK_DGRAM, 55}) | flags);
    return true;
}

Value unix_address(Builder& builder, const std::string& path) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    memcpy(address.sun_path, path.data(), path.size());
    std::vector<Cell> cells;
    for (size_t at = 0; at + 8 <= sizeof(address); at += 8) {
        uint64_t word = 0;
        memcpy(&word, reinterpret_cast<const char*>(&address) + at, 8);
        cells.push_back({8, number(word)});
    }
    return builder.cells("sockaddr", cells);
}

constexpr uint64_t unix_address_length = 16;  // two bytes of family and a short path

bool bind(Draft& draft) {
    const auto name = draft.builder.name(Access::exclusive, false);
    if (!name) return false;
    draft[Field::addr] = unix_address(draft.builder, name->first);
    draft.set(Field::off, unix_address_length);
    draft.builder.created.push_back(name->second);
    return draft.use_resource({unix_socket, unix_socket, file}, Access::exclusive);
}

bool listen(Draft& draft) {
    draft.set(Field::len, draft.random.below(5));
    return draft.use_resource({unix_socket, unix_socket, file}, Access::exclusive);
}

bool connect(Draft& draft) {
    const auto target = draft.builder.channel({listener}, 0, false);
    if (!target) return false;
    draft[Field::addr] = unix_address(draft.builder, fmt::format("s{}", *target));
    draft.set(Field::off, unix_address_length);
    return draft.use_resource({unix_socket, unix_socket, unix_socket, file}, Access::exclusive);
}

bool accept(Draft& draft) {
    draft.set(Field::op_flags, draft.random.one_of<uint32_t>({0, SOCK_CLOEXEC, SOCK_NONBLOCK}));
    if (draft.random.percent(20)) {
        draft.set(Field::ioprio, draft.random.one_of<uint32_t>({IORING_ACCEPT_DONTWAIT, IORING_ACCEPT_POLL_FIRST}));
    }
    if (draft.random.percent(5)) return draft.use_resource({unix_socket, file}, Access::exclusive);
    return draft.use_channel({listener, listener, inet_listener}, 0, true);
}

// It takes a queue of a network card, of which there is none.
bool receive_zc(Draft& draft) {
    draft.set(Field::ioprio, IORING_RECV_MULTISHOT);
    return draft.use_resource({inet_socket, file}, Access::exclusive);
}

constexpr Operation table[] = {
    {.opcode = IORING_OP_SEND, .weight = 6, .fill = send},
    {.opcode = IORING_OP_RECV, .weight = 8, .fill = receive},
    {.opcode = IORING_OP_SENDMSG, .weight = 4, .fill = sendmsg},
    // MSG_CMSG_COMPAT has the kernel write over the header (docs/differences.md).
    {.opcode = IORING_OP_RECVMSG, .weight = 4, .fill = recvmsg, .untouchable_flags = 0x80000000},
    {.opcode = IORING_OP_SEND_ZC, .weight = 2, .fill = send_zc},
    {.opcode = IORING_OP_SENDMSG_ZC, .weight = 1, .fill = sendmsg_zc},
    {.opcode = IORING_OP_RECV_ZC, .weight = 1, .fill = receive_zc},
    {.opcode = IORING_OP_SHUTDOWN, .weight = 2, .fill = shutdown},
    {.opcode = IORING_OP_SOCKET, .weight = 2, .fill = socket},
    {.opcode = IORING_OP_BIND, .weight = 2, .fill = bind},
    {.opcode = IORING_OP_LISTEN, .weight = 2, .fill = listen},
    {.opcode = IORING_OP_CONNECT, .weight = 3, .fill = connect},
    {.opcode = IORING_OP_ACCEPT, .weight = 4, .fill = accept},
};

}  // namespace

std::span<const Operation> net_operations() { return table; }

}  // namespace ringside::lab
