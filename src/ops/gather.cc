// Elements picked by index: Gather, GatherV2, GatherNd; and OneHot.

#include "kernels/gather.h"

#include "op/gradient_context.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/array_shapes.h"
#include "ops/gradient_ops.h"
#include "ops/index_text.h"

namespace millrace {
namespace {

// Calls fn with the elements of an index input, whatever its width.
template <class Fn> absl::Status with_indices(KernelContext& ctx, int i, Fn&& fn) {
  switch (ctx.input(i).dtype()) {
    case DataType::kInt16: return fn(ctx.input(i).unchecked<int16_t>());
    case DataType::kUint16: return fn(ctx.input(i).unchecked<uint16_t>());
    case DataType::kInt32: return fn(ctx.input(i).unchecked<int32_t>());
    case DataType::kInt64: return fn(ctx.input(i).unchecked<int64_t>());
    case DataType::kUint8: return fn(ctx.input(i).unchecked<uint8_t>());
    case DataType::kInt8: return fn(ctx.input(i).unchecked<int8_t>());
    default: return invalid_argument("indices must be integers, got ", dtype_name(ctx.input(i).dtype()));
  }
}

// ---- Gather, GatherV2

absl::StatusOr<PartialTensorShape> gathered_shape(const PartialTensorShape& params, const PartialTensorShape& indices,
                                                  int64_t axis, int64_t batch_dims) {
  std::vector<int64_t> dims;
  for (int64_t d = 0; d < axis; ++d) {
    const int64_t size = params.dim(static_cast<int>(d));
    if (d < batch_dims) MR_RETURN_IF_ERROR(merge_dim(size, indices.dim(static_cast<int>(d))).status());
    dims.push_back(size);  // as TensorFlow: the indices' batch sizes are checked, not taken
  }
  for (int64_t d = batch_dims; d < indices.rank(); ++d) dims.push_back(indices.dim(static_cast<int>(d)));
  for (int64_t d = axis + 1; d < params.rank(); ++d) dims.push_back(params.dim(static_cast<int>(d)));
  return make_partial_shape(dims);
}

absl::Status gather_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape params, c.with_rank_at_least(0, 1));
  const PartialTensorShape& indices = c.input(1);
  if (!params.has_rank() || !indices.has_rank()) return absl::OkStatus();
  return c.set_output(0, gathered_shape(params, indices, 0, 0));
}

// An element or elements of a shape.
void gather_partial_value(ShapeContext& c, int64_t axis) {
  if (axis != 0 || c.input(0).rank() != 1 || c.input(1).rank() > 1) return;
  const auto value = known_partial(c, 0);
  const auto indices = c.value(1) != nullptr && c.value(1)->dtype() == DataType::kInt16
                           ? std::nullopt
                           : known_ints(c, 1).value_or(std::nullopt);
  if (!value || !value->is_fully_defined() || !indices) return;
  std::vector<int64_t> picked;
  for (const int64_t i : *indices) {
    if (i < 0 || i >= value->rank()) return;
    picked.push_back(value->dim(static_cast<int>(i)));
  }
  if (auto shape = make_partial_shape(picked); shape.ok()) c.set_partial_value(0, *shape);
}

absl::Status gather_v2_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape params, c.with_rank_at_least(0, 1));
  const PartialTensorShape& indices = c.input(1);
  MR_RETURN_IF_ERROR(c.with_rank(2, 0).status());
  MR_ASSIGN_OR_RETURN(int64_t batch_dims, c.attr<int64_t>("batch_dims"));
  if (indices.has_rank()) {
    if (batch_dims < -indices.rank() || batch_dims > indices.rank()) {
      return c.set_output(0, invalid_argument("Expected batch_dims in the range [", -indices.rank(), ", ",
                                              indices.rank(), "], but got ", batch_dims));
    }
    if (batch_dims < 0) batch_dims += indices.rank();
  }
  MR_ASSIGN_OR_RETURN(std::optional<int64_t> axis, known_int(c, 2));
  if (!params.has_rank()) return absl::OkStatus();
  if (batch_dims > params.rank()) {
    return c.set_output(
        0, invalid_argument("batch_dims (", batch_dims, ") must be less than rank(params) (", params.rank(), ")."));
  }
  if (!axis) {
    return indices.has_rank() ? c.set_output(0, unknown_shape_of_rank(static_cast<int>(std::min<int64_t>(
                                                    params.rank() + indices.rank() - 1 - batch_dims, Dims::kMaxRank))))
                              : absl::OkStatus();
  }
  if (*axis < -params.rank() || *axis >= params.rank()) {
    return c.set_output(
        0, invalid_argument("Expected axis in the range [", -params.rank(), ", ", params.rank(), "), but got ", *axis));
  }
  if (*axis < 0) *axis += params.rank();
  if (!indices.has_rank()) return absl::OkStatus();
  if (batch_dims > *axis) {
    return c.set_output(
        0, invalid_argument("batch_dims (", batch_dims, ") must be less than or equal to axis (", *axis, ")."));
  }
  gather_partial_value(c, *axis);
  return c.set_output(0, gathered_shape(params, indices, *axis, batch_dims));
}

