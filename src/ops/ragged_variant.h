#pragma once
// Ragged tensors as values of variants (RaggedTensorToVariant), so that lists, datasets and loops may hold them.

#include <vector>

#include "tensor/tensor.h"

namespace millrace {

// Immutable once it is shared.
struct RaggedTensorValue {
  std::vector<Tensor> splits;  // int32 or int64 vectors, the outermost first
  Tensor values;
};

}  // namespace millrace
