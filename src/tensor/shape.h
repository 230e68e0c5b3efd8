#pragma once
// Making shapes from numbers that nobody has checked yet. These are the only makers inside the library: rank,
// dimensions and the element count are checked for range and overflow.

#include <span>

#include "base/status.h"
#include "millrace/shape.h"

namespace millrace {

// InvalidArgument for a negative dimension, more than 254 of them, or an element count over int64.
absl::StatusOr<TensorShape> make_shape(std::span<const int64_t> dims);
absl::StatusOr<TensorShape> make_shape(std::initializer_list<int64_t> dims);
// The same for partial shapes: dimensions >= -1.
absl::StatusOr<PartialTensorShape> make_partial_shape(std::span<const int64_t> dims);
absl::StatusOr<PartialTensorShape> make_partial_shape(std::initializer_list<int64_t> dims);
// A partial shape of `rank` unknown dimensions; rank in [0, 254].
PartialTensorShape unknown_shape_of_rank(int rank);
// The value's shape if `shape` is fully defined.
absl::StatusOr<TensorShape> as_tensor_shape(const PartialTensorShape& shape);

// What both say; InvalidArgument where they contradict each other.
absl::StatusOr<PartialTensorShape> merge(const PartialTensorShape& a, const PartialTensorShape& b);
absl::StatusOr<PartialTensorShape> concatenate(const PartialTensorShape& a, const PartialTensorShape& b);
absl::StatusOr<TensorShape> concatenate(const TensorShape& a, const TensorShape& b);
// Numpy broadcasting; InvalidArgument "Incompatible shapes: [2] vs. [3]" where impossible.
absl::StatusOr<TensorShape> broadcast(const TensorShape& a, const TensorShape& b);
absl::StatusOr<PartialTensorShape> broadcast(const PartialTensorShape& a, const PartialTensorShape& b);

// The same dimensions with dimension `axis` (0 <= axis < rank) set to `size` (>= 0), inserted, or removed.
absl::StatusOr<TensorShape> with_dim(const TensorShape& shape, int axis, int64_t size);
absl::StatusOr<TensorShape> insert_dim(const TensorShape& shape, int axis, int64_t size);  // axis <= rank
TensorShape remove_dim(const TensorShape& shape, int axis);
// Dimensions [begin, end) of the shape, 0 <= begin <= end <= rank.
TensorShape subshape(const TensorShape& shape, int begin, int end);

// An axis given as a number in [-rank, rank) becomes one in [0, rank). `what` begins the message.
absl::StatusOr<int> canonical_axis(int64_t axis, int rank, std::string_view what);

// Only this layer makes shapes without checks.
class ShapeFactory {
 public:
  static TensorShape shape(Dims dims, int64_t num_elements);
  static PartialTensorShape partial(Dims dims);
};

}  // namespace millrace