absl::Status gather(KernelContext& ctx, int64_t axis, int64_t batch_dims) {
  const Tensor params = ctx.input(0);
  const TensorShape indices = ctx.shape(1);
  if (params.rank() < 1) return invalid_argument("params must be at least 1 dimensional");
  if (axis < -params.rank() || axis >= params.rank()) {
    return invalid_argument("Expected axis in the range [", -params.rank(), ", ", params.rank(), "), but got ", axis);
  }
  if (axis < 0) axis += params.rank();
  if (batch_dims < -indices.rank() || batch_dims > indices.rank()) {
    return invalid_argument("Expected batch_dims in the range [", -indices.rank(), ", ", indices.rank(), "], but got ",
                            batch_dims);
  }
  if (batch_dims < 0) batch_dims += indices.rank();
  if (batch_dims > axis)
    return invalid_argument("batch_dims (", batch_dims, ") must be less than or equal to axis (", axis, ").");
  GatherSizes sizes{1, 1, params.dim(static_cast<int>(axis)), 1, 1};
  for (int d = 0; d < params.rank(); ++d) {
    if (d < batch_dims) {
      if (params.dim(d) != indices.dim(d)) {
        return invalid_argument("params.shape[", d, "]: ", params.dim(d), " should be equal to indices.shape[", d,
                                "]: ", indices.dim(d));
      }
      sizes.batch *= params.dim(d);
    } else if (d < axis) {
      sizes.outer *= params.dim(d);
    } else if (d > axis) {
      sizes.inner *= params.dim(d);
    }
  }
  for (int d = static_cast<int>(batch_dims); d < indices.rank(); ++d) sizes.count *= indices.dim(d);
  MR_ASSIGN_OR_RETURN(const PartialTensorShape partial, gathered_shape(params.shape(), indices, axis, batch_dims));
  MR_ASSIGN_OR_RETURN(const TensorShape shape, as_tensor_shape(partial));
  MR_ASSIGN_OR_RETURN(Tensor * out, ctx.allocate_output(0, shape));
  if (shape.num_elements() == 0) return absl::OkStatus();
  return with_indices(ctx, 1, [&]<class I>(std::span<const I> index) {
    return with_storage(params.dtype(), [&]<class S>(std::type_identity<S>) -> absl::Status {
      const int64_t bad = gather_rows(sizes, static_cast<const S*>(params.raw_data()), index.data(),
                                      static_cast<S*>(out->raw_mutable_data()));
      if (bad < 0) return absl::OkStatus();
      return invalid_argument("indices", position_text(indices, bad), " = ",
                              static_cast<int64_t>(index[static_cast<size_t>(bad)]), " is not in [0, ", sizes.limit,
                              ")");
    });
  });
}

class Gather final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override { return gather(ctx, 0, 0); }
};

class GatherV2 final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(batch_dims_, init.attr<int64_t>("batch_dims"));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    if (ctx.input(2).rank() != 0) return invalid_argument("axis must be scalar");
    MR_ASSIGN_OR_RETURN(const int64_t axis, ctx.int_scalar(2));
    return gather(ctx, axis, batch_dims_);
  }

 private:
  int64_t batch_dims_ = 0;
};

// Sizes of the parameters, computed where they live: the tensor itself may be large.
Output params_shape_of(GradientContext& g, DataType dtype = DataType::kInt32) {
  const auto where = g.colocate_with(g.x(0));
  return shape_of(g, g.x(0), dtype);
}

Output expanded_size(GradientContext& g, const Output& indices) {
  return op_with_literal(g, "ExpandDims", size_of(g, indices), Tensor(0), "dim", "ExpandDims");
}

