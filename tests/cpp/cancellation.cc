// Each operation that can be awaited, cancelled at each moment: before it is awaited, before it is submitted, while it
// waits, and when it has completed. It always ends, its task goes on once, and what it achieved is not lost.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <array>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "allocations.h"
#include "ringside/ringside.hpp"
#include "support/eventually.h"
#include "support/files.h"

namespace ringside::test {
namespace {

using namespace std::chrono_literals;

// What the operations work on: files where nothing happens until the test ends.
struct Quiet {
    Quiet() {
        full_pipe.fill();
        fcntl(full_socket.near, F_SETFL, O_NONBLOCK);
        while (::send(full_socket.near, large.data(), large.size(), MSG_NOSIGNAL) > 0) {
        }
        fcntl(full_socket.near, F_SETFL, 0);
        socklen_t size = sizeof(address);
        EXPECT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
        EXPECT_EQ(listen(listener.get(), 8), 0);
        EXPECT_EQ(getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
        EXPECT_EQ(mkfifo(fifo.c_str(), 0600), 0);
    }
    Quiet(const Quiet&) = delete;
    Quiet& operator=(const Quiet&) = delete;

    const sockaddr* name() const { return reinterpret_cast<const sockaddr*>(&address); }

    Pipe empty_pipe, full_pipe;
    Ends socket = tcp_pair(), full_socket = tcp_pair();
    Descriptor listener{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    Descriptor client{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    sockaddr_in address{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
    Fd file = file_with("0123456789");
    TemporaryDirectory directory;
    std::string fifo = directory.path_of("fifo");
    std::array<std::byte, 16> buffer{};
    std::vector<std::byte> large = std::vector<std::byte>(100'000);
};

// An operation by name; yields its errno.
struct Case {
    const char* name;
    bool waits;  // or ends at once
    Task<int> (*begin)(Quiet&);
};

template <typename Work>
Task<int> error_of(Work work) {
    const auto result = co_await std::move(work);
    co_return result.error();
}

const Case cases[] = {
    {"nop", false, [](Quiet&) { return error_of(async::nop()); }},
    {"read", true, [](Quiet& it) { return error_of(async::read(it.empty_pipe.read_end.get(), it.buffer)); }},
    {"write", true, [](Quiet& it) { return error_of(async::write(it.full_pipe.write_end.get(), it.buffer)); }},
    {"recv", true, [](Quiet& it) { return error_of(async::recv(it.socket.far.get(), it.buffer)); }},
    {"send", true, [](Quiet& it) { return error_of(async::send(it.full_socket.near.get(), it.large)); }},
    {"read_all", true, [](Quiet& it) { return error_of(async::read_all(it.empty_pipe.read_end.get(), it.buffer)); }},
    {"write_all", true, [](Quiet& it) { return error_of(async::write_all(it.full_pipe.write_end.get(), it.buffer)); }},
    {"recv_all", true, [](Quiet& it) { return error_of(async::recv_all(it.socket.far.get(), it.buffer)); }},
    {"send_all", true, [](Quiet& it) { return error_of(async::send_all(it.full_socket.near.get(), it.large)); }},
    {"accept", true, [](Quiet& it) { return error_of(async::accept(it.listener)); }},
    {"connect", false, [](Quiet& it) { return error_of(async::connect(it.client, it.name(), sizeof(it.address))); }},
    {"poll", true, [](Quiet& it) { return error_of(async::poll(it.empty_pipe.read_end.get(), POLLIN)); }},
    {"sleep", true, [](Quiet&) { return error_of(async::sleep(60s)); }},
    {"sleep_until", true, [](Quiet&) { return error_of(async::sleep_until(std::chrono::steady_clock::now() + 60s)); }},
    // O_CREAT sends it to a worker, which waits for somebody who writes; without, the kernel opens a FIFO at once.
    {"openat_of_a_fifo", true,
     [](Quiet& it) { return error_of(async::openat(AT_FDCWD, it.fifo.c_str(), O_RDONLY | O_CREAT, 0600)); }},
    {"openat", false, [](Quiet&) { return error_of(async::openat(AT_FDCWD, "/dev/null", O_RDONLY)); }},
    {"fsync", false, [](Quiet& it) { return error_of(async::fsync(it.file.get())); }},
    {"statx", false, [](Quiet& it) { return error_of(async::statx(it.file.get(), "", AT_EMPTY_PATH)); }},
    {"with_timeout", true, [](Quiet&) { return error_of(with_timeout(async::sleep(60s), 50s)); }},
};

std::ostream& operator<<(std::ostream& stream, const Case& it) { return stream << it.name; }

Task<void> into(Task<int> task, int& error) { error = co_await std::move(task); }

class Cancelled : public NothingLeaked, public testing::WithParamInterface<Case> {
  protected:
    // Runs the operation in a scope that `stop` is called with when the operation has been spawned. Yields its errno.
    template <typename Stop>
    int run(const Options& options, Stop stop) {
        Quiet quiet;
        int error = -1;
        const auto task = [&]() -> Task<void> {
            co_await with_scope([&](Scope& scope) -> Task<void> {
                scope.spawn(into(GetParam().begin(quiet), error));
                return stop(scope);
            });
            const Result<void> nop = co_await async::nop();
            EXPECT_TRUE(nop.ok()) << "the ring is as good as before";
        };
        Io io(options);
        io.run(task());
        EXPECT_EQ(io.in_flight(), 0u);
        return error;
    }

    void expect_cancelled(int error) const {
        if (GetParam().waits) EXPECT_EQ(error, ECANCELED);
        else EXPECT_TRUE(error == 0 || error == ECANCELED) << error;
    }
};

Task<void> stop_now(Scope& scope) {
    scope.request_stop();
    co_return;
}

Task<void> stop_after_spawned(Scope& scope) {
    const auto stopper = [](Scope& it) -> Task<void> {
        it.request_stop();
        co_return;
    };
    scope.spawn(stopper(scope));
    co_return;
}

Task<void> stop_later(Scope& scope) {
    (void)co_await shielded(async::sleep(5ms));
    scope.request_stop();
}

TEST_P(Cancelled, before_it_is_awaited) { EXPECT_EQ(run({}, stop_now), ECANCELED); }

TEST_P(Cancelled, before_it_is_submitted) { expect_cancelled(run({}, stop_after_spawned)); }

// What does not wait has completed by then, mostly, and nothing is left to cancel.
TEST_P(Cancelled, while_it_waits) { expect_cancelled(run({}, stop_later)); }

// In a queue of one entry each request, and each cancel, needs the queue to be submitted first.
TEST_P(Cancelled, when_the_queue_has_no_room) {
    expect_cancelled(run(Options{.entries = 1}, stop_after_spawned));
    expect_cancelled(run(Options{.entries = 1}, stop_later));
}

// The submission thread takes its time, so that requests wait for an SQE, and cancels do.
TEST_P(Cancelled, when_a_thread_submits) {
    expect_cancelled(run(Options{.entries = 1, .flags = IORING_SETUP_SQPOLL}, stop_after_spawned));
    expect_cancelled(run(Options{.entries = 1, .flags = IORING_SETUP_SQPOLL}, stop_later));
}

INSTANTIATE_TEST_SUITE_P(Each, Cancelled, testing::ValuesIn(cases),
                         [](const testing::TestParamInfo<Case>& it) { return std::string(it.param.name); });

class Cancellation : public NothingLeaked {};

TEST_F(Cancellation, does_not_keep_a_descriptor_from_being_closed) {
    Pipe pipe;
    const int number = pipe.read_end.get();
    const auto task = [&]() -> Task<void> {
        co_await with_scope([&](Scope& scope) -> Task<void> {
            scope.request_stop();
            EXPECT_TRUE((co_await async::close(Descriptor(pipe.read_end.release()))).ok());
        });
    };
    sync_wait(task());
    EXPECT_EQ(fcntl(number, F_GETFD), -1);
}

// Three hundred requests in a queue of two entries, stopped at once.
TEST_F(Cancellation, reaches_all_however_many_there_are) {
    for (const unsigned flags : {0u, static_cast<unsigned>(IORING_SETUP_SQPOLL)}) {
        Io io(Options{.entries = 2, .flags = flags});
        int cancelled = 0;
        const auto task = [&]() -> Task<void> {
            co_await with_scope([&](Scope& scope) -> Task<void> {
                const auto child = [](int& count) -> Task<void> {
                    if ((co_await async::sleep(60s)).error() == ECANCELED) ++count;
                };
                for (int i = 0; i < 300; i++) scope.spawn(child(cancelled));
                (void)co_await async::sleep(2ms);
                scope.request_stop();
            });
        };
        io.run(task());
        EXPECT_EQ(cancelled, 300);
        EXPECT_EQ(io.in_flight(), 0u);
    }
}

// A request behind another in a chain is not found by a cancel before its turn has come. Such a cancel would be lost if
// it were not repeated.
TEST_F(Cancellation, is_repeated_until_the_request_can_be_found) {
    const Pipe first, second;
    std::array<std::byte, 1> one, two;
    int error_of_first = -1, error_of_second = -1;
    const auto head = [&]() -> Task<void> {
        Operation<size_t> read([&](io_uring_sqe* sqe) {
            io_uring_prep_read(sqe, first.read_end, one.data(), 1, 0);
            sqe->flags |= IOSQE_IO_LINK;
        });
        error_of_first = (co_await std::move(read)).error();
    };
    const auto tail = [&](Scope& scope) -> Task<void> {
        const auto read = [&]() -> Task<void> {
            error_of_second = (co_await async::read(second.read_end.get(), two)).error();
        };
        co_await with_scope([&](Scope& inner) -> Task<void> {
            inner.spawn(read());
            scope.spawn([](Scope& it) -> Task<void> {
                (void)co_await async::sleep(2ms);
                it.request_stop();
            }(inner));
            co_return;
        });
    };
    const auto task = [&]() -> Task<void> {
        co_await with_scope([&](Scope& scope) -> Task<void> {
            scope.spawn(head());
            scope.spawn(tail(scope));
            EXPECT_TRUE((co_await async::sleep(20ms)).ok());
            EXPECT_EQ(::write(first.write_end, "x", 1), 1);
        });
    };
    sync_wait(task());
    EXPECT_EQ(error_of_first, 0);
    EXPECT_EQ(error_of_second, ECANCELED);
}

// A cancel that comes late must not hit the request that has the index by then.
TEST_F(Cancellation, names_no_request_twice) {
    detail::RequestNames names;
    Operation<void> first = async::nop(), second = async::nop();
    const __u64 name = names.give(first);
    EXPECT_EQ(names.find(name), &first);
    names.take_back(name);
    EXPECT_EQ(names.find(name), nullptr);
    const __u64 next = names.give(second);
    EXPECT_EQ(static_cast<unsigned>(next), static_cast<unsigned>(name)) << "the index is used again";
    EXPECT_NE(next, name);
    EXPECT_EQ(names.find(name), nullptr);
    EXPECT_EQ(names.find(next), &second);
    EXPECT_EQ(names.find(next | detail::RequestNames::cancel_bit), nullptr);
    EXPECT_EQ(names.in_flight(), 1u);
}

// The byte is written and the reader stopped at the same moment, this way round and the other. Either the read has it,
// or the pipe has it still.
TEST_F(Cancellation, against_completion_loses_no_data) {
    Io io;
    int read_it = 0, cancelled = 0;
    const auto round = [&](int order) -> Task<void> {
        const Pipe pipe;
        std::array<std::byte, 1> byte;
        Result<size_t> got = size_t{0};
        co_await with_scope([&](Scope& scope) -> Task<void> {
            const auto reader = [](const Pipe& from, std::span<std::byte> to, Result<size_t>& result) -> Task<void> {
                result = co_await async::read(from.read_end.get(), to);
            };
            scope.spawn(reader(pipe, byte, got));
            if (order % 3 != 0) (void)co_await async::nop();
            if (order % 2 == 0) scope.request_stop();
            EXPECT_EQ(::write(pipe.write_end, "x", 1), 1);
            if (order % 5 == 0) (void)co_await shielded(async::nop());
            scope.request_stop();
        });
        int left = 0;
        EXPECT_EQ(ioctl(pipe.read_end, FIONREAD, &left), 0);
        if (got.ok()) {
            EXPECT_EQ(got.value(), 1u);
            EXPECT_EQ(left, 0);
            ++read_it;
        } else {
            EXPECT_EQ(got.error(), ECANCELED);
            EXPECT_EQ(left, 1) << "a byte was read and nobody has it";
            ++cancelled;
        }
    };
    const auto task = [&]() -> Task<void> {
        for (int i = 0; i < 600; i++) co_await round(i);
    };
    io.run(task());
    EXPECT_GT(read_it, 0);
    EXPECT_GT(cancelled, 0);
}

class StopToken : public NothingLeaked {};

TEST_F(StopToken, stops_from_another_task) {
    const auto task = []() -> Task<void> {
        std::stop_source source;
        const auto stopper = [](std::stop_source& it) -> Task<void> {
            (void)co_await async::sleep(2ms);
            it.request_stop();
        };
        const auto [slept, nothing] =
            co_await when_all(with_stop_token(source.get_token(), async::sleep(60s)), stopper(source));
        (void)nothing;
        EXPECT_EQ(slept.error(), ECANCELED);
        EXPECT_TRUE((co_await async::nop()).ok());
    };
    sync_wait(task());
}

TEST_F(StopToken, stops_from_within_the_task_and_before_it) {
    const auto task = []() -> Task<void> {
        std::stop_source source;
        const auto itself = [](std::stop_source& it) -> Task<int> {
            it.request_stop();
            co_return (co_await async::nop()).error();
        };
        EXPECT_EQ(co_await with_stop_token(source.get_token(), itself(source)), ECANCELED);
        EXPECT_EQ((co_await with_stop_token(source.get_token(), async::nop())).error(), ECANCELED) << "stopped before";
        EXPECT_TRUE((co_await with_stop_token(std::stop_token(), async::nop())).ok()) << "nobody can stop this";
    };
    sync_wait(task());
}

TEST_F(StopToken, stops_from_another_thread) {
    std::stop_source source;
    std::thread stopper([&] {
        sleep_ms(10);
        source.request_stop();
    });
    EXPECT_EQ(sync_wait(with_stop_token(source.get_token(), async::sleep(60s))).error(), ECANCELED);
    stopper.join();
}

// The stop comes at any moment of the operation's life, the end of its scope included.
TEST_F(StopToken, from_another_thread_races_with_completion) {
    Io io;
    for (int i = 0; i < 300; i++) {
        std::stop_source source;
        std::thread stopper([&source, i] {
            for (int turn = 0; turn < i * 20; turn++) asm volatile("");
            source.request_stop();
        });
        const auto task = []() -> Task<Result<void>> {
            for (int turn = 0; turn < 3; turn++) {
                if (const Result<void> slept = co_await async::sleep(20us); !slept) co_return slept;
            }
            co_return Result<void>();
        };
        const int error = io.run(with_stop_token(source.get_token(), task())).error();
        EXPECT_TRUE(error == 0 || error == ECANCELED) << error;
        stopper.join();
    }
    EXPECT_EQ(io.in_flight(), 0u);
}

}  // namespace
}  // namespace ringside::test
