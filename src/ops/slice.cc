// Slices of tensors, their gradients, and assignments to slices.

#include "kernels/elements.h"
#include "kernels/strided_copy.h"
#include "op/gradient_context.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/array_shapes.h"
#include "ops/gradient_ops.h"
#include "ops/strided_slice_spec.h"
#include "ops/strides.h"

namespace millrace {
namespace {

// ---- Slice

absl::Status slice_shape(ShapeContext& c) {
  const PartialTensorShape& input = c.input(0);
  MR_ASSIGN_OR_RETURN(const PartialTensorShape begin_shape, c.with_rank(1, 1));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape size_shape, c.with_rank(2, 1));
  const absl::StatusOr<int64_t> length = merge_dim(begin_shape.dim(0), size_shape.dim(0));
  if (!length.ok()) return c.set_output(0, length.status());
  if (*length >= 0 && input.has_rank() && *length != input.rank()) {
    return c.set_output(0, invalid_argument("Shape must be rank ", *length, " but is rank ", input.rank()));
  }
  MR_ASSIGN_OR_RETURN(const auto begin, known_ints(c, 1));
  MR_ASSIGN_OR_RETURN(const auto size, known_ints(c, 2));
  const int rank = input.has_rank() ? input.rank() : static_cast<int>(std::min<int64_t>(*length, Dims::kMaxRank));
  if (rank < 0) return absl::OkStatus();
  std::vector<int64_t> dims(static_cast<size_t>(rank), -1);
  const std::optional<PartialTensorShape> partial_size = size ? std::nullopt : known_partial(c, 2);
  for (size_t d = 0; d < dims.size(); ++d) {
    const int64_t dim = input.has_rank() ? input.dim(static_cast<int>(d)) : -1;
    if (size && d < size->size()) {
      dims[d] = (*size)[d];
      if (dims[d] < -1)
        return c.set_output(0, invalid_argument("Invalid size in Slice: ", dims[d], " in dimension ", d));
      if (begin && d < begin->size()) {
        const int64_t b = (*begin)[d];
        if (b < 0) return c.set_output(0, invalid_argument("Expected begin[", d, "] in [0, ", dim, "], but got ", b));
        if (dim >= 0) {
          if (b > dim)
            return c.set_output(0, invalid_argument("Expected begin[", d, "] in [0, ", dim, "], but got ", b));
          if (dims[d] > dim - b)
            return c.set_output(0, invalid_argument("Expected size[", d, "] in [0, ", dim - b, "], but got ", dims[d]));
          if (dims[d] == -1) dims[d] = dim - b;
        }
      }
    } else if (partial_size && partial_size->has_rank() && static_cast<int>(d) < partial_size->rank()) {
      dims[d] = partial_size->dim(static_cast<int>(d));
    }
  }
  if (rank == 1 && begin && size && dims[0] >= 0) {
    const auto value = known_partial(c, 0);
    if (value && value->is_fully_defined() && (*begin)[0] <= value->rank() && dims[0] <= value->rank() - (*begin)[0]) {
      const auto part = value->dims().subspan(static_cast<size_t>((*begin)[0]), static_cast<size_t>(dims[0]));
      c.set_partial_value(0, make_partial_shape(part).value());
    }
  }
  return c.set_output(0, make_partial_shape(dims));
}

const void* element(const Tensor& t, int64_t i) {
  return static_cast<const char*>(t.raw_data()) + i * static_cast<int64_t>(dtype_size(t.dtype()));
}
void* element(Tensor& t, int64_t i) {
  return static_cast<char*>(t.raw_mutable_data()) + i * static_cast<int64_t>(dtype_size(t.dtype()));
}

// Rows of the first dimension may share the buffer if they start on a cache line.
bool can_share_rows(const Tensor& t, int64_t begin) {
  const int64_t row = t.dim(0) == 0 ? 0 : t.num_elements() / t.dim(0);
  return is_pod(t.dtype()) &&
         (begin * row * static_cast<int64_t>(dtype_size(t.dtype()))) % static_cast<int64_t>(kTensorAlignment) == 0;
}

class Slice final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    const Tensor input = ctx.input(0);
    const auto rank = static_cast<size_t>(input.rank());
    MR_ASSIGN_OR_RETURN(const std::vector<int64_t> begin, ctx.int_values(1));
    MR_ASSIGN_OR_RETURN(std::vector<int64_t> size, ctx.int_values(2));
    if (ctx.input(1).rank() != 1 || ctx.input(2).rank() != 1 || begin.size() != rank || size.size() != rank) {
      return invalid_argument("Expected begin and size arguments to be 1-D tensors of size ", rank, ", but got shapes ",
                              ctx.shape(1), " and ", ctx.shape(2), " instead.");
    }
    const std::vector<int64_t> strides = row_major_strides(input.shape().dims());
    int64_t offset = 0;
    bool whole = true;       // nothing is cut
    bool whole_rows = true;  // only the first dimension is cut
    for (size_t d = 0; d < rank; ++d) {
      const int64_t dim = input.dim(static_cast<int>(d));
      if (begin[d] < 0 || begin[d] > dim)
        return invalid_argument("Expected begin[", d, "] in [0, ", dim, "], but got ", begin[d]);
      if (size[d] == -1) size[d] = dim - begin[d];
      if (size[d] < 0 || size[d] > dim - begin[d]) {
        return invalid_argument("Expected size[", d, "] in [0, ", dim - begin[d], "], but got ", size[d]);
      }
      offset += begin[d] * strides[d];
      whole &= size[d] == dim;
      whole_rows &= d == 0 || size[d] == dim;
    }
    if (whole) return ctx.set_output(0, input);
    if (whole_rows && size[0] > 0 && can_share_rows(input, begin[0])) {
      MR_ASSIGN_OR_RETURN(Tensor part, slice_rows(input, begin[0], begin[0] + size[0]));
      return ctx.set_output(0, std::move(part));
    }
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape(size));
    MR_ASSIGN_OR_RETURN(Tensor * out, ctx.allocate_output(0, shape));
    if (shape.num_elements() == 0) return absl::OkStatus();
    return strided_copy(input.dtype(), size, element(input, offset), strides, out->raw_mutable_data(),
                        row_major_strides(size));
  }
};