// Gathers along axis 0 have sparse gradients: dy's rows and their indices.
void set_sparse_gradient(GradientContext& g, const Output& params_shape, const Output& size) {
  const Output dy = g.dy(0);
  const Output tail = slice_vector(g, params_shape, {.has_end = false, .begin = 1});
  const Output values_shape = concat(g, {size, tail}, 0);
  const Output values = g.op("Reshape", {dy, values_shape});
  const Output indices = g.op("Reshape", {g.x(1), size});
  g.set_dx(0, IndexedSlices{values, indices, params_shape});
}

absl::Status gather_gradient(GradientContext& g) {
  const Output shape = params_shape_of(g);
  set_sparse_gradient(g, shape, expanded_size(g, g.x(1)));
  return absl::OkStatus();
}

// x[begin:end] of a vector where a bound is a tensor.
Output slice_by_tensor(GradientContext& g, const Output& x, const Output& axis, bool up_to) {
  const DataType dtype = g.dtype(axis);
  const auto scalar = [&](int value) {
    return g.constant(dtype == DataType::kInt64 ? Tensor(int64_t{value}) : Tensor(value));
  };
  const Output zero = scalar(0);
  const Output one = scalar(1);
  const auto scope = g.name_scope("strided_slice");
  const Output begin = stack(g, {up_to ? zero : axis}, "stack");
  const Output end = stack(g, {up_to ? axis : zero}, "stack_1");
  const Output strides = stack(g, {one}, "stack_2");
  return g.op("StridedSlice", {x, begin, end, strides}, {{"begin_mask", int64_t{up_to}}, {"end_mask", int64_t{!up_to}}},
              "/");
}

Output add_one(GradientContext& g, const Output& x) {
  const auto scope = g.name_scope("add");
  const Output one = g.constant(g.dtype(x) == DataType::kInt64 ? Tensor(int64_t{1}) : Tensor(1), "y");
  return g.op("AddV2", {x, one}, {}, "/");
}

// x[i] of a vector, i a tensor.
Output element_by_tensor(GradientContext& g, const Output& x, const Output& axis) {
  const Output next = add_one(g, axis);
  const auto scope = g.name_scope("strided_slice");
  const Output begin = stack(g, {axis}, "stack");
  const Output end = stack(g, {next}, "stack_1");
  const Output strides = int_list(g, {1}, "stack_2", g.dtype(axis));
  return g.op("StridedSlice", {x, begin, end, strides}, {{"shrink_axis_mask", int64_t{1}}}, "/");
}

Output element(GradientContext& g, const Output& x, int i) {
  const auto scope = g.name_scope("strided_slice");
  const Output begin = int_list(g, {i}, "stack");
  const Output end = int_list(g, {i + 1}, "stack_1");
  const Output strides = int_list(g, {1}, "stack_2");
  return g.op("StridedSlice", {x, begin, end, strides}, {{"shrink_axis_mask", int64_t{1}}}, "/");
}

// tf.range(start, limit); an absent output stands for the number beside it.
Output range(GradientContext& g, const Output& start, int start_value, const Output& limit, int limit_value) {
  const auto scope = g.name_scope("range");
  const Output from = start ? start : g.int32_scalar(start_value, "start");
  const Output to = limit ? limit : g.int32_scalar(limit_value, "limit");
  const Output by = g.int32_scalar(1, "delta");
  return g.op("Range", {from, to, by}, {}, "/");
}

// tf.concat of parts of which some are literals: `literal` stands at the absent one.
Output concat_with(GradientContext& g, std::vector<Output> parts, const std::vector<int64_t>& literal) {
  const auto scope = g.name_scope("concat");
  for (size_t i = 0; i < parts.size(); ++i) {
    if (!parts[i]) parts[i] = int_list(g, literal, str_cat("values_", i));
  }
  const Output axis = g.int32_scalar(0, "axis");
  const std::vector<Output> out = g.op_with_lists("ConcatV2", {parts, {axis}}, {}, "/");
  return out.empty() ? Output() : out[0];
}

Output int_zero_or_one(GradientContext& g, DataType dtype, int value, std::string_view name) {
  return g.constant(dtype == DataType::kInt64 ? Tensor(int64_t{value}) : Tensor(value), name);
}

