#pragma once
// Gradients of conditions: what flows into a Merge is handed to the branch that was taken, and what comes out of a
// Switch meets zeros of the branch that was not. Loops are refused.

#include <string>
#include <vector>

#include "autodiff/gradients.h"

namespace millrace {

bool is_switch(const Node& node);  // or a RefSwitch
bool is_switch_or_merge(const Node& node);

// The gradients of a Switch's or Merge's inputs; absent where there is none.
absl::StatusOr<std::vector<Gradient>> cond_gradient(GraphImpl& graph, Node* node, const std::vector<Gradient>& dys,
                                                    const std::string& source);

// Zeros for an output of a Switch on which nothing depends; they are made where the other output is alive.
absl::StatusOr<Output> zeros_of_other_branch(GraphImpl& graph, const Output& output, const std::string& source);

}  // namespace millrace
