// Joining tensors along an axis and taking them apart: Concat, Pack, Split and their inverses.

#include <algorithm>
#include <limits>

#include "base/checked.h"
#include "kernels/strided_copy.h"
#include "op/gradient_context.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/array_shapes.h"
#include "ops/gradient_ops.h"
#include "ops/strides.h"

namespace millrace {
namespace {

// A tensor seen as rows around an axis: `outer` blocks of `row` contiguous elements (axis and all after it).
struct Rows {
  int64_t outer = 1, row = 1;
};
Rows rows_at(const TensorShape& shape, int axis) {
  Rows r;
  for (int d = 0; d < axis; ++d) r.outer *= shape.dim(d);
  for (int d = axis; d < shape.rank(); ++d) r.row *= shape.dim(d);
  return r;
}

const char* at(const Tensor& t, int64_t element) {
  return static_cast<const char*>(t.raw_data()) + element * static_cast<int64_t>(dtype_size(t.dtype()));
}
char* at(Tensor& t, int64_t element) {
  return static_cast<char*>(t.raw_mutable_data()) + element * static_cast<int64_t>(dtype_size(t.dtype()));
}

// Copies `outer` rows of `width` elements between places with different distances from row to row.
absl::Status copy_rows(DataType dtype, int64_t outer, int64_t width, const void* src, int64_t src_row, void* dst,
                       int64_t dst_row) {
  const int64_t dims[] = {outer, width};
  const int64_t from[] = {src_row, 1};
  const int64_t to[] = {dst_row, 1};
  return strided_copy(dtype, dims, src, from, dst, to);
}

// A part of a tensor along its first axis may share the buffer if it starts on a cache line.
bool can_share(const Tensor& t, int64_t first_element) {
  return is_pod(t.dtype()) &&
         (first_element * static_cast<int64_t>(dtype_size(t.dtype()))) % static_cast<int64_t>(kTensorAlignment) == 0;
}

// ---- Concat

// Inputs [first, first + n) are the values, input `dim` the axis.
absl::Status concat_shape_of(ShapeContext& c, int first, int n, int dim) {
  MR_ASSIGN_OR_RETURN(const std::optional<int64_t> axis, known_int(c, dim));
  if (c.input(dim).rank() > 0 && c.input(dim).num_elements() != 1) {
    return c.set_output(0, invalid_argument("Shape must be rank 0 but is rank ", c.input(dim).rank()));
  }
  int rank = -1;
  for (int i = first; i < first + n; ++i) {
    const PartialTensorShape& shape = c.input(i);
    if (!shape.has_rank()) continue;
    if (rank >= 0 && rank != shape.rank()) {
      return c.set_output(0, invalid_argument("Shapes must be equal rank, but are ", rank, " and ", shape.rank()));
    }
    rank = shape.rank();
  }
  if (rank < 0) return absl::OkStatus();
  if (rank == 0) return c.set_output(0, invalid_argument("Can't concatenate scalars (use tf.stack instead)"));
  if (!axis) return c.set_output(0, unknown_shape_of_rank(rank));
  if (*axis < -rank || *axis >= rank) {
    return c.set_output(0, invalid_argument("ConcatOp : Expected concatenating dimensions in the range [", -rank, ", ",
                                            rank, "), but got ", *axis));
  }
  const auto along = static_cast<size_t>(*axis < 0 ? *axis + rank : *axis);
  std::vector<int64_t> dims(static_cast<size_t>(rank), -1);
  dims[along] = 0;
  for (int i = first; i < first + n; ++i) {
    const PartialTensorShape shape = c.input(i).has_rank() ? c.input(i) : unknown_shape_of_rank(rank);
    for (size_t d = 0; d < dims.size(); ++d) {
      const int64_t size = shape.dim(static_cast<int>(d));
      if (d == along) {
        dims[d] = add_dims(dims[d], size);
        continue;
      }
      const absl::StatusOr<int64_t> merged = merge_dim(dims[d], size);
      if (!merged.ok()) {
        return c.set_output(
            0,
            invalid_argument("Dimension ", d,
                             " in both shapes must be equal: ConcatOp : Dimensions of inputs should match: shape[0] = ",
                             c.input(first), " vs. shape[", i - first, "] = ", c.input(i), ": ",
                             to_std(merged.status().message())));
      }
      dims[d] = *merged;
    }
  }
  return c.set_output(0, make_partial_shape(dims));
}

// Vectors that may be a shape, joined.
void concat_partial_value(ShapeContext& c, int first, int n) {
  std::vector<int64_t> dims;
  bool any = false;
  for (int i = first; i < first + n; ++i) {
    const PartialTensorShape& shape = c.input(i);
    if (shape.rank() != 1) return;
    if (const auto value = known_partial(c, i); value && value->has_rank()) {
      any = true;
      dims.insert(dims.end(), value->dims().begin(), value->dims().end());
    } else {
      if (shape.dim(0) < 0 || shape.dim(0) > Dims::kMaxRank) return;
      dims.insert(dims.end(), static_cast<size_t>(shape.dim(0)), -1);
    }
    if (dims.size() > static_cast<size_t>(Dims::kMaxRank)) return;
  }
  if (!any) return;
  if (auto joined = make_partial_shape(dims); joined.ok()) c.set_partial_value(0, *joined);
}

absl::Status concat_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(concat_shape_of(c, 1, c.num_inputs() - 1, 0));
  concat_partial_value(c, 1, c.num_inputs() - 1);
  return absl::OkStatus();
}

absl::Status concat_v2_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(concat_shape_of(c, 0, c.num_inputs() - 1, c.num_inputs() - 1));
  concat_partial_value(c, 0, c.num_inputs() - 1);
  return absl::OkStatus();
}

