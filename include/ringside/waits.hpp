// Operations that wait for what is no file: child processes, futexes, epoll sets. Not part of ringside.hpp. What holds
// for all operations stands in operations.hpp.
#pragma once

#include <linux/futex.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#include <cstdint>
#include <span>

#include "ringside/operations.hpp"

namespace ringside {

// Flags of futexes: a word of 32 bits, which is the only size there is, and one that other processes do not share.
inline constexpr unsigned futex_u32 = 2, futex_private = 128;

class [[nodiscard]] WaitidOperation : public detail::SettledRequest<WaitidOperation> {
  public:
    WaitidOperation(idtype_t type, id_t id, int options) noexcept {
        io_uring_prep_waitid(&sqe_, type, id, nullptr, options, 0);
    }

    void settle() noexcept { sqe_.addr2 = reinterpret_cast<__u64>(&info_); }
    Result<siginfo_t> await_resume() noexcept {
        if (result_ < 0) return Errno{-result_};
        return info_;
    }

  private:
    siginfo_t info_{};
};

class [[nodiscard]] EpollCtlOperation : public detail::SettledRequest<EpollCtlOperation> {
  public:
    EpollCtlOperation(FdRef epoll, int what, FdRef fd, epoll_event event) noexcept : event_(event) {
        io_uring_prep_epoll_ctl(&sqe_, epoll.get(), fd.get(), what, nullptr);
    }

    void settle() noexcept { sqe_.addr = reinterpret_cast<__u64>(&event_); }
    Result<void> await_resume() noexcept { return detail::to_result<void>(result_); }

  private:
    epoll_event event_;
};

namespace async {

// Waits until a child process changes its state; `options` are WEXITED and such. Yields what happened, si_code and
// si_status above all; si_pid is 0 if WNOHANG was among the options and nothing had. waitid(2). Linux 6.7.
inline WaitidOperation waitid(idtype_t type, id_t id, int options = WEXITED) noexcept {
    return WaitidOperation(type, id, options);
}

// Waits until somebody wakes the futex. EAGAIN if *word is not `expected` at the beginning. Both sides have to agree on
// `flags`, futex_u32 with futex_private or without, and a waiter is woken by a mask that shares a bit with its
// own. futex_wait(2), which is not FUTEX_WAIT in that. Linux 6.7.
inline Operation<void> futex_wait(const std::uint32_t* word, std::uint32_t expected,
                                  unsigned flags = futex_u32 | futex_private,
                                  std::uint64_t mask = FUTEX_BITSET_MATCH_ANY) noexcept {
    return Operation<void>([&](io_uring_sqe* sqe) { io_uring_prep_futex_wait(sqe, word, expected, mask, flags, 0); });
}

// Wakes up to `count` of those that wait. Yields how many.
inline Operation<unsigned> futex_wake(const std::uint32_t* word, unsigned count,
                                      unsigned flags = futex_u32 | futex_private,
                                      std::uint64_t mask = FUTEX_BITSET_MATCH_ANY) noexcept {
    return Operation<unsigned>([&](io_uring_sqe* sqe) { io_uring_prep_futex_wake(sqe, word, count, mask, flags, 0); });
}

// Waits until one of several futexes is woken, whose array has to live as long. Yields its index. Linux 6.7.
inline Operation<unsigned> futex_waitv(std::span<const struct ::futex_waitv> futexes) noexcept {
    return Operation<unsigned>([&](io_uring_sqe* sqe) {
        io_uring_prep_futex_waitv(sqe, futexes.data(), static_cast<unsigned>(futexes.size()), 0);
    });
}

// Waits for events of an epoll set. Yields how many are in `events`. epoll_wait(2). Linux 6.15.
inline Operation<unsigned> epoll_wait(FdRef epoll, std::span<epoll_event> events) noexcept {
    return Operation<unsigned>([&](io_uring_sqe* sqe) {
        io_uring_prep_epoll_wait(sqe, epoll.get(), events.data(), static_cast<int>(events.size()), 0);
    });
}

// Changes an epoll set; `what` is EPOLL_CTL_.... epoll_ctl(2).
inline EpollCtlOperation epoll_ctl(FdRef epoll, int what, FdRef fd, epoll_event event = {}) noexcept {
    return EpollCtlOperation(epoll, what, fd, event);
}

}  // namespace async

}  // namespace ringside
