// Sums and other reductions over rows that share a segment id.

#include "kernels/bounded_index.h"
#include "kernels/elements.h"
#include "kernels/number.h"
#include "op/gradient_context.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/array_shapes.h"
#include "ops/gradient_ops.h"
#include "ops/index_text.h"
#include "ops/segment_ids.h"

namespace millrace {
namespace {

// A copy of the ids: each is read once.
absl::StatusOr<std::vector<int64_t>> segment_ids(KernelContext& ctx, int i) {
  if (ctx.input(i).dtype() != DataType::kInt16) return ctx.int_values(i);
  MR_ASSIGN_OR_RETURN(const auto narrow, ctx.flat<int16_t>(i));
  return std::vector<int64_t>(narrow.begin(), narrow.end());
}

template <class Op, class T> void combine_rows(const T* row, T* into, int64_t width) {
  for (int64_t i = 0; i < width; ++i) into[i] = Op::apply(into[i], row[i]);
}

// ---- sorted ids

absl::Status segment_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape data, c.with_rank_at_least(0, 1));
  MR_RETURN_IF_ERROR(c.with_rank(1, 1).status());
  if (!data.has_rank()) return absl::OkStatus();
  std::vector<int64_t> dims = to_dims(data);
  dims[0] = -1;
  return c.set_output(0, make_partial_shape(dims));
}

enum class SegmentKind { kSum, kProd, kMin, kMax, kMean };

template <SegmentKind kKind, class T> class SegmentReduction : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    const TensorShape shape = ctx.shape(0);
    if (shape.rank() < 1) return invalid_argument("input must be at least rank 1");
    if (ctx.input(1).rank() != 1) return invalid_argument("segment_ids should be a vector.");
    MR_ASSIGN_OR_RETURN(const std::vector<int64_t> ids, segment_ids(ctx, 1));
    if (static_cast<int64_t>(ids.size()) != shape.dim(0))
      return invalid_argument("segment_ids should be the same size as dimension 0 of input.");
    MR_ASSIGN_OR_RETURN(const std::span<const T> data, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const int64_t segments, count_segments(ids));
    MR_RETURN_IF_ERROR(check_sorted(ids, segments));
    MR_ASSIGN_OR_RETURN(const TensorShape out_shape, with_dim(shape, 0, segments));
    MR_ASSIGN_OR_RETURN(const std::span<T> out, ctx.output<T>(0, out_shape));
    std::fill(out.begin(), out.end(), number<T>(kKind == SegmentKind::kProd ? 1 : 0));  // of segments without rows
    const int64_t width = shape.dim(0) == 0 ? 0 : shape.num_elements() / shape.dim(0);
    for (size_t i = 0; i < ids.size();) {
      size_t end = i + 1;
      T* into = out.data() + ids[i] * width;
      copy_run(data.data() + static_cast<int64_t>(i) * width, into, width);
      for (; end < ids.size() && ids[end] == ids[i]; ++end)
        combine_rows<Op, T>(data.data() + static_cast<int64_t>(end) * width, into, width);
      if constexpr (kKind == SegmentKind::kMean) divide(into, width, static_cast<int>(end - i));
      i = end;
    }
    return absl::OkStatus();
  }

 private:
  using Op = std::conditional_t<kKind == SegmentKind::kProd, Multiply,
                                std::conditional_t<kKind == SegmentKind::kMin, Minimum,
                                                   std::conditional_t<kKind == SegmentKind::kMax, Maximum, Add>>>;
  static void divide(T* row, int64_t width, int count) {
    for (int64_t i = 0; i < width; ++i) {
      if constexpr (is_half<T>) {
        row[i] = T(static_cast<float>(row[i]) / static_cast<float>(count));
      } else if constexpr (std::is_integral_v<T>) {
        row[i] = static_cast<T>(static_cast<int64_t>(row[i]) / count);
      } else {
        row[i] = row[i] / T(static_cast<float>(count));
      }
    }
  }
};
template <class T> using SegmentSum = SegmentReduction<SegmentKind::kSum, T>;
template <class T> using SegmentProd = SegmentReduction<SegmentKind::kProd, T>;
template <class T> using SegmentMin = SegmentReduction<SegmentKind::kMin, T>;
template <class T> using SegmentMax = SegmentReduction<SegmentKind::kMax, T>;
template <class T> using SegmentMean = SegmentReduction<SegmentKind::kMean, T>;

// ---- unsorted ids

