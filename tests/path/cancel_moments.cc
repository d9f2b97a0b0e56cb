// Cancelled at each moment of its life: what is queued in a chain or held back by a drain is not found, what waits ends
// with -ECANCELED, and so does what no worker has begun; what is inside a call is told to stop. Each gives exactly one
// completion, and so does each canceller. (The moment at which it is just completing is that of the races.)
#include <errno.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/eventually.h"
#include "support/files.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

constexpr unsigned link = IOSQE_IO_LINK;

// The kernel lets a code out that is none of a program's (docs/differences.md).
int interrupted() { return provider_under_test() == provider::Kind::kernel ? -512 : -EINTR; }

class CancelledMoment : public testing::TestWithParam<unsigned> {
  protected:
    RawRing ring{16, GetParam()};
    const Pipe pipe;
    char byte = 0;

    Sqe read(uint64_t data, unsigned flags = 0) { return sqe::read(pipe.read_end, &byte, 1).data(data).flag(flags); }
    static Sqe nop(uint64_t data, unsigned flags = 0) { return sqe::nop().data(data).flag(flags); }
    void expect_nothing_more() { EXPECT_THAT(ring.linger(5), IsEmpty()); }
};

INSTANTIATE_TEST_SUITE_P(Modes, CancelledMoment,
                         testing::Values(0U, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN),
                         [](const testing::TestParamInfo<unsigned>& mode) {
                             return std::string(mode.param == 0 ? "plain" : "deferred");
                         });

TEST_P(CancelledMoment, in_a_chain_it_is_not_found_until_its_turn) {
    ASSERT_THAT(ring.submit(read(1, link), read(2, link), nop(3)), Gives(3));
    EXPECT_THAT(ring.run(sqe::cancel(2).data(9)), Gives(-ENOENT));
    ASSERT_EQ(write(pipe.write_end, "x", 1), 1);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 1)));
    // The next is begun, at the latest, by a call for events.
    EXPECT_THAT(ring.enter(0, 0, IORING_ENTER_GETEVENTS), Gives(0));
    ASSERT_THAT(ring.submit(sqe::cancel(2).data(9)), Gives(1));
    EXPECT_THAT(ring.wait(3),
                UnorderedElementsAre(Completes(9, 0), Completes(2, -ECANCELED), Completes(3, -ECANCELED)));
    expect_nothing_more();
}

TEST_P(CancelledMoment, in_the_batch_that_submits_it_it_is_found) {
    ASSERT_THAT(ring.submit(read(1), sqe::cancel(1).data(9)), Gives(2));
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(9, 0), Completes(1, -ECANCELED)));
    expect_nothing_more();
}

TEST_P(CancelledMoment, when_it_is_over_it_is_not_found) {
    ASSERT_EQ(write(pipe.write_end, "x", 1), 1);
    ASSERT_THAT(ring.submit(read(1), sqe::cancel(1).data(9)), Gives(2));
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(9, -ENOENT), Completes(1, 1)));
    expect_nothing_more();
}

TEST_P(CancelledMoment, twice_in_a_batch_it_is_found_twice_where_it_waits_for_a_file) {
    ASSERT_THAT(ring.submit(read(1)), Gives(1));
    ASSERT_THAT(ring.submit(sqe::cancel(1).data(8), sqe::cancel(1).data(9)), Gives(2));
    EXPECT_THAT(ring.wait(3), UnorderedElementsAre(Completes(8, 0), Completes(9, 0), Completes(1, -ECANCELED)));
    EXPECT_THAT(ring.run(sqe::cancel(1).data(9)), Gives(-ENOENT));
    const __kernel_timespec time = {100, 0};
    ASSERT_THAT(ring.submit(sqe::timeout(&time).data(1)), Gives(1));
    ASSERT_THAT(ring.submit(sqe::cancel(1).data(8), sqe::cancel(1).data(9)), Gives(2));
    EXPECT_THAT(ring.wait(3), UnorderedElementsAre(Completes(8, 0), Completes(9, -ENOENT), Completes(1, -ECANCELED)));
    expect_nothing_more();
}

