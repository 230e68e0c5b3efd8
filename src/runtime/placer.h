#pragma once
// Decides on which device each node runs: what the user's device strings ask for, nodes colocated by `_class` and by
// reference edges together, and only where there is a kernel.

#include "runtime/plan.h"

namespace millrace {

// Sets NodeInfo::device of every node that has none yet. InvalidArgument "Cannot assign a device for operation NAME:
// ..."
absl::Status place(Plan& plan, const Runtime& runtime);

}  // namespace millrace
