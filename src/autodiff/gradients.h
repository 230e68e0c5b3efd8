#pragma once
// The gradient driver: tf.gradients of TensorFlow's Python API, node for node.

#include <string>
#include <vector>

#include "graph/graph.h"
#include "millrace/gradients.h"

namespace millrace {

struct GradientSpec {
  std::vector<Output> ys;
  std::vector<Output> xs;         // outputs; of reference variables the reference, of resource variables the handle
  std::vector<Gradient> grad_ys;  // empty or one per y; absent ones stand for ones
  std::string name = "gradients";
  bool colocate_with_ops = false;
  bool gate = false;
  AggregationMethod aggregation = AggregationMethod::DEFAULT;
  std::vector<Output> stop_gradients;
  bool zeros_for_unconnected = false;
  std::string source;
};
// One per x. NotFound: "No gradient defined for operation 'NAME' (op type: TYPE)".
absl::StatusOr<std::vector<Gradient>> add_gradients(GraphImpl& graph, const GradientSpec& spec);

// IndexedSlices as a dense tensor, in the scope of its values.
absl::StatusOr<Output> densify(GraphImpl& graph, const IndexedSlices& slices);

}  // namespace millrace
