// Conditional accumulators as ops: gradients of several workers averaged, for one step at a time.

#include "op/shape_context.h"
#include "ops/conditional_accumulator.h"
#include "ops/named_resource.h"

namespace millrace {
namespace {

template <bool kSparse> class AccumulatorKernel final : public Kernel {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(name_, resource_name(init));
    MR_ASSIGN_OR_RETURN(options_.dtype, init.attr<DataType>("dtype"));
    MR_ASSIGN_OR_RETURN(options_.shape, init.attr<PartialTensorShape>("shape"));
    MR_ASSIGN_OR_RETURN(const std::string reduction, init.attr<std::string>("reduction_type"));
    options_.mean = reduction == "MEAN";
    options_.kind = kSparse ? "SparseConditionalAccumulator" : "ConditionalAccumulator";
    options_.name = name_.name;
    return absl::OkStatus();
  }

  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(
        const auto found, ctx.resources().lookup_or_create<ConditionalAccumulator>(name_.container, name_.name, [&] {
          return absl::StatusOr<std::shared_ptr<ConditionalAccumulator>>(kSparse ? make_sparse_accumulator(options_)
                                                                                 : make_dense_accumulator(options_));
        }));
    const ConditionalAccumulator::Options& o = found->options();
    if (o.kind != options_.kind || o.dtype != options_.dtype || o.shape != options_.shape)
      return invalid_argument("Shared accumulator '", name_.name, "' is a ", o.kind, " of ", dtype_name(o.dtype), " ",
                              o.shape, " but requested was a ", options_.kind, " of ", dtype_name(options_.dtype), " ",
                              options_.shape);
    return set_handle(ctx, 0, name_, options_.kind, {options_.dtype}, {options_.shape});
  }

  ResourceName name_;
  ConditionalAccumulator::Options options_;
};

absl::StatusOr<std::shared_ptr<ConditionalAccumulator>> find_accumulator(const KernelContext& ctx, bool sparse) {
  MR_ASSIGN_OR_RETURN(auto found, find_resource<ConditionalAccumulator>(ctx, 0));
  if (const bool is_sparse = found->options().kind != "ConditionalAccumulator"; is_sparse != sparse)
    return invalid_argument(ctx.node().op, ": '", found->options().name, "' is a ", found->options().kind);
  return found;
}

template <bool kSparse> class Apply final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto accumulator, find_accumulator(ctx, kSparse));
    if (ctx.shape(1).rank() != 0)
      return invalid_argument("Argument local_step must be scalar, but had bad shape ", ctx.shape(1));
    MR_ASSIGN_OR_RETURN(const int64_t step, ctx.int_scalar(1));
    std::vector<Tensor> gradient = {ctx.input(2)};
    if constexpr (kSparse) {
      MR_ASSIGN_OR_RETURN(const bool has_shape, get_attr<bool>(ctx.node(), "has_known_shape"));
      gradient.push_back(ctx.input(3));
      if (has_shape) gradient.push_back(ctx.input(4));
    }
    return accumulator->apply(step, gradient);
  }
};

template <bool kSparse> class Take final : public AsyncKernel {
  void compute_async(KernelContext& ctx, Done done) override {
    const auto found = find_accumulator(ctx, kSparse);
    if (!found.ok()) return done(found.status());
    const std::shared_ptr<ConditionalAccumulator>& accumulator = *found;
    if (accumulator->options().dtype != ctx.node().output_types[kSparse ? 1 : 0])
      return done(invalid_argument(ctx.node().op, ": the accumulator holds ", dtype_name(accumulator->options().dtype),
                                   ", dtype is ", dtype_name(ctx.node().output_types[kSparse ? 1 : 0])));
    const absl::StatusOr<int64_t> required = ctx.int_scalar(1);
    if (!required.ok()) return done(required.status());
    accumulator->take(*required, ctx.cancellation(),
                      [&ctx, accumulator, done = std::move(done)](absl::Status status, std::vector<Tensor> result) {
                        for (size_t i = 0; status.ok() && i < result.size(); ++i)
                          status = ctx.set_output(static_cast<int>(i), std::move(result[i]));
                        done(std::move(status));
                      });
  }
};

