// One thread waits for completions, another causes them, and requests wait for files meanwhile.
//
// The submitter looked now and then what was ready, and so took the event by which the waiter was to be woken out of
// the set that the waiter slept in. Everybody went on to count on that event: the waiter slept over its completions
// until a file became ready. It happened within some thousand round trips.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include "support/eventually.h"
#include "support/files.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

constexpr unsigned getevents = IORING_ENTER_GETEVENTS;
constexpr uint64_t stop = 1'000'000, by_file = 1'000'001, never = 1'000'002;

// How completions are caused, and by how many threads they are waited for.
struct Shape {
    const char* name;
    unsigned waiters;
    bool events;    // the submitter asks for completions, though for none to wait for
    bool eventfds;  // every other completion is that of a poll of an eventfd, which the submitter raises
};

class WakeUps : public testing::TestWithParam<Shape> {
  protected:
    RawRing ring{64};
    const Pipe pipe;
    const Fd eventfd{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    char bytes[32];
    std::mutex reaping;
    std::atomic<uint64_t> reaped = 0;

    // Requests that wait all the time.
    void arm() {
        for (char& byte : bytes) {
            ASSERT_THAT(ring.submit(sqe::read(pipe.read_end, &byte, 1).data(never)), Gives(1));
        }
        if (!GetParam().eventfds) return;
        ASSERT_THAT(ring.submit(sqe::poll_add(eventfd, POLLIN).set(&Sqe::len, IORING_POLL_ADD_MULTI).data(by_file)),
                    Gives(1));
    }

    // Until it finds that it is to stop, which it tells the next. (One told all of them could take what was meant for
    // another that has yet to wait.)
    void wait() {
        for (bool stopped = false; !stopped;) {
            const __kernel_timespec limit = milliseconds_of(3 * patience_ms);
            io_uring_getevents_arg arg = {};
            arg.ts = address_of(&limit);
            EXPECT_THAT(ring.enter(0, 1, getevents | IORING_ENTER_EXT_ARG, &arg, sizeof(arg)), Gives(0));
            const std::lock_guard guard(reaping);
            for (const Cqe& cqe : ring.reap()) {
                if (cqe.user_data == never || cqe.user_data == stop) {
                    stopped = true;
                } else {
                    ++reaped;
                }
            }
            if (stopped) tell_to_stop();
        }
    }

    void tell_to_stop() { EXPECT_THAT(ring.submit(sqe::nop().data(stop)), Gives(1)); }

    void cause(uint64_t number) {
        if (GetParam().eventfds && number % 2 != 0) {
            EXPECT_EQ(eventfd_write(eventfd, 1), 0);
            return;
        }
        ring.push(sqe::nop().data(number));
        EXPECT_THAT(ring.enter(1, 0, GetParam().events ? getevents : 0), Gives(1));
    }
};

INSTANTIATE_TEST_SUITE_P(Shapes, WakeUps,
                         testing::Values(Shape{"of_a_waiter", 1, false, false},
                                         Shape{"of_two_waiters", 2, false, false},
                                         Shape{"by_calls_for_completions", 1, true, false},
                                         Shape{"by_eventfds", 1, false, true}),
                         [](const auto& shape) { return std::string(shape.param.name); });

TEST_P(WakeUps, are_not_lost_to_the_thread_that_submits) {
    constexpr uint64_t round_trips = 5000;
    arm();
    std::vector<std::thread> waiters;
    for (unsigned count = 0; count < GetParam().waiters; ++count) waiters.emplace_back([this] { wait(); });
    bool lost = false;
    for (uint64_t number = 0; number < round_trips && !lost; ++number) {
        const int64_t began_ns = now_ns();
        cause(number);
        while (reaped <= number && !lost) {
            sched_yield();
            lost = now_ns() - began_ns > patience_ms / 2 * 1'000'000;
        }
        if (lost) ADD_FAILURE() << "the wake-up of round trip " << number << " was lost";
    }
    {
        const std::lock_guard guard(reaping);
        tell_to_stop();
    }
    // Whoever sleeps on wakes of this.
    if (lost) {
        EXPECT_EQ(write(pipe.write_end, bytes, sizeof(bytes)), static_cast<ssize_t>(sizeof(bytes)));
    }
    for (std::thread& waiter : waiters) waiter.join();
}

}  // namespace
}  // namespace ringside::test
