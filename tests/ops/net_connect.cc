// SOCKET, BIND, LISTEN, CONNECT, SHUTDOWN
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "ops/net_sqe.h"
#include "register/fixed_files.h"
#include "support/eventually.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

constexpr int client_kinds[] = {SOCK_STREAM, SOCK_STREAM | SOCK_NONBLOCK};

Fd tcp_socket(int kind) { return Fd(::socket(AF_INET, kind | SOCK_CLOEXEC, 0)); }

// An address at which nobody listens, nor will: its port stays taken, by a socket that does nothing else.
struct Deserted {
    Deserted() : holder(tcp_socket(SOCK_STREAM)) {
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        EXPECT_EQ(::bind(holder, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
        socklen_t size = sizeof(address);
        EXPECT_EQ(::getsockname(holder, reinterpret_cast<sockaddr*>(&address), &size), 0);
    }
    Fd holder;
    sockaddr_in address = {};
};

struct UnixAddress {
    explicit UnixAddress(const char* name) {
        const int count =
            snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "ringside-%s-%d", name, getpid());
        length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + static_cast<size_t>(count));
    }
    const sockaddr* generic() const { return reinterpret_cast<const sockaddr*>(&address); }
    sockaddr_un address = {AF_UNIX, {}};
    socklen_t length;
};

TEST(Socket, makes_one_as_socket_does) {
    RawRing ring;
    const Fd fd(ring.run(sqe::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP)).res);
    ASSERT_GE(fd, 0);
    int type = 0;
    socklen_t size = sizeof(type);
    EXPECT_EQ(getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size), 0);
    EXPECT_EQ(type, SOCK_DGRAM);
    EXPECT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    EXPECT_TRUE(fcntl(fd, F_GETFL) & O_NONBLOCK);
    const Fd plain(ring.run(sqe::socket(AF_UNIX, SOCK_STREAM)).res);
    EXPECT_EQ(fcntl(plain, F_GETFD), 0);
    EXPECT_FALSE(fcntl(plain, F_GETFL) & O_NONBLOCK);
}

TEST(Socket, refuses_what_socket_refuses) {
    RawRing ring;
    EXPECT_THAT(ring.run(sqe::socket(99, SOCK_STREAM)), Gives(-EAFNOSUPPORT));
    EXPECT_THAT(ring.run(sqe::socket(AF_INET, SOCK_STREAM, 9999)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::socket(AF_INET, 15)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::socket(AF_INET, SOCK_STREAM | 0x100)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::socket(AF_INET, SOCK_STREAM).set(&Sqe::rw_flags, 1)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::socket(AF_INET, SOCK_STREAM).set(&Sqe::addr, 1)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::socket(AF_INET, SOCK_STREAM).set(&Sqe::file_index, 1)), Gives(-ENXIO));
    EXPECT_THAT(ring.run(sqe::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC).set(&Sqe::file_index, 1)), Gives(-EINVAL));
}

// A server and a client without a descriptor, nor any system call but the ring's.
TEST(Socket, that_finds_no_slot_severs_no_chain) {
    const auto check = [](RawRing& ring, uint32_t slot, int error) {
        EXPECT_THAT(
            ring.submit(sqe::socket(AF_UNIX, SOCK_STREAM).set(&Sqe::file_index, slot).data(1).flag(IOSQE_IO_LINK),
                        sqe::nop().data(2)),
            Gives(2));
        EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, error), Completes(2, 0)));
    };
    RawRing ring;
    check(ring, 1, -ENXIO);
    check(ring, IORING_FILE_INDEX_ALLOC, -ENFILE);
    register_sparse(ring, 1);
    check(ring, 2, -EINVAL);
    check(ring, 1, 0);
    check(ring, IORING_FILE_INDEX_ALLOC, -ENFILE);
    // One that cannot be made does.
    EXPECT_THAT(ring.submit(sqe::socket(77, SOCK_STREAM).set(&Sqe::file_index, 1).data(1).flag(IOSQE_IO_LINK),
                            sqe::nop().data(2)),
                Gives(2));
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, -EAFNOSUPPORT), Completes(2, -ECANCELED)));
}

