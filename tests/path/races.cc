// Two things that happen at the same moment, again and again: whichever comes first, every request ends with exactly
// one completion and so does every canceller.
//
// RINGSIDE_RACES sets how many turns each race takes (make races: 100,000). By default the dearer a turn, the fewer.
#include <errno.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "path/rival.h"
#include "support/eventually.h"
#include "support/files.h"
#include "support/process.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

using testing::AnyOf;
using testing::Eq;

constexpr unsigned link = IOSQE_IO_LINK;

// The canceller's answer goes with what became of its target: 0 means that it was cancelled, -ENOENT that it was past
// that, -EALREADY either.
//
// The kernel looks for a target that a worker has in several places, one after the other. A worker that has just taken
// it is told to stop, and ends it with -ECANCELED; has it done so before the last of these looks, then that one finds
// nothing, and the answer is -ENOENT.
void expect_consistent(int cancelled, int target, int undisturbed, bool by_worker = false) {
    const bool may_miss = by_worker && provider_under_test() == provider::Kind::kernel;
    if (cancelled == 0) {
        EXPECT_EQ(target, -ECANCELED);
    } else if (cancelled == -ENOENT) {
        EXPECT_THAT(target, AnyOf(Eq(undisturbed), Eq(may_miss ? -ECANCELED : undisturbed)));
    } else {
        EXPECT_EQ(cancelled, -EALREADY);
        EXPECT_THAT(target, AnyOf(Eq(-ECANCELED), Eq(-EINTR), Eq(undisturbed)));
    }
}

class Race : public testing::TestWithParam<unsigned> {
  protected:
    RawRing ring{64, GetParam()};
    const Pipe pipe;
    char byte = 0;

    void expect_nothing_more() {
        ring.enter(0, 0, IORING_ENTER_GETEVENTS);
        EXPECT_EQ(ring.ready(), 0u);
    }
    void race_cancel_against_data(unsigned read_flags, unsigned count) {
        Rival writer([&] { EXPECT_EQ(write(pipe.write_end, "x", 1), 1); });
        for (; count > 0 && !HasFailure(); --count) {
            ASSERT_THAT(ring.submit(sqe::read(pipe.read_end, &byte, 1).data(1).flag(read_flags)), Gives(1));
            writer.begin();
            ASSERT_THAT(ring.submit(sqe::cancel(1).data(2)), Gives(1));
            const std::vector<Cqe> completions = ring.wait(2);
            writer.await();
            ASSERT_EQ(completions.size(), 2u);
            const int read_result = completion_of(completions, 1)->res;
            expect_consistent(completion_of(completions, 2)->res, read_result, 1, read_flags & IOSQE_ASYNC);
            // The byte is either in the program's hands or in the pipe, never lost.
            ASSERT_EQ(pipe.drain(), read_result == 1 ? 0u : 1u);
        }
        expect_nothing_more();
    }
};

INSTANTIATE_TEST_SUITE_P(Modes, Race, testing::Values(0U, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN),
                         [](const testing::TestParamInfo<unsigned>& mode) {
                             return std::string(mode.param == 0 ? "plain" : "deferred");
                         });

TEST_P(Race, cancellation_of_a_poll_against_its_readiness) {
    Rival writer([&] { EXPECT_EQ(write(pipe.write_end, "x", 1), 1); });
    for (unsigned turn = turns(7); turn > 0 && !HasFailure(); --turn) {
        ASSERT_THAT(ring.submit(sqe::poll_add(pipe.read_end, POLLIN).data(1)), Gives(1));
        writer.begin();
        ASSERT_THAT(ring.submit(sqe::cancel(1).data(2)), Gives(1));
        const std::vector<Cqe> completions = ring.wait(2);
        writer.await();
        ASSERT_EQ(completions.size(), 2u);
        expect_consistent(completion_of(completions, 2)->res, completion_of(completions, 1)->res, POLLIN);
        pipe.drain();
    }
    expect_nothing_more();
}

