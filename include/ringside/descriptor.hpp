// Descriptors: their owner, and a reference to them as an argument.
#pragma once

#include <unistd.h>

#include <utility>

namespace ringside {

namespace detail {
// Numbers from here on name files of a test (ringside/testing.hpp); no kernel gives out such high ones. The test hears
// when one is closed.
inline constexpr int first_simulated_descriptor = 1 << 30;
inline thread_local void (*close_simulated)(int fd) noexcept = nullptr;

inline void close_descriptor(int fd) noexcept {
    if (fd < first_simulated_descriptor) ::close(fd);
    else if (close_simulated != nullptr) close_simulated(fd);
}
}  // namespace detail

// Owns a file descriptor and closes it by close(2), or holds none. async::close() closes one by the ring.
class Descriptor {
  public:
    Descriptor() noexcept = default;
    explicit Descriptor(int fd) noexcept : fd_(fd) {}
    Descriptor(Descriptor&& other) noexcept : fd_(other.release()) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        Descriptor old(std::exchange(fd_, other.release()));
        return *this;
    }
    ~Descriptor() {
        if (fd_ >= 0) detail::close_descriptor(fd_);
    }

    // The number, or -1.
    int get() const noexcept { return fd_; }
    explicit operator bool() const noexcept { return fd_ >= 0; }
    // The number, which is the caller's to close now.
    [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }

  private:
    int fd_ = -1;
};

// A descriptor as an argument of an operation: a number or a Descriptor, which has to stay open until the operation has
// ended. That is why a Descriptor that is only a temporary object is refused.
class FdRef {
  public:
    FdRef(int fd) noexcept : fd_(fd) {}
    FdRef(const Descriptor& descriptor) noexcept : fd_(descriptor.get()) {}
    FdRef(Descriptor&&) = delete;
    FdRef(const Descriptor&&) = delete;

    int get() const noexcept { return fd_; }

  private:
    int fd_;
};

}  // namespace ringside
