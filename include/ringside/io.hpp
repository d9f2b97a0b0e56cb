// Io: a ring and the thread that runs coroutines over it.
#pragma once

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <thread>
#include <type_traits>
#include <vector>

#include "ringside/ring.hpp"
#include "ringside/scope.hpp"
#include "ringside/task.hpp"

namespace ringside {

namespace detail {

class Chain;

// A request that a coroutine awaits. It lives in the coroutine's frame, where the compiler puts what is awaited, so
// that it costs no allocation; the frame cannot go away before the request has ended.
class Request : public StopListener, public Ready {
  public:
    Request(Request&& other) noexcept
        : StopListener(stop_heard),
          sqe_(other.sqe_),
          again_(other.again_),
          more_(other.more_),
          heeds_stop_(other.heeds_stop_) {
        if (other.state_ != State::idle) broken("an operation was moved while it was awaited");
    }
    Request& operator=(Request&&) = delete;

    bool await_ready() const noexcept { return false; }

    template <std::derived_from<PromiseBase> Promise>
    bool await_suspend(std::coroutine_handle<Promise> self) noexcept {
        return begin(self.promise().context(), self);
    }

    // Called where the operation stays until it has ended: points the SQE to what lies in the operation itself.
    void settle() noexcept {}

  protected:
    // Whether the request that has completed with `result`, which is no error, is to be issued again; it changes the
    // SQE for that, or else result_.
    using Again = bool (*)(Request&, int result) noexcept;
    // Hears of a CQE which is not the request's last.
    using More = void (*)(Request&, int result, unsigned flags) noexcept;
    // Called when the request has ended, in the place of resuming a coroutine. May delete the request.
    using Ended = void (*)(Request&) noexcept;

    Request() noexcept : StopListener(stop_heard) {}
    ~Request() {
        if (state_ == State::queued || state_ == State::in_flight) {
            broken("a coroutine was destroyed while it awaited a request");
        }
    }

    inline bool begin(Context& context, std::coroutine_handle<> self) noexcept;
    // Issues a request that no coroutine awaits and no scope stops, for the first time or once more.
    inline void begin(Io& io, Ended ended) noexcept;
    // Ends a request that has begun and has not ended.
    void cancel() noexcept { stop_heard(*this); }
    // The same for one whose descriptor may be closed at once: it is not submitted any more. Whether it became a NOP.
    inline bool retract() noexcept;
    // Gives it a name, and to its scope, if it has one and heeds it.
    inline void enlist(Io& io) noexcept;
    bool begun() const noexcept { return state_ == State::queued || state_ == State::in_flight; }

    io_uring_sqe sqe_{};
    Again again_ = nullptr;
    More more_ = nullptr;
    Ended ended_ = nullptr;
    int result_ = 0;
    unsigned cqe_flags_ = 0;  // the last CQE's
    bool heeds_stop_ = true;

  private:
    friend class ringside::Io;
    friend class Chain;
    enum class State : unsigned char {
        idle,       // not awaited yet
        queued,     // waits for a free SQE
        in_flight,  // has an SQE, and no last CQE yet
        done
    };

    static inline void stop_heard(StopListener& listener) noexcept;

    State state_ = State::idle;
    bool stopped_ = false;
    bool unfinished_ = false;    // in a chain: again_ would issue it again
    Chain* chain_ = nullptr;     // that it is a link of
    Request* linked_ = nullptr;  // the next link, which is issued with this one

  protected:
    Io* io_ = nullptr;

  private:
    StopScope* stop_ = nullptr;
    __u64 name_ = 0;
};

// A request of which a part lies in the object itself, where the SQE is to point to.
template <typename Self>
class SettledRequest : public Request {
  public:
    template <std::derived_from<PromiseBase> Promise>
    bool await_suspend(std::coroutine_handle<Promise> self) noexcept {
        static_cast<Self&>(*this).settle();
        return begin(self.promise().context(), self);
    }
};

// What one thread has written before it sends an address by the ring, another sees after it has received that. The
// thread sanitizer does not see the way in between.
#if defined(__SANITIZE_THREAD__)
#define RINGSIDE_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RINGSIDE_THREAD_SANITIZER 1
#endif
#endif
#ifdef RINGSIDE_THREAD_SANITIZER
extern "C" void __tsan_acquire(void*);
extern "C" void __tsan_release(void*);
inline void announce_acquire(void* address) noexcept { __tsan_acquire(address); }
inline void announce_release(void* address) noexcept { __tsan_release(address); }
#else
inline void announce_acquire(void*) noexcept {}
inline void announce_release(void*) noexcept {}
#endif

// Names the requests in flight by user_data: an index, and above it how often the index has been used. So a cancel that
// comes late never finds the request that has the index by then.
class RequestNames {
  public:
    // In user_data, beside a name: the CQE is a cancel's. In the place of one: it is a message of another ring.
    static constexpr __u64 cancel_bit = 1ull << 63, message_bit = 1ull << 62;

