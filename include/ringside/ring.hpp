// A ring that ends with its object: the queue functions of liburing with results that carry their errno.
#pragma once

#include <chrono>
#include <concepts>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#include "liburing.h"
#include "ringside/options.hpp"
#include "ringside/result.hpp"

namespace ringside {

namespace detail {
// Ends a constructor: by an exception, or, in a program that is compiled without them, by the end of the process.
[[noreturn]] inline void cannot_construct(const char* what, int error) {
    const std::string message = std::string(what) + ": " + ringside_explain_setup(error);
#ifdef __cpp_exceptions
    throw std::system_error(error, std::system_category(), message);
#else
    std::fprintf(stderr, "ringside: %s\n", message.c_str());
    std::abort();
#endif
}
}  // namespace detail

// One thread at a time may use a ring. It can be moved, also while requests are in flight: nothing points to the
// object.
class Ring {
  public:
    // Throws std::system_error if no ring can be made; what() names the likely cause and what to do about it. In a
    // program that is compiled without exceptions it prints that and aborts: make() is for such programs.
    explicit Ring(const Options& options = {}) {
        if (const int error = set_up(options); error != 0) detail::cannot_construct("cannot set up a ring", error);
    }

    // The same without an exception: a ring, or the errno; ringside_explain_setup() tells what to do about it.
    static Result<Ring> make(const Options& options = {}) noexcept {
        Ring ring{Empty()};
        if (const int error = ring.set_up(options); error != 0) return Errno{error};
        return Result<Ring>(std::move(ring));
    }

    explicit Ring(unsigned entries, unsigned flags = 0) : Ring(Options{.entries = entries, .flags = flags}) {}

    Ring(Ring&& other) noexcept
        : ring_(other.ring_), live_(std::exchange(other.live_, false)), reason_(other.reason_) {}

    Ring& operator=(Ring&& other) noexcept {
        if (this != &other) {
            end();
            ring_ = other.ring_;
            live_ = std::exchange(other.live_, false);
            reason_ = other.reason_;
        }
        return *this;
    }

    // Cancels what is in flight.
    ~Ring() { end(); }

    // --- Submitting
    // ---------------------------------------------------------------------------------------------------

    // The next free SQE, for an io_uring_prep_... helper to fill in, or null if the queue is full: submit() first.
    [[nodiscard]] io_uring_sqe* get_sqe() noexcept { return io_uring_get_sqe(&ring_); }

    // Hands over all SQEs that were taken. Yields how many the ring accepted.
    Result<unsigned> submit() noexcept { return result_of(io_uring_submit(&ring_)); }

    // The same, then waits until `count` completions are there.
    Result<unsigned> submit_and_wait(unsigned count) noexcept {
        return result_of(io_uring_submit_and_wait(&ring_, count));
    }

    // --- Reaping
    // ------------------------------------------------------------------------------------------------------ A
    // completion stays the ring's, and in its place, until seen() or advance() passes it.

    // The first completion, or null if there is none.
    [[nodiscard]] io_uring_cqe* peek() noexcept {
        io_uring_cqe* cqe;
        return io_uring_peek_cqe(&ring_, &cqe) == 0 ? cqe : nullptr;
    }

    // Waits for a completion; yields it. EINTR if a signal was handled.
    Result<io_uring_cqe*> wait() noexcept {
        io_uring_cqe* cqe = nullptr;
        const int result = io_uring_wait_cqe(&ring_, &cqe);
        return completion(result, cqe);
    }

    // Waits for `count` completions; yields the first.
    Result<io_uring_cqe*> wait_cqes(unsigned count) noexcept {
        io_uring_cqe* cqe = nullptr;
        const int result = io_uring_wait_cqe_nr(&ring_, &cqe, count);
        return completion(result, cqe);
    }

