// Reductions over segments of gathered rows, as embedding lookups of several ids per example need them.

#include <cmath>

#include "kernels/bounded_index.h"
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

enum class Weight { kSum, kMean, kSqrtN };  // a segment's sum is divided by 1, by its size n, or by sqrt(n)

double divisor(Weight weight, int64_t n) {
  return weight == Weight::kSum    ? 1.0
         : weight == Weight::kMean ? static_cast<double>(n)
                                   : std::sqrt(static_cast<double>(n));
}

// Inputs 1 and 2, each read once: the rows to take, and the segments they belong to.
struct Selection {
  std::vector<int64_t> rows, segments;
};
absl::StatusOr<Selection> selection_of(KernelContext& ctx) {
  Selection s;
  if (ctx.input(1).rank() != 1) return invalid_argument("indices should be a vector.");
  if (ctx.input(2).rank() != 1) return invalid_argument("segment_ids should be a vector.");
  MR_ASSIGN_OR_RETURN(s.rows, ctx.int_values(1));
  MR_ASSIGN_OR_RETURN(s.segments, ctx.int_values(2));
  if (s.rows.size() != s.segments.size()) return invalid_argument("segment_ids and indices should have same size.");
  return s;
}

template <class T> using Sum = std::conditional_t<is_half<T>, float, T>;

template <class T> T scaled(Sum<T> sum, double divide_by) {
  if constexpr (std::is_integral_v<T>) return sum;
  else if (divide_by == 1.0) return T(sum);
  else return T(sum / static_cast<Sum<T>>(divide_by));
}

template <Weight kWeight, class T> class SparseSegment : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    const TensorShape shape = ctx.shape(0);
    if (shape.rank() < 1) return invalid_argument("input must be at least rank 1");
    MR_ASSIGN_OR_RETURN(const std::span<const T> data, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const Selection s, selection_of(ctx));
    MR_ASSIGN_OR_RETURN(int64_t segments, count_segments(s.segments));
    if (ctx.num_inputs() > 3) {
      if (ctx.input(3).rank() != 0)
        return invalid_argument("num_segments should be a scalar, not shape ", ctx.shape(3));
      MR_ASSIGN_OR_RETURN(const int64_t wanted, ctx.int_scalar(3));
      if (wanted < segments) return invalid_argument("segment ids must be < num_segments");
      segments = wanted;
    }
    MR_RETURN_IF_ERROR(check_sorted(s.segments, segments));
    MR_ASSIGN_OR_RETURN(const TensorShape out_shape, with_dim(shape, 0, segments));
    MR_ASSIGN_OR_RETURN(const std::span<T> out, ctx.output<T>(0, out_shape));
    std::fill(out.begin(), out.end(), number<T>(0));
    const int64_t width = shape.dim(0) > 0 ? shape.num_elements() / shape.dim(0) : 0;
    std::vector<Sum<T>> sums(static_cast<size_t>(width));
    for (size_t i = 0; i < s.rows.size();) {
      std::fill(sums.begin(), sums.end(), Sum<T>(0));
      size_t end = i;
      for (; end < s.rows.size() && s.segments[end] == s.segments[i]; ++end) {
        int64_t row = 0;
        if (!read_bounded(&s.rows[end], shape.dim(0), &row)) {
          return invalid_argument("Bad: indices[", end, "] == ", row, " out of range [0, ", shape.dim(0), ")");
        }
        const T* from = data.data() + row * width;
        for (size_t k = 0; k < sums.size(); ++k) sums[k] = Add::apply(sums[k], static_cast<Sum<T>>(from[k]));
      }
      const double by = divisor(kWeight, static_cast<int64_t>(end - i));
      T* into = out.data() + s.segments[i] * width;
      for (size_t k = 0; k < sums.size(); ++k) into[k] = scaled<T>(sums[k], by);
      i = end;
    }
    return absl::OkStatus();
  }
};
template <class T> using SparseSegmentSum = SparseSegment<Weight::kSum, T>;
template <class T> using SparseSegmentMean = SparseSegment<Weight::kMean, T>;
template <class T> using SparseSegmentSqrtN = SparseSegment<Weight::kSqrtN, T>;

// Each row's gradient is the sum of those of the segments that took it.
template <Weight kWeight, class T> class SparseSegmentGradient : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    const TensorShape shape = ctx.shape(0);
    if (shape.rank() < 1) return invalid_argument("grad must be at least rank 1");
    MR_ASSIGN_OR_RETURN(const std::span<const T> dy, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const Selection s, selection_of(ctx));
    if (ctx.input(3).rank() != 0) return invalid_argument("output_dim0 should be a scalar.");
    MR_ASSIGN_OR_RETURN(const int32_t rows, ctx.scalar<int32_t>(3));
    MR_ASSIGN_OR_RETURN(const TensorShape out_shape, with_dim(shape, 0, rows));
    if (!s.segments.empty() && s.segments.back() >= shape.dim(0)) return invalid_argument("Invalid number of segments");
    std::vector<int64_t> counts(s.segments.empty() ? 0 : static_cast<size_t>(shape.dim(0)), 0);
    for (const int64_t segment : s.segments) {
      int64_t at = 0;
      if (!read_bounded(&segment, shape.dim(0), &at))
        return invalid_argument("Segment id ", at, " out of range [0, ", shape.dim(0), ").");
      ++counts[static_cast<size_t>(at)];
    }
    const int64_t width = shape.dim(0) > 0 ? shape.num_elements() / shape.dim(0) : 0;
    MR_ASSIGN_OR_RETURN(const std::span<T> out, ctx.output<T>(0, out_shape));
    std::vector<Sum<T>> sums(out.size(), Sum<T>(0));
    for (size_t i = 0; i < s.rows.size(); ++i) {
      int64_t row = 0;
      if (!read_bounded(&s.rows[i], rows, &row))
        return invalid_argument("Index ", row, " out of range [0, ", rows, ").");
      const auto by = static_cast<Sum<T>>(divisor(kWeight, counts[static_cast<size_t>(s.segments[i])]));
      for (int64_t k = 0; k < width; ++k) {
        sums[static_cast<size_t>(row * width + k)] +=
            static_cast<Sum<T>>(dy[static_cast<size_t>(s.segments[i] * width + k)]) / by;
      }
    }
    for (size_t i = 0; i < out.size(); ++i) out[i] = T(sums[i]);
    return absl::OkStatus();
  }
};
template <class T> using SparseSegmentSumGrad = SparseSegmentGradient<Weight::kSum, T>;
template <class T> using SparseSegmentMeanGrad = SparseSegmentGradient<Weight::kMean, T>;
template <class T> using SparseSegmentSqrtNGrad = SparseSegmentGradient<Weight::kSqrtN, T>;