template <bool kAxisFirst> class ConcatKernel final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    const int n = ctx.num_inputs() - 1;
    const int first = kAxisFirst ? 1 : 0;
    const int dim = kAxisFirst ? 0 : n;
    if (ctx.input(dim).num_elements() != 1 || ctx.input(dim).rank() > 1) {
      return invalid_argument(kAxisFirst ? "concat_dim" : "axis", " tensor should be a scalar integer, but got shape ",
                              ctx.shape(dim));
    }
    MR_ASSIGN_OR_RETURN(const std::vector<int64_t> axis_value, ctx.int_values(dim));
    const int rank = ctx.input(first).rank();
    const int64_t given = axis_value[0];
    if (given < -rank || given >= rank) {
      return invalid_argument("ConcatOp : Expected concatenating dimensions in the range [", -rank, ", ", rank,
                              "), but got ", given);
    }
    const int axis = static_cast<int>(given < 0 ? given + rank : given);
    MR_ASSIGN_OR_RETURN(const int64_t size, joined_size(ctx, first, n, axis));
    MR_ASSIGN_OR_RETURN(const TensorShape shape, with_dim(ctx.shape(first), axis, size));
    // With one input that is not empty there is nothing to copy.
    int filled = -1;
    int count = 0;
    for (int i = first; i < first + n; ++i) {
      if (ctx.input(i).num_elements() > 0) {
        filled = i;
        ++count;
      }
    }
    if (count == 1) return ctx.set_output(0, ctx.input(filled));
    MR_ASSIGN_OR_RETURN(Tensor * out, ctx.allocate_output(0, shape));
    if (shape.num_elements() == 0) return absl::OkStatus();
    const Rows total = rows_at(shape, axis);
    int64_t offset = 0;
    for (int i = first; i < first + n; ++i) {
      const Tensor& value = ctx.input(i);
      const int64_t width = rows_at(value.shape(), axis).row;
      MR_RETURN_IF_ERROR(
          copy_rows(value.dtype(), total.outer, width, value.raw_data(), width, at(*out, offset), total.row));
      offset += width;
    }
    return absl::OkStatus();
  }

 private:
  static absl::StatusOr<int64_t> joined_size(KernelContext& ctx, int first, int n, int axis) {
    const TensorShape& model = ctx.shape(first);
    CheckedInt size(0);
    for (int i = first; i < first + n; ++i) {
      const TensorShape& shape = ctx.shape(i);
      if (shape.rank() != model.rank()) {
        return invalid_argument("ConcatOp : Ranks of all input tensors should match: shape[0] = ", model, " vs. shape[",
                                i - first, "] = ", shape);
      }
      for (int d = 0; d < model.rank(); ++d) {
        if (d != axis && shape.dim(d) != model.dim(d)) {
          return invalid_argument("ConcatOp : Dimension ", d, " in both shapes must be equal: shape[0] = ", model,
                                  " vs. shape[", i - first, "] = ", shape);
        }
      }
      size += shape.dim(axis);
    }
    if (!size.valid()) return invalid_argument("ConcatOp : too many elements");
    return size.value();
  }
};