    // Allocates when more requests are in flight than ever before.
    __u64 give(Request& request) {
        if (free_ == none) {
            entries_.push_back({});
            free_ = static_cast<std::uint32_t>(entries_.size() - 1);
        }
        const std::uint32_t index = free_;
        Entry& entry = entries_[index];
        free_ = entry.next_free;
        entry.request = &request;
        ++in_flight_;
        return static_cast<__u64>(entry.generation) << 32 | index;
    }

    Request* find(__u64 name) const noexcept {
        const auto index = static_cast<std::uint32_t>(name);
        if (index >= entries_.size()) return nullptr;
        const Entry& entry = entries_[index];
        return entry.generation == name >> 32 ? entry.request : nullptr;
    }

    void take_back(__u64 name) noexcept {
        const auto index = static_cast<std::uint32_t>(name);
        Entry& entry = entries_[index];
        entry.request = nullptr;
        entry.generation = (entry.generation + 1) & 0x3fff'ffff;
        entry.next_free = std::exchange(free_, index);
        --in_flight_;
    }

    void reserve(size_t count) { entries_.reserve(count); }
    size_t in_flight() const noexcept { return in_flight_; }

  private:
    static constexpr std::uint32_t none = UINT32_MAX;
    struct Entry {
        Request* request = nullptr;
        std::uint32_t generation = 0;
        std::uint32_t next_free = none;
    };
    std::vector<Entry> entries_;
    std::uint32_t free_ = none;
    size_t in_flight_ = 0;
};

// First in, first out.
class ReadyQueue {
  public:
    ReadyQueue() noexcept = default;
    ReadyQueue(const ReadyQueue&) = delete;
    ReadyQueue& operator=(const ReadyQueue&) = delete;

    bool empty() const noexcept { return first_ == nullptr; }
    void push(Ready& ready) noexcept {
        ready.next = nullptr;
        *last_ = &ready;
        last_ = &ready.next;
    }
    Ready* pop() noexcept {
        Ready* const ready = first_;
        if (ready == nullptr) return nullptr;
        first_ = ready->next;
        if (first_ == nullptr) last_ = &first_;
        return ready;
    }
    // All of it, as a chain.
    Ready* take_all() noexcept {
        last_ = &first_;
        return std::exchange(first_, nullptr);
    }

  private:
    Ready* first_ = nullptr;
    Ready** last_ = &first_;
};

// Memory that requests use whether or not somebody awaits them; it hears of the end of the ring.
class RingMemory : public Link {
  public:
    using RingEnded = void (*)(RingMemory&) noexcept;
    explicit RingMemory(RingEnded ring_ended) noexcept : ring_ended_(ring_ended) {}

  private:
    friend class ringside::Io;
    RingEnded ring_ended_;
};

// What a ring sends to another: its address is the user_data.
struct Message {
    // On the thread of the Io that it came to.
    void (*arrived)(Message&, Io&) noexcept;

    __u64 user_data() noexcept {
        announce_release(this);
        return reinterpret_cast<__u64>(this) | RequestNames::message_bit;
    }
};

// What takes the place of a ring in a test: ringside/testing.hpp.
class Simulation {
  public:
    // A free SQE; how many there are; whether a request was not looked at yet, and is a NOP now.
    virtual io_uring_sqe* sqe() noexcept = 0;
    virtual unsigned room() noexcept = 0;
    virtual bool retract(__u64 user_data) noexcept = 0;
    // Takes the SQEs, and delivers CQEs, for which it waits up to that time.
    virtual void turn(std::chrono::nanoseconds limit) noexcept = 0;
    virtual std::chrono::steady_clock::time_point now() const noexcept = 0;
    // 0 or -errno.
    virtual int register_buffers(const io_uring_buf_reg& registration) noexcept = 0;
    virtual void unregister_buffers(unsigned group) noexcept = 0;

