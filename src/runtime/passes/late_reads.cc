// In TF1 a value read from a reference variable is the variable's own memory: what runs after an update sees the new
// value, even if the read stands before it. Moving averages that run behind a train op's control dependency rely on
// that. Our reads are values of their own, so readers that must run behind an update of their variable read it
// themselves, when they run.

#include <algorithm>

#include "absl/container/flat_hash_map.h"
#include "runtime/passes/passes.h"

namespace millrace {
namespace {

bool is_reference_variable(const PlanNode& node) { return node.op == "VariableV2" || node.op == "Variable"; }

class LateReads {
 public:
  explicit LateReads(Plan& plan) : plan_(plan) {}

  bool run() {
    find_reads_and_updates();
    bool changed = false;
    for (const auto& [variable, reads] : reads_) {
      const auto updates = updates_.find(variable);
      if (updates == updates_.end()) continue;
      const std::vector<bool> behind = behind_of(updates->second);
      for (const int read : reads) {
        for (const int user : users_[static_cast<size_t>(read)]) {
          if (behind[static_cast<size_t>(user)]) changed |= rewire(user, read, variable);
        }
      }
    }
    return changed;
  }

 private:
  void find_reads_and_updates() {
    users_.resize(plan_.nodes.size());
    for (size_t n = 0; n < plan_.nodes.size(); ++n) {
      const PlanNode& node = plan_.nodes[n];
      if (node.removed) continue;
      const auto i = static_cast<int>(n);
      for (size_t k = 0; k < node.inputs.size(); ++k) {
        const int from = node.inputs[k].node;
        users_[static_cast<size_t>(from)].push_back(i);
        if (!is_reference_variable(plan_.at(from))) continue;
        if (node.op == "Identity") reads_[from].push_back(i);
        if (is_ref(node.input_type(static_cast<int>(k))) && flow_kind(node.op) == FlowKind::kNone)
          updates_[from].push_back(i);
      }
      for (const int from : node.control_inputs) users_[static_cast<size_t>(from)].push_back(i);
    }
  }

  // What needs one of the nodes to have run.
  std::vector<bool> behind_of(const std::vector<int>& nodes) const {
    std::vector<bool> behind(plan_.nodes.size());
    std::vector<int> open = nodes;
    while (!open.empty()) {
      const int next = open.back();
      open.pop_back();
      for (const int user : users_[static_cast<size_t>(next)]) {
        if (behind[static_cast<size_t>(user)]) continue;
        behind[static_cast<size_t>(user)] = true;
        open.push_back(user);
      }
    }
    return behind;
  }

  bool rewire(int user, int read, int variable) {
    PlanNode& node = plan_.at(user);
    if (flow_kind(node.op) != FlowKind::kNone) return false;
    const auto reads = std::ranges::count_if(node.inputs, [&](const ValueRef& input) { return input.node == read; });
    if (reads == 0) return false;  // waits for it only
    for (ValueRef& input : node.inputs) {
      if (input.node == read) input = {variable, 0};
    }
    for (const int control : plan_.at(read).control_inputs) {
      if (std::ranges::find(node.control_inputs, control) == node.control_inputs.end())
        node.control_inputs.push_back(control);
    }
    return true;
  }

  Plan& plan_;
  std::vector<std::vector<int>> users_;               // of data and of control, by node
  absl::flat_hash_map<int, std::vector<int>> reads_;  // by variable
  absl::flat_hash_map<int, std::vector<int>> updates_;
};

}  // namespace

void read_behind_updates(Plan& plan) {
  if (LateReads(plan).run()) prune(plan);
}

}  // namespace millrace
