// Graphs of the functions and layers that work on images against those of TensorFlow's Python API, node for node, as in
// same_graph_test.cc. The lists in testdata were made with TensorFlow 2.21 (compat.v1, tf_keras for the layers).

#include <fstream>
#include <sstream>

#include "api/op_builder.h"
#include "api/testing_graphs.h"
#include "gtest/gtest.h"
#include "millrace/gradients.h"
#include "millrace/layers.h"
#include "millrace/math_ops.h"
#include "millrace/nn.h"
#include "millrace/variables.h"

namespace tf = millrace;

namespace millrace {
namespace {

std::string expected(const std::string& name) {
  std::ifstream file(std::string(MILLRACE_SOURCE_DIR) + "/src/api/testdata/" + name + ".txt");
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

Output input(const PartialTensorShape& shape, const char* name = "x") {
  return tf::placeholder(float32, shape, {.name = name});
}
Output zeros_ones(std::vector<float> values) { return tf::constant(Tensor(values)); }

void conv_layers() {
  const Output x = input({-1, 12, 12, 3});
  Output y = tf::layers::conv2d(x, 4, 3);
  y = tf::layers::conv2d(y, 5, {3, 2},
                         {.strides = {2, 1}, .padding = "same", .activation = tf::nn::relu, .name = "second"});
  y = tf::layers::conv2d(y, 6, 1, {.use_bias = false});
  tf::layers::conv2d(y, 6, 2,
                     {.kernel_regularizer = [](const Output& w) { return tf::nn::l2_loss(w); }, .trainable = false});
  tf::layers::conv2d(x, 4, 3, {.name = "conv2d", .reuse = Reuse::kTrue});
  tf::layers::conv2d(input({2, 3, 8, 8}, "first"), 4, 3, {.data_format = "channels_first"});
}

void pooling_layers() {
  Output y = tf::layers::max_pooling2d(input({-1, 12, 12, 3}), 2, 2);
  y = tf::layers::average_pooling2d(y, {3, 2}, {2, 1}, {.padding = "same", .name = "avg"});
  tf::layers::max_pooling2d(y, 2, 1);
  const Output first = input({2, 3, 8, 8}, "first");
  tf::layers::max_pooling2d(first, 2, 2, {.data_format = "channels_first"});
  tf::layers::average_pooling2d(first, 2, 2, {.data_format = "channels_first"});
}

void batch_norm_layers() {
  const Output x = input({-1, 8, 8, 3});
  Output y = tf::layers::batch_normalization(x, {.training = true});
  y = tf::layers::batch_normalization(y, {.momentum = 0.9, .epsilon = 1e-5});
  tf::layers::batch_normalization(y, {.center = false, .scale = false, .training = true, .name = "bn"});
  tf::layers::batch_normalization(x, {.training = true, .name = "batch_normalization", .reuse = Reuse::kTrue});
  tf::layers::batch_normalization(input({2, 3, 8, 8}, "first"), {.axis = 1, .training = true});
  EXPECT_EQ(tf::get_collection<Operation>(GraphKeys::UPDATE_OPS).size(), 8U);
  EXPECT_EQ(tf::get_collection<Variable>(GraphKeys::TRAINABLE_VARIABLES).size(), 6U);
}

void batch_norm_rank2() {
  const Output x = input({-1, 3});
  tf::layers::batch_normalization(x, {.training = true});
  tf::layers::batch_normalization(x);
}

void batch_norm_unfused() { tf::layers::batch_normalization(input({-1, 8, 8, 3}), {.training = true, .fused = false}); }

void batch_norm_chosen() {
  const Output p = tf::placeholder(bool_, TensorShape(), {.name = "p"}), x = input({-1, 8, 8, 3});
  Output y = tf::layers::batch_normalization(x, {.training = p});
  y = tf::layers::batch_normalization(y, {.center = false, .scale = false, .training = p, .name = "bn"});
  y = tf::layers::batch_normalization(y, {.training = tf::constant(true)});
  y = tf::layers::dropout(y, {.training = p});
  tf::gradients({tf::reduce_sum(y)}, {x});
}

void batch_norm_chosen_unfused() {
  const Output p = tf::placeholder(bool_, TensorShape(), {.name = "p"});
  tf::layers::batch_normalization(input({-1, 3}), {.training = p});
}

void batch_norm_gradient() {
  Output y = tf::layers::conv2d(input({4, 8, 8, 3}), 4, 3, {.use_bias = false});
  y = tf::nn::relu(tf::layers::batch_normalization(y, {.training = true}));
  y = tf::layers::max_pooling2d(y, 2, 2);
  const Output loss = tf::reduce_mean(y);
  std::vector<Input> xs;
  for (const Variable& v : tf::trainable_variables()) xs.push_back(v);
  tf::gradients({loss}, xs);
}

void conv_transpose_layers() {
  const Output x = input({2, 6, 6, 3});
  tf::layers::conv2d_transpose(x, 4, 3);
  tf::layers::conv2d_transpose(x, 4, 3, {.strides = 2, .padding = "same", .name = "t"});
  tf::layers::conv2d_transpose(input({-1, 6, 6, 3}, "z"), 4, 3,
                               {.strides = {2, 2}, .padding = "same", .activation = tf::nn::relu});
}

void separable_layers() {
  const Output x = input({2, 6, 6, 3});
  tf::layers::separable_conv2d(x, 4, 3);
  tf::layers::separable_conv2d(x, 4, 3, {.strides = 2, .padding = "same", .depth_multiplier = 2});
}

void nn_conv() {
  const Output x = input({2, 8, 8, 3}), w = input({3, 3, 3, 4}, "w");
  const Output d = input({3, 3, 3, 2}, "d"), p = input({1, 1, 6, 5}, "p");
  const Output y = tf::nn::conv2d(x, w, {1, 2, 2, 1}, "SAME");
  tf::nn::conv2d(x, w, 1, "VALID", {.dilations = 2});
  tf::nn::conv2d(x, w, {1, 1}, std::vector<nn::Padding::BeforeAndAfter>{{0, 0}, {1, 1}, {2, 0}, {0, 0}},
                 {.name = "explicit"});
  tf::nn::depthwise_conv2d(x, d, {1, 1, 1, 1}, "SAME");
  tf::nn::depthwise_conv2d_native(x, d, {1, 1, 1, 1}, "SAME");
  tf::nn::separable_conv2d(x, d, p, {1, 1, 1, 1}, "VALID");
  const auto sizes = [](std::vector<int32_t> values) { return Tensor(values); };
  tf::nn::conv2d_transpose(y, w, sizes({2, 8, 8, 3}), {1, 2, 2, 1});
  tf::nn::conv2d_backprop_input(sizes({2, 8, 8, 3}), w, y, {1, 2, 2, 1}, "SAME");
  tf::nn::conv2d_backprop_filter(x, sizes({3, 3, 3, 4}), y, {1, 2, 2, 1}, "SAME");
}

void nn_pool() {
  const Output x = input({2, 8, 8, 3});
  tf::nn::max_pool(x, 2, 2, "SAME");
  tf::nn::max_pool(x, {1, 2, 2, 1}, {1, 2, 2, 1}, "VALID", {.name = "m"});
  tf::nn::max_pool2d(x, 2, 2, "SAME");
  tf::nn::avg_pool(x, {2, 3}, 1, "VALID");
  tf::nn::avg_pool2d(x, 2, 2, "SAME");
  tf::nn::max_pool_with_argmax(x, {1, 2, 2, 1}, {1, 2, 2, 1}, "SAME");
  tf::nn::lrn(x);
  tf::nn::local_response_normalization(x, {.depth_radius = 2, .name = "l"});
  tf::nn::bias_add(x, zeros_ones({1, 2, 3}));
}

void nn_norm() {
  const Output x = input({2, 8, 8, 3}), s = zeros_ones({1, 1, 1}), o = zeros_ones({0, 0, 0});
  const nn::FusedBatchNorm n = tf::nn::fused_batch_norm(x, s, o);
  tf::nn::fused_batch_norm(
      x, s, o,
      {.mean = n.batch_mean, .variance = n.batch_variance, .epsilon = 1e-6, .is_training = false, .name = "infer"});
  const nn::Moments m = tf::nn::moments(x, {0, 1, 2});
  tf::nn::batch_normalization(x, m.mean, m.variance, o, s, 1e-3);
}

void nn_conv_gradients() {
  const Output x = input({2, 8, 8, 3}), w = input({3, 3, 3, 4}, "w"), d = input({3, 3, 4, 1}, "d");
  Output y = tf::nn::conv2d(x, w, {1, 2, 2, 1}, "SAME");
  y = tf::nn::depthwise_conv2d_native(y, d, {1, 1, 1, 1}, "SAME");
  y = tf::nn::lrn(tf::nn::avg_pool(tf::nn::max_pool(y, 2, 1, "SAME"), 2, 1, "SAME"));
  tf::gradients({y}, {x, w, d});
}

void nn_conv_second() {
  const Output x = input({2, 8, 8, 3}), w = input({3, 3, 3, 4}, "w");
  const Output y = tf::nn::conv2d(x, w, {1, 1, 1, 1}, "VALID");
  const std::vector<Gradient> g = tf::gradients({y}, {x, w});
  tf::gradients({g[0].dense(), g[1].dense()}, {x, w});
}

void fused_inference_gradient() {
  const Output x = input({2, 3, 4, 4}), s = zeros_ones({1, 1, 1}), o = zeros_ones({0, 0, 0});
  const Output y =
      tf::nn::fused_batch_norm(x, s, o, {.mean = s, .variance = s, .data_format = "NCHW", .is_training = false}).y;
  tf::gradients({y}, {x, s, o});
}

struct Case {
  const char* name;
  void (*build)();
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

class SameImageGraph : public testing::TestWithParam<Case> {};

TEST_P(SameImageGraph, node_for_node) {
  const tf::Graph graph;
  const auto as_default = graph.as_default();
  GetParam().build();
  EXPECT_EQ(describe_graph(graph.impl()), expected(GetParam().name));
}

#define MR_CASE(name) \
  Case { #name, name }
INSTANTIATE_TEST_SUITE_P(Tensorflow, SameImageGraph,
                         testing::Values(MR_CASE(conv_layers), MR_CASE(pooling_layers), MR_CASE(batch_norm_layers),
                                         MR_CASE(batch_norm_rank2), MR_CASE(batch_norm_unfused),
                                         MR_CASE(batch_norm_chosen), MR_CASE(batch_norm_chosen_unfused),
                                         MR_CASE(batch_norm_gradient), MR_CASE(conv_transpose_layers),
                                         MR_CASE(separable_layers), MR_CASE(nn_conv), MR_CASE(nn_pool),
                                         MR_CASE(nn_norm), MR_CASE(nn_conv_gradients), MR_CASE(nn_conv_second),
                                         MR_CASE(fused_inference_gradient)),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace millrace
