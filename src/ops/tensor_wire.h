#pragma once
// A tensor as a serialized TensorProto: numbers as tensor_content, strings as string_val.

#include <string>

#include "base/status.h"
#include "tensor/tensor.h"

namespace millrace {

// Unimplemented for handles and variants.
absl::Status append_tensor(std::string& out, const Tensor& tensor);

}  // namespace millrace
