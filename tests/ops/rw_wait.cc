// Reads and writes that have to wait. They hold up nobody: neither the submission that they are part of, nor requests
// on other files, nor those on the same file that can go on.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "support/eventually.h"
#include "support/files.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

// The ways to have two connected ends; what is written to `near` arrives at `far`.
struct Way {
    const char* name;
    Ends (*make)();
};

Ends pipe_ends() {
    Pipe pipe;
    return {std::move(pipe.write_end), std::move(pipe.read_end)};
}

constexpr Way ways[] = {
    {"pipe", pipe_ends},
    {"UNIX stream", [] { return unix_pair(SOCK_STREAM); }},
    {"UNIX datagram", [] { return unix_pair(SOCK_DGRAM); }},
    {"TCP", tcp_pair},
};

TEST(WaitingRead, completes_when_data_arrives) {
    for (const Way& way : ways) {
        SCOPED_TRACE(way.name);
        RawRing ring;
        const Ends ends = way.make();
        char buffer[8] = {};
        EXPECT_THAT(ring.submit(sqe::read(ends.far, buffer, 5).data(1)), Gives(1));
        EXPECT_THAT(ring.linger(5), IsEmpty());
        EXPECT_EQ(write(ends.near, "hello", 5), 5);
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 5)));
        EXPECT_STREQ(buffer, "hello");
    }
}

TEST(WaitingRead, gives_what_there_is_when_that_is_less) {
    for (const Way& way : ways) {
        SCOPED_TRACE(way.name);
        RawRing ring;
        const Ends ends = way.make();
        char buffer[64] = {};
        EXPECT_THAT(ring.submit(sqe::read(ends.far, buffer, sizeof(buffer)).data(1)), Gives(1));
        EXPECT_EQ(write(ends.near, "abc", 3), 3);
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 3)));
    }
}

TEST(WaitingRead, ends_with_zero_when_the_other_end_closes) {
    for (const Way& way : ways) {
        if (std::string(way.name) == "UNIX datagram") continue;  // which has no end of file
        SCOPED_TRACE(way.name);
        RawRing ring;
        Ends ends = way.make();
        char byte;
        EXPECT_THAT(ring.submit(sqe::read(ends.far, &byte, 1).data(1)), Gives(1));
        ends.near.reset();
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 0)));
    }
}

TEST(WaitingRead, does_not_hold_up_its_submission) {
    RawRing ring;
    const Pipe pipe;
    char byte;
    const Stopwatch watch;
    EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &byte, 1).data(1), sqe::nop().data(2),
                            sqe::read(pipe.read_end, &byte, 1).data(3), sqe::nop().data(4)),
                Gives(4));
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(2, 0), Completes(4, 0)));
    EXPECT_LT(watch.elapsed_ms(), patience_ms / 2);
}

TEST(WaitingRead, does_not_hold_up_a_read_of_another_file) {
    RawRing ring;
    const Pipe silent;
    const Pipe ready;
    const Ends ends = tcp_pair();
    char bytes[3];
    EXPECT_EQ(write(ready.write_end, "x", 1), 1);
    EXPECT_THAT(ring.submit(sqe::read(silent.read_end, &bytes[0], 1).data(1), sqe::read(ends.far, &bytes[1], 1).data(2),
                            sqe::read(ready.read_end, &bytes[2], 1).data(3)),
                Gives(3));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(3, 1)));
    EXPECT_EQ(write(ends.near, "y", 1), 1);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(2, 1)));
}

TEST(WaitingRead, with_the_async_flag_holds_up_nobody_either) {
    RawRing ring;
    const Pipe pipe;
    char bytes[2];
    EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &bytes[0], 1).data(1).flag(IOSQE_ASYNC), sqe::nop().data(2),
                            sqe::read(pipe.read_end, &bytes[1], 1).data(3).flag(IOSQE_ASYNC)),
                Gives(3));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(2, 0)));
    EXPECT_EQ(write(pipe.write_end, "xy", 2), 2);
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, 1), Completes(3, 1)));
}

