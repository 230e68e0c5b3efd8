#pragma once
// The pieces of GraphDef as C++ values and back; its tensors and shapes: tensor/tensor_proto.h.

#include "base/status.h"
#include "graph/function.h"
#include "millrace/attr.h"
#include "op/op_def.h"
#include "tensor/tensor_proto.h"

namespace tensorflow {
class AttrValue;
class FunctionDef;
class NodeDef;
class OpDef;
}  // namespace tensorflow

namespace millrace {

absl::StatusOr<AttrValue> from_proto(const tensorflow::AttrValue& proto);
void to_proto(const AttrValue& value, tensorflow::AttrValue* proto);

absl::StatusOr<NodeDef> from_proto(const tensorflow::NodeDef& proto);
void to_proto(const NodeDef& node, tensorflow::NodeDef* proto);

absl::StatusOr<OpDef> from_proto(const tensorflow::OpDef& proto);
void to_proto(const OpDef& def, tensorflow::OpDef* proto);

absl::StatusOr<FunctionDef> from_proto(const tensorflow::FunctionDef& proto);
void to_proto(const FunctionDef& def, tensorflow::FunctionDef* proto);

}  // namespace millrace
