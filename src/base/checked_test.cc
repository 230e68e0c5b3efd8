#include "base/checked.h"

#include <gtest/gtest.h>

#include <limits>

namespace millrace {
namespace {

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
constexpr int64_t kMin = std::numeric_limits<int64_t>::min();

TEST(Checked, FunctionsNoticeOverflow) {
  EXPECT_EQ(checked_add<int64_t>(kMax - 1, 1), kMax);
  EXPECT_EQ(checked_add<int64_t>(kMax, 1), std::nullopt);
  EXPECT_EQ(checked_sub<int64_t>(kMin, 1), std::nullopt);
  EXPECT_EQ(checked_mul<int64_t>(int64_t{1} << 32, int64_t{1} << 30), int64_t{1} << 62);
  EXPECT_EQ(checked_mul<int64_t>(int64_t{1} << 32, int64_t{1} << 31), std::nullopt);
  EXPECT_EQ(checked_mul<int64_t>(kMin, -1), std::nullopt);
  EXPECT_EQ(checked_add<int32_t>(std::numeric_limits<int32_t>::max(), 1), std::nullopt);
  EXPECT_EQ(checked_sub<uint32_t>(1, 2), std::nullopt);
}

TEST(Checked, IntStaysInvalidOnceOverflowed) {
  CheckedInt n = CheckedInt(kMax) * 2;
  EXPECT_FALSE(n.valid());
  EXPECT_FALSE((n - n).valid());
  EXPECT_FALSE((CheckedInt(1) + n).valid());
  EXPECT_FALSE((n * 0).valid());
  EXPECT_FALSE(CheckedInt(std::numeric_limits<uint64_t>::max()).valid());
  EXPECT_EQ(n.value_or(-7), -7);
}

TEST(Checked, IntComputes) {
  const CheckedInt n = CheckedInt(6) * 7u - 2 + size_t{1};
  EXPECT_TRUE(n.valid());
  EXPECT_EQ(n.value(), 41);
  EXPECT_TRUE(n.valid_and_at_most(41));
  EXPECT_FALSE(n.valid_and_at_most(40));
}

}  // namespace
}  // namespace millrace