absl::Status unsorted_segment_shape(ShapeContext& c) {
  const PartialTensorShape& data = c.input(0);
  const PartialTensorShape& ids = c.input(1);
  MR_RETURN_IF_ERROR(c.with_rank(2, 0).status());
  MR_ASSIGN_OR_RETURN(const std::optional<int64_t> segments, known_int(c, 2));
  if (segments && *segments < 0)
    return c.set_output(0, invalid_argument("Input num_segments == ", *segments, " must not be negative."));
  if (!data.has_rank() || !ids.has_rank()) return absl::OkStatus();
  bool starts = ids.rank() <= data.rank();
  for (int d = 0; starts && d < ids.rank(); ++d)
    starts = ids.dim(d) < 0 || data.dim(d) < 0 || ids.dim(d) == data.dim(d);
  if (!starts)
    return c.set_output(0, invalid_argument("data.shape = ", data, " does not start with segment_ids.shape = ", ids));
  std::vector<int64_t> dims = {segments.value_or(-1)};
  dims.insert(dims.end(), data.dims().begin() + ids.rank(), data.dims().end());
  return c.set_output(0, make_partial_shape(dims));
}

template <SegmentKind kKind, class T> class UnsortedSegmentReduction : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    const TensorShape shape = ctx.shape(0);
    const TensorShape id_shape = ctx.shape(1);
    if (ctx.input(2).rank() != 0) return invalid_argument("num_segments should be a scalar, not shape ", ctx.shape(2));
    MR_ASSIGN_OR_RETURN(const int64_t segments, ctx.int_scalar(2));
    if (segments < 0) return invalid_argument("Input num_segments == ", segments, " must not be negative.");
    bool starts = id_shape.rank() <= shape.rank();
    for (int d = 0; starts && d < id_shape.rank(); ++d) starts = id_shape.dim(d) == shape.dim(d);
    if (!starts) return invalid_argument("data.shape = ", shape, " does not start with segment_ids.shape = ", id_shape);
    MR_ASSIGN_OR_RETURN(const std::span<const T> data, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const std::vector<int64_t> ids, segment_ids(ctx, 1));
    std::vector<int64_t> dims = {segments};
    int64_t width = 1;
    for (int d = id_shape.rank(); d < shape.rank(); ++d) {
      dims.push_back(shape.dim(d));
      width *= shape.dim(d);
    }
    MR_ASSIGN_OR_RETURN(const TensorShape out_shape, make_shape(dims));
    MR_ASSIGN_OR_RETURN(const std::span<T> out, ctx.output<T>(0, out_shape));
    std::fill(out.begin(), out.end(), initial());
    for (size_t i = 0; i < ids.size(); ++i) {
      if (ids[i] < 0) continue;  // rows without a segment
      if (ids[i] >= segments) {
        return invalid_argument("segment_ids", position_text(id_shape, static_cast<int64_t>(i)), " = ", ids[i],
                                " is out of range [0, ", segments, ")");
      }
      combine_rows<Op, T>(data.data() + static_cast<int64_t>(i) * width, out.data() + ids[i] * width, width);
    }
    return absl::OkStatus();
  }

 private:
  using Op = std::conditional_t<kKind == SegmentKind::kProd, Multiply,
                                std::conditional_t<kKind == SegmentKind::kMin, Minimum,
                                                   std::conditional_t<kKind == SegmentKind::kMax, Maximum, Add>>>;
  static T initial() {
    if constexpr (kKind == SegmentKind::kMin) return highest_number<T>();
    else if constexpr (kKind == SegmentKind::kMax) return lowest_number<T>();
    else return number<T>(kKind == SegmentKind::kProd ? 1 : 0);
  }
};
template <class T> using UnsortedSegmentSum = UnsortedSegmentReduction<SegmentKind::kSum, T>;
template <class T> using UnsortedSegmentProd = UnsortedSegmentReduction<SegmentKind::kProd, T>;
template <class T> using UnsortedSegmentMin = UnsortedSegmentReduction<SegmentKind::kMin, T>;
template <class T> using UnsortedSegmentMax = UnsortedSegmentReduction<SegmentKind::kMax, T>;

// ---- gradients

Output gather(GradientContext& g, const Output& params, const Output& indices) {
  const auto scope = g.name_scope("GatherV2");
  const Output axis = g.int32_scalar(0, "axis");
  return g.op("GatherV2", {params, indices, axis}, {}, "/");
}

