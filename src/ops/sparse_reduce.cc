// Sums and maxima of a sparse tensor over some of its dimensions, as a dense or as a sparse tensor. Only entries count:
// a maximum does not see the zeros between them.

#include <algorithm>
#include <map>

#include "kernels/number.h"
#include "op/gradient_context.h"
#include "ops/gradient_ops.h"
#include "ops/sparse_tensor.h"

namespace millrace {
namespace {

struct Groups {
  std::vector<int64_t> kept;  // dimensions that stay, ascending
  std::vector<int64_t> dims;  // of the result
};

absl::StatusOr<Groups> groups_of(const KernelContext& ctx, const SparseTensor& sparse, bool keep_dims) {
  const int64_t rank = sparse.rank();
  MR_ASSIGN_OR_RETURN(const auto axes, ctx.flat<int32_t>(3));
  std::vector<bool> reduced(sparse.dims.size());
  for (const int32_t axis : axes) {
    if (axis < -rank || axis >= rank)
      return invalid_argument("Invalid reduction dimension ", axis, ", for input with ", rank, " dimensions.");
    reduced[static_cast<size_t>(axis < 0 ? axis + rank : axis)] = true;
  }
  Groups groups;
  for (size_t d = 0; d < reduced.size(); ++d) {
    if (!reduced[d]) groups.kept.push_back(static_cast<int64_t>(d));
    if (!reduced[d] || keep_dims) groups.dims.push_back(reduced[d] ? 1 : sparse.dims[d]);
  }
  return groups;
}

template <class Fn, class T, bool kSparse> class SparseReduce final : public Kernel {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(keep_dims_, init.attr<bool>("keep_dims"));
    return absl::OkStatus();
  }

  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const SparseTensor sparse, sparse_input(ctx, 0, 1, 2));
    MR_RETURN_IF_ERROR(check_indices(sparse, false));
    MR_ASSIGN_OR_RETURN(const Groups groups, groups_of(ctx, sparse, keep_dims_));
    const auto x = sparse.values.unchecked<T>();
    std::map<std::vector<int64_t>, T> results;  // by the dimensions that stay, in row-major order
    std::vector<int64_t> key(groups.kept.size());
    for (int64_t i = 0; i < sparse.size(); ++i) {
      std::ranges::transform(groups.kept, key.begin(), [&](int64_t d) { return sparse.index(i)[d]; });
      const T& value = x[static_cast<size_t>(i)];
      const auto [at, is_new] = results.try_emplace(key, value);
      if (!is_new) at->second = Fn::apply(at->second, value);
    }
    if constexpr (kSparse) return output_sparse(ctx, sparse, groups, results);
    else return output_dense(ctx, sparse, groups, results);
  }

  using Results = std::map<std::vector<int64_t>, T>;

  static absl::Status output_dense(KernelContext& ctx, const SparseTensor& sparse, const Groups& groups,
                                   const Results& results) {
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape(groups.dims));
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<T>(0, shape));
    std::ranges::fill(out, number<T>(0));
    for (const auto& [key, value] : results) {
      int64_t at = 0;
      for (size_t k = 0; k < key.size(); ++k) at = at * sparse.dims[static_cast<size_t>(groups.kept[k])] + key[k];
      out[static_cast<size_t>(at)] = value;
    }
    return absl::OkStatus();
  }

  absl::Status output_sparse(KernelContext& ctx, const SparseTensor&, const Groups& groups,
                             const Results& results) const {
    const auto n = static_cast<int64_t>(results.size()), rank = static_cast<int64_t>(groups.dims.size());
    MR_ASSIGN_OR_RETURN(const TensorShape indices_shape, make_shape({n, rank}));
    MR_ASSIGN_OR_RETURN(const TensorShape values_shape, make_shape({n}));
    MR_ASSIGN_OR_RETURN(const auto indices, ctx.output<int64_t>(0, indices_shape));
    MR_ASSIGN_OR_RETURN(const auto values, ctx.output<T>(1, values_shape));
    std::ranges::fill(indices, int64_t{0});
    size_t i = 0;
    for (const auto& [key, value] : results) {
      for (size_t k = 0; k < key.size(); ++k) {
        const size_t column = keep_dims_ ? static_cast<size_t>(groups.kept[k]) : k;
        indices[i * static_cast<size_t>(rank) + column] = key[k];
      }
      values[i++] = value;
    }
    MR_ASSIGN_OR_RETURN(Tensor dims, make_vector<int64_t>(groups.dims));
    return ctx.set_output(2, std::move(dims));
  }

  bool keep_dims_ = false;
};
template <class T> using ReduceSum = SparseReduce<Add, T, false>;
template <class T> using ReduceMax = SparseReduce<Maximum, T, false>;
template <class T> using ReduceSumSparse = SparseReduce<Add, T, true>;
template <class T> using ReduceMaxSparse = SparseReduce<Maximum, T, true>;

