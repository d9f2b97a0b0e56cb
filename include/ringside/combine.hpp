// Several tasks or operations at once, and one with a limit.
#pragma once

#include <cerrno>
#include <chrono>
#include <optional>
#include <stop_token>
#include <tuple>
#include <variant>
#include <vector>

#include "ringside/io.hpp"
#include "ringside/operations.hpp"

namespace ringside {

namespace detail {

// Waits for several tasks, which belong to whoever derives from it.
class Gathering : public Completion {
  protected:
    Gathering() noexcept
        : Completion{[](Completion& self, std::coroutine_handle<> finished) noexcept -> std::coroutine_handle<> {
              (void)finished;
              auto& gathering = static_cast<Gathering&>(self);
              return --gathering.left_ == 0 ? gathering.parent_ : nullptr;
          }} {}

    void begin(std::coroutine_handle<> parent, size_t count) noexcept {
        parent_ = parent;
        left_ = count;
    }
    template <typename T>
    void start(Context& context, Task<T>& task) noexcept {
        const auto handle = task.handle();
        handle.promise().start(context, *this);
        context.io->schedule(handle.promise().ready(handle));
    }

  private:
    std::coroutine_handle<> parent_;
    size_t left_ = 0;
};

// The value of a task that has finished; of one that yields nothing, std::monostate.
template <typename T>
auto value_of(Task<T>& task) noexcept {
    if constexpr (std::is_void_v<T>) return std::monostate{};
    else return task.handle().promise().take();
}

template <typename... T>
class [[nodiscard]] WhenAll : Gathering {
  public:
    explicit WhenAll(Task<T>... tasks) noexcept : tasks_(std::move(tasks)...) {}

    bool await_ready() const noexcept { return sizeof...(T) == 0; }
    template <std::derived_from<PromiseBase> Promise>
    void await_suspend(std::coroutine_handle<Promise> parent) noexcept {
        begin(parent, sizeof...(T));
        std::apply([&](auto&... task) { (start(parent.promise().context(), task), ...); }, tasks_);
    }
    auto await_resume() noexcept {
        return std::apply([](auto&... task) { return std::tuple(value_of(task)...); }, tasks_);
    }

  private:
    std::tuple<Task<T>...> tasks_;
};

template <typename T>
class [[nodiscard]] WhenAllOf : Gathering {
  public:
    explicit WhenAllOf(std::vector<Task<T>> tasks) noexcept : tasks_(std::move(tasks)) {}

    bool await_ready() const noexcept { return tasks_.empty(); }
    template <std::derived_from<PromiseBase> Promise>
    void await_suspend(std::coroutine_handle<Promise> parent) noexcept {
        begin(parent, tasks_.size());
        for (Task<T>& task : tasks_) start(parent.promise().context(), task);
    }
    auto await_resume() noexcept {
        if constexpr (!std::is_void_v<T>) {
            std::vector<T> values;
            values.reserve(tasks_.size());
            for (Task<T>& task : tasks_) values.push_back(value_of(task));
            return values;
        }
    }

