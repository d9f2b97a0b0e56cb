// IORING_OP_ACCEPT
//
// accept4(2) has no flag that keeps it from waiting. On a listener that is non-blocking by itself it is called at
// once. On a blocking listener another thread may take the connection that poll(2) has reported, and then the call
// blocks. So a worker makes it, where blocking does no harm.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include "abi/syscall.h"
#include "ops/ops.h"
#include "ops/socket.h"
#include "os/fds.h"
#include "resource/fixed_files.h"
#include "service/path_face.h"
#include "service/workers.h"

namespace ringside::engine {
namespace {

struct Accept {
    uint64_t address;
    uint64_t address_length;
    int32_t flags;    // SOCK_*
    uint32_t slot;    // of a multishot request: IORING_FILE_INDEX_ALLOC, or 0
    long failed;      // what a worker brings back to a multishot request in place of a connection; -EAGAIN if nothing
    uint32_t rounds;  // connections taken since it last waited
};

constexpr uint32_t known_flags = IORING_ACCEPT_MULTISHOT | IORING_ACCEPT_DONTWAIT | IORING_ACCEPT_POLL_FIRST;

// After this many connections in one issue, the other requests have their turn.
constexpr uint32_t most_rounds = 32;

long call(Request& request, bool may_block) {
    const auto& accept = request.as<Accept>();
    // A descriptor on its way to a slot is in the program's table for a moment. Programs that it starts must not
    // inherit it.
    const long flags = accept.flags | (accept.slot != 0 || request.has(request_direct) ? SOCK_CLOEXEC : 0);
    const auto address = static_cast<long>(accept.address);
    const auto length = static_cast<long>(accept.address_length);
    return may_block ? blocking_syscall(__NR_accept4, request.fd, address, length, flags)
                     : abi::syscall(__NR_accept4, request.fd, address, length, flags);
}

bool is_listening(int fd) { return socket_option(fd, SO_ACCEPTCONN) > 0; }

// Only connection queues of the Internet protocols tell whether there are more.
uint32_t more_to_accept(int fd) {
    if (!is_ready_for(fd, POLLIN)) return 0;
    const int domain = socket_option(fd, SO_DOMAIN);
    return domain == AF_INET || domain == AF_INET6 ? IORING_CQE_F_SOCK_NONEMPTY : 0;
}

// Accepts without waiting: returns the result of accept4, or -EAGAIN. Sets `needs_thread` if only a worker may make the
// call.
long take(Request& request, bool& needs_thread) {
    const long status = abi::syscall(__NR_fcntl, request.fd, F_GETFL);
    if (status < 0) return status;
    if (!(status & O_NONBLOCK) && is_listening(request.fd)) {
        if (!is_ready_for(request.fd, POLLIN)) return -EAGAIN;
        needs_thread = true;
        return -EAGAIN;
    }
    long result;
    do result = call(request, false);
    while (result == -EINTR);
    return result;
}

Outcome complete(Request& request, long result) {
    request.cqe_flags = result >= 0 ? more_to_accept(request.fd) : 0;
    return request.done(result);
}

Outcome put_off(Request& request, bool needs_thread) {
    if (needs_thread) return Outcome::punt;
    return request.has(request_nowait) ? request.done(-EAGAIN) : request.wait(POLLIN);
}

long into_slot(Request& request, long fd) {
    const uint32_t slot = request.as<Accept>().slot;
    return slot == 0 || fd < 0 ? fd : install_direct(*request.ring, static_cast<int>(fd), slot, false);
}

// A worker hands a connection to its multishot request, which holds it until it posts the CQE. If the request is
// cancelled before, it is issued once more all the same, so that the connection is not lost.
void bring_back(Request& request, long result) {
    if (result < 0) {
        request.as<Accept>().failed = result;
    } else {
        request.second_fd = static_cast<int>(result);
        request.set(request_pinned_too | request_ends_itself);
    }
}

// The connection that a worker has accepted, or one that is there already.
long next_connection(Request& request, bool& needs_thread) {
    auto& accept = request.as<Accept>();
    if (request.has(request_pinned_too)) {
        request.clear(request_pinned_too | request_ends_itself);
        return request.second_fd;
    }
    const long failed = accept.failed;
    accept.failed = -EAGAIN;
    return failed != -EAGAIN ? failed : take(request, needs_thread);
}

// A multishot request's connections, until there are none for now.
Outcome take_all(Request& request) {
    auto& accept = request.as<Accept>();
    for (;;) {
        if (request.has(request_cancelled) && !request.has(request_pinned_too)) return request.done(-ECANCELED);
        bool needs_thread = false;
        long result = next_connection(request, needs_thread);
        if (result == -EAGAIN) {
            accept.rounds = 0;
            return put_off(request, needs_thread);
        }
        result = into_slot(request, result);
        if (result < 0) return request.done(result);
        const uint32_t more = more_to_accept(request.fd);
        if (!post_more(request, static_cast<int32_t>(result), more)) {
            request.cqe_flags = more;
            return request.done(result);
        }
        if (++accept.rounds < most_rounds) continue;
        accept.rounds = 0;
        return queue_as_waiting(request);
    }
}

}  // namespace

int accept_prep(Request& request, const io_uring_sqe& sqe) {
    auto& accept = request.as<Accept>();
    accept = {sqe.addr, sqe.addr2, static_cast<int32_t>(sqe.accept_flags), 0, -EAGAIN, 0};
    if (sqe.ioprio & ~known_flags) return -EINVAL;
    const bool multishot = sqe.ioprio & IORING_ACCEPT_MULTISHOT;
    if (sqe.file_index != 0) {
        if (sqe.accept_flags & SOCK_CLOEXEC) return -EINVAL;
        if (multishot && sqe.file_index != IORING_FILE_INDEX_ALLOC) return -EINVAL;
    }
    if (sqe.accept_flags & ~static_cast<uint32_t>(SOCK_CLOEXEC | SOCK_NONBLOCK)) return -EINVAL;
    if (multishot) {
        request.set(request_multishot);
        accept.slot = sqe.file_index;
    } else if (sqe.file_index != 0) {
        open_into_slot(request, sqe.file_index);
    }
    if (sqe.ioprio & IORING_ACCEPT_DONTWAIT) request.set(request_nowait);
    if (sqe.ioprio & IORING_ACCEPT_POLL_FIRST) request.set(request_poll_first);
    return 0;
}

Outcome accept_issue(Request& request) {
    if (request.has(request_poll_first)) return request.wait(POLLIN);
    if (request.has(request_multishot)) return take_all(request);
    bool needs_thread = false;
    const long result = take(request, needs_thread);
    return result == -EAGAIN ? put_off(request, needs_thread) : complete(request, result);
}

// Runs in a worker, because a connection is there or because of IOSQE_ASYNC.
Outcome accept_work(Request& request) {
    // If the file cannot be polled, the request ends before anything finds out that it is no socket.
    if (request.has(request_poll_first)) return request.wait(POLLIN);
    if (is_listening(request.fd) && !is_ready_for(request.fd, POLLIN)) return put_off(request, false);
    const long result = call(request, true);
    // The socket is a blocking one, so another thread took the connection: wait for the next.
    if (result == -EAGAIN && !request.has(request_nowait)) return request.wait(POLLIN);
    if (!request.has(request_multishot) || result == -EAGAIN) return complete(request, result);
    bring_back(request, result);
    // IOSQE_ASYNC has had its effect. If it stayed set, the next issue would wait again before it posts this
    // connection.
    request.clear(IOSQE_ASYNC | request_poll_first);
    return Outcome::queued;
}

}  // namespace ringside::engine
