// Short messages between the two ends of socket pairs.
#include "case.h"
#include "pairs.h"
#include "ring.h"

namespace bench {
namespace {

// A message is in its socket before it is received: nothing of this ever waits.
template <unsigned pairs>
class SocketPairs final : public Case {
  public:
    unsigned batch() override {
        unsigned next = 0;
        ring_.batch(2 * pairs, size, [&](io_uring_sqe* sqe) {
            const unsigned pair = next / 2;
            if (next++ % 2 == 0) {
                io_uring_prep_send(sqe, pairs_.end(pair, 0), message_, size, 0);
            } else {
                io_uring_prep_recv(sqe, pairs_.end(pair, 1), received_, size, 0);
            }
        });
        return pairs;
    }

  private:
    static constexpr unsigned size = 64;
    Pairs<pairs> pairs_;
    char message_[size] = {};
    char received_[size];
    Ring ring_{2 * pairs};
};

const Row<SocketPairs<32>> socket_pairs("pairs", "64 B send and recv, 32 UNIX socket pairs a batch", 1.05);
const Row<SocketPairs<1>> one_pair("pairs-1", "64 B send and recv, one UNIX socket pair at a time", 1.0);

}  // namespace
}  // namespace bench
