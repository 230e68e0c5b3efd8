#pragma once
// Values that a graph determines without running: constants, known shapes, and small integer arithmetic on these. Shape
// functions and gradient rules ask for them.

#include <memory>
#include <optional>

#include "graph/node.h"

namespace millrace {

// The value of a node's output from its inputs' values and shapes, null if it is not determined (or large). Called
// once, when the node is made.
std::shared_ptr<const Tensor> fold_constant(const Node& node, int output);

// An int vector's value taken as a shape, as much as is known of it.
std::optional<PartialTensorShape> partial_shape_value(const Node& node, int output);

// What Python's tensor_util.constant_value gives: it looks through fewer ops than the above, and what Python builds
// depends on just that. Null if not determined.
std::shared_ptr<const Tensor> static_value(const Output& output);
// tensor_util.constant_value_as_shape.
PartialTensorShape static_shape_value(const Output& output);

}  // namespace millrace
