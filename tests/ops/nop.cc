// IORING_OP_NOP: the request that does nothing.
#include <errno.h>
#include <gtest/gtest.h>

#include "support/raw_ring.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;

TEST(Nop, completes_with_zero_and_its_user_data) {
    RawRing ring;
    EXPECT_THAT(ring.submit(sqe::nop().data(7)), Gives(1));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(7, 0)));
}

}  // namespace
}  // namespace ringside::test
