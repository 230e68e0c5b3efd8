#pragma once
// Holds symbolic gradients against numeric ones. It runs graphs through a function that the caller gives, so that it
// needs no runtime of its own.
//
//   MR_ASSIGN_OR_RETURN(GradientError e, check_gradients(graph, {x}, {x_value}, y, evaluate));
//   EXPECT_LT(e.relative, 1e-3) << e.description;

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "graph/graph.h"

namespace millrace {

using Evaluate = std::function<absl::StatusOr<std::vector<Tensor>>(const std::vector<std::pair<Output, Tensor>>& feeds,
                                                                   const std::vector<Output>& fetches)>;

struct GradientCheckOptions {
  double delta = 0;   // step of the difference; 0: suited to the dtype
  uint64_t seed = 1;  // of the weights that make one number of y
};

struct GradientError {
  double absolute = 0;      // largest difference of one element
  double relative = 0;      // the same, relative to max(1, |numeric|)
  std::string description;  // which element of which x, and both values
};

// d(sum of weights * y)/dx for every element of every x, by gradients() and by central differences. xs are float or
// double tensors that may be fed; y is float or double.
absl::StatusOr<GradientError> check_gradients(GraphImpl& graph, const std::vector<Output>& xs,
                                              const std::vector<Tensor>& values, const Output& y,
                                              const Evaluate& evaluate, const GradientCheckOptions& options = {});

}  // namespace millrace
