// Ops on shapes: asking for them, and giving the same elements another one.

#include <algorithm>
#include <limits>

#include "absl/container/inlined_vector.h"
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

// ---- Shape, ShapeN, Rank, Size

absl::Status shape_shape(ShapeContext& c) {
  for (int i = 0; i < c.num_outputs(); ++i) {
    const PartialTensorShape& input = c.input(i);
    MR_RETURN_IF_ERROR(c.set_output(i, make_partial_shape({int64_t{input.rank()}})));
    if (input.has_rank()) c.set_partial_value(i, input);
  }
  return absl::OkStatus();
}

template <class T> class Shape final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    for (int i = 0; i < ctx.num_inputs(); ++i) {
      const TensorShape shape = ctx.shape(i);
      MR_ASSIGN_OR_RETURN(const TensorShape vector, make_shape({int64_t{shape.rank()}}));
      MR_ASSIGN_OR_RETURN(const std::span<T> out, ctx.output<T>(i, vector));
      for (int d = 0; d < shape.rank(); ++d) {
        if (shape.dim(d) > std::numeric_limits<T>::max()) {
          return invalid_argument("Shape output type is 32-bit  but dim ", d, " is ", shape.dim(d));
        }
        out[static_cast<size_t>(d)] = static_cast<T>(shape.dim(d));
      }
    }
    return absl::OkStatus();
  }
  bool is_cheap() const override { return true; }
};

absl::Status rank_shape(ShapeContext& c) {
  if (c.input(0).has_rank()) c.set_partial_value(0, make_partial_shape({int64_t{c.input(0).rank()}}).value());
  return scalar_shape(c);
}

class Rank final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override { return ctx.set_scalar<int32_t>(0, ctx.input(0).rank()); }
  bool is_cheap() const override { return true; }
};

absl::Status size_shape(ShapeContext& c) {
  if (const int64_t n = c.input(0).num_elements(); n >= 0) c.set_partial_value(0, make_partial_shape({n}).value());
  return scalar_shape(c);
}

template <class T> class Size final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    const int64_t n = ctx.input(0).num_elements();
    if (n > std::numeric_limits<T>::max()) {
      return invalid_argument("Number of elements was larger than representable by 32-bit output type");
    }
    return ctx.set_scalar<T>(0, static_cast<T>(n));
  }
  bool is_cheap() const override { return true; }
};

// ---- Reshape

// What `wanted` (-1: one dimension to infer) says of the result of reshaping `input`. Dimensions unknown at
// construction are -1 as well.
absl::StatusOr<PartialTensorShape> infer_reshape(const PartialTensorShape& input, const PartialTensorShape& wanted) {
  if (!wanted.has_rank()) return wanted;
  std::vector<int64_t> dims = to_dims(wanted);
  int64_t known = 1;
  int unknown = -1;
  int unknowns = 0;
  for (size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] >= 0) {
      known = multiply_dims(known, dims[i]);
    } else {
      unknown = static_cast<int>(i);
      ++unknowns;
    }
  }
  if (known < 0) return invalid_argument("Cannot reshape a tensor to shape ", wanted, ": too many elements");
  int64_t elements = input.has_rank() ? 1 : -1;
  for (int d = 0; d < input.rank(); ++d)
    elements = multiply_dims(elements, input.dim(d));  // zero times unknown is zero
  if (elements < 0) return wanted;
  if (unknowns == 0) {
    if (known != elements) {
      return invalid_argument("Cannot reshape a tensor with ", elements, " elements to shape ", wanted, " (", known,
                              " elements)");
    }
    return wanted;
  }
  if (unknowns > 1 || known == 0) return wanted;
  if (elements % known != 0) {
    return invalid_argument("Dimension size must be evenly divisible by ", known, " but is ", elements);
  }
  dims[static_cast<size_t>(unknown)] = elements / known;
  return make_partial_shape(dims);
}

absl::Status reshape_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape wanted, c.as_shape(1));
  absl::StatusOr<PartialTensorShape> shape = infer_reshape(c.input(0), wanted);
  // Integers that become a scalar or a vector keep what is known of them.
  if (shape.ok() && shape->has_rank() && shape->rank() <= 1) {
    const auto value = known_partial(c, 0);
    if (value && value->is_fully_defined()) c.set_partial_value(0, *value);
  }
  return c.set_output(0, std::move(shape));
}