TEST_P(Race, cancellation_of_a_read_against_its_data) { race_cancel_against_data(0, turns(7)); }

TEST_P(Race, cancellation_of_a_workers_read_against_its_data) { race_cancel_against_data(IOSQE_ASYNC, turns(16)); }

TEST_P(Race, cancellation_of_a_timeout_against_its_time) {
    for (unsigned turn = turns(8); turn > 0 && !HasFailure(); --turn) {
        const __kernel_timespec time = {0, turn % 64 * 1000};
        ASSERT_THAT(ring.submit(sqe::timeout(&time).data(1)), Gives(1));
        dawdle(turn * 13 % 3000);
        ASSERT_THAT(ring.submit(sqe::timeout_remove(1).data(2)), Gives(1));
        const std::vector<Cqe> completions = ring.wait(2);
        ASSERT_EQ(completions.size(), 2u);
        expect_consistent(completion_of(completions, 2)->res, completion_of(completions, 1)->res, -ETIME);
    }
    expect_nothing_more();
}

TEST_P(Race, counting_timeout_against_the_completion_it_counts) {
    for (unsigned turn = turns(8); turn > 0 && !HasFailure(); --turn) {
        const __kernel_timespec time = {0, turn % 64 * 500};
        ASSERT_THAT(ring.submit(sqe::timeout(&time, 1).data(1)), Gives(1));
        dawdle(turn * 13 % 1500);
        ASSERT_THAT(ring.submit(sqe::nop().data(2)), Gives(1));
        const std::vector<Cqe> completions = ring.wait(2);
        ASSERT_EQ(completions.size(), 2u);
        EXPECT_THAT(completion_of(completions, 1)->res, AnyOf(Eq(-ETIME), Eq(0)));
        EXPECT_EQ(completion_of(completions, 2)->res, 0);
    }
    expect_nothing_more();
}