// Each value's gradient is its slice of dy. More than sixteen values are split off in one node.
absl::Status concat_gradient_of(GradientContext& g, int first, int dim) {
  const int n = g.num_inputs() - 1;
  const Output dy = g.dy(0);
  if (n == 1) {
    g.set_dx(first, dy);
    return absl::OkStatus();
  }
  std::vector<Output> values;
  for (int i = first; i < first + n; ++i) values.push_back(g.x(i));
  const Output rank = rank_of(g, values[0]);
  const Output axis = g.op("FloorMod", {g.x(dim), rank}, {}, "mod");
  std::vector<Output> shapes;
  bool all_static = true;
  for (const Output& value : values) {
    // As TF does: shapes are asked for one by one, until one turns out not to be static.
    shapes.push_back(shape_of(g, value));
    if (!g.shape(value).is_fully_defined()) {
      all_static = false;
      break;
    }
  }
  if (!all_static) shapes = shapes_of(g, values);
  if (shapes.size() != values.size()) return absl::OkStatus();
  constexpr int kSlicesUpTo = 16;
  if (n > kSlicesUpTo) {
    const Output all = [&] {
      const std::vector<Output> out = g.op_with_lists("Pack", {shapes}, {{"axis", 1}}, "stack");
      return out.empty() ? Output() : out[0];
    }();
    Output begin, part;
    {
      const auto scope = g.name_scope("Slice");
      {
        const auto inner = g.name_scope("begin");
        const Output zero = g.int32_scalar(0, "1");
        begin = stack(g, {axis, zero}, "/");
      }
      const Output size = int_list(g, {1, -1}, "size");
      part = g.op("Slice", {all, begin, size}, {}, "/");
    }
    const Output sizes = g.op("Squeeze", {part});
    const std::vector<Output> parts = g.op_outputs("SplitV", {dy, sizes, axis}, {{"num_split", int64_t{n}}}, "split");
    for (size_t i = 0; i < parts.size(); ++i) g.set_dx(first + static_cast<int>(i), parts[i]);
    return absl::OkStatus();
  }
  const std::vector<Output> offsets = g.op_with_lists("ConcatOffset", {{axis}, shapes});
  for (size_t i = 0; i < offsets.size(); ++i) {
    g.set_dx(first + static_cast<int>(i), g.op("Slice", {dy, offsets[i], shapes[i]}));
  }
  return absl::OkStatus();
}

absl::Status concat_gradient(GradientContext& g) { return concat_gradient_of(g, 1, 0); }
absl::Status concat_v2_gradient(GradientContext& g) { return concat_gradient_of(g, 0, g.num_inputs() - 1); }

// ---- ConcatOffset

absl::Status concat_offset_shape(ShapeContext& c) {
  for (int i = 1; i < c.num_inputs(); ++i) {
    MR_ASSIGN_OR_RETURN(const PartialTensorShape shape, c.with_rank(i, 1));
    MR_RETURN_IF_ERROR(c.set_output(i - 1, shape));
  }
  return absl::OkStatus();
}

