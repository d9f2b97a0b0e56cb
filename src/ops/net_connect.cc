// IORING_OP_CONNECT
//
// A connection is begun without waiting for it, whether the socket is a blocking one or not; when the socket is ready
// for writing, its error says what became of it.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include "abi/syscall.h"
#include "ops/ops.h"
#include "ops/socket.h"
#include "service/workers.h"

namespace ringside::engine {
namespace {

struct Connect {
    int32_t length;    // of the address, which stands in the request's memory
    bool in_progress;  // begun; readiness tells the end
};

long call(Request& request) {
    return abi::syscall(__NR_connect, request.fd, request.memory, request.as<Connect>().length);
}

// connect(2) on a blocking socket waits for the other side. A socket that is not connected yet is hardly used by
// others, so it may be non-blocking for as long as this call takes.
long begin(Request& request) {
    const long status = abi::syscall(__NR_fcntl, request.fd, F_GETFL);
    if (status < 0) return status;
    const bool blocks = !(status & O_NONBLOCK);
    if (blocks) abi::syscall(__NR_fcntl, request.fd, F_SETFL, status | O_NONBLOCK);
    long result = call(request);
    // The error of an earlier attempt is reported once, and is gone then.
    if (result == -ECONNABORTED) result = call(request);
    if (blocks) abi::syscall(__NR_fcntl, request.fd, F_SETFL, status);
    return result;
}

// The attempt that was begun may be over. A socket that has no error is asked once more, which is what ends its
// attempt.
Outcome end(Request& request) {
    if (!is_ready_for(request.fd, POLLOUT)) return request.wait(POLLOUT);
    const int error = socket_option(request.fd, SO_ERROR);
    if (error != 0) return request.done(error > 0 ? -error : error);
    const long result = begin(request);
    if (result == -EALREADY || result == -EINPROGRESS) return request.wait(POLLOUT);
    return request.done(result == -EISCONN || result == -EBADFD ? 0 : result);
}

}  // namespace

int connect_prep(Request& request, const io_uring_sqe& sqe) {
    auto& connect = request.as<Connect>();
    connect = {static_cast<int32_t>(sqe.addr2), false};
    return keep_address(request, sqe.addr, connect.length);
}

Outcome connect_issue(Request& request) {
    auto& connect = request.as<Connect>();
    if (connect.in_progress) return end(request);
    const long result = begin(request);
    if (request.has(request_nowait)) return request.done(result);
    if (result == -EINPROGRESS) {
        connect.in_progress = true;
        return request.wait(POLLOUT);
    }
    // The queue of a UNIX listener is full. Nothing tells when it is not; only a thread can wait for that.
    return result == -EAGAIN ? Outcome::punt : request.done(result);
}

Outcome connect_work(Request& request) {
    const Outcome outcome = connect_issue(request);
    if (outcome != Outcome::punt) return outcome;
    const auto address = reinterpret_cast<long>(request.memory);
    return request.done(blocking_syscall(__NR_connect, request.fd, address, request.as<Connect>().length));
}

}  // namespace ringside::engine