// Indices of each batch, moved to where that batch lies in the flattened parameters.
Output batch_indices(GradientContext& g, const Output& params_shape, const Output& indices, int64_t batch_dims) {
  const DataType dtype = g.dtype(indices);
  Output sizes = params_shape;
  if (dtype != DataType::kInt32) sizes = g.op("Cast", {params_shape}, {{"DstT", dtype}}, "Cast");
  Output stride = int_zero_or_one(g, dtype, 1, "ones");
  Output result = indices;
  for (int64_t dim = batch_dims; dim > 0; --dim) {
    const Output size = element(g, sizes, static_cast<int>(dim - 1));
    const Output below = element(g, sizes, static_cast<int>(dim));
    stride = g.op("Mul", {stride, below}, {}, "mul");
    const Output zero = int_zero_or_one(g, dtype, 0, "zeros");
    const Output one = int_zero_or_one(g, dtype, 1, "ones");
    const Output counted = g.op("Range", {zero, size, one}, {}, "range");
    const Output offsets = g.op("Mul", {counted, stride}, {}, "mul");
    Output before, after, shape;
    {
      const auto scope = g.name_scope("Tile");
      const Output input = int_list(g, {1}, "input");
      const Output multiples = int_list(g, {dim - 1}, "multiples");
      before = g.op("Tile", {input, multiples}, {}, "/");
    }
    const Output rank = rank_of(g, indices);
    Output left;
    {
      const auto scope = g.name_scope("sub");
      const Output y = g.int32_scalar(static_cast<int32_t>(dim), "y");
      left = g.op("Sub", {rank, y}, {}, "/");
    }
    {
      const auto scope = g.name_scope("Tile");
      const Output input = int_list(g, {1}, "input");
      const Output multiples = stack(g, {left}, "multiples");
      after = g.op("Tile", {input, multiples}, {}, "/");
    }
    {
      const auto scope = g.name_scope("concat");
      const Output middle = stack(g, {size}, "values_1");
      const Output axis = g.int32_scalar(0, "axis");
      const std::vector<Output> out = g.op_with_lists("ConcatV2", {{before, middle, after}, {axis}}, {}, "/");
      if (!out.empty()) shape = out[0];
    }
    const Output shaped = g.op("Reshape", {offsets, shape});
    result = g.op("AddV2", {result, shaped}, {}, "add");
  }
  return result;
}

// The gradient of a gather along the first dimension after the batch ones: a sum over equal indices.
Output batch_gather_gradient(GradientContext& g, const Output& params_shape, Output values, Output indices,
                             int64_t batch_dims, Output size) {
  const Output flat = expanded_size(g, indices);
  Output outer, flat_values_shape;
  if (batch_dims > 0) {
    const Output values_shape = shape_of(g, values);
    outer = slice_vector(g, values_shape, {.has_begin = false, .end = static_cast<int32_t>(batch_dims)});
    const Output rest = slice_vector(g, values_shape, {.has_end = false, .begin = static_cast<int32_t>(batch_dims)});
    const Output inner = slice_vector(g, rest, {.has_end = false, .begin = 1});
    Output batch_size;
    {
      const auto scope = g.name_scope("Prod");
      const Output axes = int_list(g, {0}, "reduction_indices");
      batch_size = g.op("Prod", {outer, axes}, {{"keep_dims", false}}, "/");
    }
    flat_values_shape = concat_with(g, {Output(), inner}, {-1});
    size = g.op("Mul", {size, batch_size}, {}, "mul");
    indices = batch_indices(g, params_shape, indices, batch_dims);
    values = g.op("Reshape", {values, flat_values_shape});
  }
  const Output flat_indices = g.op("Reshape", {indices, flat});
  Output dx = g.op("UnsortedSegmentSum", {values, flat_indices, size});
  if (batch_dims > 0) dx = g.op("Reshape", {dx, concat(g, {outer, flat_values_shape}, 0)});
  return dx;
}