template <class T> class ConcatOffset final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const int32_t dim, ctx.scalar<int32_t>(0));
    const int n = ctx.num_inputs() - 1;
    MR_ASSIGN_OR_RETURN(const std::span<const T> model, ctx.vector<T>(1));
    const auto rank = static_cast<int64_t>(model.size());
    if (dim < -rank || dim >= rank) return invalid_argument("Concat dim is out of range: ", dim, " vs. ", rank);
    const auto axis = static_cast<size_t>(dim < 0 ? dim + rank : dim);
    T offset = 0;
    for (int i = 0; i < n; ++i) {
      MR_ASSIGN_OR_RETURN(const std::span<const T> shape, ctx.vector<T>(i + 1));
      if (shape.size() != model.size()) {
        return invalid_argument("input ", i, " should contain ", model.size(), " elements, but got ", shape.size());
      }
      MR_ASSIGN_OR_RETURN(const std::span<T> out, ctx.output<T>(i, ctx.shape(i + 1)));
      for (size_t d = 0; d < model.size(); ++d) {
        out[d] = d == axis ? offset : 0;
        if (d != axis && shape[d] != model[d]) {
          return invalid_argument("All dimensions except ", axis, " must match. Input ", i, " has shape [", list(shape),
                                  "] and doesn't match input 0 with shape [", list(model), "].");
        }
      }
      const std::optional<T> next = checked_add<T>(offset, shape[axis]);
      if (!next) return invalid_argument("ConcatOffset: the sum of sizes along dimension ", axis, " is too large");
      offset = *next;
    }
    return absl::OkStatus();
  }
  bool is_cheap() const override { return true; }

 private:
  static std::string list(std::span<const T> values) {
    std::string text;
    for (size_t i = 0; i < values.size(); ++i) str_append(&text, i ? " " : "", values[i]);
    return text;
  }
};

// ---- Pack, Unpack

absl::Status pack_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const int64_t given, c.attr<int64_t>("axis"));
  PartialTensorShape shape;
  for (int i = 0; i < c.num_inputs(); ++i) {
    auto merged = merge(shape, c.input(i));
    if (!merged.ok()) {
      return c.set_output(0, invalid_argument("Shapes must be equal: From merging shape ", i,
                                              " with other shapes: ", to_std(merged.status().message())));
    }
    shape = *std::move(merged);
  }
  if (!shape.has_rank()) return absl::OkStatus();
  const int64_t rank = shape.rank();
  if (given < -rank - 1 || given > rank) {
    return c.set_output(0, invalid_argument("axis = ", given, " not in [", -rank - 1, ", ", rank + 1, ")"));
  }
  std::vector<int64_t> dims = to_dims(shape);
  dims.insert(dims.begin() + (given < 0 ? given + rank + 1 : given), c.num_inputs());
  if (rank == 0 && c.num_inputs() <= Dims::kMaxRank) {
    std::vector<int64_t> value;
    bool any = false;
    for (int i = 0; i < c.num_inputs(); ++i) {
      const auto known = known_partial(c, i);
      value.push_back(known && known->rank() == 1 ? known->dim(0) : -1);
      any |= value.back() >= 0;
    }
    if (any) c.set_partial_value(0, make_partial_shape(value).value_or(unknown_shape_of_rank(c.num_inputs())));
  }
  return c.set_output(0, make_partial_shape(dims));
}

class Pack final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(axis_, init.attr<int64_t>("axis"));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    const int n = ctx.num_inputs();
    const TensorShape each = ctx.shape(0);
    const int rank = each.rank();
    if (axis_ < -rank - 1 || axis_ > rank)
      return invalid_argument("axis = ", axis_, " not in [", -rank - 1, ", ", rank + 1, ")");
    const int axis = static_cast<int>(axis_ < 0 ? axis_ + rank + 1 : axis_);
    for (int i = 1; i < n; ++i) {
      if (!(ctx.shape(i) == each)) {
        return invalid_argument("Shapes of all inputs must match: values[0].shape = ", each, " != values[", i,
                                "].shape = ", ctx.shape(i));
      }
    }
    MR_ASSIGN_OR_RETURN(const TensorShape shape, insert_dim(each, axis, n));
    if (n == 1) {
      MR_ASSIGN_OR_RETURN(Tensor out, reshaped(ctx.input(0), shape));
      return ctx.set_output(0, std::move(out));
    }
    MR_ASSIGN_OR_RETURN(Tensor * out, ctx.allocate_output(0, shape));
    if (shape.num_elements() == 0) return absl::OkStatus();
    const Rows rows = rows_at(each, axis);
    for (int i = 0; i < n; ++i) {
      MR_RETURN_IF_ERROR(copy_rows(out->dtype(), rows.outer, rows.row, ctx.input(i).raw_data(), rows.row,
                                   at(*out, i * rows.row), n * rows.row));
    }
    return absl::OkStatus();
  }

 private:
  int64_t axis_ = 0;
};

