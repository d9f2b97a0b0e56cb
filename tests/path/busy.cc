// A program whose calls all find something to return with, so that none of them ever sleeps: what else it waits for
// completes all the same. The engine looked what is ready only where a call slept, and such a program never heard of
// it.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/eventually.h"
#include "support/files.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

constexpr uint64_t awaited = 7;

// How such a program goes on: the flags of its ring, and those of its calls.
struct Habit {
    const char* name;
    unsigned setup_flags;
    unsigned enter_flags;
};

class BusyProgram : public testing::TestWithParam<Habit> {
  protected:
    // Submits one NOP after the other, and reaps, until the completion comes or patience ends.
    bool hears_while_busy() {
        const Stopwatch watch;
        while (watch.elapsed_ms() < patience_ms) {
            ring_.push(sqe::nop());
            EXPECT_THAT(ring_.enter(1, 1, GetParam().enter_flags), Gives(1));
            for (const Cqe& cqe : ring_.reap()) {
                if (cqe.user_data == awaited) return true;
            }
        }
        return false;
    }

    // Long enough for whoever looks after rings in the program's stead to see that it is around.
    void be_busy_for_a_while() {
        for (const Stopwatch watch; watch.elapsed_ms() < 20;) {
            ring_.push(sqe::nop());
            EXPECT_THAT(ring_.enter(1, 1, GetParam().enter_flags), Gives(1));
            ring_.reap();
        }
    }

    RawRing ring_{8, GetParam().setup_flags};
};

TEST_P(BusyProgram, hears_of_a_file_that_is_ready) {
    const Pipe pipe;
    char byte;
    EXPECT_THAT(ring_.submit(sqe::read(pipe.read_end, &byte, 1).data(awaited)), Gives(1));
    be_busy_for_a_while();
    EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
    EXPECT_TRUE(hears_while_busy());
}

TEST_P(BusyProgram, hears_of_time_that_is_over) {
    const __kernel_timespec time = milliseconds_of(50);
    EXPECT_THAT(ring_.submit(sqe::timeout(&time).data(awaited)), Gives(1));
    EXPECT_TRUE(hears_while_busy());
}

INSTANTIATE_TEST_SUITE_P(Each, BusyProgram,
                         testing::Values(Habit{"waits_for_one", 0, IORING_ENTER_GETEVENTS}, Habit{"only_submits", 0, 0},
                                         Habit{"runs_its_work_itself",
                                               IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
                                               IORING_ENTER_GETEVENTS}),
                         [](const auto& one) { return one.param.name; });

}  // namespace
}  // namespace ringside::test
