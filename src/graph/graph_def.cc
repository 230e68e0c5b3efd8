#include "graph/graph_def.h"

#include <algorithm>

#include "graph/graph_import.h"
#include "graph/proto_convert.h"
#include "tensorflow/core/framework/attr_value.pb.h"
#include "tensorflow/core/framework/graph.pb.h"
#include "tensorflow/core/framework/op_def.pb.h"

namespace millrace {

NodeDef to_node_def(const Node& node) {
  NodeDef def;
  def.name = node.name();
  def.op = node.op();
  def.device = node.device();
  def.attrs = node.attrs();
  def.compact_value = node.compact_value();
  for (const Output& input : node.inputs())
    if (input) def.inputs.push_back(input.index() == 0 ? input.node()->name() : input.name());
  const size_t data_inputs = def.inputs.size();
  for (const Node* control : node.control_inputs()) def.inputs.push_back("^" + control->name());
  std::sort(def.inputs.begin() + static_cast<ptrdiff_t>(data_inputs), def.inputs.end());
  return def;
}

std::vector<NodeDef> to_node_defs(const GraphImpl& graph) {
  std::vector<NodeDef> defs;
  for (const Node* node : graph.nodes()) defs.push_back(to_node_def(*node));
  return defs;
}

void to_graph_def(const GraphImpl& graph, tensorflow::GraphDef* out, const ExportOptions& options) {
  const std::lock_guard lock(graph.mutex());
  out->Clear();
  for (const Node* node : graph.nodes()) {
    if (node->id() < options.from_node) continue;
    tensorflow::NodeDef* def = out->add_node();
    to_proto(to_node_def(*node), def);
    if (!options.add_shapes || node->num_outputs() == 0) continue;
    auto* shapes = (*def->mutable_attr())["_output_shapes"].mutable_list();
    for (int i = 0; i < node->num_outputs(); ++i) to_proto(node->output_shape(i), shapes->add_shape());
  }
  out->mutable_versions()->set_producer(graph.producer());
  out->mutable_versions()->set_min_consumer(graph.min_consumer());
  if (!options.library || graph.library().size() == 0) return;
  for (const auto& function : graph.library().all()) to_proto(*function, out->mutable_library()->add_function());
  for (const auto& [function, gradient] : graph.library().gradients()) {
    auto* def = out->mutable_library()->add_gradient();
    def->set_function_name(function);
    def->set_gradient_func(gradient);
  }
}

namespace {

absl::Status check_versions(const tensorflow::VersionDef& versions) {
  if (versions.min_consumer() > kGraphProducer)
    return invalid_argument("GraphDef min consumer version ", versions.min_consumer(), " above current version ",
                            kGraphProducer, " for TensorFlow 2.21.0.  Please upgrade TensorFlow.");
  if (std::find(versions.bad_consumers().begin(), versions.bad_consumers().end(), kGraphProducer) !=
      versions.bad_consumers().end())
    return invalid_argument("GraphDef disallows consumer version ", kGraphProducer,
                            ".  Please upgrade TensorFlow: this version is likely buggy.");
  return absl::OkStatus();
}

// Attributes that this program's op does not know may go if they hold what the producer's op had as default.
absl::Status drop_producer_defaults(const Registry& registry, const tensorflow::OpList& producer_ops,
                                    tensorflow::NodeDef* node) {
  const OpEntry* entry = registry.find(node->op());
  if (!entry) return absl::OkStatus();
  const auto& ops = producer_ops.op();
  const auto producer =
      std::find_if(ops.begin(), ops.end(), [&](const tensorflow::OpDef& op) { return op.name() == node->op(); });
  if (producer == ops.end()) return absl::OkStatus();
  for (const auto& attr : producer->attr()) {
    if (entry->def.find_attr(attr.name()) || !attr.has_default_value()) continue;
    const auto it = node->attr().find(attr.name());
    if (it != node->attr().end() && deterministic_bytes(it->second) == deterministic_bytes(attr.default_value()))
      node->mutable_attr()->erase(attr.name());
  }
  return absl::OkStatus();
}

}  // namespace

bool is_of_old(const tensorflow::NodeDef& node, int producer) {
  if (producer > 21 || node.op() != "Placeholder") return false;
  const auto shape = node.attr().find("shape");
  return shape != node.attr().end() && shape->second.shape().dim_size() == 0 && !shape->second.shape().unknown_rank();
}

void bring_up_to_date(tensorflow::NodeDef* node) {
  (*node->mutable_attr())["shape"].mutable_shape()->set_unknown_rank(true);
}

absl::StatusOr<Imported> import_graph_def(const tensorflow::GraphDef& def, const ImportOptions& options,
                                          GraphImpl* graph) {
  MR_RETURN_IF_ERROR(check_versions(def.versions()));
  for (const auto& function : def.library().function()) {
    MR_ASSIGN_OR_RETURN(FunctionDef f, from_proto(function));
    MR_RETURN_IF_ERROR(graph->library().add(std::move(f)));
  }
  for (const auto& gradient : def.library().gradient())
    MR_RETURN_IF_ERROR(graph->library().add_gradient(gradient.function_name(), gradient.gradient_func()));
  std::vector<NodeDef> nodes;
  nodes.reserve(static_cast<size_t>(def.node_size()));
  for (const tensorflow::NodeDef& proto : def.node()) {
    tensorflow::NodeDef trimmed;
    const tensorflow::NodeDef* from = &proto;
    const bool old = is_of_old(proto, def.versions().producer());
    if (options.producer_ops || old) from = &(trimmed = proto);
    if (options.producer_ops)
      MR_RETURN_IF_ERROR(drop_producer_defaults(graph->registry(), *options.producer_ops, &trimmed));
    if (old) bring_up_to_date(&trimmed);
    MR_ASSIGN_OR_RETURN(NodeDef node, from_proto(*from));
    nodes.push_back(std::move(node));
  }
  // An empty graph takes the imported versions, another one the older producer and the stricter need of its consumers.
  MR_ASSIGN_OR_RETURN(Imported imported, import_nodes(std::move(nodes), options, graph));
  if (def.has_versions() && def.versions().producer() > 0)
    graph->set_versions(std::min(graph->producer(), def.versions().producer()),
                        std::max(graph->min_consumer(), def.versions().min_consumer()));
  return imported;
}

std::string unregistered_op(const absl::Status& status) {
  constexpr std::string_view kPrefix = "Op type not registered '";
  const std::string_view message = to_std(status.message());
  const size_t begin = message.find(kPrefix);
  if (status.code() != absl::StatusCode::kNotFound || begin == std::string_view::npos) return {};
  const size_t name = begin + kPrefix.size();
  return std::string(message.substr(name, message.find('\'', name) - name));
}

}  // namespace millrace
