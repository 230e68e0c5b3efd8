#pragma once
// Weights of losses and metrics against the values they weigh: tf.weights_broadcast_ops.

#include "millrace/graph.h"

namespace millrace {

// An operation that fails unless weights are a scalar, or of the values' rank with each dimension equal or 1.
// InvalidArgumentError where the shapes say so already.
Operation assert_broadcastable(const Input& weights, const Input& values);
// Weights times ones of the values' shape.
Output broadcast_weights(const Output& weights, const Output& values);

}  // namespace millrace