// dx is dy padded with zeros to x's shape.
absl::Status slice_gradient(GradientContext& g) {
  const Output x = g.x(0), begin = g.x(1), y = g.y(0);
  const Output dy = g.dy(0);
  const DataType index = g.dtype(begin);
  const Output rank = rank_of(g, x);
  const Output y_shape = shape_of(g, y, index);
  Output matrix;
  {
    const auto scope = g.name_scope("stack");
    const Output one = g.int32_scalar(1, "1");
    matrix = stack(g, {rank, one}, "/");
  }
  const Output before = g.op("Reshape", {begin, matrix});
  const Output x_shape = shape_of(g, x, index);
  const Output difference = g.op("Sub", {x_shape, y_shape}, {}, "sub");
  const Output after_flat = g.op("Sub", {difference, begin}, {}, "sub");
  const Output after = g.op("Reshape", {after_flat, matrix});
  const Output paddings = concat(g, {before, after}, 1);
  g.set_dx(0, g.op("Pad", {dy, paddings}));
  return absl::OkStatus();
}

// ---- StridedSlice and what writes into such a slice

absl::StatusOr<StridedSliceMasks> masks_of(const NodeInfo& node) {
  StridedSliceMasks m;
  MR_ASSIGN_OR_RETURN(m.begin, get_attr<int64_t>(node, "begin_mask"));
  MR_ASSIGN_OR_RETURN(m.end, get_attr<int64_t>(node, "end_mask"));
  MR_ASSIGN_OR_RETURN(m.ellipsis, get_attr<int64_t>(node, "ellipsis_mask"));
  MR_ASSIGN_OR_RETURN(m.new_axis, get_attr<int64_t>(node, "new_axis_mask"));
  MR_ASSIGN_OR_RETURN(m.shrink_axis, get_attr<int64_t>(node, "shrink_axis_mask"));
  return m;
}

