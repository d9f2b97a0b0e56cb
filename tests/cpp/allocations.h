// What operator new has handed out in this program: frames of coroutines, above all.
#pragma once

#include <gtest/gtest.h>
#include <stddef.h>

namespace ringside::test {

size_t allocations_made();
size_t allocations_live();

// Each test leaves as many allocations behind as it found: no frame is lost.
class NothingLeaked : public ::testing::Test {
  protected:
    void SetUp() override { live_ = allocations_live(); }
    void TearDown() override { EXPECT_EQ(allocations_live(), live_) << "frames or buffers were lost"; }

  private:
    size_t live_ = 0;
};

}  // namespace ringside::test
