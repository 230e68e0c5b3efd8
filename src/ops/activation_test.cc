#include <cmath>
#include <limits>

#include "gtest/gtest.h"
#include "op/testing.h"
#include "ops/all_ops.h"

namespace millrace {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN(), kInf = std::numeric_limits<float>::infinity();

void expect_near(std::span<const float> got, const std::vector<float>& wanted, float tolerance = 1e-6f) {
  ASSERT_EQ(got.size(), wanted.size());
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (std::isnan(wanted[i])) EXPECT_TRUE(std::isnan(got[i])) << i << ": " << got[i];
    else if (std::isinf(wanted[i])) EXPECT_EQ(got[i], wanted[i]) << i;
    else EXPECT_NEAR(got[i], wanted[i], tolerance * (1 + std::abs(wanted[i]))) << i;
  }
}

struct Unary {
  const char* op;
  std::vector<float> x, y;
};
// Values are TensorFlow's.
const Unary kUnary[] = {
    {"Relu", {kNan, -0.0f, -1, kInf}, {kNan, 0, 0, kInf}},
    {"Relu6", {kNan, -1, 3, kInf}, {kNan, 0, 3, 6}},
    {"Elu", {kNan, -1, kInf, -kInf, -1e-9f}, {kNan, -0.63212055f, kInf, -1, -1e-9f}},
    {"Selu", {kNan, -1, kInf, -kInf, 2}, {kNan, -1.1113307f, kInf, -1.7580993f, 2.101402f}},
    {"Softplus", {kNan, -100, 100, kInf, -kInf, 14, -14, 0}, {kNan, 0, 100, kInf, 0, 14, 8.3152872e-07f, 0.69314718f}},
    {"Softsign", {kNan, -100, 100, 0}, {kNan, -0.990099f, 0.990099f, 0}},
    {"LeakyRelu", {kNan, -1, 2, -kInf}, {kNan, -0.2f, 2, -kInf}},
};

TEST(Activation, values_are_tensorflows) {
  for (const Unary& c : kUnary) {
    SCOPED_TRACE(c.op);
    OpTest t(all_ops(), c.op);
    t.input(Tensor(c.x));
    ASSERT_TRUE(t.run().ok());
    expect_near(t.output(0).flat<float>(), c.y);
  }
}

struct Grad {
  const char* op;
  std::vector<float> dy, x, dx;
};
const Grad kGrads[] = {
    {"ReluGrad", {1, 2, 3, kNan, kNan}, {kNan, 0, 1, 0, 1}, {0, 0, 3, kNan, kNan}},
    {"Relu6Grad", {1, 2, 3, 4, 5}, {kNan, 0, 6, 5, 7}, {0, 0, 0, 4, 0}},
    {"EluGrad", {1, 2, 3, 4, 5}, {kNan, 0, -0.5f, 5, -1}, {1, 2, 1.5f, 4, 0}},
    {"SeluGrad", {1, 2, 3, 4, 5}, {kNan, 0, -0.5f, 5, -1}, {1.050701f, 2.101402f, 3.774298f, 4.202804f, 3.7904966f}},
    {"LeakyReluGrad", {1, 2, 3, 4, 5}, {kNan, 0, -0.5f, 5, -1}, {0.2f, 0.4f, 0.6f, 4, 1}},
    {"SoftplusGrad", {1, 2}, {0, 100}, {0.5f, 2}},
    {"SoftsignGrad", {1, 2}, {0, -1}, {1, 0.5f}},
};

TEST(Activation, gradients_are_tensorflows) {
  for (const Grad& c : kGrads) {
    SCOPED_TRACE(c.op);
    OpTest t(all_ops(), c.op);
    t.input(Tensor(c.dy)).input(Tensor(c.x));
    ASSERT_TRUE(t.run().ok());
    expect_near(t.output(0).flat<float>(), c.dx);
  }
}

TEST(Activation, refuses_gradients_of_another_shape) {
  OpTest t(all_ops(), "ReluGrad");
  t.input(Tensor(DataType::kFloat, {2, 3})).input(Tensor(DataType::kFloat, {3, 2}));
  EXPECT_TRUE(absl::IsInvalidArgument(t.run()));
}

TEST(BiasAdd, adds_along_the_channels) {
  OpTest t(all_ops(), "BiasAdd");
  t.input(Tensor({2, 3}, std::vector<float>{1, 2, 3, 4, 5, 6})).input(Tensor(std::vector<float>{10, 20, 30}));
  ASSERT_TRUE(t.run().ok());
  EXPECT_EQ(t.output(0).to_vector<float>(), (std::vector<float>{11, 22, 33, 14, 25, 36}));
  OpTest n(all_ops(), "BiasAdd");
  n.attr("data_format", "NCHW")
      .input(Tensor({1, 2, 2}, std::vector<int32_t>{1, 2, 3, 4}))
      .input(Tensor(std::vector<int32_t>{10, 20}));
  ASSERT_TRUE(n.run().ok());
  EXPECT_EQ(n.output(0).to_vector<int32_t>(), (std::vector<int32_t>{11, 12, 23, 24}));
  OpTest bad(all_ops(), "BiasAdd");
  bad.input(Tensor(DataType::kFloat, {2, 3})).input(Tensor(DataType::kFloat, {2}));
  const absl::Status s = bad.run();
  EXPECT_NE(std::string(s.message())
                .find("Must provide as many biases as the last dimension of the input tensor: [2] vs. [2,3]"),
            std::string::npos)
      << s;
}