// The spec for inputs 1, 2 and 3 on a shape; nullopt if too little is known.
absl::StatusOr<std::optional<StridedSliceSpec>> spec_from_shapes(ShapeContext& c, const PartialTensorShape& input) {
  absl::StatusOr<PartialTensorShape> length = c.with_rank(1, 1);
  for (int i = 2; i <= 3 && length.ok(); ++i) {
    const absl::StatusOr<PartialTensorShape> other = c.with_rank(i, 1);
    if (!other.ok()) return other.status();
    length = merge(*length, *other);
  }
  if (!length.ok()) return length.status();
  MR_ASSIGN_OR_RETURN(const auto begin, known_ints(c, 1));
  MR_ASSIGN_OR_RETURN(const auto end, known_ints(c, 2));
  MR_ASSIGN_OR_RETURN(const auto strides, known_ints(c, 3));
  if (!strides || !input.has_rank()) return std::optional<StridedSliceSpec>();
  MR_ASSIGN_OR_RETURN(const StridedSliceMasks masks, masks_of(c.node()));
  MR_ASSIGN_OR_RETURN(StridedSliceSpec spec,
                      strided_slice_spec(input, begin ? &*begin : nullptr, end ? &*end : nullptr, *strides, masks));
  return std::optional(std::move(spec));
}

// Part of a shape: the elements picked, or the one that is left when the axis is shrunk.
void strided_slice_partial_value(ShapeContext& c, const StridedSliceSpec& spec) {
  if (c.input(0).rank() != 1 || spec.size.size() != 1 || spec.size[0] < 0) return;
  if (!known_ints(c, 1).value_or(std::nullopt)) return;
  const bool keeps_axis = spec.source == std::vector<int>{0};
  if (!keeps_axis && !spec.source.empty()) return;
  const auto value = known_partial(c, 0);
  if (!value || !value->has_rank()) return;
  std::vector<int64_t> picked;
  for (int64_t i = 0; i < spec.size[0]; ++i) {
    const int64_t at = spec.begin[0] + i * spec.stride[0];
    if (at < 0 || at >= value->rank()) return;
    picked.push_back(value->dim(static_cast<int>(at)));
  }
  if (auto part = make_partial_shape(picked); part.ok()) c.set_partial_value(0, *part);
}

absl::Status strided_slice_shape(ShapeContext& c) {
  absl::StatusOr<std::optional<StridedSliceSpec>> spec = spec_from_shapes(c, c.input(0));
  if (!spec.ok()) return c.set_output(0, spec.status());
  if (!*spec) return absl::OkStatus();
  strided_slice_partial_value(c, **spec);
  const auto handle = c.handle(0);
  if (!handle.empty()) c.set_handle(0, {handle.begin(), handle.end()});
  return c.set_output(0, (*spec)->final_shape);
}

// The box that the spec selects, as strides of the sliced tensor and where it begins.
struct Box {
  std::vector<int64_t> strides;
  int64_t offset = 0;
};
Box box_of(const StridedSliceSpec& spec, std::span<const int64_t> dims) {
  Box box{row_major_strides(dims), 0};
  for (size_t d = 0; d < dims.size(); ++d) {
    box.offset += spec.begin[d] * box.strides[d];
    box.strides[d] *= spec.stride[d];
  }
  return box;
}

absl::StatusOr<std::vector<int64_t>> slice_values(KernelContext& ctx, int i) {
  if (ctx.input(i).rank() != 1) {
    return invalid_argument("Expected begin, end, and strides to be 1D equal size tensors, but got shape ",
                            ctx.shape(i), " instead.");
  }
  if (ctx.input(i).dtype() == DataType::kInt16) {
    MR_ASSIGN_OR_RETURN(const auto narrow, ctx.flat<int16_t>(i));
    return std::vector<int64_t>(narrow.begin(), narrow.end());
  }
  return ctx.int_values(i);
}

