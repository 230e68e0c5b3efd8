#include "gtest/gtest.h"
#include "op/testing.h"
#include "ops/all_ops.h"

namespace millrace {
namespace {

TEST(LoopCond, is_a_scalar) {
  OpTest t(all_ops(), "LoopCond");
  t.input(Tensor(true));
  ASSERT_TRUE(t.run().ok());
  EXPECT_TRUE(t.output(0).scalar<bool>());
  OpTest vector(all_ops(), "LoopCond");
  vector.input(Tensor(bool_, {2}));
  EXPECT_EQ(vector.run().code(), absl::StatusCode::kInvalidArgument);
}

TEST(Const, holds_a_value_of_its_dtype) {
  OpTest t(all_ops(), "Const");
  t.attr("dtype", int32).attr("value", Tensor(1.5f));
  EXPECT_EQ(t.infer({}).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace millrace
