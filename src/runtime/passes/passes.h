#pragma once
// What is done to a plan between placing and layout: one ordered list of passes, one file each. A pass keeps every value that
// is fetched and every effect, bit for bit; it may change which kernels run.

#include "runtime/plan.h"

namespace millrace {

// All passes that the session's options allow, in order.
absl::Status run_passes(Plan& plan, Runtime& runtime);

// A node that a pass makes; the attributes are completed. It runs where `like` runs.
absl::StatusOr<PlanNode> make_plan_node(const Runtime& runtime, std::string_view op, std::string name, AttrMap attrs,
                                        const PlanNode& like);
// A constant in place of a node without control inputs.
absl::StatusOr<PlanNode> make_plan_constant(const Runtime& runtime, std::string name, Tensor value, const PlanNode& like);

// Fetched references become values where the variable stands in the step's order: what a fetch saw before the updates.
absl::Status dereference_fetches(Plan& plan, Runtime& runtime);

// Readers that run behind an update of a reference variable see the new value, as in TF1.
void read_behind_updates(Plan& plan);

}  // namespace millrace