// What the kernels of this family share: masks, and the spec of inputs 1, 2 and 3.
class SliceKernel : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(masks_, masks_of(init.node()));
    return absl::OkStatus();
  }

 protected:
  absl::StatusOr<StridedSliceSpec> spec(KernelContext& ctx, const TensorShape& shape) const {
    MR_ASSIGN_OR_RETURN(const std::vector<int64_t> begin, slice_values(ctx, 1));
    MR_ASSIGN_OR_RETURN(const std::vector<int64_t> end, slice_values(ctx, 2));
    MR_ASSIGN_OR_RETURN(const std::vector<int64_t> strides, slice_values(ctx, 3));
    return strided_slice_spec(shape, &begin, &end, strides, masks_);
  }

 private:
  StridedSliceMasks masks_;
};

class StridedSlice final : public SliceKernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    const Tensor input = ctx.input(0);
    MR_ASSIGN_OR_RETURN(const StridedSliceSpec s, spec(ctx, input.shape()));
    MR_ASSIGN_OR_RETURN(const TensorShape shape, as_tensor_shape(s.final_shape));
    bool whole_rows = input.rank() > 0 && shape.num_elements() > 0;
    for (size_t d = 0; d < s.size.size(); ++d) {
      const bool taken_in_order = s.stride[d] == 1 || s.size[d] <= 1;
      whole_rows &= taken_in_order && (d == 0 || s.size[d] == input.dim(static_cast<int>(d)));
    }
    if (whole_rows && (s.size[0] == input.dim(0) || can_share_rows(input, s.begin[0]))) {
      MR_ASSIGN_OR_RETURN(Tensor part, slice_rows(input, s.begin[0], s.begin[0] + s.size[0]));
      MR_ASSIGN_OR_RETURN(part, reshaped(part, shape));
      return ctx.set_output(0, std::move(part));
    }
    MR_ASSIGN_OR_RETURN(Tensor * out, ctx.allocate_output(0, shape));
    if (shape.num_elements() == 0) return absl::OkStatus();
    const Box box = box_of(s, input.shape().dims());
    return strided_copy(input.dtype(), s.size, element(input, box.offset), box.strides, out->raw_mutable_data(),
                        row_major_strides(s.size));
  }
};

// Writes `value`, broadcast to the slice's final shape, into the slice of `target`.
absl::Status write_slice(const StridedSliceSpec& s, const Tensor& value, Tensor& target) {
  MR_ASSIGN_OR_RETURN(const TensorShape shape, as_tensor_shape(s.final_shape));
  const int extra = shape.rank() - value.rank();
  bool fits = extra >= 0;
  // Strides of the value along the dimensions of the target; shrunk ones are walked once.
  std::vector<int64_t> from(s.size.size(), 0);
  const std::vector<int64_t> value_strides = row_major_strides(value.shape().dims());
  for (int d = 0; fits && d < value.rank(); ++d) {
    const int64_t size = value.dim(d);
    const int64_t wanted = shape.dim(d + extra);
    fits = size == wanted || size == 1;
    const int source = s.source[static_cast<size_t>(d + extra)];
    if (source >= 0 && size != 1) from[static_cast<size_t>(source)] = value_strides[static_cast<size_t>(d)];
  }
  if (!fits) {
    return invalid_argument("could not broadcast input array from shape ", value.shape(), " into shape ", shape);
  }
  if (shape.num_elements() == 0) return absl::OkStatus();
  const Box box = box_of(s, target.shape().dims());
  return strided_copy(target.dtype(), s.size, value.raw_data(), from, element(target, box.offset), box.strides);
}

AttrMap mask_attrs(const StridedSliceMasks& m) {
  return {{"begin_mask", m.begin},
          {"end_mask", m.end},
          {"ellipsis_mask", m.ellipsis},
          {"new_axis_mask", m.new_axis},
          {"shrink_axis_mask", m.shrink_axis}};
}

