#pragma once
// Puts a tensor together from overlapping or touching rectangular parts, and knows when nothing is missing.

#include <vector>

#include "checkpoint/tensor_slice.h"
#include "millrace/tensor.h"

namespace millrace {

class SliceFiller {
 public:
  // `target` holds the elements of `wanted`, a resolved slice of some full tensor. Borrowed.
  SliceFiller(Tensor* target, const TensorSlice& wanted);

  // Copies what `shared` names from `source`, which holds the elements of `where`. Both are resolved slices of the full
  // tensor; `shared` lies inside `where` and inside what is wanted.
  void copy(const Tensor& source, const TensorSlice& where, const TensorSlice& shared);
  // Every element of the target has been copied.
  bool complete() const { return missing_ == 0; }

 private:
  Tensor* target_;
  TensorSlice wanted_;
  std::vector<bool> filled_;
  int64_t missing_;
};

}  // namespace millrace
