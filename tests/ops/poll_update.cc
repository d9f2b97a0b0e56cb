// A poll that was updated, and other requests that are in line for the next task work, when the program removes,
// cancels or updates them.
#include <errno.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <tuple>
#include <vector>

#include "ops/net_buffers.h"
#include "support/files.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

constexpr unsigned deferred = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
constexpr uint32_t events_change = IORING_POLL_UPDATE_EVENTS;
constexpr uint32_t data_change = IORING_POLL_UPDATE_USER_DATA;
const __kernel_timespec never = milliseconds_of(3'600'000);

// A ring of each kind with a poll (1) of a pipe that is empty, once and multishot.
class UpdatedPoll : public testing::TestWithParam<std::tuple<unsigned, uint32_t>> {
  public:
    UpdatedPoll() : ring(32, std::get<0>(GetParam())) {
        EXPECT_THAT(ring.submit(sqe::poll_add(pipe.read_end, POLLPRI, mode).data(1)), Gives(1));
    }

  protected:
    Sqe update(uint64_t target = 1) { return sqe::poll_update(target, events_change | mode, POLLIN); }
    Sqe rename(uint64_t target, uint64_t data) { return sqe::poll_update(target, data_change | mode, 0, data); }
    bool is_multishot() const { return mode != 0; }
    void make_ready() { EXPECT_EQ(write(pipe.write_end, "x", 1), 1); }

    const uint32_t mode = std::get<1>(GetParam());
    Pipe pipe;
    RawRing ring;
};

// A proxy that updates its polls and removes them before its next wait had them removed with -ENOENT: each stayed for
// ever, and with it a slot of the proxy's table. The updated poll was in line to be issued again and in no table.
TEST_P(UpdatedPoll, is_found_by_the_removal_behind_the_update) {
    EXPECT_THAT(ring.submit(update().data(2), sqe::poll_remove(1).data(3)), Gives(2));
    EXPECT_THAT(ring.wait(3), ElementsAre(Completes(2, 0), Completes(3, 0), Completes(1, -ECANCELED)));
    make_ready();
    EXPECT_THAT(ring.linger(3), IsEmpty());
}

TEST_P(UpdatedPoll, is_found_by_a_removal_before_the_next_wait) {
    EXPECT_THAT(ring.submit(update().data(2)), Gives(1));
    EXPECT_THAT(ring.submit(sqe::poll_remove(1).data(3)), Gives(1));
    EXPECT_THAT(ring.wait(3), ElementsAre(Completes(2, 0), Completes(3, 0), Completes(1, -ECANCELED)));
}

TEST_P(UpdatedPoll, is_found_by_a_cancellation) {
    for (const Sqe& cancel : {sqe::cancel(1), sqe::cancel_fd(pipe.read_end), sqe::cancel(0, IORING_ASYNC_CANCEL_ANY)}) {
        EXPECT_THAT(ring.submit(update().data(2), Sqe(cancel).data(3)), Gives(2));
        const int found = cancel.cancel_flags & IORING_ASYNC_CANCEL_ANY ? 1 : 0;
        EXPECT_THAT(ring.wait(3), ElementsAre(Completes(2, 0), Completes(3, found), Completes(1, -ECANCELED)));
        EXPECT_THAT(ring.submit(sqe::poll_add(pipe.read_end, POLLPRI, mode).data(1)), Gives(1));
    }
}

TEST_P(UpdatedPoll, is_found_by_a_cancellation_that_waits) {
    EXPECT_THAT(ring.submit(update().data(2)), Gives(1));
    io_uring_sync_cancel_reg cancel = {};
    cancel.addr = 1;
    cancel.fd = -1;
    cancel.timeout = {-1, -1};
    EXPECT_THAT(ring.register_call(IORING_REGISTER_SYNC_CANCEL, &cancel, 1), Gives(0));
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(2, 0), Completes(1, -ECANCELED)));
}

