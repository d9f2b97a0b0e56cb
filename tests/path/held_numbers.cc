// Programs that put files at numbers of their own choosing (dup2(2)), as shells do, while requests are in flight. The
// numbers may be the engine's.
//
// Once a request went on with the file that had taken the place of the engine's duplicate: it received a stranger's
// data. Later the engine closed the stranger's file.

#include <errno.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "path/at_work.h"
#include "support/eventually.h"
#include "support/files.h"
#include "support/process.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::string name_of_mode(const testing::TestParamInfo<unsigned>& mode) {
    return mode.param == deferred ? "deferred" : "plain";
}

int64_t cpu_time_ms() { return now_ns(CLOCK_PROCESS_CPUTIME_ID) / 1'000'000; }

// --- dup2 -----------------------------------------------------------------------------------------------------------

// A stranger's socket at each number between 3 and 1,100 that the program has not got itself.
class EveryNumberIsAStrangers : public testing::TestWithParam<unsigned> {
  protected:
    static constexpr int last = 1100;

    const std::vector<int> of_others = open_numbers();
    RawRing ring{16, GetParam()};
    Ends own = unix_pair(SOCK_STREAM);
    Ends stranger = unix_pair(SOCK_STREAM);
    Pipe pipe;
    Fd file = file_with("content");
    char received[8] = {}, read_by_worker[8] = {};
    std::vector<int> taken;

    static std::vector<int> open_numbers() {
        std::vector<int> open;
        for (int fd = 0; fd <= last; ++fd) {
            if (fcntl(fd, F_GETFD) >= 0) open.push_back(fd);
        }
        return open;
    }
    bool is_programs(int number) const {
        const std::vector<int> made = {ring.fd(),    own.near,      own.far,        stranger.near,
                                       stranger.far, pipe.read_end, pipe.write_end, file};
        return std::count(made.begin(), made.end(), number) + std::count(of_others.begin(), of_others.end(), number) >
               0;
    }
    void take_every_number() {
        for (int number = 3; number <= last; ++number) {
            if (is_programs(number)) continue;
            ASSERT_EQ(dup2(stranger.near, number), number);
            taken.push_back(number);
        }
    }
    void TearDown() override {
        for (const int number : taken) ::close(number);
    }
    void submit_receive() { ASSERT_THAT(ring.submit(receive(own.near, received, sizeof(received)).data(1)), Gives(1)); }
    void tell_stranger() { ASSERT_EQ(send(stranger.far, "OTHER", 5, MSG_NOSIGNAL), 5); }
    void expect_own_data() {
        EXPECT_THAT(ring.linger(), IsEmpty());
        ASSERT_EQ(send(own.far, "mine", 4, MSG_NOSIGNAL), 4);
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 4)));
        EXPECT_STREQ(received, "mine");
    }
    void expect_stranger_keeps_its_own() {
        char its[16] = {};
        EXPECT_EQ(recv(stranger.near, its, sizeof(its), MSG_DONTWAIT), 5);
        EXPECT_STREQ(its, "OTHER");
        // And nobody sent it anything.
        EXPECT_EQ(recv(stranger.far, its, sizeof(its), MSG_DONTWAIT), -1);
        EXPECT_EQ(errno, EAGAIN);
    }
    void expect_numbers_still_strangers() {
        struct stat wanted, found;
        ASSERT_EQ(fstat(stranger.near, &wanted), 0);
        for (const int number : taken) {
            ASSERT_EQ(fstat(number, &found), 0) << number;
            ASSERT_EQ(found.st_ino, wanted.st_ino) << number;
        }
    }
};

INSTANTIATE_TEST_SUITE_P(Modes, EveryNumberIsAStrangers, testing::Values(0U, deferred), name_of_mode);

TEST_P(EveryNumberIsAStrangers, while_a_receive_waits_for_its_own_data) {
    submit_receive();
    take_every_number();
    tell_stranger();
    expect_own_data();
    expect_stranger_keeps_its_own();
    expect_numbers_still_strangers();
}

TEST_P(EveryNumberIsAStrangers, before_anything_is_requested) {
    take_every_number();
    tell_stranger();
    submit_receive();
    expect_own_data();
    expect_stranger_keeps_its_own();
    expect_numbers_still_strangers();
}

TEST_P(EveryNumberIsAStrangers, and_stays_so_when_the_ring_is_closed) {
    submit_receive();
    ASSERT_THAT(ring.submit(sqe::read(pipe.read_end, read_by_worker, 8).data(2).flag(IOSQE_ASYNC)), Gives(1));
    take_every_number();
    tell_stranger();
    EXPECT_EQ(ring.close(), 0);
    // A little later, for threads that end behind the ring.
    sleep_ms(20);
    expect_numbers_still_strangers();
    expect_stranger_keeps_its_own();
}

TEST_P(EveryNumberIsAStrangers, while_a_worker_reads_and_another_syncs) {
    submit_receive();
    ASSERT_THAT(ring.submit(sqe::read(pipe.read_end, read_by_worker, 8).data(2).flag(IOSQE_ASYNC)), Gives(1));
    EXPECT_THAT(ring.linger(), IsEmpty());
    take_every_number();
    tell_stranger();
    ASSERT_EQ(write(pipe.write_end, "worker", 6), 6);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(2, 6)));
    EXPECT_STREQ(read_by_worker, "worker");
    ASSERT_THAT(ring.submit(sqe::fsync(file).data(3).flag(IOSQE_ASYNC)), Gives(1));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(3, 0)));
    expect_own_data();
    expect_stranger_keeps_its_own();
    expect_numbers_still_strangers();
}

TEST_P(EveryNumberIsAStrangers, and_nothing_spins) {
    submit_receive();
    take_every_number();
    const int64_t before_ms = cpu_time_ms();
    sleep_ms(1000);
    EXPECT_LT(cpu_time_ms() - before_ms, 200);
    expect_own_data();
}

}  // namespace
}  // namespace ringside::test