TEST(Socket, in_slots_can_be_used_for_everything) {
    RawRing ring;
    io_uring_rsrc_register table = {};
    table.nr = 3;
    table.flags = IORING_RSRC_REGISTER_SPARSE;
    ASSERT_EQ(ring.register_call(IORING_REGISTER_FILES2, &table, sizeof(table)), 0);
    const UnixAddress address("slots");
    const auto fixed = [&](Sqe entry) { return ring.run(entry.flag(IOSQE_FIXED_FILE)); };
    EXPECT_THAT(ring.run(sqe::socket(AF_UNIX, SOCK_STREAM).set(&Sqe::file_index, 1)), Gives(0));
    EXPECT_THAT(ring.run(sqe::socket(AF_UNIX, SOCK_STREAM).set(&Sqe::file_index, IORING_FILE_INDEX_ALLOC)), Gives(1));
    EXPECT_THAT(fixed(sqe::bind(0, &address.address, address.length)), Gives(0));
    EXPECT_THAT(fixed(sqe::listen(0, 4)), Gives(0));
    EXPECT_THAT(fixed(sqe::connect(1, &address.address, address.length)), Gives(0));
    EXPECT_THAT(fixed(sqe::accept(0).set(&Sqe::file_index, 3)), Gives(0));
    EXPECT_THAT(fixed(sqe::send(1, "hello", 5)), Gives(5));
    char buffer[8] = {};
    EXPECT_THAT(fixed(sqe::recv(2, buffer, 8)), Gives(5));
    EXPECT_STREQ(buffer, "hello");
    EXPECT_THAT(fixed(sqe::shutdown(1, SHUT_WR)), Gives(0));
    EXPECT_THAT(fixed(sqe::recv(2, buffer, 8)), Gives(0));
}