class Reshape final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    const Tensor& input = ctx.input(0);
    if (ctx.input(1).rank() > 1 || (ctx.input(1).rank() == 0 && ctx.input(1).num_elements() != 1)) {
      return invalid_argument("sizes input must be 1-D, not ", ctx.shape(1));
    }
    Sizes sizes;
    MR_RETURN_IF_ERROR(read_sizes(ctx, &sizes));
    MR_RETURN_IF_ERROR(infer_wildcard(input.shape(), &sizes));
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape(sizes));
    if (shape.num_elements() != input.num_elements()) {
      return invalid_argument("Input to reshape is a tensor with ", input.num_elements(),
                              " values, but the requested shape has ", shape.num_elements());
    }
    MR_ASSIGN_OR_RETURN(Tensor out, reshaped(input, shape));
    return ctx.set_output(0, std::move(out));
  }
  bool is_cheap() const override { return true; }

 private:
  using Sizes = absl::InlinedVector<int64_t, 8>;  // a step with many small ops should not allocate for this

  static absl::Status read_sizes(const KernelContext& ctx, Sizes* sizes) {
    if (ctx.input(1).dtype() == DataType::kInt32) {
      MR_ASSIGN_OR_RETURN(const auto narrow, ctx.flat<int32_t>(1));
      sizes->assign(narrow.begin(), narrow.end());
    } else {
      MR_ASSIGN_OR_RETURN(const auto wide, ctx.flat<int64_t>(1));
      sizes->assign(wide.begin(), wide.end());
    }
    return absl::OkStatus();
  }

  // Where both have dimensions of zero, these do not count.
  static absl::Status infer_wildcard(const TensorShape& input, Sizes* sizes) {
    int wildcard = -1;
    bool has_zero = false;
    CheckedInt product(1);
    for (size_t i = 0; i < sizes->size(); ++i) {
      const int64_t size = (*sizes)[i];
      if (size == -1) {
        if (wildcard >= 0) return invalid_argument("Only one input size may be -1, not both ", wildcard, " and ", i);
        wildcard = static_cast<int>(i);
        continue;
      }
      if (size < 0) return invalid_argument("Size ", i, " must be non-negative, not ", size);
      if (size == 0) has_zero = true;
      else product *= size;
    }
    if (!product.valid()) return invalid_argument("Reshape: the requested shape has too many elements");
    if (wildcard < 0) return absl::OkStatus();
    int64_t elements = input.num_elements();
    if (has_zero && elements == 0) {
      CheckedInt others(1);
      for (const int64_t dim : input.dims()) {
        if (dim > 0) others *= dim;
      }
      elements = others.value();
    } else if (elements % product.value() != 0) {
      return invalid_argument("Input to reshape is a tensor with ", elements,
                              " values, but the requested shape requires a multiple of ", product.value());
    }
    (*sizes)[static_cast<size_t>(wildcard)] = elements / product.value();
    return absl::OkStatus();
  }
};

// dy in x's shape. One unknown dimension is left to Reshape, which spares a Shape op.
absl::Status reshape_gradient(GradientContext& g) {
  const PartialTensorShape shape = g.shape(g.x(0));
  if (shape.has_rank() && !shape.is_fully_defined()) {
    const std::vector<int64_t> dims = to_dims(shape);
    if (std::count(dims.begin(), dims.end(), -1) == 1 && std::count(dims.begin(), dims.end(), 0) == 0) {
      const std::vector<int32_t> narrow(dims.begin(), dims.end());
      MR_ASSIGN_OR_RETURN(const Tensor literal, make_vector<int32_t>(narrow));
      g.set_dx(0, op_with_literal(g, "Reshape", g.dy(0), literal, "shape", "Reshape"));
      return absl::OkStatus();
    }
  }
  const Output dy = g.dy(0);
  g.set_dx(0, g.op("Reshape", {dy, shape_of(g, g.x(0))}));
  return absl::OkStatus();
}

absl::Status reshape_to_input_gradient(GradientContext& g) {
  const Output dy = g.dy(0);
  g.set_dx(0, g.op("Reshape", {dy, shape_of(g, g.x(0))}));
  return absl::OkStatus();
}

// ---- ExpandDims, Squeeze

absl::Status expand_dims_shape(ShapeContext& c) {
  const PartialTensorShape& input = c.input(0);
  MR_ASSIGN_OR_RETURN(const std::optional<int64_t> dim, known_int(c, 1));
  if (!input.has_rank()) return absl::OkStatus();
  if (!dim) return absl::OkStatus();
  if (*dim < -1 - input.rank() || *dim > input.rank()) {
    return c.set_output(
        0, invalid_argument("dim ", *dim, " not in the interval [", -1 - input.rank(), ", ", input.rank(), "]."));
  }
  std::vector<int64_t> dims = to_dims(input);
  dims.insert(dims.begin() + (*dim < 0 ? *dim + input.rank() + 1 : *dim), 1);
  if (input.rank() == 0) {
    if (const auto value = known_partial(c, 0); value && value->is_fully_defined()) c.set_partial_value(0, *value);
  }
  return c.set_output(0, make_partial_shape(dims));
}

