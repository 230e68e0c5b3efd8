// oneDNN's convolutions against the plain loops, and those against sums written out.
#include "kernels/convolution.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "kernels/onednn_conv.h"

namespace millrace {
namespace {

std::vector<float> numbers(int64_t n, int seed) {
  std::vector<float> v(static_cast<size_t>(n));
  for (size_t i = 0; i < v.size(); ++i)
    v[i] = static_cast<float>((i * 37 + static_cast<size_t>(seed) * 11) % 101) / 101 - 0.5f;
  return v;
}

struct Case {
  std::string name;
  ConvShape shape;
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

WindowDim dim(int64_t input, int64_t window, int64_t stride, int64_t before, int64_t after, int64_t dilation = 1) {
  const int64_t reach = (window - 1) * dilation + 1;
  return {.input = input,
          .window = window,
          .output = (input + before + after - reach) / stride + 1,
          .stride = stride,
          .dilation = dilation,
          .pad_before = before,
          .pad_after = after};
}

std::vector<Case> cases() {
  const auto image = [](int64_t n, int64_t in, int64_t out, WindowDim h, WindowDim w, int64_t groups = 1,
                        bool first = false) {
    return ConvShape{n, in, out, groups, {WindowDim(), h, w}, first};
  };
  ConvShape volume{2, 3, 4, 1, {dim(4, 2, 1, 0, 1), dim(5, 3, 2, 1, 1), dim(6, 2, 1, 0, 0)}, false};
  return {{"same_5x5_one_channel", image(2, 1, 32, dim(12, 5, 1, 2, 2), dim(12, 5, 1, 2, 2))},
          {"same_3x3", image(2, 16, 16, dim(9, 3, 1, 1, 1), dim(8, 3, 1, 1, 1))},
          {"strides_and_one_sided_padding", image(3, 16, 32, dim(8, 3, 2, 0, 1), dim(8, 3, 2, 0, 1))},
          {"pointwise", image(2, 8, 24, dim(7, 1, 2, 0, 0), dim(7, 1, 2, 0, 0))},
          {"dilated", image(1, 5, 7, dim(11, 3, 1, 0, 0, 2), dim(12, 2, 1, 1, 2, 3))},
          {"groups", image(2, 6, 9, dim(6, 3, 1, 1, 1), dim(6, 3, 1, 1, 1), 3)},
          {"depthwise", image(2, 16, 16, dim(9, 3, 1, 1, 1), dim(9, 3, 1, 1, 1), 16)},
          {"depthwise_multiplier", image(2, 3, 6, dim(9, 3, 2, 1, 1), dim(9, 3, 2, 1, 1), 3)},
          {"channels_first", image(2, 3, 8, dim(9, 3, 1, 1, 1), dim(7, 3, 1, 1, 1), 1, true)},
          {"wide_steps_and_much_padding", image(2, 3, 2, dim(6, 3, 1, 0, 0), dim(7, 4, 2, 5, 0))},
          {"volume", volume}};
}

class ConvolutionTest : public testing::TestWithParam<Case> {
 protected:
  const ConvShape s = GetParam().shape;
  const int64_t x_size = s.batch * s.in_channels * s.input_positions();
  const int64_t y_size = s.batch * s.out_channels * s.output_positions();
  const int64_t w_size = s.window_size() * s.group_inputs() * s.out_channels;
};

void expect_near(const std::vector<float>& got, const std::vector<float>& wanted) {
  ASSERT_EQ(got.size(), wanted.size());
  for (size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], wanted[i], 1e-4) << "at " << i;
}

TEST_P(ConvolutionTest, onednn_agrees_with_plain_loops) {
  const auto x = numbers(x_size, 1), w = numbers(w_size, 2), dy = numbers(y_size, 3);
  std::vector<float> got(dy.size()), wanted(dy.size());
  const auto check = [&](const absl::StatusOr<bool>& done) {
    ASSERT_TRUE(done.ok()) << done.status();
    if (*done) expect_near(got, wanted);
  };
  plain_convolve(s, x.data(), w.data(), wanted.data());
  check(onednn_convolve(s, x.data(), w.data(), nullptr, nullptr, got.data()));
  got.assign(x.size(), 0);
  wanted.assign(x.size(), 0);
  plain_convolve_input_grad(s, w.data(), dy.data(), wanted.data());
  check(onednn_convolve_input_grad(s, w.data(), dy.data(), got.data()));
  got.assign(w.size(), 0);
  wanted.assign(w.size(), 0);
  plain_convolve_filter_grad(s, x.data(), dy.data(), wanted.data());
  check(onednn_convolve_filter_grad(s, x.data(), dy.data(), got.data()));
}

// The three are one trilinear form: <dy, x * w> is the same seen from each side.
TEST_P(ConvolutionTest, gradients_are_adjoint) {
  const auto values = [](const std::vector<float>& v) { return std::vector<double>(v.begin(), v.end()); };
  const auto x = values(numbers(x_size, 1)), w = values(numbers(w_size, 2)), dy = values(numbers(y_size, 3));
  std::vector<double> y(dy.size()), dx(x.size()), dw(w.size());
  plain_convolve(s, x.data(), w.data(), y.data());
  plain_convolve_input_grad(s, w.data(), dy.data(), dx.data());
  plain_convolve_filter_grad(s, x.data(), dy.data(), dw.data());
  const auto dot = [](const std::vector<double>& a, const std::vector<double>& b) {
    double sum = 0;
    for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
    return sum;
  };
  EXPECT_NEAR(dot(dy, y), dot(x, dx), 1e-9);
  EXPECT_NEAR(dot(dy, y), dot(w, dw), 1e-9);
}

// Working memory belongs to the call: what one thread made, another runs.
TEST_P(ConvolutionTest, runs_on_other_threads_than_the_one_that_made_it) {
  const std::vector<float> x = numbers(x_size, 1), w = numbers(w_size, 2), dy = numbers(y_size, 3);
  struct Results {
    std::vector<float> y, dx, dw;
    bool operator==(const Results&) const = default;
  };
  const auto compute = [&](Results* r) {
    *r = {std::vector<float>(y_size), std::vector<float>(x_size), std::vector<float>(w_size)};
    EXPECT_TRUE(onednn_convolve(s, x.data(), w.data(), nullptr, nullptr, r->y.data()).ok());
    EXPECT_TRUE(onednn_convolve_input_grad(s, w.data(), dy.data(), r->dx.data()).ok());
    EXPECT_TRUE(onednn_convolve_filter_grad(s, x.data(), dy.data(), r->dw.data()).ok());
  };
  Results first;
  std::thread(compute, &first).join();
  std::vector<Results> others(4);
  std::vector<std::thread> threads;
  for (Results& r : others) threads.emplace_back(compute, &r);
  for (std::thread& t : threads) t.join();
  for (const Results& r : others) EXPECT_EQ(r, first);
}

TEST_P(ConvolutionTest, bias_side_and_activation_follow_in_one_sweep) {
  ConvShape fused = s;
  fused.has_bias = fused.has_side = true;
  fused.activation = Activation::kRelu;
  const auto x = numbers(x_size, 1), w = numbers(w_size, 2), bias = numbers(s.out_channels, 4);
  const auto side = numbers(y_size, 5);
  std::vector<float> wanted(side.size()), got(side.size());
  plain_convolve(s, x.data(), w.data(), wanted.data());
  for (int64_t i = 0; i < y_size; ++i) {
    const int64_t c = s.channels_first ? i / s.output_positions() % s.out_channels : i % s.out_channels;
    const auto k = static_cast<size_t>(i);
    wanted[k] = std::max(0.0f, wanted[k] + bias[static_cast<size_t>(c)] + side[k]);
  }
  ASSERT_TRUE(convolve(fused, x.data(), w.data(), bias.data(), side.data(), got.data()).ok());
  expect_near(got, wanted);
  got = side;  // the addend may be the output
  ASSERT_TRUE(convolve(fused, x.data(), w.data(), bias.data(), got.data(), got.data()).ok());
  expect_near(got, wanted);
}

INSTANTIATE_TEST_SUITE_P(Shapes, ConvolutionTest, testing::ValuesIn(cases()),
                         [](const auto& info) { return info.param.name; });

TEST(Convolution, sums_products_under_the_window) {
  const ConvShape s{1, 1, 1, 1, {WindowDim(), dim(2, 2, 1, 0, 1), dim(3, 2, 1, 0, 0)}, false};
  const std::vector<int32_t> x = {1, 2, 3, 4, 5, 6}, w = {1, 10, 100, 1000};
  std::vector<int32_t> y(4);
  plain_convolve(s, x.data(), w.data(), y.data());
  EXPECT_EQ(y, (std::vector<int32_t>{5421, 6532, 54, 65}));
}

}  // namespace
}  // namespace millrace