TEST_P(Race, link_timeout_against_the_data_of_its_read) {
    Rival writer([&] { EXPECT_EQ(write(pipe.write_end, "x", 1), 1); });
    for (unsigned turn = turns(8); turn > 0 && !HasFailure(); --turn) {
        const __kernel_timespec time = {0, 20'000 + turn % 64 * 1000};
        ring.push(sqe::read(pipe.read_end, &byte, 1).data(1).flag(link));
        ring.push(sqe::timeout(&time).set(&Sqe::opcode, IORING_OP_LINK_TIMEOUT).data(2).flag(link));
        ring.push(sqe::nop().data(3));
        ASSERT_THAT(ring.enter(3), Gives(3));
        writer.begin();
        const std::vector<Cqe> completions = ring.wait(3);
        writer.await();
        ASSERT_EQ(completions.size(), 3u);
        const int read_result = completion_of(completions, 1)->res;
        const int timeout_result = completion_of(completions, 2)->res;
        // One that expires while the data comes may be too late in several ways.
        if (read_result == 1) {
            EXPECT_THAT(timeout_result, AnyOf(Eq(-ECANCELED), Eq(-ETIME), Eq(-ENOENT), Eq(-EALREADY)));
        } else {
            EXPECT_EQ(read_result, -ECANCELED);
            EXPECT_THAT(timeout_result, AnyOf(Eq(-ETIME), Eq(-EALREADY)));
        }
        EXPECT_EQ(completion_of(completions, 3)->res, read_result == 1 ? 0 : -ECANCELED);
        ASSERT_EQ(pipe.drain(), read_result == 1 ? 0u : 1u);
    }
    expect_nothing_more();
}

TEST_P(Race, close_of_a_descriptor_against_data_for_a_read_on_it) {
    // The read goes on without the descriptor; the number means another file at once.
    for (unsigned turn = turns(16); turn > 0 && !HasFailure(); --turn) {
        Pipe victim;
        ASSERT_THAT(ring.submit(sqe::read(victim.read_end, &byte, 1).data(1)), Gives(1));
        ASSERT_EQ(write(victim.write_end, "y", 1), 1);
        const int number = victim.read_end;
        victim.read_end.reset();
        const Fd other(dup(pipe.read_end));
        ASSERT_EQ(other, number);
        const std::vector<Cqe> completions = ring.wait(1);
        ASSERT_EQ(completions.size(), 1u);
        EXPECT_THAT(completions[0], Completes(1, 1));
        EXPECT_EQ(byte, 'y');
    }
    expect_nothing_more();
}

TEST(RaceOfRings, close_of_a_ring_against_data_for_its_reads) {
    const Pipe pipe;
    Rival writer([&] { EXPECT_EQ(write(pipe.write_end, "xx", 2), 2); });
    char bytes[2];
    for (unsigned turn = turns(64); turn > 0 && !testing::Test::HasFailure(); --turn) {
        const unsigned flags = turn % 2 == 0 ? 0 : IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
        RawRing ring(8, flags);
        const __kernel_timespec time = {0, turn % 64 * 1000};
        ASSERT_THAT(ring.submit(sqe::read(pipe.read_end, &bytes[0], 1).data(1),
                                sqe::read(pipe.read_end, &bytes[1], 1).data(2).flag(turn % 4 < 2 ? IOSQE_ASYNC : 0),
                                sqe::timeout(&time).data(3)),
                    Gives(3));
        writer.begin();
        ASSERT_EQ(ring.close(), 0);
        writer.await();
        pipe.drain();
    }
}

// A UNIX listener without a name in the file system, and what is connected to it.
struct Listener {
    Listener() : fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        EXPECT_EQ(bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(sa_family_t)), 0);
        EXPECT_EQ(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
        EXPECT_EQ(listen(fd, 8), 0);
    }
    void connect_and_leave() const {
        const Fd client(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        EXPECT_EQ(connect(client, reinterpret_cast<const sockaddr*>(&address), size), 0);
    }
    // Takes what nobody else did, or does at the same moment: the kernel's rings end a little after they are closed.
    void drain() const {
        fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK);
        while (Fd(accept(fd, nullptr, nullptr)).get() >= 0) continue;
        fcntl(fd, F_SETFL, O_RDWR);
    }
    Fd fd;
    sockaddr_un address = {AF_UNIX, {}};
    socklen_t size = sizeof(address);
};

// From here on no descriptor is open.
unsigned first_unused_fd() {
    constexpr unsigned enough = 1024;
    unsigned first = enough;
    while (first > 0 && fcntl(static_cast<int>(first) - 1, F_GETFD) < 0) --first;
    return first;
}

TEST(RaceOfRings, close_of_a_ring_against_a_connection_for_its_accept) {
    // A connection that came too late to be told of is nobody's to close. The engine does it, the kernel does not.
    const Listener listener;
    Rival client([&] { listener.connect_and_leave(); });
    const bool kernel = provider_under_test() == provider::Kind::kernel;
    const size_t descriptors = count_fds();
    const unsigned first_leaked = first_unused_fd();
    for (unsigned turn = turns(64); turn > 0 && !testing::Test::HasFailure(); --turn) {
        const unsigned flags = turn % 2 == 0 ? 0 : IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
        RawRing ring(8, flags);
        const unsigned multishot = turn % 4 < 2 ? IORING_ACCEPT_MULTISHOT : 0;
        const Sqe accept = Sqe(IORING_OP_ACCEPT, listener.fd).set(&Sqe::ioprio, multishot);
        client.begin();
        ASSERT_THAT(ring.submit(Sqe(accept).flag(turn % 8 < 4 ? IOSQE_ASYNC : 0)), Gives(1));
        dawdle(turn * 13 % 4000);
        ASSERT_EQ(ring.close(), 0);
        client.await();
        for (const Cqe& cqe : ring.reap()) Fd(cqe.res).reset();
        listener.drain();
        // Or there would be none left.
        if (kernel) close_range(first_leaked, ~0U, 0);
    }
    EXPECT_TRUE(kernel || eventually([&] { return count_fds() == descriptors; })) << count_fds() - descriptors;
}

