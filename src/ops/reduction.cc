// Reductions over dimensions: Sum, Mean, Prod, Max, Min, All, Any, EuclideanNorm, and L2Loss over everything.

#include <algorithm>

#include "kernels/reduce.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/math_gradients.h"

namespace millrace {

namespace {

using namespace gradients;  // NOLINT: the rules read as the formulas do

// ---- Kernel ----

// Marks the dimensions that `axes` name. Negative ones count from the end; none may come twice.
template <class Axis> absl::Status mark_axes(std::span<const Axis> axes, int rank, bool* reduced) {
  for (const Axis a : axes) {
    const int64_t axis = a < 0 ? static_cast<int64_t>(a) + rank : static_cast<int64_t>(a);
    if (axis < 0 || axis >= rank)
      return invalid_argument("Invalid reduction dimension (", int64_t{a}, " for input with ", rank, " dimension(s)");
    if (reduced[axis])
      return invalid_argument("Invalid reduction arguments: Axes contains duplicate dimension: ", axis);
    reduced[axis] = true;
  }
  return absl::OkStatus();
}

class Reducer final : public Kernel {
 public:
  explicit Reducer(const Reduction* reduction, DataType dtype) : reduction_(reduction), dtype_(dtype) {}
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(keep_dims_, init.attr<bool>("keep_dims"));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    const Tensor& x = ctx.input(0);
    if (x.dtype() != dtype_)
      return invalid_argument("'", ctx.node().name, "' (", ctx.node().op, "): input must be ", dtype_name(dtype_),
                              ", got ", dtype_name(x.dtype()));
    bool reduced[Dims::kMaxRank] = {};
    const Tensor& axes = ctx.input(1);
    if (axes.dtype() == DataType::kInt32) {
      MR_RETURN_IF_ERROR(mark_axes(axes.unchecked<int32_t>(), x.rank(), reduced));
    } else {
      MR_ASSIGN_OR_RETURN(const auto wide, ctx.flat<int64_t>(1));
      MR_RETURN_IF_ERROR(mark_axes(wide, x.rank(), reduced));
    }
    int64_t dims[Dims::kMaxRank];
    int rank = 0;
    for (int d = 0; d < x.rank(); ++d) {
      if (!reduced[d]) dims[rank++] = x.dim(d);
      else if (keep_dims_) dims[rank++] = 1;
    }
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape(std::span<const int64_t>(dims, static_cast<size_t>(rank))));
    MR_ASSIGN_OR_RETURN(Tensor* const out, ctx.allocate_output(0, shape));
    return reduce(*reduction_, x.raw_data(), x.shape().dims(), reduced, out->raw_mutable_data());
  }

 private:
  const Reduction* reduction_;
  DataType dtype_;
  bool keep_dims_ = false;
};

template <ReduceKind kind, class T> std::unique_ptr<Kernel> make_reducer() {
  return std::make_unique<Reducer>(find_reduction(kind, dtype_of<T>), dtype_of<T>);
}

class L2Loss final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    const Tensor& x = ctx.input(0);
    const Reduction* reduction = find_reduction(ReduceKind::kHalfSumOfSquares, x.dtype());
    if (reduction == nullptr)
      return invalid_argument("'", ctx.node().name, "' (L2Loss): floating-point input expected");
    const int64_t n = x.num_elements();
    const bool all = true;
    MR_ASSIGN_OR_RETURN(Tensor* const out, ctx.allocate_output(0, TensorShape()));
    return reduce(*reduction, x.raw_data(), std::span<const int64_t>(&n, 1), &all, out->raw_mutable_data());
  }
};

// ---- Shapes ----