// op(x, literal) as Python's operators write it: "Equal/y", "Equal".
Output with_int_literal(GradientContext& g, std::string_view type, const Output& x, int value, std::string_view name,
                        DataType dtype) {
  absl::StatusOr<Tensor> literal = make_tensor(dtype, TensorShape());
  if (!literal.ok()) {
    g.fail(literal.status());
    return {};
  }
  switch (dtype) {
    case DataType::kFloat: literal->unchecked_mutable<float>()[0] = static_cast<float>(value); break;
    case DataType::kDouble: literal->unchecked_mutable<double>()[0] = value; break;
    case DataType::kHalf: literal->unchecked_mutable<Half>()[0] = Half(static_cast<float>(value)); break;
    case DataType::kBfloat16: literal->unchecked_mutable<BFloat16>()[0] = BFloat16(static_cast<float>(value)); break;
    case DataType::kInt64: literal->unchecked_mutable<int64_t>()[0] = value; break;
    case DataType::kInt16: literal->unchecked_mutable<int16_t>()[0] = static_cast<int16_t>(value); break;
    case DataType::kComplex64: literal->unchecked_mutable<Complex64>()[0] = static_cast<float>(value); break;
    case DataType::kComplex128: literal->unchecked_mutable<Complex128>()[0] = value; break;
    default: literal->unchecked_mutable<int32_t>()[0] = value; break;
  }
  return op_with_literal(g, type, x, *literal, "y", name);
}

// tf.ones_like(x, dtype), which is a Fill even for known shapes.
Output ones_like(GradientContext& g, const Output& x, const Tensor& one) {
  const auto scope = g.name_scope("ones_like");
  const PartialTensorShape shape = g.shape(x);
  const Output dims =
      shape.is_fully_defined() ? int_list(g, to_dims(shape), "Shape/shape_as_tensor") : g.op("Shape", {x}, {}, "Shape");
  const Output value = g.constant(one, "Const");
  return g.op("Fill", {dims, value}, {}, "/");
}

absl::StatusOr<Tensor> one_of(DataType dtype) {
  switch (dtype) {
    case DataType::kFloat: return Tensor(1.0f);
    case DataType::kDouble: return Tensor(1.0);
    case DataType::kHalf: return make_scalar(Half(1.0f));
    case DataType::kBfloat16: return make_scalar(BFloat16(1.0f));
    case DataType::kComplex64: return make_scalar(Complex64(1));
    case DataType::kComplex128: return make_scalar(Complex128(1));
    case DataType::kBool: return Tensor(true);
    default: return Tensor(int32_t{1});
  }
}

absl::Status segment_sum_gradient(GradientContext& g) {
  g.set_dx(0, gather(g, g.dy(0), g.x(1)));
  return absl::OkStatus();
}

// Each row's gradient is its segment's, divided by the segment's number of rows.
absl::Status segment_mean_gradient(GradientContext& g) {
  const Output dy = g.dy(0);
  const Output rank = rank_of(g, g.x(0));
  const Output rows = shape_of(g, g.x(1));
  const Output others = with_int_literal(g, "Sub", rank, 1, "sub", DataType::kInt32);
  const Output count = op_with_literal(g, "ExpandDims", others, Tensor(0), "dim", "ExpandDims");
  Output ones;
  {
    const auto scope = g.name_scope("ones");
    ones = g.op("Fill", {count, g.int32_scalar(1, "Const")}, {}, "/");
  }
  const Output shape = concat(g, {rows, ones}, 0);
  Output weights;
  {
    MR_ASSIGN_OR_RETURN(const Tensor one, one_of(g.dtype(dy)));
    const auto scope = g.name_scope("ones");
    weights = g.op("Fill", {shape, g.constant(one, "Const")}, {}, "/");
  }
  const Output sizes = g.op("SegmentSum", {weights, g.x(1)});
  g.set_dx(0, gather(g, g.op("RealDiv", {dy, sizes}, {}, "truediv"), g.x(1)));
  return absl::OkStatus();
}

absl::Status segment_extreme_gradient(GradientContext& g) {
  const Output dy = g.dy(0), x = g.x(0), ids = g.x(1);
  const Output zeros = zeros_like(g, x);
  const Output reached = gather(g, g.y(0), ids);
  const Output hit = g.op("Equal", {x, reached});
  const Output hits = g.op("SegmentSum", {g.op("Cast", {hit}, {{"DstT", g.dtype(dy)}}), ids});
  const Output shared = g.op("RealDiv", {dy, hits}, {}, "truediv");
  const Output gathered = gather(g, shared, ids);
  g.set_dx(0, g.op("SelectV2", {hit, gathered, zeros}));
  return absl::OkStatus();
}