TEST(WaitingRead, of_a_file_that_does_not_block_waits_all_the_same) {
    // O_NONBLOCK is about the program's own calls; RWF_NOWAIT is how a request says that it does not want to wait.
    for (const unsigned flag : {0U, IOSQE_ASYNC}) {
        RawRing ring;
        const Pipe pipe(O_NONBLOCK);
        const Ends ends = unix_pair(SOCK_STREAM | SOCK_NONBLOCK);
        char bytes[2];
        EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &bytes[0], 1).data(1).flag(flag),
                                sqe::read(ends.far, &bytes[1], 1).data(2).flag(flag)),
                    Gives(2));
        EXPECT_THAT(ring.linger(10), IsEmpty());
        EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 1)));
        EXPECT_EQ(write(ends.near, "y", 1), 1);
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(2, 1)));
    }
}

TEST(WaitingRead, each_takes_its_share_when_several_wait_on_one_file) {
    RawRing ring;
    const Pipe pipe;
    char bytes[4] = {};
    for (uint64_t index = 0; index < 4; ++index) {
        EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &bytes[index], 1).data(index)), Gives(1));
    }
    EXPECT_EQ(write(pipe.write_end, "a", 1), 1);
    EXPECT_EQ(ring.wait(1).size(), 1u);
    EXPECT_THAT(ring.linger(5), IsEmpty());
    EXPECT_EQ(write(pipe.write_end, "bcd", 3), 3);
    for (const Cqe& cqe : ring.wait(3)) EXPECT_THAT(cqe, Gives(1));
    std::string letters(bytes, 4);
    std::sort(letters.begin(), letters.end());
    EXPECT_EQ(letters, "abcd");
}

TEST(WaitingRead, sees_data_that_came_and_went_as_none) {
    // Somebody else reads what the request was woken for: it goes on waiting.
    RawRing ring;
    const Pipe pipe;
    char byte;
    EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &byte, 1).data(1)), Gives(1));
    for (int round = 0; round < 20; ++round) {
        EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
        if (pipe.drain() == 0) {
            // The request was quicker.
            EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 1)));
            EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &byte, 1).data(1)), Gives(1));
        }
    }
    EXPECT_THAT(ring.linger(5), IsEmpty());
    EXPECT_EQ(write(pipe.write_end, "y", 1), 1);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 1)));
    EXPECT_EQ(byte, 'y');
}

TEST(WaitingRead, can_be_cancelled) {
    for (const Way& way : ways) {
        SCOPED_TRACE(way.name);
        RawRing ring;
        const Ends ends = way.make();
        char byte = '-';
        EXPECT_THAT(ring.submit(sqe::read(ends.far, &byte, 1).data(1)), Gives(1));
        EXPECT_THAT(ring.submit(sqe::cancel(1).data(2)), Gives(1));
        EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, -ECANCELED), Completes(2, 0)));
        // What arrives afterwards is left for others.
        EXPECT_EQ(write(ends.near, "x", 1), 1);
        char other = 0;
        EXPECT_THAT(ring.run(sqe::read(ends.far, &other, 1).data(3)), Gives(1));
        EXPECT_EQ(byte, '-');
        EXPECT_EQ(other, 'x');
    }
}

TEST(WaitingRead, with_the_async_flag_can_be_cancelled) {
    RawRing ring;
    const Pipe pipe;
    char byte;
    EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &byte, 1).data(1).flag(IOSQE_ASYNC)), Gives(1));
    sleep_ms(10);
    EXPECT_THAT(ring.submit(sqe::cancel(1).data(2)), Gives(1));
    const std::vector<Cqe> completions = ring.wait(2);
    // A worker that blocks in the read is interrupted (EALREADY, EINTR); a request that waits for readiness, or has not
    // been taken by a worker yet, is cancelled outright.
    const auto interrupted = UnorderedElementsAre(Completes(1, -EINTR), Completes(2, -EALREADY));
    const auto cancelled = UnorderedElementsAre(Completes(1, -ECANCELED), Completes(2, 0));
    EXPECT_THAT(completions, testing::AnyOf(interrupted, cancelled));
}

