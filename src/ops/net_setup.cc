// IORING_OP_SOCKET, BIND, LISTEN, SHUTDOWN
//
// None of them blocks, so they are executed inline.
#include <errno.h>
#include <sys/socket.h>

#include "abi/syscall.h"
#include "ops/ops.h"
#include "ops/socket.h"
#include "resource/fixed_files.h"

namespace ringside::engine {
namespace {

constexpr int32_t type_bits = 0xf;

struct Socket {
    int32_t domain;
    int32_t type;  // with SOCK_CLOEXEC and SOCK_NONBLOCK
    int32_t protocol;
};

struct OneNumber {
    int32_t value;  // of BIND the length of the address, of LISTEN the backlog, of SHUTDOWN the direction
};

}  // namespace

int socket_prep(Request& request, const io_uring_sqe& sqe) {
    auto& socket = request.as<Socket>();
    socket = {sqe.fd, static_cast<int32_t>(sqe.off), static_cast<int32_t>(sqe.len)};
    const int32_t flags = socket.type & ~type_bits;
    if (sqe.file_index != 0 && (flags & SOCK_CLOEXEC)) return -EINVAL;
    if (flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK)) return -EINVAL;
    if (sqe.file_index == 0) return 0;
    // On its way to the slot the descriptor is the program's for a moment.
    socket.type |= SOCK_CLOEXEC;
    open_into_slot(request, sqe.file_index);
    return 0;
}

Outcome socket_issue(Request& request) {
    const auto& socket = request.as<Socket>();
    return request.done(abi::syscall(__NR_socket, socket.domain, socket.type, socket.protocol));
}

int bind_prep(Request& request, const io_uring_sqe& sqe) {
    request.as<OneNumber>().value = static_cast<int32_t>(sqe.addr2);
    return keep_address(request, sqe.addr, static_cast<int32_t>(sqe.addr2));
}

Outcome bind_issue(Request& request) {
    // In the kernel a worker binds a socket to a name in the file system.
    const auto* name = static_cast<const sockaddr*>(request.memory);
    if (request.as<OneNumber>().value >= 2 && name->sa_family == AF_UNIX) request.set(request_at_work);
    return request.done(abi::syscall(__NR_bind, request.fd, request.memory, request.as<OneNumber>().value));
}

int listen_prep(Request& request, const io_uring_sqe& sqe) {
    request.as<OneNumber>().value = static_cast<int32_t>(sqe.len);
    return 0;
}

Outcome listen_issue(Request& request) {
    return request.done(abi::syscall(__NR_listen, request.fd, request.as<OneNumber>().value));
}

int shutdown_prep(Request& request, const io_uring_sqe& sqe) {
    request.as<OneNumber>().value = static_cast<int32_t>(sqe.len);
    return 0;
}

Outcome shutdown_issue(Request& request) {
    const long result = abi::syscall(__NR_shutdown, request.fd, request.as<OneNumber>().value);
    // It was executed inline. In the kernel a worker executes it.
    request.set(request_at_work);
    // Only a file that is no socket severs a chain.
    return result == -ENOTSOCK || result == -EBADF ? request.done(result) : request.ended(result);
}

}  // namespace ringside::engine
