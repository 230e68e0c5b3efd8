#include "ops/gradient_algebra.h"

#include <algorithm>

#include "ops/gradient_ops.h"
#include "ops/math_gradients.h"
#include "tensor/tensor.h"

namespace millrace {

Output GradientAlgebra::scalar(DataType dtype, double value) { return gradients::scalar(g_, dtype, value); }
Output GradientAlgebra::scaled(const Output& a, double factor) { return gradients::mul(g_, factor, a); }
Output GradientAlgebra::conj(const Output& a) { return gradients::conj(g_, a); }
Output GradientAlgebra::cast(const Output& a, DataType dtype) { return gradients::cast(g_, a, dtype); }

Output GradientAlgebra::matmul(const Output& a, const Output& b, Adjoint adjoint) {
  return matmul(a, b, adjoint == Adjoint::kA, adjoint == Adjoint::kB);
}

Output GradientAlgebra::matmul(const Output& a, const Output& b, bool adjoint_a, bool adjoint_b) {
  const PartialTensorShape sa = g_.shape(a), sb = g_.shape(b);
  if (!sa.has_rank() || sa.rank() != 2 || !sb.has_rank() || sb.rank() != 2)
    return g_.op("BatchMatMulV2", {a, b}, {{"adj_x", adjoint_a}, {"adj_y", adjoint_b}}, "MatMul");
  const Output left = adjoint_a ? conj(a) : a, right = adjoint_b ? conj(b) : b;
  return g_.op("MatMul", {left, right}, {{"transpose_a", adjoint_a}, {"transpose_b", adjoint_b}});
}

Output GradientAlgebra::transposed(const Output& a) {
  const auto scope = g_.name_scope("matrix_transpose");
  const PartialTensorShape shape = g_.shape(a);
  if (shape.has_rank()) {
    std::vector<int64_t> order;
    for (int i = 0; i < shape.rank(); ++i) order.push_back(i);
    if (order.size() >= 2) std::swap(order[order.size() - 1], order[order.size() - 2]);
    return g_.op("Transpose", {a, int_list(g_, order, "transpose/perm")}, {}, "transpose");
  }
  const Output rank = g_.op("Rank", {a});
  const Output last = sub(rank, g_.int32_scalar(1)), before = sub(rank, g_.int32_scalar(2));
  const Output outer = g_.op("Range", {g_.int32_scalar(0), before, g_.int32_scalar(1)});
  const Output order = concat(g_, {outer, expand(last, 0), expand(before, 0)}, 0);
  return g_.op("Transpose", {a, order}, {}, "transpose");
}

Output GradientAlgebra::band(const Output& a, int64_t lower, int64_t upper) {
  return g_.op("MatrixBandPart", {a, g_.constant(Tensor(lower)), g_.constant(Tensor(upper))});
}

Output GradientAlgebra::diag(const Output& a) { return g_.op("MatrixDiag", {a}); }
Output GradientAlgebra::diag_part(const Output& a) { return g_.op("MatrixDiagPart", {a}); }
Output GradientAlgebra::with_diag(const Output& a, const Output& diagonal) {
  return g_.op("MatrixSetDiag", {a, diagonal});
}
Output GradientAlgebra::identity_like(const Output& a) {
  return diag(g_.op("OnesLike", {diag_part(a)}, {}, "ones_like"));
}

Output GradientAlgebra::expand(const Output& a, int32_t axis) {
  return g_.op("ExpandDims", {a, g_.int32_scalar(axis, "ExpandDims/dim")});
}
Output GradientAlgebra::sum(const Output& a, int32_t axis) {
  return g_.op("Sum", {a, g_.int32_scalar(axis, "Sum/reduction_indices")});
}

Output GradientAlgebra::slice_last(const Output& a, const std::vector<Range>& ranges) {
  const auto scope = g_.name_scope("strided_slice");
  std::vector<int64_t> begin = {0}, end = {0}, strides = {1};
  int64_t end_mask = 0;
  for (const Range& range : ranges) {
    if (range.to_end) end_mask |= int64_t{1} << begin.size();
    begin.push_back(range.begin);
    end.push_back(range.end);
    strides.push_back(1);
  }
  return g_.op("StridedSlice",
               {a, int_list(g_, begin, "stack"), int_list(g_, end, "stack_1"), int_list(g_, strides, "stack_2")},
               {{"ellipsis_mask", int64_t{1}}, {"end_mask", end_mask}}, "/");
}

Output GradientAlgebra::pad_last(const Output& a, const std::vector<std::pair<int32_t, int32_t>>& widths) {
  std::vector<int32_t> last;
  for (const auto& [before, behind] : widths) last.insert(last.end(), {before, behind});
  const auto count = static_cast<int64_t>(widths.size());
  const Output widths_of_last = g_.constant(Tensor({count, 2}, last));
  const Output outer = sub(rank_of(g_, a), g_.int32_scalar(static_cast<int32_t>(count)));
  const Output rows = stack(g_, {outer, g_.int32_scalar(2)});
  const Output zeros = g_.op("Fill", {rows, g_.int32_scalar(0)}, {}, "zeros");
  return g_.op("Pad", {a, concat(g_, {zeros, widths_of_last}, 0)});
}

Output GradientAlgebra::pad_to(const Output& a, const Output& like) {
  const PartialTensorShape is = g_.shape(a), wanted = g_.shape(like);
  if (is.is_fully_defined() && wanted.is_fully_defined() && is == wanted) return a;
  const Output missing = sub(shape(like), shape(a));
  const Output before = g_.op("ZerosLike", {missing}, {}, "zeros_like");
  const std::vector<Output> widths = g_.op_with_lists("Pack", {{before, missing}}, {{"axis", int64_t{1}}}, "stack");
  return widths.empty() ? Output() : g_.op("Pad", {a, widths[0]});
}

void GradientAlgebra::unbroadcast_batches(const Output& a, const Output& b, Output& da, Output& db) {
  const PartialTensorShape sa = g_.shape(a), sb = g_.shape(b);
  if (sa.is_fully_defined() && sb.is_fully_defined() &&
      std::ranges::equal(sa.dims().first(static_cast<size_t>(std::max(sa.rank() - 2, 0))),
                         sb.dims().first(static_cast<size_t>(std::max(sb.rank() - 2, 0)))))
    return;
  const Output shape_a = shape(a), shape_b = shape(b);
  const std::vector<Output> axes =
      g_.op_outputs("BroadcastGradientArgs", {slice_vector(g_, shape_a, {.has_begin = false, .end = -2}),
                                              slice_vector(g_, shape_b, {.has_begin = false, .end = -2})});
  if (axes.size() != 2) return;  // the context keeps the error
  da = sum_to_shape(g_, da, axes[0], shape_a, false);
  db = sum_to_shape(g_, db, axes[1], shape_b, false);
}

}  // namespace millrace
