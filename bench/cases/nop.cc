// NOP: what the ring itself costs.
#include "case.h"
#include "ring.h"

namespace bench {
namespace {

template <unsigned count>
class Nop final : public Case {
  public:
    unsigned batch() override { return ring_.batch(count, 0, io_uring_prep_nop); }

  private:
    Ring ring_{count};
};

const Row<Nop<1>> nop_1("nop-1", "NOP, one at a time", 5.0);
const Row<Nop<8>> nop_8("nop-8", "NOP, 8 a batch");
const Row<Nop<32>> nop_32("nop-32", "NOP, 32 a batch", 4.0);
const Row<Nop<256>> nop_256("nop-256", "NOP, 256 a batch");

}  // namespace
}  // namespace bench
