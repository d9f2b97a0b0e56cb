#include "fuzz/shapes.h"

#include "liburing/io_uring.h"

namespace ringside::fuzz {
namespace {

using enum Holds;

// What is not here takes a file, a buffer and an offset, or does not look at them.
constexpr Shape shapes[] = {
    {IORING_OP_NOP, Names::any, number, number, 0x3f},
    {IORING_OP_READV, Names::any, vectors, offset, 0x1f},
    {IORING_OP_WRITEV, Names::any, vectors, offset, 0x1f},
    {IORING_OP_READ, Names::any, buffer, offset, 0x1f},
    {IORING_OP_WRITE, Names::any, buffer, offset, 0x1f},
    {IORING_OP_READV_FIXED, Names::any, vectors},
    {IORING_OP_WRITEV_FIXED, Names::any, vectors},
    {IORING_OP_FSYNC, Names::any, number, number, 1},
    {IORING_OP_SYNC_FILE_RANGE, Names::any, number, number, 7},
    {IORING_OP_FALLOCATE, Names::any, number, number},
    {IORING_OP_POLL_ADD, Names::any, number, number, 0x201d},
    {IORING_OP_POLL_REMOVE, Names::any, user_data, user_data, 0x1d},
    {IORING_OP_SENDMSG, Names::socket, message, number, 0x4040, 0x2f},
    {IORING_OP_SENDMSG_ZC, Names::socket, message, number, 0x4040, 0x2f},
    {IORING_OP_RECVMSG, Names::socket, message, number, 0x142, 0x13},
    {IORING_OP_SEND, Names::socket, buffer, socket_address, 0x4040, 0x35},
    {IORING_OP_SEND_ZC, Names::socket, buffer, socket_address, 0x4040, 0x2d},
    {IORING_OP_RECV, Names::socket, buffer, number, 0x142, 0x17},
    {IORING_OP_TIMEOUT, Names::any, time, number, 0x6d},
    {IORING_OP_LINK_TIMEOUT, Names::any, time, number, 0xd},
    {IORING_OP_TIMEOUT_REMOVE, Names::any, user_data, time, 0x13},
    {IORING_OP_ASYNC_CANCEL, Names::any, user_data, number, 0x3f},
    {IORING_OP_ACCEPT, Names::socket, buffer, length, 0x80800, 7},
    {IORING_OP_CONNECT, Names::socket, socket_address, number},
    {IORING_OP_BIND, Names::socket, socket_address, number},
    {IORING_OP_LISTEN, Names::socket, number, number},
    {IORING_OP_SHUTDOWN, Names::socket, number, number},
    {IORING_OP_SOCKET, Names::domain, number, number},
    {IORING_OP_OPENAT, Names::directory, path, number, 0x80c42},
    {IORING_OP_OPENAT2, Names::directory, path, how},
    {IORING_OP_CLOSE, Names::any, number, number},
    {IORING_OP_STATX, Names::directory, path, buffer, 0x7900},
    {IORING_OP_RENAMEAT, Names::directory, path, path, 7},
    {IORING_OP_UNLINKAT, Names::directory, path, number, 0x200},
    {IORING_OP_MKDIRAT, Names::directory, path, number},
    {IORING_OP_SYMLINKAT, Names::directory, path, path},
    {IORING_OP_LINKAT, Names::directory, path, path, 0x1400},
    {IORING_OP_FSETXATTR, Names::any, path, buffer, 3, 0, path},
    {IORING_OP_SETXATTR, Names::any, path, buffer, 3, 0, path},
    {IORING_OP_FGETXATTR, Names::any, path, buffer, 0, 0, path},
    {IORING_OP_GETXATTR, Names::any, path, buffer, 0, 0, path},
    {IORING_OP_FADVISE, Names::any, number, number, 7},
    {IORING_OP_MADVISE, Names::any, buffer, number, 0x1f},
    {IORING_OP_FTRUNCATE, Names::any, number, number},
    {IORING_OP_EPOLL_CTL, Names::epoll, event, number},
    {IORING_OP_EPOLL_WAIT, Names::epoll, buffer, number},
    {IORING_OP_FILES_UPDATE, Names::any, descriptors, number},
    {IORING_OP_FIXED_FD_INSTALL, Names::any, number, number, 1},
    {IORING_OP_PROVIDE_BUFFERS, Names::count, buffer, number},
    {IORING_OP_REMOVE_BUFFERS, Names::count, number, number},
    {IORING_OP_MSG_RING, Names::ring, number, user_data, 3},
    {IORING_OP_WAITID, Names::any, number, buffer},
    {IORING_OP_FUTEX_WAIT, Names::futex_flags, word, number},
    {IORING_OP_FUTEX_WAKE, Names::futex_flags, word, number},
    {IORING_OP_FUTEX_WAITV, Names::any, futexes, number},
    {IORING_OP_SPLICE, Names::pipe, offset, offset, 0x7},
    {IORING_OP_TEE, Names::pipe, number, number, 0x3},
    {IORING_OP_URING_CMD, Names::socket, number, number, 1, 0, buffer},
    {IORING_OP_READ_MULTISHOT, Names::pipe, number, offset},
    {IORING_OP_PIPE, Names::any, length, number, 0x80800},
};

}  // namespace

Shape shape_of(uint8_t opcode) {
    for (const Shape& shape : shapes) {
        if (shape.opcode == opcode) return shape;
    }
    return {opcode};
}

}  // namespace ringside::fuzz
