#include <algorithm>

#include "runtime/passes/passes.h"

namespace millrace {
namespace {

bool can_merge(const PlanNode& node) {
  if (!node.state || node.removed || node.is_stateful() || flow_kind(node.op) != FlowKind::kNone) return false;
  if (node.num_outputs() == 0 || (node.inputs.empty() && !node.is_constant())) return false;
  // Ops that name what they share with others, such as batches, have an identity of their own.
  if (node.info().attrs.contains("shared_name")) return false;
  // Neither references nor what handles and variants stand for: those have an identity of their own.
  const auto is_value = [](DataType t) { return !is_ref(t) && t != DataType::kResource && t != DataType::kVariant; };
  return std::ranges::all_of(node.info().input_types, is_value) &&
         std::ranges::all_of(node.info().output_types, is_value);
}

// Large constants are rarely equal and costly to compare.
constexpr size_t kMaxComparedBytes = 1024;

bool same(const PlanNode& a, const PlanNode& b) {
  if (a.op != b.op || a.inputs != b.inputs || a.control_inputs != b.control_inputs ||
      a.info().device != b.info().device)
    return false;
  if (a.is_constant() != b.is_constant()) return false;
  if (a.is_constant()) {
    return a.constant.byte_size() <= kMaxComparedBytes && is_pod(a.constant.dtype()) &&
           bitwise_equal(a.constant, b.constant);
  }
  const AttrMap &x = a.info().attrs, &y = b.info().attrs;
  const auto counts = [](const auto& attr) { return !attr.first.starts_with('_'); };
  if (std::ranges::count_if(x, counts) != std::ranges::count_if(y, counts)) return false;
  return std::ranges::all_of(x, [&](const auto& attr) {
    if (!counts(attr)) return true;
    const auto other = y.find(attr.first);
    return other != y.end() && other->second == attr.second;
  });
}

size_t hash(const PlanNode& node) {
  size_t h = std::hash<std::string>()(node.op);
  const auto mix = [&h](size_t v) { h = (h ^ v) * 0x9e3779b97f4a7c15u + (h >> 29); };
  for (const ValueRef& input : node.inputs) mix(static_cast<size_t>(input.node) * 8 + static_cast<size_t>(input.index));
  for (const int control : node.control_inputs) mix(static_cast<size_t>(control));
  if (node.is_constant())
    mix(static_cast<size_t>(node.constant.dtype()) * 31 + static_cast<size_t>(node.constant.num_elements()));
  return h;
}

}  // namespace

absl::Status merge_subexpressions(Plan& plan, Runtime&) {
  MR_ASSIGN_OR_RETURN(const std::vector<int> order, topological_order(plan));
  Replacements replacements(plan.nodes.size());
  absl::flat_hash_map<size_t, std::vector<int>> seen;
  for (const int i : order) {
    PlanNode& node = plan.at(i);
    for (ValueRef& input : node.inputs) input = replacements.find(input);
    std::ranges::sort(node.control_inputs);
    if (!can_merge(node)) continue;
    std::vector<int>& candidates = seen[hash(node)];
    const auto twin = std::ranges::find_if(candidates, [&](int c) { return same(plan.at(c), node); });
    if (twin == candidates.end()) {
      candidates.push_back(i);
      continue;
    }
    for (int o = 0; o < node.num_outputs(); ++o) replacements.add({i, o}, {*twin, o});
    // Who waited for the one waits for the other.
    for (PlanNode& other : plan.nodes) std::ranges::replace(other.control_inputs, i, *twin);
  }
  replacements.apply(plan);
  return absl::OkStatus();
}

}  // namespace millrace
