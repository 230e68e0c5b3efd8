#include "ops/tensor_wire.h"

#include "base/wire.h"

namespace millrace {

absl::Status append_tensor(std::string& out, const Tensor& tensor) {
  if (tensor.dtype() != DataType::kString && !is_pod(tensor.dtype()))
    return unimplemented("Tensors of dtype ", dtype_name(tensor.dtype()), " have no serialized form.");
  append_varint_field(out, 1, static_cast<uint64_t>(tensor.dtype()));
  std::string shape;
  for (const int64_t size : tensor.shape().dims()) {
    std::string dim;
    if (size != 0) append_varint_field(dim, 1, static_cast<uint64_t>(size));
    append_bytes_field(shape, 2, dim);
  }
  append_bytes_field(out, 2, shape);
  if (tensor.dtype() == DataType::kString) {
    for (const std::string& s : tensor.unchecked<std::string>()) append_bytes_field(out, 8, s);
  } else if (tensor.num_elements() > 0) {
    append_bytes_field(out, 4, {static_cast<const char*>(tensor.raw_data()), tensor.byte_size()});
  }
  return absl::OkStatus();
}

}  // namespace millrace