// --- shapes

absl::Status dense_result_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const bool keep_dims, c.attr<bool>("keep_dims"));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape dense, c.as_shape(2));
  MR_ASSIGN_OR_RETURN(const auto axes, c.int_values(3));
  if (!dense.has_rank()) return unknown_shapes(c);
  if (!axes) return c.set_output(0, keep_dims ? unknown_shape_of_rank(dense.rank()) : PartialTensorShape());
  std::vector<bool> reduced(static_cast<size_t>(dense.rank()));
  for (const int64_t axis : *axes) {
    if (axis < -dense.rank() || axis >= dense.rank())
      return invalid_argument("Invalid reduction dimension ", axis, " for input with ", dense.rank(), " dimensions.");
    reduced[static_cast<size_t>(axis < 0 ? axis + dense.rank() : axis)] = true;
  }
  std::vector<int64_t> dims;
  for (int d = 0; d < dense.rank(); ++d) {
    const bool gone = reduced[static_cast<size_t>(d)];
    if (!gone || keep_dims) dims.push_back(gone ? 1 : dense.dim(d));
  }
  return c.set_output(0, make_partial_shape(dims));
}

absl::Status sparse_result_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(check_sparse_shapes(c, 0, 1, 2).status());
  return set_sparse_outputs(c, 0, -1);
}

// --- gradients

// dx: at each entry the gradient of the result that it went into.
absl::Status reduce_sum_gradient(GradientContext& g) {
  const Output dy = g.dy(0), shape = g.x(2);
  // math_ops.reduced_shape: the shape with ones at the axes.
  const Output axes = g.x(3);
  const Output narrow = g.op("Cast", {shape}, {{"DstT", DataType::kInt32}}, "Cast");
  const Output rank = size_of(g, narrow);
  const Output wrapped = g.op("FloorMod", {g.op("AddV2", {axes, rank}, {}, "add"), rank}, {}, "mod");
  const Output axes_shape = shape_of(g, wrapped);
  const Output first = g.int32_scalar(0, "range/start"), step = g.int32_scalar(1, "range/delta");
  const Output all = g.op("Range", {first, rank, step}, {}, "range");
  const Output one = g.int32_scalar(1, "ones/Const");
  const Output ones = g.op("Fill", {axes_shape, one}, {}, "ones");
  const std::vector<std::vector<Output>> lists = {{all, wrapped}, {narrow, ones}};
  const std::vector<Output> stitched = g.op_with_lists("DynamicStitch", lists);
  if (stitched.empty()) return absl::OkStatus();
  const Output reshaped = g.op("Reshape", {dy, stitched[0]}, {}, "Reshape");
  const Output wide = g.op("Cast", {stitched[0]}, {{"DstT", DataType::kInt64}}, "Cast");
  const Output scale = g.op("FloorDiv", {shape, wide}, {}, "floordiv");
  const Output places = g.op("FloorDiv", {g.x(0), scale}, {}, "floordiv");
  g.set_dx(1, g.op("GatherNd", {reshaped, places}));
  return absl::OkStatus();
}

OpBuilder reduce_op(Registry& registry, const char* name, bool sparse, const char* types) {
  OpBuilder op = registry.op(name)
                     .input("input_indices: int64")
                     .input("input_values: T")
                     .input("input_shape: int64")
                     .input("reduction_axes: int32");
  if (sparse) op.output("output_indices: int64").output("output_values: T").output("output_shape: int64");
  else op.output("output: T");
  return op.attr("keep_dims: bool = false")
      .attr(types)
      .shape(sparse ? sparse_result_shape : dense_result_shape)
      .doc("The entries of a sparse tensor reduced over some dimensions.");
}

}  // namespace

void register_sparse_reduce(Registry& registry) {
  reduce_op(registry, "SparseReduceSum", false, "T: numbertype")
      .cpu_for<ReduceSum>(NumberTypes())
      .gradient(reduce_sum_gradient);
  reduce_op(registry, "SparseReduceSumSparse", true, "T: numbertype")
      .cpu_for<ReduceSumSparse>(NumberTypes())
      .not_differentiable();
  reduce_op(registry, "SparseReduceMax", false, "T: realnumbertype")
      .cpu_for<ReduceMax>(RealTypes())
      .not_differentiable();
  reduce_op(registry, "SparseReduceMaxSparse", true, "T: realnumbertype")
      .cpu_for<ReduceMaxSparse>(RealTypes())
      .not_differentiable();
}

}  // namespace millrace
