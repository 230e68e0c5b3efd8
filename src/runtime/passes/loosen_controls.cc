// Control edges order effects: reads and updates of variables, and whatever else lives beyond a step. An edge from a
// node without effects orders nothing by itself, only what that node had to wait for; where the waiting node waits for
// all of that anyway, the edge says nothing and goes. Gradients are full of such edges (each rule's results wait for
// each other), and they keep ops apart that could be fused.

#include <algorithm>

#include "runtime/passes/passes.h"

namespace millrace {
namespace {

class Loosener {
 public:
  explicit Loosener(Plan& plan) : plan_(plan), uses_(count_uses(plan)) {}

  absl::Status run() {
    MR_ASSIGN_OR_RETURN(const std::vector<int> order, topological_order(plan_));
    number_effects();
    before_.resize(plan_.nodes.size());
    for (const int i : order) {
      Set& set = before_[static_cast<size_t>(i)];
      set.assign((effects_ + 63) / 64, 0);
      PlanNode& node = plan_.at(i);
      for (const ValueRef& input : node.inputs) add(input.node, &set);
      std::vector<int> kept;
      for (const int from : node.control_inputs)
        if (effect_[static_cast<size_t>(from)] >= 0) keep(from, &kept, &set);
      for (const int from : node.control_inputs) {
        if (effect_[static_cast<size_t>(from)] >= 0) continue;
        if (!runs_anyway(from) || !contains(set, before_[static_cast<size_t>(from)])) keep(from, &kept, &set);
      }
      node.control_inputs = std::move(kept);
    }
    return absl::OkStatus();
  }

 private:
  using Set = std::vector<uint64_t>;  // of effects

  void number_effects() {
    effect_.assign(plan_.nodes.size(), -1);
    for (size_t i = 0; i < plan_.nodes.size(); ++i) {
      const PlanNode& node = plan_.nodes[i];
      if (!node.removed && has_effect(node)) effect_[i] = static_cast<int>(effects_++);
    }
  }
  bool has_effect(const PlanNode& node) const {
    if (node.is_feed()) return false;
    if (node.is_stateful() || runs_for_errors(node.op)) return true;
    return std::ranges::any_of(node.inputs, [&](const ValueRef& input) {
      return is_ref(plan_.at(input.node).output_type(input.index));  // reads a variable when it runs
    });
  }

  // True if values of what the edge waits for are read: it runs, and says what is wrong with it, without the edge too.
  bool runs_anyway(int from) const {
    const PlanNode& node = plan_.at(from);
    if (node.op != "NoOp") return is_read(from);
    return std::ranges::all_of(node.control_inputs, [&](int c) { return is_read(c); });
  }
  bool is_read(int node) const {
    return std::ranges::any_of(uses_.data[static_cast<size_t>(node)], [](int readers) { return readers > 0; });
  }

  void add(int from, Set* set) const {
    const Set& other = before_[static_cast<size_t>(from)];
    for (size_t w = 0; w < other.size(); ++w) (*set)[w] |= other[w];
    if (const int effect = effect_[static_cast<size_t>(from)]; effect >= 0)
      (*set)[static_cast<size_t>(effect) / 64] |= uint64_t{1} << (effect % 64);
  }
  void keep(int from, std::vector<int>* kept, Set* set) const {
    kept->push_back(from);
    add(from, set);
  }
  static bool contains(const Set& all, const Set& some) {
    for (size_t w = 0; w < some.size(); ++w)
      if ((some[w] & ~all[w]) != 0) return false;
    return true;
  }

  Plan& plan_;
  const Uses uses_;
  size_t effects_ = 0;
  std::vector<int> effect_;  // by node: its number, or -1
  std::vector<Set> before_;  // by node: the effects that come before it
};

}  // namespace

absl::Status loosen_controls(Plan& plan, Runtime&) {
  if (plan.has_control_flow) return absl::OkStatus();  // there, edges also tell what runs at all
  return Loosener(plan).run();
}

}  // namespace millrace
