// Gradient rules of images, volumes and sequences against central differences, in double, through graph, driver and
// session. (ScaleAndTranslate and RandomGamma, which have no double or no derivative to measure, have golden ones.)

#include <vector>

#include "tests/gradient_checks.h"

namespace millrace {
namespace {

// Values of which no two are near, so that maxima stay where they are.
Tensor spread(const TensorShape& shape) {
  const auto n = static_cast<size_t>(shape.num_elements());
  std::vector<double> values(n);
  for (size_t i = 0; i < n; ++i) values[i] = 0.1 * static_cast<double>((i * 37 + 11) % n);
  return Tensor(shape, values);
}

Output squared(TestGraph& g, const Output& x) { return g.op("Square", {x}); }

TEST(VisionGradients, of_fractional_pooling) {
  const TensorShape shape{2, 7, 6, 2};
  for (const char* op : {"FractionalMaxPool", "FractionalAvgPool"}) {
    for (const bool pseudo_random : {false, true}) {
      for (const bool overlapping : {false, true}) {
        for (const bool known : {false, true}) {
          TestGraph g;
          const Output x = g.placeholder(DataType::kDouble, known ? PartialTensorShape(shape) : PartialTensorShape());
          const AttrMap attrs = {{"pooling_ratio", std::vector<float>{1, 1.6f, 1.9f, 1}},
                                 {"pseudo_random", pseudo_random},
                                 {"overlapping", overlapping},
                                 {"deterministic", true},
                                 {"seed", int64_t{5}}};
          expect_gradient(g, {x}, {spread(shape)}, squared(g, g.op(op, {x}, attrs)), op);
        }
      }
    }
  }
}

TEST(VisionGradients, of_dilation) {
  const TensorShape shape{2, 5, 4, 2}, filter{2, 3, 2};
  for (const char* padding : {"SAME", "VALID"}) {
    TestGraph g;
    const Output x = g.placeholder(DataType::kDouble, {}, "x"), f = g.placeholder(DataType::kDouble, {}, "f");
    const AttrMap attrs = {{"strides", std::vector<int64_t>{1, 2, 1, 1}},
                           {"rates", std::vector<int64_t>{1, 1, 1, 1}},
                           {"padding", std::string(padding)}};
    expect_gradient(g, {x, f}, {spread(shape), grid(filter, 0, 0.05)}, squared(g, g.op("Dilation2D", {x, f}, attrs)),
                    padding);
  }
}

TEST(VisionGradients, of_volume_patches) {
  const TensorShape shape{2, 3, 4, 3, 2};
  for (const char* padding : {"SAME", "VALID"}) {
    for (const bool known : {false, true}) {
      TestGraph g;
      const Output x =
          g.placeholder(DataType::kDouble, PartialTensorShape({known ? 2 : -1, 3, 4, 3, known ? 2 : -1}), "x");
      const AttrMap attrs = {{"ksizes", std::vector<int64_t>{1, 2, 3, 2, 1}},
                             {"strides", std::vector<int64_t>{1, 1, 2, 1, 1}},
                             {"padding", std::string(padding)}};
      expect_gradients_twice(g, {x}, {grid(shape, -1, 1)}, squared(g, g.op("ExtractVolumePatches", {x}, attrs)),
                             padding);
    }
  }
}

TEST(VisionGradients, of_volume_patches_need_known_sizes) {
  TestGraph g;
  const Output x = g.placeholder(DataType::kDouble, PartialTensorShape({2, -1, 4, 3, 2}), "x");
  const std::vector<int64_t> ones(5, 1);
  const Output y =
      g.op("ExtractVolumePatches", {x}, {{"ksizes", ones}, {"strides", ones}, {"padding", std::string("SAME")}});
  GradientSpec spec;
  spec.ys = {y};
  spec.xs = {x};
  const absl::StatusOr<std::vector<Gradient>> gradients = add_gradients(*g.graph, spec);
  ASSERT_FALSE(gradients.ok());
  EXPECT_NE(message(gradients).find("needs known planes"), std::string::npos) << gradients.status();
}

TEST(VisionGradients, of_ctc_loss) {
  const TensorShape shape{6, 2, 4};
  for (const bool merge : {true, false}) {
    TestGraph g;
    const Output x = g.placeholder(DataType::kDouble, {}, "x");
    const Output indices = g.constant(Tensor({4, 2}, std::vector<int64_t>{0, 0, 0, 1, 0, 2, 1, 0}));
    const Output labels = g.constant(Tensor({4}, std::vector<int32_t>{1, 1, 0, 2}));
    const Output lengths = g.constant(Tensor({2}, std::vector<int32_t>{6, 4}));
    const Output loss = g.op("CTCLoss", {x, indices, labels, lengths}, {{"ctc_merge_repeated", merge}});
    expect_gradient(g, {x}, {grid(shape, -1, 1)}, squared(g, loss), merge ? "merged" : "not merged");
  }
}

// Mean and variance too, though TensorFlow's documentation says that they are left out.
TEST(VisionGradients, of_global_batch_norm) {
  const TensorShape shape{2, 3, 2, 3}, vector{3};
  for (const bool scale : {true, false}) {
    TestGraph g;
    std::vector<Output> xs = {g.placeholder(DataType::kDouble, {}, "t")};
    std::vector<Tensor> values = {grid(shape, -1, 1)};
    for (const char* name : {"m", "v", "beta", "gamma"}) {
      xs.push_back(g.placeholder(DataType::kDouble, {}, name));
      values.push_back(grid(vector, 0.4, 1.5));
    }
    const Output y = g.op("BatchNormWithGlobalNormalization", {xs[0], xs[1], xs[2], xs[3], xs[4]},
                          {{"variance_epsilon", 0.1f}, {"scale_after_normalization", scale}});
    expect_gradient(g, xs, values, squared(g, y), scale ? "scaled" : "not scaled");
  }
}

}  // namespace
}  // namespace millrace