    // Waits for `count` completions, at most for `time`; then fewer will do. ETIME if there is none.
    template <typename Rep, typename Period>
    Result<io_uring_cqe*> wait_for(std::chrono::duration<Rep, Period> time, unsigned count = 1) noexcept {
        const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(time).count();
        __kernel_timespec limit{};
        if (ns > 0) {
            limit.tv_sec = ns / 1'000'000'000;
            limit.tv_nsec = ns % 1'000'000'000;
        }
        io_uring_cqe* cqe = nullptr;
        const int result = io_uring_wait_cqes(&ring_, &cqe, count, &limit, nullptr);
        return completion(result, cqe);
    }

    // As many completions as are there and fit, without waiting; the filled part of `room`.
    std::span<io_uring_cqe*> peek_batch(std::span<io_uring_cqe*> room) noexcept {
        return room.first(io_uring_peek_batch_cqe(&ring_, room.data(), static_cast<unsigned>(room.size())));
    }

    // Calls `handle(io_uring_cqe&)` for each completion that is there, then passes them all. Returns how many.
    template <std::invocable<io_uring_cqe&> Handle>
    unsigned for_each_ready(Handle&& handle) {
        unsigned count = 0, entries = 0;
        io_uring_cqe_iter iter = io_uring_cqe_iter_init(&ring_);
        for (io_uring_cqe* cqe; io_uring_cqe_iter_next(&iter, &cqe);) {
            entries += io_uring_cqe_nr(cqe);
            if (cqe->flags & IORING_CQE_F_SKIP) continue;
            handle(*cqe);
            ++count;
        }
        advance(entries);
        return count;
    }

    void seen(io_uring_cqe* cqe) noexcept { io_uring_cqe_seen(&ring_, cqe); }
    void advance(unsigned entries) noexcept { io_uring_cq_advance(&ring_, entries); }
    unsigned ready() const noexcept { return io_uring_cq_ready(&ring_); }

    // --- About the ring
    // -----------------------------------------------------------------------------------------------

    Provider provider() const noexcept { return static_cast<Provider>(ringside_provider_of(&ring_)); }
    // Why it is that one: a sentence without a full stop.
    const char* provider_reason() const noexcept { return reason_; }

    // Readable while completions wait; for poll(2) and epoll(7).
    int fd() const noexcept { return ring_.ring_fd; }
    unsigned entries() const noexcept { return ring_.sq.ring_entries; }
    unsigned flags() const noexcept { return ring_.flags; }
    unsigned features() const noexcept { return ring_.features; }

    // For the rest of the liburing API. It must not be given to io_uring_queue_exit().
    io_uring* native() noexcept { return &ring_; }

  private:
    struct Empty {};
    explicit Ring(Empty) noexcept {}

    // Returns 0, or the errno.
    int set_up(const Options& options) noexcept {
        io_uring_params params{};
        params.flags = options.flags;
        params.sq_thread_idle = options.submission_thread_idle_ms;
        if (options.completion_entries != 0) {
            params.flags |= IORING_SETUP_CQSIZE;
            params.cq_entries = options.completion_entries;
        }
        reason_ = reason_for(options.provider);
        const int result =
            ringside_queue_init(options.entries, &ring_, &params, static_cast<ringside_wish>(options.provider));
        if (result < 0) return -result;
        live_ = true;
        return 0;
    }

    static const char* reason_for(Wish wish) noexcept {
        if (wish == Wish::kernel) return "the ring's options ask for the kernel's io_uring";
        if (wish == Wish::engine) return "the ring's options ask for the engine";
        return ringside_choose().reason;
    }

    static Result<io_uring_cqe*> completion(int result, io_uring_cqe* cqe) noexcept {
        if (result < 0) return Errno{-result};
        return cqe;
    }

    void end() noexcept {
        if (std::exchange(live_, false)) io_uring_queue_exit(&ring_);
    }

    io_uring ring_{};
    bool live_ = false;
    const char* reason_ = "";
};

}  // namespace ringside
