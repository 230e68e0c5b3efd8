#include "ops/tensor_array_resource.h"

#include <limits>

#include "kernels/elementwise.h"
#include "kernels/number.h"
#include "op/registry.h"

namespace millrace {
namespace {

struct Plus {
  template <class T> T operator()(const T& x, const T& y) const { return Add::apply(x, y); }
};

template <class... Ts> BinaryLoop find_sum(DataType dtype, Types<Ts...>) {
  BinaryLoop loop = nullptr;
  ((dtype_of<Ts> == dtype ? void(loop = &binary_loop<Plus, Ts>) : void()), ...);
  return loop;
}

}  // namespace

absl::Status TensorArrayResource::check_open() const {
  return closed_ ? invalid_argument("TensorArray ", name_, " has already been closed.") : absl::OkStatus();
}

absl::StatusOr<int32_t> TensorArrayResource::size() const {
  const std::lock_guard lock(mutex_);
  MR_RETURN_IF_ERROR(check_open());
  return options_.size;
}

absl::StatusOr<int32_t> TensorArrayResource::concat_size() const {
  const std::lock_guard lock(mutex_);
  MR_RETURN_IF_ERROR(check_open());
  return options_.is_gradient && marked_size_ >= 0 ? marked_size_ : options_.size;
}

void TensorArrayResource::mark_size(int32_t size) {
  const std::lock_guard lock(mutex_);
  if (!options_.is_gradient) marked_size_ = size;
}

absl::Status TensorArrayResource::check_value(int64_t index, const Tensor& value) {
  if (value.dtype() != options_.dtype)
    return invalid_argument("TensorArray ", name_, ": Could not write to TensorArray index ", index,
                            " because the value dtype is ", dtype_name(value.dtype()), " but TensorArray dtype is ",
                            dtype_name(options_.dtype), ".");
  if (!options_.element_shape.is_compatible_with(value.shape()))
    return invalid_argument(
        "TensorArray ", name_, ": Could not write to TensorArray index ", index, " because the value shape is ",
        value.shape(), " which is incompatible with the TensorArray's inferred element shape: ", options_.element_shape,
        " (consider setting infer_shape=False).");
  if (options_.identical_element_shapes && !options_.element_shape.is_fully_defined())
    options_.element_shape = value.shape();
  return absl::OkStatus();
}

absl::Status TensorArrayResource::write(int64_t index, const Tensor& value) {
  const std::lock_guard lock(mutex_);
  MR_RETURN_IF_ERROR(check_open());
  if (index < 0 || index >= (options_.dynamic_size ? int64_t{std::numeric_limits<int32_t>::max()} : options_.size))
    return invalid_argument("TensorArray ", name_, ": Tried to write to index ", index,
                            " but array is not resizeable and size is: ", options_.size);
  MR_RETURN_IF_ERROR(check_value(index, value));
  const auto [at, fresh] = slots_.try_emplace(static_cast<int32_t>(index));
  Slot& slot = at->second;
  options_.size = std::max(options_.size, static_cast<int32_t>(index + 1));
  if (!fresh) {
    if (slot.read || !options_.is_gradient)
      return invalid_argument("TensorArray ", name_, ": Could not write to TensorArray index ", index,
                              " because it has already been ", slot.read ? "read." : "written to.");
    return add_to(slot, index, value);
  }
  slot.value = value;
  slot.shape = value.shape();
  return absl::OkStatus();
}

absl::Status TensorArrayResource::add_to(Slot& slot, int64_t index, const Tensor& value) {
  if (slot.shape != value.shape())
    return invalid_argument("TensorArray ", name_, ": Could not aggregate to TensorArray index ", index,
                            " because the existing shape is ", slot.shape, " but the new input shape is ",
                            value.shape(), ".");
  if (!slot.value.has_value()) {  // zeros
    slot.value = value;
    return absl::OkStatus();
  }
  const BinaryLoop sum = find_sum(options_.dtype, NumberTypes{});
  if (sum == nullptr)
    return invalid_argument("TensorArray ", name_, ": Could not aggregate to TensorArray index ", index,
                            ": values of type ", dtype_name(options_.dtype), " cannot be added.");
  Tensor into = slot.value;
  slot.value.reset();
  const bool in_place = into.owns_buffer_alone();
  Tensor total = into;
  if (!in_place) {
    MR_ASSIGN_OR_RETURN(total, make_tensor(options_.dtype, slot.shape));
  }
  sum(into.raw_data(), value.raw_data(), total.raw_mutable_data(), slot.shape.num_elements());
  slot.value = std::move(total);
  return absl::OkStatus();
}

absl::StatusOr<Tensor> TensorArrayResource::read(int64_t index) {
  const std::lock_guard lock(mutex_);
  MR_RETURN_IF_ERROR(check_open());
  if (index < 0 || index >= options_.size)
    return invalid_argument("Tried to read from index ", index, " but array size is: ", options_.size);
  auto at = slots_.find(static_cast<int32_t>(index));
  if (at == slots_.end()) {
    const absl::StatusOr<TensorShape> shape = as_tensor_shape(options_.element_shape);
    if (!shape.ok())
      return invalid_argument("TensorArray ", name_, ": Could not read from TensorArray index ", index,
                              ".  Furthermore, the element shape is not fully defined: ", options_.element_shape,
                              ".  Nothing was written there; with the element's whole shape given to the TensorArray, "
                              "zeros would be returned instead.");
    at = slots_.try_emplace(static_cast<int32_t>(index)).first;
    at->second.shape = *shape;
  }
  Slot& slot = at->second;
  if (slot.cleared)
    return invalid_argument("TensorArray ", name_, ": Could not read index ", index,
                            " twice because it was cleared after a previous read (perhaps try setting "
                            "clear_after_read = false?).");
  Tensor value = std::move(slot.value);
  slot.value.reset();
  if (!value.has_value()) {
    MR_ASSIGN_OR_RETURN(value, make_zeroed_tensor(options_.dtype, slot.shape));
  }
  slot.read = true;
  if (options_.clear_after_read) slot.cleared = true;
  else slot.value = value;
  return value;
}

absl::Status TensorArrayResource::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  slots_.clear();
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<TensorArrayResource>> TensorArrayResource::make_gradient(
    std::string name, const TensorShape& prepend) const {
  const std::lock_guard lock(mutex_);
  MR_RETURN_IF_ERROR(check_open());
  Options options = options_;
  options.dynamic_size = false;
  options.clear_after_read = true;
  options.is_gradient = true;
  MR_ASSIGN_OR_RETURN(options.element_shape, concatenate(PartialTensorShape(prepend), options_.element_shape));
  auto gradient = std::make_shared<TensorArrayResource>(std::move(name), std::move(options));
  gradient->marked_size_ = marked_size_;
  for (const auto& [index, slot] : slots_) {
    MR_ASSIGN_OR_RETURN(gradient->slots_[index].shape, concatenate(prepend, slot.shape));
  }
  return gradient;
}

}  // namespace millrace
