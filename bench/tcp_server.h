// What all TCP echo servers have in common: the connections, and the load at their other ends.
#pragma once

#include <sys/socket.h>
#include <unistd.h>

#include "case.h"
#include "load.h"

namespace bench {

template <unsigned connections>
class TcpServer : public Case {
  public:
    ~TcpServer() override {
        for (const int fd : sockets_) close(fd);
        close(listener_);
    }
    unsigned in_flight() const override { return connections; }

  protected:
    TcpServer() { accept_all(listener_, sockets_, connections); }

    int listener_ = listening_socket(SOCK_STREAM);
    Load load_{tcp_load, port_of(listener_), connections};
    int sockets_[connections];
};

}  // namespace bench
