#pragma once
// Layers that make their variables, with TF1's names: tf.layers.
//
//   tf::Output hidden = tf::layers::dense(image, 128, {.activation = tf::nn::relu});   // dense/kernel, dense/bias

#include <functional>
#include <string>

#include "millrace/variables.h"

namespace millrace::layers {

#pragma GCC visibility push(default)

using Activation = std::function<Output(const Output&)>;

struct DenseOptions {
  Activation activation = {};  // linear
  bool use_bias = true;
  Initializer kernel_initializer = {};  // the variable scope's, else glorot uniform
  Initializer bias_initializer = zeros_initializer();
  Regularizer kernel_regularizer = {};
  Regularizer bias_regularizer = {};
  Regularizer activity_regularizer = {};
  Constraint kernel_constraint = {};
  Constraint bias_constraint = {};
  bool trainable = true;
  std::string name = {};  // "dense", "dense_1", ...
  Reuse reuse = Reuse::kInherit;
};
// activation(inputs kernel + bias): [..., n] -> [..., units], n known. float types.
Output dense(const Input& inputs, int64_t units, const DenseOptions& options = {});

struct FlattenOptions {
  std::string name = {};
};
// [batch, ...] -> [batch, the product of the rest].
Output flatten(const Input& inputs, const FlattenOptions& options = {});

struct DropoutOptions {
  double rate = 0.5;
  Input noise_shape = {};
  std::optional<int64_t> seed = {};
  Input training = false;  // false: the inputs unchanged; a bool scalar tensor chooses in each step (tf.cond)
  std::string name = {};
};
Output dropout(const Input& inputs, const DropoutOptions& options = {});

// --- images: [batch, height, width, channels], or [batch, channels, height, width] for "channels_first"

struct Size2d {
  Size2d(int64_t both) : height(both), width(both) {}  // NOLINT: written where it is used
  Size2d(int both) : height(both), width(both) {}      // NOLINT
  Size2d(int64_t h, int64_t w) : height(h), width(w) {}
  int64_t height, width;
};

struct Conv2dOptions {
  Size2d strides = 1;
  std::string padding = "valid";              // or "same"
  std::string data_format = "channels_last";  // or "channels_first"
  Size2d dilation_rate = 1;                   // with strides of 1 only
  Activation activation = {};                 // linear
  bool use_bias = true;
  Initializer kernel_initializer = {};  // the variable scope's, else glorot uniform
  Initializer bias_initializer = zeros_initializer();
  Regularizer kernel_regularizer = {};
  Regularizer bias_regularizer = {};
  Regularizer activity_regularizer = {};
  Constraint kernel_constraint = {};
  Constraint bias_constraint = {};
  bool trainable = true;
  std::string name = {};  // "conv2d", "conv2d_1", ...
  Reuse reuse = Reuse::kInherit;
};
// activation(inputs * kernel + bias); kernel: [height, width, channels, filters]. The channels must be known.
Output conv2d(const Input& inputs, int64_t filters, const Size2d& kernel_size, const Conv2dOptions& options = {});

struct Conv2dTransposeOptions {
  Size2d strides = 1;
  std::string padding = "valid";
  std::string data_format = "channels_last";
  Activation activation = {};
  bool use_bias = true;
  Initializer kernel_initializer = {};
  Initializer bias_initializer = zeros_initializer();
  Regularizer kernel_regularizer = {};
  Regularizer bias_regularizer = {};
  Regularizer activity_regularizer = {};
  Constraint kernel_constraint = {};
  Constraint bias_constraint = {};
  bool trainable = true;
  std::string name = {};
  Reuse reuse = Reuse::kInherit;
};
// The transpose of a convolution: images grow by the strides; kernel: [height, width, filters, channels].
Output conv2d_transpose(const Input& inputs, int64_t filters, const Size2d& kernel_size,
                        const Conv2dTransposeOptions& options = {});

struct SeparableConv2dOptions {
  Size2d strides = 1;  // equal in both directions
  std::string padding = "valid";
  std::string data_format = "channels_last";
  Size2d dilation_rate = 1;
  int64_t depth_multiplier = 1;
  Activation activation = {};
  bool use_bias = true;
  Initializer depthwise_initializer = {};
  Initializer pointwise_initializer = {};
  Initializer bias_initializer = zeros_initializer();
  Regularizer depthwise_regularizer = {};
  Regularizer pointwise_regularizer = {};
  Regularizer bias_regularizer = {};
  Regularizer activity_regularizer = {};
  Constraint depthwise_constraint = {};
  Constraint pointwise_constraint = {};
  Constraint bias_constraint = {};
  bool trainable = true;
  std::string name = {};
  Reuse reuse = Reuse::kInherit;
};
// Each channel with depth_multiplier filters of its own, then a pointwise convolution across.
Output separable_conv2d(const Input& inputs, int64_t filters, const Size2d& kernel_size,
                        const SeparableConv2dOptions& options = {});

struct Pooling2dOptions {
  std::string padding = "valid";
  std::string data_format = "channels_last";
  std::string name = {};
};
Output max_pooling2d(const Input& inputs, const Size2d& pool_size, const Size2d& strides,
                     const Pooling2dOptions& options = {});
Output average_pooling2d(const Input& inputs, const Size2d& pool_size, const Size2d& strides,
                         const Pooling2dOptions& options = {});

struct BatchNormalizationOptions {
  int64_t axis = -1;
  double momentum = 0.99;
  double epsilon = 1e-3;
  bool center = true;
  bool scale = true;
  Initializer beta_initializer = zeros_initializer();
  Initializer gamma_initializer = ones_initializer();
  Initializer moving_mean_initializer = zeros_initializer();
  Initializer moving_variance_initializer = ones_initializer();
  Regularizer beta_regularizer = {};
  Regularizer gamma_regularizer = {};
  Constraint beta_constraint = {};
  Constraint gamma_constraint = {};
  Input training = false;  // or a bool scalar tensor, which then chooses in each step (tf.cond)
  bool trainable = true;
  std::string name = {};
  Reuse reuse = Reuse::kInherit;
  std::optional<bool> fused = {};  // one op where that is possible: for images, over axis 1 or 3
};
// Normalizes over all dimensions but `axis`: while training with the batch's statistics, else with the moving averages,
// whose updates are in GraphKeys::UPDATE_OPS and must be run with each step:
//
//   const tf::control_dependencies updates(tf::get_collection<tf::Operation>(tf::GraphKeys::UPDATE_OPS));
//   tf::Operation train = optimizer.minimize(loss);
Output batch_normalization(const Input& inputs, const BatchNormalizationOptions& options = {});

#pragma GCC visibility pop

}  // namespace millrace::layers