class ExpandDims final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    const Tensor& input = ctx.input(0);
    MR_ASSIGN_OR_RETURN(const std::vector<int64_t> dim, ctx.int_values(1));
    if (dim.size() != 1 || ctx.input(1).rank() > 1)
      return invalid_argument("'dim' must be a tensor with a single value");
    if (dim[0] < -1 - input.rank() || dim[0] > input.rank()) {
      return invalid_argument("Tried to expand dim index ", dim[0], " for tensor with ", input.rank(), " dimensions.");
    }
    const int axis = static_cast<int>(dim[0] < 0 ? dim[0] + input.rank() + 1 : dim[0]);
    MR_ASSIGN_OR_RETURN(const TensorShape shape, insert_dim(input.shape(), axis, 1));
    MR_ASSIGN_OR_RETURN(Tensor out, reshaped(input, shape));
    return ctx.set_output(0, std::move(out));
  }
  bool is_cheap() const override { return true; }
};

// Which dimensions go: all of size one, or the listed ones. True marks a dimension that goes.
absl::StatusOr<std::vector<bool>> squeezed(const std::vector<int64_t>& axes, const PartialTensorShape& shape) {
  std::vector<bool> gone(static_cast<size_t>(shape.rank()));
  for (const int64_t axis : axes) {
    if (axis < -shape.rank() || axis >= shape.rank()) {
      return invalid_argument("Tried to squeeze dim index ", axis, " for tensor with ", shape.rank(), " dimensions.");
    }
    const int64_t d = axis < 0 ? axis + shape.rank() : axis;
    const int64_t size = shape.dim(static_cast<int>(d));
    if (size != 1 && size >= 0)
      return invalid_argument("Can not squeeze dim[", d, "], expected a dimension of 1, got ", size);
    gone[static_cast<size_t>(d)] = true;
  }
  if (axes.empty()) {
    for (int d = 0; d < shape.rank(); ++d) gone[static_cast<size_t>(d)] = shape.dim(d) == 1;
  }
  return gone;
}

absl::Status squeeze_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const std::vector<int64_t> axes, c.attr<std::vector<int64_t>>("squeeze_dims"));
  const PartialTensorShape& input = c.input(0);
  if (!input.has_rank()) return absl::OkStatus();
  if (axes.empty() && !input.is_fully_defined()) return absl::OkStatus();  // an unknown dimension may be of size one
  const absl::StatusOr<std::vector<bool>> gone = squeezed(axes, input);
  if (!gone.ok()) return c.set_output(0, gone.status());
  std::vector<int64_t> dims;
  for (int d = 0; d < input.rank(); ++d) {
    if (!(*gone)[static_cast<size_t>(d)]) dims.push_back(input.dim(d));
  }
  if (input.rank() == 1 && dims.empty()) {
    if (const auto value = known_partial(c, 0); value && value->is_fully_defined()) c.set_partial_value(0, *value);
  }
  return c.set_output(0, make_partial_shape(dims));
}

class Squeeze final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(axes_, init.attr<std::vector<int64_t>>("squeeze_dims"));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    const Tensor& input = ctx.input(0);
    MR_ASSIGN_OR_RETURN(const std::vector<bool> gone, squeezed(axes_, input.shape()));
    std::vector<int64_t> dims;
    for (int d = 0; d < input.rank(); ++d) {
      if (!gone[static_cast<size_t>(d)]) dims.push_back(input.dim(d));
    }
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape(dims));
    MR_ASSIGN_OR_RETURN(Tensor out, reshaped(input, shape));
    return ctx.set_output(0, std::move(out));
  }
  bool is_cheap() const override { return true; }

 private:
  std::vector<int64_t> axes_;
};

// ---- BroadcastArgs, BroadcastGradientArgs, BroadcastTo

absl::Status broadcast_args_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape a, c.with_rank(0, 1));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape b, c.with_rank(1, 1));
  if (a.dim(0) < 0 || b.dim(0) < 0) return c.set_output(0, unknown_shape_of_rank(1));
  return c.set_output(0, make_partial_shape({std::max(a.dim(0), b.dim(0))}));
}

absl::StatusOr<TensorShape> shape_argument(KernelContext& ctx, int i) {
  if (ctx.input(i).rank() != 1) return invalid_argument("In[", i, "] must be a vector.", ctx.shape(i));
  return ctx.shape_value(i);
}

