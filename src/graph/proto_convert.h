#pragma once
// The pieces of GraphDef as C++ values and back.

#include "base/status.h"
#include "graph/function.h"
#include "millrace/attr.h"
#include "op/op_def.h"
#include "tensor/tensor.h"

namespace tensorflow {
class AttrValue;
class FunctionDef;
class NodeDef;
class OpDef;
class ResourceHandleProto;
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

absl::StatusOr<AttrValue> from_proto(const tensorflow::AttrValue& proto);
void to_proto(const AttrValue& value, tensorflow::AttrValue* proto);

absl::StatusOr<NodeDef> from_proto(const tensorflow::NodeDef& proto);
void to_proto(const NodeDef& node, tensorflow::NodeDef* proto);

absl::StatusOr<OpDef> from_proto(const tensorflow::OpDef& proto);
void to_proto(const OpDef& def, tensorflow::OpDef* proto);

absl::StatusOr<FunctionDef> from_proto(const tensorflow::FunctionDef& proto);
void to_proto(const FunctionDef& def, tensorflow::FunctionDef* proto);

}  // namespace millrace
