#pragma once
// Elements in and out of batches: rows along the first dimension.

#include "data/dataset.h"

namespace millrace {

// Copies `count` elements of equal dtype; both ranges must lie inside the tensors. Strings are moved where `from` is
// the only owner of its buffer, so `from` is used up.
void copy_elements(Tensor& from, int64_t from_begin, Tensor& to, int64_t to_begin, int64_t count);

// The same of a tensor that stays as it is.
void copy_values(const Tensor& from, int64_t from_begin, Tensor& to, int64_t to_begin, int64_t count);

// A copy of row i, without the first dimension. 0 <= i < dim 0.
absl::StatusOr<Tensor> copy_row(const Tensor& tensor, int64_t i);
// A copy of rows [begin, begin + count), which must be there.
absl::StatusOr<Tensor> copy_rows(const Tensor& tensor, int64_t begin, int64_t count);

// The elements as rows of one tensor per component, in order; `elements` (not empty) is used up. InvalidArgument where
// shapes differ.
absl::StatusOr<Element> stack_rows(std::vector<Element>& elements);

// The value as a tensor of `dtype`: an int64 as any number type that RangeDataset may have.
absl::StatusOr<Tensor> integer_as(DataType dtype, int64_t value);

}  // namespace millrace
