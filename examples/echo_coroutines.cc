// SPDX-License-Identifier: MIT
// echo-coroutines [PORT]: sends back whatever comes on a TCP connection to 127.0.0.1, on as many as come at once.
// Closes one that has been silent for a minute. Port 0, or none, is a free one; the port is printed.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ringside/ringside.hpp>

using namespace std::chrono_literals;
using ringside::Descriptor, ringside::Result, ringside::Scope, ringside::Task;
namespace async = ringside::async;

// Owns the connection, which is closed when the task ends.
static Task<void> echo(Descriptor connection) {
    std::array<std::byte, 4096> buffer;
    for (;;) {
        const Result<size_t> got = co_await ringside::with_timeout(async::recv(connection, buffer), 60s);
        if (got.value_or(0) == 0) co_return;
        const Result<size_t> sent = co_await async::send_all(connection, std::span(buffer).first(*got));
        if (!sent) co_return;
    }
}

static Task<int> serve(const Descriptor& listener) {
    co_return co_await ringside::with_scope([&](Scope& connections) -> Task<int> {
        for (;;) {
            Result<Descriptor> connection = co_await async::accept(listener);
            if (!connection) co_return connection.error();
            connections.spawn(echo(*std::move(connection)));
        }
    });
}

static Descriptor listen_on(in_port_t port) {
    Descriptor listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    socklen_t size = sizeof(address);
    auto* const name = reinterpret_cast<sockaddr*>(&address);
    const int on = 1;
    setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(listener.get(), name, size) != 0 || listen(listener.get(), SOMAXCONN) != 0 ||
        getsockname(listener.get(), name, &size) != 0) {
        return {};
    }
    std::printf("port %d\n", ntohs(address.sin_port));
    std::fflush(stdout);
    return listener;
}

int main(int argc, char** argv) {
    const Descriptor listener = listen_on(static_cast<in_port_t>(argc > 1 ? std::atoi(argv[1]) : 0));
    if (!listener) {
        std::perror("echo-coroutines");
        return 1;
    }
    const int error = ringside::sync_wait(serve(listener));
    std::fprintf(stderr, "echo-coroutines: accept: %s\n", std::strerror(error));
    return 1;
}
