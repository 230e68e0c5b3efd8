#include "ops/gradient_ops.h"

#include "tensor/tensor.h"

namespace millrace {
namespace {

// The tensor, or none after telling the rule what failed.
Tensor or_fail(GradientContext& g, absl::StatusOr<Tensor> tensor) {
  if (tensor.ok()) return *std::move(tensor);
  g.fail(tensor.status());
  return Tensor();
}

Tensor int_tensor(GradientContext& g, const std::vector<int64_t>& values, DataType dtype) {
  if (dtype == DataType::kInt64) return or_fail(g, make_vector<int64_t>(values));
  const std::vector<int32_t> narrow(values.begin(), values.end());
  return or_fail(g, make_vector<int32_t>(narrow));
}

}  // namespace

Output int_list(GradientContext& g, const std::vector<int64_t>& values, std::string_view name, DataType dtype) {
  return g.constant(int_tensor(g, values, dtype), name);
}

Output shape_of(GradientContext& g, const Output& x, DataType out_type, std::string_view name) {
  const PartialTensorShape shape = g.shape(x);
  if (shape.is_fully_defined()) return int_list(g, {shape.dims().begin(), shape.dims().end()}, name, out_type);
  return g.op("Shape", {x}, {{"out_type", out_type}}, name);
}

Output rank_of(GradientContext& g, const Output& x, std::string_view name) {
  const PartialTensorShape shape = g.shape(x);
  if (shape.has_rank()) return g.constant(Tensor(int32_t{shape.rank()}), name);
  return g.op("Rank", {x}, {}, name);
}

Output size_of(GradientContext& g, const Output& x, DataType out_type, std::string_view name) {
  const PartialTensorShape shape = g.shape(x);
  if (shape.is_fully_defined()) {
    const int64_t n = shape.num_elements();
    return g.constant(out_type == DataType::kInt64 ? Tensor(n) : Tensor(static_cast<int32_t>(n)), name);
  }
  return g.op("Size", {x}, {{"out_type", out_type}}, name);
}

std::vector<Output> shapes_of(GradientContext& g, const std::vector<Output>& xs) {
  return g.op_with_lists("ShapeN", {xs}, {}, "ShapeN");
}

Output op_with_literal(GradientContext& g, std::string_view type, const Output& x, const Tensor& literal,
                       std::string_view arg, std::string_view name, AttrMap attrs) {
  const auto scope = g.name_scope(name);
  const Output second = g.constant(literal, arg);
  return g.op(type, {x, second}, std::move(attrs), "/");
}

Output concat(GradientContext& g, const std::vector<Output>& values, int32_t axis, std::string_view name) {
  const auto scope = g.name_scope(name);
  const Output dim = g.int32_scalar(axis, "axis");
  const std::vector<Output> out = g.op_with_lists("ConcatV2", {values, {dim}}, {}, "/");
  return out.empty() ? Output() : out[0];
}

Output stack(GradientContext& g, const std::vector<Output>& values, std::string_view name) {
  const std::vector<Output> out = g.op_with_lists("Pack", {values}, {}, name);
  return out.empty() ? Output() : out[0];
}

Output slice_vector(GradientContext& g, const Output& x, SliceBounds bounds) {
  const auto scope = g.name_scope("strided_slice");
  const Output begin = int_list(g, {bounds.has_begin ? bounds.begin : 0}, "stack");
  const Output end = int_list(g, {bounds.has_end ? bounds.end : 0}, "stack_1");
  const Output strides = int_list(g, {1}, "stack_2");
  return g.op("StridedSlice", {x, begin, end, strides},
              {{"begin_mask", int64_t{!bounds.has_begin}}, {"end_mask", int64_t{!bounds.has_end}}}, "/");
}

Output zeros_like(GradientContext& g, const Output& x) {
  const PartialTensorShape shape = g.shape(x);
  const DataType dtype = g.dtype(x);
  if (!shape.is_fully_defined() || dtype == DataType::kVariant) return g.op("ZerosLike", {x}, {}, "zeros_like");
  constexpr int64_t kLargestConstant = 1000;  // tf.zeros writes smaller ones as constants
  absl::StatusOr<TensorShape> known = as_tensor_shape(shape);
  if (!known.ok()) {
    g.fail(known.status());
    return {};
  }
  if (shape.num_elements() < kLargestConstant)
    return g.constant(or_fail(g, make_zeroed_tensor(dtype, *known)), "zeros_like", true);
  const auto scope = g.name_scope("zeros_like");
  const Output dims = int_list(g, {shape.dims().begin(), shape.dims().end()}, "shape_as_tensor");
  const Output zero = g.constant(or_fail(g, make_zeroed_tensor(dtype, TensorShape())), "Const");
  return g.op("Fill", {dims, zero}, {}, "/");
}

Output sum_to_shape(GradientContext& g, const Output& grad, const Output& axes, const Output& shape, bool keep_dims) {
  return g.op("Reshape", {g.op("Sum", {grad, axes}, {{"keep_dims", keep_dims}}), shape});
}

absl::Status identity_gradient(GradientContext& g) {
  for (int i = 0; i < g.num_inputs(); ++i) {
    if (const Output dy = g.dy(i)) g.set_dx(i, dy);
  }
  return absl::OkStatus();
}

}  // namespace millrace
