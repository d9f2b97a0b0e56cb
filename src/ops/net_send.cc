// IORING_OP_SEND, SENDMSG, SEND_ZC, SENDMSG_ZC
//
// Inline a send is one system call with MSG_DONTWAIT on what the program gave. What has to wait, and what starts later, is
// copied first (ops/message.h): all but the buffers themselves.
//
// Zero-copy sends copy after all. They complete as the program expects of them: with their result, and with a
// notification that the buffer is free again (path/finish.cc).
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>

#include "abi/syscall.h"
#include "ops/message.h"
#include "ops/ops.h"
#include "ops/socket.h"
#include "ops/user_data.h"
#include "path/path.h"
#include "service/workers.h"
#include "state/user_memory.h"

namespace ringside::engine {
namespace {

enum class Form : uint8_t { buffer, vectors, message };

struct Sending {
    uint64_t address;      // the buffer, the array of iovecs, or the msghdr
    uint64_t name;         // destination of a buffer or of iovecs; 0 for none
    uint64_t done;         // bytes sent by earlier attempts
    uint32_t length;       // of the buffer, or number of iovecs
    int32_t flags;         // MSG_*
    uint16_t name_length;
    Form form;
    bool kept;             // it stands in the request's memory as a Message
    bool zero_copy;
    bool fixed;            // the buffer is part of a registered one
};

constexpr uint32_t flags_of_all = IORING_RECVSEND_POLL_FIRST | IORING_SEND_VECTORIZED;
constexpr uint32_t flags_of_send = flags_of_all | IORING_RECVSEND_BUNDLE;
constexpr uint32_t flags_of_zero_copy = flags_of_all | IORING_RECVSEND_FIXED_BUF | IORING_SEND_ZC_REPORT_USAGE;

// Nobody can be asked when the receiver of a UNIX datagram has room, unless the sockets are connected: look again.
constexpr timespec look_again_after = {0, 1'000'000};

// --- Preparation ----------------------------------------------------------------------------------------------------

int keep(Request& request) {
    auto& sending = request.as<Sending>();
    if (sending.kept) return 0;
    int result;
    if (sending.form == Form::message) {
        result = keep_message(request, sending.address, Direction::out);
    } else {
        result = keep_parts(request, {sending.address, sending.length, sending.form == Form::vectors, sending.name,
                                      sending.name_length});
    }
    sending.kept = result == 0;
    return result;
}

int prepare_parts(Request& request, const io_uring_sqe& sqe) {
    auto& sending = request.as<Sending>();
    if (sqe.__pad3[0] != 0) return -EINVAL;
    sending.name = sqe.addr2;
    sending.name_length = sqe.addr2 != 0 ? sqe.addr_len : 0;
    if (request.has(IOSQE_BUFFER_SELECT)) return 0;
    if (sqe.ioprio & IORING_RECVSEND_FIXED_BUF) return 0;
    if (sqe.ioprio & IORING_SEND_VECTORIZED) {
        sending.form = Form::vectors;
        return sqe.len > most_iovecs ? -EINVAL : 0;
    }
    return is_user_range(sqe.addr, sqe.len) ? 0 : -EFAULT;
}

int prepare(Request& request, const io_uring_sqe& sqe, Form form, bool zero_copy) {
    auto& sending = request.as<Sending>();
    sending = {sqe.addr, 0, 0, sqe.len, static_cast<int32_t>(sqe.msg_flags | MSG_NOSIGNAL), 0, form, false, zero_copy,
               (sqe.ioprio & IORING_RECVSEND_FIXED_BUF) != 0};
    if (sqe.msg_flags & MSG_DONTWAIT) request.set(request_nowait);
    if (form == Form::message && (sqe.addr2 != 0 || sqe.file_index != 0)) return -EINVAL;
    if (form != Form::message) {
        if (sqe.len > INT_MAX) return -EINVAL;
        const int result = prepare_parts(request, sqe);
        if (result < 0) return result;
    }
    if (sqe.ioprio & IORING_RECVSEND_POLL_FIRST) request.set(request_poll_first);
    const bool plain = sending.form == Form::buffer && sending.name == 0;
    if (plain || !(starts_later(request) || request.has(request_poll_first))) return 0;
    return keep(request);
}

int prepare_zero_copy(Request& request, const io_uring_sqe& sqe, Form form) {
    if (request.has(IOSQE_CQE_SKIP_SUCCESS)) return -EINVAL;
    // From here on even a refusal is followed by a notification.
    request.set(request_notifies);
    request.extra[0] = sqe.ioprio & IORING_SEND_ZC_REPORT_USAGE ? IORING_NOTIF_USAGE_ZC_COPIED : 0;
    const int result = sqe.ioprio & ~flags_of_zero_copy ? -EINVAL : prepare(request, sqe, form, true);
    if (result < 0) request.cqe_flags = IORING_CQE_F_MORE;
    return result;
}

// --- Attempts -------------------------------------------------------------------------------------------------------

long send_rest(const Request& request, const Sending& sending) {
    const int flags = sending.flags | MSG_DONTWAIT;
    if (sending.kept) return send_message(request, sending.done, flags);
    if (sending.form == Form::message) return abi::syscall(__NR_sendmsg, request.fd, sending.address, flags);
    if (sending.form == Form::buffer) {
        return abi::syscall(__NR_sendto, request.fd, sending.address + sending.done, sending.length - sending.done, flags,
                            sending.name, sending.name_length);
    }
    msghdr header = {};
    header.msg_name = user_pointer(sending.name);
    header.msg_namelen = sending.name_length;
    header.msg_iov = user_pointer<iovec>(sending.address);
    header.msg_iovlen = sending.length;
    return abi::syscall(__NR_sendmsg, request.fd, &header, flags);
}

// What the program gave by pointer and the system call could not read is an error of the submission, which comes before
// all others and ends the batch.
long blame(Request& request, long result) {
    const auto& sending = request.as<Sending>();
    if (sending.kept || (sending.form == Form::buffer && sending.name == 0)) return result;
    const int kept = keep(request);
    if (kept == 0) return result;
    request.ring->batch_failed = true;
    return kept;
}

// The end of a request. With MSG_WAITALL less than was asked for severs a chain, though it is no error.
Outcome complete(Request& request, long last, bool all = true) {
    const auto& sending = request.as<Sending>();
    if (!all) request.fail();
    if (last < 0) request.fail();
    return request.done(last >= 0 ? last + static_cast<long>(sending.done)
                                  : sending.done != 0 ? static_cast<long>(sending.done) : last);
}

Outcome put_off(Request& request) {
    const auto& sending = request.as<Sending>();
    if (request.has(request_nowait)) return complete(request, -EAGAIN);
    if (sending.form != Form::buffer || sending.name != 0) {
        const int kept = keep(request);
        if (kept < 0) return complete(request, kept);
        if (message_of(request).header.msg_name != nullptr && socket_option(request.fd, SO_DOMAIN) == AF_UNIX) {
            return Outcome::punt;
        }
    }
    return request.wait(POLLOUT);
}

// How much of the request has not been sent, where that matters.
uint64_t missing(Request& request) {
    const auto& sending = request.as<Sending>();
    if (!(sending.flags & MSG_WAITALL)) return 0;
    if (sending.form == Form::buffer) return sending.length - sending.done;
    return keep(request) == 0 ? message_of(request).length - sending.done : 0;
}

int begin_zero_copy(Request& request) {
    request.cqe_flags = IORING_CQE_F_MORE;
    const int domain = socket_option(request.fd, SO_DOMAIN);
    if (domain < 0) return domain;
    if (!supports_zero_copy(request.fd)) return -EOPNOTSUPP;
    // No buffers are registered yet that it could name.
    return request.as<Sending>().fixed ? -EFAULT : 0;
}

// Sends as much as goes without waiting.
Outcome attempt(Request& request) {
    auto& sending = request.as<Sending>();
    for (;;) {
        const long sent = send_rest(request, sending);
        if (sent == -EINTR) continue;
        if (sent == -EAGAIN) return put_off(request);
        if (__builtin_expect(sent < 0, 0)) return complete(request, blame(request, sent));
        if (__builtin_expect(!(sending.flags & MSG_WAITALL), 1)) return complete(request, sent);
        const bool short_of = static_cast<uint64_t>(sent) < missing(request);
        if (!short_of || sent == 0 || !continues_partial(request.fd)) return complete(request, sent, !short_of);
        sending.done += static_cast<uint64_t>(sent);
        request.set(request_ends_itself);
    }
}

}  // namespace

int send_prep(Request& request, const io_uring_sqe& sqe) {
    return sqe.ioprio & ~flags_of_send ? -EINVAL : prepare(request, sqe, Form::buffer, false);
}

int sendmsg_prep(Request& request, const io_uring_sqe& sqe) {
    return sqe.ioprio & ~flags_of_all ? -EINVAL : prepare(request, sqe, Form::message, false);
}

int send_zc_prep(Request& request, const io_uring_sqe& sqe) { return prepare_zero_copy(request, sqe, Form::buffer); }
int sendmsg_zc_prep(Request& request, const io_uring_sqe& sqe) {
    return prepare_zero_copy(request, sqe, Form::message);
}

Outcome send_issue(Request& request) {
    if (__builtin_expect(request.has(request_cancelled), 0)) return complete(request, -ECANCELED);
    if (__builtin_expect(request.as<Sending>().zero_copy, 0)) {
        const int refused = begin_zero_copy(request);
        if (refused < 0) return complete(request, refused);
    }
    if (__builtin_expect(request.has(request_poll_first), 0)) return request.wait(POLLOUT);
    return attempt(request);
}

// Asked for, or because readiness says nothing (put_off).
Outcome send_work(Request& request) {
    for (;;) {
        const Outcome outcome = send_issue(request);
        if (outcome != Outcome::punt) return outcome;
        if (blocking_syscall(__NR_nanosleep, reinterpret_cast<long>(&look_again_after)) == -EINTR) {
            return complete(request, -EINTR);
        }
    }
}

}  // namespace ringside::engine
