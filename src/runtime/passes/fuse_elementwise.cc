// Elementwise float ops that feed each other become one node, which reads and writes memory once. A group may have
// several results; it is as large as can be without a path that leaves it and comes back.

#include <algorithm>

#include "ops/fused_elementwise.h"
#include "runtime/passes/passes.h"

namespace millrace {
namespace {

constexpr size_t kMaxMembers = 48, kMaxInputs = 24;

class Fuser {
 public:
  explicit Fuser(Plan& plan) : plan_(plan), uses_(count_uses(plan)), group_(plan.nodes.size(), -1) {}

  absl::Status run() {
    MR_ASSIGN_OR_RETURN(order_, topological_order(plan_));
    position_.assign(plan_.nodes.size(), 0);
    for (size_t i = 0; i < order_.size(); ++i) position_[static_cast<size_t>(order_[i])] = static_cast<int>(i);
    find_readers();
    for (const int i : order_) {
      if (!is_fusible(plan_.at(i), i)) continue;
      group_[static_cast<size_t>(i)] = static_cast<int>(groups_.size());
      groups_.push_back({i});
      for (const ValueRef& input : plan_.at(i).inputs) join(input.node, i);
    }
    for (const std::vector<int>& members : groups_)
      if (members.size() > 1) replace(members);
    replacements_.apply(plan_);
    return absl::OkStatus();
  }

 private:
  bool is_fusible(const PlanNode& node, int i) const {
    if (!node.state || node.removed || node.is_constant() || node.is_stateful() || !node.control_inputs.empty() ||
        uses_.control[static_cast<size_t>(i)] > 0 || node.num_outputs() != 1 ||
        node.output_type(0) != DataType::kFloat || !is_fusible_elementwise(node.op))
      return false;
    if (node.inputs.empty() || node.inputs.size() > kMaxInputs || (node.op == "AddN" && node.inputs.size() < 2))
      return false;
    for (size_t k = 0; k < node.inputs.size(); ++k)
      if (node.input_type(static_cast<int>(k)) != DataType::kFloat) return false;
    return true;
  }

  void find_readers() {
    readers_.resize(plan_.nodes.size());
    for (size_t i = 0; i < plan_.nodes.size(); ++i) {
      if (plan_.nodes[i].removed) continue;
      for (const ValueRef& input : plan_.nodes[i].inputs)
        readers_[static_cast<size_t>(input.node)].push_back(static_cast<int>(i));
    }
  }

  // ---- groups

  void join(int from, int to) {
    const int a = group_[static_cast<size_t>(from)], b = group_[static_cast<size_t>(to)];
    if (a < 0 || a == b) return;
    std::vector<int>& first = groups_[static_cast<size_t>(a)];
    std::vector<int>& second = groups_[static_cast<size_t>(b)];
    if (first.size() + second.size() > kMaxMembers) return;
    if (count_inputs(first, second) > kMaxInputs) return;
    // Where nodes may be dead, the members must share their fate: all but the last are for the group alone.
    if (plan_.has_control_flow && !read_inside_only(first, b)) return;
    if (!plan_.has_control_flow && (has_way_around(a, b) || has_way_around(b, a))) return;
    for (const int member : first) group_[static_cast<size_t>(member)] = b;
    second.insert(second.end(), first.begin(), first.end());
    first.clear();
  }

  bool read_inside_only(const std::vector<int>& first, int second) const {
    const int own = group_[static_cast<size_t>(first[0])];
    for (const int member : first) {
      size_t inside = 0;
      for (const int reader : readers_[static_cast<size_t>(member)]) {
        const int group = group_[static_cast<size_t>(reader)];
        if (group != own && group != second) return false;
        ++inside;
      }
      if (static_cast<int>(inside) != uses_.data[static_cast<size_t>(member)][0]) return false;  // fetched
    }
    return true;
  }

  size_t count_inputs(const std::vector<int>& first, const std::vector<int>& second) const {
    std::vector<ValueRef> seen;
    for (const std::vector<int>* members : {&first, &second}) {
      for (const int member : *members) {
        for (const ValueRef& input : plan_.at(member).inputs) {
          const int group = group_[static_cast<size_t>(input.node)];
          if (group >= 0 &&
              (&groups_[static_cast<size_t>(group)] == &first || &groups_[static_cast<size_t>(group)] == &second))
            continue;
          if (std::ranges::find(seen, input) == seen.end()) seen.push_back(input);
        }
      }
    }
    return seen.size();
  }

