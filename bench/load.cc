#include "load.h"

#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vector>

#include "cores.h"
#include "die.h"

namespace bench {
namespace {

sockaddr_in loopback(uint16_t port) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

int connected_socket(int type, uint16_t port) {
    const sockaddr_in address = loopback(port);
    const int fd = must("socket", socket(AF_INET, type | SOCK_CLOEXEC, 0));
    must("connect", connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address));
    return fd;
}

void no_delay(int fd) {
    const int on = 1;
    must("TCP_NODELAY", setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on));
}

// A datagram that is dropped would never be asked for again. Each takes about 1 KiB of the socket's room.
void make_room(int fd) {
    const int wanted = most_peers * 1024;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &wanted, sizeof wanted) != 0)
        must("SO_RCVBUF", setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &wanted, sizeof wanted));
    int room;
    socklen_t size = sizeof room;
    must("SO_RCVBUF", getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, &size));
    if (room < wanted) die("the room for datagrams (see net.core.rmem_max)", ENOBUFS);
}

// A load that fails takes the server with it, which would wait for it for ever.
void end_with_load(int) {
    siginfo_t info = {};
    const int found = waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT);
    if (found == 0 && info.si_pid != 0 && info.si_status != 0) _exit(1);
}

class EventLoop {
  public:
    EventLoop() : epoll_(must("epoll_create1", epoll_create1(EPOLL_CLOEXEC))) {}

    void watch(int fd) const {
        epoll_event event = {.events = EPOLLIN, .data = {.fd = fd}};
        must("epoll_ctl", epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event));
    }

    // Calls ready(fd) for whatever can be read, until the process is killed.
    template <typename Ready>
    [[noreturn]] void run(Ready ready) const {
        for (;;) {
            epoll_event events[256];
            const int count = must("epoll_wait", epoll_wait(epoll_, events, 256, -1));
            for (int i = 0; i < count; ++i) ready(events[i].data.fd);
        }
    }

  private:
    int epoll_;
};

[[noreturn]] void ask_and_wait(int type, uint16_t port, unsigned count) {
    const EventLoop loop;
    const char question[message_size] = {};
    for (unsigned i = 0; i < count; ++i) {
        const int fd = connected_socket(type, port);
        if (type == SOCK_STREAM) no_delay(fd);
        loop.watch(fd);
        must("send", send(fd, question, sizeof question, MSG_NOSIGNAL));
    }
    loop.run([&](int fd) {
        char answer[message_size];
        const ssize_t size = recv(fd, answer, sizeof answer, 0);
        if (size <= 0) _exit(0);  // the server has gone
        if (size != sizeof answer) die("a short answer", EIO);
        if (send(fd, question, sizeof question, MSG_NOSIGNAL) < 0) _exit(0);
    });
}

}  // namespace

int listening_socket(int type) {
    const sockaddr_in address = loopback(0);
    const int fd = must("socket", socket(AF_INET, type | SOCK_CLOEXEC, 0));
    must("bind", bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address));
    if (type == SOCK_STREAM) {
        must("listen", listen(fd, 4096));
    } else {
        make_room(fd);
    }
    return fd;
}

uint16_t port_of(int socket) {
    sockaddr_in address;
    socklen_t size = sizeof address;
    must("getsockname", getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size));
    return ntohs(address.sin_port);
}

Load::Load(Body body, uint16_t port, unsigned count) {
    signal(SIGCHLD, end_with_load);
    pid_ = must("fork", fork());
    if (pid_ != 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "bench-load");
    pin_to(other_core());
    body(port, count);
    _exit(0);
}

Load::~Load() {
    signal(SIGCHLD, SIG_DFL);
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
}

void tcp_load(uint16_t port, unsigned count) { ask_and_wait(SOCK_STREAM, port, count); }
void udp_load(uint16_t port, unsigned count) { ask_and_wait(SOCK_DGRAM, port, count); }

void connect_load(uint16_t port, unsigned count) {
    const EventLoop loop;
    const sockaddr_in address = loopback(port);
    const auto connect_one = [&] {
        const int fd = must("socket", socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        // The server may have hung up before we hear that we are connected.
        if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 && errno != ECONNRESET)
            die("connect", errno);
        loop.watch(fd);
    };
    for (unsigned i = 0; i < count; ++i) connect_one();
    loop.run([&](int fd) {
        close(fd);
        connect_one();
    });
}

void accept_all(int listener, int* sockets, unsigned count) {
    for (unsigned i = 0; i < count; ++i) {
        sockets[i] = must("accept4", accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
        no_delay(sockets[i]);
    }
}

}  // namespace bench