TEST(Bind, and_listen_make_a_server) {
    RawRing ring;
    const Fd server = tcp_socket(SOCK_STREAM);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_THAT(ring.submit(sqe::bind(server, &address, sizeof(address)).data(1).flag(IOSQE_IO_LINK),
                            sqe::listen(server, 4).data(2)),
                Gives(2));
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, 0), Completes(2, 0)));
    socklen_t size = sizeof(address);
    EXPECT_EQ(getsockname(server, reinterpret_cast<sockaddr*>(&address), &size), 0);
    const Fd client = tcp_socket(SOCK_STREAM);
    EXPECT_EQ(::connect(client, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_THAT(ring.run(sqe::bind(server, &address, size)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::bind(tcp_socket(SOCK_STREAM), &address, size)), Gives(-EADDRINUSE));
}

TEST(Bind, and_listen_refuse_fields_that_they_do_not_use) {
    RawRing ring;
    const Fd fd = tcp_socket(SOCK_STREAM);
    const Deserted nobody;
    const sockaddr_in& address = nobody.address;
    const Sqe bind = sqe::bind(fd, &address, sizeof(address)), listen = sqe::listen(fd, 1);
    for (const Sqe& bad :
         {Sqe(bind).set(&Sqe::len, 1), Sqe(bind).set(&Sqe::rw_flags, 1), Sqe(bind).set(&Sqe::buf_index, 1),
          Sqe(bind).set(&Sqe::splice_fd_in, 1), Sqe(listen).set(&Sqe::addr, 1), Sqe(listen).set(&Sqe::off, 1),
          Sqe(listen).set(&Sqe::rw_flags, 1), Sqe(listen).set(&Sqe::splice_fd_in, 1)}) {
        EXPECT_THAT(ring.run(bad), Gives(-EINVAL));
    }
}

TEST(Shutdown, ends_one_direction) {
    RawRing ring;
    const Ends ends = tcp_pair();
    EXPECT_THAT(ring.run(sqe::shutdown(ends.near, SHUT_WR)), Gives(0));
    char byte;
    EXPECT_EQ(::recv(ends.far, &byte, 1, 0), 0);
    EXPECT_EQ(::send(ends.far, "x", 1, 0), 1);
    EXPECT_EQ(::recv(ends.near, &byte, 1, 0), 1);
    EXPECT_THAT(ring.run(sqe::shutdown(ends.near, 99)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::shutdown(tcp_socket(SOCK_STREAM), SHUT_RDWR)), Gives(-ENOTCONN));
    const Sqe good = sqe::shutdown(ends.near, SHUT_RD);
    for (const Sqe& bad : {Sqe(good).set(&Sqe::addr, 1), Sqe(good).set(&Sqe::off, 1), Sqe(good).set(&Sqe::rw_flags, 1),
                           Sqe(good).set(&Sqe::buf_index, 1), Sqe(good).set(&Sqe::splice_fd_in, 1)}) {
        EXPECT_THAT(ring.run(bad), Gives(-EINVAL));
    }
}

TEST(Connect, reaches_a_listener) {
    for (const int kind : client_kinds) {
        for (const unsigned flag : {0U, IOSQE_ASYNC, IOSQE_IO_LINK}) {
            RawRing ring;
            const Local listener(SOCK_STREAM);
            const Fd client = tcp_socket(kind);
            const int result =
                ring.run(sqe::connect(client, &listener.address, sizeof(listener.address)).flag(flag)).res;
            if ((kind & SOCK_NONBLOCK) && flag != 0) {
                // A worker of the kernel's may take a non-blocking socket's own word for it that this takes a while.
                EXPECT_THAT(result, testing::AnyOf(0, -EINPROGRESS));
                pollfd writable = {client, POLLOUT, 0};
                EXPECT_EQ(::poll(&writable, 1, static_cast<int>(patience_ms)), 1);
                ::connect(client, listener.generic(), sizeof(listener.address));
            } else {
                EXPECT_EQ(result, 0);
            }
            EXPECT_EQ(bool(fcntl(client, F_GETFL) & O_NONBLOCK), bool(kind & SOCK_NONBLOCK));
            const Fd server(::accept(listener.fd, nullptr, nullptr));
            EXPECT_EQ(::send(client, "x", 1, 0), 1);
            char byte;
            EXPECT_EQ(::recv(server, &byte, 1, 0), 1);
            EXPECT_THAT(ring.run(sqe::connect(client, &listener.address, sizeof(listener.address))), Gives(-EISCONN));
        }
    }
}

TEST(Connect, that_is_refused_can_be_tried_again) {
    for (const int kind : client_kinds) {
        RawRing ring;
        const Deserted nobody;
        const Local listener(SOCK_STREAM);
        const Fd client = tcp_socket(kind);
        for (int round = 0; round < 2; ++round) {
            EXPECT_THAT(ring.run(sqe::connect(client, &nobody.address, sizeof(nobody.address))), Gives(-ECONNREFUSED));
        }
        EXPECT_THAT(ring.run(sqe::connect(client, "\1\0unix address..", 16)), Gives(-EAFNOSUPPORT));
        EXPECT_THAT(ring.run(sqe::connect(client, &listener.address, sizeof(listener.address))), Gives(0));
    }
}

TEST(Connect, severs_a_chain_when_it_fails) {
    RawRing ring;
    const Deserted nobody;
    const Fd client = tcp_socket(SOCK_STREAM);
    EXPECT_THAT(ring.submit(sqe::connect(client, &nobody.address, sizeof(nobody.address)).data(1).flag(IOSQE_IO_LINK),
                            sqe::send(client, "x", 1).data(2)),
                Gives(2));
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, -ECONNREFUSED), Completes(2, -ECANCELED)));
}

TEST(Connect, then_send_is_a_chain) {
    RawRing ring;
    const Local listener(SOCK_STREAM);
    const Fd client = tcp_socket(SOCK_STREAM);
    EXPECT_THAT(
        ring.submit(sqe::connect(client, &listener.address, sizeof(listener.address)).data(1).flag(IOSQE_IO_LINK),
                    sqe::send(client, "hello", 5).data(2)),
        Gives(2));
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, 0), Completes(2, 5)));
}

TEST(Connect, checks_its_address_when_it_is_submitted) {
    const ForbiddenPage page;
    const Fd client = tcp_socket(SOCK_STREAM);
    char address[200] = {};
    struct Case {
        const void* address;
        int length;
        int result;
    };
    for (const Case& bad :
         {Case{page.address(), 16, -EFAULT}, Case{address, 129, -EINVAL}, Case{address, -1, -EINVAL}}) {
        for (const bool connects : {true, false}) {
            RawRing ring;
            const auto length = static_cast<socklen_t>(bad.length);
            const Sqe entry =
                connects ? sqe::connect(client, bad.address, length) : sqe::bind(client, bad.address, length);
            EXPECT_THAT(ring.submit(Sqe(entry).data(1), sqe::nop()), Gives(1));
            EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, bad.result)));
        }
    }
}