  private:
    std::vector<Task<T>> tasks_;
};

}  // namespace detail

// `auto [a, b] = co_await when_all(f(), async::read(...));` runs tasks and operations concurrently and waits for all of
// them, whether they succeed or not. Yields a tuple of what they yield; std::monostate for nothing. An operation among
// them costs an allocation, for a task around it.
template <typename... Work>
auto when_all(Work... work) {
    return detail::WhenAll<detail::Awaited<Work>...>(detail::as_task(std::move(work))...);
}

// The same for any number of tasks. Yields a vector in their order, or nothing if they yield nothing.
template <typename T>
auto when_all(std::vector<Task<T>> tasks) {
    return detail::WhenAllOf<T>(std::move(tasks));
}

// Which of several was the first, and what each of them yields.
template <typename... T>
struct FirstOf {
    size_t index;
    std::tuple<T...> results;
};

namespace detail {

template <typename T>
using NotVoid = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

template <typename Work>
Task<Awaited<Work>> racing(size_t index, size_t& first, Scope& scope, Work work) {
    const auto ended = [&] {
        if (scope.stop_requested()) return;
        first = index;
        scope.request_stop();
    };
    if constexpr (std::is_void_v<Awaited<Work>>) {
        co_await std::move(work);
        ended();
    } else {
        auto value = co_await std::move(work);
        ended();
        co_return value;
    }
}

template <size_t... Index, typename... Work>
Task<FirstOf<NotVoid<Awaited<Work>>...>> first_of(std::index_sequence<Index...>, Work... work) {
    Context& outer = co_await ThisContext();
    JoinedScope scope(outer);
    size_t first = 0;
    auto results = co_await as_task(WhenAll<Awaited<Work>...>(racing(Index, first, scope, std::move(work))...))
                       .in(scope.context());
    co_return FirstOf<NotVoid<Awaited<Work>>...>{first, std::move(results)};
}

}  // namespace detail

// `auto [index, results] = co_await when_any(f(), async::read(...));` runs tasks and operations concurrently, and stops
// the others when the first has ended, with a value or an error. Goes on when all have ended. Yields which was the
// first and a tuple of what they yield: ECANCELED, mostly, or what they had achieved nevertheless, so that nothing is
// lost. Costs an allocation each, and three more.
template <typename... Work>
    requires(sizeof...(Work) > 0)
auto when_any(Work... work) {
    return detail::first_of(std::index_sequence_for<Work...>(), std::move(work)...);
}

namespace detail {

inline Task<void> stop_after(std::chrono::nanoseconds limit, Scope& scope, bool& out_of_time) {
    const Result<void> slept = co_await async::sleep(limit);
    if (!slept) co_return;
    out_of_time = true;
    scope.request_stop();
}

}  // namespace detail

// `co_await with_timeout(work, limit)`: a task or an operation that is stopped when the time has passed. Yields the
// Result that the work yields, and ETIME if it was stopped by this limit and says ECANCELED. Goes on when the work has
// ended, which may be later than the limit; what it achieves nevertheless is not lost. Costs three allocations, for
// tasks.
template <typename Work>
    requires detail::is_result<detail::Awaited<Work>>
Task<detail::Awaited<Work>> with_timeout(Work work, std::chrono::nanoseconds limit) {
    detail::Context& outer = co_await detail::ThisContext();
    detail::JoinedScope scope(outer);
    detail::JoinedScope timer(outer);
    bool out_of_time = false;
    timer.spawn(detail::stop_after(limit, scope, out_of_time));
    auto result = co_await detail::as_task(std::move(work)).in(scope.context());
    timer.request_stop();
    co_await timer.join();
    if (out_of_time && result.error() == ECANCELED) co_return Errno{ETIME};
    co_return result;
}

namespace detail {

// Hears of std::stop_source::request_stop(), on whichever thread that is called.
class StopTokenWatch {
  public:
    StopTokenWatch(Io& io, Scope& scope, std::stop_token token) noexcept : io_(io), stop_{&scope} {
        io_.watch_remote();
        callback_.emplace(std::move(token), Callback{this});
    }
    StopTokenWatch(const StopTokenWatch&) = delete;
    StopTokenWatch& operator=(const StopTokenWatch&) = delete;
    // Waits for a callback that runs on another thread; then what it has posted is taken.
    ~StopTokenWatch() {
        callback_.reset();
        io_.unwatch_remote();
    }

  private:
    struct Callback {
        StopTokenWatch* watch;
        void operator()() const noexcept { watch->io_.post(watch->stop_); }
    };

    Io& io_;
    RemoteStop stop_;
    std::optional<std::stop_callback<Callback>> callback_;
};

}  // namespace detail

// `co_await with_stop_token(token, work)`: a task or an operation that is stopped when the token's source is, from
// whatever thread. Yields what the work yields, when it has ended.
template <typename Work>
Task<detail::Awaited<Work>> with_stop_token(std::stop_token token, Work work) {
    detail::Context& outer = co_await detail::ThisContext();
    detail::JoinedScope scope(outer);
    const detail::StopTokenWatch watch(*outer.io, scope, std::move(token));
    co_return co_await detail::as_task(std::move(work)).in(scope.context());
}

}  // namespace ringside
