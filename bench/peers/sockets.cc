// Messages between socket pairs by plain system calls.
#include "case.h"
#include "pairs.h"

namespace bench {
namespace {

template <unsigned pairs>
class PlainPairs final : public Case {
  public:
    unsigned batch() override {
        char message[64] = {};
        for (unsigned i = 0; i < pairs; ++i) {
            if (send(pairs_.end(i, 0), message, sizeof message, 0) != sizeof message) die("send", errno);
            if (recv(pairs_.end(i, 1), message, sizeof message, 0) != sizeof message) die("recv", errno);
        }
        return pairs;
    }

  private:
    Pairs<pairs> pairs_;
};

const Row<PlainPairs<32>> pairs("pairs@send, recv", "the system calls");
const Row<PlainPairs<1>> one_pair("pairs-1@send, recv", "the system calls");

}  // namespace
}  // namespace bench
