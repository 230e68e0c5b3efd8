#pragma once
// What the shape functions of array ops share: integers that are known at construction, and what is known of a value
// that a later node takes as a shape.
//
// A partial value of an integer vector is the shape that it would be; of an integer scalar, the shape of one dimension
// that holds it. Both say -1 where an element is unknown.

#include <optional>
#include <vector>

#include "op/shape_context.h"
#include "tensor/shape.h"

namespace millrace {

// The integers of input i where all are known, as a constant or from the shapes of earlier nodes.
absl::StatusOr<std::optional<std::vector<int64_t>>> known_ints(ShapeContext& c, int i);
absl::StatusOr<std::optional<int64_t>> known_int(ShapeContext& c, int i);

// What is known of input i (an integer scalar or vector) as a partial value; nullopt if nothing is, or if an element is
// negative, which no shape can hold.
std::optional<PartialTensorShape> known_partial(ShapeContext& c, int i);

// An axis in [-rank, rank) made non-negative; InvalidArgument in the words of TensorFlow's shape functions.
absl::StatusOr<int64_t> checked_axis(int64_t axis, int64_t rank);

// Output 0 like input 0, with what is known of its value and of the values behind its handle.
absl::Status identity_shape(ShapeContext& c);

std::vector<int64_t> to_dims(const PartialTensorShape& shape);  // the shape has a rank

// Merges dimension sizes (-1 unknown); InvalidArgument where they differ.
absl::StatusOr<int64_t> merge_dim(int64_t a, int64_t b);
// Product of sizes, -1 if one is unknown or the product overflows.
int64_t multiply_dims(int64_t a, int64_t b);
int64_t add_dims(int64_t a, int64_t b);

}  // namespace millrace