TEST(BiasAddGrad, sums_all_but_the_channels) {
  OpTest t(all_ops(), "BiasAddGrad");
  t.input(Tensor({2, 3}, std::vector<float>{1, 2, 3, 4, 5, 6}));
  ASSERT_TRUE(t.run().ok());
  EXPECT_EQ(t.output(0).to_vector<float>(), (std::vector<float>{5, 7, 9}));
  OpTest n(all_ops(), "BiasAddGrad");
  n.attr("data_format", "NCHW").input(Tensor({1, 2, 2}, std::vector<float>{1, 2, 3, 4}));
  ASSERT_TRUE(n.run().ok());
  EXPECT_EQ(n.output(0).to_vector<float>(), (std::vector<float>{3, 7}));
}

TEST(BiasAddGrad, any_number_of_rows_without_columns_ends_at_once) {
  OpTest t(all_ops(), "BiasAddGrad");
  t.attr("data_format", "NCHW").input(Tensor(DataType::kFloat, {int64_t{1} << 50, 2, 0}));
  ASSERT_TRUE(t.run().ok());
  EXPECT_EQ(t.output(0).to_vector<float>(), (std::vector<float>{0, 0}));
}

TEST(Softmax, handles_large_and_infinite_logits) {
  OpTest t(all_ops(), "Softmax");
  t.input(Tensor({4, 3}, std::vector<float>{1000, 1000, -kInf, kInf, 1, 2, -kInf, -kInf, -kInf, kNan, 1, 2}));
  ASSERT_TRUE(t.run().ok());
  expect_near(t.output(0).flat<float>(), {0.5f, 0.5f, 0, kNan, kNan, kNan, kNan, kNan, kNan, kNan, kNan, kNan});
  OpTest l(all_ops(), "LogSoftmax");
  l.input(Tensor({2, 2}, std::vector<float>{-kInf, 0, 1e6f, 1e6f}));
  ASSERT_TRUE(l.run().ok());
  expect_near(l.output(0).flat<float>(), {-kInf, 0, -0.69314718f, -0.69314718f});
}

// Rows shorter, equal and longer than a vector, against double.
TEST(Softmax, rows_of_every_length_agree_with_double) {
  for (const int64_t n : {1, 2, 3, 7, 8, 9, 15, 16, 17, 33, 100}) {
    std::vector<float> x(static_cast<size_t>(3 * n));
    for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>((i * 29) % 41) / 4 - 5;
    OpTest t(all_ops(), "Softmax"), wide(all_ops(), "Softmax");
    t.input(Tensor({3, n}, x));
    wide.input(Tensor({3, n}, std::vector<double>(x.begin(), x.end())));
    ASSERT_TRUE(t.run().ok());
    ASSERT_TRUE(wide.run().ok());
    for (int64_t i = 0; i < 3 * n; ++i) {
      const auto at = static_cast<size_t>(i);
      EXPECT_NEAR(t.output(0).flat<float>()[at], wide.output(0).flat<double>()[at], 1e-6) << n << " at " << i;
    }
  }
}

TEST(CrossEntropy, loss_and_gradient_are_tensorflows) {
  OpTest t(all_ops(), "SparseSoftmaxCrossEntropyWithLogits");
  t.input(Tensor({1, 3}, std::vector<float>{0, 1, 2})).input(Tensor(std::vector<int32_t>{1}));
  ASSERT_TRUE(t.run().ok());
  expect_near(t.output(0).flat<float>(), {1.4076059f});
  expect_near(t.output(1).flat<float>(), {0.09003057f, 0.24472848f - 1, 0.66524094f});
  OpTest d(all_ops(), "SoftmaxCrossEntropyWithLogits");
  d.input(Tensor({2, 1}, std::vector<float>{0, 1})).input(Tensor({1, 3}, std::vector<float>{0, 1, 2}));
  ASSERT_TRUE(d.run().ok());
  expect_near(d.output(0).flat<float>(), {3.295837f, 3.295837f});
  expect_near(d.output(1).flat<float>(),
              {0.33333334f, -0.6666666f, -1.6666666f, 0.33333334f, -0.6666666f, -1.6666666f});
}

TEST(CrossEntropy, refuses_labels_out_of_range) {
  for (const int32_t bad : {-1, 3}) {
    OpTest t(all_ops(), "SparseSoftmaxCrossEntropyWithLogits");
    t.input(Tensor(DataType::kFloat, {2, 3})).input(Tensor(std::vector<int32_t>{0, bad}));
    const absl::Status s = t.run();
    EXPECT_TRUE(absl::IsInvalidArgument(s));
    EXPECT_NE(std::string(s.message())
                  .find("Received a label value of " + std::to_string(bad) +
                        " which is outside the valid range of [0, 3).  Label values: 0"),
              std::string::npos)
        << s;
  }
}

TEST(CrossEntropy, no_rows_may_have_any_number_of_classes) {
  OpTest t(all_ops(), "SparseSoftmaxCrossEntropyWithLogits");
  t.input(Tensor(DataType::kFloat, {0, int64_t{1} << 62})).input(Tensor(DataType::kInt32, {0}));
  EXPECT_TRUE(t.run().ok());
  OpTest dense(all_ops(), "SoftmaxCrossEntropyWithLogits");
  const Tensor none(DataType::kFloat, {0, int64_t{1} << 62});
  dense.input(none).input(none);
  EXPECT_TRUE(dense.run().ok());
}

}  // namespace
}  // namespace millrace