absl::Status strided_slice_gradient(GradientContext& g) {
  MR_ASSIGN_OR_RETURN(const StridedSliceMasks m, masks_of(g.node()));
  const Output x = g.x(0);
  const Output dy = g.dy(0);
  const Output shape = shape_of(g, x, g.dtype(g.x(1)));
  const auto scope = g.name_scope("StridedSliceGrad");
  // Constant arguments are written again as literals of this node, as TF's rule does.
  const auto literal = [&](const Output& value, std::string_view name) {
    const Tensor* known = g.constant_value(value);
    return known != nullptr ? g.constant(*known, name) : value;
  };
  const Output shape_arg = literal(shape, "shape");
  const Output begin = literal(g.x(1), "begin");
  const Output end = literal(g.x(2), "end");
  const Output strides = literal(g.x(3), "strides");
  g.set_dx(0, g.op("StridedSliceGrad", {shape_arg, begin, end, strides, dy}, mask_attrs(m), "/"));
  return absl::OkStatus();
}

absl::Status strided_slice_grad_shape(ShapeContext& c) { return c.set_output(0, c.as_shape(0)); }

class StridedSliceGrad final : public SliceKernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    if (ctx.input(0).rank() != 1) return invalid_argument("shape must be 1-D, got shape.shape = ", ctx.shape(0));
    MR_ASSIGN_OR_RETURN(const TensorShape shape, ctx.shape_value(0));
    MR_ASSIGN_OR_RETURN(const StridedSliceSpec s, spec(ctx, shape));
    const Tensor dy = ctx.input(4);
    MR_ASSIGN_OR_RETURN(const TensorShape wanted, as_tensor_shape(s.final_shape));
    if (!(dy.shape() == wanted)) return invalid_argument("shape of dy was ", dy.shape(), " instead of ", wanted);
    MR_ASSIGN_OR_RETURN(Tensor * out, ctx.allocate_output(0, shape));
    MR_RETURN_IF_ERROR(with_storage(out->dtype(), [&]<class S>(std::type_identity<S>) {
      fill_zero(static_cast<S*>(out->raw_mutable_data()), out->num_elements());
      return absl::OkStatus();
    }));
    return write_slice(s, dy, *out);
  }
};

absl::Status strided_slice_grad_gradient(GradientContext& g) {
  MR_ASSIGN_OR_RETURN(const StridedSliceMasks m, masks_of(g.node()));
  g.set_dx(4, g.op("StridedSlice", {g.dy(0), g.x(1), g.x(2), g.x(3)}, mask_attrs(m)));
  return absl::OkStatus();
}

absl::Status strided_slice_update_shape(ShapeContext& c) {
  const absl::StatusOr<std::optional<StridedSliceSpec>> spec = spec_from_shapes(c, c.input(0));
  if (!spec.ok()) return c.set_output(0, spec.status());
  return c.set_output(0, c.input(0));
}

class TensorStridedSliceUpdate final : public SliceKernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const StridedSliceSpec s, spec(ctx, ctx.shape(0)));
    const Tensor value = ctx.input(4);
    MR_ASSIGN_OR_RETURN(Tensor out, deep_copy(ctx.input(0)));
    MR_RETURN_IF_ERROR(write_slice(s, value, out));
    return ctx.set_output(0, std::move(out));
  }
};

// d input: dy with zeros where the slice was written; d value: the slice of dy, summed where value was broadcast.
absl::Status strided_slice_update_gradient(GradientContext& g) {
  MR_ASSIGN_OR_RETURN(const StridedSliceMasks m, masks_of(g.node()));
  const Output dy = g.dy(0);
  const Output slice = g.op("StridedSlice", {dy, g.x(1), g.x(2), g.x(3)}, mask_attrs(m));
  const Output zeros = zeros_like(g, slice);
  g.set_dx(0, g.op("TensorStridedSliceUpdate", {dy, g.x(1), g.x(2), g.x(3), zeros}, mask_attrs(m)));
  const Output slice_shape = shape_of(g, slice, g.dtype(g.x(1)));
  const Output value_shape = shape_of(g, g.x(4), g.dtype(g.x(1)));
  const std::vector<Output> axes = g.op_outputs("BroadcastGradientArgs", {slice_shape, value_shape});
  if (axes.size() == 2) g.set_dx(4, sum_to_shape(g, slice, axes[1], value_shape));
  return absl::OkStatus();
}