absl::Status pack_gradient(GradientContext& g) {
  MR_ASSIGN_OR_RETURN(const int64_t axis, g.attr<int64_t>("axis"));
  const std::vector<Output> parts =
      g.op_outputs("Unpack", {g.dy(0)}, {{"num", int64_t{g.num_inputs()}}, {"axis", axis}}, "unstack");
  for (size_t i = 0; i < parts.size(); ++i) g.set_dx(static_cast<int>(i), parts[i]);
  return absl::OkStatus();
}

absl::Status unpack_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const int64_t given, c.attr<int64_t>("axis"));
  const PartialTensorShape& value = c.input(0);
  if (!value.has_rank()) return absl::OkStatus();
  const int64_t rank = value.rank();
  if (given < -rank || given >= rank)
    return c.set_output(0, invalid_argument("axis = ", given, " not in [", -rank, ", ", rank, ")"));
  const int axis = static_cast<int>(given < 0 ? given + rank : given);
  if (value.dim(axis) >= 0 && value.dim(axis) != c.num_outputs()) {
    return c.set_output(0, invalid_argument("Dimension must be ", value.dim(axis), " but is ", c.num_outputs()));
  }
  std::vector<int64_t> dims = to_dims(value);
  dims.erase(dims.begin() + axis);
  const auto known = rank == 1 ? known_partial(c, 0) : std::nullopt;
  for (int i = 0; i < c.num_outputs(); ++i) {
    MR_RETURN_IF_ERROR(c.set_output(i, make_partial_shape(dims)));
    if (known && i < known->rank()) c.set_partial_value(i, make_partial_shape({known->dim(i)}).value());
  }
  return absl::OkStatus();
}

class Unpack final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(axis_, init.attr<int64_t>("axis"));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    const Tensor value = ctx.input(0);
    const int rank = value.rank();
    const int n = ctx.num_outputs();
    if (axis_ < -rank || axis_ >= rank) return invalid_argument("axis = ", axis_, " not in [", -rank, ", ", rank, ")");
    const int axis = static_cast<int>(axis_ < 0 ? axis_ + rank : axis_);
    if (value.dim(axis) != n)
      return invalid_argument("Input shape axis ", axis, " must equal ", n, ", got shape ", value.shape());
    const TensorShape each = remove_dim(value.shape(), axis);
    const Rows rows = rows_at(value.shape(), axis);
    const int64_t width = n > 0 ? rows.row / n : 0;
    for (int i = 0; i < n; ++i) {
      if (rows.outer == 1 && can_share(value, i * width)) {
        MR_ASSIGN_OR_RETURN(Tensor lines, reshaped(value, make_shape({int64_t{n}, width}).value()));
        MR_ASSIGN_OR_RETURN(Tensor part, slice_rows(lines, i, i + 1));
        MR_ASSIGN_OR_RETURN(part, reshaped(part, each));
        MR_RETURN_IF_ERROR(ctx.set_output(i, std::move(part)));
        continue;
      }
      MR_ASSIGN_OR_RETURN(Tensor * out, ctx.allocate_output(i, each));
      MR_RETURN_IF_ERROR(
          copy_rows(value.dtype(), rows.outer, width, at(value, i * width), rows.row, out->raw_mutable_data(), width));
    }
    return absl::OkStatus();
  }

 private:
  int64_t axis_ = 0;
};

std::vector<Output> all_dys(GradientContext& g) {
  std::vector<Output> dys;
  for (int i = 0; i < g.num_outputs(); ++i) dys.push_back(g.dy(i));
  return dys;
}

absl::Status unpack_gradient(GradientContext& g) {
  MR_ASSIGN_OR_RETURN(const int64_t axis, g.attr<int64_t>("axis"));
  const std::vector<Output> dx = g.op_with_lists("Pack", {all_dys(g)}, {{"axis", axis}}, "stack");
  if (!dx.empty()) g.set_dx(0, dx[0]);
  return absl::OkStatus();
}