absl::Status reduction_shape(ShapeContext& c) {
  const PartialTensorShape& x = c.input(0);
  MR_ASSIGN_OR_RETURN(const bool keep_dims, c.attr<bool>("keep_dims"));
  MR_ASSIGN_OR_RETURN(const auto axes, c.int_values(1));
  if (!x.has_rank()) return c.set_output(0, PartialTensorShape());
  if (!axes) {
    if (keep_dims) return c.set_output(0, unknown_shape_of_rank(x.rank()));
    // Reducing a vector, or a scalar by one axis, leaves a scalar whatever the axis; else the number of axes tells the
    // rank.
    const PartialTensorShape& a = c.input(1);
    if (a.has_rank() && a.rank() <= 1 && (a.rank() == 0 || a.dim(0) >= 0)) {
      const int64_t count = a.rank() == 0 ? 1 : a.dim(0);
      if (count <= x.rank()) return c.set_output(0, unknown_shape_of_rank(x.rank() - static_cast<int>(count)));
    }
    return c.set_output(0, PartialTensorShape());
  }
  bool reduced[Dims::kMaxRank] = {};
  for (const int64_t a : *axes) {
    const int64_t axis = a < 0 ? a + x.rank() : a;
    if (axis < 0 || axis >= x.rank())
      return invalid_argument("Invalid reduction dimension ", a, " for input with ", x.rank(), " dimensions.");
    reduced[axis] = true;  // doubled axes are the kernel's error, as in TensorFlow
  }
  std::vector<int64_t> dims;
  for (int d = 0; d < x.rank(); ++d) {
    if (!reduced[d]) dims.push_back(x.dim(d));
    else if (keep_dims) dims.push_back(1);
  }
  return c.set_output(0, make_partial_shape(dims));
}

// ---- Gradients ----

// Axes of the forward reduction where they are constants.
bool constant_axes(GradientContext& g, const Output& axes, std::vector<int64_t>* values) {
  const Tensor* t = g.constant_value(axes);
  if (t == nullptr) return false;
  if (t->dtype() == DataType::kInt32) {
    for (const int32_t a : t->unchecked<int32_t>()) values->push_back(a);
    return true;
  }
  if (t->dtype() == DataType::kInt64) {
    for (const int64_t a : t->unchecked<int64_t>()) values->push_back(a);
    return true;
  }
  return false;
}

// The part where shape and axes are known: reshape and tile by constants. TensorFlow computes these with two ops, once
// for each shape and axes in a graph, and leaves the ops there.
Output static_sum_gradient(GradientContext& g, const Output& dy, const PartialTensorShape& x,
                           const std::vector<int64_t>& axes, const std::vector<int32_t>& kept) {
  std::string key = "reduced_shape:" + x.to_string() + ":";
  for (const int64_t a : axes) key += std::to_string(a) + ",";
  std::vector<int32_t> sizes, scaling;
  for (int d = 0; d < x.rank(); ++d) {
    sizes.push_back(static_cast<int32_t>(x.dim(d)));
    scaling.push_back(sizes.back() / std::max(kept[static_cast<size_t>(d)], 1));
  }
  if (g.first_time(key)) {
    Output divisor;
    {
      const auto scope = g.name_scope("Maximum");
      const Output literal = int32_vector(g, kept, "x");
      divisor = g.op("Maximum", {literal, g.int32_scalar(1, "y")}, {}, "/");
    }
    const auto scope = g.name_scope("floordiv");
    g.op("FloorDiv", {int32_vector(g, sizes, "x"), divisor}, {}, "/");
  }
  const Output reshaped = reshape(g, dy, kept);
  const auto scope = g.name_scope("Tile");
  const Output multiples = int32_vector(g, scaling, "multiples");
  return g.op("Tile", {reshaped, multiples}, {}, "/");
}

Output sum_gradient_of(GradientContext& g) {
  const Output x = g.x(0), axes = g.x(1), dy = g.dy(0);
  const PartialTensorShape known = g.shape(x);
  std::vector<int64_t> values;
  if (known.has_rank() && constant_axes(g, axes, &values)) {
    bool all = static_cast<int>(values.size()) == known.rank() && g.constant_value(axes)->rank() == 1;
    for (size_t i = 0; all && i < values.size(); ++i) all = values[i] == static_cast<int64_t>(i);
    if (all) {
      const Output reshaped = reshape(g, dy, std::vector<int32_t>(static_cast<size_t>(known.rank()), 1));
      const Output multiples =
          known.is_fully_defined() ? int_list(g, {known.dims().begin(), known.dims().end()}) : shape(g, x);
      return g.op("Tile", {reshaped, multiples});
    }
    if (known.is_fully_defined()) {
      bool ok = false;
      const std::vector<int32_t> kept = static_reduced_shape(g, x, axes, &ok);
      if (ok) return static_sum_gradient(g, dy, known, values, kept);
    }
  }
  const Output input_shape = shape(g, x);
  const absl::StatusOr<bool> keep_dims = g.attr<bool>("keep_dims");
  Output spread = dy;
  if (keep_dims.ok() && !*keep_dims) {
    Output kept;
    {
      const auto guard = g.colocate_with(input_shape);
      kept = reduced_shape(g, input_shape, axes);
    }
    spread = reshape(g, dy, kept);
  }
  return g.op("BroadcastTo", {spread, input_shape});
}

