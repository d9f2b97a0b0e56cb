// IORING_OP_URING_CMD: the commands of sockets. Other files with commands are devices (NVMe, ublk, FUSE) and need the
// kernel. For them this file gives the answer of a file that has no commands.
#include <errno.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "abi/syscall.h"
#include "memory/user_memory.h"
#include "ops/net_timestamp.h"
#include "ops/ops.h"
#include "ops/socket.h"
#include "os/fds.h"
#include "state/ring.h"

namespace ringside::engine {
namespace {

struct Command {
    uint32_t operation;  // SOCKET_URING_OP_*
    uint32_t level;      // of a socket option
    uint32_t option;
    int32_t length;    // of its value; of GETSOCKNAME whether the other side's is wanted
    uint64_t value;    // address of the value; of GETSOCKNAME of the length
    uint64_t address;  // of GETSOCKNAME of the name
};

// Queue lengths are known of the Internet protocols; the other families answer ioctl(2) only.
long queue_length(const Request& request, unsigned long which) {
    const int domain = socket_option(request.fd, SO_DOMAIN);
    if (domain != AF_INET && domain != AF_INET6) return -EOPNOTSUPP;
    int length = 0;
    const long result = abi::syscall(__NR_ioctl, request.fd, which, &length);
    return result < 0 ? result : length;
}

long get_option(const Request& request, const Command& command) {
    if (command.level != SOL_SOCKET) return -EOPNOTSUPP;
    auto length = static_cast<socklen_t>(command.length);
    const long result =
        abi::syscall(__NR_getsockopt, request.fd, command.level, command.option, command.value, &length);
    return result < 0 ? result : static_cast<long>(length);
}

long get_name(const Request& request, const Command& command) {
    if (command.length != 0 && command.length != 1) return -EINVAL;
    const long call = command.length != 0 ? __NR_getpeername : __NR_getsockname;
    return abi::syscall(call, request.fd, command.address, command.value);
}

long do_command(const Request& request, const Command& command) {
    switch (command.operation) {
        case SOCKET_URING_OP_SIOCINQ:
            return queue_length(request, FIONREAD);
        case SOCKET_URING_OP_SIOCOUTQ:
            return queue_length(request, TIOCOUTQ);
        case SOCKET_URING_OP_GETSOCKOPT:
            return get_option(request, command);
        case SOCKET_URING_OP_SETSOCKOPT:
            return abi::syscall(__NR_setsockopt, request.fd, command.level, command.option, command.value,
                                command.length);
        case SOCKET_URING_OP_GETSOCKNAME:
            return get_name(request, command);
        default:
            return -EOPNOTSUPP;
    }
}

// The kernel finds out before io-wq that a file takes no commands, so the request does not count as a worker's.
Outcome refuse(Request& request) {
    request.clear(request_at_work);
    return request.done(-EOPNOTSUPP);
}

// /dev/null takes any command.
bool is_null_device(int fd) {
    struct stat status;
    return file_status(fd, status) == 0 && S_ISCHR(status.st_mode) && status.st_rdev == makedev(1, 3);
}

}  // namespace

int uring_cmd_prep(Request& request, const io_uring_sqe& sqe) {
    if (sqe.__pad1 != 0 || (sqe.uring_cmd_flags & ~IORING_URING_CMD_MASK)) return -EINVAL;
    const bool multishot = sqe.uring_cmd_flags & IORING_URING_CMD_MULTISHOT;
    if (multishot && (sqe.uring_cmd_flags & IORING_URING_CMD_FIXED)) return -EINVAL;
    if (multishot != request.has(IOSQE_BUFFER_SELECT)) return -EINVAL;
    request.as<Command>() = {sqe.cmd_op, sqe.level, sqe.optname, static_cast<int32_t>(sqe.optlen),
                             sqe.optval, sqe.addr};
    return 0;
}

Outcome uring_cmd_issue(Request& request) {
    const int type = socket_option(request.fd, SO_TYPE);
    if (type == -EBADF) return request.done(type);
    // No file of ours polls for the completion of commands.
    if (request.ring->setup_flags & IORING_SETUP_IOPOLL) return refuse(request);
    if (type >= 0) {
        const auto& command = request.as<Command>();
        if (command.operation == SOCKET_URING_OP_TX_TIMESTAMP) return timestamp_issue(request);
        return request.done(do_command(request, command));
    }
    if (type != -ENOTSOCK) return request.done(type);
    return is_null_device(request.fd) ? request.done(0) : refuse(request);
}

}  // namespace ringside::engine
