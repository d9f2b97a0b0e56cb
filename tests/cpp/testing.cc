// The deterministic Io: what a user's test looks like, that a seed does the same again, and that the sorts of bugs it
// is for are found. Outside of ringside's namespace, as a user's tests are.
#include "ringside/testing.hpp"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <deque>
#include <set>
#include <string>
#include <string_view>

#include "allocations.h"
#include "ringside/ringside.hpp"

namespace {

using namespace std::chrono_literals;
using ringside::Buffer, ringside::BufferPool, ringside::Descriptor, ringside::Result, ringside::Scope, ringside::Stream,
    ringside::Task, ringside::when_all, ringside::when_any, ringside::with_scope, ringside::with_timeout;
using ringside::testing::Exploration, ringside::testing::explore, ringside::testing::Io, ringside::testing::Outcome,
    ringside::testing::replay;
namespace async = ringside::async;

class TestingIo : public ringside::test::NothingLeaked {};
class PlantedBug : public ringside::test::NothingLeaked {};

std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span(text)); }
std::string text(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// The server of docs/coroutines.md, word for word.
Task<void> echo(Descriptor connection) {
    std::array<std::byte, 4096> buffer;
    for (;;) {
        const Result<size_t> got = co_await with_timeout(async::recv(connection, buffer), 60s);
        if (got.value_or(0) == 0) co_return;
        const Result<size_t> sent = co_await async::send_all(connection, std::span(buffer).first(*got));
        if (!sent) co_return;
    }
}

Task<int> serve(const Descriptor& listener) {
    co_return co_await with_scope([&](Scope& connections) -> Task<int> {
        for (;;) {
            Result<Descriptor> connection = co_await async::accept(listener);
            if (!connection) co_return connection.error();
            connections.spawn(echo(*std::move(connection)));
        }
    });
}

// The test of docs/testing_with_seeds.md.
TEST_F(TestingIo, tests_an_echo_server_in_a_dozen_lines) {
    const Outcome outcome = explore([](Io& io) -> Task<void> {
        auto [client, server] = io.socket_pair();
        const auto talk = [](Io& test, Descriptor socket) -> Task<void> {
            std::array<std::byte, 11> answer{};
            (void)co_await async::send_all(socket, bytes("hello there"));
            (void)co_await async::recv_all(socket, answer);
            test.expect(text(answer) == "hello there", "the echo is what was sent");
            socket = {};
        };
        co_await when_all(echo(std::move(server)), talk(io, std::move(client)));
    });
    EXPECT_TRUE(outcome.ok()) << outcome.report();
}

TEST_F(TestingIo, runs_a_server_with_many_connections) {
    const auto scenario = [](Io& io) -> Task<void> {
        const Descriptor listener = io.listener(80);
        co_await with_scope([&](Scope& scope) -> Task<void> {
            const auto server = [](const Descriptor& on) -> Task<void> { (void)co_await serve(on); };
            scope.spawn(server(listener));
            const auto client = [](Io& test, int number) -> Task<void> {
                const Descriptor socket = test.connect(80);
                const std::string sent(static_cast<size_t>(100 * number), static_cast<char>('a' + number));
                std::string got(sent.size(), '\0');
                (void)co_await async::send_all(socket, bytes(sent));
                (void)co_await async::recv_all(socket, std::as_writable_bytes(std::span(got)));
                test.expect(got == sent, "each client gets what it has sent");
            };
            std::vector<Task<void>> clients;
            for (int i = 1; i <= 5; i++) clients.push_back(client(io, i));
            co_await when_all(std::move(clients));
            scope.request_stop();
        });
    };
    const Outcome outcome = explore(scenario, Exploration{.seeds = 200});
    EXPECT_TRUE(outcome.ok()) << outcome.report();
}

TEST_F(TestingIo, does_the_same_again_for_the_same_seed) {
    const auto scenario = [](Io& io) -> Task<void> {
        auto [one, two] = io.socket_pair();
        const auto send = [](Descriptor& from) -> Task<void> {
            (void)co_await async::send_all(from, bytes(std::string(1000, 'x')));
            from = {};
        };
        std::array<std::byte, 2000> buffer;
        (void)co_await when_all(async::recv_all(two, buffer), send(one), with_timeout(async::poll(two, POLLIN), 5ms),
                                async::sleep(1s));
    };
    std::set<std::string> different;
    for (std::uint64_t seed = 0; seed < 50; seed++) {
        const Outcome first = replay(scenario, seed), second = replay(scenario, seed);
        EXPECT_TRUE(first.ok()) << first.failure;
        EXPECT_EQ(first.schedule, second.schedule);
        EXPECT_EQ(replay(scenario, first.decisions).schedule, first.schedule);
        std::string all;
        for (const std::string& sentence : first.schedule) all += sentence;
        different.insert(all);
    }
    EXPECT_GT(different.size(), 40u) << "seeds differ";
}

TEST_F(TestingIo, has_a_virtual_clock) {
    const Outcome outcome = explore(
        [](Io& io) -> Task<void> {
            const auto begin = io.now();
            (void)co_await async::sleep(24h);
            io.expect(io.now() - begin >= 24h && io.now() - begin < 25h, "a day has passed");
            (void)co_await async::sleep_until(begin + 48h);
            io.expect(io.now() - begin >= 48h, "and another");
            io.expect((co_await with_timeout(async::sleep(10min), 5min)).error() == ETIME, "five minutes are less");
            Stream<unsigned> ticks = async::tick_stream(1h);
            for (int i = 0; i < 5; i++) io.expect((co_await ticks.next()).ok(), "an hour");
        },
        Exploration{.seeds = 50});
    EXPECT_TRUE(outcome.ok()) << outcome.report();
}

TEST_F(TestingIo, has_files_pipes_and_sockets) {
    const Outcome outcome = explore(
        [](Io& io) -> Task<void> {
            io.add_file("/etc/motd", "0123456789");
            Result<Descriptor> file = co_await async::openat(AT_FDCWD, "/etc/motd", O_RDWR);
            std::array<std::byte, 6> buffer;
            io.expect((co_await async::read_all(*file, buffer, 2)).value_or(0) == 6 && text(buffer) == "234567",
                      "read");
            const auto [written, synced, closed] = co_await ringside::link(
                async::write_all(*file, bytes("AB"), 9), async::fsync(*file), async::close(*std::move(file)));
            io.expect(written.ok() && synced.ok() && closed.ok(), "a chain");
            io.expect(io.content_of("/etc/motd") == "012345678AB", "the file has grown");
            io.expect((co_await async::statx(AT_FDCWD, "/etc/motd")).value_or({}).stx_size == 11, "and says so");
            io.expect((co_await async::openat(AT_FDCWD, "/none", O_RDONLY)).error() == ENOENT, "no such file");
            Result<ringside::PipeEnds> pipe = co_await async::pipe();
            (void)co_await async::write_all(pipe->write_end, bytes("through"));
            pipe->write_end = {};
            std::array<std::byte, 20> rest;
            io.expect((co_await async::read_all(pipe->read_end, rest)).value_or(0) == 7, "what was written to a pipe");
            auto [near, far] = io.socket_pair();
            far = {};
            io.expect((co_await async::send(near, bytes("x"))).error() == EPIPE, "nobody is there");
            io.expect((co_await async::recv(near, buffer)).value_or(9) == 0, "nor says anything");
            io.expect((co_await async::fsync(-1)).error() == EBADF, "no descriptor");
        },
        Exploration{.seeds = 100});
    EXPECT_TRUE(outcome.ok()) << outcome.report();
}

TEST_F(TestingIo, has_streams_and_pools) {
    const auto scenario = [](Io& io) -> Task<void> {
        const Descriptor listener = io.listener(80);
        Stream<Descriptor> connections = async::accept_stream(listener);
        const BufferPool pool(io, 2, 16);
        for (int i = 0; i < 3; i++) {
            Descriptor client = io.connect(80);
            Result<Descriptor> server = co_await connections.next();
            io.expect(server.ok(), "a connection");
            if (!server) co_return;
            const auto send = [](Descriptor from) -> Task<void> {
                (void)co_await async::send_all(from, bytes("a text of more bytes than one buffer of the pool has"));
                from = {};
            };
            const auto receive = [](Io& test, const Descriptor& from, const BufferPool& buffers) -> Task<void> {
                std::string all;
                Stream<Buffer> stream = async::recv_stream(from, buffers);
                while (const Result<Buffer> part = co_await stream.next()) all += text(part->bytes());
                test.expect(stream.error() == 0, "the stream ends with the data");
                test.expect(all == "a text of more bytes than one buffer of the pool has", "all of it");
            };
            (void)co_await when_all(send(std::move(client)), receive(io, *server, pool));
        }
        io.expect(pool.free() == 2, "the buffers are back");
    };
    const Outcome outcome = explore(scenario, Exploration{.seeds = 200});
    EXPECT_TRUE(outcome.ok()) << outcome.report();
    ringside::testing::Faults faults;
    faults.errors = true;
    size_t interrupted = 0;
    for (std::uint64_t seed = 0; seed < 50; seed++) {
        if (!replay(scenario, seed, faults).ok()) ++interrupted;
    }
    EXPECT_GT(interrupted, 0u) << "errors are injected, and the scenario stands none";
}

TEST_F(TestingIo, cancels_at_every_moment_and_loses_nothing) {
    const Outcome outcome = explore([](Io& io) -> Task<void> {
        auto [near, far] = io.socket_pair();
        size_t received = 0;
        std::array<std::byte, 1> byte;
        (void)co_await async::send_all(near, bytes("0123456789"));
        near = {};
        for (;;) {
            const Result<size_t> got = co_await with_timeout(async::recv(far, byte), 100us);
            if (got.error() == ETIME) continue;
            io.expect(got.ok(), "nothing but a timeout");
            if (got.value_or(0) == 0) break;
            received += *got;
        }
        io.expect(received == 10, "each byte is received once");
    });
    EXPECT_TRUE(outcome.ok()) << outcome.report();
}

// The failure is found, comes again with its seed and with the decisions that were left of it.
template <typename Scenario>
void expect_found(Scenario scenario, std::string_view failure) {
    const Outcome outcome = explore(scenario);
    ASSERT_FALSE(outcome.ok()) << "not found by 1,000 seeds";
    EXPECT_NE(outcome.failure.find(failure), std::string::npos) << outcome.failure;
    EXPECT_LE(outcome.runs, 1000u);
    EXPECT_LE(outcome.decisions.size(), outcome.decisions_of_seed);
    const Outcome same_seed = replay(scenario, outcome.seed);
    EXPECT_FALSE(same_seed.ok());
    EXPECT_EQ(same_seed.schedule, replay(scenario, outcome.seed).schedule);
    const Outcome same_decisions = replay(scenario, outcome.decisions);
    EXPECT_EQ(same_decisions.failure, outcome.failure);
    EXPECT_EQ(same_decisions.schedule, outcome.schedule);
    EXPECT_NE(outcome.report().find(outcome.failure), std::string::npos);
}

template <typename Scenario>
void expect_fine(Scenario scenario) {
    const Outcome outcome = explore(scenario);
    EXPECT_TRUE(outcome.ok()) << outcome.report();
}

// Items for a task that sleeps while there are none, and is woken by a byte in a pipe.
struct Mailbox {
    std::deque<int> items;
    bool waiting = false;
    ringside::PipeEnds wake;
};

template <bool right>
Task<void> put(Mailbox& box, int item) {
    const bool waits_now = box.waiting;
    (void)co_await async::nop();  // a line for the log, say
    box.items.push_back(item);
    // Wrong: the reader may have fallen asleep meanwhile.
    if (right ? box.waiting : waits_now) (void)co_await async::write_all(box.wake.write_end, bytes("!"));
}

template <bool right>
Task<void> mail(Io& io) {
    Mailbox box;
    box.wake = *co_await async::pipe();
    const auto take = [](Mailbox& from, Io& test) -> Task<void> {
        (void)co_await async::nop();
        if (!from.items.empty()) co_return;
        std::array<std::byte, 1> wake;
        from.waiting = true;
        (void)co_await async::read(from.wake.read_end, wake);
        from.waiting = false;
        test.expect(!from.items.empty(), "who is woken finds an item");
    };
    (void)co_await when_all(put<right>(box, 7), take(box, io));
}

TEST_F(PlantedBug, a_lost_wake_up_is_found) {
    expect_found(mail<false>, "nothing can happen any more; these wait: request");
    expect_fine(mail<true>);
}

// Reads byte by byte, and does something else when none comes for a while.
template <bool right>
Task<void> read_with_pauses(Io& io) {
    auto [near, far] = io.socket_pair();
    const auto write = [](Descriptor to) -> Task<void> {
        for (int i = 0; i < 10; i++) {
            (void)co_await async::send_all(to, bytes("x"));
            (void)co_await async::sleep(1ms);
        }
        to = {};
    };
    const auto read = [](Io& test, const Descriptor& from) -> Task<void> {
        size_t received = 0;
        std::array<std::byte, 1> byte;
        for (;;) {
            const auto [index, results] = co_await when_any(async::recv(from, byte), async::sleep(1ms));
            const Result<size_t>& got = std::get<0>(results);
            // Wrong: the timer was first, and the byte may have been received all the same.
            if (right ? got.error() == ECANCELED : index == 1) continue;
            if (got.value_or(0) == 0) break;
            received += *got;
        }
        test.expect(received == 10, "each byte is received");
    };
    (void)co_await when_all(write(std::move(near)), read(io, far));
}

TEST_F(PlantedBug, a_cancel_against_a_completion_is_found) {
    expect_found(read_with_pauses<false>, "each byte is received");
    expect_fine(read_with_pauses<true>);
}

template <bool right>
Task<void> send_a_message(Io& io) {
    auto [near, far] = io.socket_pair();
    const auto send = [](Descriptor to) -> Task<void> {
        const std::string message(300, 'x');
        // Wrong: it may be short.
        if constexpr (right) (void)co_await async::send_all(to, bytes(message));
        else (void)co_await async::send(to, bytes(message));
        to = {};
    };
    std::array<std::byte, 300> got;
    const auto [nothing, received] = co_await when_all(send(std::move(near)), async::recv_all(far, got));
    (void)nothing;
    io.expect(received.value_or(0) == 300, "all of the message arrives");
}

TEST_F(PlantedBug, a_short_write_is_found) {
    expect_found(send_a_message<false>, "all of the message arrives");
    expect_fine(send_a_message<true>);
}

template <bool right>
Task<void> send_two_messages(Io& io) {
    auto [near, far] = io.socket_pair();
    const auto send = [](const Descriptor& to, std::span<const std::byte> message) -> Task<void> {
        (void)co_await async::send_all(to, message);
    };
    co_await with_scope([&](Scope& scope) -> Task<void> {
        std::array<std::byte, 2> first{}, other{};
        for (std::byte& it : first) it = std::byte{'a'};
        scope.spawn(send(near, first));
        (void)co_await async::nop();
        // Wrong: the first send may not have been carried out yet.
        std::array<std::byte, 2>& second = right ? other : first;
        for (std::byte& it : second) it = std::byte{'b'};
        std::array<std::byte, 2> got;
        (void)co_await async::recv_all(far, got);
        io.expect(text(got) == "aa", "the first message arrives as it was");
        co_await scope.join();
    });
}

TEST_F(PlantedBug, a_buffer_that_is_filled_while_it_is_sent_is_found) {
    expect_found(send_two_messages<false>, "the first message arrives as it was");
    expect_fine(send_two_messages<true>);
}

TEST_F(PlantedBug, a_buffer_that_two_requests_use_is_found) {
    const auto scenario = [](Io& io) -> Task<void> {
        auto [one, one_far] = io.socket_pair();
        auto [two, two_far] = io.socket_pair();
        std::array<std::byte, 10> buffer;
        (void)co_await when_all(async::send_all(one_far, bytes("one")), async::send_all(two_far, bytes("two")),
                                async::recv(one, buffer), async::recv(two, buffer));
    };
    expect_found(scenario, "uses memory that request");
}

}  // namespace
