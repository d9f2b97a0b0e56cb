// The other side of the servers that are measured: a process of its own on another core, a plain epoll loop without any
// io_uring, the same for all that are compared. It asks again only when it is answered, so it rests while the server
// does.
#pragma once

#include <netinet/in.h>
#include <sys/types.h>

namespace bench {

constexpr unsigned message_size = 64;

// A listening TCP socket, or a bound UDP socket with room for a message from each of the load's peers, on the loopback
// interface at a port of its own.
int listening_socket(int type);
uint16_t port_of(int socket);

class Load {
  public:
    // The child process runs body(port, count) on another core than ours.
    using Body = void (*)(uint16_t port, unsigned count);
    Load(Body body, uint16_t port, unsigned count);
    ~Load();
    Load(const Load&) = delete;
    Load& operator=(const Load&) = delete;

  private:
    pid_t pid_;
};

constexpr unsigned most_peers = 1000;
// `count` connections, each with one message on its way at a time.
void tcp_load(uint16_t port, unsigned count);
void udp_load(uint16_t port, unsigned count);
// Connects, waits to be hung up on, connects again: `count` at a time.
void connect_load(uint16_t port, unsigned count);

// Takes the connections of tcp_load from the listening socket; their descriptors go to `sockets`.
void accept_all(int listener, int* sockets, unsigned count);

}  // namespace bench