  protected:
    ~Simulation() = default;
    static inline void deliver(Io& io, __u64 user_data, int result, unsigned flags) noexcept;
};

// A request to stop that another thread has made, on its way to the thread of the Io.
struct RemoteStop {
    Scope* scope;
    RemoteStop* next = nullptr;
};

}  // namespace detail

// Runs tasks on one thread: the one that made it. Several threads have an Io each.
//
// The ring has SINGLE_ISSUER, DEFER_TASKRUN and SUBMIT_ALL where the provider has them, and its waits do not count as
// waits for a disk (NO_IOWAIT); Options::flags other than 0 replace the first three. SQEs are submitted together when
// no coroutine can go on, or when Options::entries of them are queued.
class Io {
  public:
    // Throws std::system_error if no ring can be made, like Ring.
    explicit Io(const Options& options = {}) {
        Parts made = set_up(options);
        if (!made.ring) detail::cannot_construct("cannot set up an Io", made.ring.error());
        adopt(std::move(made));
    }

    // The same without an exception.
    static Result<std::unique_ptr<Io>> make(const Options& options = {}) {
        Parts made = set_up(options);
        if (!made.ring) return Errno{made.ring.error()};
        return std::unique_ptr<Io>(new Io(std::move(made)));
    }

    Io(const Io&) = delete;
    Io& operator=(const Io&) = delete;

    ~Io() {
        if (names_.in_flight() != 0) detail::broken("an Io was destroyed while tasks awaited its requests");
        while (!memory_.alone()) {
            auto& memory = static_cast<detail::RingMemory&>(*memory_.next());
            memory.unlink();
            memory.ring_ended_(memory);
        }
        if (wake_fd_ >= 0) ::close(wake_fd_);
    }

    // Runs a task, and all that has been spawned, until they have finished. Yields what the task yields. Blocks the
    // thread while nothing can go on. Aborts if the ring itself fails, since requests may be in flight that nobody
    // could learn the end of, and if all tasks wait and no request is in flight.
    template <typename T>
    T run(Task<T> task) {
        struct Root : detail::Completion {
            bool finished = false;
        } root{{[](detail::Completion& self, std::coroutine_handle<>) noexcept -> std::coroutine_handle<> {
                   static_cast<Root&>(self).finished = true;
                   return nullptr;
               }},
               false};
        const auto handle = task.handle();
        handle.promise().start(root_.context(), root);
        schedule(handle.promise().ready(handle));
        run_until([&] { return root.finished && at_rest(); });
        return handle.promise().take();
    }

    // Runs what has been spawned.
    void run() {
        run_until([&] { return at_rest(); });
    }

    // Starts a task which the next run(), or the one that runs, waits for. From the Io's thread alone.
    void spawn(Task<void> task) noexcept { root_.spawn(std::move(task)); }

    // Stops all that runs here, for good. From the Io's thread alone; others use with_stop_token().
    void request_stop() noexcept { root_.request_stop(); }

    Provider provider() const noexcept { return ring_ ? ring_->provider() : Provider::engine; }
    const char* provider_reason() const noexcept { return ring_ ? ring_->provider_reason() : "a test takes its place"; }
    unsigned ring_flags() const noexcept { return ring_ ? ring_->flags() : 0; }

    // The monotonic clock, as sleep_until() goes by it. A test's is virtual.
    std::chrono::steady_clock::time_point now() const noexcept {
        return simulation_ == nullptr ? std::chrono::steady_clock::now() : simulation_->now();
    }

    // How many requests are awaited.
    size_t in_flight() const noexcept { return names_.in_flight(); }

    // --- For awaitables
    // -----------------------------------------------------------------------------------------------

    void schedule(detail::Ready& ready) noexcept { ready_.push(ready); }
    void run_next(std::coroutine_handle<> coroutine) noexcept { next_ = coroutine; }

    // Issues a request that has its name and its listener already.
    void queue(detail::Request& request) noexcept {
        request.state_ = detail::Request::State::queued;
        if (!waiting_.empty() || !issue(request)) waiting_.push(request);
    }

    // For registrations. User_data is the Io's.
    io_uring* native() noexcept { return ring_->native(); }
    void add(detail::RingMemory& memory) noexcept { memory.link_before(memory_); }
    int register_buffers(io_uring_buf_reg registration) noexcept {
        if (simulation_ != nullptr) return simulation_->register_buffers(registration);
        return io_uring_register_buf_ring(native(), &registration, 0);
    }
    void unregister_buffers(unsigned group) noexcept {
        if (simulation_ != nullptr) simulation_->unregister_buffers(group);
        else (void)io_uring_unregister_buf_ring(native(), static_cast<int>(group));
    }

