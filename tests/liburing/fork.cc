// The memory of a ring across fork(2), as liburing's callers have it: shared with the child.
//
// The engine's was private to each process: what a child prepared, its parent never saw.
#include <gtest/gtest.h>

#include "liburing/ring.h"
#include "support/process.h"

namespace ringside::test {
namespace {

TEST(UringAcrossFork, shows_the_parent_what_the_child_has_prepared) {
    for (const unsigned flags : {0U, unsigned{IORING_SETUP_NO_MMAP}}) {
        Uring ring(8, flags);
        const unsigned before = *ring->sq.ktail;
        EXPECT_EQ(ending_of_child([&] {
                      io_uring_sqe* sqe = io_uring_get_sqe(ring.get());
                      io_uring_prep_nop(sqe);
                      sqe->user_data = 7;
                      io_uring_submit(ring.get());
                      return 0;
                  }),
                  0);
        EXPECT_EQ(*ring->sq.ktail, before + 1);
        EXPECT_EQ(ring->sq.sqes[0].user_data, 7u);
    }
}

}  // namespace
}  // namespace ringside::test
