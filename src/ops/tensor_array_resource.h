#pragma once
// The memory behind TF1's TensorArray: tensors by index, each written once and, by default, read once. It lives in the
// step that made it. Its gradient is another array that adds up what is written to an index.

#include <mutex>
#include <span>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "op/resource.h"
#include "tensor/tensor.h"

namespace millrace {

// Thread-safe. Indices and values come from graphs: nothing about them is taken for granted, and memory is spent on
// what was written, not on the size that the array claims to have.
class TensorArrayResource final : public Resource {
 public:
  struct Options {
    DataType dtype = DataType::kInvalid;
    PartialTensorShape element_shape;
    int32_t size = 0;
    bool dynamic_size = false;
    bool clear_after_read = true;
    bool identical_element_shapes = false;
    bool is_gradient = false;  // writes to one index add up
  };
  TensorArrayResource(std::string name, Options options) : name_(std::move(name)), options_(std::move(options)) {}

  std::string description() const override { return "TensorArray " + name_; }
  DataType dtype() const { return options_.dtype; }
  bool is_gradient() const { return options_.is_gradient; }
  bool has_dynamic_size() const { return options_.dynamic_size; }

  absl::StatusOr<int32_t> size() const;
  // How many elements concat takes: of a gradient, those that the forward array was split or concatenated into.
  absl::StatusOr<int32_t> concat_size() const;
  void mark_size(int32_t size);

  absl::Status write(int64_t index, const Tensor& value);
  absl::StatusOr<Tensor> read(int64_t index);
  absl::Status close();

  // A new array for the gradients of this one: an index that this one has written is zero there, with
  // `prepend` before the element's dimensions.
  absl::StatusOr<std::shared_ptr<TensorArrayResource>> make_gradient(std::string name,
                                                                     const TensorShape& prepend) const;

 private:
  struct Slot {
    Tensor value;  // no value: zeros of `shape`, or cleared
    TensorShape shape;
    bool read = false;
    bool cleared = false;
  };
  absl::Status check_open() const;
  absl::Status check_value(int64_t index, const Tensor& value);
  absl::Status add_to(Slot& slot, int64_t index, const Tensor& value);

  const std::string name_;
  mutable std::mutex mutex_;
  Options options_;
  int32_t marked_size_ = -1;  // -1: never marked
  bool closed_ = false;
  absl::flat_hash_map<int32_t, Slot> slots_;  // of the indices that were written
};

}  // namespace millrace