// ---- Split, SplitV

absl::Status set_all_outputs(ShapeContext& c, const PartialTensorShape& shape) {
  for (int i = 0; i < c.num_outputs(); ++i) MR_RETURN_IF_ERROR(c.set_output(i, shape));
  return absl::OkStatus();
}

// The axis of a split, in [0, rank); -1 if unknown.
absl::StatusOr<int> split_axis(ShapeContext& c, int dim, const PartialTensorShape& input) {
  MR_ASSIGN_OR_RETURN(const std::optional<int64_t> given, known_int(c, dim));
  if (!given || !input.has_rank()) return -1;
  const int64_t rank = input.rank();
  if (*given < -rank || *given >= rank) {
    return invalid_argument("-input rank(-", rank, ") <= split_dim < input rank (", rank, "), but got ", *given);
  }
  return static_cast<int>(*given < 0 ? *given + rank : *given);
}

absl::Status split_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 0).status());
  const PartialTensorShape& input = c.input(1);
  if (!input.has_rank()) return absl::OkStatus();
  const absl::StatusOr<int> axis = split_axis(c, 0, input);
  if (!axis.ok()) return c.set_output(0, axis.status());
  if (*axis < 0) return set_all_outputs(c, unknown_shape_of_rank(input.rank()));
  std::vector<int64_t> dims = to_dims(input);
  int64_t& size = dims[static_cast<size_t>(*axis)];
  if (size >= 0 && size % c.num_outputs() != 0) {
    return c.set_output(
        0, invalid_argument("Number of ways to split should evenly divide the split dimension, but got split_dim ",
                            *axis, " (size = ", size, ") and num_split ", c.num_outputs()));
  }
  if (size >= 0) size /= c.num_outputs();
  MR_ASSIGN_OR_RETURN(const PartialTensorShape part, make_partial_shape(dims));
  // Parts of a shape that is known in full.
  if (const auto value = input.rank() == 1 ? known_partial(c, 1) : std::nullopt;
      value && value->is_fully_defined() && size >= 0) {
    for (int i = 0; i < c.num_outputs() && (i + 1) * size <= value->rank(); ++i) {
      c.set_partial_value(
          i,
          make_partial_shape(value->dims().subspan(static_cast<size_t>(i * size), static_cast<size_t>(size))).value());
    }
  }
  return set_all_outputs(c, part);
}

// Copies parts of the given sizes along the axis into the outputs; sizes add up to the dimension.
absl::Status write_parts(KernelContext& ctx, const Tensor& value, int axis, const std::vector<int64_t>& sizes) {
  const Rows rows = rows_at(value.shape(), axis);
  if (sizes.size() == 1) return ctx.set_output(0, value);
  int64_t start = 0;
  for (size_t i = 0; i < sizes.size(); ++i) {
    const int out_index = static_cast<int>(i);
    MR_ASSIGN_OR_RETURN(const TensorShape shape, with_dim(value.shape(), axis, sizes[i]));
    const int64_t width = rows_at(shape, axis).row;
    const int64_t offset = value.dim(axis) == 0 ? 0 : start * (rows.row / value.dim(axis));
    start += sizes[i];
    if (axis == 0 && shape.num_elements() > 0 && can_share(value, offset)) {
      MR_ASSIGN_OR_RETURN(Tensor part, slice_rows(value, start - sizes[i], start));
      MR_RETURN_IF_ERROR(ctx.set_output(out_index, std::move(part)));
      continue;
    }
    MR_ASSIGN_OR_RETURN(Tensor * out, ctx.allocate_output(out_index, shape));
    if (shape.num_elements() == 0) continue;
    MR_RETURN_IF_ERROR(
        copy_rows(value.dtype(), rows.outer, width, at(value, offset), rows.row, out->raw_mutable_data(), width));
  }
  return absl::OkStatus();
}