TEST_P(CancelledMoment, twice_in_a_batch_one_of_several_is_cancelled_once) {
    char bytes[3];
    for (char& each : bytes) ASSERT_THAT(ring.submit(sqe::read(pipe.read_end, &each, 1).data(1)), Gives(1));
    ASSERT_THAT(ring.submit(sqe::cancel(1).data(8), sqe::cancel(1).data(9)), Gives(2));
    EXPECT_THAT(ring.wait(3), UnorderedElementsAre(Completes(8, 0), Completes(9, 0), Completes(1, -ECANCELED)));
    expect_nothing_more();
    ASSERT_THAT(
        ring.submit(sqe::cancel(1, IORING_ASYNC_CANCEL_ALL).data(8), sqe::cancel(1, IORING_ASYNC_CANCEL_ALL).data(9)),
        Gives(2));
    EXPECT_THAT(ring.wait(4), UnorderedElementsAre(Completes(8, 2), Completes(9, 2), Completes(1, -ECANCELED),
                                                   Completes(1, -ECANCELED)));
    expect_nothing_more();
}

TEST_P(CancelledMoment, before_and_after_a_worker_has_begun) {
    const TemporaryDirectory directory;
    const std::string path = directory.path_of("fifo");
    ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
    // One worker of each kind, so that the second open has to wait for the first, which waits for the FIFO's other end.
    unsigned limits[] = {1, 1};
    ASSERT_THAT(ring.register_call(IORING_REGISTER_IOWQ_MAX_WORKERS, limits, 2), Gives(0));
    const auto open_fifo = [&](uint64_t data) {
        return sqe::openat(AT_FDCWD, path.c_str(), O_RDONLY | O_CLOEXEC).data(data).flag(IOSQE_ASYNC | link);
    };
    ASSERT_THAT(ring.submit(open_fifo(1), nop(2)), Gives(2));
    EXPECT_THAT(ring.linger(), IsEmpty());
    ASSERT_THAT(ring.submit(open_fifo(3), nop(4)), Gives(2));
    ASSERT_THAT(ring.submit(sqe::cancel(3).data(8)), Gives(1));
    EXPECT_THAT(ring.wait(3),
                UnorderedElementsAre(Completes(8, 0), Completes(3, -ECANCELED), Completes(4, -ECANCELED)));
    ASSERT_THAT(ring.submit(sqe::cancel(1).data(9)), Gives(1));
    EXPECT_THAT(ring.wait(3),
                UnorderedElementsAre(Completes(9, -EALREADY), Completes(1, interrupted()), Completes(2, -ECANCELED)));
    ASSERT_THAT(ring.register_call(IORING_REGISTER_IOWQ_MAX_WORKERS, limits, 2), Gives(0));
    expect_nothing_more();
}

TEST_P(CancelledMoment, while_a_disk_has_it_it_ends_as_if_nothing_had_been) {
    // A worker that has begun with a file on disk does it to the end, one that has not does nothing of it. A worker
    // that has taken the request looks once more, just before it begins, whether a cancellation came: such a
    // cancellation says -EALREADY, as one that came too late does, and the request says which of the two it was.
    const Fd file = memory_file_with("content");
    char buffer[8];
    for (int round = 0; round < 100; ++round) {
        ASSERT_THAT(ring.submit(sqe::read(file, buffer, 7).data(1).flag(IOSQE_ASYNC), sqe::cancel(1).data(9)),
                    Gives(2));
        const std::vector<Cqe> completions = ring.wait(2);
        ASSERT_EQ(completions.size(), 2u);
        const Cqe& canceller = completions[completions[0].user_data == 9 ? 0 : 1];
        const Cqe& target = completions[completions[0].user_data == 9 ? 1 : 0];
        EXPECT_THAT(canceller.res, testing::AnyOf(0, -EALREADY, -ENOENT));
        if (canceller.res == -EALREADY) {
            EXPECT_THAT(target.res, testing::AnyOf(7, -ECANCELED));
        } else {
            EXPECT_EQ(target.res, canceller.res == 0 ? -ECANCELED : 7);
        }
    }
    expect_nothing_more();
}

}  // namespace
}  // namespace ringside::test
