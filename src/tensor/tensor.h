#pragma once
// Making tensors inside the library: every maker checks sizes and returns a status.

#include <span>
#include <string_view>

#include "base/status.h"
#include "millrace/tensor.h"
#include "tensor/allocator.h"
#include "tensor/handle.h"
#include "tensor/shape.h"

namespace millrace {

// Elements of numbers are left unwritten (the kernel writes them all); strings, handles and variants are constructed.
absl::StatusOr<Tensor> make_tensor(DataType dtype, const TensorShape& shape, Allocator* allocator = nullptr);
// All elements zero, empty or false.
absl::StatusOr<Tensor> make_zeroed_tensor(DataType dtype, const TensorShape& shape, Allocator* allocator = nullptr);

// The same buffer under another shape of as many elements, or as another plain type of the same size in bytes.
absl::StatusOr<Tensor> reshaped(const Tensor& tensor, const TensorShape& shape);
absl::StatusOr<Tensor> bitcast_tensor(const Tensor& tensor, DataType dtype, const TensorShape& shape);
// Rows [begin, end) of the first dimension, sharing the buffer. 0 <= begin <= end <= dim 0, rank >= 1.
absl::StatusOr<Tensor> slice_rows(const Tensor& tensor, int64_t begin, int64_t end);
// A copy in a buffer of its own.
absl::StatusOr<Tensor> deep_copy(const Tensor& tensor);
// A tensor over memory that the buffer owns, for planned arenas; bytes must hold all elements. Plain types only.
Tensor tensor_over_buffer(DataType dtype, const TensorShape& shape, Buffer* buffer, void* data);

template <class T> absl::StatusOr<Tensor> make_scalar(T value) {
  MR_ASSIGN_OR_RETURN(Tensor t, make_tensor(dtype_of<T>, TensorShape()));
  t.unchecked_mutable<T>()[0] = std::move(value);
  return t;
}
template <class T> absl::StatusOr<Tensor> make_vector(std::span<const T> values) {
  MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({static_cast<int64_t>(values.size())}));
  MR_ASSIGN_OR_RETURN(Tensor t, make_tensor(dtype_of<T>, shape));
  std::copy(values.begin(), values.end(), t.unchecked_mutable<T>().begin());
  return t;
}

// Equal dtype, shape and bits (strings: bytes); NaN equals the same NaN. Handles compare by name, variants never.
bool bitwise_equal(const Tensor& a, const Tensor& b);

class TensorFactory {
 public:
  // Takes over one reference to the buffer.
  static Tensor tensor(DataType dtype, const TensorShape& shape, Buffer* buffer, void* data);
};

}  // namespace millrace
