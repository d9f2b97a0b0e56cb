// RECV and RECVMSG with IOSQE_BUFFER_SELECT: into provided buffers (resource/provided_buffers.h), once or again and
// again (IORING_RECV_MULTISHOT), one buffer at a time or several (IORING_RECVSEND_BUNDLE).
//
// A buffer is selected for each attempt and given back when nothing came, so that waiting requests hold none; but what
// a worker attempts takes its buffer out of a buffer ring for good.
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>

#include "abi/syscall.h"
#include "memory/user_memory.h"
#include "ops/net_recv.h"
#include "ops/socket.h"
#include "resource/provided_buffers.h"
#include "service/path_face.h"

namespace ringside::engine {
namespace {

// As many buffers as one receive may fill.
constexpr unsigned most_in_bundle = 256;

// After so many receives in one go it is another request's turn.
constexpr uint32_t most_rounds = 33;

struct Selection {
    iovec vectors[most_in_bundle];
    unsigned count = 0;
    bool took_last = false;  // buffer of the group, though more was wanted
};

// What one receive brought.
struct Arrival {
    long received;  // as the CQE will say it
    int received_flags;
    unsigned filled = 1;   // buffers
    bool is_last = false;  // a message of nothing, which is told of with its header all the same
    bool untold = false;   // a message whose header could not be written
};

bool is_multishot(const Request& request) { return request.has(request_multishot); }

// Returns 0 or -ENOBUFS. A request that waits for the rest of its buffer has it already.
int select(Request& request, Selection& selection) {
    auto& receiving = request.as<Receiving>();
    if (request.has(request_holds_buffer)) {
        if (receiving.message) selection.vectors[0] = *message_of(request).vectors();
        return 0;
    }
    // A worker fills one buffer.
    if (request.has(request_at_work) && !is_multishot(request)) receiving.bundle = false;
    if (receiving.bundle) {
        const int count = select_bundle(request, receiving.wanted, selection.vectors, most_in_bundle,
                                        Empty::ends_bundle, &selection.took_last);
        if (count < 0) return count;
        selection.count = static_cast<unsigned>(count);
        receiving.length = static_cast<uint32_t>(total_length(selection.vectors, selection.count));
        return 0;
    }
    iovec& buffer = selection.vectors[0];
    const int selected = select_buffer(request, receiving.wanted, buffer);
    if (!request.has(request_holds_buffer)) return selected;
    selection.count = 1;
    receiving.length = static_cast<uint32_t>(buffer.iov_len);
    if (!receiving.message) receiving.address = reinterpret_cast<uintptr_t>(buffer.iov_base);
    return selected;
}

// --- The system call ------------------------------------------------------------------------------------------------

void receive_bundle(const Request& request, const Receiving& receiving, Selection& selection, Arrival& arrival) {
    msghdr header = {};
    header.msg_iov = selection.vectors;
    header.msg_iovlen = selection.count;
    arrival.received = abi::syscall(__NR_recvmsg, request.fd, &header, receiving.flags);
    if (arrival.received <= 0) return;
    arrival.received_flags = header.msg_flags;
    arrival.filled = buffers_filled(selection.vectors, selection.count, static_cast<uint64_t>(arrival.received));
}

// The call has written into the same buffer, `touched` bytes on: where that is the same page, the header needs no call
// of its own to be written.
bool write_header(char* start, const io_uring_recvmsg_out& header, size_t touched) {
    constexpr uintptr_t page = 4096;
    const auto address = reinterpret_cast<uintptr_t>(start);
    if (touched == 0 || address / page != (address + touched) / page) return write_user(address, header) == 0;
    write_touched(address, &header, sizeof(header));
    return true;
}

// Returns `reason`, but if the descriptor is no socket, that error: the kernel checks for it first.
int unless_no_socket(const Request& request, int reason) {
    const int type = socket_option(request.fd, SO_TYPE);
    return type < 0 ? type : reason;
}

// A multishot message's buffer begins with a header, followed by room for the sender's address and for control
// messages, as large as the request's msghdr says.
void receive_parts(const Request& request, const Receiving& receiving, const iovec& buffer, Arrival& arrival) {
    const Message& message = message_of(request);
    const size_t name_room = message.name_room, control_room = message.header.msg_controllen;
    const size_t before = sizeof(io_uring_recvmsg_out) + name_room + control_room;
    if (buffer.iov_len < before) {
        arrival.received = unless_no_socket(request, -EFAULT);
        return;
    }
    char* const start = static_cast<char*>(buffer.iov_base);
    char* const name = start + sizeof(io_uring_recvmsg_out);
    iovec payload = {start + before, buffer.iov_len - before};
    msghdr header = {};
    header.msg_name = name_room != 0 ? name : nullptr;
    header.msg_namelen = static_cast<socklen_t>(name_room);
    header.msg_control = control_room != 0 ? name + name_room : nullptr;
    header.msg_controllen = control_room;
    header.msg_iov = &payload;
    header.msg_iovlen = 1;
    arrival.received = abi::syscall(__NR_recvmsg, request.fd, &header, receiving.flags);
    if (arrival.received < 0) return;
    const io_uring_recvmsg_out out = {header.msg_namelen, static_cast<uint32_t>(header.msg_controllen),
                                      static_cast<uint32_t>(arrival.received), static_cast<uint32_t>(header.msg_flags)};
    const auto in_buffer =
        arrival.received < static_cast<long>(payload.iov_len) ? arrival.received : static_cast<long>(payload.iov_len);
    // With MSG_TRUNC a stream's bytes are thrown away.
    const bool touches = in_buffer > 0 && !(receiving.flags & MSG_TRUNC);
    const bool written = write_header(start, out, touches ? before : 0);
    arrival.is_last = arrival.received == 0;
    arrival.untold = !written;
    arrival.received = !written ? -EFAULT : static_cast<long>(before) + in_buffer;
}

Arrival receive(Request& request, Selection& selection) {
    auto& receiving = request.as<Receiving>();
    Arrival arrival = {0, 0};
    if (receiving.bundle && !receiving.kept) {
        receive_bundle(request, receiving, selection, arrival);
    } else if (receiving.message && is_multishot(request)) {
        receive_parts(request, receiving, selection.vectors[0], arrival);
    } else {
        if (receiving.message && receiving.done == 0) {
            Message& message = message_of(request);
            *message.vectors() = selection.vectors[0];
            message.header.msg_iovlen = 1;
            message.length = receiving.length;
        }
        arrival.received = receive_rest(request, arrival.received_flags);
    }
    return arrival;
}

// To a bundle, a group that was never made is not the same as an empty one.
int without_buffer(Request& request) {
    const bool never_made = find_group(*request.ring, request.buf_index) == nullptr;
    return unless_no_socket(request, request.as<Receiving>().bundle && never_made ? -ENOENT : -ENOBUFS);
}

// --- Once -----------------------------------------------------------------------------------------------------------

// What a worker selects is used up, however much of it is filled.
void commit_at_work(Request& request) {
    if (request.has(request_at_work)) commit_buffer(request, request.as<Receiving>().length);
}

// Nothing came. A message keeps a buffer that has no address.
void give_back(Request& request, long received) {
    const auto& receiving = request.as<Receiving>();
    if (receiving.done != 0) return;
    const bool no_socket = received == -ENOTSOCK || received == -EBADF;
    if (!no_socket) commit_at_work(request);
    if (!receiving.message || received != -ENOBUFS) recycle_buffer(request);
}

Outcome complete_once(Request& request, const Arrival& arrival, bool all) {
    if (arrival.received <= 0) {
        give_back(request, arrival.received);
    } else if (!request.as<Receiving>().bundle) {
        commit_at_work(request);
    }
    const Outcome outcome = complete_receive(request, arrival.received, all);
    if (request.res > 0) request.cqe_flags |= consume_buffer(request, request.res, arrival.filled);
    return outcome;
}

// A bundle that has to be filled was not: the rest of its buffers is the request's until they are. Of a bundle without
// a length that is the first buffer. Returns whether there is something to wait for.
bool await_rest_of_bundle(Request& request, const Selection& selection, long received) {
    auto& receiving = request.as<Receiving>();
    const unsigned count = receiving.wanted == 0 ? 1 : selection.count;
    if (!receiving.kept) {
        receiving.length = static_cast<uint32_t>(total_length(selection.vectors, count));
    }
    const auto sum = receiving.done + static_cast<uint64_t>(received);
    if (received <= 0 || sum >= receiving.length || !continues_partial(request.fd)) return false;
    if (!receiving.kept && keep_vectors(request, selection.vectors, count) < 0) return false;
    receiving.kept = true;
    receiving.done = sum;
    request.set(request_ends_itself);
    withdraw_buffers(request, count);
    return true;
}

Outcome receive_once(Request& request) {
    auto& receiving = request.as<Receiving>();
    Selection selection;
    for (;;) {
        const int selected = select(request, selection);
        if (selected < 0) {
            const int reason = without_buffer(request);
            give_back(request, reason);
            // Of a message it is not the worker that says so.
            if (receiving.message) request.clear(request_at_work);
            return complete_receive(request, reason);
        }
        const Arrival arrival = receive(request, selection);
        if (arrival.received == -EAGAIN && waits_in_vain(request)) {
            recycle_buffer(request);
            continue;
        }
        if (arrival.received == -EINTR || arrival.received == -EAGAIN) {
            give_back(request, arrival.received);
            if (arrival.received == -EINTR) continue;
            return put_off_receive(request);
        }
        if (!(receiving.flags & MSG_WAITALL) || arrival.received < 0) return complete_once(request, arrival, true);
        if (receiving.bundle) {
            if (await_rest_of_bundle(request, selection, arrival.received)) continue;
            const uint64_t sum = receiving.done + static_cast<uint64_t>(arrival.received);
            return complete_once(request, arrival, sum >= receiving.length);
        }
        const Rest rest = rest_of_receive(request, arrival.received, arrival.received_flags);
        if (rest != Rest::awaited) return complete_once(request, arrival, rest == Rest::none);
        // Some of its buffer is filled, and the rest of it is to be: nobody else may get any of that.
        commit_at_work(request);
        withdraw_buffers(request, 1);
    }
}

// --- Again and again ------------------------------------------------------------------------------------------------

// There is no buffer for more. Of a stream it is known whether there is more; if not, one may be provided until then.
Outcome wait_for_buffer(Request& request, bool received_before) {
    if (received_before && socket_option(request.fd, SO_TYPE) == SOCK_STREAM && !is_ready_for(request.fd, POLLIN)) {
        return put_off_receive(request);
    }
    return request.done(without_buffer(request));
}

Outcome give_way(Request& request) {
    request.as<Receiving>().rounds = 0;
    return queue_as_waiting(request);
}

// Whether the request has received all that it may.
bool count_off(Receiving& receiving, long received) {
    if (!receiving.limited) return false;
    // The kernel takes it for a signed number.
    if (receiving.left > INT_MAX) return true;
    receiving.left -= received < receiving.left ? static_cast<uint32_t>(received) : receiving.left;
    return receiving.left == 0;
}

// A bundle without a length selects all buffers there are, and the last of them counts only if something came into it.
bool uses_last(const Receiving& receiving, const Selection& selection, const Arrival& arrival) {
    return receiving.wanted != 0 || arrival.filled == selection.count;
}

// One whose header could not be written has come nevertheless.
Outcome complete_repeated(Request& request, const Arrival& arrival) {
    const Outcome outcome = complete_receive(request, arrival.received);
    const bool more = arrival.untold && (stream_has_more(request.fd) || tcp_end_has_come(request.fd));
    if (more) request.cqe_flags = IORING_CQE_F_SOCK_NONEMPTY;
    return outcome;
}

Outcome receive_repeatedly(Request& request) {
    auto& receiving = request.as<Receiving>();
    Selection selection;
    for (bool received_before = false;; received_before = true) {
        if (receiving.rounds >= most_rounds) return give_way(request);
        const int selected = select(request, selection);
        if (selected < 0) {
            if (!receiving.message) recycle_buffer(request);
            return wait_for_buffer(request, received_before);
        }
        const Arrival arrival = receive(request, selection);
        if (arrival.received <= 0) recycle_buffer(request);
        if (arrival.received == -EINTR) continue;
        if (arrival.received == -EAGAIN) {
            receiving.rounds = 0;
            return put_off_receive(request);
        }
        if (arrival.received <= 0) return complete_repeated(request, arrival);
        const uint32_t flags = more_to_read(request, arrival.is_last ? 0 : arrival.received) |
                               consume_buffer(request, arrival.received, arrival.filled);
        const bool used_up = receiving.bundle && selection.took_last && uses_last(receiving, selection, arrival);
        const bool finished = count_off(receiving, arrival.received) || used_up || arrival.is_last;
        if (!finished && post_more(request, static_cast<int32_t>(arrival.received), flags)) {
            ++receiving.rounds;
            continue;
        }
        request.cqe_flags = flags;
        return request.done(arrival.received);
    }
}

// The header and the room for address and control messages have to be of a size that a result can tell.
int check_rooms(const Message& message) {
    const uint64_t before = sizeof(io_uring_recvmsg_out) + message.name_room;
    return before > INT_MAX || message.header.msg_controllen > INT_MAX - before ? -EOVERFLOW : 0;
}

}  // namespace

int prepare_selected_receive(Request& request, const io_uring_sqe& sqe) {
    auto& receiving = request.as<Receiving>();
    receiving.wanted = sqe.len;
    receiving.bundle = sqe.ioprio & IORING_RECVSEND_BUNDLE;
    if (receiving.message) {
        receiving.wanted = static_cast<uint32_t>(message_of(request).length);
    }
    if (!(sqe.ioprio & IORING_RECV_MULTISHOT)) return 0;
    request.set(request_multishot);
    if (receiving.message) return check_rooms(message_of(request));
    receiving.limited = sqe.optlen != 0;
    receiving.left = sqe.optlen;
    return 0;
}

Outcome receive_into_selected(Request& request) {
    return is_multishot(request) ? receive_repeatedly(request) : receive_once(request);
}

}  // namespace ringside::engine
