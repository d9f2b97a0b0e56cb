// Entries for the operations on sockets, and sockets to use them on.
#pragma once

#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <string>

#include "support/eventually.h"
#include "support/files.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace sqe {

inline Sqe send(int fd, const void* buffer, size_t length, int flags = 0) {
    return transfer(IORING_OP_SEND, fd, buffer, static_cast<uint32_t>(length), 0).set(&Sqe::msg_flags, flags);
}
inline Sqe recv(int fd, void* buffer, size_t length, int flags = 0) {
    return transfer(IORING_OP_RECV, fd, buffer, static_cast<uint32_t>(length), 0).set(&Sqe::msg_flags, flags);
}
inline Sqe sendmsg(int fd, const msghdr* message, int flags = 0) {
    return transfer(IORING_OP_SENDMSG, fd, message, 1, 0).set(&Sqe::msg_flags, flags);
}
inline Sqe recvmsg(int fd, msghdr* message, int flags = 0) {
    return transfer(IORING_OP_RECVMSG, fd, message, 1, 0).set(&Sqe::msg_flags, flags);
}
inline Sqe sendto(int fd, const void* buffer, size_t length, const void* address, uint16_t address_length) {
    return send(fd, buffer, length).set(&Sqe::addr2, address_of(address)).set(&Sqe::addr_len, address_length);
}
inline Sqe send_zc(int fd, const void* buffer, size_t length, int flags = 0) {
    return send(fd, buffer, length, flags).set(&Sqe::opcode, IORING_OP_SEND_ZC);
}

inline Sqe accept(int fd, sockaddr* address = nullptr, socklen_t* length = nullptr, uint32_t flags = 0) {
    return transfer(IORING_OP_ACCEPT, fd, address, 0, address_of(length)).set(&Sqe::accept_flags, flags);
}
inline Sqe connect(int fd, const void* address, socklen_t length) {
    return transfer(IORING_OP_CONNECT, fd, address, 0, length);
}
inline Sqe bind(int fd, const void* address, socklen_t length) {
    return transfer(IORING_OP_BIND, fd, address, 0, length);
}
inline Sqe listen(int fd, int backlog) { return Sqe(IORING_OP_LISTEN, fd).set(&Sqe::len, backlog); }
inline Sqe shutdown(int fd, int how) { return Sqe(IORING_OP_SHUTDOWN, fd).set(&Sqe::len, how); }
inline Sqe socket(int domain, int type, int protocol = 0) {
    return transfer(IORING_OP_SOCKET, domain, nullptr, static_cast<uint32_t>(protocol), static_cast<uint64_t>(type));
}

inline Sqe epoll_ctl(int set, int operation, int fd, const epoll_event* event) {
    return transfer(IORING_OP_EPOLL_CTL, set, event, static_cast<uint32_t>(operation), static_cast<uint64_t>(fd));
}
inline Sqe epoll_wait(int set, epoll_event* events, int most) {
    return transfer(IORING_OP_EPOLL_WAIT, set, events, static_cast<uint32_t>(most), 0);
}

}  // namespace sqe

// A socket bound to a port of its own on loopback; a stream socket listens.
class Local {
  public:
    explicit Local(int type_and_flags, int backlog = 64) : fd(::socket(AF_INET, type_and_flags | SOCK_CLOEXEC, 0)) {
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        EXPECT_EQ(::bind(fd, generic(), sizeof(address)), 0);
        socklen_t size = sizeof(address);
        EXPECT_EQ(::getsockname(fd, generic(), &size), 0);
        if (type_and_flags & SOCK_STREAM) {
            EXPECT_EQ(::listen(fd, backlog), 0);
        }
    }

    const sockaddr* generic() const { return reinterpret_cast<const sockaddr*>(&address); }
    sockaddr* generic() { return reinterpret_cast<sockaddr*>(&address); }

    // A plain client that is connected to it.
    Fd client() const {
        Fd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        EXPECT_EQ(::connect(client, generic(), sizeof(address)), 0);
        return client;
    }

    sockaddr_in address = {};
    Fd fd;
};

// What the other end has said is received, which may take another thread's turn.
inline void expect_taken(int fd) {
    EXPECT_TRUE(eventually([fd] {
        int left = 1;
        return ioctl(fd, FIONREAD, &left) == 0 && left == 0;
    }));
}

// The pairs of connected sockets that most tests are made on.
struct SocketPair {
    const char* name;
    Ends (*make)();
    bool stream;  // bytes without boundaries
};
inline constexpr SocketPair socket_pairs[] = {
    {"UNIX stream", [] { return unix_pair(SOCK_STREAM); }, true},
    {"UNIX stream, non-blocking", [] { return unix_pair(SOCK_STREAM | SOCK_NONBLOCK); }, true},
    {"UNIX datagram", [] { return unix_pair(SOCK_DGRAM); }, false},
    {"UNIX seqpacket", [] { return unix_pair(SOCK_SEQPACKET); }, false},
    {"TCP", tcp_pair, true},
};

// Fills what a stream socket can hold on its way; returns how many bytes that were.
inline size_t fill(int fd) {
    const std::string block(1 << 16, 'f');
    size_t total = 0;
    for (ssize_t sent; (sent = ::send(fd, block.data(), block.size(), MSG_DONTWAIT)) > 0;)
        total += static_cast<size_t>(sent);
    return total;
}

// Reads what is there.
inline size_t drain(int fd) {
    std::string block(1 << 16, ' ');
    size_t total = 0;
    for (ssize_t got; (got = ::recv(fd, block.data(), block.size(), MSG_DONTWAIT)) > 0;)
        total += static_cast<size_t>(got);
    return total;
}

// Reads until so many bytes have come, without ever blocking: the sender may need this thread to go on.
inline std::string receive_all(int fd, size_t bytes) {
    std::string arrived;
    std::string block(1 << 18, ' ');
    EXPECT_TRUE(eventually([&] {
        ssize_t got;
        while ((got = ::recv(fd, block.data(), block.size(), MSG_DONTWAIT)) > 0) {
            arrived.append(block, 0, static_cast<size_t>(got));
        }
        return arrived.size() >= bytes;
    }));
    return arrived;
}

}  // namespace ringside::test
