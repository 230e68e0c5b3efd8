#include <algorithm>

#include "runtime/passes/passes.h"

namespace millrace {
namespace {

// A node without effects whose values nobody reads, although others wait for it. So gradients that tf.gradients ties
// together: the gradient of a first layer's input is waited for, as its filter's is, and costs as much.
bool is_unread(const PlanNode& node, const std::vector<int>& readers) {
  if (!node.state || node.removed || node.is_stateful() || node.num_outputs() == 0) return false;
  if (runs_for_errors(node.op)) return false;
  if (std::ranges::any_of(readers, [](int n) { return n > 0; })) return false;
  for (int i = 0; i < node.num_outputs(); ++i)
    if (is_ref(node.output_type(i))) return false;
  for (const DataType type : node.info().input_types)
    if (is_ref(type) || type == DataType::kResource || type == DataType::kVariant) return false;
  return true;
}

void add_unique(int node, std::vector<int>* list) {
  if (std::ranges::find(*list, node) == list->end()) list->push_back(node);
}

}  // namespace

// Who waited for such a node waits for what it waited for.
absl::Status skip_unread(Plan& plan, Runtime&) {
  if (plan.has_control_flow) return absl::OkStatus();  // waiting there also tells a branch
  Uses uses = count_uses(plan);
  MR_ASSIGN_OR_RETURN(const std::vector<int> order, topological_order(plan));
  std::vector<std::vector<int>> waits_for(plan.nodes.size());  // of nodes that are skipped
  std::vector<bool> skipped(plan.nodes.size(), false);
  for (const int target : plan.targets) uses.data[static_cast<size_t>(target)].push_back(1);  // asked for: it stays
  for (auto i = order.rbegin(); i != order.rend(); ++i) {  // readers first: what a skipped node read may go too
    const auto at = static_cast<size_t>(*i);
    const PlanNode& node = plan.nodes[at];
    if (uses.control[at] == 0 || !is_unread(node, uses.data[at])) continue;
    skipped[at] = true;
    for (const ValueRef& input : node.inputs) {
      --uses.data[static_cast<size_t>(input.node)][static_cast<size_t>(input.index)];
      ++uses.control[static_cast<size_t>(input.node)];
      add_unique(input.node, &waits_for[at]);
    }
    for (const int control : node.control_inputs) add_unique(control, &waits_for[at]);
  }
  for (const int i : order) {  // now the other way: what is waited for instead is settled first
    std::vector<int>& controls =
        skipped[static_cast<size_t>(i)] ? waits_for[static_cast<size_t>(i)] : plan.at(i).control_inputs;
    if (std::ranges::none_of(controls, [&](int c) { return skipped[static_cast<size_t>(c)]; })) continue;
    std::vector<int> settled;
    for (const int c : controls) {
      if (!skipped[static_cast<size_t>(c)]) add_unique(c, &settled);
      else
        for (const int other : waits_for[static_cast<size_t>(c)]) add_unique(other, &settled);
    }
    controls = std::move(settled);
  }
  return absl::OkStatus();  // pruning drops the skipped ones
}

}  // namespace millrace