absl::StatusOr<int> kernel_axis(KernelContext& ctx, int dim, const Tensor& value) {
  if (ctx.input(dim).num_elements() != 1) return invalid_argument("split_dim must have exactly one element.");
  MR_ASSIGN_OR_RETURN(const std::vector<int64_t> given, ctx.int_values(dim));
  const int64_t rank = value.rank();
  if (given[0] < -rank || given[0] >= rank) {
    return invalid_argument("-input rank(-", rank, ") <= split_dim < input rank (", rank, "), but got ", given[0]);
  }
  return static_cast<int>(given[0] < 0 ? given[0] + rank : given[0]);
}

class Split final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    const Tensor value = ctx.input(1);
    MR_ASSIGN_OR_RETURN(const int axis, kernel_axis(ctx, 0, value));
    const int n = ctx.num_outputs();
    if (n <= 0 || value.dim(axis) % n != 0) {
      return invalid_argument("Number of ways to split should evenly divide the split dimension, but got split_dim ",
                              axis, " (size = ", value.dim(axis), ") and num_split ", n);
    }
    return write_parts(ctx, value, axis, std::vector<int64_t>(static_cast<size_t>(n), value.dim(axis) / n));
  }
};

// Fills in a -1 among the sizes and checks that they fit a dimension of `total` elements.
absl::Status check_split_sizes(int64_t total, size_t outputs, std::vector<int64_t>* sizes) {
  if (sizes->size() != outputs) {
    return invalid_argument("size of the split_tensor must be ", outputs, " (the number of outputs), got ",
                            sizes->size());
  }
  CheckedInt sum(0);
  int rest = -1;
  for (size_t i = 0; i < sizes->size(); ++i) {
    const int64_t size = (*sizes)[i];
    if (size == -1) {
      if (rest >= 0) return invalid_argument("There can only be one -1 in the input.");
      rest = static_cast<int>(i);
      continue;
    }
    if (size < 0) return invalid_argument("Split size at index ", i, " must be >= 0. Got: ", size);
    sum += size;
  }
  if (!sum.valid() || (rest < 0 ? sum.value() != total : sum.value() > total)) {
    return invalid_argument(
        "Determined shape must either match input shape along split_dim exactly if fully specified, or be less than "
        "the size of the input "
        "along split_dim if not fully specified.  Got: ",
        sum.value_or(-1));
  }
  if (rest >= 0) (*sizes)[static_cast<size_t>(rest)] = total - sum.value();
  return absl::OkStatus();
}

absl::Status split_v_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(1, 1).status());
  const PartialTensorShape& input = c.input(0);
  if (!input.has_rank()) return absl::OkStatus();
  const absl::StatusOr<int> axis = split_axis(c, 2, input);
  if (!axis.ok()) return c.set_output(0, axis.status());
  if (*axis < 0) return set_all_outputs(c, unknown_shape_of_rank(input.rank()));
  std::vector<int64_t> dims = to_dims(input);
  int64_t& size = dims[static_cast<size_t>(*axis)];
  std::optional<std::vector<int64_t>> sizes;
  if (c.value(1) == nullptr || c.value(1)->dtype() != DataType::kInt8) {
    MR_ASSIGN_OR_RETURN(sizes, known_ints(c, 1));
  }
  if (sizes && sizes->size() == static_cast<size_t>(c.num_outputs())) {
    const bool has_rest = std::count(sizes->begin(), sizes->end(), -1) > 0;
    if (size >= 0) {
      if (absl::Status status = check_split_sizes(size, sizes->size(), &*sizes); !status.ok())
        return c.set_output(0, status);
    } else if (has_rest && std::any_of(sizes->begin(), sizes->end(), [](int64_t s) { return s < -1; })) {
      return c.set_output(0, invalid_argument("Split sizes must be >= -1"));
    }
    for (int i = 0; i < c.num_outputs(); ++i) {
      size = std::max<int64_t>((*sizes)[static_cast<size_t>(i)], -1);
      MR_RETURN_IF_ERROR(c.set_output(i, make_partial_shape(dims)));
    }
    return absl::OkStatus();
  }
  if (c.num_outputs() > 1) size = -1;
  MR_ASSIGN_OR_RETURN(const PartialTensorShape part, make_partial_shape(dims));
  return set_all_outputs(c, part);
}