TEST_P(UpdatedPoll, is_found_by_the_next_updates) {
    EXPECT_THAT(ring.submit(update().data(2), rename(1, 5).data(3), rename(5, 6).data(4), rename(1, 8).data(7),
                            sqe::poll_remove(6).data(9)),
                Gives(5));
    EXPECT_THAT(ring.wait(6), ElementsAre(Completes(2, 0), Completes(3, 0), Completes(4, 0), Completes(7, -ENOENT),
                                          Completes(9, 0), Completes(6, -ECANCELED)));
}

TEST_P(UpdatedPoll, goes_on_after_its_update) {
    EXPECT_THAT(ring.submit(update().data(2)), Gives(1));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(2, 0)));
    for (int round = 0; round < (is_multishot() ? 3 : 1); ++round) {
        make_ready();
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, POLLIN, is_multishot() ? more : 0)));
    }
}

// What the update finds ready is on its way to the program: the kernel says so to whoever would remove it.
TEST_P(UpdatedPoll, that_is_ready_by_then_is_told_of_after_its_update) {
    make_ready();
    EXPECT_THAT(ring.submit(update().data(2), sqe::poll_remove(1).data(3), rename(1, 5).data(4)), Gives(3));
    const int removed = is_multishot() ? -EALREADY : -ENOENT;
    EXPECT_THAT(ring.wait(4), ElementsAre(Completes(2, 0), Completes(3, removed), Completes(4, removed),
                                          Completes(1, POLLIN, is_multishot() ? more : 0)));
    EXPECT_THAT(ring.linger(3), IsEmpty());
}

TEST_P(UpdatedPoll, that_is_ready_by_then_can_be_cancelled_if_it_goes_on) {
    make_ready();
    EXPECT_THAT(ring.submit(update().data(2), sqe::cancel(1).data(3), sqe::cancel(1).data(4),
                            sqe::poll_remove(1).data(5), sqe::cancel(1).data(6)),
                Gives(5));
    const int found = is_multishot() ? 0 : -ENOENT;
    const int removed = is_multishot() ? -EALREADY : -ENOENT;
    EXPECT_THAT(ring.wait(6),
                ElementsAre(Completes(2, 0), Completes(3, found), Completes(4, found), Completes(5, removed),
                            Completes(6, found), Completes(1, is_multishot() ? -ECANCELED : POLLIN)));
    EXPECT_THAT(ring.linger(3), IsEmpty());
}

TEST_P(UpdatedPoll, that_was_cancelled_is_found_until_it_has_completed) {
    EXPECT_THAT(
        ring.submit(sqe::cancel(1).data(2), sqe::poll_remove(1).data(3), sqe::cancel(1).data(4), update().data(5)),
        Gives(4));
    EXPECT_THAT(ring.wait(5), ElementsAre(Completes(2, 0), Completes(3, -EALREADY), Completes(4, 0),
                                          Completes(5, -EALREADY), Completes(1, -ECANCELED)));
}

TEST_P(UpdatedPoll, that_was_removed_is_not_found_any_more) {
    EXPECT_THAT(
        ring.submit(sqe::poll_remove(1).data(2), sqe::cancel(1).data(3), sqe::poll_remove(1).data(4), update().data(5)),
        Gives(4));
    EXPECT_THAT(ring.wait(5), ElementsAre(Completes(2, 0), Completes(3, -ENOENT), Completes(4, -ENOENT),
                                          Completes(5, -ENOENT), Completes(1, -ECANCELED)));
}

INSTANTIATE_TEST_SUITE_P(Each, UpdatedPoll,
                         testing::Combine(testing::Values(0, deferred), testing::Values(0, IORING_POLL_ADD_MULTI)));

class InLine : public testing::TestWithParam<unsigned> {
  protected:
    RawRing ring{64, GetParam()};
};

// Several receives come before it is another request's turn, and it goes on after that.
class GivesWay : public InLine {
  protected:
    static constexpr unsigned size = 8, at_once = 33;

    void fill(unsigned count) { say(ends.near, std::string(size_t{size} * count, 'x')); }

