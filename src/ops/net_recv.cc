// IORING_OP_RECV, RECVMSG, RECV_ZC
//
// Inline a receive is one system call with MSG_DONTWAIT on what the program gave. A msghdr is copied first when the
// request has to wait, starts later, or may need several calls (ops/message.h).
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "abi/syscall.h"
#include "ops/message.h"
#include "ops/ops.h"
#include "ops/socket.h"
#include "ops/user_data.h"
#include "path/path.h"
#include "state/user_memory.h"

namespace ringside::engine {
namespace {

struct Receiving {
    uint64_t address;  // the buffer, or the msghdr
    uint64_t done;     // bytes received by earlier attempts
    uint32_t length;   // of the buffer
    int32_t flags;     // MSG_*
    bool message;
    bool kept;         // the msghdr stands in the request's memory as a Message
};

constexpr uint32_t flags_of_recvmsg = IORING_RECVSEND_POLL_FIRST | IORING_RECV_MULTISHOT;
constexpr uint32_t flags_of_recv = flags_of_recvmsg | IORING_RECVSEND_BUNDLE;

int keep(Request& request) {
    auto& receiving = request.as<Receiving>();
    if (!receiving.message || receiving.kept) return 0;
    const int result = keep_message(request, receiving.address, Direction::in);
    receiving.kept = result == 0;
    return result;
}

int prepare(Request& request, const io_uring_sqe& sqe, bool message) {
    auto& receiving = request.as<Receiving>();
    receiving = {sqe.addr, 0, sqe.len, static_cast<int32_t>(sqe.msg_flags), message, false};
    if (sqe.msg_flags & MSG_DONTWAIT) request.set(request_nowait);
    if (sqe.ioprio & IORING_RECV_MULTISHOT) {
        if (!request.has(IOSQE_BUFFER_SELECT) || (sqe.msg_flags & MSG_WAITALL)) return -EINVAL;
        if (message && sqe.optlen != 0) return -EINVAL;
    } else if (sqe.optlen != 0) {
        return -EINVAL;
    }
    if (sqe.ioprio & IORING_RECVSEND_POLL_FIRST) request.set(request_poll_first);
    if (message) {
        const bool later = starts_later(request) || request.has(request_poll_first) || (sqe.msg_flags & MSG_WAITALL);
        return later ? keep(request) : 0;
    }
    if (sqe.len > INT_MAX) return -EINVAL;
    return request.has(IOSQE_BUFFER_SELECT) || is_user_range(sqe.addr, sqe.len) ? 0 : -EFAULT;
}

// --- Attempts -------------------------------------------------------------------------------------------------------

// Receives what is there. `received_flags` is only known of messages and with MSG_WAITALL.
long receive_rest(const Request& request, const Receiving& receiving, int& received_flags) {
    const int flags = receiving.flags | MSG_DONTWAIT;
    if (receiving.kept) return receive_message(request, receiving.done, flags, received_flags);
    if (receiving.message) return abi::syscall(__NR_recvmsg, request.fd, receiving.address, flags);
    const uint64_t address = receiving.address + receiving.done;
    const uint64_t length = receiving.length - receiving.done;
    if (!(receiving.flags & MSG_WAITALL)) {
        return abi::syscall(__NR_recvfrom, request.fd, address, length, flags, nullptr, nullptr);
    }
    iovec rest = {user_pointer(address), length};
    msghdr header = {};
    header.msg_iov = &rest;
    header.msg_iovlen = 1;
    const long received = abi::syscall(__NR_recvmsg, request.fd, &header, flags);
    received_flags = header.msg_flags;
    return received;
}

// A msghdr that the system call could not read is an error of the submission, which comes before all others and ends the
// batch.
long blame(Request& request, long result) {
    const auto& receiving = request.as<Receiving>();
    if (!receiving.message || receiving.kept) return result;
    const int kept = keep(request);
    if (kept == 0) return result;
    request.ring->batch_failed = true;
    return kept;
}

// The hint that another receive would find something. A part of what was asked for is all there was; after a whole there
// may be more; and TCP counts its end as something.
uint32_t more_to_read(const Request& request, const Receiving& receiving, long received) {
    if (received < 0) return 0;
    const bool unknown = receiving.message || (receiving.flags & MSG_PEEK);
    const bool whole = static_cast<uint64_t>(received) >= receiving.length - receiving.done;
    if (unknown || whole) return stream_has_more(request.fd) ? IORING_CQE_F_SOCK_NONEMPTY : 0;
    if (received > 0) return 0;
    return socket_option(request.fd, SO_PROTOCOL) == IPPROTO_TCP ? IORING_CQE_F_SOCK_NONEMPTY : 0;
}

Outcome complete(Request& request, long last, bool all = true) {
    const auto& receiving = request.as<Receiving>();
    request.cqe_flags = more_to_read(request, receiving, last);
    if (!all || last < 0) request.fail();
    return request.done(last > 0            ? last + static_cast<long>(receiving.done)
                        : receiving.done != 0 ? static_cast<long>(receiving.done)
                                              : last);
}

uint32_t awaited_events(const Receiving& receiving) {
    return receiving.flags & MSG_ERRQUEUE ? POLLPRI : POLLIN | POLLPRI;
}

Outcome put_off(Request& request) {
    const auto& receiving = request.as<Receiving>();
    if (request.has(request_nowait)) return complete(request, -EAGAIN);
    const int kept = keep(request);
    return kept < 0 ? complete(request, kept) : request.wait(awaited_events(receiving));
}

// How much of the request is still to come, where that matters: control messages come once, with the first part.
uint64_t missing(const Request& request, const Receiving& receiving) {
    if (!receiving.message) return receiving.length - receiving.done;
    const Message& message = message_of(request);
    return message.header.msg_controllen != 0 ? 0 : message.length - receiving.done;
}

// The answer to a receive with MSG_WAITALL: it goes on if that makes sense, and a part severs a chain. True when it is
// to be attempted again.
bool goes_on(Request& request, long received, int received_flags, bool& all) {
    auto& receiving = request.as<Receiving>();
    all = static_cast<uint64_t>(received) >= missing(request, receiving);
    if (all) {
        all = !(received_flags & (MSG_TRUNC | MSG_CTRUNC));
        return false;
    }
    if (received == 0 || !continues_partial(request.fd)) return false;
    receiving.done += static_cast<uint64_t>(received);
    request.set(request_ends_itself);
    return true;
}

}  // namespace

int recv_prep(Request& request, const io_uring_sqe& sqe) {
    return sqe.ioprio & ~flags_of_recv ? -EINVAL : prepare(request, sqe, false);
}

int recvmsg_prep(Request& request, const io_uring_sqe& sqe) {
    return sqe.ioprio & ~flags_of_recvmsg ? -EINVAL : prepare(request, sqe, true);
}

Outcome recv_issue(Request& request) {
    auto& receiving = request.as<Receiving>();
    if (__builtin_expect(request.has(request_cancelled | request_poll_first | IOSQE_BUFFER_SELECT), 0)) {
        if (request.has(request_cancelled)) return complete(request, -ECANCELED);
        if (request.has(request_poll_first)) return request.wait(awaited_events(receiving));
        // No buffers are provided yet that it could take.
        return complete(request, -ENOBUFS);
    }
    for (;;) {
        int received_flags = 0;
        const long received = receive_rest(request, receiving, received_flags);
        if (received == -EINTR) continue;
        if (received == -EAGAIN) return put_off(request);
        if (__builtin_expect(received < 0, 0)) return complete(request, blame(request, received));
        if (__builtin_expect(!(receiving.flags & MSG_WAITALL), 1)) return complete(request, received);
        bool all;
        if (!goes_on(request, received, received_flags, all)) return complete(request, received, all);
    }
}

// Receiving into memory that a network device fills takes a queue of such a device, and none can be registered.
int recv_zc_prep(Request&, const io_uring_sqe&) { return -EINVAL; }

}  // namespace ringside::engine
