// IORING_OP_RECV, RECVMSG, RECV_ZC
//
// Inline a receive is one system call with MSG_DONTWAIT on what the program gave. A msghdr is copied first when the
// request has to wait, starts later, or may need several calls (ops/message.h). Receives into provided buffers are the
// matter of net_recv_buffers.cc.
#include "ops/net_recv.h"

#include <errno.h>
#include <limits.h>
#include <linux/fs.h>
#include <poll.h>
#include <sys/socket.h>

#include "abi/syscall.h"
#include "memory/user_memory.h"
#include "ops/ops.h"
#include "ops/socket.h"
#include "ops/user_data.h"
#include "service/path_face.h"
#include "state/ring.h"

namespace ringside::engine {
namespace {

constexpr uint32_t flags_of_recvmsg = IORING_RECVSEND_POLL_FIRST | IORING_RECV_MULTISHOT;
constexpr uint32_t flags_of_recv = flags_of_recvmsg | IORING_RECVSEND_BUNDLE;

int keep(Request& request, bool just_read = false) {
    auto& receiving = request.as<Receiving>();
    if (!receiving.message || receiving.kept) return 0;
    const Direction direction = request.has(IOSQE_BUFFER_SELECT) ? Direction::in_selected : Direction::in;
    const int result = keep_message(request, receiving.address, direction, just_read);
    receiving.kept = result == 0;
    return result;
}

int check_multishot(const Request& request, const io_uring_sqe& sqe, bool message) {
    if (!(sqe.ioprio & IORING_RECV_MULTISHOT)) return sqe.optlen != 0 ? -EINVAL : 0;
    if (!request.has(IOSQE_BUFFER_SELECT) || (sqe.msg_flags & MSG_WAITALL)) return -EINVAL;
    return message && sqe.optlen != 0 ? -EINVAL : 0;
}

int prepare(Request& request, const io_uring_sqe& sqe, bool message) {
    auto& receiving = request.as<Receiving>();
    receiving = {};
    receiving.address = sqe.addr;
    receiving.length = sqe.len;
    receiving.flags = known_to_calls(sqe.msg_flags) | MSG_DONTWAIT;
    receiving.message = message;
    // Nobody needs a message's, but it is looked at.
    if (sqe.len > INT_MAX) return -EINVAL;
    const int checked = check_multishot(request, sqe, message);
    if (checked < 0) return checked;
    if (sqe.msg_flags & MSG_DONTWAIT) request.set(request_nowait);
    if (sqe.ioprio & IORING_RECVSEND_POLL_FIRST) request.set(request_poll_first);
    if (message) {
        const bool at_once = !starts_later(request) && !request.has(request_poll_first | IOSQE_BUFFER_SELECT) &&
                             !(sqe.msg_flags & MSG_WAITALL);
        const int kept = at_once ? 0 : keep(request);
        return kept == 0 && request.has(IOSQE_BUFFER_SELECT) ? prepare_selected_receive(request, sqe) : kept;
    }
    if (request.has(IOSQE_BUFFER_SELECT)) return prepare_selected_receive(request, sqe);
    return is_user_range(sqe.addr, sqe.len) ? 0 : -EFAULT;
}

// A msghdr that the system call could not read is an error of the submission, which comes before all others and ends
// the batch.
long blame(Request& request, long result) {
    const auto& receiving = request.as<Receiving>();
    if (!receiving.message || receiving.kept) return result;
    const int kept = keep(request);
    if (kept == 0) return result;
    request.ring->batch_failed = true;
    return kept;
}

// The error queue is not waited for by POLLIN; but data comes with POLLRDNORM as well, and what has no such queue
// answers with that.
uint32_t awaited_events(const Receiving& receiving) {
    return receiving.flags & MSG_ERRQUEUE ? POLLRDNORM | POLLPRI : POLLIN | POLLPRI;
}

// Whether it is for a message that may have control messages. Those come once, with the first part, so nothing more is
// awaited of it, except within a call that blocks; and to fall short is no failure.
bool has_control(const Request& request) {
    return request.as<Receiving>().message && message_of(request).header.msg_controllen != 0;
}

// How much of the request is still to come.
uint64_t missing(const Request& request) {
    const auto& receiving = request.as<Receiving>();
    if (!receiving.message) return receiving.length - receiving.done;
    const bool comes_once = has_control(request) && !request.has(request_blocks);
    return comes_once ? 0 : message_of(request).length - receiving.done;
}

// A receive into one buffer is not even looked at before, one of a message needs a socket.
Outcome poll_first(Request& request) {
    const auto& receiving = request.as<Receiving>();
    const int type = receiving.message ? socket_option(request.fd, SO_TYPE) : 0;
    return type < 0 ? complete_receive(request, type) : request.wait(awaited_events(receiving));
}

// Whether there is more costs a call to ask, as dear as many a receive. A socket that was found empty time and again,
// as those are on which requests and answers take turns, is only asked now and then. (Sockets that share a place in
// the table are asked a little more or less often.)
bool probably_has_more(const Request& request) {
    constexpr uint8_t patience = 8, now_and_then = 16;
    uint8_t& emptied = request.ring->emptied.of(request.fd);
    if (emptied >= patience) {
        emptied = emptied == patience + now_and_then ? patience : static_cast<uint8_t>(emptied + 1);
        if (emptied != patience) return false;
    }
    const bool more = stream_has_more(request.fd);
    if (more) emptied = 0;
    if (!more && emptied < patience) ++emptied;
    return more;
}

// A part of what was asked for is all there was; after a whole there may be more; and TCP counts its end as something.
uint32_t hint_of_more(const Request& request, long received) {
    const auto& receiving = request.as<Receiving>();
    if (received < 0) return 0;
    // A call that blocks takes the end together with what came before it.
    const bool took_end = receiving.done != 0 && request.has(request_blocks);
    if (received == 0 && !took_end && tcp_end_has_come(request.fd)) return IORING_CQE_F_SOCK_NONEMPTY;
    const bool whole = static_cast<uint64_t>(received) >= receiving.length - receiving.done;
    if (receiving.flags & MSG_PEEK) return stream_has_more(request.fd) ? IORING_CQE_F_SOCK_NONEMPTY : 0;
    if (receiving.message || whole) return probably_has_more(request) ? IORING_CQE_F_SOCK_NONEMPTY : 0;
    return 0;
}

[[gnu::always_inline]] inline Outcome complete(Request& request, long last, bool all) {
    const auto& receiving = request.as<Receiving>();
    request.cqe_flags = hint_of_more(request, last);
    const auto done = static_cast<long>(receiving.done);
    const bool falls_short = last < 0 && done != 0 && has_control(request);
    if (!all || (last < 0 && !falls_short)) request.fail();
    if (receiving.message && receiving.kept && tell_program(request) < 0) return request.done(-EFAULT);
    return request.done(last > 0 ? last + done : done != 0 ? done : last);
}

Outcome attempt(Request& request) {
    auto& receiving = request.as<Receiving>();
    for (;;) {
        int received_flags = 0;
        const bool answered = request.has(request_answered);
        const long received = answered ? request.take_answer() : receive_rest(request, received_flags);
        if (received == -EINTR || (received == -EAGAIN && waits_in_vain(request))) continue;
        if (received == -EAGAIN) return put_off_receive(request);
        if (__builtin_expect(received < 0, 0)) return complete_receive(request, blame(request, received));
        if (__builtin_expect(!(receiving.flags & MSG_WAITALL), 1)) return complete(request, received, true);
        const Rest rest = rest_of_receive(request, received, received_flags);
        if (rest != Rest::awaited) return complete_receive(request, received, rest == Rest::none);
    }
}

bool has_error_queue(int fd) {
    const int domain = socket_option(fd, SO_DOMAIN);
    return domain == AF_INET || domain == AF_INET6;
}

// There is data, but no error. In the kernel what does not go on tries again at once, some hundred times, and is then
// left to a worker, which does not wait for errors.
bool finds_data_only(const Request& request) {
    return is_ready_for(request.fd, POLLRDNORM) && has_error_queue(request.fd);
}

// Likewise a datagram socket that was shut down is ready, and says that it is over only to a call that would wait.
bool finds_nothing_more(const Request& request) {
    return request.place == Place::armed && (ready_for(request.fd, POLLRDHUP) & POLLRDHUP);
}

// Whether this is its first attempt, and a worker's.
bool is_workers_first(const Request& request) { return request.has(request_at_work) && request.place == Place::path; }

}  // namespace

long receive_rest(const Request& request, int& received_flags) {
    const auto& receiving = request.as<Receiving>();
    const int flags = receiving.flags;
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

uint32_t more_to_read(const Request& request, long received) { return hint_of_more(request, received); }

Outcome complete_receive(Request& request, long last, bool all) { return complete(request, last, all); }

__attribute__((noinline)) bool waits_in_vain(Request& request) {
    auto& receiving = request.as<Receiving>();
    if (request.has(request_nowait) || !(receiving.flags & MSG_DONTWAIT)) return false;
    const bool in_vain = finds_nothing_more(request) || ((receiving.flags & MSG_ERRQUEUE) && finds_data_only(request));
    if (!in_vain) return false;
    receiving.flags &= ~MSG_DONTWAIT;
    request.set(request_at_work);
    return true;
}

Outcome put_off_receive(Request& request) {
    if (!(request.as<Receiving>().flags & MSG_DONTWAIT)) return complete_receive(request, -EAGAIN);
    if (request.has(request_nowait)) {
        // The worker that was asked for gives it up; in a call that blocks it is the call's own answer.
        if (!request.has(request_blocks)) request.clear(request_at_work);
        return complete_receive(request, -EAGAIN);
    }
    const int kept = keep(request, true);
    return kept < 0 ? complete_receive(request, kept) : request.wait(awaited_events(request.as<Receiving>()));
}

Rest rest_of_receive(Request& request, long received, int received_flags) {
    auto& receiving = request.as<Receiving>();
    const Rest at_the_end = received_flags & (MSG_TRUNC | MSG_CTRUNC) ? Rest::missed : Rest::none;
    if (static_cast<uint64_t>(received) >= missing(request)) return at_the_end;
    // In a call that blocks only a stream goes on by itself.
    const bool one_record = request.has(request_blocks) && socket_option(request.fd, SO_TYPE) != SOCK_STREAM;
    const bool continues = received != 0 && continues_partial(request.fd);
    const bool is_over = one_record || !continues;
    if (is_over && has_control(request)) return at_the_end;
    // The kernel would have it go on with the next record, and gives it up since its worker does not come back to it.
    if (one_record && continues) request.clear(request_at_work);
    if (is_over) return Rest::missed;
    receiving.done += static_cast<uint64_t>(received);
    request.set(request_ends_itself);
    // If there is more at once, a worker does not wait for readiness but goes on in its call.
    if (is_workers_first(request) && is_ready_for(request.fd, POLLIN)) request.set(request_blocks);
    return Rest::awaited;
}

int recv_prep(Request& request, const io_uring_sqe& sqe) {
    return sqe.ioprio & ~flags_of_recv ? -EINVAL : prepare(request, sqe, false);
}

int recvmsg_prep(Request& request, const io_uring_sqe& sqe) {
    return sqe.ioprio & ~flags_of_recvmsg ? -EINVAL : prepare(request, sqe, true);
}

Outcome recv_issue(Request& request) {
    if (__builtin_expect(request.has(request_cancelled | request_poll_first | IOSQE_BUFFER_SELECT), 0)) {
        if (request.has(request_cancelled)) return complete_receive(request, -ECANCELED);
        if (request.has(request_poll_first)) return poll_first(request);
        return receive_into_selected(request);
    }
    return attempt(request);
}

bool recv_carry(Request& request, iocb& attempt) {
    const auto& receiving = request.as<Receiving>();
    constexpr uint64_t unusual = request_cancelled | request_poll_first | request_multishot | IOSQE_BUFFER_SELECT;
    if (request.has(unusual) || receiving.flags != MSG_DONTWAIT || receiving.length == 0) return false;
    if (registered_socket_type(request) == 0) return false;
    attempt.aio_lio_opcode = IOCB_CMD_PREAD;
    attempt.aio_buf = receiving.address;
    attempt.aio_nbytes = receiving.length;
    attempt.aio_rw_flags = RWF_NOWAIT;
    return true;
}

// Receiving into memory that a network device fills takes a queue of such a device, and none can be registered.
int recv_zc_prep(Request&, const io_uring_sqe&) { return -EINVAL; }

}  // namespace ringside::engine
