// Chains: requests of which each waits for the one before.
#include "case.h"
#include "ring.h"

namespace bench {
namespace {

template <unsigned length, unsigned chains>
class Chains final : public Case {
  public:
    unsigned batch() override {
        unsigned place = 0;
        return ring_.batch(length * chains, 0, [&](io_uring_sqe* sqe) {
            io_uring_prep_nop(sqe);
            if (++place % length != 0) sqe->flags |= IOSQE_IO_LINK;
        });
    }

  private:
    Ring ring_{length * chains};
};

const Row<Chains<8, 1>> one_chain("links", "NOP, a chain of 8 at a time");
const Row<Chains<8, 8>> eight_chains("links-8", "NOP, 8 chains of 8 a batch");

}  // namespace
}  // namespace bench
