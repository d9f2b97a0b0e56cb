// The engine's part in a program's own poll(2), called as the preloaded library calls it (entry/engine.h). What
// programs see of it is in programs/polling.c.
#include <gmock/gmock.h>
#include <poll.h>
#include <unistd.h>
#include <thread>

#include "entry/engine.h"
#include "provider/provider.h"
#include "support/eventually.h"
#include "support/files.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

class PollCall : public testing::Test {
  protected:
    PollCall() { provider::set_wish(provider::Wish::engine); }
    ~PollCall() override { provider::set_wish(provider::Wish::automatic); }

    static engine::RingInPoll polled_for(const RawRing& ring, short events) {
        engine::RingInPoll polled;
        EXPECT_TRUE(engine::find_polled(ring.fd(), events, polled));
        return polled;
    }
    // One sleep, as poll would have it. Returns what holds afterwards.
    static short sleep_once(engine::RingInPoll& polled, int timeout_ms) {
        pollfd set[] = {{polled.fd, POLLIN, 0}, {polled.nudge_fd, POLLIN, 0}};
        EXPECT_GE(poll(set, 2, timeout_ms), 0);
        return engine::end_poll(polled, set[0].revents != 0);
    }
};

TEST_F(PollCall, knows_rings_alone) {
    engine::RingInPoll polled;
    EXPECT_FALSE(engine::find_polled(Pipe().read_end, POLLIN, polled));
}

TEST_F(PollCall, tells_of_room_and_of_completions) {
    RawRing ring(2);
    engine::RingInPoll polled = polled_for(ring, POLLIN | POLLOUT);
    EXPECT_EQ(engine::begin_poll(polled), POLLOUT);
    ASSERT_THAT(ring.submit(sqe::nop()), Gives(1));
    EXPECT_EQ(engine::begin_poll(polled), POLLIN | POLLOUT);
    polled.events = POLLIN | POLLRDNORM;
    EXPECT_EQ(engine::begin_poll(polled), POLLIN | POLLRDNORM);
}

TEST_F(PollCall, leads_and_handles_what_happens) {
    RawRing ring;
    const Pipe pipe;
    char byte = 0;
    engine::RingInPoll polled = polled_for(ring, POLLIN);
    ASSERT_THAT(ring.submit(sqe::read(pipe.read_end, &byte, 1).data(1)), Gives(1));
    for (unsigned round = 0; round < 3; ++round) {
        ASSERT_EQ(engine::begin_poll(polled), 0);
        EXPECT_TRUE(polled.leads);
        EXPECT_EQ(sleep_once(polled, 1), 0);
    }
    ASSERT_EQ(engine::begin_poll(polled), 0);
    ASSERT_EQ(write(pipe.write_end, "x", 1), 1);
    EXPECT_EQ(sleep_once(polled, patience_ms), POLLIN);
    EXPECT_THAT(ring.wait(1), testing::ElementsAre(Completes(1, 1)));
    EXPECT_EQ(byte, 'x');
}

TEST_F(PollCall, sleeps_no_longer_than_the_next_timer) {
    RawRing ring;
    engine::RingInPoll polled = polled_for(ring, POLLIN);
    __kernel_timespec soon = {0, 100'000'000};
    ASSERT_THAT(ring.submit(sqe::timeout(&soon).data(1)), Gives(1));
    ASSERT_EQ(engine::begin_poll(polled), 0);
    ASSERT_TRUE(polled.leads);
    EXPECT_GT(polled.limit_ns, 0);
    EXPECT_LE(polled.limit_ns, 100'000'000);
    usleep(110'000);
    EXPECT_EQ(engine::end_poll(polled, false), POLLIN);
    EXPECT_THAT(ring.wait(1), testing::ElementsAre(Completes(1, -ETIME)));
}

// Another thread's sleep, or the program's own next call, leaves nothing behind.
TEST_F(PollCall, one_leads_and_is_relieved_by_its_own_next_call) {
    RawRing ring;
    const Pipe pipe;
    char byte = 0;
    ASSERT_THAT(ring.submit(sqe::read(pipe.read_end, &byte, 1).data(1)), Gives(1));
    engine::RingInPoll first = polled_for(ring, POLLIN), second = first;
    ASSERT_EQ(engine::begin_poll(first), 0);
    ASSERT_TRUE(first.leads);
    std::thread([&] {
        ASSERT_EQ(engine::begin_poll(second), 0);
        EXPECT_FALSE(second.leads);
        EXPECT_EQ(sleep_once(second, 1), 0);
    }).join();
    // As after a jump out of a signal's handler.
    ASSERT_EQ(engine::begin_poll(first), 0);
    EXPECT_TRUE(first.leads);
    ASSERT_EQ(write(pipe.write_end, "x", 1), 1);
    EXPECT_THAT(ring.wait(1), testing::ElementsAre(Completes(1, 1)));
    EXPECT_EQ(engine::end_poll(first, false), 0);
}

// One that never comes back is relieved by the helper, and told so should it sleep there still.
TEST_F(PollCall, one_that_stays_away_is_relieved) {
    RawRing ring;
    const Pipe pipe;
    char byte = 0;
    ASSERT_THAT(ring.submit(sqe::read(pipe.read_end, &byte, 1).data(1)), Gives(1));
    engine::RingInPoll polled = polled_for(ring, POLLIN);
    ASSERT_EQ(engine::begin_poll(polled), 0);
    ASSERT_TRUE(polled.leads);
    ASSERT_EQ(write(pipe.write_end, "x", 1), 1);
    pollfd nudge = {polled.nudge_fd, POLLIN, 0};
    EXPECT_EQ(poll(&nudge, 1, patience_ms), 1);
    EXPECT_TRUE(eventually([&] { return ring.cq_tail().load() == 1; }));
    EXPECT_EQ(engine::end_poll(polled, true), POLLIN);
    EXPECT_THAT(ring.wait(1), testing::ElementsAre(Completes(1, 1)));
    // The next time it has seen that.
    ASSERT_EQ(engine::begin_poll(polled), 0);
    EXPECT_EQ(sleep_once(polled, 1), 0);
}

TEST_F(PollCall, ring_that_is_closed_meanwhile_is_none) {
    engine::RingInPoll polled;
    {
        RawRing ring;
        polled = polled_for(ring, POLLIN);
        ASSERT_EQ(engine::begin_poll(polled), 0);
    }
    EXPECT_EQ(engine::end_poll(polled, false), POLLNVAL);
    EXPECT_EQ(engine::begin_poll(polled), POLLNVAL);
}

}  // namespace
}  // namespace ringside::test
