// Values of the elementwise families, with broadcasting, every type of storage, and inputs that have no answer.

#include <cmath>
#include <limits>

#include "gtest/gtest.h"
#include "op/testing.h"
#include "ops/all_ops.h"
#include "tensor/tensor.h"

namespace millrace {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

template <class T> Tensor vec(std::vector<T> v) { return Tensor({static_cast<int64_t>(v.size())}, v); }

template <class T> std::vector<T> run1(const char* op, std::vector<T> x) {
  OpTest t(all_ops(), op);
  t.input(vec(std::move(x)));
  const absl::Status status = t.run();
  EXPECT_TRUE(status.ok()) << op << ": " << status;
  return status.ok() ? t.output(0).to_vector<T>() : std::vector<T>();
}
template <class T, class R = T> std::vector<R> run2(const char* op, std::vector<T> x, std::vector<T> y) {
  OpTest t(all_ops(), op);
  t.input(vec(std::move(x))).input(vec(std::move(y)));
  const absl::Status status = t.run();
  EXPECT_TRUE(status.ok()) << op << ": " << status;
  return status.ok() ? t.output(0).to_vector<R>() : std::vector<R>();
}

void expect_near(const std::vector<float>& got, const std::vector<float>& want, const std::string& what) {
  ASSERT_EQ(got.size(), want.size()) << what;
  for (size_t i = 0; i < got.size(); ++i) {
    if (std::isnan(want[i])) EXPECT_TRUE(std::isnan(got[i])) << what << "[" << i << "] = " << got[i];
    else if (std::isinf(want[i])) EXPECT_EQ(got[i], want[i]) << what << "[" << i << "]";
    else EXPECT_NEAR(got[i], want[i], 1e-6 + 2e-6 * std::abs(want[i])) << what << "[" << i << "]";
  }
}

struct UnaryCase {
  const char* op;
  std::vector<float> x, y;
};

TEST(UnaryMath, gives_tensorflows_values) {
  const std::vector<UnaryCase> cases = {
      {"Abs", {-1, 0, 2, kNan}, {1, 0, 2, kNan}},
      {"Neg", {-1, 2}, {1, -2}},
      {"Sign", {-3, 0, 5, kNan}, {-1, 0, 1, kNan}},
      {"Reciprocal", {2, 0, -0.0f}, {0.5, kInf, -kInf}},
      {"Square", {-3, kInf}, {9, kInf}},
      {"Sqrt", {4, -1, kInf}, {2, kNan, kInf}},
      {"Rsqrt", {4, 0, kInf}, {0.5, kInf, 0}},
      {"Exp", {0, 1, -200, 100, kNan, -kInf, kInf}, {1, 2.7182818f, 0, kInf, kNan, 0, kInf}},
      {"Expm1", {1e-7f, 1}, {1e-7f, 1.7182818f}},
      {"Log", {1, 0, -1, kInf, 10, kNan}, {0, -kInf, kNan, kInf, 2.3025851f, kNan}},
      {"Log1p", {1e-7f, -1, 1}, {1e-7f, -kInf, 0.6931472f}},
      {"Sin", {1, -2}, {0.8414710f, -0.9092974f}},
      {"Tan", {1}, {1.5574077f}},
      {"Acosh", {2, 0.5f}, {1.3169579f, kNan}},
      {"Tanh", {0, 0.5f, -1, 20, -20, kNan, 1e-5f, kInf}, {0, 0.46211717f, -0.7615942f, 1, -1, kNan, 1e-5f, 1}},
      {"Sigmoid", {0, 1, -1, 100, -100, kNan, kInf}, {0.5f, 0.7310586f, 0.26894143f, 1, 0, kNan, 1}},
      {"Erf", {0, 0.5f, -3}, {0, 0.5204999f, -0.9999779f}},
      {"Erfinv", {0, 0.5f, 1, -1, 2}, {0, 0.4769363f, kInf, -kInf, kNan}},
      {"Ndtri", {0.5f, 0.975f, 0, 1}, {0, 1.959964f, -kInf, kInf}},
      {"Lgamma", {1, 4, 0.5f}, {0, 1.7917595f, 0.5723649f}},
      {"Digamma", {1, 0.5f}, {-0.5772157f, -1.9635100f}},
      {"Floor", {1.5f, -1.5f}, {1, -2}},
      {"Ceil", {1.5f, -1.5f}, {2, -1}},
      {"Round", {0.5f, 1.5f, 2.5f, -0.5f}, {0, 2, 2, -0.0f}},
      {"BesselI0e", {0, 1, 50}, {1, 0.4657596f, 0.0565616f}},
      {"Spence", {1, 0, 3}, {0, 1.6449341f, -1.4367464f}},
  };
  for (const UnaryCase& c : cases) {
    expect_near(run1<float>(c.op, c.x), c.y, c.op);
    // Long inputs take the vector path, whose tail is another: every element at every position.
    std::vector<float> x, y;
    for (int i = 0; i < 37; ++i) {
      x.insert(x.end(), c.x.begin(), c.x.end());
      y.insert(y.end(), c.y.begin(), c.y.end());
    }
    expect_near(run1<float>(c.op, x), y, c.op);
  }
}

TEST(UnaryMath, agrees_between_float_and_double) {
  for (const char* op :
       {"Exp", "Log", "Tanh", "Sigmoid", "Sqrt", "Rsqrt", "Square", "Neg", "Abs", "Sin", "Atan", "Erf"}) {
    std::vector<float> x;
    std::vector<double> wide;
    for (int i = 1; i <= 2000; ++i) {
      x.push_back(static_cast<float>(i) * 0.013f -
                  (std::string(op) == "Log" || std::string(op).find("qrt") != std::string::npos ? 0.0f : 12.0f));
      wide.push_back(static_cast<double>(x.back()));
    }
    const std::vector<float> narrow = run1<float>(op, x);
    const std::vector<double> exact = run1<double>(op, wide);
    for (size_t i = 0; i < x.size(); ++i)
      EXPECT_NEAR(narrow[i], exact[i], 1e-7 + 4e-7 * std::abs(exact[i])) << op << " of " << x[i];
  }
}

TEST(UnaryMath, small_floats_go_through_float) {
  OpTest t(all_ops(), "Exp");
  std::vector<Half> x(1500, Half(1.0f));
  t.input(vec(x));
  ASSERT_TRUE(t.run().ok());
  EXPECT_NEAR(static_cast<float>(t.output(0).to_vector<Half>()[1499]), 2.71875f, 1e-3);
  OpTest b(all_ops(), "IsNan");
  b.input(vec(std::vector<BFloat16>{BFloat16(kNan), BFloat16(1.0f)}));
  ASSERT_TRUE(b.run().ok());
  EXPECT_EQ(b.output(0).to_vector<bool>(), (std::vector<bool>{true, false}));
}

TEST(UnaryMath, lowest_integers_wrap) {
  const int32_t lowest = std::numeric_limits<int32_t>::min();
  EXPECT_EQ(run1<int32_t>("Abs", {lowest}), (std::vector<int32_t>{lowest}));
  EXPECT_EQ(run1<int32_t>("Neg", {lowest}), (std::vector<int32_t>{lowest}));
}

struct BinaryCase {
  const char* op;
  std::vector<float> x, y, z;
};

TEST(BinaryMath, gives_tensorflows_values) {
  const std::vector<BinaryCase> cases = {
      {"AddV2", {1, 2}, {3, 4}, {4, 6}},
      {"Sub", {1, 2}, {3, 5}, {-2, -3}},
      {"Mul", {2, 0}, {3, kInf}, {6, kNan}},
      {"MulNoNan", {kInf, 2}, {0, 3}, {0, 6}},
      {"RealDiv", {1, 0}, {0, 0}, {kInf, kNan}},
      {"DivNoNan", {1, 6}, {0, 3}, {0, 2}},
      {"FloorDiv", {-7, 7}, {2, -2}, {-4, -4}},
      {"FloorMod", {-7, 7, 5}, {2, -2, kInf}, {1, -1, 5}},
      {"TruncateMod", {-7, 7}, {2, -2}, {-1, 1}},
      {"Pow", {2, 0, -8}, {10, 0, 0.5f}, {1024, 1, kNan}},
      {"Maximum", {1, kNan, 1}, {2, 1, kNan}, {2, kNan, kNan}},
      {"Minimum", {1, kNan, 1}, {2, 1, kNan}, {1, kNan, kNan}},
      {"SquaredDifference", {1}, {4}, {9}},
      {"Xlogy", {0, 2}, {0, 1}, {0, 0}},
      {"Xdivy", {0, 2}, {kNan, 4}, {0, 0.5f}},
      {"Atan2", {1}, {-1}, {2.3561945f}},
      {"Igamma", {2}, {1.5f}, {0.4421746f}},
      {"SigmoidGrad", {0.25f}, {2}, {0.375f}},
      {"TanhGrad", {0.5f}, {2}, {1.5f}},
      {"SqrtGrad", {2}, {3}, {0.75f}},
      {"RsqrtGrad", {2}, {3}, {-12}},
      {"ReciprocalGrad", {2}, {3}, {-12}},
  };
  for (const BinaryCase& c : cases) {
    expect_near(run2<float>(c.op, c.x, c.y), c.z, c.op);
    std::vector<float> x, y, z;
    for (int i = 0; i < 37; ++i) {
      x.insert(x.end(), c.x.begin(), c.x.end());
      y.insert(y.end(), c.y.begin(), c.y.end());
      z.insert(z.end(), c.z.begin(), c.z.end());
    }
    expect_near(run2<float>(c.op, x, y), z, c.op);
  }
}

TEST(BinaryMath, broadcasts) {
  OpTest t(all_ops(), "Mul");
  t.input(Tensor({2, 1}, std::vector<float>{2, 3})).input(Tensor({3}, std::vector<float>{1, 10, 100}));
  ASSERT_TRUE(t.run().ok());
  EXPECT_EQ(t.output(0).shape(), TensorShape({2, 3}));
  EXPECT_EQ(t.output(0).to_vector<float>(), (std::vector<float>{2, 20, 200, 3, 30, 300}));
  OpTest empty(all_ops(), "Mul");
  empty.input(Tensor({0, 3}, std::vector<float>{})).input(Tensor({3}, std::vector<float>{1, 10, 100}));
  ASSERT_TRUE(empty.run().ok());
  EXPECT_EQ(empty.output(0).shape(), TensorShape({0, 3}));
}

TEST(BinaryMath, infers_broadcast_shapes) {
  OpTest t(all_ops(), "AddV2");
  t.attr("T", DataType::kFloat);
  EXPECT_EQ(*t.infer({PartialTensorShape({-1, 3}), PartialTensorShape({3})}), (std::vector<std::string>{"[?,3]"}));
  EXPECT_FALSE(t.infer({PartialTensorShape({2}), PartialTensorShape({3})}).ok());
}

TEST(BinaryMath, integers_divide_as_tensorflow_does) {
  const int32_t lowest = std::numeric_limits<int32_t>::min();
  EXPECT_EQ((run2<int32_t>("Div", {lowest, 7, -7}, {-1, -2, 2})), (std::vector<int32_t>{lowest, -3, -3}));
  EXPECT_EQ((run2<int32_t>("FloorDiv", {lowest, 7, -7, -6}, {-1, -2, 2, 2})),
            (std::vector<int32_t>{lowest, -4, -4, -3}));
  EXPECT_EQ((run2<int32_t>("FloorMod", {lowest, 7, -7}, {-1, -2, 2})), (std::vector<int32_t>{0, -1, 1}));
  EXPECT_EQ((run2<int32_t>("Pow", {2, -1, 3}, {3, 5, 40})), (std::vector<int32_t>{8, -1, 689956897}));
  for (const char* op : {"Div", "FloorDiv", "FloorMod", "Mod", "TruncateDiv", "TruncateMod"}) {
    OpTest t(all_ops(), op);
    t.input(vec<int32_t>({1, 2})).input(vec<int32_t>({1, 0}));
    const absl::Status status = t.run();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << op;
    EXPECT_NE(std::string(status.message()).find("Integer division by zero"), std::string::npos) << status;
  }
  OpTest pow(all_ops(), "Pow");
  pow.input(vec<int32_t>({2})).input(vec<int32_t>({-1}));
  EXPECT_EQ(pow.run().code(), absl::StatusCode::kInvalidArgument);
}

TEST(BinaryMath, small_floats_round_the_quotient_before_it_is_truncated) {
  // 2.984375 / 1 stays below 3 in float; 8.9375 / 2.984375 = 2.9948 rounds to 3 in bfloat16.
  OpTest t(all_ops(), "TruncateDiv");
  t.input(vec(std::vector<BFloat16>{BFloat16(8.9375f)})).input(vec(std::vector<BFloat16>{BFloat16(2.984375f)}));
  ASSERT_TRUE(t.run().ok());
  EXPECT_EQ(static_cast<float>(t.output(0).to_vector<BFloat16>()[0]), 3.0f);
}

TEST(BinaryMath, shapes_that_do_not_match_are_an_error) {
  OpTest t(all_ops(), "AddV2");
  t.input(vec<float>({1, 2})).input(vec<float>({1, 2, 3}));
  EXPECT_EQ(t.run().code(), absl::StatusCode::kInvalidArgument);
}

TEST(UnaryMath, gradients_take_one_shape_only) {
  for (const char* op : {"SqrtGrad", "RsqrtGrad", "TanhGrad", "SigmoidGrad", "InvGrad", "ReciprocalGrad"}) {
    OpTest t(all_ops(), op);
    t.input(Tensor(std::vector<float>{1, 2})).input(Tensor({3, 2}, std::vector<float>(6)));
    EXPECT_EQ(t.run().code(), absl::StatusCode::kInvalidArgument) << op;
  }
}

TEST(Bitwise, shifts_are_held_to_the_width) {
  EXPECT_EQ((run2<int32_t>("LeftShift", {1, 1, -8, 5}, {31, 32, 1, -1})),
            (std::vector<int32_t>{std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::min(), -16, 5}));
  EXPECT_EQ((run2<int32_t>("RightShift", {1, -8, -8}, {31, 1, 40})), (std::vector<int32_t>{0, -4, -1}));
}

TEST(Comparison, nan_equals_nothing) {
  EXPECT_EQ((run2<float, bool>("Equal", {1, kNan}, {1, kNan})), (std::vector<bool>{true, false}));
  EXPECT_EQ((run2<float, bool>("NotEqual", {1, kNan}, {1, kNan})), (std::vector<bool>{false, true}));
  EXPECT_EQ((run2<float, bool>("GreaterEqual", {1, kNan, 2}, {1, 1, 3})), (std::vector<bool>{true, false, false}));
}

TEST(Comparison, unequal_shapes_may_compare_as_unequal) {
  for (const bool negated : {false, true}) {
    OpTest t(all_ops(), negated ? "NotEqual" : "Equal");
    t.attr("incompatible_shape_error", false).input(vec<float>({1, 2})).input(vec<float>({1, 2, 3}));
    ASSERT_TRUE(t.run().ok());
    EXPECT_EQ(t.output(0).scalar<bool>(), negated);
  }
}

TEST(Comparison, compares_strings) {
  EXPECT_EQ((run2<std::string, bool>("Equal", {"a", "b"}, {"a", "c"})), (std::vector<bool>{true, false}));
}

TEST(Select, chooses_rows_by_a_vector_and_broadcasts_in_v2) {
  OpTest rows(all_ops(), "Select");
  rows.input(vec<bool>({true, false}))
      .input(Tensor({2, 2}, std::vector<float>{1, 2, 3, 4}))
      .input(Tensor({2, 2}, std::vector<float>{5, 6, 7, 8}));
  ASSERT_TRUE(rows.run().ok());
  EXPECT_EQ(rows.output(0).to_vector<float>(), (std::vector<float>{1, 2, 7, 8}));
  OpTest v2(all_ops(), "SelectV2");
  v2.input(Tensor({2, 1}, std::vector<bool>{true, false})).input(Tensor(1.0f)).input(vec<float>({5, 6, 7}));
  ASSERT_TRUE(v2.run().ok());
  EXPECT_EQ(v2.output(0).to_vector<float>(), (std::vector<float>{1, 1, 1, 5, 6, 7}));
  OpTest text(all_ops(), "SelectV2");
  text.input(vec<bool>({true, false})).input(vec<std::string>({"a", "b"})).input(vec<std::string>({"c", "d"}));
  ASSERT_TRUE(text.run().ok());
  EXPECT_EQ(text.output(0).to_vector<std::string>(), (std::vector<std::string>{"a", "d"}));
}

TEST(Select, clip_keeps_nan_and_prefers_the_lower_bound) {
  OpTest t(all_ops(), "ClipByValue");
  t.input(vec<float>({-1, 1, 9, kNan})).input(Tensor(0.0f)).input(Tensor(2.0f));
  ASSERT_TRUE(t.run().ok());
  expect_near(t.output(0).to_vector<float>(), {0, 1, 2, kNan}, "ClipByValue");
  OpTest bad(all_ops(), "ClipByValue");
  bad.input(vec<float>({-1, 1, 9})).input(vec<float>({0, 1})).input(Tensor(2.0f));
  EXPECT_EQ(bad.run().code(), absl::StatusCode::kInvalidArgument);
}

template <class D, class S> std::vector<D> cast(std::vector<S> x, bool truncate = false) {
  OpTest t(all_ops(), "Cast");
  t.attr("SrcT", dtype_of<S>).attr("DstT", dtype_of<D>).attr("Truncate", truncate).input(vec(std::move(x)));
  const absl::Status status = t.run();
  EXPECT_TRUE(status.ok()) << status;
  return status.ok() ? t.output(0).to_vector<D>() : std::vector<D>();
}

TEST(Cast, floats_become_integers_without_undefined_values) {
  const int32_t lowest = std::numeric_limits<int32_t>::min();
  EXPECT_EQ((cast<int32_t, float>({1.9f, -1.9f, kNan, kInf, -kInf, 3e9f})),
            (std::vector<int32_t>{1, -1, lowest, lowest, lowest, lowest}));
  const int64_t lowest64 = std::numeric_limits<int64_t>::min();
  EXPECT_EQ((cast<int64_t, double>({-2.5, 1e19, NAN})), (std::vector<int64_t>{-2, lowest64, lowest64}));
  EXPECT_EQ((cast<uint64_t, double>({1e19, 5, -1})),
            (std::vector<uint64_t>{10000000000000000000u, 5, std::numeric_limits<uint64_t>::max()}));
  EXPECT_EQ((cast<uint8_t, float>({-1, 300.7f})), (std::vector<uint8_t>{255, 44}));
}

TEST(Cast, truncation_drops_mantissa_bits) {
  EXPECT_EQ(static_cast<float>(cast<BFloat16, float>({1.1f}, true)[0]), 1.09375f);
  EXPECT_EQ(static_cast<float>(cast<Half, float>({65520.0f}, true)[0]), 65504.0f);
  EXPECT_EQ((cast<float, double>({1.0000001}, true)), (std::vector<float>{1.0f}));
}

TEST(Cast, bitcast_moves_between_sizes) {
  OpTest t(all_ops(), "Bitcast");
  t.attr("type", DataType::kInt32).input(Tensor({1, 4}, std::vector<uint8_t>{1, 0, 0, 0}));
  ASSERT_TRUE(t.run().ok());
  EXPECT_EQ(t.output(0).shape(), TensorShape({1}));
  EXPECT_EQ(t.output(0).to_vector<int32_t>(), (std::vector<int32_t>{1}));
  OpTest bad(all_ops(), "Bitcast");
  bad.attr("type", DataType::kInt32).input(vec<uint8_t>({1, 0, 0}));
  EXPECT_EQ(bad.run().code(), absl::StatusCode::kInvalidArgument);
}

TEST(AddN, sums_all_and_refuses_other_shapes) {
  OpTest t(all_ops(), "AddN");
  t.inputs({vec<float>({1, 2}), vec<float>({10, 20}), vec<float>({100, 200})});
  ASSERT_TRUE(t.run().ok());
  EXPECT_EQ(t.output(0).to_vector<float>(), (std::vector<float>{111, 222}));
  OpTest bad(all_ops(), "AddN");
  bad.inputs({vec<float>({1, 2}), vec<float>({10})});
  EXPECT_EQ(bad.run().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace millrace
