// What an operation yields: a value, or the errno that tells why there is none. Nothing here throws.
#pragma once

#include <cassert>
#include <concepts>
#include <system_error>
#include <utility>

namespace ringside {

// An errno, always positive. Result is made from one where an operation failed.
struct Errno {
    int value;
};

template <typename T>
class [[nodiscard]] Result {
  public:
    constexpr Result(T value) noexcept : value_(std::move(value)) {}
    constexpr Result(Errno error) noexcept : error_(error.value) { assert(error.value > 0); }

    constexpr bool ok() const noexcept { return error_ == 0; }
    constexpr explicit operator bool() const noexcept { return ok(); }

    // The errno, 0 if there is a value.
    constexpr int error() const noexcept { return error_; }
    std::error_code code() const noexcept { return {error_, std::system_category()}; }

    // The value. There must be one: ask first.
    constexpr const T& value() const& noexcept {
        assert(ok());
        return value_;
    }
    constexpr T&& value() && noexcept {
        assert(ok());
        return std::move(value_);
    }
    constexpr const T& operator*() const& noexcept { return value(); }
    constexpr const T* operator->() const noexcept { return &value(); }
    constexpr T value_or(T other) const noexcept { return ok() ? value_ : std::move(other); }

  private:
    T value_{};
    int error_ = 0;
};

// The result of an operation that has no value to give.
template <>
class [[nodiscard]] Result<void> {
  public:
    constexpr Result() noexcept = default;
    constexpr Result(Errno error) noexcept : error_(error.value) { assert(error.value > 0); }

    constexpr bool ok() const noexcept { return error_ == 0; }
    constexpr explicit operator bool() const noexcept { return ok(); }
    constexpr int error() const noexcept { return error_; }
    std::error_code code() const noexcept { return {error_, std::system_category()}; }

  private:
    int error_ = 0;
};

// A completion's res, or what the liburing API returns: a number >= 0, or -errno.
template <std::integral T = unsigned>
constexpr Result<T> result_of(int value_or_negative_errno) noexcept {
    if (value_or_negative_errno < 0) return Errno{-value_or_negative_errno};
    return static_cast<T>(value_or_negative_errno);
}

}  // namespace ringside