template <class T> class BroadcastArgs final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const TensorShape a, shape_argument(ctx, 0));
    MR_ASSIGN_OR_RETURN(const TensorShape b, shape_argument(ctx, 1));
    MR_ASSIGN_OR_RETURN(const TensorShape both, broadcast(a, b));
    MR_ASSIGN_OR_RETURN(const TensorShape vector, make_shape({int64_t{both.rank()}}));
    MR_ASSIGN_OR_RETURN(const std::span<T> out, ctx.output<T>(0, vector));
    for (int d = 0; d < both.rank(); ++d) out[static_cast<size_t>(d)] = static_cast<T>(both.dim(d));
    return absl::OkStatus();
  }
  bool is_cheap() const override { return true; }
};

absl::Status broadcast_gradient_args_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 1).status());
  MR_RETURN_IF_ERROR(c.with_rank(1, 1).status());
  MR_RETURN_IF_ERROR(c.set_output(0, unknown_shape_of_rank(1)));
  return c.set_output(1, unknown_shape_of_rank(1));
}

// The axes of the broadcast shape over which each argument's gradient is summed.
template <class T> class BroadcastGradientArgs final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const TensorShape a, shape_argument(ctx, 0));
    MR_ASSIGN_OR_RETURN(const TensorShape b, shape_argument(ctx, 1));
    MR_ASSIGN_OR_RETURN(const TensorShape both, broadcast(a, b));
    std::vector<T> axes[2];
    if (!(a == b)) {
      for (int d = 0; d < both.rank(); ++d) {
        const int64_t sizes[2] = {size_from_right(a, both.rank() - d), size_from_right(b, both.rank() - d)};
        for (int i = 0; i < 2; ++i) {
          if (sizes[i] == 1) axes[i].push_back(static_cast<T>(d));
        }
      }
    }
    for (int i = 0; i < 2; ++i) {
      MR_ASSIGN_OR_RETURN(Tensor out, make_vector<T>(axes[i]));
      MR_RETURN_IF_ERROR(ctx.set_output(i, std::move(out)));
    }
    return absl::OkStatus();
  }
  bool is_cheap() const override { return true; }

 private:
  // Missing dimensions count as one.
  static int64_t size_from_right(const TensorShape& shape, int i) {
    return i <= shape.rank() ? shape.dim(shape.rank() - i) : 1;
  }
};

absl::Status broadcast_to_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape wanted, c.as_shape(1));
  const PartialTensorShape& input = c.input(0);
  if (!wanted.has_rank() || !input.has_rank()) return c.set_output(0, wanted);
  if (input.rank() > wanted.rank()) {
    return c.set_output(0, invalid_argument("Rank of input (", input.rank(),
                                            ") must be no greater than rank of output shape (", wanted.rank(), ")."));
  }
  std::vector<int64_t> dims = to_dims(wanted);
  for (int i = 1; i <= input.rank(); ++i) {
    const int64_t from = input.dim(input.rank() - i);
    int64_t& to = dims[dims.size() - static_cast<size_t>(i)];
    if (from >= 0 && to >= 0 && from != to && from != 1) {
      return c.set_output(0, invalid_argument("Incompatible shapes: ", input, " vs. ", wanted));
    }
    if (to < 0 && from > 1) to = from;  // only a size of one is repeated
  }
  return c.set_output(0, make_partial_shape(dims));
}

class BroadcastTo final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    const Tensor input = ctx.input(0);
    MR_ASSIGN_OR_RETURN(const TensorShape shape, ctx.shape_value(1));
    const int extra = shape.rank() - input.rank();
    if (extra < 0) {
      return invalid_argument("Rank of input (", input.rank(), ") must be no greater than rank of output shape (",
                              shape.rank(), ").");
    }
    std::vector<int64_t> strides(static_cast<size_t>(shape.rank()));
    int64_t stride = 1;
    for (int d = shape.rank(); d-- > 0;) {
      const auto k = static_cast<size_t>(d);
      if (d < extra) continue;
      const int64_t size = input.dim(d - extra);
      if (size != shape.dim(d) && size != 1)
        return invalid_argument("Incompatible shapes: ", input.shape(), " vs. ", shape);
      strides[k] = size == 1 ? 0 : stride;
      stride *= size;
    }
    if (input.shape() == shape) return ctx.set_output(0, input);
    MR_ASSIGN_OR_RETURN(Tensor * out, ctx.allocate_output(0, shape));
    return strided_copy(input.dtype(), shape.dims(), input.raw_data(), strides, out->raw_mutable_data(),
                        row_major_strides(shape.dims()));
  }
};

