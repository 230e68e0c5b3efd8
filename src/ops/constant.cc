// Values that come from the graph or from a feed: constants, placeholders, fills.

#include "kernels/elements.h"
#include "kernels/parallel.h"
#include "op/gradient_context.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/array_shapes.h"
#include "ops/gradient_ops.h"
#include "ops/variant_math.h"

namespace millrace {
namespace {

absl::Status const_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const Tensor value, c.attr<Tensor>("value"));
  MR_ASSIGN_OR_RETURN(const DataType dtype, c.attr<DataType>("dtype"));
  // Programs take the value without asking the kernel.
  if (value.dtype() != dtype)
    return invalid_argument("Const: Type mismatch between value (", dtype_name(value.dtype()), ") and dtype (",
                            dtype_name(dtype), ")");
  return c.set_output(0, PartialTensorShape(value.shape()));
}

class Const final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(value_, init.attr<Tensor>("value"));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override { return ctx.set_output(0, value_); }
  bool is_cheap() const override { return true; }

 private:
  Tensor value_;  // shared with every step; never written
};

absl::Status placeholder_shape(ShapeContext& c) { return c.set_output(0, c.attr<PartialTensorShape>("shape")); }

class Placeholder final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const PartialTensorShape shape, get_attr<PartialTensorShape>(ctx.node(), "shape"));
    MR_ASSIGN_OR_RETURN(const DataType dtype, get_attr<DataType>(ctx.node(), "dtype"));
    std::string text =
        str_cat("You must feed a value for placeholder tensor '", ctx.node().name, "' with dtype ", dtype_name(dtype));
    if (shape.rank() > 0) str_append(&text, " and shape ", shape);
    return invalid_argument(text);
  }
};

// The attribute wins over the default's shape: a feed may differ from the default.
absl::Status placeholder_with_default_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape shape, c.attr<PartialTensorShape>("shape"));
  MR_RETURN_IF_ERROR(merge(c.input(0), shape).status());
  return c.set_output(0, shape);
}

class Forward final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override { return ctx.set_output(0, ctx.input(0)); }
  bool is_cheap() const override { return true; }
};

absl::Status fill_elements(Tensor& out, const void* value) {
  return with_storage(out.dtype(), [&]<class S>(std::type_identity<S>) {
    const S v = *static_cast<const S*>(value);
    S* dst = static_cast<S*>(out.raw_mutable_data());
    parallel_for(out.num_elements(), 1, [&](int64_t begin, int64_t end) { std::fill(dst + begin, dst + end, v); });
    return absl::OkStatus();
  });
}

class ZerosLike final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    const DataType dtype = ctx.input(0).dtype();
    if (dtype == DataType::kVariant) {
      MR_ASSIGN_OR_RETURN(Tensor zeros, zeros_like_variants(ctx.input(0)));
      return ctx.set_output(0, std::move(zeros));
    }
    if (dtype == DataType::kResource && ctx.input(0).num_elements() > 0)
      return unimplemented("ZerosLike of ", dtype_name(dtype), " values");
    MR_ASSIGN_OR_RETURN(Tensor * out, ctx.forward_or_allocate_output({0}, 0, ctx.shape(0)));
    return with_storage(out->dtype(), [&]<class S>(std::type_identity<S>) {
      fill_zero(static_cast<S*>(out->raw_mutable_data()), out->num_elements());
      return absl::OkStatus();
    });
  }
};

template <class T> class OnesLike final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::span<T> out, ctx.forward_or_allocate<T>(0, 0, ctx.shape(0)));
    if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
      std::fill(out.begin(), out.end(), T(1.0f));
    } else {
      std::fill(out.begin(), out.end(), T(1));
    }
    return absl::OkStatus();
  }
};

absl::Status fill_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(1, 0).status());
  MR_ASSIGN_OR_RETURN(const PartialTensorShape shape, c.as_shape(0));
  // A vector of one known integer may be a shape itself.
  if (shape.rank() == 1 && shape.dim(0) >= 0 && shape.dim(0) <= Dims::kMaxRank) {
    const std::optional<PartialTensorShape> value = known_partial(c, 1);
    if (value && value->rank() == 1 && value->dim(0) >= 0) {
      const std::vector<int64_t> dims(static_cast<size_t>(shape.dim(0)), value->dim(0));
      if (auto filled = make_partial_shape(dims); filled.ok()) c.set_partial_value(0, *filled);
    }
  }
  return c.set_output(0, shape);
}

class Fill final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    if (ctx.input(0).rank() != 1) return invalid_argument("dims must represent a vector, got shape ", ctx.shape(0));
    if (ctx.input(1).rank() != 0) return invalid_argument("value must represent a scalar, got shape ", ctx.shape(1));
    MR_ASSIGN_OR_RETURN(const TensorShape shape, ctx.shape_value(0));
    MR_ASSIGN_OR_RETURN(Tensor * out, ctx.allocate_output(0, shape));
    return fill_elements(*out, ctx.input(1).raw_data());
  }
};

