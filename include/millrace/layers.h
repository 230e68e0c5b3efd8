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
  bool training = false;  // false: the inputs unchanged
  std::string name = {};
};
Output dropout(const Input& inputs, const DropoutOptions& options = {});

#pragma GCC visibility pop

}  // namespace millrace::layers