    // A request that nobody awaits any more; run() waits for its end.
    void abandon() noexcept { ++abandoned_; }
    void abandoned_ended() noexcept { --abandoned_; }

    // A coroutine waits for what another thread sends: then it is no fault that no request is in flight.
    void expect_message() noexcept { ++messages_expected_; }
    void message_came() noexcept { --messages_expected_; }
    // For MSG_RING.
    int ring_fd() const noexcept { return ring_ ? ring_->fd() : -1; }
    unsigned entries() const noexcept { return ring_ ? ring_->entries() : 64; }

    // Makes a NOP of a request that the ring has not been given yet. Whether it was such a one.
    bool retract(detail::Request& request) noexcept;

    // Other threads' requests to stop a scope. Each watch_remote() has its unwatch_remote(), after which the node is in
    // no list.
    void watch_remote() noexcept { ++remote_watchers_; }
    void unwatch_remote() noexcept {
        --remote_watchers_;
        take_remote();
    }
    // From any thread.
    void post(detail::RemoteStop& stop) noexcept;

  protected:
    // For tests.
    explicit Io(detail::Simulation& simulation) noexcept : simulation_(&simulation) {}

  private:
    friend class detail::Request;
    friend class detail::Simulation;

    // A ring, and what goes with it.
    struct Parts {
        Result<Ring> ring;
        int wake_fd = -1;
    };

    explicit Io(Parts made) { adopt(std::move(made)); }

    static Parts set_up(Options options);
    void adopt(Parts made);

    bool at_rest() const noexcept { return root_.running() == 0 && abandoned_ == 0; }
    template <typename Finished>
    void run_until(Finished finished);
    void resume_ready() noexcept;
    void flush_queues() noexcept;
    void arm_wake() noexcept;
    void wait() noexcept;
    void wait_simulated() noexcept;
    bool hopeless() const noexcept;
    int wait_for(std::chrono::nanoseconds limit) noexcept;
    void cancel_again() noexcept;
    void cancel_was_lost(detail::Request& request) noexcept;
    void reap() noexcept;
    void reaped(__u64 user_data, int result, unsigned flags) noexcept;
    void take_remote() noexcept;

    io_uring_sqe* sqe() noexcept;
    bool issue(detail::Request& request) noexcept;
    bool issue_cancel(detail::Request& request) noexcept;
    bool make_room(const detail::Request& chain) noexcept;
    void end_unissued(detail::Request& request) noexcept;
    static bool interrupted(int result) noexcept;
    void complete(detail::Request& request, int result, unsigned cqe_flags) noexcept;

    static constexpr __u64 wake_name = ~0ull;
    static constexpr unsigned resumes_between_submissions = 1024;
    static constexpr std::chrono::milliseconds shortest_pause{1}, longest_pause{64};

    // The lists come before the scope, whose requests are in them.
    detail::RequestNames names_;
    detail::ReadyQueue ready_;      // coroutines to be resumed
    detail::ReadyQueue waiting_;    // requests to be issued when there is an SQE again
    detail::Link to_cancel_;        // requests in flight that a cancel is to be issued for
    detail::Link to_cancel_again_;  // the same, after a pause: a cancel did not find them
    std::chrono::nanoseconds pause_ = shortest_pause;
    std::chrono::steady_clock::time_point cancel_again_at_{};

    std::coroutine_handle<> next_;
    detail::Link memory_;
    size_t abandoned_ = 0;
    size_t messages_expected_ = 0;
    std::optional<Ring> ring_;  // none if there is a simulation
    detail::Simulation* simulation_ = nullptr;
    detail::JoinedScope root_{*this, nullptr};
    std::thread::id thread_ = std::this_thread::get_id();
    bool running_ = false;

    int wake_fd_ = -1;
    bool wake_armed_ = false;
    unsigned remote_watchers_ = 0;
    std::atomic<detail::RemoteStop*> remote_{nullptr};
};

namespace detail {
inline void run_next(Io& io, std::coroutine_handle<> coroutine) noexcept { io.run_next(coroutine); }
inline void schedule(Io& io, Ready& ready) noexcept { io.schedule(ready); }
}  // namespace detail

// Runs one task on an Io of its own and yields what it yields.
template <typename T>
T sync_wait(Task<T> task, const Options& options = {}) {
    Io io(options);
    return io.run(std::move(task));
}

}  // namespace ringside

#include "ringside/io_impl.hpp"