absl::Status sum_gradient(GradientContext& g) {
  g.set_dx(0, sum_gradient_of(g));
  return absl::OkStatus();
}

absl::Status mean_gradient(GradientContext& g) {
  const Output sum = sum_gradient_of(g);
  const PartialTensorShape in = g.shape(g.x(0)), out = g.shape(g.y(0));
  Output factor;
  if (in.is_fully_defined() && out.is_fully_defined()) {
    const int64_t count = in.num_elements() / std::max<int64_t>(out.num_elements(), 1);
    factor = scalar(g, g.dtype(sum), static_cast<double>(count));
  } else {
    const Output input_shape = shape(g, g.x(0));
    const Output input_rank = size_of(g, input_shape);
    const Output axes = cast(g, g.x(1), g.dtype(input_rank));
    const Output positive = mod(g, add(g, axes, input_rank), input_rank);
    factor = reduce_all(g, "Prod", gather(g, input_shape, positive));
  }
  g.set_dx(0, truediv(g, sum, cast(g, factor, g.dtype(sum))));
  return absl::OkStatus();
}

// The shape of the result with reduced dimensions kept: as a tensor, or as literals wherever it is used.
struct KeptShape {
  std::vector<int32_t> known;
  bool is_known = false;
  Output tensor;
  Output apply(GradientContext& g, const Output& x) const {
    return is_known ? reshape(g, x, known) : reshape(g, x, tensor);
  }
};
KeptShape kept_shape(GradientContext& g, const Output& input_shape) {
  KeptShape k;
  k.known = static_reduced_shape(g, g.x(0), g.x(1), &k.is_known);
  if (!k.is_known) k.tensor = reduced_shape(g, input_shape, g.x(1));
  return k;
}

absl::Status extreme_gradient(GradientContext& g) {
  const Output x = g.x(0);
  const Output input_shape = shape(g, x);
  Output y = g.y(0), dy = g.dy(0);
  MR_ASSIGN_OR_RETURN(const bool keep_dims, g.attr<bool>("keep_dims"));
  KeptShape kept;
  if (!keep_dims) {
    kept = kept_shape(g, input_shape);
    y = kept.apply(g, y);
    dy = kept.apply(g, dy);
  } else {
    kept.tensor = shape(g, y);
  }
  // Equal elements share the gradient.
  const Output indicators = cast(g, g.op("Equal", {y, x}), g.dtype(dy));
  const Output selected = kept.apply(g, reduce(g, "Sum", indicators, g.x(1)));
  g.set_dx(0, mul(g, truediv(g, indicators, selected), dy));
  return absl::OkStatus();
}

absl::Status prod_gradient(GradientContext& g) {
  // The product of all others, by two exclusive running products: right even where there are zeros.
  const Output x = g.x(0);
  Output dy = g.dy(0);
  const Output input_shape = shape(g, x);
  const Output indices = reshape(g, g.x(1), std::vector<int32_t>{-1});
  MR_ASSIGN_OR_RETURN(const bool keep_dims, g.attr<bool>("keep_dims"));
  if (!keep_dims) dy = kept_shape(g, input_shape).apply(g, dy);
  dy = g.op("BroadcastTo", {dy, input_shape});
  Output perm, reduced_num, other_num;
  {
    const auto guard = g.device("/cpu:0");
    const Output input_rank = rank_of(g, x);
    const Output wide = cast(g, indices, g.dtype(input_rank));
    const Output reduced = mod(g, add(g, wide, input_rank), input_rank);
    const Output idx = range(g, 0, input_rank);
    const std::vector<Output> difference = g.op_outputs("ListDiff", {idx, reduced}, {{"out_idx", DataType::kInt32}});
    if (difference.empty()) return absl::OkStatus();
    perm = concat(g, {reduced, difference[0]}, 0);
    reduced_num = reduce_all(g, "Prod", gather(g, input_shape, reduced));
    other_num = reduce_all(g, "Prod", gather(g, input_shape, difference[0]));
  }
  const Output permuted = g.op("Transpose", {x, perm}, {}, "transpose");
  const Output permuted_shape = shape(g, permuted);
  Output flat;
  {
    const auto scope = g.name_scope("Reshape");
    const Output dims = stack(g, {reduced_num, other_num}, "shape");
    flat = g.op("Reshape", {permuted, dims}, {}, "/");
  }
  auto running_product = [&](bool reverse) {
    return op_with_literal(g, "Cumprod", flat, Tensor(int32_t{0}), "axis", "Cumprod",
                           {{"exclusive", true}, {"reverse", reverse}});
  };
  const Output left = running_product(false);
  const Output right = running_product(true);
  const Output conj_left = conj(g, left);
  const Output y = reshape(g, mul(g, conj_left, conj(g, right)), permuted_shape);
  const Output inverse = g.op("InvertPermutation", {perm});
  const Output out = mul(g, dy, g.op("Transpose", {y, inverse}, {}, "transpose"));
  g.set_dx(0, reshape(g, out, input_shape));
  return absl::OkStatus();
}

