// Work for the Io of another thread, by messages between their rings. Not part of ringside.hpp.
#pragma once

#include <stop_token>

#include "ringside/combine.hpp"

namespace ringside {

namespace detail {

// A message on its way with a task. On the heap, since nobody waits for its arrival.
struct TaskMessage : Message {
    explicit TaskMessage(Task<void> sent) noexcept
        : Message{[](Message& self, Io& io) noexcept {
              auto& message = static_cast<TaskMessage&>(self);
              io.spawn(std::move(message.task));
              delete &message;
          }},
          task(std::move(sent)) {}
    Task<void> task;
};

// A message that a coroutine waits for.
class Answer : Message {
  public:
    Answer() noexcept
        : Message{[](Message& self, Io& io) noexcept {
              auto& answer = static_cast<Answer&>(self);
              answer.came_ = true;
              io.message_came();
              if (answer.ready_.coroutine) io.schedule(answer.ready_);
          }} {}
    Answer(const Answer&) = delete;
    Answer& operator=(const Answer&) = delete;

    using Message::user_data;

    bool await_ready() const noexcept { return came_; }
    void await_suspend(std::coroutine_handle<> self) noexcept { ready_.coroutine = self; }
    void await_resume() const noexcept {}

  private:
    Ready ready_;
    bool came_ = false;
};

}  // namespace detail

class [[nodiscard]] PostOperation : public detail::SettledRequest<PostOperation> {
  public:
    PostOperation(Io& to, Task<void> task) : message_(new detail::TaskMessage(std::move(task))) {
        io_uring_prep_msg_ring(&sqe_, to.ring_fd(), 0, 0, 0);
    }

    void settle() noexcept { sqe_.off = message_->user_data(); }
    Result<void> await_resume() noexcept {
        if (result_ >= 0) (void)message_.release();
        return detail::to_result<void>(result_);
    }

  private:
    std::unique_ptr<detail::TaskMessage> message_;
};

class [[nodiscard]] UntilStopped : detail::StopListener, detail::Ready {
  public:
    UntilStopped() noexcept : StopListener(heard) {}
    UntilStopped(UntilStopped&&) noexcept : UntilStopped() {}
    UntilStopped& operator=(UntilStopped&&) = delete;

    bool await_ready() const noexcept { return false; }
    template <std::derived_from<detail::PromiseBase> Promise>
    bool await_suspend(std::coroutine_handle<Promise> self) noexcept {
        const detail::Context& context = self.promise().context();
        if (context.stop->stop_requested()) return false;
        coroutine = self;
        io_ = context.io;
        io_->expect_message();
        context.stop->add(*this);
        return true;
    }
    void await_resume() const noexcept {}

  private:
    static void heard(StopListener& listener) noexcept {
        auto& self = static_cast<UntilStopped&>(listener);
        self.io_->message_came();
        self.io_->schedule(self);
    }

    Io* io_ = nullptr;
};

namespace async {

// Hands a task to the Io of another thread, which runs it as Io::spawn() would. `to` has to live, and to be run until
// the task has arrived. The operation ends when the task is on its way; after an error it is not, and is destroyed.
// EOVERFLOW or ENOMEM if the other ring has no memory for it. Linux 5.18. Costs an allocation.
inline PostOperation post(Io& to, Task<void> task) { return PostOperation(to, std::move(task)); }

// Waits until the scope is stopped, and for nothing else: what keeps an Io running that other threads post tasks to.
inline UntilStopped until_stopped() noexcept { return {}; }

}  // namespace async

namespace detail {

template <typename T>
Task<void> run_for(Io& origin, Answer& answer, std::optional<T>& value, std::stop_token token, Task<T> task) {
    value.emplace(co_await with_stop_token(std::move(token), std::move(task)));
    for (;;) {
        // The last that this thread reads of the origin's comes before the message, which announces it.
        const int ring = origin.ring_fd();
        Operation<void> send([&](io_uring_sqe* sqe) { io_uring_prep_msg_ring(sqe, ring, 0, answer.user_data(), 0); });
        const Result<void> sent = co_await shielded(std::move(send));
        if (sent) co_return;
        // The other ring has no memory for it. Nothing of the origin's may be touched after a success.
        (void)co_await shielded(async::sleep(std::chrono::milliseconds(1)));
    }
}

// Passes a request to stop on to another thread.
class StopPassedOn : StopListener {
  public:
    StopPassedOn(StopScope& scope, std::stop_source& source) noexcept
        : StopListener([](StopListener& self) noexcept { static_cast<StopPassedOn&>(self).source_.request_stop(); }),
          source_(source) {
        if (scope.stop_requested()) source_.request_stop();
        else scope.add(*this);
    }

  private:
    std::stop_source& source_;
};

}  // namespace detail

// `co_await run_on(other, task)`: runs a task on the Io of another thread, and goes on here when it has ended. Yields
// the Result that the task yields, or the error of the message to the other ring. A stop here stops the task there.
// `other` has to be run meanwhile; async::until_stopped() keeps it so.
template <typename T>
    requires detail::is_result<T>
Task<T> run_on(Io& other, Task<T> task) {
    detail::Context& here = co_await detail::ThisContext();
    std::stop_source source;
    std::optional<T> value;
    detail::Answer answer;
    const detail::StopPassedOn pass_on(*here.stop, source);
    here.io->expect_message();
    const Result<void> sent = co_await shielded(
        async::post(other, detail::run_for(*here.io, answer, value, source.get_token(), std::move(task))));
    if (!sent) {
        here.io->message_came();
        co_return Errno{sent.error()};
    }
    co_await answer;
    co_return *std::move(value);
}

}  // namespace ringside
