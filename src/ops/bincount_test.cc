#include "gtest/gtest.h"
#include "op/testing.h"
#include "ops/all_ops.h"

namespace millrace {
namespace {

TEST(DenseBincount, any_number_of_rows_without_columns_ends_at_once) {
  OpTest t(all_ops(), "DenseBincount");
  t.input(Tensor(DataType::kInt32, {int64_t{1} << 50, 0}))
      .input(Tensor(int32_t{0}))
      .input(Tensor(DataType::kFloat, {0}));
  ASSERT_TRUE(t.run().ok());
  EXPECT_EQ(t.output(0).shape(), TensorShape({int64_t{1} << 50, 0}));
}

TEST(DenseBincount, counts_by_row) {
  OpTest t(all_ops(), "DenseBincount");
  t.input(Tensor({2, 3}, std::vector<int32_t>{0, 2, 2, 1, 5, 1})).input(Tensor(int32_t{3}));
  t.input(Tensor(DataType::kFloat, {0}));
  ASSERT_TRUE(t.run().ok());
  EXPECT_EQ(t.output(0).to_vector<float>(), (std::vector<float>{1, 0, 2, 0, 2, 0}));
}

}  // namespace
}  // namespace millrace
