// What an operation yields: a value, or the errno that tells why there is none. Nothing here throws.
#pragma once

#include <cassert>
#include <concepts>
#include <functional>
#include <optional>
#include <system_error>
#include <type_traits>
#include <utility>

namespace ringside {

// An errno, always positive. Result is made from one where an operation failed.
struct Errno {
    int value;
};

template <typename T>
class [[nodiscard]] Result {
  public:
    using value_type = T;

    constexpr Result(T value) noexcept : value_(std::move(value)) {}
    constexpr Result(Errno error) noexcept : error_(error.value) { assert(error.value > 0); }

    constexpr bool ok() const noexcept { return error_ == 0; }
    constexpr explicit operator bool() const noexcept { return ok(); }

    // The errno, 0 if there is a value.
    constexpr int error() const noexcept { return error_; }
    std::error_code code() const noexcept { return {error_, std::system_category()}; }

    // The value. There must be one: ask first.
    constexpr T& value() & noexcept {
        assert(ok());
        return *value_;
    }
    constexpr const T& value() const& noexcept {
        assert(ok());
        return *value_;
    }
    constexpr T&& value() && noexcept {
        assert(ok());
        return std::move(*value_);
    }
    constexpr T& operator*() & noexcept { return value(); }
    constexpr const T& operator*() const& noexcept { return value(); }
    constexpr T&& operator*() && noexcept { return std::move(*this).value(); }
    constexpr T* operator->() noexcept { return &value(); }
    constexpr const T* operator->() const noexcept { return &value(); }

    // The value, or `other` in place of an error.
    constexpr T value_or(T other) const& noexcept { return ok() ? *value_ : std::move(other); }
    constexpr T value_or(T other) && noexcept { return ok() ? std::move(*value_) : std::move(other); }

    // `change(value)` as a Result; an error stays what it is, and `change` is not called.
    template <typename Change>
    constexpr auto map(Change&& change) const& {
        return mapped(*this, std::forward<Change>(change));
    }
    template <typename Change>
    constexpr auto map(Change&& change) && {
        return mapped(std::move(*this), std::forward<Change>(change));
    }

    // The same for a `next` that yields a Result itself.
    template <typename Next>
    constexpr auto and_then(Next&& next) const& {
        using Answer = std::invoke_result_t<Next, const T&>;
        return ok() ? std::invoke(std::forward<Next>(next), *value_) : Answer(Errno{error_});
    }
    template <typename Next>
    constexpr auto and_then(Next&& next) && {
        using Answer = std::invoke_result_t<Next, T&&>;
        return ok() ? std::invoke(std::forward<Next>(next), std::move(*value_)) : Answer(Errno{error_});
    }

  private:
    template <typename Self, typename Change>
    static constexpr auto mapped(Self&& self, Change&& change);

    std::optional<T> value_;
    int error_ = 0;
};

// The result of an operation that has no value to give.
template <>
class [[nodiscard]] Result<void> {
  public:
    using value_type = void;

    constexpr Result() noexcept = default;
    constexpr Result(Errno error) noexcept : error_(error.value) { assert(error.value > 0); }

    constexpr bool ok() const noexcept { return error_ == 0; }
    constexpr explicit operator bool() const noexcept { return ok(); }
    constexpr int error() const noexcept { return error_; }
    std::error_code code() const noexcept { return {error_, std::system_category()}; }

    // `make()` as a Result; an error stays what it is, and `make` is not called.
    template <typename Make>
    constexpr auto map(Make&& make) const {
        using Answer = std::invoke_result_t<Make>;
        if constexpr (std::is_void_v<Answer>) {
            if (ok()) std::invoke(std::forward<Make>(make));
            return *this;
        } else {
            return ok() ? Result<Answer>(std::invoke(std::forward<Make>(make))) : Result<Answer>(Errno{error_});
        }
    }

    // The same for a `next` that yields a Result itself.
    template <typename Next>
    constexpr auto and_then(Next&& next) const {
        using Answer = std::invoke_result_t<Next>;
        return ok() ? std::invoke(std::forward<Next>(next)) : Answer(Errno{error_});
    }

  private:
    int error_ = 0;
};

template <typename T>
template <typename Self, typename Change>
constexpr auto Result<T>::mapped(Self&& self, Change&& change) {
    using Answer = std::invoke_result_t<Change, decltype(*std::forward<Self>(self))>;
    if constexpr (std::is_void_v<Answer>) {
        if (!self.ok()) return Result<void>(Errno{self.error_});
        std::invoke(std::forward<Change>(change), *std::forward<Self>(self));
        return Result<void>();
    } else {
        if (!self.ok()) return Result<Answer>(Errno{self.error_});
        return Result<Answer>(std::invoke(std::forward<Change>(change), *std::forward<Self>(self)));
    }
}

namespace detail {
template <typename T>
inline constexpr bool is_result = false;
template <typename T>
inline constexpr bool is_result<Result<T>> = true;
}  // namespace detail

// A completion's res, or what the liburing API returns: a number >= 0, or -errno.
template <std::integral T = unsigned>
constexpr Result<T> result_of(int value_or_negative_errno) noexcept {
    if (value_or_negative_errno < 0) return Errno{-value_or_negative_errno};
    return static_cast<T>(value_or_negative_errno);
}

}  // namespace ringside