// d prod / d x_i is the product of the others: by division, or without the zero where there is exactly one.
absl::Status segment_prod_gradient(GradientContext& g) {
  const Output x = g.x(0), ids = g.x(1);
  Output dy = g.dy(0);
  const Output is_zero = with_int_literal(g, "Equal", x, 0, "Equal", g.dtype(x));
  const Output zeros = g.op("SegmentSum", {g.op("Cast", {is_zero}, {{"DstT", DataType::kInt32}}), ids});
  const Output many = with_int_literal(g, "Greater", zeros, 1, "Greater", DataType::kInt32);
  dy = g.op("SelectV2", {many, zeros_like(g, dy), dy});
  MR_ASSIGN_OR_RETURN(const Tensor one, one_of(g.dtype(x)));
  const Output nonzero = g.op("SelectV2", {is_zero, ones_like(g, x, one), x});
  const Output product = g.op("SegmentProd", {nonzero, ids});
  const Output whole = gather(g, g.y(0), ids);
  const Output without = gather(g, product, ids);
  const Output divided = g.op("RealDiv", {whole, nonzero}, {}, "truediv");
  const Output partial = g.op("SelectV2", {is_zero, without, divided});
  const Output gathered = gather(g, dy, ids);
  g.set_dx(0, g.op("Mul", {gathered, partial}, {}, "mul"));
  return absl::OkStatus();
}

// Rows of `params` by unsorted ids, zero where an id is negative.
struct Gathered {
  Output values, clipped, is_positive;
};
Gathered gather_drop_negatives(GradientContext& g, const Output& params, const Output& ids, Output clipped = {},
                               Output is_positive = {}) {
  if (!clipped) clipped = g.op("Maximum", {ids, zeros_like(g, ids)});
  const Output gathered = gather(g, params, clipped);
  if (!is_positive) {
    const Output positive = with_int_literal(g, "GreaterEqual", ids, 0, "GreaterEqual", g.dtype(ids));
    const Output shape = shape_of(g, positive);
    const Output rank = rank_of(g, gathered);
    const Output id_rank = rank_of(g, positive);
    const Output extra = g.op("Sub", {rank, id_rank}, {}, "sub");
    Output ones;
    {
      const auto scope = g.name_scope("ones");
      const Output dims = stack(g, {extra}, "packed");
      ones = g.op("Fill", {dims, g.int32_scalar(1, "Const")}, {}, "/");
    }
    const Output wide = concat(g, {shape, ones}, 0);
    const Output reshaped = g.op("Reshape", {positive, wide});
    const Output all = ones_like(g, gathered, Tensor(true));
    is_positive = g.op("LogicalAnd", {reshaped, all}, {}, "and");
  }
  const Output zeros = zeros_like(g, gathered);
  return {g.op("SelectV2", {is_positive, gathered, zeros}), clipped, is_positive};
}

absl::Status unsorted_segment_sum_gradient(GradientContext& g) {
  g.set_dx(0, gather_drop_negatives(g, g.dy(0), g.x(1)).values);
  return absl::OkStatus();
}

absl::Status unsorted_segment_extreme_gradient(GradientContext& g) {
  const Output dy = g.dy(0), x = g.x(0), ids = g.x(1);
  const Gathered reached = gather_drop_negatives(g, g.y(0), ids);
  const Output equal = g.op("Equal", {x, reached.values});
  const Output hit = g.op("LogicalAnd", {equal, reached.is_positive});
  const Output hits = g.op("UnsortedSegmentSum", {g.op("Cast", {hit}, {{"DstT", g.dtype(dy)}}), ids, g.x(2)});
  const Output shared = g.op("RealDiv", {dy, hits}, {}, "truediv");
  const Gathered gathered = gather_drop_negatives(g, shared, ids, reached.clipped, reached.is_positive);
  const Output zeros = zeros_like(g, gathered.values);
  g.set_dx(0, g.op("SelectV2", {hit, gathered.values, zeros}));
  return absl::OkStatus();
}

