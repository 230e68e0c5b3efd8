#pragma once
// Handles of both generations: a scalar `resource`, and, before TensorFlow 1.0's resources, a reference to a vector of
// two strings, container and name. One kernel serves the ops of both.

#include "op/kernel.h"
#include "op/shape_context.h"

namespace millrace {

// What input i leads to. InvalidArgument for a reference that holds no handle, NotFound where there is no such thing.
template <class T> absl::StatusOr<std::shared_ptr<T>> resource_of(const KernelContext& ctx, int i) {
  if (!ctx.is_ref(i)) return ctx.resource<T>(i);
  MR_ASSIGN_OR_RETURN(const auto reference, ctx.variable(i));
  MR_ASSIGN_OR_RETURN(const Tensor value, reference->value(ctx.node().op));
  if (value.dtype() != DataType::kString || value.num_elements() != 2)
    return invalid_argument(ctx.node().op, ": Resource handle must have 2 elements, but had shape: ", value.shape());
  const std::span<const std::string> names = value.unchecked<std::string>();
  return ctx.resources().lookup<T>(names[0], names[1]);
}

// The handle as output i, in the form that the op declares.
inline absl::Status set_handle(KernelContext& ctx, int i, ResourceHandle handle) {
  if (!is_ref(ctx.node().output_types.at(static_cast<size_t>(i)))) return ctx.set_scalar(i, std::move(handle));
  auto reference = std::make_shared<VariableResource>(DataType::kString, PartialTensorShape({2}));
  reference->set(Tensor(std::vector<std::string>{std::move(handle.container), std::move(handle.name)}));
  return ctx.set_output_ref(i, std::move(reference));
}

// --- shapes of ops whose inputs are handles of the old form, and scalars behind them

inline absl::Status ref_handle_shape(ShapeContext& c) { return c.set_output(0, PartialTensorShape({2})); }

inline absl::Status check_ref_handle(ShapeContext& c, int i) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape handle, c.with_rank(i, 1));
  if (handle.dim(0) == 2 || handle.dim(0) < 0) return absl::OkStatus();
  return invalid_argument("Dimension must be 2 but is ", handle.dim(0));
}

inline absl::Status ref_handles_and_scalars(ShapeContext& c) {
  for (int i = 0; i < c.num_inputs(); ++i) MR_RETURN_IF_ERROR(check_ref_handle(c, i));
  return scalar_shape(c);
}

}  // namespace millrace
