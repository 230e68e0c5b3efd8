#include "runtime/passes/passes.h"

namespace millrace {
namespace {

// Identities of references stay: they take the variable's value at one moment for all their readers. Those that wait
// for something stay too, as their readers wait through them.
bool hands_on(const Plan& plan, const PlanNode& node) {
  if (!node.state || node.removed || node.inputs.size() != 1 || !node.control_inputs.empty()) return false;
  if (node.op != "Identity" && node.op != "StopGradient" && node.op != "PreventGradient" && node.op != "Snapshot")
    return false;
  return !is_ref(plan.at(node.inputs[0].node).output_type(node.inputs[0].index));
}

}  // namespace

absl::Status skip_identities(Plan& plan, Runtime&) {
  // Where nodes may be dead, an identity can be what tells a branch: leave all.
  if (plan.has_control_flow) return absl::OkStatus();
  Replacements replacements(plan.nodes.size());
  for (size_t i = 0; i < plan.nodes.size(); ++i) {
    if (hands_on(plan, plan.nodes[i])) replacements.add({static_cast<int>(i), 0}, plan.nodes[i].inputs[0]);
  }
  replacements.apply(plan);
  return absl::OkStatus();
}

}  // namespace millrace
