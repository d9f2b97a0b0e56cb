// The operations that a task awaits: `const Result<size_t> n = co_await async::read(fd, buffer);`
//
// For all of them:
// - Nothing happens until the operation is awaited. Only tasks can await one; the Io is the task's.
// - The task goes on when the request has ended, never before. Then nobody uses its memory or its descriptor any more.
//   What an operation points to (buffers, paths, addresses) and its descriptor have to live, and be left alone, until
//   then. A temporary object within the co_await expression lives long enough.
// - The result is a value or an errno, the one that the system call of that name gives. No operation throws.
// - ECANCELED: the scope around the task was stopped (Scope::request_stop, with_timeout, with_stop_token) before or
// while
//   the operation was awaited. If it achieved something before the request to stop reached it, then that is the result.
// - An awaited operation allocates nothing, but for a table that grows when more requests are in flight than ever
// before.
#pragma once

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <span>

#include "ringside/descriptor.hpp"
#include "ringside/io.hpp"

namespace ringside {

namespace detail {

// What a request's res means to the program.
template <typename T>
Result<T> to_result(int result) noexcept {
    if (result < 0) return Errno{-result};
    if constexpr (std::is_void_v<T>) return {};
    else return T(result);
}

// The longest transfer that one request makes; Linux stops there.
inline unsigned transfer_length(size_t size) noexcept {
    return static_cast<unsigned>(std::min<size_t>(size, 0x7fff'f000));
}

inline __kernel_timespec to_timespec(std::chrono::nanoseconds time) noexcept {
    const auto ns = std::max<std::chrono::nanoseconds::rep>(time.count(), 0);
    return {ns / 1'000'000'000, ns % 1'000'000'000};
}

}  // namespace detail

// An operation that yields a T: size_t, unsigned, Descriptor, or nothing.
template <typename T>
class [[nodiscard]] Operation : public detail::Request {
  public:
    // `prepare(io_uring_sqe*)` is one of the io_uring_prep_... helpers. For operations that are not below: the SQE is
    // kept here until it is issued; user_data is the Io's, and no flag may be set that links requests or skips the CQE.
    template <std::invocable<io_uring_sqe*> Prepare>
    explicit Operation(Prepare prepare) noexcept {
        prepare(&sqe_);
    }

    Result<T> await_resume() noexcept { return detail::to_result<T>(result_); }
};

namespace async {

// The position of the file, which each transfer moves, instead of an offset. The only one for pipes, sockets and such.
inline constexpr __u64 current_position = ~0ull;

// Does nothing, by way of the ring.
inline Operation<void> nop() noexcept {
    return Operation<void>([](io_uring_sqe* sqe) { io_uring_prep_nop(sqe); });
}

// --- Reading and writing
// ---------------------------------------------------------------------------------------------------

// Reads up to the size of the buffer, from `offset` in bytes. Yields how many bytes; 0 at the end of the file.
inline Operation<size_t> read(FdRef fd, std::span<std::byte> buffer, __u64 offset = current_position) noexcept {
    return Operation<size_t>([&](io_uring_sqe* sqe) {
        io_uring_prep_read(sqe, fd.get(), buffer.data(), detail::transfer_length(buffer.size()), offset);
    });
}

// Writes up to the size of the buffer, to `offset` in bytes. Yields how many bytes.
inline Operation<size_t> write(FdRef fd, std::span<const std::byte> buffer, __u64 offset = current_position) noexcept {
    return Operation<size_t>([&](io_uring_sqe* sqe) {
        io_uring_prep_write(sqe, fd.get(), buffer.data(), detail::transfer_length(buffer.size()), offset);
    });
}

// Receives up to the size of the buffer from a socket; `flags` are MSG_.... Yields how many bytes; 0 when the peer has
// shut down its side.
inline Operation<size_t> recv(FdRef fd, std::span<std::byte> buffer, int flags = 0) noexcept {
    return Operation<size_t>([&](io_uring_sqe* sqe) {
        io_uring_prep_recv(sqe, fd.get(), buffer.data(), detail::transfer_length(buffer.size()), flags);
    });
}

// Sends up to the size of the buffer on a socket. Yields how many bytes. A connection that is gone gives EPIPE, and no
// SIGPIPE unless `flags` lack MSG_NOSIGNAL.
inline Operation<size_t> send(FdRef fd, std::span<const std::byte> buffer, int flags = MSG_NOSIGNAL) noexcept {
    return Operation<size_t>([&](io_uring_sqe* sqe) {
        io_uring_prep_send(sqe, fd.get(), buffer.data(), detail::transfer_length(buffer.size()), flags);
    });
}

}  // namespace async

// A read, write, recv or send that goes on after a short transfer, request by request.
class [[nodiscard]] WholeTransfer : public detail::Request {
  public:
    enum class Direction { in, out };

    template <std::invocable<io_uring_sqe*> Prepare>
    WholeTransfer(Direction direction, size_t size, Prepare prepare) noexcept : left_(size), direction_(direction) {
        prepare(&sqe_);
        again_ = again;
    }

    // How many bytes in all.
    Result<size_t> await_resume() noexcept {
        if (result_ < 0) return Errno{-result_};
        return done_;
    }

  private:
    static bool again(Request& request, int result) noexcept {
        auto& self = static_cast<WholeTransfer&>(request);
        const auto moved = static_cast<unsigned>(result);
        self.done_ += moved;
        self.left_ -= moved;
        // The end of the file; or a file that takes nothing more and does not say why.
        if (moved == 0 && self.left_ != 0 && self.direction_ == Direction::out) self.result_ = -EIO;
        if (moved == 0 || self.left_ == 0) return false;
        self.sqe_.addr += moved;
        self.sqe_.len = detail::transfer_length(self.left_);
        const bool positioned = self.sqe_.opcode == IORING_OP_READ || self.sqe_.opcode == IORING_OP_WRITE;
        if (positioned && self.sqe_.off != async::current_position) self.sqe_.off += moved;
        return true;
    }

    size_t done_ = 0;
    size_t left_;
    Direction direction_;
};

namespace async {

// The four below go on after a short transfer until the buffer is full or empty. Yield how many bytes were transferred,
// which is less than the buffer's size only at the end of the file or when the peer has shut down its side. After an
// error, ECANCELED included, some may have been transferred; how many is not told. EIO if a file takes nothing and
// gives no error.

inline WholeTransfer read_all(FdRef fd, std::span<std::byte> buffer, __u64 offset = current_position) noexcept {
    return {WholeTransfer::Direction::in, buffer.size(), [&](io_uring_sqe* sqe) {
                io_uring_prep_read(sqe, fd.get(), buffer.data(), detail::transfer_length(buffer.size()), offset);
            }};
}

inline WholeTransfer write_all(FdRef fd, std::span<const std::byte> buffer, __u64 offset = current_position) noexcept {
    return {WholeTransfer::Direction::out, buffer.size(), [&](io_uring_sqe* sqe) {
                io_uring_prep_write(sqe, fd.get(), buffer.data(), detail::transfer_length(buffer.size()), offset);
            }};
}

inline WholeTransfer recv_all(FdRef fd, std::span<std::byte> buffer, int flags = 0) noexcept {
    return {WholeTransfer::Direction::in, buffer.size(), [&](io_uring_sqe* sqe) {
                io_uring_prep_recv(sqe, fd.get(), buffer.data(), detail::transfer_length(buffer.size()), flags);
            }};
}

inline WholeTransfer send_all(FdRef fd, std::span<const std::byte> buffer, int flags = MSG_NOSIGNAL) noexcept {
    return {WholeTransfer::Direction::out, buffer.size(), [&](io_uring_sqe* sqe) {
                io_uring_prep_send(sqe, fd.get(), buffer.data(), detail::transfer_length(buffer.size()), flags);
            }};
}

// --- Files
// -----------------------------------------------------------------------------------------------------------------

// Opens a file; `flags` are O_..., to which O_CLOEXEC is added, and `mode` is for a file that is created. A path that
// does not begin with / starts at `directory`.
inline Operation<Descriptor> openat(FdRef directory, const char* path, int flags, mode_t mode = 0) noexcept {
    return Operation<Descriptor>(
        [&](io_uring_sqe* sqe) { io_uring_prep_openat(sqe, directory.get(), path, flags | O_CLOEXEC, mode); });
}

// Brings what was written to the disk; the data alone and not the file's times if `flags` is IORING_FSYNC_DATASYNC.
inline Operation<void> fsync(FdRef fd, unsigned flags = 0) noexcept {
    return Operation<void>([&](io_uring_sqe* sqe) { io_uring_prep_fsync(sqe, fd.get(), flags); });
}

}  // namespace async

class [[nodiscard]] CloseOperation : public detail::SettledRequest<CloseOperation> {
  public:
    explicit CloseOperation(Descriptor descriptor) noexcept : descriptor_(std::move(descriptor)) {
        io_uring_prep_close(&sqe_, descriptor_.get());
        heeds_stop_ = false;
    }

    // A close that the ring did not come to, since a chain broke, is the descriptor's own.
    Result<void> await_resume() noexcept {
        if (result_ != -ECANCELED) (void)descriptor_.release();
        return detail::to_result<void>(result_);
    }

  private:
    Descriptor descriptor_;
};

class [[nodiscard]] StatxOperation : public detail::SettledRequest<StatxOperation> {
  public:
    StatxOperation(FdRef directory, const char* path, int flags, unsigned mask) noexcept {
        io_uring_prep_statx(&sqe_, directory.get(), path, flags, mask, nullptr);
    }

    void settle() noexcept { sqe_.off = reinterpret_cast<__u64>(&status_); }
    Result<struct ::statx> await_resume() noexcept {
        if (result_ < 0) return Errno{-result_};
        return status_;
    }

  private:
    struct ::statx status_{};
};

class [[nodiscard]] SleepOperation : public detail::SettledRequest<SleepOperation> {
  public:
    SleepOperation(std::chrono::nanoseconds time, unsigned flags) noexcept : time_(detail::to_timespec(time)) {
        io_uring_prep_timeout(&sqe_, nullptr, 0, flags);
    }

    void settle() noexcept { sqe_.addr = reinterpret_cast<__u64>(&time_); }
    // The time has passed: that is what was wanted.
    Result<void> await_resume() noexcept { return detail::to_result<void>(result_ == -ETIME ? 0 : result_); }

  private:
    __kernel_timespec time_;
};

namespace async {

// Closes. Does not heed a request to stop, so that the descriptor is closed in any case; it is gone after an error too.
inline CloseOperation close(Descriptor descriptor) noexcept { return CloseOperation(std::move(descriptor)); }

// What is to be known of a file: `mask` is STATX_..., `flags` are AT_.... An empty path and AT_EMPTY_PATH are for the
// descriptor itself.
inline StatxOperation statx(FdRef directory, const char* path, int flags = 0,
                            unsigned mask = STATX_BASIC_STATS) noexcept {
    return StatxOperation(directory, path, flags, mask);
}

// --- Sockets
// ---------------------------------------------------------------------------------------------------------------

// Accepts a connection on a socket that listens; `flags` are SOCK_..., to which SOCK_CLOEXEC is added.
inline Operation<Descriptor> accept(FdRef fd, int flags = 0) noexcept {
    return Operation<Descriptor>(
        [&](io_uring_sqe* sqe) { io_uring_prep_accept(sqe, fd.get(), nullptr, nullptr, flags | SOCK_CLOEXEC); });
}

// Connects a socket. After an error, ECANCELED included, the socket is of no use but to be closed.
inline Operation<void> connect(FdRef fd, const sockaddr* address, socklen_t size) noexcept {
    return Operation<void>([&](io_uring_sqe* sqe) { io_uring_prep_connect(sqe, fd.get(), address, size); });
}

// Waits until a file is ready for one of the `events`, POLLIN and such. Yields those that it is ready for.
inline Operation<unsigned> poll(FdRef fd, unsigned events) noexcept {
    return Operation<unsigned>([&](io_uring_sqe* sqe) { io_uring_prep_poll_add(sqe, fd.get(), events); });
}

// --- Time
// ------------------------------------------------------------------------------------------------------------------

// Waits for that time, by the monotonic clock. No time, or less, is over at once.
inline SleepOperation sleep(std::chrono::nanoseconds time) noexcept { return SleepOperation(time, 0); }

// Waits until that point of the monotonic clock.
inline SleepOperation sleep_until(std::chrono::steady_clock::time_point time) noexcept {
    return SleepOperation(time.time_since_epoch(), IORING_TIMEOUT_ABS);
}

}  // namespace async

}  // namespace ringside