TEST(WaitingWrite, completes_when_there_is_room) {
    RawRing ring;
    const Pipe pipe;
    const size_t filled = pipe.fill();
    EXPECT_THAT(ring.submit(sqe::write(pipe.write_end, "hello", 5).data(1), sqe::nop().data(2)), Gives(2));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(2, 0)));
    EXPECT_THAT(ring.linger(5), IsEmpty());
    const size_t drained = pipe.drain();
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 5)));
    EXPECT_EQ(drained + pipe.drain(), filled + 5);
}

TEST(WaitingWrite, to_a_full_socket_completes_when_there_is_room) {
    RawRing ring;
    const Ends ends = unix_pair(SOCK_STREAM);
    const std::string page(4096, 'x');
    while (send(ends.near, page.data(), page.size(), MSG_DONTWAIT) > 0) continue;
    EXPECT_THAT(ring.submit(sqe::write(ends.near, "hello", 5).data(1), sqe::nop().data(2)), Gives(2));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(2, 0)));
    char chunk[4096];
    while (recv(ends.far, chunk, sizeof(chunk), MSG_DONTWAIT) > 0) continue;
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 5)));
}

// It was made in place, where it blocked the submitter, and the ring with it.
TEST(WaitingWrite, of_nothing_to_a_socket_without_room_waits_like_any_other) {
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends), 0);
    const Fd near(ends[0]), far(ends[1]);
    int sent = 0;
    while (::send(near, "full", 4, MSG_DONTWAIT) == 4) ++sent;
    RawRing ring;
    EXPECT_THAT(ring.submit(sqe::write(near, nullptr, 0).data(1)), Gives(1));
    EXPECT_EQ(ring.ready(), 0u);
    char data[8];
    for (; sent > 0; --sent) EXPECT_EQ(::recv(far, data, sizeof(data), 0), 4);
    EXPECT_THAT(ring.wait(1), testing::ElementsAre(Completes(1, 0)));
    EXPECT_EQ(::recv(far, data, sizeof(data), MSG_DONTWAIT), 0);
}

TEST(WaitingWrite, of_more_than_a_pipe_holds_is_short_or_goes_on_but_loses_nothing) {
    RawRing ring;
    const Pipe pipe;
    const size_t capacity = static_cast<size_t>(fcntl(pipe.write_end, F_GETPIPE_SZ));
    const std::string content(2 * capacity, 'x');
    EXPECT_THAT(ring.submit(sqe::write(pipe.write_end, content.data(), static_cast<uint32_t>(content.size())).data(1)),
                Gives(1));
    // A write that does not block ends where the pipe is full; one in a worker waits for the rest.
    size_t received = 0;
    EXPECT_TRUE(eventually([&] {
        received += pipe.drain();
        return ring.ready() == 1;
    }));
    const std::vector<Cqe> completions = ring.wait(1);
    received += pipe.drain();
    ASSERT_EQ(completions.size(), 1u);
    EXPECT_GE(completions[0].res, static_cast<int>(capacity));
    EXPECT_EQ(static_cast<size_t>(completions[0].res), received);
}

TEST(WaitingWrite, to_a_file_that_does_not_block_waits_all_the_same) {
    RawRing ring;
    const Pipe pipe(O_NONBLOCK);
    pipe.fill();
    EXPECT_THAT(ring.submit(sqe::write(pipe.write_end, "x", 1).data(1)), Gives(1));
    EXPECT_THAT(ring.linger(5), IsEmpty());
    pipe.drain();
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 1)));
}

TEST(WaitingWrite, fails_instead_when_its_flags_forbid_it_to_wait) {
    RawRing ring;
    const Pipe pipe;
    pipe.fill();
    EXPECT_THAT(ring.run(sqe::write(pipe.write_end, "x", 1).set(&Sqe::rw_flags, RWF_NOWAIT)), Gives(-EAGAIN));
}

