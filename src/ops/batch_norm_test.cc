#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "op/testing.h"
#include "ops/all_ops.h"

namespace millrace {
namespace {

Tensor vector(std::vector<float> values) { return Tensor(values); }
const Tensor kNone(DataType::kFloat, {0});

TEST(FusedBatchNorm, training_uses_the_batch) {
  OpTest t(all_ops(), "FusedBatchNormV3");
  t.attr("epsilon", 0.0f).input(Tensor({2, 1, 1, 2}, std::vector<float>{1, 10, 3, 30}));
  t.input(vector({2, 1})).input(vector({0, 5})).input(kNone).input(kNone);
  ASSERT_TRUE(t.run().ok());
  EXPECT_EQ(t.output(0).to_vector<float>(), (std::vector<float>{-2, 4, 2, 6}));
  EXPECT_EQ(t.output(1).to_vector<float>(), (std::vector<float>{2, 20}));
  EXPECT_EQ(t.output(2).to_vector<float>(), (std::vector<float>{2, 200}));  // with Bessel's correction
  EXPECT_EQ(t.output(4).to_vector<float>(), (std::vector<float>{1, 100}));
}

TEST(FusedBatchNorm, a_large_mean_costs_no_precision) {
  std::vector<float> values;
  for (int i = 0; i < 40000; ++i) values.push_back(10000.0f + static_cast<float>(i % 2));
  OpTest t(all_ops(), "FusedBatchNormV3");
  t.input(Tensor({40, 100, 10, 1}, values)).input(vector({1})).input(vector({0})).input(kNone).input(kNone);
  ASSERT_TRUE(t.run().ok());
  EXPECT_FLOAT_EQ(t.output(3).flat<float>()[0], 10000.5f);
  EXPECT_FLOAT_EQ(t.output(4).flat<float>()[0], 0.25f);
}

// Each way (vectors and single channels, channels last and first) against sums written out.
TEST(FusedBatchNorm, layouts_and_widths_agree) {
  for (const int64_t channels : {1, 3, 16, 21}) {
    const int64_t n = 3, h = 7, w = 5;
    std::vector<float> last(static_cast<size_t>(n * h * w * channels)), first(last.size());
    for (int64_t i = 0; i < n; ++i)
      for (int64_t p = 0; p < h * w; ++p)
        for (int64_t c = 0; c < channels; ++c) {
          const float v = static_cast<float>((i * 31 + p * 17 + c * 7) % 23) - 11;
          last[static_cast<size_t>((i * h * w + p) * channels + c)] = v;
          first[static_cast<size_t>((i * channels + c) * h * w + p)] = v;
        }
    const Tensor ones = vector(std::vector<float>(static_cast<size_t>(channels), 1.0f));
    OpTest a(all_ops(), "FusedBatchNormV3"), b(all_ops(), "FusedBatchNormV3");
    a.input(Tensor({n, h, w, channels}, last)).input(ones).input(ones).input(kNone).input(kNone);
    b.attr("data_format", "NCHW")
        .input(Tensor({n, channels, h, w}, first))
        .input(ones)
        .input(ones)
        .input(kNone)
        .input(kNone);
    ASSERT_TRUE(a.run().ok());
    ASSERT_TRUE(b.run().ok());
    for (size_t c = 0; c < static_cast<size_t>(channels); ++c) {
      double mean = 0, variance = 0;
      for (size_t i = c; i < last.size(); i += static_cast<size_t>(channels)) mean += last[i] / (n * h * w);
      for (size_t i = c; i < last.size(); i += static_cast<size_t>(channels))
        variance += (last[i] - mean) * (last[i] - mean) / (n * h * w);
      for (const OpTest* t : {&a, &b}) {
        EXPECT_NEAR(t->output(3).flat<float>()[c], mean, 1e-5);
        EXPECT_NEAR(t->output(4).flat<float>()[c], variance, 1e-4);
      }
    }
    for (int64_t i = 0; i < n; ++i)
      for (int64_t p = 0; p < h * w; ++p)
        for (int64_t c = 0; c < channels; ++c)
          EXPECT_NEAR(a.output(0).flat<float>()[static_cast<size_t>((i * h * w + p) * channels + c)],
                      b.output(0).flat<float>()[static_cast<size_t>((i * channels + c) * h * w + p)], 1e-5);
  }
}

TEST(FusedBatchNorm, empty_batches_have_no_statistics) {
  OpTest t(all_ops(), "FusedBatchNormV3"), grad(all_ops(), "FusedBatchNormGradV3");
  t.input(Tensor(DataType::kFloat, {0, 2, 2, 2})).input(vector({1, 1})).input(vector({0, 0})).input(kNone).input(kNone);
  ASSERT_TRUE(t.run().ok());
  EXPECT_TRUE(std::isnan(t.output(1).flat<float>()[0]));
  for (int i = 0; i < 2; ++i) grad.input(Tensor(DataType::kFloat, {0, 2, 2, 2}));
  grad.input(vector({1, 1})).input(vector({0, 0})).input(vector({1, 1})).input(kNone);
  ASSERT_TRUE(grad.run().ok());
  EXPECT_EQ(grad.output(1).to_vector<float>(), (std::vector<float>{0, 0}));
}

TEST(FusedBatchNorm, addition_and_relu_follow) {
  OpTest t(all_ops(), "_FusedBatchNormEx");
  t.attr("epsilon", 0.0f).attr("is_training", false).attr("activation_mode", "Relu").attr("num_side_inputs", 1);
  t.attr("U", DataType::kFloat).input(Tensor({1, 1, 2, 1}, std::vector<float>{1, 5}));
  t.input(vector({1})).input(vector({0})).input(vector({3})).input(vector({1}));
  t.inputs({Tensor({1, 1, 2, 1}, std::vector<float>{1, 10})});
  ASSERT_TRUE(t.run().ok());
  EXPECT_EQ(t.output(0).to_vector<float>(), (std::vector<float>{0, 12}));
}

TEST(FusedBatchNorm, refuses_what_does_not_fit) {
  const auto run = [](const TensorShape& x, const TensorShape& scale, const TensorShape& mean, bool training) {
    OpTest t(all_ops(), "FusedBatchNormV3");
    t.attr("is_training", training).attr("U", DataType::kFloat);
    for (const TensorShape& s : {x, scale, TensorShape({3}), mean, mean}) t.input(Tensor(DataType::kFloat, s));
    return t.run().code();
  };
  EXPECT_EQ(run({2, 2, 2, 3}, {2}, {0}, true), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(run({2, 2, 2, 3}, {3, 1}, {0}, true), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(run({2, 2, 3}, {3}, {0}, true), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(run({2, 2, 2, 3}, {3}, {0}, false), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(run({2, 2, 2, 3}, {3}, {0}, true), absl::StatusCode::kOk);
}

TEST(Lrn, divides_by_its_neighbours) {
  OpTest t(all_ops(), "LRN");
  t.attr("depth_radius", 1).attr("beta", 1.0f).input(Tensor({1, 1, 1, 3}, std::vector<float>{1, 2, 3}));
  ASSERT_TRUE(t.run().ok());
  EXPECT_THAT(t.output(0).to_vector<float>(),
              testing::Pointwise(testing::FloatEq(), std::vector<float>{1.0f / 6, 2.0f / 15, 3.0f / 14}));
}

TEST(Lrn, refuses_a_radius_out_of_range) {
  for (const int64_t radius : {int64_t{-1}, int64_t{1} << 31, int64_t{1} << 40}) {
    OpTest t(all_ops(), "LRN");
    t.attr("depth_radius", radius).input(Tensor(DataType::kFloat, {1, 2, 2, 3}));
    EXPECT_EQ(t.run().code(), absl::StatusCode::kInvalidArgument) << radius;
  }
}

}  // namespace
}  // namespace millrace