  // True if a path leads from a member of `a` through nodes of neither group, other groups taken as one node each, to a
  // member of `b`.
  bool has_way_around(int a, int b) {
    const auto earliest =
        std::ranges::min(groups_[static_cast<size_t>(a)], {}, [&](int m) { return position_[static_cast<size_t>(m)]; });
    const int floor = position_[static_cast<size_t>(earliest)];
    visited_.assign(plan_.nodes.size(), false);
    std::vector<int> open;
    bool found = false;
    const auto look = [&](int from, bool from_inside) {
      const int group = group_[static_cast<size_t>(from)];
      if (group == b) return;
      if (group == a) {
        found = found || !from_inside;
        return;
      }
      if (group < 0) visit(from, floor, &open);
      else
        for (const int member : groups_[static_cast<size_t>(group)]) visit_member(member, group, floor, &open);
    };
    for (const int member : groups_[static_cast<size_t>(b)]) look_behind(member, true, look);
    while (!open.empty() && !found) {
      const int at = open.back();
      open.pop_back();
      look_behind(at, false, look);
    }
    return found;
  }
  template <class F> void look_behind(int node, bool from_inside, const F& look) const {
    for (const ValueRef& input : plan_.at(node).inputs) look(input.node, from_inside);
    for (const int control : plan_.at(node).control_inputs) look(control, from_inside);
  }
  void visit(int node, int floor, std::vector<int>* open) {
    if (position_[static_cast<size_t>(node)] <= floor || visited_[static_cast<size_t>(node)]) return;
    visited_[static_cast<size_t>(node)] = true;
    open->push_back(node);
  }
  // A member may stand before the floor while others of its group stand behind it.
  void visit_member(int node, int group, int floor, std::vector<int>* open) {
    if (visited_[static_cast<size_t>(node)]) return;
    const std::vector<int>& members = groups_[static_cast<size_t>(group)];
    if (std::ranges::none_of(members, [&](int m) { return position_[static_cast<size_t>(m)] > floor; })) return;
    visited_[static_cast<size_t>(node)] = true;
    open->push_back(node);
  }

  // ---- the node that takes a group's place

  void replace(std::vector<int> members) {
    std::ranges::sort(members, {}, [&](int m) { return position_[static_cast<size_t>(m)]; });
    const int group = group_[static_cast<size_t>(members[0])];
    std::vector<ValueRef> inputs;
    for (const int member : members) {
      for (const ValueRef& input : plan_.at(member).inputs)
        if (group_[static_cast<size_t>(input.node)] != group && std::ranges::find(inputs, input) == inputs.end())
          inputs.push_back(input);
    }
    std::vector<FusedMember> fused;
    std::vector<int> outputs;
    for (const int member : members) {
      const PlanNode& node = plan_.at(member);
      FusedMember made{.op = node.op, .name = node.name, .device = node.info().device, .source = node.state->source};
      for (const ValueRef& input : node.inputs) {
        if (group_[static_cast<size_t>(input.node)] != group) {
          made.operands.push_back(static_cast<int>(std::ranges::find(inputs, input) - inputs.begin()));
        } else {
          const auto at = std::ranges::find(members, input.node) - members.begin();
          made.operands.push_back(static_cast<int>(inputs.size()) + static_cast<int>(at));
        }
      }
      made.is_output = is_read_outside(member, group);
      if (made.is_output) outputs.push_back(member);
      fused.push_back(std::move(made));
    }
    const int at = static_cast<int>(plan_.nodes.size());
    for (size_t o = 0; o < outputs.size(); ++o) replacements_.add({outputs[o], 0}, {at, static_cast<int>(o)});
    plan_.nodes.push_back(make_node(members.back(), std::move(inputs), std::move(fused), outputs.size()));
  }

  bool is_read_outside(int member, int group) const {
    int inside = 0;
    for (const int reader : readers_[static_cast<size_t>(member)])
      inside += group_[static_cast<size_t>(reader)] == group;
    return inside != uses_.data[static_cast<size_t>(member)][0];
  }

  PlanNode make_node(int last, std::vector<ValueRef> inputs, std::vector<FusedMember> members, size_t outputs) const {
    const PlanNode& like = plan_.at(last);
    auto state = std::make_shared<NodeState>();
    state->op = &fused_elementwise_entry();
    state->source = like.state->source;
    state->info.name = like.name;
    state->info.op = state->op->def.name;
    state->info.device = like.info().device;
    state->info.attrs = fused_elementwise_attrs(members);
    state->info.input_types.assign(inputs.size(), DataType::kFloat);
    state->info.output_types.assign(outputs, DataType::kFloat);
    std::call_once(state->kernel_once, [&] {
      state->kernel = make_fused_elementwise(static_cast<int>(inputs.size()), std::move(members));
    });
    PlanNode node;
    node.name = like.name;
    node.op = state->info.op;
    node.state = std::move(state);
    node.inputs = std::move(inputs);
    node.rank = like.rank < 0 ? last : like.rank;
    return node;
  }

  Plan& plan_;
  const Uses uses_;
  std::vector<int> order_, position_;
  std::vector<int> group_;  // by node; -1: none
  std::vector<std::vector<int>> groups_;
  std::vector<std::vector<int>> readers_;  // by node; twice where it reads twice
  std::vector<bool> visited_;
  Replacements replacements_{plan_.nodes.size()};
};

}  // namespace

absl::Status fuse_elementwise(Plan& plan, Runtime&) { return Fuser(plan).run(); }

}  // namespace millrace
