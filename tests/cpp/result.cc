#include "ringside/result.hpp"

#include <errno.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace ringside::test {
namespace {

struct NoDefault {
    explicit NoDefault(int number) : value(number) {}
    int value;
};

TEST(ResultMap, changes_a_value_and_keeps_an_error) {
    const Result<int> five = 5, none = Errno{ENOENT};
    EXPECT_EQ(five.map([](int value) { return std::to_string(value); }).value(), "5");
    EXPECT_EQ(none.map([](int value) { return std::to_string(value); }).error(), ENOENT);
    int seen = 0;
    const Result<void> looked = five.map([&](int value) { seen = value; });
    EXPECT_TRUE(looked.ok());
    EXPECT_EQ(seen, 5);
    EXPECT_EQ(Result<void>().map([] { return 3; }).value_or(0), 3);
    EXPECT_EQ(Result<void>(Errno{EIO}).map([] { return 3; }).error(), EIO);
    EXPECT_TRUE(Result<void>().map([] {}).ok());
}

TEST(ResultAndThen, goes_on_with_a_value_alone) {
    const auto half = [](int value) -> Result<int> {
        if (value % 2 != 0) return Errno{EDOM};
        return value / 2;
    };
    EXPECT_EQ(Result<int>(8).and_then(half).and_then(half).value_or(0), 2);
    EXPECT_EQ(Result<int>(6).and_then(half).and_then(half).error(), EDOM);
    EXPECT_EQ(Result<int>(Errno{EIO}).and_then(half).error(), EIO);
    EXPECT_EQ(Result<void>().and_then([] { return Result<int>(3); }).value_or(0), 3);
    EXPECT_EQ(Result<void>(Errno{EIO}).and_then([] { return Result<int>(3); }).error(), EIO);
}

TEST(ResultValue, can_be_what_is_only_moved_or_has_no_default) {
    Result<std::unique_ptr<int>> owner = std::make_unique<int>(4);
    EXPECT_EQ(**owner, 4);
    const std::unique_ptr<int> taken = *std::move(owner);
    EXPECT_EQ(*taken, 4);
    Result<std::unique_ptr<int>> other = std::make_unique<int>(5);
    EXPECT_EQ(std::move(other).map([](std::unique_ptr<int> value) { return *value + 1; }).value_or(0), 6);
    EXPECT_EQ(Result<std::unique_ptr<int>>(Errno{EIO}).value_or(nullptr), nullptr);
    EXPECT_EQ(Result<NoDefault>(NoDefault(7))->value, 7);
    EXPECT_EQ(Result<NoDefault>(Errno{EIO}).error(), EIO);
}

static_assert(Result<int>(1).map([](int value) { return value + 1; }).value() == 2);
static_assert(Result<int>(Errno{5}).and_then([](int value) { return Result<int>(value); }).error() == 5);

}  // namespace
}  // namespace ringside::test
