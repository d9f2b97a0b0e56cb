// Messages between socket pairs by plain system calls.
#include <sys/socket.h>
#include <unistd.h>

#include "case.h"
#include "die.h"

namespace bench {
namespace {

template <unsigned pairs>
class PlainPairs final : public Case {
  public:
    PlainPairs() {
        for (auto& pair : sockets_) must("socketpair", socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
    }
    ~PlainPairs() override {
        for (const auto& pair : sockets_) close(pair[0]), close(pair[1]);
    }
    unsigned batch() override {
        char message[64] = {};
        for (const auto& pair : sockets_) {
            if (send(pair[0], message, sizeof message, 0) != sizeof message) die("send", errno);
            if (recv(pair[1], message, sizeof message, 0) != sizeof message) die("recv", errno);
        }
        return pairs;
    }

  private:
    int sockets_[pairs][2];
};

const Row<PlainPairs<32>> pairs("pairs@send, recv", "the system calls");
const Row<PlainPairs<1>> one_pair("pairs-1@send, recv", "the system calls");

}  // namespace
}  // namespace bench