absl::Status gather_v2_gradient(GradientContext& g) {
  MR_ASSIGN_OR_RETURN(int64_t batch_dims, g.attr<int64_t>("batch_dims"));
  const Output indices = g.x(1), axis = g.x(2);
  const Output params_shape = params_shape_of(g);
  const Output size = expanded_size(g, indices);
  if (batch_dims < 0) {
    if (!g.shape(indices).has_rank())
      return invalid_argument("the gradient of a gather with batch_dims < 0 needs indices of known rank");
    batch_dims += g.shape(indices).rank();
  }
  const Tensor* known_axis = g.constant_value(axis);
  const bool is_first = known_axis != nullptr && known_axis->num_elements() == 1 &&
                        (known_axis->dtype() == DataType::kInt64
                             ? known_axis->unchecked<int64_t>()[0] == 0
                             : known_axis->dtype() == DataType::kInt32 && known_axis->unchecked<int32_t>()[0] == 0);
  if (is_first) {
    set_sparse_gradient(g, params_shape, size);
    return absl::OkStatus();
  }
  // The axis is moved to the first place after the batch dimensions, and back at the end.
  const Output dy = g.dy(0);
  const Output outer = slice_by_tensor(g, params_shape, axis, true);
  const Output from_axis = slice_by_tensor(g, params_shape, axis, false);
  const Output inner = slice_vector(g, from_axis, {.has_end = false, .begin = 1});
  const Output values_shape = concat_with(g, {outer, Output(), inner}, {-1});
  const Output values_dims = size_of(g, values_shape);
  const Output axis_dims = size_of(g, outer);
  const auto batch = static_cast<int>(batch_dims);
  const Output batches = range(g, Output(), 0, Output(), batch);
  const Output before = range(g, Output(), batch, axis_dims, 0);
  const Output next = add_one(g, axis_dims);
  const Output after = range(g, next, 0, values_dims, 0);
  const Output values = g.op("Reshape", {dy, values_shape});
  Output forth;
  {
    const auto scope = g.name_scope("concat");
    const Output moved = stack(g, {axis_dims}, "values_1");
    const Output dim = g.int32_scalar(0, "axis");
    const std::vector<Output> out = g.op_with_lists("ConcatV2", {{batches, moved, before, after}, {dim}}, {}, "/");
    if (!out.empty()) forth = out[0];
  }
  const Output moved_values = g.op("Transpose", {values, forth}, {}, "transpose");
  Output moved_shape;
  {
    const auto scope = g.name_scope("GatherV2");
    const Output zero = g.int32_scalar(0, "axis");
    moved_shape = g.op("GatherV2", {params_shape, forth, zero}, {}, "/");
  }
  const Output dim_size = element_by_tensor(g, params_shape, axis);
  const Output summed = batch_gather_gradient(g, moved_shape, moved_values, indices, batch_dims, dim_size);
  const Output shifted = add_one(g, before);
  const Output back = concat_with(g, {batches, shifted, Output(), after}, {batch_dims});
  const Output dx = g.op("Transpose", {summed, back}, {}, "transpose");
  g.set_dx(0, g.op("Reshape", {dx, shape_of(g, g.x(0))}));
  return absl::OkStatus();
}

// ---- GatherNd

absl::Status gather_nd_shape(ShapeContext& c) {
  const PartialTensorShape& params = c.input(0);
  MR_ASSIGN_OR_RETURN(const PartialTensorShape indices, c.with_rank_at_least(1, 1));
  if (!params.has_rank() || !indices.has_rank()) return absl::OkStatus();
  const int64_t depth = indices.dim(indices.rank() - 1);
  if (depth < 0) return absl::OkStatus();
  if (depth > params.rank()) {
    return c.set_output(0, invalid_argument("indices.shape[-1] must be <= params.rank, but saw indices shape: ",
                                            indices, " and params shape: ", params));
  }
  std::vector<int64_t> dims(indices.dims().begin(), indices.dims().end() - 1);
  dims.insert(dims.end(), params.dims().begin() + depth, params.dims().end());
  return c.set_output(0, make_partial_shape(dims));
}

