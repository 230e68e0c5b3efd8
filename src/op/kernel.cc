#include "op/kernel.h"

#include <cstring>

namespace millrace {
namespace {

const Tensor& no_tensor() {
  static const Tensor tensor{};
  return tensor;
}

}  // namespace

absl::Status AsyncKernel::compute(KernelContext& ctx) {
  return internal_error("op '", ctx.node().op, "' is asynchronous and was called as if it were not");
}

const Tensor& KernelContext::input(int i) const {
  return static_cast<size_t>(i) < inputs_.size() ? inputs_[static_cast<size_t>(i)].tensor : no_tensor();
}

absl::Status KernelContext::check_input(int i, DataType dtype, int rank) const {
  const Tensor& t = input(i);
  if (t.dtype() != dtype) [[unlikely]] {
    if (!t.has_value()) return failed_precondition("'", node_.name, "' (", node_.op, "): input ", i, " has no value");
    return invalid_argument("'", node_.name, "' (", node_.op, "): input ", i, " must be ", dtype_name(dtype), ", got ",
                            dtype_name(t.dtype()));
  }
  if (rank >= 0 && t.rank() != rank) [[unlikely]] {
    return invalid_argument("'", node_.name, "' (", node_.op, "): input ", i, " must be ",
                            rank == 0 ? "a scalar" : "a vector", ", got shape ", t.shape());
  }
  return absl::OkStatus();
}

absl::Status KernelContext::check_output(int i, DataType dtype) const {
  if (static_cast<size_t>(i) >= outputs_.size() || output_types_[i] != dtype) [[unlikely]] {
    return internal_error("'", node_.name, "' (", node_.op, "): no output ", i, " of type ", dtype_name(dtype));
  }
  return absl::OkStatus();
}

absl::StatusOr<int64_t> KernelContext::int_scalar(int i) const {
  if (input(i).dtype() == DataType::kInt32) return scalar<int32_t>(i);
  return scalar<int64_t>(i);
}

absl::StatusOr<std::vector<int64_t>> KernelContext::int_values(int i) const {
  if (input(i).dtype() == DataType::kInt32) {
    MR_ASSIGN_OR_RETURN(const auto narrow, flat<int32_t>(i));
    return std::vector<int64_t>(narrow.begin(), narrow.end());
  }
  MR_ASSIGN_OR_RETURN(const auto wide, flat<int64_t>(i));
  return std::vector<int64_t>(wide.begin(), wide.end());
}

absl::StatusOr<TensorShape> KernelContext::shape_value(int i) const {
  if (input(i).has_value() && input(i).rank() != 1) {
    return invalid_argument("'", node_.name, "' (", node_.op, "): shape must be a vector of {int32,int64}, got shape ",
                            shape(i));
  }
  MR_ASSIGN_OR_RETURN(const std::vector<int64_t> dims, int_values(i));
  return make_shape(dims);
}

absl::StatusOr<std::shared_ptr<VariableResource>> KernelContext::variable(int i) const {
  if (is_ref(i)) return inputs_[static_cast<size_t>(i)].variable;
  MR_ASSIGN_OR_RETURN(const ResourceHandle h, handle(i));
  absl::StatusOr<std::shared_ptr<VariableResource>> variable =
      resources().lookup<VariableResource>(h.container, h.name);
  if (!variable.ok() && variable.status().code() == absl::StatusCode::kNotFound) {
    return failed_precondition("Could not find variable ", h.name,
                               ". This could mean that the variable has been deleted or was never initialized. ",
                               to_std(variable.status().message()));
  }
  return variable;
}

absl::StatusOr<ResourceHandle> KernelContext::handle(int i) const {
  MR_RETURN_IF_ERROR(check_input(i, DataType::kResource, 0));
  return input(i).unchecked<ResourceHandle>()[0];
}

absl::StatusOr<Tensor*> KernelContext::allocate_output(int i, const TensorShape& shape) {
  if (static_cast<size_t>(i) >= outputs_.size()) return internal_error("'", node_.name, "' has no output ", i);
  Tensor& out = outputs_[static_cast<size_t>(i)].tensor;
  MR_ASSIGN_OR_RETURN(out, make_tensor(output_types_[i], shape, allocator_));
  return &out;
}

absl::StatusOr<Tensor*> KernelContext::forward_or_allocate_output(std::initializer_list<int> inputs, int output,
                                                                  const TensorShape& shape) {
  if (static_cast<size_t>(output) >= outputs_.size())
    return internal_error("'", node_.name, "' has no output ", output);
  const DataType dtype = output_types_[output];
  for (const int i : inputs) {
    if (static_cast<size_t>(i) >= inputs_.size() || is_ref(i)) continue;
    // The executor moves a value into the inputs at its last use, so that its buffer then has one owner: this context.
    Tensor& in = inputs_[static_cast<size_t>(i)].tensor;
    if (!in.owns_buffer_alone() || in.num_elements() != shape.num_elements() || !is_pod(in.dtype()) ||
        (in.dtype() != dtype && (!is_pod(dtype) || dtype_size(in.dtype()) != dtype_size(dtype)))) {
      continue;
    }
    Buffer* buffer = in.buffer();
    buffer->ref();  // the input stays readable: it shares the buffer
    outputs_[static_cast<size_t>(output)].tensor = TensorFactory::tensor(dtype, shape, buffer, in.raw_mutable_data());
    return &outputs_[static_cast<size_t>(output)].tensor;
  }
  return allocate_output(output, shape);
}

absl::Status KernelContext::set_output(int i, Tensor tensor) {
  MR_RETURN_IF_ERROR(check_output(i, tensor.dtype()));
  outputs_[static_cast<size_t>(i)].tensor = std::move(tensor);
  return absl::OkStatus();
}

absl::Status KernelContext::set_output_ref(int i, std::shared_ptr<VariableResource> variable) {
  MR_RETURN_IF_ERROR(check_output(i, ref_dtype(variable->dtype())));
  InputValue& out = outputs_[static_cast<size_t>(i)];
  out.tensor = Tensor();
  out.variable = std::move(variable);
  return absl::OkStatus();
}

absl::Status KernelContext::check_cancelled() const {
  if (cancellation() == nullptr || !cancellation()->is_cancelled()) return absl::OkStatus();
  return cancellation()->status();
}

absl::Status KernelContext::forward_ref(int in, int out) {
  if (!is_ref(in)) return internal_error("'", node_.name, "': input ", in, " is not a reference");
  return set_output_ref(out, inputs_[static_cast<size_t>(in)].variable);
}

}  // namespace millrace