absl::Status sparse_segment_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape data, c.with_rank_at_least(0, 1));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape indices, c.with_rank(1, 1));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape segments, c.with_rank(2, 1));
  if (const auto merged = merge_dim(indices.dim(0), segments.dim(0)); !merged.ok())
    return c.set_output(0, merged.status());
  if (!data.has_rank()) return absl::OkStatus();
  std::vector<int64_t> dims = to_dims(data);
  dims[0] = -1;
  if (c.num_inputs() > 3) {
    MR_RETURN_IF_ERROR(c.with_rank(3, 0).status());
    MR_ASSIGN_OR_RETURN(const auto rows, known_int(c, 3));
    if (rows && *rows < 0) return c.set_output(0, invalid_argument("Cannot specify a negative value for num_segments"));
    dims[0] = rows.value_or(-1);
  }
  return c.set_output(0, make_partial_shape(dims));
}

absl::Status sparse_segment_gradient(GradientContext& g) {
  const Output dy = g.dy(0);
  const Output shape = shape_of(g, g.x(0));
  Output rows;
  {
    const auto scope = g.name_scope("strided_slice");
    const Output begin = int_list(g, {0}, "stack");
    const Output end = int_list(g, {1}, "stack_1");
    const Output strides = int_list(g, {1}, "stack_2");
    rows = g.op("StridedSlice", {shape, begin, end, strides}, {{"shrink_axis_mask", int64_t{1}}}, "/");
  }
  std::string type = g.node().op;
  if (const size_t at = type.find("WithNumSegments"); at != std::string::npos) type.resize(at);
  g.set_dx(0, g.op(type + "Grad", {dy, g.x(1), g.x(2), rows}));
  return absl::OkStatus();
}

OpBuilder sparse_segment_op(Registry& registry, const std::string& name, bool real) {
  OpBuilder op = registry.op(name);
  const bool sized = name.ends_with("WithNumSegments");
  op.input("data: T").input("indices: Tidx").input("segment_ids: Tsegmentids");
  if (sized) op.input("num_segments: Tnumsegments");
  op.output("output: T")
      .attr(real ? "T: realnumbertype" : "T: {bfloat16, half, float, double}")
      .attr("Tidx: {int32, int64} = DT_INT32");
  if (sized) op.attr("Tnumsegments: {int32, int64} = DT_INT32");
  op.attr("Tsegmentids: {int32, int64} = DT_INT32").attr("sparse_gradient: bool = false");
  op.shape(sparse_segment_shape).gradient(sparse_segment_gradient).doc("Segments of gathered rows, summed and scaled.");
  return op;
}

OpBuilder sparse_segment_grad_op(Registry& registry, const char* name) {
  OpBuilder op = registry.op(name);
  op.input("grad: T")
      .input("indices: Tidx")
      .input("segment_ids: Tsegmentids")
      .input("output_dim0: int32")
      .output("output: T");
  op.attr("T: {bfloat16, half, float, double}")
      .attr("Tidx: {int32, int64} = DT_INT32")
      .attr("Tsegmentids: {int32, int64} = DT_INT32");
  op.shape(sparse_segment_shape).doc("The gradient of a sparse segment reduction with respect to its data.");
  return op;
}

}  // namespace

void register_sparse_segment(Registry& registry) {
  for (const char* suffix : {"", "WithNumSegments"}) {
    sparse_segment_op(registry, std::string("SparseSegmentSum") + suffix, true).cpu_for<SparseSegmentSum>(RealTypes());
    sparse_segment_op(registry, std::string("SparseSegmentMean") + suffix, false)
        .cpu_for<SparseSegmentMean>(FloatTypes());
    sparse_segment_op(registry, std::string("SparseSegmentSqrtN") + suffix, false)
        .cpu_for<SparseSegmentSqrtN>(FloatTypes());
  }
  sparse_segment_grad_op(registry, "SparseSegmentSumGrad").cpu_for<SparseSegmentSumGrad>(FloatTypes());
  sparse_segment_grad_op(registry, "SparseSegmentMeanGrad").cpu_for<SparseSegmentMeanGrad>(FloatTypes());
  sparse_segment_grad_op(registry, "SparseSegmentSqrtNGrad").cpu_for<SparseSegmentSqrtNGrad>(FloatTypes());
}

}  // namespace millrace
