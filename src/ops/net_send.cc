// IORING_OP_SEND, SENDMSG, SEND_ZC, SENDMSG_ZC
//
// Inline a send is one system call with MSG_DONTWAIT on what the program gave. What has to wait, and what starts later,
// is copied first (ops/message.h): all but the buffers themselves.
//
// Zero-copy sends copy after all. They complete as the program expects of them: with their result, and with a
// notification that the buffer is free again (path/finish.cc). Sends of provided buffers are the matter of
// net_send_buffers.cc.
#include "ops/net_send.h"

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
#include "os/epoll.h"
#include "resource/registered_buffers.h"
#include "service/carrier.h"
#include "service/path_face.h"
#include "service/workers.h"

namespace ringside::engine {
namespace {

constexpr uint32_t flags_of_all = IORING_RECVSEND_POLL_FIRST | IORING_SEND_VECTORIZED;
constexpr uint32_t flags_of_send = flags_of_all | IORING_RECVSEND_BUNDLE;
constexpr uint32_t flags_of_zero_copy = flags_of_all | IORING_RECVSEND_FIXED_BUF | IORING_SEND_ZC_REPORT_USAGE;

// Nobody can be asked when the receiver of a UNIX datagram has room, unless the sockets are connected: look again.
constexpr timespec look_again_after = {0, 1'000'000};

// --- Preparation ----------------------------------------------------------------------------------------------------

int keep(Request& request, bool just_read = false) {
    auto& sending = request.as<Sending>();
    if (sending.kept) return 0;
    int result;
    if (sending.form == Form::message) {
        result = keep_message(request, sending.address, Direction::out, just_read);
    } else {
        result = keep_parts(request, {sending.address, sending.length, sending.form == Form::vectors, sending.name,
                                      sending.name_length});
    }
    sending.kept = result == 0;
    return result;
}

// Before a buffer is taken for it.
int check_address(const Sending& sending) {
    sockaddr_storage address;
    return copy_address(&address, sending.name, sending.name_length);
}

int check_range(const io_uring_sqe& sqe) {
    return is_user_range(sqe.addr, sqe.len < most_at_once ? sqe.len : most_at_once) ? 0 : -EFAULT;
}

int prepare_parts(Request& request, const io_uring_sqe& sqe) {
    auto& sending = request.as<Sending>();
    if (sqe.__pad3[0] != 0) return -EINVAL;
    sending.name = sqe.addr2;
    sending.name_length = sqe.addr2 != 0 ? sqe.addr_len : 0;
    if (request.has(IOSQE_BUFFER_SELECT)) return sending.name != 0 ? check_address(sending) : 0;
    if (sqe.ioprio & IORING_RECVSEND_FIXED_BUF) return sqe.ioprio & IORING_SEND_VECTORIZED ? -EINVAL : 0;
    if (sqe.ioprio & IORING_SEND_VECTORIZED) {
        sending.form = Form::vectors;
        return sqe.len > most_iovecs ? -EINVAL : 0;
    }
    return check_range(sqe);
}

// Keeps what every send needs of its SQE.
Sending& begin(Request& request, const io_uring_sqe& sqe) {
    auto& sending = request.as<Sending>();
    sending = {};
    sending.address = sqe.addr;
    sending.length = sending.wanted = sqe.len;
    sending.flags = known_to_calls(sqe.msg_flags) | MSG_NOSIGNAL;
    return sending;
}

int prepare(Request& request, const io_uring_sqe& sqe, Form form, bool zero_copy) {
    Sending& sending = begin(request, sqe);
    sending.form = form;
    sending.zero_copy = zero_copy;
    sending.fixed = sqe.ioprio & IORING_RECVSEND_FIXED_BUF;
    sending.bundle = sqe.ioprio & IORING_RECVSEND_BUNDLE;
    if (sqe.msg_flags & MSG_DONTWAIT) request.set(request_nowait);
    // Nobody needs a message's, but it is looked at; and not that of a zero-copy send.
    if (sqe.len > INT_MAX && !zero_copy) return -EINVAL;
    if (form == Form::message && (sqe.addr2 != 0 || sqe.file_index != 0)) return -EINVAL;
    if (form != Form::message) {
        const int result = prepare_parts(request, sqe);
        if (result < 0) return result;
    }
    if (sqe.ioprio & IORING_RECVSEND_POLL_FIRST) request.set(request_poll_first);
    // Which buffer it is, and whether its socket will do, only its issue can find out.
    if (request.has(IOSQE_BUFFER_SELECT) || zero_copy || sending.bundle) request.set(request_takes_buffer);
    if (request.has(IOSQE_BUFFER_SELECT)) return 0;
    if (sending.fixed && form == Form::message) return keep(request);
    const bool plain = sending.form == Form::buffer && sending.name == 0;
    if (plain || !(starts_later(request) || request.has(request_poll_first))) return 0;
    return keep(request);
}

// Most sends ask for nothing but to send a buffer.
bool is_plain(const Request& request, const io_uring_sqe& sqe) {
    constexpr uint32_t unusual = MSG_WAITALL | MSG_DONTWAIT;
    return (sqe.ioprio | sqe.addr2 | sqe.__pad3[0] | (sqe.msg_flags & unusual)) == 0 && sqe.len <= INT_MAX &&
           !request.has(IOSQE_BUFFER_SELECT);
}

int prepare_plain(Request& request, const io_uring_sqe& sqe) {
    begin(request, sqe).plain = true;
    return check_range(sqe);
}

int prepare_zero_copy(Request& request, const io_uring_sqe& sqe, Form form) {
    if (request.has(IOSQE_CQE_SKIP_SUCCESS)) return -EINVAL;
    // From here on even a refusal is followed by a notification.
    request.set(request_notifies);
    request.notification() = 0;
    if (sqe.ioprio & ~flags_of_zero_copy) return -EINVAL;
    if (sqe.ioprio & IORING_SEND_ZC_REPORT_USAGE) request.notification() = IORING_NOTIF_USAGE_ZC_COPIED;
    return prepare(request, sqe, form, true);
}

// --- Attempts -------------------------------------------------------------------------------------------------------

long send_rest(const Request& request, const Sending& sending) {
    const int flags = sending.flags | MSG_DONTWAIT;
    if (sending.kept) return send_message(request, sending.done, flags);
    if (sending.form == Form::message) return abi::syscall(__NR_sendmsg, request.fd, sending.address, flags);
    if (sending.form == Form::buffer) {
        return abi::syscall(__NR_sendto, request.fd, sending.address + sending.done, sending.length - sending.done,
                            flags, sending.name, sending.name_length);
    }
    msghdr header = {};
    header.msg_name = user_pointer(sending.name);
    header.msg_namelen = sending.name_length;
    header.msg_iov = user_pointer<iovec>(sending.address);
    header.msg_iovlen = sending.length;
    return abi::syscall(__NR_sendmsg, request.fd, &header, flags);
}

// If the system call could not read what the program gave by pointer, that is an error of the submission. It comes
// before all others and ends the batch.
long blame(Request& request, long result) {
    const auto& sending = request.as<Sending>();
    if (sending.kept || (sending.form == Form::buffer && sending.name == 0)) return result;
    const int kept = keep(request);
    if (kept == 0) return result;
    request.ring->batch_failed = true;
    return kept;
}

Outcome put_off(Request& request) {
    const auto& sending = request.as<Sending>();
    if (request.has(request_nowait)) {
        // The worker that was asked for gives it up; in a call that blocks it is the call's own answer.
        if (!request.has(request_blocks)) request.clear(request_at_work);
        return complete_send(request, -EAGAIN);
    }
    if (sending.form != Form::buffer || sending.name != 0) {
        const int kept = keep(request, true);
        if (kept < 0) return complete_send(request, kept);
        if (message_of(request).header.msg_name != nullptr && socket_option(request.fd, SO_DOMAIN) == AF_UNIX) {
            return Outcome::punt;
        }
    }
    return request.wait(POLLOUT);
}

// Whether a part is not enough: it was asked for all, or it blocks until all is sent.
bool goes_on(const Request& request) {
    const auto& sending = request.as<Sending>();
    return (sending.flags & MSG_WAITALL) || (request.has(request_blocks) && !request.has(request_nowait));
}

// How much of the request has not been sent, where that matters.
uint64_t missing(Request& request) {
    const auto& sending = request.as<Sending>();
    if (sending.form == Form::buffer) return sending.length - sending.done;
    return keep(request, true) == 0 ? message_of(request).length - sending.done : 0;
}

// Finds the registered buffer that it sends from.
int import(Request& request) {
    const auto& sending = request.as<Sending>();
    if (request.has(request_holds_buffer)) return 0;
    if (!sending.kept) return import_buffer(request, sending.address, sending.length);
    const Message& message = message_of(request);
    return import_vectors(request, message.header.msg_iov, static_cast<unsigned>(message.header.msg_iovlen));
}

int begin_zero_copy(Request& request) {
    request.cqe_flags = IORING_CQE_F_MORE;
    request.clear(IOSQE_ASYNC);
    const auto& sending = request.as<Sending>();
    const bool message = sending.form == Form::message;
    const int imported = sending.fixed && message ? import(request) : 0;
    if (imported < 0) return imported;
    const int domain = socket_option(request.fd, SO_DOMAIN);
    if (domain < 0) return domain;
    if (!supports_zero_copy(request.fd)) return -EOPNOTSUPP;
    return sending.fixed && !message ? import(request) : 0;
}

// With a bundle a worker only knows how to wait for room. That comes before the file is found to be no socket.
// Returns whether there is nothing to be attempted yet: its outcome stands in `outcome`.
bool settle_bundle_at_work(Request& request, Outcome& outcome) {
    auto& sending = request.as<Sending>();
    request.clear(request_at_work);
    if (sending.waited) return false;
    const int type = socket_option(request.fd, SO_TYPE);
    if (type == -ENOTSOCK && !can_be_polled(request.fd)) {
        outcome = complete_send(request, -EBADFD);
    } else if (type == -EBADF) {
        outcome = complete_send(request, type);
    } else if (!is_ready_for(request.fd, POLLOUT)) {
        sending.waited = true;
        request.clear(IOSQE_ASYNC | request_blocks);
        outcome = request.wait(POLLOUT);
    } else if (type == -ENOTSOCK) {
        outcome = complete_send(request, -ECANCELED);
    } else {
        return false;
    }
    return true;
}

Outcome poll_first(Request& request) {
    const int type = socket_option(request.fd, SO_TYPE);
    return type < 0 ? complete_send(request, type) : request.wait(POLLOUT);
}

// A bundle without provided buffers goes on as one with them would: with an empty send, which ends it.
Outcome bundle_of_one(Request& request, Outcome outcome) {
    if (outcome != Outcome::done || request.res <= 0 || !post_more(request, request.res, 0)) return outcome;
    const int flags = request.as<Sending>().flags | MSG_DONTWAIT;
    return request.done(abi::syscall(__NR_sendto, request.fd, 0, 0, flags, 0, 0));
}

Outcome send_plainly(Request& request) {
    const auto& sending = request.as<Sending>();
    const int flags = sending.flags | MSG_DONTWAIT;
    request.clear(IOSQE_ASYNC);
    for (;;) {
        const bool answered = request.has(request_answered);
        const long sent = answered
                              ? request.take_answer()
                              : abi::syscall(__NR_sendto, request.fd, sending.address, sending.length, flags, 0, 0);
        if (__builtin_expect(sent >= 0, 1)) return request.done(sent);
        if (sent == -EAGAIN) return request.wait(POLLOUT);
        if (sent != -EINTR) return complete_send(request, sent);
    }
}

Outcome send_unusually(Request& request) {
    auto& sending = request.as<Sending>();
    if (__builtin_expect(request.has(request_cancelled), 0)) return complete_send(request, -ECANCELED);
    if (__builtin_expect(sending.zero_copy, 0)) {
        const int refused = begin_zero_copy(request);
        if (refused < 0) {
            // The kernel ends it outside of its workers.
            request.clear(request_at_work);
            return complete_send(request, blame(request, refused));
        }
    }
    if (__builtin_expect(sending.bundle && request.has(request_at_work), 0)) {
        Outcome outcome;
        if (settle_bundle_at_work(request, outcome)) return outcome;
    }
    if (__builtin_expect(request.has(request_poll_first), 0)) return poll_first(request);
    if (__builtin_expect(request.has(IOSQE_BUFFER_SELECT), 0)) return send_selected(request);
    request.clear(IOSQE_ASYNC);
    const Outcome outcome = attempt_send(request);
    if (__builtin_expect(sending.bundle, 0)) return bundle_of_one(request, outcome);
    if (__builtin_expect(sending.fixed, 0) && outcome != Outcome::done) hold_buffer(request);
    return outcome;
}

}  // namespace

Outcome complete_send(Request& request, long last, bool all) {
    const auto done = static_cast<long>(request.as<Sending>().done);
    if (!all || last < 0) request.fail();
    return request.done(last >= 0 ? last + done : done != 0 ? done : last);
}

Outcome attempt_send(Request& request) {
    auto& sending = request.as<Sending>();
    for (;;) {
        const long sent = send_rest(request, sending);
        if (sent == -EINTR) continue;
        if (sent == -EAGAIN) return put_off(request);
        if (__builtin_expect(sent < 0, 0))
            return complete_send(request, blame(request, reason_of_blocked(request, sent)));
        if (__builtin_expect(!goes_on(request), 1)) return complete_send(request, sent);
        const bool short_of = static_cast<uint64_t>(sent) < missing(request);
        if (!short_of || sent == 0 || !continues_partial(request.fd)) return complete_send(request, sent, !short_of);
        sending.done += static_cast<uint64_t>(sent);
        request.set(request_ends_itself);
    }
}

int send_prep(Request& request, const io_uring_sqe& sqe) {
    if (__builtin_expect(is_plain(request, sqe), 1)) return prepare_plain(request, sqe);
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
    const bool plain = request.as<Sending>().plain && !request.has(request_cancelled | request_blocks);
    return __builtin_expect(plain, 1) ? send_plainly(request) : send_unusually(request);
}

// On a socket of packets a write ends a record, which a send only does when it is told to.
bool send_carry(Request& request, iocb& attempt) {
    const auto& sending = request.as<Sending>();
    if (!sending.plain || sending.flags != MSG_NOSIGNAL || sending.length == 0) return false;
    const int type = can_hold_signals() ? registered_socket_type(request) : 0;
    if (type == 0 || type == SOCK_SEQPACKET) return false;
    attempt.aio_lio_opcode = IOCB_CMD_PWRITE;
    attempt.aio_buf = sending.address;
    attempt.aio_nbytes = sending.length;
    attempt.aio_rw_flags = RWF_NOWAIT | rwf_nosignal;
    return true;
}

// Asked for, or because readiness says nothing (put_off). What has to be found out under the ring's lock, and was not
// yet, is left to the issue.
Outcome send_work(Request& request) {
    const bool begun = request.has(request_holds_buffer) || request.cqe_flags != 0;
    if (request.has(request_takes_buffer) && !begun) return Outcome::queued;
    if (request.has(request_poll_first)) return poll_first(request);
    for (;;) {
        const Outcome outcome = attempt_send(request);
        if (outcome != Outcome::punt) return outcome;
        if (blocking_syscall(__NR_nanosleep, reinterpret_cast<long>(&look_again_after)) == -EINTR) {
            return complete_send(request, -EINTR);
        }
    }
}

}  // namespace ringside::engine