absl::Status norm_gradient(GradientContext& g) {
  const Output x = g.x(0);
  Output y = g.y(0), dy = g.dy(0);
  MR_ASSIGN_OR_RETURN(const bool keep_dims, g.attr<bool>("keep_dims"));
  if (!keep_dims) {
    const KeptShape kept = kept_shape(g, shape(g, x));
    y = kept.apply(g, y);
    dy = kept.apply(g, dy);
  }
  g.set_dx(0, truediv(g, x, truediv(g, y, dy)));
  return absl::OkStatus();
}

absl::Status l2_loss_gradient(GradientContext& g) {
  g.set_dx(0, mul(g, g.x(0), g.dy(0)));
  return absl::OkStatus();
}

// ---- Registration ----

template <ReduceKind kind, class... Ts>
void reduction_op(Registry& r, std::string_view name, std::string_view types, GradientFunction gradient,
                  std::string_view doc, Types<Ts...>) {
  OpBuilder b = r.op(name);
  if (types.empty()) b.input("input: bool").input("reduction_indices: Tidx").output("output: bool");
  else b.input("input: T").input("reduction_indices: Tidx").output("output: T");
  b.attr("keep_dims: bool = false");
  if (!types.empty()) b.attr(types);
  b.attr("Tidx: {int32, int64} = DT_INT32").shape(reduction_shape).doc(doc);
  if (gradient != nullptr) b.gradient(gradient);
  if (types.empty()) (b.kernel({"CPU", {}, &make_reducer<kind, Ts>}), ...);
  else (b.kernel({"CPU", {{"T", dtype_of<Ts>}}, &make_reducer<kind, Ts>}), ...);
}

}  // namespace

void register_reduction(Registry& r) {
  constexpr std::string_view kNumbers =
      "T: {float, double, int32, uint8, int16, int8, complex64, int64, qint8, quint8, qint32, bfloat16, qint16, "
      "quint16, uint16, complex128, half, uint32, uint64}";
  constexpr std::string_view kReals =
      "T: {float, double, int32, uint8, int16, int8, int64, bfloat16, uint16, half, uint32, uint64, qint8, quint8, "
      "qint32, qint16, quint16}";
  reduction_op<ReduceKind::kSum>(r, "Sum", kNumbers, sum_gradient, "The sum over dimensions.", NumberTypes{});
  reduction_op<ReduceKind::kMean>(r, "Mean", kNumbers, mean_gradient,
                                  "The mean over dimensions; of integers, towards 0.", NumberTypes{});
  reduction_op<ReduceKind::kProd>(r, "Prod", kNumbers, prod_gradient, "The product over dimensions.", NumberTypes{});
  reduction_op<ReduceKind::kMax>(r, "Max", kReals, extreme_gradient, "The greatest element over dimensions.",
                                 RealTypes{});
  reduction_op<ReduceKind::kMin>(r, "Min", kReals, extreme_gradient, "The smallest element over dimensions.",
                                 RealTypes{});
  reduction_op<ReduceKind::kEuclideanNorm>(r, "EuclideanNorm", kNumbers, norm_gradient,
                                           "sqrt(sum(|x|^2)) over dimensions.", NumberTypes{});
  reduction_op<ReduceKind::kAll>(r, "All", "", nullptr, "Logical and over dimensions.", Types<bool>{});
  reduction_op<ReduceKind::kAny>(r, "Any", "", nullptr, "Logical or over dimensions.", Types<bool>{});
  r.op("L2Loss")
      .input("t: T")
      .output("output: T")
      .attr("T: {half, bfloat16, float, double}")
      .shape(scalar_shape)
      .gradient(l2_loss_gradient)
      .cpu<L2Loss>()
      .doc("sum(t^2) / 2.");
}

}  // namespace millrace
