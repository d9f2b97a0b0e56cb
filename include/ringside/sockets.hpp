// More operations on sockets. What holds for all operations stands in operations.hpp; the man page of the system call
// of that name has the errors.
#pragma once

#include <sys/socket.h>

#include <span>

#include "ringside/operations.hpp"

namespace ringside {

// What became of a send that shall not copy.
struct ZeroCopySent {
    size_t size;  // bytes
    bool copied;  // by the kernel nevertheless, as it does on loopback; or by the engine, which always does
};

// A send which the task waits for until nobody uses the buffer any more. The ring says that by a second CQE, later than
// the first, which has the result.
class [[nodiscard]] ZeroCopySend : public detail::Request {
  public:
    template <std::invocable<io_uring_sqe*> Prepare>
    explicit ZeroCopySend(Prepare prepare) noexcept {
        prepare(&sqe_);
        sqe_.ioprio |= IORING_SEND_ZC_REPORT_USAGE;
        more_ = first_cqe;
    }

    Result<ZeroCopySent> await_resume() noexcept {
        const bool notified = (cqe_flags_ & IORING_CQE_F_NOTIF) != 0;
        const int result = notified ? sent_ : result_;
        if (result < 0) return Errno{-result};
        const bool copied = notified && (static_cast<unsigned>(result_) & IORING_NOTIF_USAGE_ZC_COPIED) != 0;
        return ZeroCopySent{static_cast<size_t>(result), copied};
    }

  private:
    // What is left is the peer's to end; a cancel would find nothing.
    static void first_cqe(Request& request, int result, unsigned flags) noexcept {
        (void)flags;
        static_cast<ZeroCopySend&>(request).sent_ = result;
        request.unlink();
    }

    int sent_ = 0;
};

namespace async {

// --- Messages. The msghdr, and all that it points to, has to live until the operation has ended.
// ---------------------------

// Receives a message; `flags` are MSG_.... Yields how many bytes; the rest is in *message. recvmsg(2).
inline Operation<size_t> recvmsg(FdRef fd, msghdr* message, unsigned flags = 0) noexcept {
    return Operation<size_t>([&](io_uring_sqe* sqe) { io_uring_prep_recvmsg(sqe, fd.get(), message, flags); });
}

// Sends a message. Yields how many bytes. sendmsg(2).
inline Operation<size_t> sendmsg(FdRef fd, const msghdr* message, unsigned flags = MSG_NOSIGNAL) noexcept {
    return Operation<size_t>([&](io_uring_sqe* sqe) { io_uring_prep_sendmsg(sqe, fd.get(), message, flags); });
}

// Sends to an address. Yields how many bytes. sendto(2).
inline Operation<size_t> sendto(FdRef fd, std::span<const std::byte> buffer, const sockaddr* address, socklen_t size,
                                int flags = MSG_NOSIGNAL) noexcept {
    return Operation<size_t>([&](io_uring_sqe* sqe) {
        io_uring_prep_sendto(sqe, fd.get(), buffer.data(), detail::transfer_length(buffer.size()), flags, address,
                             size);
    });
}

// Sends without copying: the pages of the buffer go to the network. Yields how many bytes, when the buffer is free
// again; for TCP that is when the peer has acknowledged them, so that many of these should be under way at once. A stop
// after the bytes were taken does not shorten that.
inline ZeroCopySend send_zc(FdRef fd, std::span<const std::byte> buffer, int flags = MSG_NOSIGNAL) noexcept {
    return ZeroCopySend([&](io_uring_sqe* sqe) {
        io_uring_prep_send_zc(sqe, fd.get(), buffer.data(), detail::transfer_length(buffer.size()), flags, 0);
    });
}
inline ZeroCopySend sendmsg_zc(FdRef fd, const msghdr* message, unsigned flags = MSG_NOSIGNAL) noexcept {
    return ZeroCopySend([&](io_uring_sqe* sqe) { io_uring_prep_sendmsg_zc(sqe, fd.get(), message, flags); });
}

// --- The life of a socket
// --------------------------------------------------------------------------------------------------

// Makes a socket; `type` is SOCK_..., to which SOCK_CLOEXEC is added. socket(2).
inline Operation<Descriptor> socket(int domain, int type, int protocol = 0) noexcept {
    return Operation<Descriptor>(
        [&](io_uring_sqe* sqe) { io_uring_prep_socket(sqe, domain, type | SOCK_CLOEXEC, protocol, 0); });
}

// Gives a socket an address. bind(2). Linux 6.11; EINVAL before.
inline Operation<void> bind(FdRef fd, const sockaddr* address, socklen_t size) noexcept {
    return Operation<void>([&](io_uring_sqe* sqe) { io_uring_prep_bind(sqe, fd.get(), address, size); });
}

// Makes a socket one that accepts connections, of which `backlog` may wait. listen(2). Linux 6.11; EINVAL before.
inline Operation<void> listen(FdRef fd, int backlog = SOMAXCONN) noexcept {
    return Operation<void>([&](io_uring_sqe* sqe) { io_uring_prep_listen(sqe, fd.get(), backlog); });
}

// Ends one direction, or both: SHUT_RD, SHUT_WR or SHUT_RDWR. shutdown(2).
inline Operation<void> shutdown(FdRef fd, int how) noexcept {
    return Operation<void>([&](io_uring_sqe* sqe) { io_uring_prep_shutdown(sqe, fd.get(), how); });
}

// Reads an option of a socket into `value`. Yields its length in bytes. getsockopt(2); Linux has it for SOL_SOCKET
// alone.
inline Operation<size_t> getsockopt(FdRef fd, int level, int option, std::span<std::byte> value) noexcept {
    return Operation<size_t>([&](io_uring_sqe* sqe) {
        io_uring_prep_cmd_sock(sqe, SOCKET_URING_OP_GETSOCKOPT, fd.get(), level, option, value.data(),
                               static_cast<int>(value.size()));
    });
}

// Sets an option of a socket. The value is read from `value`, which has to live as a buffer does. setsockopt(2).
inline Operation<void> setsockopt(FdRef fd, int level, int option, std::span<const std::byte> value) noexcept {
    return Operation<void>([&](io_uring_sqe* sqe) {
        io_uring_prep_cmd_sock(sqe, SOCKET_URING_OP_SETSOCKOPT, fd.get(), level, option,
                               const_cast<std::byte*>(value.data()), static_cast<int>(value.size()));
    });
}

}  // namespace async

}  // namespace ringside
