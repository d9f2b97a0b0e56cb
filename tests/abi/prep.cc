#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "abi/prep_table.h"

TEST(PrepHelpers, fill_in_the_same_bytes_as_liburings) {
    const PreparedSqes ours = our_sqes();
    const PreparedSqes liburings = liburings_sqes();
    ASSERT_GT(liburings.size(), 60u);
    ASSERT_EQ(ours.size(), liburings.size());
    for (const auto& [call, bytes] : liburings) {
        EXPECT_THAT(ours.at(call), testing::ElementsAreArray(bytes)) << "io_uring_prep_" << call;
    }
}