class SetGlobalStep final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto accumulator, find_resource<ConditionalAccumulator>(ctx, 0));
    MR_ASSIGN_OR_RETURN(const int64_t step, ctx.int_scalar(1));
    accumulator->set_global_step(step);
    return absl::OkStatus();
  }
};

class NumAccumulated final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto accumulator, find_resource<ConditionalAccumulator>(ctx, 0));
    return ctx.set_scalar(0, accumulator->num_accumulated());
  }
};

absl::Status handle_only_shape(ShapeContext& c) { return check_handle_shape(c, 0); }

absl::Status step_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(check_handle_shape(c, 0));
  return c.with_rank(1, 0).status();
}

absl::Status num_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(check_handle_shape(c, 0));
  return scalar_shape(c);
}

absl::Status take_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(step_shape(c));
  return unknown_shapes(c);
}

OpBuilder maker(Registry& registry, const char* name, bool resource) {
  return registry.op(name)
      .output(resource ? "handle: resource" : "handle: Ref(string)")
      .attr("dtype: numbertype")
      .attr("shape: shape")
      .attr("container: string = ''")
      .attr("shared_name: string = ''")
      .attr("reduction_type: {'MEAN', 'SUM'} = 'MEAN'")
      .stateful()
      .shape(named_handle_shape)
      .not_differentiable();
}

template <class K> void for_floats(OpBuilder op) {
  for (const DataType dtype : {DataType::kHalf, DataType::kFloat, DataType::kDouble})
    op.kernel({"CPU", {{"dtype", dtype}}, [] { return std::unique_ptr<Kernel>(new K); }});
}

void register_dense(Registry& registry, bool resource) {
  const std::string prefix = resource ? "Resource" : "";
  const auto access = [&](const char* name) {
    OpBuilder op =
        registry.op(prefix + name).input(resource ? "handle: resource" : "handle: Ref(string)").not_differentiable();
    return resource ? op.stateful() : op;
  };
  for_floats<AccumulatorKernel<false>>(maker(registry, (prefix + "ConditionalAccumulator").c_str(), resource)
                                           .doc("An accumulator of gradients of one shape."));
  access("AccumulatorNumAccumulated")
      .output("num_accumulated: int32")
      .shape(num_shape)
      .cpu<NumAccumulated>()
      .doc("How many gradients came since the last take.");
  access("AccumulatorSetGlobalStep")
      .input("new_global_step: int64")
      .shape(step_shape)
      .cpu<SetGlobalStep>()
      .doc("Gradients of earlier steps are dropped from now on.");
  access("AccumulatorApplyGradient")
      .input("local_step: int64")
      .input("gradient: dtype")
      .attr("dtype: numbertype")
      .shape(step_shape)
      .cpu<Apply<false>>()
      .doc("Adds a gradient, unless its step is over.");
  access("AccumulatorTakeGradient")
      .input("num_required: int32")
      .output("average: dtype")
      .attr("dtype: numbertype")
      .shape(take_shape)
      .cpu<Take<false>>()
      .doc("The average of the gradients, once as many came.");
}

}  // namespace

void register_accumulator(Registry& registry) {
  register_dense(registry, false);
  register_dense(registry, true);
  for_floats<AccumulatorKernel<true>>(
      maker(registry, "SparseConditionalAccumulator", false).doc("An accumulator of sparse gradients."));
  registry.op("SparseAccumulatorApplyGradient")
      .input("handle: Ref(string)")
      .input("local_step: int64")
      .input("gradient_indices: int64")
      .input("gradient_values: dtype")
      .input("gradient_shape: int64")
      .attr("dtype: numbertype")
      .attr("has_known_shape: bool")
      .shape(handle_only_shape)
      .cpu<Apply<true>>()
      .not_differentiable()
      .doc("Adds slices, unless their step is over.");
  registry.op("SparseAccumulatorTakeGradient")
      .input("handle: Ref(string)")
      .input("num_required: int32")
      .output("indices: int64")
      .output("values: dtype")
      .output("shape: int64")
      .attr("dtype: numbertype")
      .shape(take_shape)
      .cpu<Take<true>>()
      .not_differentiable()
      .doc("The average of each slice, once as many gradients came.");
}

}  // namespace millrace
