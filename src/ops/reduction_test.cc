// Reductions, arg max, top k, running sums, ranges and counts: values, shapes and refusals.

#include <cmath>
#include <limits>

#include "gtest/gtest.h"
#include "op/testing.h"
#include "ops/all_ops.h"
#include "tensor/tensor.h"

namespace millrace {
namespace {

template <class T> Tensor vec(std::vector<T> v) { return Tensor({static_cast<int64_t>(v.size())}, v); }
const Tensor& matrix() {
  static const Tensor m({2, 3}, std::vector<float>{1, 5, 3, 4, 2, 6});
  return m;
}

struct Case {
  const char* op;
  std::vector<int32_t> axes;
  bool keep;
  TensorShape shape;
  std::vector<float> values;
};

TEST(Reduction, reduces_the_named_dimensions) {
  const std::vector<Case> cases = {
      {"Sum", {0}, false, {3}, {5, 7, 9}},
      {"Sum", {-1}, true, {2, 1}, {9, 12}},
      {"Sum", {0, 1}, false, {}, {21}},
      {"Sum", {}, false, {2, 3}, {1, 5, 3, 4, 2, 6}},
      {"Mean", {1}, false, {2}, {3, 4}},
      {"Prod", {1}, false, {2}, {15, 48}},
      {"Max", {0}, false, {3}, {4, 5, 6}},
      {"Min", {1, 0}, true, {1, 1}, {1}},
      {"EuclideanNorm", {0}, false, {3}, {std::sqrt(17.0f), std::sqrt(29.0f), std::sqrt(45.0f)}},
  };
  for (const Case& c : cases) {
    OpTest t(all_ops(), c.op);
    t.attr("keep_dims", c.keep).input(matrix()).input(vec(c.axes));
    ASSERT_TRUE(t.run().ok()) << c.op;
    EXPECT_EQ(t.output(0).shape(), c.shape) << c.op;
    const std::vector<float> got = t.output(0).to_vector<float>();
    for (size_t i = 0; i < c.values.size(); ++i) EXPECT_FLOAT_EQ(got[i], c.values[i]) << c.op;
  }
}

TEST(Reduction, refuses_bad_axes) {
  for (const std::vector<int32_t>& axes : {std::vector<int32_t>{2}, {-3}, {0, 0}, {-1, 1}}) {
    OpTest t(all_ops(), "Sum");
    t.input(matrix()).input(vec(axes));
    EXPECT_EQ(t.run().code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST(Reduction, infers_shapes) {
  OpTest t(all_ops(), "Sum");
  t.attr("T", DataType::kFloat);
  const Tensor axes = vec<int32_t>({-1});
  EXPECT_EQ(*t.infer({PartialTensorShape({-1, 3, 4}), PartialTensorShape({1})}, {nullptr, &axes}),
            (std::vector<std::string>{"[?,3]"}));
  EXPECT_EQ(*t.infer({PartialTensorShape({-1, 3, 4}), PartialTensorShape({2})}), (std::vector<std::string>{"[?]"}));
}

TEST(Reduction, half_sums_do_not_stall) {
  OpTest t(all_ops(), "Sum");
  t.input(vec(std::vector<Half>(4096, Half(1.0f)))).input(vec<int32_t>({0}));
  ASSERT_TRUE(t.run().ok());
  EXPECT_EQ(static_cast<float>(t.output(0).scalar<Half>()), 4096);
}

TEST(Reduction, all_and_any) {
  for (const bool all : {true, false}) {
    OpTest t(all_ops(), all ? "All" : "Any");
    t.input(Tensor({2, 2}, std::vector<bool>{true, true, true, false})).input(vec<int32_t>({1}));
    ASSERT_TRUE(t.run().ok());
    EXPECT_EQ(t.output(0).to_vector<bool>(), (std::vector<bool>{true, !all}));
  }
}

TEST(ArgMax, takes_the_first_and_passes_over_nan) {
  OpTest rows(all_ops(), "ArgMax");
  rows.input(matrix()).input(Tensor(int32_t{1}));
  ASSERT_TRUE(rows.run().ok());
  EXPECT_EQ(rows.output(0).to_vector<int64_t>(), (std::vector<int64_t>{1, 2}));
  OpTest columns(all_ops(), "ArgMin");
  columns.attr("output_type", DataType::kInt32).input(matrix()).input(Tensor(int32_t{0}));
  ASSERT_TRUE(columns.run().ok());
  EXPECT_EQ(columns.output(0).to_vector<int32_t>(), (std::vector<int32_t>{0, 1, 0}));
  OpTest nan(all_ops(), "ArgMax");
  nan.input(vec<float>({NAN, NAN, 3, 3, NAN})).input(Tensor(int32_t{0}));
  ASSERT_TRUE(nan.run().ok());
  EXPECT_EQ(nan.output(0).scalar<int64_t>(), 2);
}

TEST(ArgMax, refuses_bad_dimensions) {
  OpTest outside(all_ops(), "ArgMax");
  outside.input(matrix()).input(Tensor(int32_t{2}));
  EXPECT_EQ(outside.run().code(), absl::StatusCode::kInvalidArgument);
  OpTest empty(all_ops(), "ArgMax");
  empty.input(Tensor({0, 3}, std::vector<float>{})).input(Tensor(int32_t{0}));
  EXPECT_EQ(empty.run().code(), absl::StatusCode::kInvalidArgument);
}

TEST(TopK, sorts_and_breaks_ties_by_index) {
  OpTest t(all_ops(), "TopKV2");
  t.input(Tensor({2, 4}, std::vector<float>{1, 3, 3, 2, 9, 8, 7, 6})).input(Tensor(int32_t{3}));
  ASSERT_TRUE(t.run().ok());
  EXPECT_EQ(t.output(0).to_vector<float>(), (std::vector<float>{3, 3, 2, 9, 8, 7}));
  EXPECT_EQ(t.output(1).to_vector<int32_t>(), (std::vector<int32_t>{1, 2, 3, 0, 1, 2}));
  for (const int32_t k : {-1, 5}) {
    OpTest bad(all_ops(), "TopKV2");
    bad.input(matrix()).input(Tensor(k));
    EXPECT_EQ(bad.run().code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST(InTopK, counts_better_predictions) {
  OpTest t(all_ops(), "InTopKV2");
  t.input(Tensor({3, 3}, std::vector<float>{1, 2, 3, 1, 2, 2, NAN, 1, 2}))
      .input(vec<int32_t>({2, 1, 7}))
      .input(Tensor(int32_t{1}));
  ASSERT_TRUE(t.run().ok());
  EXPECT_EQ(t.output(0).to_vector<bool>(), (std::vector<bool>{true, true, false}));
}

TEST(Cumulative, runs_along_the_axis) {
  OpTest plain(all_ops(), "Cumsum");
  plain.input(matrix()).input(Tensor(int32_t{1}));
  ASSERT_TRUE(plain.run().ok());
  EXPECT_EQ(plain.output(0).to_vector<float>(), (std::vector<float>{1, 6, 9, 4, 6, 12}));
  OpTest turned(all_ops(), "Cumprod");
  turned.attr("exclusive", true).attr("reverse", true).input(matrix()).input(Tensor(int32_t{0}));
  ASSERT_TRUE(turned.run().ok());
  EXPECT_EQ(turned.output(0).to_vector<float>(), (std::vector<float>{4, 2, 6, 1, 1, 1}));
  OpTest bad(all_ops(), "Cumsum");
  bad.input(matrix()).input(Tensor(int32_t{2}));
  EXPECT_EQ(bad.run().code(), absl::StatusCode::kInvalidArgument);
}

TEST(Cumulative, exclusive_logsumexp_begins_with_minus_infinity) {
  OpTest t(all_ops(), "CumulativeLogsumexp");
  t.attr("exclusive", true).input(vec<float>({0, 0, 1})).input(Tensor(int32_t{0}));
  ASSERT_TRUE(t.run().ok());
  const std::vector<float> got = t.output(0).to_vector<float>();
  EXPECT_EQ(got[0], -std::numeric_limits<float>::infinity());
  EXPECT_EQ(got[1], 0);
  EXPECT_NEAR(got[2], std::log(2.0f), 1e-6);
}

TEST(Range, counts_and_refuses) {
  OpTest t(all_ops(), "Range");
  t.input(Tensor(int32_t{3})).input(Tensor(int32_t{-4})).input(Tensor(int32_t{-3}));
  ASSERT_TRUE(t.run().ok());
  EXPECT_EQ(t.output(0).to_vector<int32_t>(), (std::vector<int32_t>{3, 0, -3}));
  const int64_t lowest = std::numeric_limits<int64_t>::min(), most = std::numeric_limits<int64_t>::max();
  struct Bad {
    int64_t start, limit, delta;
  };
  for (const Bad& b : {Bad{0, 5, 0}, Bad{5, 0, 1}, Bad{0, 5, -1}, Bad{lowest, most, 1}, Bad{0, most, 1}}) {
    OpTest bad(all_ops(), "Range");
    bad.input(Tensor(b.start)).input(Tensor(b.limit)).input(Tensor(b.delta));
    EXPECT_FALSE(bad.run().ok()) << b.start << " " << b.limit << " " << b.delta;
  }
  OpTest wide(all_ops(), "Range");
  wide.input(Tensor(lowest)).input(Tensor(most)).input(Tensor(most));
  ASSERT_TRUE(wide.run().ok());
  EXPECT_EQ(wide.output(0).to_vector<int64_t>(), (std::vector<int64_t>{lowest, -1, most - 1}));
}

TEST(LinSpace, ends_on_the_last_number) {
  OpTest t(all_ops(), "LinSpace");
  t.input(Tensor(0.1f)).input(Tensor(1.3f)).input(Tensor(int32_t{7}));
  ASSERT_TRUE(t.run().ok());
  EXPECT_EQ(t.output(0).to_vector<float>().back(), 1.3f);
  OpTest bad(all_ops(), "LinSpace");
  bad.input(Tensor(0.1f)).input(Tensor(1.3f)).input(Tensor(int32_t{0}));
  EXPECT_EQ(bad.run().code(), absl::StatusCode::kInvalidArgument);
}

TEST(Bincount, counts_with_weights_and_refuses_negative_values) {
  OpTest t(all_ops(), "Bincount");
  t.input(vec<int32_t>({0, 2, 2, 7})).input(Tensor(int32_t{3})).input(vec<float>({1, 2, 3, 4}));
  ASSERT_TRUE(t.run().ok());
  EXPECT_EQ(t.output(0).to_vector<float>(), (std::vector<float>{1, 0, 5}));
  OpTest bad(all_ops(), "Bincount");
  bad.input(vec<int32_t>({-1})).input(Tensor(int32_t{3})).input(vec<float>({}));
  EXPECT_EQ(bad.run().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace millrace
