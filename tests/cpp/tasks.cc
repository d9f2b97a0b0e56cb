// Tasks and scopes by themselves: order, depth, what they yield, what is left of them.
#include <errno.h>

#include <barrier>
#include <memory>
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

class Tasks : public NothingLeaked {};
class Scopes : public NothingLeaked {};
class WhenAll : public NothingLeaked {};
class WithTimeout : public NothingLeaked {};
class IoLoop : public NothingLeaked {};

Task<int> depth(int levels) {
    if (levels == 0) co_return 0;
    const int below = co_await depth(levels - 1);
    co_return below + 1;
}

Task<int> after(std::chrono::milliseconds time, int value) {
    const Result<void> slept = co_await async::sleep(time);
    co_return slept.ok() ? value : -slept.error();
}

Task<Result<int>> sleep_then(std::chrono::milliseconds time, int value) {
    const Result<void> slept = co_await async::sleep(time);
    co_return slept.map([&] { return value; });
}

TEST_F(Tasks, yield_what_they_return) {
    const auto text = [](std::string start) -> Task<std::string> { co_return start + " and more"; };
    EXPECT_EQ(sync_wait(text("a text that is too long to be kept in the object itself")),
              "a text that is too long to be kept in the object itself and more");
    const auto owner = []() -> Task<std::unique_ptr<int>> { co_return std::make_unique<int>(5); };
    EXPECT_EQ(*sync_wait(owner()), 5);
    const auto error = []() -> Task<Result<int>> { co_return Errno{ENOENT}; };
    EXPECT_EQ(sync_wait(error()).error(), ENOENT);
}

