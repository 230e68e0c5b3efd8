#include "cluster/client_graph.h"

#include <algorithm>

#include "absl/container/flat_hash_set.h"
#include "graph/graph_def.h"
#include "graph/graph_import.h"
#include "graph/proto_convert.h"
#include "tensorflow/core/framework/graph.pb.h"

namespace millrace {
namespace {

absl::Status unknown_op(const tensorflow::NodeDef& node) {
  return not_found(
      "Op type not registered '", node.op(),
      "' in binary running on this server. Make sure the Op and Kernel are registered in the binary running in this "
      "process.\n\t [[{{node ",
      node.name(), "}}]]");
}

// TensorFlow's client finds the node of an error by this mark.
absl::Status with_node(const absl::Status& status, const std::string& node) {
  if (status.message().find("{{node ") != absl::string_view::npos) return status;
  return absl::Status(status.code(), str_cat(status.message(), "\n\t [[{{node ", node, "}}]]"));
}

}  // namespace

ClientGraph::ClientGraph(std::shared_ptr<GraphImpl> graph) : graph_(std::move(graph)) {}
ClientGraph::~ClientGraph() = default;

size_t ClientGraph::size() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

absl::Status ClientGraph::check_names(const tensorflow::GraphDef& def) const {
  absl::flat_hash_set<absl::string_view> added;
  for (const tensorflow::NodeDef& node : def.node()) {
    if (!is_valid_node_name(node.name()))
      return invalid_argument("Node '", node.name(), "': Node name contains invalid characters");
    if (entries_.contains(node.name())) {
      return invalid_argument("GraphDef argument to Extend includes node '", node.name(),
                              "', which was created by a previous call to Create or Extend in this session.");
    }
    if (!added.insert(node.name()).second) return invalid_argument("Node '", node.name(), "' is not unique");
  }
  for (const tensorflow::NodeDef& node : def.node()) {
    for (const std::string& input : node.input()) {
      const absl::string_view from = to_absl(parse_tensor_name(input).node);
      if (!added.contains(from) && !entries_.contains(from))
        return invalid_argument("Node '", node.name(), "': Unknown input node '", input, "'");
    }
  }
  return absl::OkStatus();
}

absl::Status ClientGraph::add(tensorflow::GraphDef* def) {
  const std::lock_guard lock(mutex_);
  MR_RETURN_IF_ERROR(check_names(*def));
  google::protobuf::RepeatedPtrField<tensorflow::NodeDef> nodes;
  nodes.Swap(def->mutable_node());
  MR_RETURN_IF_ERROR(import_graph_def(*def, {}, graph_.get()).status());  // versions and functions
  for (tensorflow::NodeDef& node : nodes) {
    if (is_of_old(node, def->versions().producer())) bring_up_to_date(&node);
    Entry entry;
    entry.def = std::make_unique<tensorflow::NodeDef>(std::move(node));
    entry.order = static_cast<int64_t>(entries_.size());
    entries_.emplace(entry.def->name(), std::move(entry));
  }
  return absl::OkStatus();
}

// The entries that `last` reads, directly or not, itself included, and that are not made yet; in the client's order.
absl::StatusOr<std::vector<ClientGraph::Entry*>> ClientGraph::missing_for(Entry* last) {
  std::vector<Entry*> found, stack = {last};
  absl::flat_hash_set<const Entry*> seen = {last};
  while (!stack.empty()) {
    Entry* const entry = stack.back();
    stack.pop_back();
    found.push_back(entry);
    if (graph_->registry().find(entry->def->op()) == nullptr && graph_->library().find(entry->def->op()) == nullptr)
      return unknown_op(*entry->def);
    for (const std::string& input : entry->def->input()) {
      Entry& from = entries_.at(to_absl(parse_tensor_name(input).node));
      if (from.node == nullptr && seen.insert(&from).second) stack.push_back(&from);
    }
  }
  std::ranges::sort(found, {}, &Entry::order);
  return found;
}

absl::Status ClientGraph::make(std::string_view name) {
  const auto it = entries_.find(to_absl(name));
  if (it == entries_.end()) return not_found("Node ", name, " is not in the graph of this session");
  if (it->second.node != nullptr) return absl::OkStatus();
  MR_ASSIGN_OR_RETURN(const std::vector<Entry*> missing, missing_for(&it->second));
  std::vector<NodeDef> defs;
  ImportOptions options;
  absl::flat_hash_set<absl::string_view> mapped;
  for (const Entry* entry : missing) {
    absl::StatusOr<NodeDef> def = from_proto(*entry->def);
    if (!def.ok()) return with_node(def.status(), entry->def->name());
    defs.push_back(*std::move(def));
    for (const std::string& input : entry->def->input()) {
      const TensorName parsed = parse_tensor_name(input);
      Node* const from = entries_.at(to_absl(parsed.node)).node;
      if (from == nullptr || !mapped.insert(input).second) continue;
      options.input_map.emplace_back(parsed.index < 0 || parsed.index > 0 ? input : str_cat(parsed.node, ":0"),
                                     Output(from, std::max(parsed.index, 0)));
    }
  }
  absl::StatusOr<Imported> imported = import_nodes(std::move(defs), options, graph_.get());
  if (!imported.ok()) return with_node(imported.status(), std::string(name));
  for (Node* node : imported->nodes) {
    Entry& entry = entries_.at(node->name());
    entry.node = node;
    entry.def.reset();
  }
  return absl::OkStatus();
}

absl::StatusOr<Node*> ClientGraph::node(std::string_view name) {
  const std::lock_guard lock(mutex_);
  MR_RETURN_IF_ERROR(make(name));
  return entries_.at(to_absl(name)).node;
}

absl::StatusOr<Output> ClientGraph::output(std::string_view tensor_name) {
  const TensorName parsed = parse_tensor_name(tensor_name);
  MR_ASSIGN_OR_RETURN(Node* const made, node(parsed.node));
  if (parsed.index < 0 || parsed.index >= made->num_outputs()) {
    return invalid_argument("Tensor ", tensor_name, ": node '", parsed.node, "' has ", made->num_outputs(), " outputs");
  }
  return Output(made, parsed.index);
}

}  // namespace millrace
