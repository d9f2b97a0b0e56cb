// Completions as the tests compare them, and matchers whose failures name errnos and flags instead of bare numbers.
#pragma once

#include <gmock/gmock.h>
#include <stdint.h>

#include <iosfwd>
#include <string>

namespace ringside::test {

struct Cqe {
    uint64_t user_data;
    int32_t res;
    uint32_t flags;
    // The second half of a 32-byte completion; zero on rings of 16-byte ones.
    uint64_t big_cqe[2] = {0, 0};

    bool operator==(const Cqe&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Cqe& cqe);

// "-9 (EBADF)" or "42".
std::string result_text(int64_t result);

// What a call returned or what a completion carries: a matcher for both says "gives".
inline int64_t result_of(int64_t result) { return result; }
inline int64_t result_of(const Cqe& cqe) { return cqe.res; }
inline bool has_no_flags(int64_t) { return true; }
inline bool has_no_flags(const Cqe& cqe) { return cqe.flags == 0; }

// A call's return value, or a completion with this result and no flags.
MATCHER_P(Gives, expected, (negation ? "does not give " : "gives ") + result_text(expected)) {
    *result_listener << "which gives " << result_text(result_of(arg));
    return result_of(arg) == static_cast<int64_t>(expected) && has_no_flags(arg);
}

// A whole completion (of 16 bytes).
inline testing::Matcher<Cqe> Completes(uint64_t user_data, int32_t res, uint32_t flags = 0) {
    return testing::Eq(Cqe{user_data, res, flags});
}

}  // namespace ringside::test