absl::Status unsorted_segment_prod_gradient(GradientContext& g) {
  const Output x = g.x(0), ids = g.x(1), segments = g.x(2);
  Output dy = g.dy(0);
  const Output is_zero = with_int_literal(g, "Equal", x, 0, "Equal", g.dtype(x));
  const Output zeros =
      g.op("UnsortedSegmentSum", {g.op("Cast", {is_zero}, {{"DstT", DataType::kInt32}}), ids, segments});
  const Output many = with_int_literal(g, "Greater", zeros, 1, "Greater", DataType::kInt32);
  dy = g.op("SelectV2", {many, zeros_like(g, dy), dy});
  MR_ASSIGN_OR_RETURN(const Tensor one, one_of(g.dtype(x)));
  const Output nonzero = g.op("SelectV2", {is_zero, ones_like(g, x, one), x});
  const Output product = g.op("UnsortedSegmentProd", {nonzero, ids, segments});
  const Output clipped = g.op("Maximum", {ids, zeros_like(g, ids)});
  const Output whole = gather(g, g.y(0), clipped);
  const Output without = gather(g, product, clipped);
  const Output divided = g.op("RealDiv", {whole, x}, {}, "truediv");
  const Output partial = g.op("SelectV2", {is_zero, without, divided});
  const Gathered gathered = gather_drop_negatives(g, dy, ids, clipped);
  g.set_dx(0, g.op("Mul", {gathered.values, partial}, {}, "mul"));
  return absl::OkStatus();
}

// The types that the definition lists as numbertype and realnumbertype.
OpBuilder segment_op(Registry& registry, const char* name, bool real) {
  OpBuilder op = registry.op(name);
  op.input("data: T")
      .input("segment_ids: Tindices")
      .output("output: T")
      .attr(real ? "T: realnumbertype" : "T: numbertype");
  op.attr("Tindices: {int32, int64}").shape(segment_shape);
  return op;
}
OpBuilder unsorted_segment_op(Registry& registry, const char* name, bool real) {
  OpBuilder op = registry.op(name);
  op.input("data: T").input("segment_ids: Tindices").input("num_segments: Tnumsegments").output("output: T");
  op.attr(real ? "T: realnumbertype" : "T: numbertype");
  op.attr(std::string_view(name) == "UnsortedSegmentSum" ? "Tindices: {int16, int32, int64}"
                                                         : "Tindices: {int32, int64}");
  op.attr("Tnumsegments: {int32, int64} = DT_INT32").shape(unsorted_segment_shape);
  return op;
}

}  // namespace

void register_segment(Registry& registry) {
  segment_op(registry, "SegmentSum", false)
      .cpu_for<SegmentSum>(NumberTypes())
      .gradient(segment_sum_gradient)
      .doc("Sums of rows with equal, increasing ids.");
  segment_op(registry, "SegmentProd", false)
      .cpu_for<SegmentProd>(NumberTypes())
      .gradient(segment_prod_gradient)
      .doc("Products of rows with equal, increasing ids.");
  segment_op(registry, "SegmentMin", true)
      .cpu_for<SegmentMin>(RealTypes())
      .gradient(segment_extreme_gradient)
      .doc("Minima of rows with equal, increasing ids.");
  segment_op(registry, "SegmentMax", true)
      .cpu_for<SegmentMax>(RealTypes())
      .gradient(segment_extreme_gradient)
      .doc("Maxima of rows with equal, increasing ids.");
  segment_op(registry, "SegmentMean", false)
      .cpu_for<SegmentMean>(NumberTypes())
      .gradient(segment_mean_gradient)
      .doc("Means of rows with equal, increasing ids.");
  unsorted_segment_op(registry, "UnsortedSegmentSum", false)
      .cpu_for<UnsortedSegmentSum>(NumberTypes())
      .gradient(unsorted_segment_sum_gradient)
      .doc("Sums of rows with equal ids; negative ids are left out.");
  unsorted_segment_op(registry, "UnsortedSegmentProd", false)
      .cpu_for<UnsortedSegmentProd>(NumberTypes())
      .gradient(unsorted_segment_prod_gradient)
      .doc("Products of rows with equal ids; negative ids are left out.");
  unsorted_segment_op(registry, "UnsortedSegmentMin", true)
      .cpu_for<UnsortedSegmentMin>(RealTypes())
      .gradient(unsorted_segment_extreme_gradient)
      .doc("Minima of rows with equal ids; negative ids are left out.");
  unsorted_segment_op(registry, "UnsortedSegmentMax", true)
      .cpu_for<UnsortedSegmentMax>(RealTypes())
      .gradient(unsorted_segment_extreme_gradient)
      .doc("Maxima of rows with equal ids; negative ids are left out.");
}

}  // namespace millrace
