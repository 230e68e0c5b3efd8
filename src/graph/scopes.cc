#include "graph/scopes.h"

#include <algorithm>

#include "graph/device_name.h"
#include "graph/graph.h"

namespace millrace {

NameScope::NameScope(GraphImpl& graph, std::string_view name) : graph_(graph), before_(graph.scopes().name) {
  std::string& current = graph.scopes().name;
  // Below the root a scope begins like a node name, so that its nodes may be fed and fetched.
  const bool at_root = before_.empty() && !name.empty();
  if (at_root ? !is_valid_node_name(name) || name[0] == '_' : !is_valid_scope_name(name)) {
    status_ = invalid_argument("'", name, at_root ? "' is not a valid root scope name" : "' is not a valid scope name");
    name_ = current.empty() ? "" : current + "/";
    return;
  }
  if (name.empty()) current.clear();
  else if (name.back() == '/') current = name.substr(0, name.size() - 1);
  else current = graph.unique_name(name);
  name_ = current.empty() ? "" : current + "/";
}

NameScope::~NameScope() { graph_.scopes().name = before_; }

ScopesGuard::ScopesGuard(GraphImpl& graph) : graph_(graph), before_(graph.scopes()) {}
ScopesGuard::~ScopesGuard() { graph_.scopes() = std::move(before_); }

void push_control_dependencies(GraphImpl& graph, std::vector<Node*> inputs) {
  // TensorFlow marks ops that a user's control_dependencies names, so that its automatic ones stay away from them.
  static constexpr std::string_view kMark = "_has_manual_control_dependencies";
  auto scope = std::make_shared<ControlDependencies>();
  absl::flat_hash_set<Node*> once;
  for (Node* node : inputs) {
    if (!once.insert(node).second) continue;
    scope->inputs.push_back(node);
    if (!graph.finalized() && !node->find_attr(kMark)) graph.set_attr(node, kMark, AttrValue(true)).IgnoreError();
  }
  graph.scopes().control_dependencies.push_back(std::move(scope));
}

void clear_control_dependencies(GraphImpl& graph) {
  graph.scopes().control_dependencies.clear();
  graph.scopes().control_flow = nullptr;
}

std::vector<Node*> control_dependencies_for(const GraphImpl& graph, const std::vector<Output>& inputs) {
  std::vector<Node*> result;
  for (const auto& scope : graph.scopes().control_dependencies) {
    // An input made inside the scope depends on its inputs already.
    const bool dominated = std::any_of(
        inputs.begin(), inputs.end(), [&](const Output& input) { return input && scope->seen.contains(input.node()); });
    if (dominated) continue;
    for (Node* node : scope->inputs)
      if (std::none_of(inputs.begin(), inputs.end(), [&](const Output& input) { return input.node() == node; }))
        result.push_back(node);
  }
  return result;
}

absl::StatusOr<DeviceFunction> device_merger(std::string_view device) {
  MR_ASSIGN_OR_RETURN(const DeviceName wanted, parse_device(device));
  return DeviceFunction([wanted](const Operation& op) {
    const absl::StatusOr<DeviceName> current = parse_device(op.device());
    return current.ok() ? merge_devices(wanted, *current).to_string() : op.device();
  });
}

void apply_devices(GraphImpl& graph, Node* node) {
  const std::vector<DeviceFunction>& devices = graph.scopes().devices;
  for (auto it = devices.rbegin(); it != devices.rend() && *it; ++it) {
    std::string device = (*it)(Operation(node));
    const absl::StatusOr<DeviceName> parsed = parse_device(device);
    graph.set_device(node, parsed.ok() ? parsed->to_string() : std::move(device));
  }
}

void push_colocation(GraphImpl& graph, Node* node, bool ignore_existing) {
  Scopes& scopes = graph.scopes();
  if (ignore_existing) scopes.colocation.clear();
  // Devices around do not reach into a colocation scope: the colocated node's device counts.
  scopes.devices.clear();
  if (node) scopes.colocation.push_back(node);
}

std::vector<std::string> colocation_groups(const Node& node) {
  std::vector<std::string> groups;
  if (const AttrValue* attr = node.find_attr("_class"))
    if (const auto* classes = attr->get<std::vector<std::string>>())
      for (const std::string& c : *classes)
        if (c.starts_with("loc:@")) groups.push_back(c);
  if (groups.empty()) groups.push_back("loc:@" + node.name());
  return groups;
}

}  // namespace millrace
