// When takes wait and end. What comes out of them is held against TensorFlow by tests/golden/ops.

#include "ops/conditional_accumulator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace millrace {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Taken {
  int calls = 0;
  absl::Status status;
  std::vector<Tensor> result;
  ConditionalAccumulator::Done done() {
    return [this](absl::Status s, std::vector<Tensor> r) {
      ++calls;
      status = std::move(s);
      result = std::move(r);
    };
  }
};

std::shared_ptr<ConditionalAccumulator> dense() {
  return make_dense_accumulator(
      {.kind = "ConditionalAccumulator", .name = "a", .dtype = DataType::kFloat, .shape = {}});
}
Tensor pair(float a, float b) { return Tensor(std::vector<float>{a, b}); }

TEST(ConditionalAccumulator, takes_wait_until_enough_gradients_came) {
  const auto accumulator = dense();
  Taken first, second;
  accumulator->take(2, nullptr, first.done());
  accumulator->take(1, nullptr, second.done());
  ASSERT_TRUE(accumulator->apply(0, {pair(1, 2)}).ok());
  EXPECT_EQ(first.calls + second.calls, 0);
  ASSERT_TRUE(accumulator->apply(0, {pair(3, 4)}).ok());
  ASSERT_EQ(first.calls, 1);
  EXPECT_THAT(first.result[0].to_vector<float>(), ElementsAre(2, 3));
  ASSERT_TRUE(accumulator->apply(0, {pair(9, 9)}).ok());  // of a step that is over
  EXPECT_EQ(second.calls, 0);
  ASSERT_TRUE(accumulator->apply(1, {pair(5, 6)}).ok());
  ASSERT_EQ(second.calls, 1);
  EXPECT_THAT(second.result[0].to_vector<float>(), ElementsAre(5, 6));
}

TEST(ConditionalAccumulator, ends_waiting_when_cancelled) {
  const auto accumulator = dense();
  CancellationScope scope, over;
  over.cancel();
  Taken taken, late;
  accumulator->take(1, &scope, taken.done());
  accumulator->take(1, &over, late.done());
  EXPECT_TRUE(absl::IsCancelled(late.status));
  scope.cancel();
  EXPECT_EQ(taken.calls, 1);
  EXPECT_THAT(std::string(taken.status.message()), HasSubstr("TakeGrad operation was cancelled"));
  ASSERT_TRUE(accumulator->apply(0, {pair(1, 2)}).ok());
  EXPECT_EQ(taken.calls + late.calls, 2);
}

TEST(SparseAccumulator, divides_each_slice_by_how_many_gradients_had_it) {
  const auto accumulator = make_sparse_accumulator(
      {.kind = "SparseConditionalAccumulator", .name = "a", .dtype = DataType::kFloat, .shape = {}});
  const auto slices = [](std::vector<int64_t> at, std::vector<float> values) {
    return std::vector<Tensor>{Tensor(at), Tensor({static_cast<int64_t>(at.size()), 1}, values)};
  };
  ASSERT_TRUE(accumulator->apply(0, slices({0, 4}, {1, 2})).ok());
  ASSERT_TRUE(accumulator->apply(0, slices({4, 7}, {6, 8})).ok());
  EXPECT_FALSE(accumulator->apply(0, {Tensor(std::vector<int64_t>{4, 7}), Tensor({1, 1}, std::vector<float>{6})}).ok());
  Taken taken;
  accumulator->take(2, nullptr, taken.done());
  ASSERT_TRUE(taken.status.ok()) << taken.status;
  EXPECT_THAT(taken.result[0].to_vector<int64_t>(), ElementsAre(0, 4, 7));
  EXPECT_THAT(taken.result[1].to_vector<float>(), ElementsAre(1, 4, 8));
}

}  // namespace
}  // namespace millrace