// dy summed over the axes along which x was repeated.
absl::Status broadcast_to_gradient(GradientContext& g) {
  const Output dy = g.dy(0);
  const Output x_shape = shape_of(g, g.x(0), g.dtype(g.x(1)));
  Output shape = g.x(1);
  // A shape that is known at construction is written as a constant, as tf.constant does.
  const PartialTensorShape y = g.shape(g.y(0));
  if (y.is_fully_defined()) shape = int_list(g, to_dims(y), "Const", g.dtype(g.x(1)));
  const std::vector<Output> axes = g.op_outputs("BroadcastGradientArgs", {shape, x_shape});
  if (axes.size() != 2) return absl::OkStatus();
  g.set_dx(0, sum_to_shape(g, dy, axes[1], x_shape));
  return absl::OkStatus();
}

}  // namespace

void register_shape_ops(Registry& registry) {
  registry.op("Shape")
      .input("input: T")
      .output("output: out_type")
      .attr("T: type")
      .attr("out_type: {int32, int64} = DT_INT32")
      .shape(shape_shape)
      .cpu<Shape, int32_t, int64_t>("out_type")
      .not_differentiable()
      .doc("The shape of a tensor, as a vector.");
  registry.op("ShapeN")
      .input("input: N * T")
      .output("output: N * out_type")
      .attr("N: int >= 1")
      .attr("T: type")
      .attr("out_type: {int32, int64} = DT_INT32")
      .shape(shape_shape)
      .cpu<Shape, int32_t, int64_t>("out_type")
      .not_differentiable()
      .doc("The shapes of several tensors.");
  registry.op("Rank")
      .input("input: T")
      .output("output: int32")
      .attr("T: type")
      .shape(rank_shape)
      .cpu<Rank>()
      .not_differentiable()
      .doc("The number of dimensions of a tensor.");
  registry.op("Size")
      .input("input: T")
      .output("output: out_type")
      .attr("T: type")
      .attr("out_type: {int32, int64} = DT_INT32")
      .shape(size_shape)
      .cpu<Size, int32_t, int64_t>("out_type")
      .not_differentiable()
      .doc("The number of elements of a tensor.");
  registry.op("Reshape")
      .input("tensor: T")
      .input("shape: Tshape")
      .output("output: T")
      .attr("T: type")
      .attr("Tshape: {int32, int64} = DT_INT32")
      .shape(reshape_shape)
      .cpu<Reshape>()
      .gradient(reshape_gradient)
      .doc("The same elements in another shape; one dimension may be -1, which stands for what is left.");
  registry.op("ExpandDims")
      .input("input: T")
      .input("dim: Tdim")
      .output("output: T")
      .attr("T: type")
      .attr("Tdim: {int32, int64} = DT_INT32")
      .shape(expand_dims_shape)
      .cpu<ExpandDims>()
      .gradient(reshape_to_input_gradient)
      .doc("A dimension of size one inserted.");
  registry.op("Squeeze")
      .input("input: T")
      .output("output: T")
      .attr("T: type")
      .attr("squeeze_dims: list(int) >= 0 = []")
      .shape(squeeze_shape)
      .cpu<Squeeze>()
      .gradient(reshape_to_input_gradient)
      .doc("Dimensions of size one removed: the listed ones, or all.");
  registry.op("BroadcastArgs")
      .input("s0: T")
      .input("s1: T")
      .output("r0: T")
      .attr("T: {int32, int64} = DT_INT32")
      .shape(broadcast_args_shape)
      .cpu<BroadcastArgs, int32_t, int64_t>()
      .doc("The shape that two shapes broadcast to.");
  registry.op("BroadcastGradientArgs")
      .input("s0: T")
      .input("s1: T")
      .output("r0: T")
      .output("r1: T")
      .attr("T: {int32, int64} = DT_INT32")
      .shape(broadcast_gradient_args_shape)
      .cpu<BroadcastGradientArgs, int32_t, int64_t>()
      .not_differentiable()
      .doc("The axes over which gradients of broadcast arguments are summed.");
  registry.op("BroadcastTo")
      .input("input: T")
      .input("shape: Tidx")
      .output("output: T")
      .attr("T: type")
      .attr("Tidx: {int32, int64} = DT_INT32")
      .shape(broadcast_to_shape)
      .cpu<BroadcastTo>()
      .gradient(broadcast_to_gradient)
      .doc("A tensor repeated along dimensions of size one and new leading ones.");
}

}  // namespace millrace
