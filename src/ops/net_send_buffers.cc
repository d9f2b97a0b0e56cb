// SEND with IOSQE_BUFFER_SELECT: sends provided buffers (resource/provided_buffers.h), one, or with
// IORING_RECVSEND_BUNDLE as many as there are, some in each completion.
//
// The order of a stream is that of its buffers, so a buffer stays the request's from the first attempt to send it, also
// while there is no room for it.
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>

#include "abi/syscall.h"
#include "ops/net_send.h"
#include "ops/socket.h"
#include "resource/provided_buffers.h"
#include "service/path_face.h"

namespace ringside::engine {
namespace {

// As many buffers as one send may take.
constexpr unsigned most_in_bundle = 256;

// A group that was never made is not the same as an empty one; but first of all there has to be a socket.
int without_buffer(const Request& request) {
    const int type = socket_option(request.fd, SO_TYPE);
    if (type < 0) return type;
    return find_group(*request.ring, request.buf_index) == nullptr ? -ENOENT : -ENOBUFS;
}

// How much may be selected at most: a length of 0 is no limit but that.
uint64_t most_to_send(const Sending& sending) { return sending.wanted != 0 ? sending.wanted : INT_MAX; }

// No buffer is taken for what is no socket.
bool found_no_socket(long result) { return result == -ENOTSOCK || result == -EBADF; }

// --- One ------------------------------------------------------------------------------------------------------------

Outcome send_one(Request& request) {
    auto& sending = request.as<Sending>();
    if (!request.has(request_holds_buffer)) {
        iovec buffer;
        // One that is sent is a bundle of one: it may lie anywhere.
        if (select_bundle(request, most_to_send(sending), &buffer, 1, Empty::is_skipped) < 0) {
            request.clear(request_at_work);
            return complete_send(request, without_buffer(request));
        }
        sending.address = reinterpret_cast<uintptr_t>(buffer.iov_base);
        sending.length = static_cast<uint32_t>(buffer.iov_len);
    }
    const Outcome outcome = attempt_send(request);
    if (outcome == Outcome::done && found_no_socket(request.res)) recycle_buffer(request);
    commit_buffer(request, sending.length);
    return outcome;
}

// --- Several --------------------------------------------------------------------------------------------------------

// Goes on with a bundle that was sent in part. Returns what the system call did, or the whole length when all is out.
long send_rest_of_bundle(Request& request) {
    auto& sending = request.as<Sending>();
    for (;;) {
        const long sent = send_message(request, sending.done, sending.flags | MSG_DONTWAIT);
        if (sent == -EINTR) continue;
        if (sent <= 0) return sent;
        sending.done += static_cast<uint64_t>(sent);
        if (sending.done == message_of(request).length) return static_cast<long>(sending.done);
    }
}

// Selects a bundle into the request's memory. Returns 0 or -errno.
int take_bundle(Request& request, bool& took_last) {
    auto& sending = request.as<Sending>();
    iovec vectors[most_in_bundle];
    const int count =
        select_bundle(request, most_to_send(sending), vectors, most_in_bundle, Empty::is_skipped, &took_last);
    if (count < 0) return without_buffer(request);
    const int kept = keep_vectors(request, vectors, static_cast<unsigned>(count));
    sending.kept = kept == 0;
    return kept;
}

unsigned bundle_size(const Request& request) { return static_cast<unsigned>(message_of(request).header.msg_iovlen); }

void leave_bundle(Request& request) {
    auto& sending = request.as<Sending>();
    drop_message(request);
    sending.kept = false;
    sending.done = 0;
    request.clear(request_ends_itself);
}

void give_back(Request& request) {
    recycle_buffer(request);
    leave_bundle(request);
}

void commit_bundle(Request& request) { commit_buffer(request, message_of(request).length, bundle_size(request)); }

// Nothing more goes for now.
Outcome put_off(Request& request) {
    auto& sending = request.as<Sending>();
    commit_bundle(request);
    sending.waited = true;
    if (sending.done != 0) request.set(request_ends_itself);
    return request.has(request_nowait) ? complete_send(request, -EAGAIN, false) : request.wait(POLLOUT);
}

Outcome send_bundles(Request& request) {
    auto& sending = request.as<Sending>();
    for (;;) {
        bool took_last = false;
        const int taken = sending.kept ? 0 : take_bundle(request, took_last);
        if (taken < 0) return complete_send(request, taken);
        const long sent = send_rest_of_bundle(request);
        if (sent == -EAGAIN) return put_off(request);
        if (found_no_socket(sent)) {
            give_back(request);
        } else if (sent <= 0) {
            commit_bundle(request);
        }
        if (sent <= 0) return complete_send(request, sent, false);
        const uint32_t flags = consume_buffer(request, sent, bundle_size(request));
        leave_bundle(request);
        // A send that has waited for room is the last one, and so is one whose selection found no buffer behind it.
        if (sending.waited || took_last || !post_more(request, static_cast<int32_t>(sent), flags)) {
            request.cqe_flags = flags;
            return request.done(sent);
        }
        // How much is wanted is said of the first alone.
        sending.wanted = 0;
    }
}

}  // namespace

Outcome send_selected(Request& request) {
    request.clear(IOSQE_ASYNC);
    return request.as<Sending>().bundle ? send_bundles(request) : send_one(request);
}

}  // namespace ringside::engine