class GatherNd final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(const std::string policy, init.attr<std::string>("bad_indices_policy"));
    if (policy != "" && policy != "DEFAULT" && policy != "ERROR" && policy != "IGNORE") {
      return invalid_argument("Unknown bad indices handling attribute: ", policy);
    }
    ignore_bad_ = policy == "IGNORE";
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    const Tensor params = ctx.input(0);
    const TensorShape indices = ctx.shape(1);
    if (params.rank() < 1) return invalid_argument("params must be at least a vector");
    if (indices.rank() < 1) return invalid_argument("indices must be at least a vector");
    const int64_t depth = indices.dim(indices.rank() - 1);
    if (depth > params.rank())
      return invalid_argument("index innermost dimension length must be <= params rank; saw: ", depth, " vs. ",
                              params.rank());
    std::vector<int64_t> dims(indices.dims().begin(), indices.dims().end() - 1);
    int64_t rows = 1;
    for (const int64_t d : dims) rows *= d;
    const auto outer = params.shape().dims().first(static_cast<size_t>(depth));
    int64_t inner = 1;
    for (int d = static_cast<int>(depth); d < params.rank(); ++d) {
      dims.push_back(params.dim(d));
      inner *= params.dim(d);
    }
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape(dims));
    MR_ASSIGN_OR_RETURN(Tensor * out, ctx.allocate_output(0, shape));
    if (rows == 0) return absl::OkStatus();
    if (params.num_elements() == 0 && shape.num_elements() > 0 && !ignore_bad_) {
      return invalid_argument("Requested more than 0 entries, but params is empty.  Params shape: ", params.shape());
    }
    return with_indices(ctx, 1, [&]<class I>(std::span<const I> index) {
      return with_storage(params.dtype(), [&]<class S>(std::type_identity<S>) -> absl::Status {
        const S* src = static_cast<const S*>(params.raw_data());
        S* dst = static_cast<S*>(out->raw_mutable_data());
        std::atomic<int64_t> bad{-1};
        parallel_for(rows, 4.0 + static_cast<double>(depth) + static_cast<double>(inner) * sizeof(S) / 16.0,
                     [&](int64_t begin, int64_t end) {
                       for (int64_t row = begin; row < end; ++row) {
                         const int64_t position = nd_position(index.data() + row * depth, outer);
                         if (position >= 0) {
                           copy_run(src + position * inner, dst + row * inner, inner);
                           continue;
                         }
                         bad.store(row, std::memory_order_relaxed);
                         fill_zero(dst + row * inner, inner);
                       }
                     });
        const int64_t row = bad.load();
        if (row < 0 || ignore_bad_) return absl::OkStatus();
        std::string components;
        for (int64_t k = 0; k < depth; ++k)
          str_append(&components, k ? ", " : "", static_cast<int64_t>(index[static_cast<size_t>(row * depth + k)]));
        return invalid_argument("indices", position_text(subshape(indices, 0, indices.rank() - 1), row), " = [",
                                components, "] does not index into param shape ", params.shape(),
                                ", node name: ", ctx.node().name);
      });
    });
  }

 private:
  bool ignore_bad_ = false;
};

// Sparse where the indices have one component, else dy scattered into zeros.
absl::Status gather_nd_gradient(GradientContext& g) {
  const Output ref = g.x(0), indices = g.x(1);
  const Output dy = g.dy(0);
  const Output shape = shape_of(g, ref, g.dtype(indices));
  const PartialTensorShape index_shape = g.shape(indices);
  if (index_shape.rank() == 2 && index_shape.dim(1) == 1) {
    const Output flat = g.op("Squeeze", {indices}, {{"squeeze_dims", std::vector<int64_t>{-1}}});
    g.set_dx(0, IndexedSlices{dy, flat, shape});
    return absl::OkStatus();
  }
  g.set_dx(0, g.op("ScatterNd", {indices, dy, shape}));
  return absl::OkStatus();
}

// ---- OneHot

absl::Status one_hot_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(1, 0).status());
  MR_RETURN_IF_ERROR(c.with_rank(2, 0).status());
  MR_RETURN_IF_ERROR(c.with_rank(3, 0).status());
  MR_ASSIGN_OR_RETURN(const int64_t axis, c.attr<int64_t>("axis"));
  if (axis < -1) return c.set_output(0, invalid_argument("axis must be >= -1"));
  MR_ASSIGN_OR_RETURN(const std::optional<int64_t> depth, known_int(c, 1));
  if (depth && *depth < 0) return c.set_output(0, invalid_argument("depth must be non-negative, got: ", *depth));
  const PartialTensorShape& indices = c.input(0);
  if (!indices.has_rank()) return absl::OkStatus();
  if (axis > indices.rank())
    return c.set_output(
        0, invalid_argument("Expected axis to be -1 or between [0, ", indices.rank() + 1, ").  But received: ", axis));
  std::vector<int64_t> dims = to_dims(indices);
  dims.insert(axis < 0 ? dims.end() : dims.begin() + axis, depth.value_or(-1));
  return c.set_output(0, make_partial_shape(dims));
}