    // As many of its completions as there were receives.
    void expect_received(const std::vector<Cqe>& completions, unsigned count) {
        ASSERT_GE(completions.size(), count);
        for (unsigned i = 0; i < count; ++i) {
            EXPECT_EQ(completions[i].res, static_cast<int>(size));
            EXPECT_EQ(completions[i].flags & ~nonempty, with_buffer(i, more));
        }
    }

    Ends ends = unix_pair(SOCK_STREAM);
    Buffers buffers{70, size};
    BufferRing provided{ring, 128, group};
};

// It stayed in line until it had received all there was, though the program had cancelled it.
TEST_P(GivesWay, a_receive_is_cancelled) {
    for (unsigned id = 0; id < 70; ++id) provided.add(buffers, id);
    fill(50);
    EXPECT_THAT(ring.submit(recv_multishot(ends.far), sqe::cancel(1).data(2), sqe::cancel(1).data(3)), Gives(3));
    std::vector<Cqe> completions = ring.wait(at_once + 3);
    expect_received(completions, at_once);
    completions.erase(completions.begin(), completions.begin() + at_once);
    EXPECT_THAT(completions, ElementsAre(Completes(2, 0), Completes(3, 0), Completes(1, -ECANCELED)));
    EXPECT_THAT(ring.linger(3), IsEmpty());
}

// It received from whatever file had the number by the time at which it went on.
TEST_P(GivesWay, a_receive_keeps_its_file) {
    for (unsigned id = 0; id < 70; ++id) provided.add(buffers, id);
    const Ends others = unix_pair(SOCK_STREAM);
    say(others.near, "a stranger's");
    fill(50);
    EXPECT_THAT(ring.submit(recv_multishot(ends.far)), Gives(1));
    ASSERT_EQ(dup2(others.far, ends.far), ends.far.get());
    const std::vector<Cqe> completions = ring.wait(50);
    expect_received(completions, 50);
    EXPECT_THAT(ring.linger(3), IsEmpty());
    EXPECT_THAT(ring.submit(sqe::cancel(1).data(2)), Gives(1));
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(2, 0), Completes(1, -ECANCELED)));
}

// The newest of two with the same user_data is over, and only its completion is still to be posted.
TEST_P(InLine, a_request_that_is_over_does_not_hide_another) {
    const Pipe pipe;
    EXPECT_THAT(ring.submit(sqe::poll_add(pipe.read_end, POLLIN).data(1)), Gives(1));
    EXPECT_THAT(ring.submit(sqe::timeout(&never, 1).data(1), sqe::nop().data(4)), Gives(2));
    EXPECT_THAT(ring.submit(sqe::cancel(1).data(2)), Gives(1));
    EXPECT_THAT(ring.wait(4),
                UnorderedElementsAre(Completes(4, 0), Completes(1, 0), Completes(2, 0), Completes(1, -ECANCELED)));
}

INSTANTIATE_TEST_SUITE_P(Each, InLine, testing::Values(0, deferred));
INSTANTIATE_TEST_SUITE_P(Each, GivesWay, testing::Values(0, deferred));

// Its completion comes with the next wait. Until then it could be removed, and the program was never told of the time.
TEST(ExpiredTimeout, is_over_though_its_completion_is_still_to_come) {
    const __kernel_timespec soon = milliseconds_of(1);
    for (const unsigned repeated : {0U, unsigned{IORING_TIMEOUT_MULTISHOT}}) {
        for (const Sqe& removal : {sqe::timeout_remove(1), sqe::timeout_update(1, &never), sqe::cancel(1)}) {
            RawRing ring(8, deferred);
            EXPECT_THAT(ring.submit(sqe::timeout(&soon, repeated != 0 ? 1 : 0, repeated).data(1)), Gives(1));
            usleep(5'000);
            EXPECT_THAT(ring.submit(Sqe(removal).data(2)), Gives(1));
            EXPECT_THAT(ring.wait(2), ElementsAre(Completes(2, -ENOENT), Completes(1, -ETIME)));
        }
    }
}

}  // namespace
}  // namespace ringside::test
