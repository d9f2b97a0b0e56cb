// Cancellation however many requests there are, wherever they are, and from wherever it comes. Each operation by itself
// is cancelled in every_operation.cc.
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>

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
