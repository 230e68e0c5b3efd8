#include "ops/math_gradients.h"

#include <algorithm>
#include <limits>

#include "tensor/tensor.h"

namespace millrace::gradients {

namespace {

template <class T> absl::StatusOr<Tensor> number(double v) { return make_scalar<T>(static_cast<T>(v)); }

absl::StatusOr<Tensor> number(DataType dtype, double v) {
  switch (dtype) {
    case DataType::kFloat: return number<float>(v);
    case DataType::kDouble: return number<double>(v);
    case DataType::kHalf: return make_scalar(Half(static_cast<float>(v)));
    case DataType::kBfloat16: return make_scalar(BFloat16(static_cast<float>(v)));
    case DataType::kInt8: return number<int8_t>(v);
    case DataType::kInt16: return number<int16_t>(v);
    case DataType::kInt32: return number<int32_t>(v);
    case DataType::kInt64: return number<int64_t>(v);
    case DataType::kUint8: return number<uint8_t>(v);
    case DataType::kUint16: return number<uint16_t>(v);
    case DataType::kUint32: return number<uint32_t>(v);
    case DataType::kUint64: return number<uint64_t>(v);
    case DataType::kComplex64: return make_scalar(Complex64(static_cast<float>(v)));
    case DataType::kComplex128: return make_scalar(Complex128(v));
    case DataType::kBool: return make_scalar(v != 0);
    default: return internal_error("no literal of type ", dtype_name(dtype), " in a gradient rule");
  }
}

Output constant(GradientContext& g, const absl::StatusOr<Tensor>& value, std::string_view name) {
  if (!value.ok()) {
    g.fail(value.status());
    return {};
  }
  return g.constant(*value, name);
}

std::vector<int32_t> as_int32(std::span<const int64_t> dims) { return {dims.begin(), dims.end()}; }

}  // namespace

Output scalar(GradientContext& g, DataType dtype, double value, std::string_view name) {
  return constant(g, number(dtype, value), name);
}

Output int32_vector(GradientContext& g, const std::vector<int32_t>& values, std::string_view name) {
  return constant(g, make_vector<int32_t>(values), name);
}

Output binary(GradientContext& g, std::string_view op, std::string_view name, const Output& x, const Output& y) {
  return g.op(op, {x, y}, {}, name);
}
Output binary(GradientContext& g, std::string_view op, std::string_view name, const Output& x, double y) {
  const auto scope = g.name_scope(name);
  const Output literal = scalar(g, g.dtype(x), y, "y");
  return g.op(op, {x, literal}, {}, "/");
}
Output binary(GradientContext& g, std::string_view op, std::string_view name, double x, const Output& y) {
  const auto scope = g.name_scope(name);
  const Output literal = scalar(g, g.dtype(y), x, "x");
  return g.op(op, {literal, y}, {}, "/");
}
Output div_no_nan(GradientContext& g, const Output& x, const Output& y) {
  return g.op("DivNoNan", {x, y}, {}, "div_no_nan");
}
Output equal(GradientContext& g, const Output& x, double y) { return binary(g, "Equal", "Equal", x, y); }
Output conj(GradientContext& g, const Output& x) { return is_complex(g.dtype(x)) ? g.op("Conj", {x}) : x; }
Output cast(GradientContext& g, const Output& x, DataType dtype) {
  return g.dtype(x) == dtype ? x : g.op("Cast", {x}, {{"DstT", dtype}});
}

Output ones_like(GradientContext& g, const Output& x) {
  const PartialTensorShape s = g.shape(x);
  const auto scope = g.name_scope("ones_like");
  Output dims;
  if (s.is_fully_defined()) {
    const auto inner = g.name_scope("Shape");
    dims = int32_vector(g, as_int32(s.dims()), "shape_as_tensor");
  } else {
    dims = g.op("Shape", {x});
  }
  return g.op("Fill", {dims, scalar(g, g.dtype(x), 1)}, {}, "/");
}

Output fill(GradientContext& g, std::string_view name, const Output& dims, DataType dtype, double value) {
  const auto scope = g.name_scope(name);
  const Output v = scalar(g, dtype, value);
  return g.op("Fill", {dims, v}, {}, "/");
}

Output range(GradientContext& g, int32_t start, const Output& limit) {
  const auto scope = g.name_scope("range");
  const Output first = g.int32_scalar(start, "start");
  const Output delta = g.int32_scalar(1, "delta");
  return g.op("Range", {first, limit, delta}, {}, "/");
}

Output reshape(GradientContext& g, const Output& x, const Output& dims) { return g.op("Reshape", {x, dims}); }
Output reshape(GradientContext& g, const Output& x, const std::vector<int32_t>& dims) {
  const auto scope = g.name_scope("Reshape");
  // Python tries an empty list as floats first and leaves that constant behind.
  if (dims.empty()) g.constant(Tensor(std::vector<float>()), "shape");
  const Output literal = int32_vector(g, dims, "shape");
  return g.op("Reshape", {x, literal}, {}, "/");
}
Output gather(GradientContext& g, const Output& params, const Output& indices) {
  const auto scope = g.name_scope("GatherV2");
  const Output axis = g.int32_scalar(0, "axis");
  return g.op("GatherV2", {params, indices, axis}, {}, "/");
}
Output reduce(GradientContext& g, std::string_view op, const Output& x, const Output& axes, bool keep_dims) {
  return g.op(op, {x, axes}, {{"keep_dims", keep_dims}});
}
Output reduce(GradientContext& g, std::string_view op, const Output& x, const std::vector<int32_t>& axes,
              bool keep_dims) {
  const auto scope = g.name_scope(op);
  const Output literal = int32_vector(g, axes, "reduction_indices");
  return g.op(op, {x, literal}, {{"keep_dims", keep_dims}}, "/");
}
Output reduce_all(GradientContext& g, std::string_view op, const Output& x) {
  const PartialTensorShape s = g.shape(x);
  if (s.has_rank() && s.rank() > 0) {
    std::vector<int32_t> axes;
    for (int32_t i = 0; i < s.rank(); ++i) axes.push_back(i);
    return reduce(g, op, x, int32_vector(g, axes), false);
  }
  const Output all = range(g, 0, rank_of(g, x));
  return reduce(g, op, x, all, false);
}

std::vector<int32_t> static_reduced_shape(GradientContext& g, const Output& x, const Output& axes, bool* known) {
  const PartialTensorShape s = g.shape(x);
  const Tensor* value = g.constant_value(axes);
  *known = false;
  if (!s.is_fully_defined() || value == nullptr) return {};
  std::vector<int32_t> dims = as_int32(s.dims());
  auto mark = [&](int64_t axis) {
    if (axis < 0) axis += s.rank();
    if (axis < 0 || axis >= s.rank()) return false;
    dims[static_cast<size_t>(axis)] = 1;
    return true;
  };
  if (value->dtype() == DataType::kInt32) {
    for (const int32_t a : value->unchecked<int32_t>())
      if (!mark(a)) return {};
  } else if (value->dtype() == DataType::kInt64) {
    for (const int64_t a : value->unchecked<int64_t>())
      if (!mark(a)) return {};
  } else {
    return {};
  }
  *known = true;
  return dims;
}

Output reduced_shape(GradientContext& g, const Output& input_shape, const Output& axes) {
  // Sizes and axes may be int64, where the literal pieces must be too.
  const Output input_rank = [&] {
    const PartialTensorShape s = g.shape(input_shape);
    if (s.is_fully_defined()) return scalar(g, g.dtype(axes), static_cast<double>(s.num_elements()), "Size");
    return g.op("Size", {input_shape}, {{"out_type", g.dtype(axes)}});
  }();
  const Output positive = mod(g, add(g, axes, input_rank), input_rank);
  const Output axes_shape = shape(g, positive);
  const Output all = range(g, 0, input_rank);
  const Output ones = fill(g, "ones", axes_shape, g.dtype(input_shape), 1);
  const std::vector<Output> stitched = g.op_with_lists("DynamicStitch", {{all, positive}, {input_shape, ones}});
  return stitched.empty() ? Output() : stitched[0];
}

std::pair<Output, Output> broadcast_gradient_args(GradientContext& g, const Output& x_shape, const Output& y_shape) {
  const std::vector<Output> axes = g.op_outputs("BroadcastGradientArgs", {x_shape, y_shape});
  if (axes.size() != 2) return {};
  return {axes[0], axes[1]};
}

namespace {

// The axes along which each argument was broadcast, if the shapes say so.
bool infer_reduction_axes(const PartialTensorShape& x, const PartialTensorShape& y, std::vector<int32_t>* x_axes,
                          std::vector<int32_t>* y_axes) {
  if (!x.has_rank() || !y.has_rank()) return false;
  const int out_rank = std::max(x.rank(), y.rank());
  for (int axis = 0; axis < out_rank; ++axis) {
    const int xd = axis - (out_rank - x.rank()), yd = axis - (out_rank - y.rank());
    const int64_t x_dim = xd < 0 ? 1 : x.dim(xd), y_dim = yd < 0 ? 1 : y.dim(yd);
    if (x_dim == 1 && y_dim != 1) {
      x_axes->push_back(axis);
    } else if (y_dim == 1 && x_dim != 1) {
      y_axes->push_back(axis);
    } else if (x_dim < 0 || y_dim < 0) {
      return false;
    }
  }
  return true;
}

}  // namespace

std::pair<Output, Output> reduce_gradient_args(GradientContext& g, const Output& x, const Output& y, Output gx,
                                               Output gy) {
  if (!gx && !gy) return {};
  const Output x_shape = shape(g, x), y_shape = shape(g, y);
  std::vector<int32_t> x_axes, y_axes;
  if (infer_reduction_axes(g.shape(x), g.shape(y), &x_axes, &y_axes)) {
    const int x_rank = g.shape(x).rank(), y_rank = g.shape(y).rank();
    if (gx && (!x_axes.empty() || x_rank < y_rank)) gx = reshape(g, reduce(g, "Sum", gx, x_axes, true), x_shape);
    if (gy && (!y_axes.empty() || y_rank < x_rank)) gy = reshape(g, reduce(g, "Sum", gy, y_axes, true), y_shape);
    return {gx, gy};
  }
  const auto [rx, ry] = broadcast_gradient_args(g, x_shape, y_shape);
  if (gx) gx = reshape(g, reduce(g, "Sum", gx, rx, true), x_shape);
  if (gy) gy = reshape(g, reduce(g, "Sum", gy, ry, true), y_shape);
  return {gx, gy};
}

bool equal_static_shapes(GradientContext& g, const Output& x, const Output& y, const Output& dy) {
  const PartialTensorShape s = g.shape(x);
  return s.is_fully_defined() && s == g.shape(y) && s == g.shape(dy);
}

}  // namespace millrace::gradients
