// Cancelling by file where the kernel cannot compare two descriptors: before Linux 6.10 (F_DUPFD_QUERY), in a container
// whose profile refuses kcmp(2). The engine went by device and inode there, by which all eventfds are one file.
#include <errno.h>
#include <gtest/gtest.h>
#include <seccomp.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "support/files.h"
#include "support/process.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

using testing::IsEmpty;
using testing::UnorderedElementsAre;

constexpr unsigned all = IORING_ASYNC_CANCEL_ALL;

bool become_old_kernel() {
    constexpr unsigned f_dupfd_query = 1027;
    const scmp_arg_cmp queries = {1, SCMP_CMP_EQ, f_dupfd_query, 0};
    const scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    const bool made = filter != nullptr && seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(kcmp), 0) == 0 &&
                      seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(EINVAL), SCMP_SYS(fcntl), 1, &queries) == 0 &&
                      seccomp_load(filter) == 0;
    seccomp_release(filter);
    return made;
}

// How the child ends: 0 when all was as expected.
int cancel_one_of_two_eventfds() {
    if (!become_old_kernel()) return 2;
    RawRing ring;
    uint64_t counter;
    const Fd one(eventfd(0, EFD_CLOEXEC)), other(eventfd(0, EFD_CLOEXEC));
    EXPECT_THAT(ring.submit(sqe::read(one, &counter, 8).data(1), sqe::read(other, &counter, 8).data(2)), Gives(2));
    EXPECT_THAT(ring.submit(sqe::cancel_fd(other, all).data(9)), Gives(1));
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(2, -ECANCELED), Completes(9, 1)));
    EXPECT_THAT(ring.linger(2), IsEmpty());
    return testing::Test::HasFailure() ? 1 : 0;
}

TEST(CancelOnAnOldKernel, by_file_tells_eventfds_apart) { EXPECT_EQ(ending_of_child(cancel_one_of_two_eventfds), 0); }

}  // namespace
}  // namespace ringside::test
