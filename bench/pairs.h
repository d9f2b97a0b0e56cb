// Pairs of connected UNIX sockets.
#pragma once

#include <sys/socket.h>
#include <unistd.h>

#include "die.h"

namespace bench {

template <unsigned count>
class Pairs {
  public:
    Pairs() {
        for (auto& pair : sockets_) must("socketpair", socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
    }
    ~Pairs() {
        for (const auto& pair : sockets_) close(pair[0]), close(pair[1]);
    }
    Pairs(const Pairs&) = delete;
    Pairs& operator=(const Pairs&) = delete;

    int end(unsigned pair, unsigned which) const { return sockets_[pair][which]; }

  private:
    int sockets_[count][2];
};

}  // namespace bench