class OneHot final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(axis_, init.attr<int64_t>("axis"));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    const TensorShape indices = ctx.shape(0);
    const int64_t axis = axis_ < 0 ? indices.rank() : axis_;
    if (axis_ < -1 || axis > indices.rank()) {
      return invalid_argument("Expected axis to be -1 or between [0, ", indices.rank() + 1,
                              ").  But received: ", axis_);
    }
    MR_ASSIGN_OR_RETURN(const int32_t depth, ctx.scalar<int32_t>(1));
    if (depth < 0) return invalid_argument("depth must be non-negative, got: ", depth);
    if (ctx.input(2).rank() != 0) return invalid_argument("on_value must be a scalar, but got: ", ctx.shape(2));
    if (ctx.input(3).rank() != 0) return invalid_argument("off_value must be a scalar, but got: ", ctx.shape(3));
    MR_ASSIGN_OR_RETURN(const TensorShape shape, insert_dim(indices, static_cast<int>(axis), depth));
    MR_ASSIGN_OR_RETURN(Tensor * out, ctx.allocate_output(0, shape));
    if (shape.num_elements() == 0) return absl::OkStatus();
    int64_t inner = 1;
    for (int d = static_cast<int>(axis); d < indices.rank(); ++d) inner *= indices.dim(d);
    const int64_t outer = indices.num_elements() / inner;
    return with_indices(ctx, 0, [&]<class I>(std::span<const I> index) {
      return with_storage(out->dtype(), [&]<class S>(std::type_identity<S>) {
        const S on = *static_cast<const S*>(ctx.input(2).raw_data());
        const S off = *static_cast<const S*>(ctx.input(3).raw_data());
        S* dst = static_cast<S*>(out->raw_mutable_data());
        parallel_for(outer, 1.0 + 0.5 * static_cast<double>(depth) * static_cast<double>(inner),
                     [&](int64_t begin, int64_t end) {
                       std::fill(dst + begin * depth * inner, dst + end * depth * inner, off);
                       for (int64_t o = begin; o < end; ++o) {
                         for (int64_t i = 0; i < inner; ++i) {
                           int64_t hot = 0;  // an index outside the depth leaves all elements off
                           if (read_bounded(&index[static_cast<size_t>(o * inner + i)], depth, &hot))
                             dst[(o * depth + hot) * inner + i] = on;
                         }
                       }
                     });
        return absl::OkStatus();
      });
    });
  }

 private:
  int64_t axis_ = -1;
};

}  // namespace

void register_gather(Registry& registry) {
  registry.op("Gather")
      .input("params: Tparams")
      .input("indices: Tindices")
      .output("output: Tparams")
      .attr("validate_indices: bool = true")
      .attr("Tparams: type")
      .attr("Tindices: {int32, int64}")
      .shape(gather_shape)
      .cpu<Gather>()
      .gradient(gather_gradient)
      .doc("Rows of params by index.");
  registry.op("GatherV2")
      .input("params: Tparams")
      .input("indices: Tindices")
      .input("axis: Taxis")
      .output("output: Tparams")
      .attr("batch_dims: int = 0")
      .attr("Tparams: type")
      .attr("Tindices: {int16, int32, int64}")
      .attr("Taxis: {int32, int64}")
      .shape(gather_v2_shape)
      .cpu<GatherV2>()
      .gradient(gather_v2_gradient)
      .doc("Slices of params along an axis, by index.");
  registry.op("GatherNd")
      .input("params: Tparams")
      .input("indices: Tindices")
      .output("output: Tparams")
      .attr("Tparams: type")
      .attr("Tindices: {int16, int32, int64}")
      .attr("bad_indices_policy: string = ''")
      .shape(gather_nd_shape)
      .cpu<GatherNd>()
      .gradient(gather_nd_gradient)
      .doc("Slices of params by indices of several components.");
  registry.op("OneHot")
      .input("indices: TI")
      .input("depth: int32")
      .input("on_value: T")
      .input("off_value: T")
      .output("output: T")
      .attr("axis: int = -1")
      .attr("T: type")
      .attr("TI: {uint8, int8, int32, int64} = DT_INT64")
      .shape(one_hot_shape)
      .cpu<OneHot>()
      .not_differentiable()
      .doc("on_value at each index along a new axis, off_value elsewhere.");
}

}  // namespace millrace
