// Task<T>: a coroutine that yields a T to whoever awaits it.
#pragma once

#include <concepts>
#include <coroutine>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include "ringside/result.hpp"
#include "ringside/stop.hpp"

namespace ringside {

class Io;

template <typename T = void>
class Task;

namespace detail {

// Something is wrong in the program that cannot be survived, since memory that the kernel or another coroutine still
// uses would go away.
[[noreturn]] inline void broken(const char* what) noexcept {
    std::fprintf(stderr, "ringside: %s\n", what);
    std::abort();
}

// Where a coroutine runs: on which Io, and in which scope. A task hands it on to the tasks that it awaits.
struct Context {
    Io* io;
    StopScope* stop;
};

// A coroutine that can go on, in the Io's queue.
struct Ready {
    Ready* next = nullptr;
    std::coroutine_handle<> coroutine;
};

// What happens when a task has finished. Yields the coroutine that goes on, or null.
struct Completion {
    std::coroutine_handle<> (*done)(Completion&, std::coroutine_handle<> finished) noexcept;
};

// Makes `coroutine` the next that the Io resumes, when the one that runs has suspended. It is the Io's loop that
// resumes all coroutines, one after the other: a coroutine that transferred control to another would have to do that by
// a tail call, which GCC makes none of without optimization or under a sanitizer, and a long chain of tasks would
// overflow the stack.
inline void run_next(Io& io, std::coroutine_handle<> coroutine) noexcept;

class PromiseBase {
  public:
    // Begins only when it is awaited or spawned.
    std::suspend_always initial_suspend() const noexcept { return {}; }

    struct Finish {
        bool await_ready() const noexcept { return false; }
        template <typename Promise>
        void await_suspend(std::coroutine_handle<Promise> finished) const noexcept {
            // Copies, since the completion may destroy the frame, and this object with it.
            PromiseBase& promise = finished.promise();
            Io& io = *promise.context_->io;
            if (const auto next = promise.completion_->done(*promise.completion_, finished)) run_next(io, next);
        }
        void await_resume() const noexcept {}
    };
    Finish final_suspend() const noexcept { return {}; }

    // Operations report errors in their results. Nothing could catch an exception that leaves a task, so it ends the
    // program.
    void unhandled_exception() const noexcept { std::terminate(); }

    Context& context() const noexcept { return *context_; }
    bool started() const noexcept { return context_ != nullptr; }

    // Both have to live until the completion is called.
    void start(Context& context, Completion& completion) noexcept {
        context_ = &context;
        completion_ = &completion;
    }

    Ready& ready(std::coroutine_handle<> self) noexcept {
        ready_.coroutine = self;
        return ready_;
    }

  private:
    Context* context_ = nullptr;
    Completion* completion_ = nullptr;
    Ready ready_;
};

template <typename T>
class Promise : public PromiseBase {
  public:
    Task<T> get_return_object() noexcept;

    template <std::convertible_to<T> Value = T>
    void return_value(Value&& value) noexcept {
        value_.emplace(std::forward<Value>(value));
    }
    T take() noexcept { return std::move(*value_); }

  private:
    std::optional<T> value_;
};

template <>
class Promise<void> : public PromiseBase {
  public:
    Task<void> get_return_object() noexcept;
    void return_void() const noexcept {}
    void take() const noexcept {}
};

// Owns the frame of a coroutine.
template <typename T>
class Frame {
  public:
    using Handle = std::coroutine_handle<Promise<T>>;

    Frame() noexcept = default;
    explicit Frame(Handle handle) noexcept : handle_(handle) {}
    Frame(Frame&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    Frame& operator=(Frame&& other) noexcept {
        Frame old(std::exchange(handle_, std::exchange(other.handle_, nullptr)));
        return *this;
    }
    ~Frame() {
        if (!handle_) return;
        if (handle_.promise().started() && !handle_.done()) broken("a task was destroyed before it had finished");
        handle_.destroy();
    }

    Handle handle() const noexcept { return handle_; }
    Handle release() noexcept { return std::exchange(handle_, nullptr); }

  private:
    Handle handle_;
};

}  // namespace detail

// A coroutine function that returns Task<T> is a task: `Task<int> f() { co_return 1; }`. It begins when it is awaited,
// `const int n = co_await f();`, when it is spawned (Scope, Io::spawn), or when Io::run() or sync_wait() runs it; a
// task that is none of this never begins. It has to have finished before its object ends; whoever awaits it sees to
// that.
//
// Its parameters are copied into its frame; what references and pointers among them point to has to live until it has
// finished. A lambda's captures are in the lambda's object, not in the frame: the object has to live as long.
//
// The frame is allocated with operator new, once a call. No exception may leave a task: std::terminate() is called.
template <typename T>
class [[nodiscard]] Task {
  public:
    using promise_type = detail::Promise<T>;
    using value_type = T;