TEST(RaceOfRings, close_of_a_ring_against_a_thread_that_enters_it) {
    const Pipe pipe;
    std::atomic<int> fd = -1;
    Rival submitter([&] {
        const int result = provider::enter(provider_under_test(), fd, 4, 0, 0, nullptr, 0);
        // A descriptor that is no ring any more is, for a moment, still a descriptor.
        EXPECT_THAT(result, AnyOf(Eq(4), Eq(-EBADF), Eq(-EOPNOTSUPP)));
    });
    static char bytes[2];
    for (unsigned turn = turns(64); turn > 0 && !testing::Test::HasFailure(); --turn) {
        RawRing ring(8);
        ring.push(sqe::read(pipe.read_end, &bytes[0], 1).data(1).flag(IOSQE_ASYNC));
        ring.push(sqe::read(pipe.read_end, &bytes[1], 1).data(2));
        ring.push(sqe::nop().data(3).flag(IOSQE_ASYNC));
        ring.push(sqe::fsync(pipe.read_end).data(4).flag(link));
        fd = ring.fd();
        submitter.begin();
        dawdle(turn * 13 % 4000);
        ASSERT_EQ(ring.close(), 0);
        submitter.await();
    }
}

TEST(RaceOfThreads, several_submit_while_one_reaps) {
    RawRing ring(64);
    const unsigned each = turns(4);
    constexpr unsigned threads = 3;
    std::mutex lock;
    const auto submit = [&](uint64_t base) {
        for (unsigned number = 0; number < each; ++number) {
            const std::lock_guard guard(lock);
            // The reaping thread is waited for when the queue of completions is nearly full.
            while (ring.ready() > 96) std::this_thread::yield();
            ASSERT_THAT(ring.submit(sqe::nop().data(base + number).flag(number % 64 == 0 ? IOSQE_ASYNC : 0)), Gives(1));
        }
    };
    std::vector<std::thread> submitters;
    for (uint64_t thread = 0; thread < threads; ++thread) submitters.emplace_back(submit, thread * each);
    std::vector<unsigned> seen(threads * each);
    for (unsigned count = 0; count < threads * each;) {
        const std::vector<Cqe> completions = ring.wait(1);
        if (completions.empty()) break;
        for (const Cqe& cqe : completions) ++seen[cqe.user_data];
        count += static_cast<unsigned>(completions.size());
    }
    for (std::thread& submitter : submitters) submitter.join();
    EXPECT_EQ(seen, std::vector<unsigned>(threads * each, 1));
    EXPECT_EQ(ring.ready(), 0u);
}

TEST(RaceOfThreads, one_cancels_what_another_thread_waits_for) {
    RawRing ring(64);
    const Pipe pipe;
    char byte;
    std::mutex lock;
    std::atomic<unsigned> turn_submitted = 0;
    const unsigned count = turns(16);
    std::thread canceller([&] {
        for (unsigned turn = 1; turn <= count; ++turn) {
            while (turn_submitted.load() < turn) std::this_thread::yield();
            const std::lock_guard guard(lock);
            ASSERT_THAT(ring.submit(sqe::cancel(1).data(2)), Gives(1));
        }
    });
    for (unsigned turn = 1; turn <= count; ++turn) {
        {
            const std::lock_guard guard(lock);
            ASSERT_THAT(ring.submit(sqe::read(pipe.read_end, &byte, 1).data(1)), Gives(1));
        }
        turn_submitted = turn;
        const std::vector<Cqe> completions = ring.wait(2);
        ASSERT_EQ(completions.size(), 2u);
        EXPECT_EQ(completion_of(completions, 1)->res, -ECANCELED);
        EXPECT_EQ(completion_of(completions, 2)->res, 0);
    }
    canceller.join();
    EXPECT_EQ(ring.ready(), 0u);
}

}  // namespace
}  // namespace ringside::test
