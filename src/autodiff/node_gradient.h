#pragma once
// One op's gradient rule, run on a graph: the GradientContext that rules see.

#include <string>
#include <vector>

#include "autodiff/gradients.h"

namespace millrace {

// The gradients of the node's inputs from those of its outputs; new nodes go into the graph's current scopes.
absl::StatusOr<std::vector<Gradient>> node_gradient(GraphImpl& graph, Node* node, const std::vector<Gradient>& dys,
                                                    const std::string& source);

}  // namespace millrace
