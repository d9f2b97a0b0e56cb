// Echo servers without io_uring: an epoll loop, libuv, and Asio (which is an epoll loop too).
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include <asio.hpp>
#include <vector>

#include "case.h"
#include "die.h"
#include "load.h"
#include "tcp_server.h"

namespace bench {
namespace {

class EpollSet {
  public:
    ~EpollSet() { close(epoll_); }
    void watch(int fd) const {
        epoll_event event = {.events = EPOLLIN, .data = {.fd = fd}};
        must("epoll_ctl", epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event));
    }
    template <typename Ready>
    unsigned wait(Ready ready) const {
        epoll_event events[512];
        const int count = must("epoll_wait", epoll_wait(epoll_, events, 512, -1));
        for (int i = 0; i < count; ++i) ready(events[i].data.fd);
        return static_cast<unsigned>(count);
    }

  private:
    int epoll_ = must("epoll_create1", epoll_create1(EPOLL_CLOEXEC));
};

// Level-triggered, one receive and one send for each event.
template <unsigned connections>
class EpollEcho final : public TcpServer<connections> {
  public:
    EpollEcho() {
        for (const int fd : this->sockets_) epoll_.watch(fd);
    }
    unsigned batch() override {
        return epoll_.wait([](int fd) {
            char message[message_size];
            if (must("recv", recv(fd, message, sizeof message, 0)) != sizeof message) die("recv", EIO);
            must("send", send(fd, message, sizeof message, MSG_NOSIGNAL));
        });
    }

  private:
    EpollSet epoll_;
};

template <unsigned peers>
class EpollUdp final : public Case {
  public:
    EpollUdp() { epoll_.watch(socket_); }
    unsigned in_flight() const override { return peers; }
    unsigned batch() override {
        unsigned echoed = 0;
        epoll_.wait([&](int fd) {
            for (;; ++echoed) {
                char message[message_size];
                sockaddr_in from;
                socklen_t size = sizeof from;
                auto* const address = reinterpret_cast<sockaddr*>(&from);
                const ssize_t received = recvfrom(fd, message, sizeof message, MSG_DONTWAIT, address, &size);
                if (received < 0 && errno == EAGAIN) return;
                if (must("recvfrom", received) != sizeof message) die("recvfrom", EIO);
                must("sendto", sendto(fd, message, sizeof message, 0, address, size));
            }
        });
        return echoed;
    }

  private:
    int socket_ = listening_socket(SOCK_DGRAM);
    Load load_{udp_load, port_of(socket_), peers};
    EpollSet epoll_;
};

// As libuv's documentation writes an echo server: a write has memory of its own, since the next message may come before
// its callback.
template <unsigned connections>
class UvEcho final : public TcpServer<connections> {
  public:
    UvEcho() {
        check("uv_loop_init", uv_loop_init(&loop_));
        for (unsigned i = 0; i < connections; ++i) {
            Connection& connection = connections_[i];
            connection.server = this;
            check("uv_tcp_init", uv_tcp_init(&loop_, &connection.handle));
            check("uv_tcp_open", uv_tcp_open(&connection.handle, this->sockets_[i]));
            connection.handle.data = &connection;
            check("uv_read_start", uv_read_start(stream(connection), lend_buffer, received));
        }
    }
    unsigned batch() override {
        echoed_ = 0;
        uv_run(&loop_, UV_RUN_ONCE);
        return echoed_;
    }

  private:
    struct Connection {
        uv_tcp_t handle;
        UvEcho* server;
        char message[message_size];
    };
    struct Write {
        uv_write_t request;
        char message[message_size];
    };

    static void check(const char* what, int result) {
        if (result < 0) die(what, result);
    }
    static uv_stream_t* stream(Connection& connection) { return reinterpret_cast<uv_stream_t*>(&connection.handle); }
    static void lend_buffer(uv_handle_t* handle, size_t, uv_buf_t* buffer) {
        *buffer = uv_buf_init(static_cast<Connection*>(handle->data)->message, message_size);
    }
    static void received(uv_stream_t* from, ssize_t size, const uv_buf_t* buffer) {
        if (size == 0) return;  // nothing there after all
        if (size != message_size) die("uv_read", size < 0 ? static_cast<int>(size) : EIO);
        auto* const write = new Write;
        write->request.data = static_cast<Connection*>(from->data)->server;
        memcpy(write->message, buffer->base, message_size);
        const uv_buf_t whole = uv_buf_init(write->message, message_size);
        check("uv_write", uv_write(&write->request, from, &whole, 1, sent));
    }
    static void sent(uv_write_t* request, int status) {
        check("uv_write", status);
        ++static_cast<UvEcho*>(request->data)->echoed_;
        delete reinterpret_cast<Write*>(request);
    }

    uv_loop_t loop_;
    Connection connections_[connections];
    unsigned echoed_ = 0;
};

// As Asio's documentation writes an echo server: an asynchronous read, then an asynchronous write of all of it.
template <unsigned connections>
class AsioEcho final : public TcpServer<connections> {
  public:
    AsioEcho() {
        connections_.reserve(connections);
        for (const int fd : this->sockets_) {
            connections_.push_back({asio::ip::tcp::socket(context_, asio::ip::tcp::v4(), fd), {}});
            receive(connections_.back());
        }
    }
    unsigned batch() override {
        const unsigned before = echoed_;
        context_.run_one();
        context_.poll();
        return echoed_ - before;
    }

  private:
    struct Connection {
        asio::ip::tcp::socket socket;
        char message[message_size];
    };

    void receive(Connection& connection) {
        connection.socket.async_read_some(asio::buffer(connection.message),
                                          [this, &connection](std::error_code error, size_t size) {
                                              if (error || size != message_size) die("async_read_some", EIO);
                                              send(connection);
                                          });
    }
    void send(Connection& connection) {
        asio::async_write(connection.socket, asio::buffer(connection.message),
                          [this, &connection](std::error_code error, size_t) {
                              if (error) die("async_write", error.value());
                              ++echoed_;
                              receive(connection);
                          });
    }

    asio::io_context context_{1};
    std::vector<Connection> connections_;
    unsigned echoed_ = 0;
};

const Row<EpollEcho<1>> epoll_1("tcp-echo-1@epoll", "epoll");
const Row<EpollEcho<64>> epoll_64("tcp-echo-64@epoll", "epoll");
const Row<EpollEcho<1000>> epoll_1000("tcp-echo-1000@epoll", "epoll");
const Row<UvEcho<1>> uv_1("tcp-echo-1@libuv", "libuv");
const Row<UvEcho<64>> uv_64("tcp-echo-64@libuv", "libuv");
const Row<UvEcho<1000>> uv_1000("tcp-echo-1000@libuv", "libuv");
const Row<AsioEcho<1>> asio_1("tcp-echo-1@Asio", "standalone Asio");
const Row<AsioEcho<64>> asio_64("tcp-echo-64@Asio", "standalone Asio");
const Row<AsioEcho<1000>> asio_1000("tcp-echo-1000@Asio", "standalone Asio");
const Row<EpollUdp<1>> udp_1("udp-echo-1@epoll", "epoll");
const Row<EpollUdp<64>> udp_64("udp-echo-64@epoll", "epoll");
const Row<EpollUdp<1000>> udp_1000("udp-echo-1000@epoll", "epoll");

}  // namespace
}  // namespace bench