// Input 0 is a variable, of either kind; its output, if it has one, is the same reference.
class StridedSliceAssign final : public SliceKernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::shared_ptr<VariableResource> variable, ctx.variable(0));
    const Tensor value = ctx.input(4);
    if (variable->dtype() != value.dtype()) {
      return invalid_argument("l-value dtype ", dtype_name(variable->dtype()), " does not match r-value dtype ",
                              dtype_name(value.dtype()));
    }
    MR_RETURN_IF_ERROR(variable->update(ctx.node().name, [&](Tensor& target) -> absl::Status {
      MR_ASSIGN_OR_RETURN(const StridedSliceSpec s, spec(ctx, target.shape()));
      return write_slice(s, value, target);
    }));
    return ctx.num_outputs() > 0 ? ctx.forward_ref(0, 0) : absl::OkStatus();
  }
};

OpBuilder slice_masks(OpBuilder builder) {
  for (const char* attr : {"begin_mask: int = 0", "end_mask: int = 0", "ellipsis_mask: int = 0",
                           "new_axis_mask: int = 0", "shrink_axis_mask: int = 0"}) {
    builder.attr(attr);
  }
  return builder;
}

}  // namespace

void register_slice(Registry& registry) {
  registry.op("Slice")
      .input("input: T")
      .input("begin: Index")
      .input("size: Index")
      .output("output: T")
      .attr("T: type")
      .attr("Index: {int32, int64}")
      .shape(slice_shape)
      .cpu<Slice>()
      .gradient(slice_gradient)
      .doc("A box of a tensor; a size of -1 stands for what is left.");
  slice_masks(registry.op("StridedSlice")
                  .input("input: T")
                  .input("begin: Index")
                  .input("end: Index")
                  .input("strides: Index")
                  .output("output: T")
                  .attr("T: type")
                  .attr("Index: {int16, int32, int64}"))
      .shape(strided_slice_shape)
      .cpu<StridedSlice>()
      .gradient(strided_slice_gradient)
      .doc("x[begin:end:stride, ...], with numpy's ellipsis, new axes and single indices in bit masks.");
  slice_masks(registry.op("StridedSliceGrad")
                  .input("shape: Index")
                  .input("begin: Index")
                  .input("end: Index")
                  .input("strides: Index")
                  .input("dy: T")
                  .output("output: T")
                  .attr("T: type")
                  .attr("Index: {int32, int64}"))
      .shape(strided_slice_grad_shape)
      .cpu<StridedSliceGrad>()
      .gradient(strided_slice_grad_gradient)
      .doc("Zeros of the given shape with dy written into the slice.");
  slice_masks(registry.op("TensorStridedSliceUpdate")
                  .input("input: T")
                  .input("begin: Index")
                  .input("end: Index")
                  .input("strides: Index")
                  .input("value: T")
                  .output("output: T")
                  .attr("T: type")
                  .attr("Index: {int32, int64}"))
      .shape(strided_slice_update_shape)
      .cpu<TensorStridedSliceUpdate>()
      .gradient(strided_slice_update_gradient)
      .doc("The input with value written into the slice.");
  slice_masks(registry.op("StridedSliceAssign")
                  .input("ref: Ref(T)")
                  .input("begin: Index")
                  .input("end: Index")
                  .input("strides: Index")
                  .input("value: T")
                  .output("output_ref: Ref(T)")
                  .attr("T: type")
                  .attr("Index: {int32, int64}"))
      .shape(strided_slice_update_shape)
      .cpu<StridedSliceAssign>()
      .doc("Writes value into a slice of a reference variable.");
  slice_masks(registry.op("ResourceStridedSliceAssign")
                  .input("ref: resource")
                  .input("begin: Index")
                  .input("end: Index")
                  .input("strides: Index")
                  .input("value: T")
                  .attr("T: type")
                  .attr("Index: {int32, int64}"))
      .stateful()
      .shape(no_outputs)
      .cpu<StridedSliceAssign>()
      .doc("Writes value into a slice of a resource variable.");
}

}  // namespace millrace
