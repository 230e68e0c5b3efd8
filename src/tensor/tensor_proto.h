#pragma once
// Tensors and shapes as protocol buffers and back.

#include "base/status.h"
#include "tensor/tensor.h"

namespace tensorflow {
class TensorProto;
class TensorShapeProto;
}  // namespace tensorflow

namespace millrace {

// A proto may claim a shape far larger than its bytes (the last value repeats): the allocator's limits hold.
absl::StatusOr<Tensor> from_proto(const tensorflow::TensorProto& proto);
// As Python's make_tensor_proto: one number in its typed field, several in tensor_content, strings in string_val.
// Variants and opaque handles: InvalidArgument.
// `compact`: the last element stands for all equal ones before it, as where tf.zeros made the constant.
absl::Status to_proto(const Tensor& tensor, tensorflow::TensorProto* proto, bool compact = false);
// True if the proto is in that compact form.
bool is_compact(const tensorflow::TensorProto& proto);

absl::StatusOr<PartialTensorShape> from_proto(const tensorflow::TensorShapeProto& proto);
void to_proto(const PartialTensorShape& shape, tensorflow::TensorShapeProto* proto);

// How many elements stand in the typed field of that dtype; and all of a tensor's elements added to it, nothing else.
int64_t count_values(const tensorflow::TensorProto& proto, DataType dtype);
absl::Status append_values(const Tensor& tensor, tensorflow::TensorProto* proto);

}  // namespace millrace
