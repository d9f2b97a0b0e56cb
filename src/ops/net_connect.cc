// IORING_OP_CONNECT
//
// The attempt begins without blocking, even on a blocking socket. When the socket is ready for writing, SO_ERROR has
// the result.
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
    bool in_progress;  // begun; it ends when the socket is writable
};

long call(Request& request) {
    return abi::syscall(__NR_connect, request.fd, request.memory, request.as<Connect>().length);
}

// connect(2) on a blocking socket waits for the other side. Other threads hardly use a socket that is not connected
// yet, so it may be made non-blocking during this call.
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

// The attempt that was begun may be over. If the socket has no error, connect(2) is called once more: that call ends
// the attempt.
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
    // The queue of a UNIX listener is full. No event reports that there is room again, so a worker has to block.
    return result == -EAGAIN ? Outcome::punt : request.done(result);
}

Outcome connect_work(Request& request) {
    const Outcome outcome = connect_issue(request);
    if (outcome != Outcome::punt) return outcome;
    const auto address = reinterpret_cast<long>(request.memory);
    return request.done(blocking_syscall(__NR_connect, request.fd, address, request.as<Connect>().length));
}

}  // namespace ringside::engine