TEST(WaitingWrite, ends_with_epipe_when_the_reader_goes) {
    RawRing ring;
    Pipe pipe;
    pipe.fill();
    signal(SIGPIPE, SIG_IGN);
    EXPECT_THAT(ring.submit(sqe::write(pipe.write_end, "x", 1).data(1)), Gives(1));
    pipe.read_end.reset();
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, -EPIPE)));
    signal(SIGPIPE, SIG_DFL);
}

TEST(WaitingWrite, that_ends_with_epipe_while_nobody_enters_raises_a_signal_in_the_kernel_alone) {
    // Held back, so that it can be looked for.
    sigset_t sigpipe, before, pending;
    sigemptyset(&sigpipe);
    sigaddset(&sigpipe, SIGPIPE);
    ASSERT_EQ(pthread_sigmask(SIG_BLOCK, &sigpipe, &before), 0);
    RawRing ring;
    Pipe pipe;
    pipe.fill();
    EXPECT_THAT(ring.submit(sqe::write(pipe.write_end, "x", 1).data(1)), Gives(1));
    pipe.read_end.reset();
    EXPECT_THAT(ring.watch(1), ElementsAre(Completes(1, -EPIPE)));
    EXPECT_EQ(sigpending(&pending), 0);
    EXPECT_EQ(sigismember(&pending, SIGPIPE), provider_under_test() == provider::Kind::kernel);
    const timespec at_once = {0, 0};
    sigtimedwait(&sigpipe, nullptr, &at_once);
    EXPECT_EQ(pthread_sigmask(SIG_SETMASK, &before, nullptr), 0);
}

TEST(WaitingWrite, can_be_cancelled) {
    RawRing ring;
    const Pipe pipe;
    pipe.fill();
    EXPECT_THAT(ring.submit(sqe::write(pipe.write_end, "x", 1).data(1)), Gives(1));
    EXPECT_THAT(ring.submit(sqe::cancel(1).data(2)), Gives(1));
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, -ECANCELED), Completes(2, 0)));
}

TEST(WaitingRead, and_write_on_one_socket_do_not_hinder_each_other) {
    RawRing ring;
    const Ends ends = tcp_pair();
    char buffer[8] = {};
    EXPECT_THAT(ring.submit(sqe::read(ends.near, buffer, 5).data(1)), Gives(1));
    EXPECT_THAT(ring.run(sqe::write(ends.near, "there", 5).data(2)), Gives(5));
    char there[8] = {};
    EXPECT_THAT(ring.run(sqe::read(ends.far, there, 5).data(3)), Gives(5));
    EXPECT_STREQ(there, "there");
    EXPECT_EQ(write(ends.far, "again", 5), 5);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 5)));
    EXPECT_STREQ(buffer, "again");
}

TEST(WaitingRead, echoes_over_many_connections_at_once) {
    constexpr uint64_t connections = 50;
    RawRing ring(128);
    std::vector<Ends> ends;
    for (uint64_t index = 0; index < connections; ++index) ends.push_back(unix_pair(SOCK_STREAM));
    std::vector<char> bytes(connections);
    for (int round = 0; round < 5; ++round) {
        for (uint64_t index = 0; index < connections; ++index) {
            ring.push(sqe::read(ends[index].far, &bytes[index], 1).data(index));
        }
        EXPECT_THAT(ring.submit_pushed(connections), Gives(connections));
        for (uint64_t index = connections; index-- > 0;) {
            const char byte = static_cast<char>(index + static_cast<uint64_t>(round));
            ring.push(sqe::write(ends[index].near, &byte, 1).data(1000 + index));
            EXPECT_THAT(ring.submit_pushed(1), Gives(1));
        }
        for (const Cqe& cqe : ring.wait(2 * connections)) EXPECT_THAT(cqe, Gives(1));
        for (uint64_t index = 0; index < connections; ++index) {
            EXPECT_EQ(bytes[index], static_cast<char>(index + static_cast<uint64_t>(round)));
        }
    }
}

}  // namespace
}  // namespace ringside::test