TEST(Connect, takes_the_address_when_it_is_submitted) {
    RawRing ring;
    const Local listener(SOCK_STREAM);
    const Ends ends = unix_pair(SOCK_STREAM);
    const Fd client = tcp_socket(SOCK_STREAM);
    sockaddr_in address = listener.address;
    char byte;
    EXPECT_THAT(ring.submit(sqe::recv(ends.far, &byte, 1).data(1).flag(IOSQE_IO_LINK),
                            sqe::connect(client, &address, sizeof(address)).data(2)),
                Gives(2));
    memset(&address, 0xff, sizeof(address));
    EXPECT_EQ(::send(ends.near, "x", 1, 0), 1);
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, 1), Completes(2, 0)));
}

// A listener whose queue is full does not answer: a connection attempt goes on.
struct FullListener {
    FullListener() : listener(SOCK_STREAM, 0) {
        while (fillers.size() < 16) {
            fillers.push_back(tcp_socket(SOCK_STREAM | SOCK_NONBLOCK));
            if (::connect(fillers.back(), listener.generic(), sizeof(listener.address)) == 0) continue;
            sleep_ms(2);
            int error = 0;
            socklen_t size = sizeof(error);
            sockaddr_in peer;
            socklen_t peer_size = sizeof(peer);
            getsockopt(fillers.back(), SOL_SOCKET, SO_ERROR, &error, &size);
            if (getpeername(fillers.back(), reinterpret_cast<sockaddr*>(&peer), &peer_size) != 0) break;
        }
    }
    Local listener;
    std::vector<Fd> fillers;
};

TEST(Connect, that_is_under_way_can_be_cancelled) {
    for (const int kind : client_kinds) {
        for (const unsigned flag : {0U, IOSQE_ASYNC}) {
            RawRing ring;
            const FullListener full;
            const Fd client = tcp_socket(kind);
            EXPECT_THAT(
                ring.submit(
                    sqe::connect(client, &full.listener.address, sizeof(full.listener.address)).data(1).flag(flag),
                    sqe::nop().data(2)),
                Gives(2));
            EXPECT_THAT(ring.wait(1), ElementsAre(Completes(2, 0)));
            EXPECT_THAT(ring.linger(5), IsEmpty());
            EXPECT_THAT(ring.submit(sqe::cancel(1).data(3)), Gives(1));
            EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, -ECANCELED), Completes(3, 0)));
        }
    }
}

TEST(Connect, that_is_under_way_completes_when_the_listener_has_room) {
    RawRing ring;
    const FullListener full;
    const Fd client = tcp_socket(SOCK_STREAM);
    EXPECT_THAT(ring.submit(sqe::connect(client, &full.listener.address, sizeof(full.listener.address)).data(1)),
                Gives(1));
    EXPECT_THAT(ring.linger(5), IsEmpty());
    std::vector<Fd> servers;
    fcntl(full.listener.fd, F_SETFL, O_NONBLOCK);
    EXPECT_TRUE(eventually([&] {
        const int server = ::accept(full.listener.fd, nullptr, nullptr);
        if (server >= 0) servers.emplace_back(server);
        ring.enter(0, 0, IORING_ENTER_GETEVENTS);
        return ring.ready() == 1;
    }));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 0)));
}

TEST(Connect, to_a_unix_listener_waits_for_room_in_its_queue) {
    RawRing ring;
    const UnixAddress address("full");
    const Fd listener(::socket(AF_UNIX, SOCK_STREAM, 0));
    ASSERT_EQ(::bind(listener, address.generic(), address.length), 0);
    ASSERT_EQ(::listen(listener, 0), 0);
    const Fd first(::socket(AF_UNIX, SOCK_STREAM, 0));
    ASSERT_EQ(::connect(first, address.generic(), address.length), 0);
    const Fd second(::socket(AF_UNIX, SOCK_STREAM, 0));
    EXPECT_THAT(ring.submit(sqe::connect(second, &address.address, address.length).data(1)), Gives(1));
    EXPECT_THAT(ring.linger(5), IsEmpty());
    const Fd server(::accept(listener, nullptr, nullptr));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 0)));
    // One that does not block says so.
    const Fd third(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
    EXPECT_THAT(ring.run(sqe::connect(third, &address.address, address.length)), Gives(-EAGAIN));
}

}  // namespace
}  // namespace ringside::test
