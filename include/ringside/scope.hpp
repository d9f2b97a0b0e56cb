// Tasks that run beside the one that started them, and never outlive it.
#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>

#include "ringside/task.hpp"

namespace ringside {

namespace detail {
// Puts a coroutine at the end of the Io's queue.
inline void schedule(Io& io, Ready& ready) noexcept;
}  // namespace detail

// Holds tasks that run concurrently, and can stop them all. with_scope() makes one and waits for its tasks; so no task
// outlives what it was started for. A scope inside of another stops with it.
class Scope : detail::Completion {
  public:
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

    // Starts a task, which runs when the caller suspends next. Its errors are its own to handle; that is why it is a
    // Task<void>. Allocates nothing.
    void spawn(Task<void> task) noexcept {
        const auto handle = std::move(task).release();
        handle.promise().start(context_, *this);
        ++running_;
        detail::schedule(*context_.io, handle.promise().ready(handle));
    }

    // Cancels what the tasks await, and whatever they await from now on. Returns at once; the tasks finish in their own
    // time. For the thread of the Io alone.
    void request_stop() noexcept { stop_.request_stop(); }
    bool stop_requested() const noexcept { return stop_.stop_requested(); }

    // How many tasks have been spawned and have not finished.
    size_t running() const noexcept { return running_; }

    // `co_await scope.join()` waits until no spawned task runs any more. One coroutine at a time may wait so.
    auto join() noexcept {
        struct Awaiter {
            Scope& scope;
            bool await_ready() const noexcept { return scope.running_ == 0; }
            void await_suspend(std::coroutine_handle<> waiter) const noexcept {
                if (scope.waiter_) detail::broken("two coroutines wait for the same scope");
                scope.waiter_ = waiter;
            }
            void await_resume() const noexcept {}
        };
        return Awaiter{*this};
    }

  protected:
    Scope(Io& io, StopScope* outer) noexcept
        : Completion{[](Completion& self, std::coroutine_handle<> finished) noexcept {
              return static_cast<Scope&>(self).ended(finished);
          }},
          stop_(outer),
          context_{&io, &stop_} {}
    ~Scope() {
        if (running_ != 0) detail::broken("a scope was destroyed before its tasks had finished");
    }

    detail::Context& context() noexcept { return context_; }

  private:
    std::coroutine_handle<> ended(std::coroutine_handle<> finished) noexcept {
        finished.destroy();
        return --running_ == 0 ? std::exchange(waiter_, nullptr) : nullptr;
    }

    StopScope stop_;
    detail::Context context_;
    size_t running_ = 0;
    std::coroutine_handle<> waiter_;
};

namespace detail {

// A scope for the functions below, which wait for its tasks.
class JoinedScope : public Scope {
  public:
    JoinedScope(Io& io, StopScope* outer) noexcept : Scope(io, outer) {}
    explicit JoinedScope(Context& outer) noexcept : Scope(*outer.io, outer.stop) {}
    using Scope::context;
};

}  // namespace detail

// `co_await with_scope([&](Scope& scope) -> Task<T> {...})` runs the body, and, when it has finished, waits for the
// tasks that were spawned in the scope. Yields what the body yields. The scope stops with the one around it; the body
// belongs to it, and stops with it as its tasks do.
template <typename Body>
auto with_scope(Body body) -> std::invoke_result_t<Body&, Scope&> {
    using T = typename std::invoke_result_t<Body&, Scope&>::value_type;
    detail::Context& outer = co_await detail::ThisContext();
    detail::JoinedScope scope(outer);
    if constexpr (std::is_void_v<T>) {
        co_await body(scope).in(scope.context());
        co_await scope.join();
    } else {
        T result = co_await body(scope).in(scope.context());
        co_await scope.join();
        co_return result;
    }
}

// `co_await shielded(work)`: a task or an operation which does not hear of a request to stop the scope around it. For
// what has to be done at the end, such as to say goodbye to a peer.
template <typename Work>
Task<detail::Awaited<Work>> shielded(Work work) {
    detail::Context& outer = co_await detail::ThisContext();
    detail::JoinedScope scope(*outer.io, nullptr);
    co_return co_await detail::as_task(std::move(work)).in(scope.context());
}

}  // namespace ringside

#include "ringside/io.hpp"