TEST_F(Tasks, can_be_nested_a_hundred_thousand_deep) { EXPECT_EQ(sync_wait(depth(100'000)), 100'000); }

TEST_F(Tasks, can_be_awaited_a_hundred_thousand_times_by_a_loop) {
    const auto loop = []() -> Task<int> {
        int sum = 0;
        for (int i = 0; i < 100'000; i++) sum += co_await depth(1);
        co_return sum;
    };
    EXPECT_EQ(sync_wait(loop()), 100'000);
}

TEST_F(Tasks, that_nobody_awaits_never_begin) {
    bool begun = false;
    {
        const auto begin = [&]() -> Task<void> {
            begun = true;
            co_return;
        };
        const Task<void> task = begin();
    }
    EXPECT_FALSE(begun);
}

TEST_F(Tasks, can_be_moved_before_they_begin) {
    Task<int> first = depth(3);
    Task<int> second = std::move(first);
    first = depth(1);
    second = std::move(first);
    EXPECT_EQ(sync_wait(std::move(second)), 1);
}

TEST_F(Scopes, wait_for_their_tasks) {
    std::vector<int> order;
    const auto child = [&order](int number, std::chrono::milliseconds time) -> Task<void> {
        (void)co_await async::sleep(time);
        order.push_back(number);
    };
    const auto parent = [&]() -> Task<int> {
        const int result = co_await with_scope([&](Scope& scope) -> Task<int> {
            scope.spawn(child(2, 20ms));
            scope.spawn(child(1, 1ms));
            order.push_back(0);
            EXPECT_EQ(scope.running(), 2u);
            co_return 7;
        });
        order.push_back(3);
        co_return result;
    };
    EXPECT_EQ(sync_wait(parent()), 7);
    EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3}));
}

TEST_F(Scopes, take_tasks_that_their_tasks_spawn) {
    size_t finished = 0;
    struct Tree {
        static Task<void> node(Scope& scope, int levels, size_t& finished) {
            if (levels > 0) {
                scope.spawn(node(scope, levels - 1, finished));
                scope.spawn(node(scope, levels - 1, finished));
            }
            (void)co_await async::nop();
            ++finished;
        }
    };
    const auto parent = [&]() -> Task<void> {
        co_await with_scope([&](Scope& scope) -> Task<void> {
            scope.spawn(Tree::node(scope, 9, finished));
            co_return;
        });
    };
    sync_wait(parent());
    EXPECT_EQ(finished, 1023u);
}

TEST_F(Scopes, stop_their_tasks_from_within_and_no_others) {
    const auto parent = []() -> Task<void> {
        const auto sleeper = [](int& error) -> Task<void> { error = (co_await async::sleep(60s)).error(); };
        const auto stopper = [](Scope& scope) -> Task<void> {
            (void)co_await async::sleep(1ms);
            scope.request_stop();
            EXPECT_EQ((co_await async::nop()).error(), ECANCELED) << "it belongs to the scope itself";
        };
        int first = 0, second = 0, inner = 0;
        co_await with_scope([&](Scope& scope) -> Task<void> {
            scope.spawn(sleeper(first));
            scope.spawn(sleeper(second));
            scope.spawn(stopper(scope));
            co_await with_scope([&](Scope& deeper) -> Task<void> {
                deeper.spawn(sleeper(inner));
                co_return;
            });
            EXPECT_TRUE(co_await stop_requested());
        });
        EXPECT_EQ(first, ECANCELED);
        EXPECT_EQ(second, ECANCELED);
        EXPECT_EQ(inner, ECANCELED);
        EXPECT_FALSE(co_await stop_requested());
        EXPECT_TRUE((co_await async::nop()).ok());
    };
    sync_wait(parent());
}

TEST_F(Scopes, leave_a_shielded_task_alone) {
    const auto parent = []() -> Task<void> {
        co_await with_scope([](Scope& scope) -> Task<void> {
            scope.request_stop();
            EXPECT_EQ((co_await async::sleep(1ms)).error(), ECANCELED);
            EXPECT_EQ((co_await shielded(async::sleep(1ms))).error(), 0);
            EXPECT_EQ(co_await shielded(depth(5)), 5);
        });
    };
    sync_wait(parent());
}

TEST_F(WhenAll, waits_for_all_at_once_and_yields_in_order) {
    const auto parent = []() -> Task<void> {
        const Stopwatch watch;
        const auto nothing = []() -> Task<void> { co_return; };
        const auto [a, b, c, d] = co_await when_all(after(80ms, 1), after(40ms, 2), async::sleep(60ms), nothing());
        EXPECT_EQ(a, 1);
        EXPECT_EQ(b, 2);
        EXPECT_TRUE(c.ok());
        EXPECT_EQ(d, std::monostate());
        EXPECT_GE(watch.elapsed_ms(), 79);
        EXPECT_LT(watch.elapsed_ms(), 170) << "one after the other";
    };
    sync_wait(parent());
}

TEST_F(WhenAll, takes_any_number_of_tasks) {
    const auto parent = []() -> Task<void> {
        std::vector<Task<int>> tasks;
        for (int i = 0; i < 1000; i++) tasks.push_back(after(std::chrono::milliseconds(i % 7), i));
        const std::vector<int> values = co_await when_all(std::move(tasks));
        EXPECT_EQ(values.size(), 1000u);
        for (int i = 0; i < 1000; i++) EXPECT_EQ(values[static_cast<size_t>(i)], i);
        EXPECT_TRUE((co_await when_all(std::vector<Task<int>>())).empty());
    };
    sync_wait(parent());
}

TEST_F(WithTimeout, leaves_alone_what_is_in_time) {
    const auto parent = []() -> Task<void> {
        const Stopwatch watch;
        const Result<int> value = co_await with_timeout(sleep_then(1ms, 5), 60s);
        EXPECT_EQ(value.value_or(0), 5);
        const Result<void> nop = co_await with_timeout(async::nop(), 60s);
        EXPECT_TRUE(nop.ok());
        EXPECT_LT(watch.elapsed_ms(), 10'000) << "the timer is not waited for";
    };
    sync_wait(parent());
}

TEST_F(WithTimeout, stops_what_takes_too_long) {
    const auto parent = []() -> Task<void> {
        const Stopwatch watch;
        const Result<int> value = co_await with_timeout(sleep_then(60s, 5), 20ms);
        EXPECT_EQ(value.error(), ETIME);
        EXPECT_GE(watch.elapsed_ms(), 19);
        EXPECT_LT(watch.elapsed_ms(), 10'000);
        EXPECT_TRUE((co_await async::nop()).ok()) << "no more than the work is stopped";
    };
    sync_wait(parent());
}

TEST_F(WithTimeout, tells_its_own_limit_from_a_stop_around_it) {
    const auto parent = []() -> Task<void> {
        int error = 0;
        co_await with_scope([&](Scope& scope) -> Task<void> {
            const auto child = [](int& answer) -> Task<void> {
                answer = (co_await with_timeout(async::sleep(60s), 50s)).error();
            };
            scope.spawn(child(error));
            (void)co_await async::sleep(5ms);
            scope.request_stop();
        });
        EXPECT_EQ(error, ECANCELED);
    };
    sync_wait(parent());
}

TEST_F(WithTimeout, can_be_nested_and_the_shorter_limit_holds) {
    const auto parent = []() -> Task<void> {
        const Result<void> inner = co_await with_timeout(with_timeout(async::sleep(60s), 10ms), 50s);
        EXPECT_EQ(inner.error(), ETIME);
        const Result<void> outer = co_await with_timeout(with_timeout(async::sleep(60s), 50s), 10ms);
        EXPECT_EQ(outer.error(), ETIME);
    };
    sync_wait(parent());
}

TEST_F(IoLoop, runs_what_is_spawned_before_and_meanwhile) {
    Io io;
    int finished = 0;
    struct Child {
        static Task<void> run(Io& io, int more, int& finished) {
            if (more > 0) io.spawn(run(io, more - 1, finished));
            (void)co_await async::sleep(1ms);
            ++finished;
        }
    };
    io.spawn(Child::run(io, 3, finished));
    EXPECT_EQ(io.run(depth(2)), 2);
    EXPECT_EQ(finished, 4);
    io.spawn(Child::run(io, 0, finished));
    io.run();
    EXPECT_EQ(finished, 5);
    EXPECT_EQ(io.in_flight(), 0u);
}

TEST_F(IoLoop, has_the_flags_of_one_thread_where_the_provider_has_them) {
    Io io;
    const bool deferred = io.ring_flags() & IORING_SETUP_DEFER_TASKRUN;
    const Result<Ring> ring =
        Ring::make(Options{.entries = 8, .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN});
    EXPECT_EQ(deferred, ring.ok());
    EXPECT_EQ(static_cast<bool>(io.ring_flags() & IORING_SETUP_SINGLE_ISSUER), deferred);
}

TEST_F(IoLoop, that_cannot_be_made_says_why) {
    EXPECT_EQ(Io::make(Options{.entries = 1'000'000}).error(), EINVAL);
    EXPECT_EQ(Ring::make(Options{.entries = 1'000'000}).error(), EINVAL);
    EXPECT_THROW(Io(Options{.entries = 1'000'000}), std::system_error);
    Result<std::unique_ptr<Io>> io = Io::make();
    ASSERT_TRUE(io.ok());
    EXPECT_EQ((*io)->run(depth(3)), 3);
}

TEST_F(IoLoop, does_not_let_coroutines_that_wake_each_other_starve_requests) {
    const auto parent = []() -> Task<void> {
        bool stop = false;
        co_await with_scope([&](Scope& scope) -> Task<void> {
            struct Busy {
                static Task<void> run(Scope& scope, bool& stop) {
                    if (!stop) scope.spawn(run(scope, stop));
                    co_return;
                }
            };
            scope.spawn(Busy::run(scope, stop));
            EXPECT_TRUE((co_await async::sleep(5ms)).ok());
            stop = true;
        });
    };
    sync_wait(parent());
}

TEST_F(IoLoop, runs_on_several_threads_an_io_each) {
    std::vector<int> results(4);
    std::vector<std::thread> threads;
    // All have an Io at the same time. So none gets the memory that another's ring was unmapped from; the thread
    // sanitizer does not see the unmapping, which is a bare system call.
    std::barrier together(4);
    for (int& result : results) {
        threads.emplace_back([&] {
            Io io;
            together.arrive_and_wait();
            result = io.run(after(5ms, 3));
            together.arrive_and_wait();
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(results, std::vector<int>(4, 3));
}

class IoDeathTest : public testing::Test {};

TEST_F(IoDeathTest, catches_a_task_that_is_destroyed_while_it_waits) {
    EXPECT_DEATH(
        {
            Io io;
            const auto outer = []() -> Task<void> {
                Task<int> inner = after(60s, 1);
                const auto begin = [](Task<int>& task) -> Task<void> {
                    detail::Context& context = co_await detail::ThisContext();
                    static detail::Completion completion{
                        [](detail::Completion&, std::coroutine_handle<>) noexcept -> std::coroutine_handle<> {
                            return nullptr;
                        }};
                    task.handle().promise().start(context, completion);
                    detail::schedule(*context.io, task.handle().promise().ready(task.handle()));
                };
                co_await begin(inner);
                (void)co_await async::nop();
            };
            io.run(outer());
        },
        "a task was destroyed before it had finished");
}

TEST_F(IoDeathTest, catches_tasks_that_wait_for_nothing) {
    EXPECT_DEATH(
        {
            const auto task = []() -> Task<void> { co_await std::suspend_always(); };
            sync_wait(task());
        },
        "no request is in flight");
}

static_assert(!std::is_copy_constructible_v<Task<int>> && std::is_nothrow_move_constructible_v<Task<int>>);

}  // namespace
}  // namespace ringside::test
