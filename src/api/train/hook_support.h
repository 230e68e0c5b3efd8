#pragma once
// What several hooks share.

#include <string_view>

#include "millrace/graph.h"

namespace millrace::train {

// The read of the global step that hooks fetch; FailedPrecondition (TF1's RuntimeError) if the graph has no global
// step.
Output required_global_step(std::string_view hook);
// An int32 or int64 scalar.
int64_t step_of(const Tensor& value);

}  // namespace millrace::train
