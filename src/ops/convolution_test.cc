#include "gtest/gtest.h"
#include "op/testing.h"
#include "ops/all_ops.h"

namespace millrace {
namespace {

using Ints = std::vector<int64_t>;

Tensor floats(const TensorShape& shape, float first = 1, float step = 1) {
  std::vector<float> values(static_cast<size_t>(shape.num_elements()));
  for (size_t i = 0; i < values.size(); ++i) values[i] = first + step * static_cast<float>(i);
  return Tensor(shape, values);
}
Tensor sizes(std::vector<int32_t> values) { return Tensor(values); }

struct Conv : OpTest {
  explicit Conv(const char* op = "Conv2D", Ints strides = {1, 1, 1, 1}, const char* padding = "VALID")
      : OpTest(all_ops(), op) {
    attr("strides", std::move(strides)).attr("padding", padding);
  }
};

TEST(Conv2D, slides_the_filter) {
  Conv t = Conv();
  t.input(floats({1, 3, 3, 1})).input(Tensor({2, 2, 1, 1}, std::vector<float>{1, 10, 100, 1000}));
  ASSERT_TRUE(t.run().ok());
  EXPECT_EQ(t.output(0).shape(), TensorShape({1, 2, 2, 1}));
  EXPECT_EQ(t.output(0).to_vector<float>(), (std::vector<float>{5421, 6532, 8754, 9865}));
}

TEST(Conv2D, both_data_formats_agree) {
  Conv last = Conv("Conv2D", {1, 2, 1, 1}, "SAME"), first = Conv("Conv2D", {1, 1, 2, 1}, "SAME");
  last.input(floats({2, 5, 4, 1})).input(floats({3, 2, 1, 1}));
  first.attr("data_format", "NCHW").input(floats({2, 1, 5, 4})).input(floats({3, 2, 1, 1}));
  ASSERT_TRUE(last.run().ok());
  ASSERT_TRUE(first.run().ok());
  EXPECT_EQ(first.output(0).shape(), TensorShape({2, 1, 3, 4}));
  EXPECT_EQ(first.output(0).to_vector<float>(), last.output(0).to_vector<float>());
}

TEST(Conv2D, integers_wrap) {
  Conv t = Conv();
  t.input(Tensor({1, 1, 1, 2}, std::vector<int32_t>{1 << 30, 3}));
  t.input(Tensor({1, 1, 2, 1}, std::vector<int32_t>{4, 5}));
  ASSERT_TRUE(t.run().ok());
  EXPECT_EQ(t.output(0).to_vector<int32_t>(), std::vector<int32_t>{15});
}

TEST(Conv2D, a_window_that_is_a_little_too_large_gives_nothing) {
  Conv t = Conv();
  t.input(floats({1, 2, 2, 1})).input(floats({3, 3, 1, 1}));
  ASSERT_TRUE(t.run().ok());
  EXPECT_EQ(t.output(0).shape(), TensorShape({1, 0, 0, 1}));
}

TEST(Conv2D, infers_shapes) {
  Conv t = Conv("Conv2D", {1, 2, 3, 1}, "SAME");
  t.attr("T", DataType::kFloat);
  EXPECT_EQ(*t.infer({{-1, 7, -1, 3}, {3, 3, 3, 8}}), std::vector<std::string>{"[?,4,?,8]"});
  EXPECT_EQ(*t.infer({PartialTensorShape(), {3, 3, -1, 8}}), std::vector<std::string>{"[?,?,?,8]"});
}

TEST(Conv2DBackprop, sizes_may_be_height_and_width) {
  Conv t = Conv("Conv2DBackpropInput");
  t.input(sizes({2, 2})).input(floats({2, 2, 3, 1})).input(floats({4, 1, 1, 1}));
  ASSERT_TRUE(t.run().ok());
  EXPECT_EQ(t.output(0).shape(), TensorShape({4, 2, 2, 3}));
  EXPECT_EQ(t.output(0).flat<float>()[5], 6);  // 1 * w[0, 1, 2, 0]
}

TEST(Conv2DBackprop, dilations_are_supported) {
  Conv forward = Conv(), to_filter = Conv("Conv2DBackpropFilter");
  forward.attr("dilations", Ints{1, 2, 2, 1}).input(floats({1, 3, 3, 1})).input(floats({2, 2, 1, 1}));
  to_filter.attr("dilations", Ints{1, 2, 2, 1}).input(floats({1, 3, 3, 1})).input(sizes({2, 2, 1, 1}));
  to_filter.input(floats({1, 1, 1, 1}));
  ASSERT_TRUE(forward.run().ok());
  ASSERT_TRUE(to_filter.run().ok());
  EXPECT_EQ(forward.output(0).to_vector<float>(), std::vector<float>{1 + 6 + 21 + 36});
  EXPECT_EQ(to_filter.output(0).to_vector<float>(), (std::vector<float>{1, 3, 7, 9}));
}

TEST(DepthwiseConv2d, each_channel_has_its_filters) {
  Conv t = Conv("DepthwiseConv2dNative");
  t.input(Tensor({1, 1, 2, 2}, std::vector<float>{1, 2, 3, 4}));
  t.input(Tensor({1, 2, 2, 2}, std::vector<float>{1, 10, 100, 1000, 2, 20, 200, 2000}));
  ASSERT_TRUE(t.run().ok());
  EXPECT_EQ(t.output(0).to_vector<float>(), (std::vector<float>{7, 70, 1000, 10000}));
}

TEST(FusedConv2D, bias_side_and_activation_follow) {
  Conv t = Conv("_FusedConv2D");
  t.attr("num_args", 2).attr("TArgs", std::vector<DataType>(2, DataType::kFloat));
  t.attr("fused_ops", std::vector<std::string>{"BiasAdd", "Add", "Relu"});
  t.input(Tensor({1, 1, 2, 1}, std::vector<float>{1, -2})).input(Tensor({1, 1, 1, 1}, std::vector<float>{3}));
  t.inputs({Tensor(std::vector<float>{1}), Tensor({1, 1, 2, 1}, std::vector<float>{10, 4})}).inputs({});
  ASSERT_TRUE(t.run().ok());
  EXPECT_EQ(t.output(0).to_vector<float>(), (std::vector<float>{14, 0}));
}

struct BadCase {
  const char* name;
  TensorShape input, filter;
  AttrMap attrs;
  absl::StatusCode code = absl::StatusCode::kInvalidArgument;
};
void PrintTo(const BadCase& c, std::ostream* out) { *out << c.name; }

class BadConv2D : public testing::TestWithParam<BadCase> {};

TEST_P(BadConv2D, is_refused) {
  Conv t = Conv();
  for (const auto& [name, value] : GetParam().attrs) t.attr(name, value);
  t.input(floats(GetParam().input)).input(floats(GetParam().filter));
  EXPECT_EQ(t.run().code(), GetParam().code);
}

constexpr int64_t kHuge = (int64_t{1} << 31) - 1;
INSTANTIATE_TEST_SUITE_P(
    Cases, BadConv2D,
    testing::Values(BadCase{"depth", {1, 4, 4, 3}, {2, 2, 2, 1}, {}}, BadCase{"groups", {1, 4, 4, 4}, {2, 2, 2, 3}, {}},
                    BadCase{"window", {1, 2, 2, 1}, {5, 5, 1, 1}, {}},
                    BadCase{"no_window", {1, 4, 4, 1}, {0, 2, 1, 1}, {}}, BadCase{"rank", {4, 4, 1}, {2, 2, 1, 1}, {}},
                    BadCase{"filter_rank", {1, 4, 4, 1}, {2, 2, 1}, {}},
                    BadCase{"negative_stride", {1, 4, 4, 1}, {2, 2, 1, 1}, {{"strides", Ints{1, -1, 1, 1}}}},
                    BadCase{"zero_stride", {1, 4, 4, 1}, {2, 2, 1, 1}, {{"strides", Ints{1, 0, 1, 1}}}},
                    BadCase{"few_strides", {1, 4, 4, 1}, {2, 2, 1, 1}, {{"strides", Ints{1, 1, 1}}}},
                    BadCase{"huge_stride", {1, 4, 4, 1}, {2, 2, 1, 1}, {{"strides", Ints{1, int64_t{1} << 40, 1, 1}}}},
                    BadCase{"zero_dilation", {1, 4, 4, 1}, {2, 2, 1, 1}, {{"dilations", Ints{1, 0, 1, 1}}}},
                    BadCase{"huge_dilation", {1, 4, 4, 1}, {2, 2, 1, 1}, {{"dilations", Ints{1, kHuge, kHuge, 1}}}},
                    BadCase{"explicit_missing", {1, 4, 4, 1}, {2, 2, 1, 1}, {{"padding", "EXPLICIT"}}},
                    BadCase{"explicit_negative",
                            {1, 4, 4, 1},
                            {2, 2, 1, 1},
                            {{"padding", "EXPLICIT"}, {"explicit_paddings", Ints{0, 0, -1, 0, 0, 0, 0, 0}}}},
                    BadCase{"explicit_depth",
                            {1, 4, 4, 1},
                            {2, 2, 1, 1},
                            {{"padding", "EXPLICIT"}, {"explicit_paddings", Ints{0, 0, 0, 0, 0, 0, 1, 0}}}},
                    BadCase{
                        "explicit_output_too_large",
                        {1, 4, 4, 1},
                        {1, 1, 1, 1},
                        {{"padding", "EXPLICIT"}, {"explicit_paddings", Ints{0, 0, kHuge, kHuge, kHuge, kHuge, 0, 0}}},
                        absl::StatusCode::kInvalidArgument},
                    BadCase{"batch_stride",
                            {1, 4, 4, 1},
                            {2, 2, 1, 1},
                            {{"strides", Ints{2, 1, 1, 1}}},
                            absl::StatusCode::kUnimplemented},
                    BadCase{"depth_dilation",
                            {1, 4, 4, 1},
                            {2, 2, 1, 1},
                            {{"dilations", Ints{1, 1, 1, 2}}},
                            absl::StatusCode::kUnimplemented}),
    [](const auto& info) { return info.param.name; });

TEST(Conv2DBackprop, refuses_sizes_that_do_not_fit) {
  for (const std::vector<int32_t>& s :
       std::vector<std::vector<int32_t>>{{1, 4, 4}, {1, -4, 4, 1}, {1, 9, 4, 1}, {2, 4, 4, 1}, {1, 4, 4, 3}, {}}) {
    Conv t = Conv("Conv2DBackpropInput");
    t.input(sizes(s)).input(floats({2, 2, 1, 1})).input(floats({1, 3, 3, 1}));
    EXPECT_EQ(t.run().code(), absl::StatusCode::kInvalidArgument);
  }
  for (const std::vector<int32_t>& s : std::vector<std::vector<int32_t>>{{2, 2, 1}, {2, -2, 1, 1}, {3, 2, 1, 1}}) {
    Conv t = Conv("Conv2DBackpropFilter");
    t.input(floats({1, 4, 4, 1})).input(sizes(s)).input(floats({1, 3, 3, 1}));
    EXPECT_EQ(t.run().code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST(Conv2D, empty_batches_and_channels_give_zeros) {
  Conv none = Conv(), to_filter = Conv("Conv2DBackpropFilter"), to_input = Conv("Conv2DBackpropInput");
  none.input(floats({0, 4, 4, 1})).input(floats({2, 2, 1, 3}));
  to_filter.input(floats({0, 4, 4, 1})).input(sizes({2, 2, 1, 1})).input(floats({0, 3, 3, 1}));
  to_input.input(sizes({1, 2, 2, 1})).input(floats({2, 2, 1, 0})).input(floats({1, 1, 1, 0}));
  ASSERT_TRUE(none.run().ok());
  ASSERT_TRUE(to_filter.run().ok());
  ASSERT_TRUE(to_input.run().ok());
  EXPECT_EQ(none.output(0).shape(), TensorShape({0, 3, 3, 3}));
  EXPECT_EQ(to_filter.output(0).to_vector<float>(), std::vector<float>(4, 0.0f));
  EXPECT_EQ(to_input.output(0).to_vector<float>(), std::vector<float>(4, 0.0f));
}

}  // namespace
}  // namespace millrace
