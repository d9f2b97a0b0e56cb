// What a program can see of it that a ring of the engine is no object of the kernel's: rows of docs/differences.md.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string_view>

#include "support/eventually.h"
#include "support/files.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

bool on_kernel() { return provider_under_test() == provider::Kind::kernel; }

TEST(RingDifferences, readiness_that_passes_before_anybody_looks_is_sure_to_be_seen_by_the_kernel_alone) {
    RawRing ring;
    const Pipe pipe;
    char byte = 'x';
    EXPECT_EQ(ring.submit(sqe::poll_add(pipe.read_end, POLLIN)), 1);
    EXPECT_EQ(write(pipe.write_end, &byte, 1), 1);
    EXPECT_EQ(read(pipe.read_end, &byte, 1), 1);
    if (on_kernel()) {
        EXPECT_THAT(ring.wait(1), SizeIs(1));
        return;
    }
    // The engine may have looked in between. If not, the request waits on, for the next time.
    if (!ring.linger().empty()) return;
    EXPECT_EQ(write(pipe.write_end, &byte, 1), 1);
    EXPECT_THAT(ring.wait(1), SizeIs(1));
}

TEST(RingDifferences, the_flag_for_work_that_waits_for_an_enter_is_set_in_the_moment_of_its_cause_by_the_kernel_alone) {
    RawRing ring(8, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG);
    const Fd event(eventfd(0, EFD_NONBLOCK));
    EXPECT_EQ(ring.submit(sqe::poll_add(event, POLLIN)), 1);
    const auto flag_is_set = [&] { return (ring.sq_flags().load() & IORING_SQ_TASKRUN) != 0; };
    EXPECT_EQ(eventfd_write(event, 1), 0);
    EXPECT_TRUE(flag_is_set() || !on_kernel());
    EXPECT_TRUE(eventually(flag_is_set));
    EXPECT_THAT(ring.wait(1), SizeIs(1));
    EXPECT_FALSE(flag_is_set());
}

bool polls_are_carried() {
    const char* carrier = getenv("RINGSIDE_CARRIER");
    return carrier != nullptr && std::string_view(carrier) == "aio";
}

TEST(RingDifferences, of_several_events_the_kernel_alone_tells_the_one_that_has_happened) {
    RawRing ring;
    const Ends ends = unix_pair(SOCK_STREAM);
    EXPECT_EQ(ring.submit(sqe::poll_add(ends.near, POLLIN | POLLOUT, IORING_POLL_ADD_MULTI).data(1)), 1);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, POLLOUT, IORING_CQE_F_MORE)));
    EXPECT_EQ(write(ends.far, "x", 1), 1);
    const int told = on_kernel() ? POLLIN : POLLIN | POLLOUT;
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, told, IORING_CQE_F_MORE)));
}

TEST(RingDifferences, the_kernel_alone_tells_of_urgent_data_that_has_not_come) {
    RawRing ring;
    const Ends ends = unix_pair(SOCK_STREAM);
    EXPECT_EQ(ring.submit(sqe::poll_add(ends.near, POLLIN | POLLPRI).data(1)), 1);
    EXPECT_EQ(write(ends.far, "x", 1), 1);
    // A poll that the engine leaves to the kernel is told what the kernel tells.
    const bool as_in_kernel = on_kernel() || polls_are_carried();
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, as_in_kernel ? POLLIN | POLLPRI : POLLIN)));
}

// A chain goes on in the worker that has begun it, and there is a limit to the workers for what ends by itself.
TEST(RingDifferences, chains_that_wait_behind_workers_requests_hold_up_others_in_the_kernel_alone) {
    RawRing ring;
    unsigned limits[] = {2, 0};
    ASSERT_THAT(ring.register_call(IORING_REGISTER_IOWQ_MAX_WORKERS, limits, 2), Gives(0));
    const Pipe pipes[2];
    char bytes[2];
    struct statx status;
    const Sqe statx = sqe::statx(AT_FDCWD, "/", 0, STATX_BASIC_STATS, &status);
    for (const unsigned i : {0u, 1u}) {
        ASSERT_THAT(
            ring.submit(Sqe(statx).data(1).flag(IOSQE_IO_LINK), sqe::read(pipes[i].read_end, &bytes[i], 1).data(2)),
            Gives(2));
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 0)));
    }
    ASSERT_THAT(ring.submit(Sqe(statx).data(3)), Gives(1));
    if (on_kernel()) {
        EXPECT_THAT(ring.linger(), testing::IsEmpty());
    } else {
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(3, 0)));
    }
    for (const Pipe& pipe : pipes) ASSERT_EQ(write(pipe.write_end, "x", 1), 1);
    EXPECT_THAT(ring.wait(on_kernel() ? 3 : 2), testing::Contains(Completes(2, 1)).Times(2));
    // The call has put there what it was before, and it is a matter of the process.
    EXPECT_THAT(ring.register_call(IORING_REGISTER_IOWQ_MAX_WORKERS, limits, 2), Gives(0));
}

TEST(RingDifferences, the_descriptor_can_be_read_on_the_engine_alone) {
    const RawRing ring;
    char byte;
    const ssize_t result = read(ring.fd(), &byte, 1);
    if (on_kernel()) {
        EXPECT_EQ(result, -1);
        EXPECT_EQ(errno, EINVAL);
    } else {
        EXPECT_GE(result, 0);
    }
}

}  // namespace
}  // namespace ringside::test