// dvalue = sum of dy over every axis.
absl::Status fill_gradient(GradientContext& g) {
  const Output dy = g.dy(0);
  const PartialTensorShape shape = g.shape(dy);
  Output axes;
  if (shape.has_rank()) {
    std::vector<int64_t> all(static_cast<size_t>(shape.rank()));
    for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int64_t>(i);
    axes = int_list(g, all);
  } else {
    const Output rank = g.op("Rank", {dy});
    const auto scope = g.name_scope("range");
    const Output start = g.int32_scalar(0, "start");
    const Output delta = g.int32_scalar(1, "delta");
    axes = g.op("Range", {start, rank, delta}, {}, "/");
  }
  g.set_dx(1, g.op("Sum", {dy, axes}));
  return absl::OkStatus();
}

absl::Status ensure_shape_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape shape, c.attr<PartialTensorShape>("shape"));
  return c.set_output(0, merge(shape, c.input(0)));
}

class EnsureShape final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(shape_, init.attr<PartialTensorShape>("shape"));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    if (!shape_.is_compatible_with(ctx.shape(0))) {
      return invalid_argument("Shape of tensor ", ctx.node().name, " ", ctx.shape(0),
                              " is not compatible with expected shape ", shape_, ".");
    }
    return ctx.set_output(0, ctx.input(0));
  }
  bool is_cheap() const override { return true; }

 private:
  PartialTensorShape shape_;
};

absl::Status shape_attr_shape(ShapeContext& c) { return c.set_output(0, c.attr<PartialTensorShape>("shape")); }

// The values lie in a file of the saving program's machine, which is not ours to map.
class ImmutableConst final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    return unimplemented("ImmutableConst '", ctx.node().name, "': memory-mapped constants are not supported");
  }
};

absl::Status empty_shape(ShapeContext& c) { return c.set_output(0, c.as_shape(0)); }

class Empty final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const TensorShape shape, ctx.shape_value(0));
    MR_ASSIGN_OR_RETURN(Tensor * out, ctx.allocate_output(0, shape));
    return with_storage(out->dtype(), [&]<class S>(std::type_identity<S>) {
      fill_zero(static_cast<S*>(out->raw_mutable_data()), out->num_elements());
      return absl::OkStatus();
    });
  }
};

}  // namespace

void register_constant(Registry& registry) {
  registry.op("Const")
      .output("output: dtype")
      .attr("value: tensor")
      .attr("dtype: type")
      .shape(const_shape)
      .cpu<Const>()
      .not_differentiable()
      .doc("A value that the graph holds.");
  registry.op("Placeholder")
      .output("output: dtype")
      .attr("dtype: type")
      .attr("shape: shape = { unknown_rank: true }")
      .shape(placeholder_shape)
      .cpu<Placeholder>()
      .doc("A value that each run must feed.");
  registry.op("PlaceholderV2")
      .output("output: dtype")
      .attr("dtype: type")
      .attr("shape: shape")
      .shape(placeholder_shape)
      .cpu<Placeholder>()
      .doc("A value that each run must feed.");
  registry.op("PlaceholderWithDefault")
      .input("input: dtype")
      .output("output: dtype")
      .attr("dtype: type")
      .attr("shape: shape")
      .shape(placeholder_with_default_shape)
      .cpu<Forward>()
      .gradient(identity_gradient)
      .doc("Its input, unless a run feeds it.");
  registry.op("ZerosLike")
      .input("x: T")
      .output("y: T")
      .attr("T: type")
      .shape(unchanged_shape)
      .cpu<ZerosLike>()
      .not_differentiable()
      .doc("Zeros of x's shape.");
  registry.op("OnesLike")
      .input("x: T")
      .output("y: T")
      .attr(
          "T: {bfloat16, half, float, double, int8, uint8, int16, uint16, int32, uint32, int64, uint64, complex64, "
          "complex128, bool}")
      .shape(unchanged_shape)
      .cpu_for<OnesLike>(NumberTypes(), "T")
      .cpu<OnesLike, bool>()
      .not_differentiable()
      .doc("Ones of x's shape.");
  registry.op("Fill")
      .input("dims: index_type")
      .input("value: T")
      .output("output: T")
      .attr("T: type")
      .attr("index_type: {int32, int64} = DT_INT32")
      .shape(fill_shape)
      .cpu<Fill>()
      .gradient(fill_gradient)
      .doc("A tensor of shape dims, every element value.");
  registry.op("EnsureShape")
      .input("input: T")
      .output("output: T")
      .attr("shape: shape")
      .attr("T: type")
      .shape(ensure_shape_shape)
      .cpu<EnsureShape>()
      .gradient(identity_gradient)
      .doc("Its input, an error unless the shape is compatible with the attribute.");
  registry.op("ImmutableConst")
      .output("tensor: dtype")
      .attr("dtype: type")
      .attr("shape: shape")
      .attr("memory_region_name: string")
      .shape(shape_attr_shape)
      .cpu<ImmutableConst>()
      .doc("A constant in a memory-mapped file; not supported.");
  registry.op("Empty")
      .input("shape: int32")
      .output("output: dtype")
      .attr("dtype: type")
      .attr("init: bool = false")
      .stateful()
      .shape(empty_shape)
      .cpu<Empty>()
      .doc("A tensor of the given shape; its elements are zero here.");
}

}  // namespace millrace
