#include "graph/control_ops.h"

#include <algorithm>
#include <map>

#include "graph/op_maker.h"

namespace millrace {
namespace {

absl::StatusOr<Node*> gate(GraphImpl& graph, const std::vector<Node*>& nodes, std::string_view name,
                           const std::string& device, const std::string& source) {
  const ScopesGuard guard(graph);
  push_control_dependencies(graph, nodes);
  if (!device.empty()) {
    MR_ASSIGN_OR_RETURN(DeviceFunction on, device_merger(device));
    graph.scopes().devices.push_back(std::move(on));
  }
  return make_op(graph, {.type = "NoOp", .name = name, .source = source});
}

}  // namespace

absl::StatusOr<Node*> make_group_op(GraphImpl& graph, const std::vector<Node*>& nodes, std::string_view name,
                                    const std::string& source) {
  if (name.empty()) name = "group_deps";
  if (nodes.empty()) return make_op(graph, {.type = "NoOp", .name = name, .source = source});
  const NameScope scope(graph, name);
  MR_RETURN_IF_ERROR(scope.status());
  std::map<std::string, std::vector<Node*>> by_device;
  for (Node* node : nodes) by_device[node->device()].push_back(node);
  if (by_device.size() == 1) return gate(graph, nodes, scope.name(), by_device.begin()->first, source);
  std::vector<Node*> gates;
  for (const auto& [device, on_device] : by_device) {
    MR_ASSIGN_OR_RETURN(Node * node, gate(graph, on_device, {}, device, source));
    gates.push_back(node);
  }
  return gate(graph, gates, scope.name(), {}, source);
}

absl::StatusOr<std::vector<Output>> make_tuple_op(GraphImpl& graph, const std::vector<Output>& tensors,
                                                  const std::vector<Node*>& control, std::string_view name,
                                                  const std::string& source) {
  const NameScope scope(graph, name.empty() ? "tuple" : name);
  MR_RETURN_IF_ERROR(scope.status());
  std::vector<Node*> waits = control;
  for (const Output& t : tensors)
    if (t) waits.push_back(t.node());
  // By creation and each once: the order of the arguments does not matter.
  std::sort(waits.begin(), waits.end(), [](const Node* a, const Node* b) { return a->id() < b->id(); });
  waits.erase(std::unique(waits.begin(), waits.end()), waits.end());
  if (waits.empty()) return invalid_argument("Must have at least one Tensor: a tuple of nothing");
  MR_ASSIGN_OR_RETURN(Node * all_done, make_group_op(graph, waits, {}, source));
  std::vector<Output> result;
  for (const Output& t : tensors) {
    if (!t) {
      result.emplace_back();
      continue;
    }
    const ScopesGuard guard(graph);
    push_colocation(graph, t.node(), false);
    push_control_dependencies(graph, {all_done});
    MR_ASSIGN_OR_RETURN(
        Node * node, make_op(graph, {.type = "Identity", .args = {t}, .name = "control_dependency", .source = source}));
    result.push_back(node->output(0));
  }
  return result;
}

}  // namespace millrace