class SplitV final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    const Tensor value = ctx.input(0);
    MR_ASSIGN_OR_RETURN(std::vector<int64_t> sizes, split_sizes(ctx));
    MR_ASSIGN_OR_RETURN(const int axis, kernel_axis(ctx, 2, value));
    MR_RETURN_IF_ERROR(check_split_sizes(value.dim(axis), static_cast<size_t>(ctx.num_outputs()), &sizes));
    return write_parts(ctx, value, axis, sizes);
  }

 private:
  static absl::StatusOr<std::vector<int64_t>> split_sizes(KernelContext& ctx) {
    if (ctx.input(1).dtype() != DataType::kInt8) return ctx.int_values(1);
    MR_ASSIGN_OR_RETURN(const auto narrow, ctx.flat<int8_t>(1));
    return std::vector<int64_t>(narrow.begin(), narrow.end());
  }
};

absl::Status split_gradient_of(GradientContext& g, int value, int dim) {
  const std::vector<Output> dx = g.op_with_lists("ConcatV2", {all_dys(g), {g.x(dim)}}, {}, "concat");
  if (!dx.empty()) g.set_dx(value, dx[0]);
  return absl::OkStatus();
}
absl::Status split_gradient(GradientContext& g) { return split_gradient_of(g, 1, 0); }
absl::Status split_v_gradient(GradientContext& g) { return split_gradient_of(g, 0, 2); }

}  // namespace

void register_concat(Registry& registry) {
  registry.op("Concat")
      .input("concat_dim: int32")
      .input("values: N * T")
      .output("output: T")
      .attr("N: int >= 2")
      .attr("T: type")
      .shape(concat_shape)
      .cpu<ConcatKernel<true>>()
      .gradient(concat_gradient)
      .doc("Values joined along an axis.");
  registry.op("ConcatV2")
      .input("values: N * T")
      .input("axis: Tidx")
      .output("output: T")
      .attr("N: int >= 2")
      .attr("T: type")
      .attr("Tidx: {int32, int64} = DT_INT32")
      .shape(concat_v2_shape)
      .cpu<ConcatKernel<false>>()
      .gradient(concat_v2_gradient)
      .doc("Values joined along an axis.");
  registry.op("ConcatOffset")
      .input("concat_dim: int32")
      .input("shape: N * shape_type")
      .output("offset: N * shape_type")
      .attr("N: int >= 2")
      .attr("shape_type: {int32, int64} = DT_INT32")
      .shape(concat_offset_shape)
      .cpu<ConcatOffset, int32_t, int64_t>("shape_type")
      .not_differentiable()
      .doc("Where each value of a concatenation begins.");
  registry.op("Pack")
      .input("values: N * T")
      .output("output: T")
      .attr("N: int >= 1")
      .attr("T: type")
      .attr("axis: int = 0")
      .shape(pack_shape)
      .cpu<Pack>()
      .gradient(pack_gradient)
      .doc("Values of one shape joined along a new axis.");
  registry.op("Unpack")
      .input("value: T")
      .output("output: num * T")
      .attr("num: int >= 0")
      .attr("T: type")
      .attr("axis: int = 0")
      .shape(unpack_shape)
      .cpu<Unpack>()
      .gradient(unpack_gradient)
      .doc("The slices of a tensor along an axis, which they lose.");
  registry.op("Split")
      .input("split_dim: int32")
      .input("value: T")
      .output("output: num_split * T")
      .attr("num_split: int >= 1")
      .attr("T: type")
      .shape(split_shape)
      .cpu<Split>()
      .gradient(split_gradient)
      .doc("Equal parts of a tensor along an axis.");
  registry.op("SplitV")
      .input("value: T")
      .input("size_splits: Tlen")
      .input("split_dim: int32")
      .output("output: num_split * T")
      .attr("num_split: int >= 1")
      .attr("T: type")
      .attr("Tlen: {int8, int32, int64} = DT_INT64")
      .shape(split_v_shape)
      .cpu<SplitV>()
      .gradient(split_v_gradient)
      .doc("Parts of given sizes of a tensor along an axis; one size may be -1, which stands for what is left.");
}

}  // namespace millrace
