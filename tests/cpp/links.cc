// Operations that are tied together: chains, the first of several, and work for other threads.
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include <array>
#include <barrier>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "allocations.h"
#include "ringside/messages.hpp"
#include "ringside/ringside.hpp"
#include "support/eventually.h"
#include "support/files.h"

namespace ringside::test {
namespace {

using namespace std::chrono_literals;

class Links : public NothingLeaked {};
class WhenAny : public NothingLeaked {};
class Messages : public NothingLeaked {};

std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

TEST_F(Links, are_carried_out_in_order_and_say_what_each_did) {
    const TemporaryDirectory directory;
    const std::string path = directory.add("file");
    const auto task = [&]() -> Task<void> {
        Descriptor file(open(path.c_str(), O_RDWR | O_CLOEXEC));
        const int number = file.get();
        std::array<std::byte, 5> back;
        const auto [written, synced, read, slept, closed] =
            co_await link(async::write_all(number, bytes("hello"), 0), async::fsync(number),
                          async::read(number, back, 0), async::sleep(1us), async::close(std::move(file)));
        EXPECT_EQ(written.value_or(0), 5u);
        EXPECT_TRUE(synced.ok());
        EXPECT_EQ(read.value_or(0), 5u);
        EXPECT_TRUE(slept.ok());
        EXPECT_TRUE(closed.ok());
        EXPECT_EQ(fcntl(number, F_GETFD), -1);
        EXPECT_EQ(content_of(path), "hello");
    };
    sync_wait(task());
}

TEST_F(Links, behind_one_that_fails_are_cancelled) {
    const auto task = []() -> Task<void> {
        Pipe pipe;
        const int number = pipe.read_end.get();
        std::array<std::byte, 5> buffer;
        const auto [first, second, third] =
            co_await link(async::nop(), async::read(-1, buffer), async::close(Descriptor(pipe.read_end.release())));
        EXPECT_TRUE(first.ok());
        EXPECT_EQ(second.error(), EBADF);
        EXPECT_EQ(third.error(), ECANCELED);
        EXPECT_EQ(fcntl(number, F_GETFD), -1) << "closed all the same";
    };
    sync_wait(task());
}

// The pipe takes and gives 64 KiB at a time. Each short transfer breaks the chain, of which the rest is submitted
// again.
TEST_F(Links, go_on_after_short_transfers) {
    const auto task = []() -> Task<void> {
        const Pipe there, back;
        std::vector<std::byte> out(500'000), in(500'000);
        for (size_t i = 0; i < out.size(); i++) out[i] = static_cast<std::byte>(i % 251);
        const auto forward = [&]() -> Task<void> {
            std::vector<std::byte> all(out.size());
            const auto [got, sent] =
                co_await link(async::read_all(there.read_end.get(), all), async::write_all(back.write_end.get(), all));
            EXPECT_EQ(got.value_or(0), out.size());
            EXPECT_EQ(sent.value_or(0), out.size());
        };
        const auto [written, read, nothing] = co_await when_all(async::write_all(there.write_end.get(), out),
                                                                async::read_all(back.read_end.get(), in), forward());
        (void)nothing;
        EXPECT_EQ(written.value_or(0), out.size());
        EXPECT_EQ(read.value_or(0), in.size());
        EXPECT_TRUE(in == out);
    };
    sync_wait(task());
}

TEST_F(Links, of_sockets_wait_for_all_of_a_transfer) {
    const auto task = []() -> Task<void> {
        const Ends ends = tcp_pair();
        std::vector<std::byte> out(2'000'000, std::byte{7}), in(2'000'000);
        std::array<std::byte, 3> last;
        const auto sender = [&]() -> Task<void> {
            const auto [all, end, down] =
                co_await link(async::send_all(ends.near.get(), out), async::send_all(ends.near.get(), bytes("end")),
                              async::shutdown(ends.near.get(), SHUT_WR));
            EXPECT_EQ(all.value_or(0), out.size());
            EXPECT_EQ(end.value_or(0), 3u);
            EXPECT_TRUE(down.ok());
        };
        const auto receiver = [&]() -> Task<void> {
            const auto [all, end] =
                co_await link(async::recv_all(ends.far.get(), in), async::recv_all(ends.far.get(), last));
            EXPECT_EQ(all.value_or(0), in.size());
            EXPECT_EQ(end.value_or(0), 3u);
        };
        (void)co_await when_all(sender(), receiver());
        EXPECT_TRUE(in == out);
        EXPECT_EQ(static_cast<char>(last[0]), 'e');
    };
    sync_wait(task());
}

TEST_F(Links, break_at_the_end_of_a_file) {
    const auto task = []() -> Task<void> {
        const Fd file = file_with("0123456789");
        std::array<std::byte, 40> buffer;
        const auto [read, nop] = co_await link(async::read_all(file.get(), buffer, 4), async::nop());
        EXPECT_EQ(read.value_or(0), 6u);
        EXPECT_EQ(nop.error(), ECANCELED);
    };
    sync_wait(task());
}

// Each moment, as for single operations: before it is awaited, before it is submitted, while the first link waits, in a
// queue that has just enough room, and with a thread that submits.
TEST_F(Links, are_cancelled_as_a_whole) {
    for (const Options& options :
         {Options{}, Options{.entries = 4}, Options{.entries = 4, .flags = IORING_SETUP_SQPOLL}}) {
        for (const auto moment : {-1ms, 0ms, 3ms}) {
            const auto task = [&]() -> Task<void> {
                Pipe pipe;
                const int number = pipe.read_end.get();
                std::array<std::byte, 5> buffer;
                co_await with_scope([&](Scope& scope) -> Task<void> {
                    if (moment < 0ms) scope.request_stop();
                    const auto stopper = [](Scope& it, std::chrono::milliseconds time) -> Task<void> {
                        if (time > 0ms) (void)co_await async::sleep(time);
                        it.request_stop();
                    };
                    scope.spawn(stopper(scope, moment));
                    const auto [first, second, third] =
                        co_await link(async::read_all(number, buffer), async::sleep(60s),
                                      async::close(Descriptor(pipe.read_end.release())));
                    EXPECT_EQ(first.error(), ECANCELED);
                    EXPECT_EQ(second.error(), ECANCELED);
                    EXPECT_EQ(third.error(), ECANCELED);
                });
                EXPECT_EQ(fcntl(number, F_GETFD), -1);
                EXPECT_TRUE((co_await async::nop()).ok());
            };
            sync_wait(task(), options);
        }
    }
}

TEST_F(Links, are_refused_if_they_do_not_fit_into_the_queue) {
    const auto task = []() -> Task<void> {
        const auto [first, second, third] = co_await link(async::nop(), async::nop(), async::nop());
        EXPECT_EQ(first.error(), EINVAL);
        EXPECT_EQ(third.error(), EINVAL);
        (void)second;
        for (int i = 0; i < 10; i++) {
            const auto [a, b] = co_await link(async::nop(), async::nop());
            EXPECT_TRUE(a.ok() && b.ok());
        }
    };
    sync_wait(task(), Options{.entries = 2});
}

TEST_F(Links, allocate_nothing) {
    const auto task = []() -> Task<void> {
        (void)co_await link(async::nop(), async::nop(), async::nop());
        const size_t before = allocations_made();
        for (int i = 0; i < 100; i++) (void)co_await link(async::nop(), async::nop(), async::nop());
        EXPECT_EQ(allocations_made(), before);
    };
    sync_wait(task());
}

TEST_F(WhenAny, stops_the_others_when_the_first_has_ended) {
    const auto task = []() -> Task<void> {
        const Stopwatch watch;
        const auto value = []() -> Task<int> {
            (void)co_await async::sleep(5ms);
            co_return 7;
        };
        const auto nothing = []() -> Task<void> { (void)co_await async::sleep(60s); };
        const auto [index, results] = co_await when_any(async::sleep(60s), value(), nothing());
        EXPECT_EQ(index, 1u);
        EXPECT_EQ(std::get<0>(results).error(), ECANCELED);
        EXPECT_EQ(std::get<1>(results), 7);
        EXPECT_LT(watch.elapsed_ms(), 10'000);
        EXPECT_TRUE((co_await async::nop()).ok()) << "no more than the others is stopped";
    };
    sync_wait(task());
}

TEST_F(WhenAny, loses_nothing_that_another_had_achieved) {
    const auto task = []() -> Task<void> {
        const Pipe one, two;
        std::array<std::byte, 4> first, second;
        EXPECT_EQ(::write(one.write_end, "a", 1), 1);
        EXPECT_EQ(::write(two.write_end, "b", 1), 1);
        const auto [index, results] =
            co_await when_any(async::read(one.read_end.get(), first), async::read(two.read_end.get(), second));
        EXPECT_TRUE(std::get<0>(results).ok() || std::get<1>(results).ok());
        EXPECT_EQ(one.drain(), std::get<0>(results).ok() ? 0u : 1u);
        EXPECT_EQ(two.drain(), std::get<1>(results).ok() ? 0u : 1u);
        EXPECT_LT(index, 2u);
    };
    sync_wait(task());
}

TEST_F(WhenAny, is_stopped_from_around_it) {
    const auto task = []() -> Task<void> {
        const auto race = []() -> Task<Result<void>> {
            const auto [index, results] = co_await when_any(async::sleep(60s), async::sleep(50s));
            EXPECT_EQ(std::get<0>(results).error(), ECANCELED);
            (void)index;
            co_return std::get<1>(results);
        };
        EXPECT_EQ((co_await with_timeout(race(), 2ms)).error(), ETIME);
    };
    sync_wait(task());
}

// An Io on a thread of its own, which serves until the object ends.
class Elsewhere {
  public:
    Elsewhere() {
        std::barrier ready(2);
        thread_ = std::thread([&] {
            Io io;
            io_ = &io;
            (void)ready.arrive();
            io.run(with_stop_token(source_.get_token(), async::until_stopped()));
        });
        ready.arrive_and_wait();
    }
    ~Elsewhere() {
        source_.request_stop();
        thread_.join();
    }
    Elsewhere(const Elsewhere&) = delete;
    Elsewhere& operator=(const Elsewhere&) = delete;

    Io& io() { return *io_; }

  private:
    Io* io_ = nullptr;
    std::stop_source source_;
    std::thread thread_;
};

TEST_F(Messages, hand_tasks_to_another_thread) {
    Elsewhere elsewhere;
    const auto task = [&]() -> Task<void> {
        std::atomic<int> count = 0;
        const auto child = [](std::atomic<int>& it, Io& expected) -> Task<void> {
            EXPECT_EQ(&co_await this_io(), &expected);
            (void)co_await async::sleep(1ms);
            ++it;
        };
        for (int i = 0; i < 50; i++) {
            EXPECT_TRUE((co_await async::post(elsewhere.io(), child(count, elsewhere.io()))).ok());
        }
        while (count != 50) (void)co_await async::sleep(1ms);
    };
    sync_wait(task());
}

TEST_F(Messages, run_a_task_elsewhere_and_bring_back_what_it_yields) {
    Elsewhere elsewhere;
    const auto task = [&]() -> Task<void> {
        for (int i = 0; i < 50; i++) {
            const auto child = [](int number) -> Task<Result<std::string>> {
                (void)co_await async::nop();
                co_return "a text that is too long for the object itself, number " + std::to_string(number);
            };
            const Result<std::string> text = co_await run_on(elsewhere.io(), child(i));
            EXPECT_EQ(text.value_or(""), "a text that is too long for the object itself, number " + std::to_string(i));
        }
    };
    sync_wait(task());
}

TEST_F(Messages, pass_on_a_stop) {
    Elsewhere elsewhere;
    const auto task = [&]() -> Task<void> {
        const auto child = [](std::chrono::nanoseconds time) -> Task<Result<int>> {
            const Result<void> slept = co_await async::sleep(time);
            co_return slept.map([] { return 1; });
        };
        EXPECT_EQ((co_await with_timeout(run_on(elsewhere.io(), child(60s)), 5ms)).error(), ETIME);
        for (int i = 0; i < 100; i++) {
            const auto error = (co_await with_timeout(run_on(elsewhere.io(), child(i * 2us)), i * 3us)).error();
            EXPECT_TRUE(error == 0 || error == ETIME) << error;
        }
        const auto stopped = co_await with_scope([&](Scope& scope) -> Task<int> {
            scope.request_stop();
            co_return (co_await run_on(elsewhere.io(), child(60s))).error();
        });
        EXPECT_EQ(stopped, ECANCELED);
    };
    sync_wait(task());
}

}  // namespace
}  // namespace ringside::test
