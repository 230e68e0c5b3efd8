#include <cmath>

#include "gtest/gtest.h"
#include "op/testing.h"
#include "ops/all_ops.h"

namespace millrace {
namespace {

using Ints = std::vector<int64_t>;

Tensor floats(const TensorShape& shape) {
  std::vector<float> values(static_cast<size_t>(shape.num_elements()));
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>((i * 7) % 11);
  return Tensor(shape, values);
}

struct Pool : OpTest {
  explicit Pool(const char* op, Ints window = {1, 2, 2, 1}, Ints strides = {1, 2, 2, 1}, const char* padding = "VALID")
      : OpTest(all_ops(), op) {
    attr("ksize", std::move(window)).attr("strides", std::move(strides)).attr("padding", padding);
  }
};

const Tensor kImage({1, 2, 4, 1}, std::vector<float>{1, 5, 2, 3, 4, 5, 8, 8});

TEST(MaxPool, takes_the_maximum_and_knows_where_it_lies) {
  Pool t = Pool("MaxPoolWithArgmax");
  t.input(kImage);
  ASSERT_TRUE(t.run().ok());
  EXPECT_EQ(t.output(0).to_vector<float>(), (std::vector<float>{5, 8}));
  EXPECT_EQ(t.output(1).to_vector<int64_t>(), (std::vector<int64_t>{1, 6}));  // the first of equals
}

TEST(MaxPool, gradient_goes_where_the_maximum_lies) {
  Pool t = Pool("MaxPoolGrad");
  t.input(kImage).input(floats({1, 1, 2, 1})).input(Tensor({1, 1, 2, 1}, std::vector<float>{10, 20}));
  ASSERT_TRUE(t.run().ok());
  EXPECT_EQ(t.output(0).to_vector<float>(), (std::vector<float>{0, 10, 0, 0, 0, 0, 20, 0}));
}

TEST(MaxPool, passes_over_nan_and_goes_over_depth) {
  Pool t = Pool("MaxPool", {1, 1, 1, 2}, {1, 1, 1, 2});
  t.input(Tensor({1, 1, 1, 4}, std::vector<float>{NAN, 3, 2, NAN}));
  ASSERT_TRUE(t.run().ok());
  EXPECT_EQ(t.output(0).to_vector<float>(), (std::vector<float>{3, 2}));
}

TEST(AvgPool, counts_what_lies_inside) {
  Pool t = Pool("AvgPool", {1, 2, 3, 1}, {1, 2, 2, 1}, "SAME");
  t.input(Tensor({1, 1, 3, 1}, std::vector<float>{3, 6, 9}));
  ASSERT_TRUE(t.run().ok());
  EXPECT_EQ(t.output(0).to_vector<float>(), (std::vector<float>{4.5, 7.5}));
}

TEST(AvgPool, both_data_formats_agree) {
  Pool last = Pool("AvgPool"), first = Pool("AvgPool", {1, 1, 2, 2}, {1, 1, 2, 2});
  last.input(floats({3, 4, 4, 1}));
  first.attr("data_format", "NCHW").input(floats({3, 1, 4, 4}));
  ASSERT_TRUE(last.run().ok());
  ASSERT_TRUE(first.run().ok());
  EXPECT_EQ(first.output(0).to_vector<float>(), last.output(0).to_vector<float>());
}

TEST(AvgPool, windows_may_be_as_large_as_numbers_go) {
  constexpr int64_t kHuge = (int64_t{1} << 31) - 1;
  Pool t = Pool("AvgPool", {1, kHuge, kHuge, 1}, {1, 5, kHuge, 1}, "SAME");
  t.input(Tensor({1, 2, 2, 1}, std::vector<float>{1, 2, 3, 4}));
  ASSERT_TRUE(t.run().ok());
  EXPECT_EQ(t.output(0).to_vector<float>(), std::vector<float>{2.5});
}

TEST(Pooling, infers_shapes) {
  Pool t = Pool("MaxPool", {1, 3, 3, 1}, {1, 2, 2, 1});
  t.attr("T", DataType::kFloat);
  EXPECT_EQ(*t.infer({{-1, 7, -1, 3}}), std::vector<std::string>{"[?,3,?,3]"});
}

struct BadCase {
  const char* name;
  Ints window, strides;
  TensorShape input = {1, 4, 4, 2};
  absl::StatusCode code = absl::StatusCode::kInvalidArgument;
};
void PrintTo(const BadCase& c, std::ostream* out) { *out << c.name; }

class BadPool : public testing::TestWithParam<BadCase> {};

TEST_P(BadPool, is_refused) {
  for (const char* op : {"MaxPool", "AvgPool", "MaxPoolWithArgmax"}) {
    Pool t = Pool(op, GetParam().window, GetParam().strides);
    t.input(floats(GetParam().input));
    EXPECT_EQ(t.run().code(), GetParam().code) << op;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Cases, BadPool,
    testing::Values(BadCase{"window", {1, 6, 2, 1}, {1, 1, 1, 1}}, BadCase{"zero_window", {1, 0, 2, 1}, {1, 1, 1, 1}},
                    BadCase{"negative_window", {1, -1, 2, 1}, {1, 1, 1, 1}},
                    BadCase{"zero_stride", {1, 2, 2, 1}, {1, 0, 1, 1}},
                    BadCase{"long_window", {1, 2, 2, 1, 1}, {1, 1, 1, 1}},
                    BadCase{"rank", {1, 2, 2, 1}, {1, 1, 1, 1}, {4, 4, 2}},
                    BadCase{"no_rows", {1, 2, 2, 1}, {1, 1, 1, 1}, {1, 0, 4, 2}},
                    BadCase{"batch", {2, 1, 1, 1}, {1, 1, 1, 1}, {2, 4, 4, 2}, absl::StatusCode::kUnimplemented}),
    [](const auto& info) { return info.param.name; });

TEST(Pooling, gradients_refuse_shapes_that_do_not_fit) {
  Pool max = Pool("MaxPoolGrad"), avg = Pool("AvgPoolGrad");
  max.input(kImage).input(floats({1, 1, 2, 1})).input(floats({1, 2, 2, 1}));
  avg.input(Tensor(std::vector<int32_t>{1, 2, 4, 1})).input(floats({1, 2, 2, 1}));
  EXPECT_EQ(max.run().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(avg.run().code(), absl::StatusCode::kInvalidArgument);
}

TEST(Pooling, indices_outside_the_image_are_refused) {
  for (const int64_t bad : {int64_t{-1}, int64_t{8}, int64_t{1} << 40}) {
    Pool t = Pool("MaxPoolGradWithArgmax");
    t.input(kImage).input(floats({1, 1, 2, 1})).input(Tensor({1, 1, 2, 1}, std::vector<int64_t>{0, bad}));
    EXPECT_EQ(t.run().code(), absl::StatusCode::kInvalidArgument) << bad;
  }
}

}  // namespace
}  // namespace millrace
