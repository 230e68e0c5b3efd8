#pragma once
// Pieces that many gradient rules build, with the node names that TensorFlow's Python functions give them.

#include <string_view>
#include <vector>

#include "op/gradient_context.h"

namespace millrace {

// A vector of int32 or int64, as tf.constant makes it from a list.
Output int_list(GradientContext& g, const std::vector<int64_t>& values, std::string_view name = "Const",
                DataType dtype = DataType::kInt32);

// tf.shape, tf.rank and tf.size: a Const where the static shape tells the answer, else the op.
Output shape_of(GradientContext& g, const Output& x, DataType out_type = DataType::kInt32,
                std::string_view name = "Shape");
Output rank_of(GradientContext& g, const Output& x, std::string_view name = "Rank");
Output size_of(GradientContext& g, const Output& x, DataType out_type = DataType::kInt32,
               std::string_view name = "Size");
// tf.shape_n: one ShapeN node unless every shape is known.
std::vector<Output> shapes_of(GradientContext& g, const std::vector<Output>& xs);

// An op of two inputs whose second is a literal: "NAME/ARG" and then "NAME". tf.reshape(x, [-1]) is
// op_with_literal(g, "Reshape", x, int list, "shape").
Output op_with_literal(GradientContext& g, std::string_view type, const Output& x, const Tensor& literal,
                       std::string_view arg, std::string_view name, AttrMap attrs = {});

// tf.concat(values, axis) and tf.stack(values) of values that are tensors already.
Output concat(GradientContext& g, const std::vector<Output>& values, int32_t axis, std::string_view name = "concat");
Output stack(GradientContext& g, const std::vector<Output>& values, std::string_view name = "stack");

// x[begin:end] of a vector with literal bounds; a missing bound is masked, as Python's slice writes it.
struct SliceBounds {
  bool has_begin = true, has_end = true;
  int32_t begin = 0, end = 0;
};
Output slice_vector(GradientContext& g, const Output& x, SliceBounds bounds);

// tf.zeros_like(x): a Const for small known shapes.
Output zeros_like(GradientContext& g, const Output& x);

// The gradient of an input that was broadcast: `grad` summed over `axes` and reshaped to `shape`.
Output sum_to_shape(GradientContext& g, const Output& grad, const Output& axes, const Output& shape,
                    bool keep_dims = true);

// Gradient rules of several families.
absl::Status identity_gradient(GradientContext& g);  // dx = dy, for each input and output

}  // namespace millrace