    Task(Task&&) noexcept = default;
    Task& operator=(Task&&) noexcept = default;

    // The coroutine's frame as it is; for schedulers. The Task keeps it.
    std::coroutine_handle<promise_type> handle() const noexcept { return frame_.handle(); }
    // The same, and the caller destroys it.
    [[nodiscard]] std::coroutine_handle<promise_type> release() && noexcept { return frame_.release(); }

    class Awaiter;
    Awaiter operator co_await() && noexcept { return Awaiter(std::move(frame_), nullptr); }
    // The same in another context, which has to live until the task has finished.
    Awaiter in(detail::Context& context) && noexcept { return Awaiter(std::move(frame_), &context); }

  private:
    friend promise_type;
    explicit Task(std::coroutine_handle<promise_type> handle) noexcept : frame_(handle) {}

    detail::Frame<T> frame_;
};

template <typename T>
class [[nodiscard]] Task<T>::Awaiter : detail::Completion {
  public:
    bool await_ready() const noexcept { return false; }

    template <std::derived_from<detail::PromiseBase> Parent>
    void await_suspend(std::coroutine_handle<Parent> parent) noexcept {
        parent_ = parent;
        detail::Context& context = context_ != nullptr ? *context_ : parent.promise().context();
        frame_.handle().promise().start(context, *this);
        detail::run_next(*context.io, frame_.handle());
    }

    T await_resume() noexcept { return frame_.handle().promise().take(); }

  private:
    friend class Task;
    Awaiter(detail::Frame<T>&& frame, detail::Context* context) noexcept
        : Completion{[](Completion& self, std::coroutine_handle<>) noexcept {
              return static_cast<Awaiter&>(self).parent_;
          }},
          frame_(std::move(frame)),
          context_(context) {}

    detail::Frame<T> frame_;
    detail::Context* context_;
    std::coroutine_handle<> parent_;
};

namespace detail {

template <typename T>
Task<T> Promise<T>::get_return_object() noexcept {
    return Task<T>(std::coroutine_handle<Promise>::from_promise(*this));
}

inline Task<void> Promise<void>::get_return_object() noexcept {
    return Task<void>(std::coroutine_handle<Promise>::from_promise(*this));
}

// `co_await ThisContext()`: the context that the coroutine runs in, without suspending it.
class ThisContext {
  public:
    bool await_ready() const noexcept { return false; }
    template <std::derived_from<PromiseBase> Promise>
    bool await_suspend(std::coroutine_handle<Promise> self) noexcept {
        context_ = &self.promise().context();
        return false;
    }
    Context& await_resume() const noexcept { return *context_; }

  private:
    Context* context_ = nullptr;
};

// What `co_await std::move(awaitable)` yields.
template <typename Awaitable>
struct AwaitedOf {
    using type = decltype(std::declval<Awaitable>().await_resume());
};
template <typename T>
struct AwaitedOf<Task<T>> {
    using type = T;
};
template <typename Awaitable>
using Awaited = typename AwaitedOf<std::remove_cvref_t<Awaitable>>::type;

// An operation as a task; a task as itself.
template <typename T>
Task<T> as_task(Task<T>&& task) noexcept {
    return std::move(task);
}
template <typename Operation>
Task<Awaited<Operation>> as_task(Operation operation) {
    co_return co_await std::move(operation);
}

}  // namespace detail

// `Io& io = co_await this_io()`: the Io that the coroutine runs on. Does not suspend it.
class ThisIo : detail::ThisContext {
  public:
    using ThisContext::await_ready;
    using ThisContext::await_suspend;
    Io& await_resume() const noexcept { return *ThisContext::await_resume().io; }
};
inline ThisIo this_io() noexcept { return {}; }

// `co_await stop_requested()`: whether the scope that the coroutine runs in has been stopped. Does not suspend it.
class StopRequested : detail::ThisContext {
  public:
    using ThisContext::await_ready;
    using ThisContext::await_suspend;
    bool await_resume() const noexcept { return ThisContext::await_resume().stop->stop_requested(); }
};
inline StopRequested stop_requested() noexcept { return {}; }

}  // namespace ringside
