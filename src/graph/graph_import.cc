#include "graph/graph_import.h"

#include <algorithm>
#include <charconv>
#include <queue>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"

namespace millrace {

TensorName parse_tensor_name(std::string_view name) {
  if (!name.empty() && name[0] == '^') return {name.substr(1), -1};
  const size_t colon = name.rfind(':');
  if (colon == std::string_view::npos || colon + 1 == name.size()) return {name, 0};
  int index = 0;
  const auto [end, error] = std::from_chars(name.data() + colon + 1, name.data() + name.size(), index);
  if (error != std::errc() || end != name.data() + name.size() || index < 0) return {name, 0};
  return {name.substr(0, colon), index};
}

namespace {

bool is_next_iteration(const std::string& op) { return op == "NextIteration" || op == "RefNextIteration"; }
bool is_merge(const std::string& op) { return op == "Merge" || op == "RefMerge"; }

class Importer {
 public:
  Importer(std::vector<NodeDef> nodes, const ImportOptions& options, GraphImpl* graph)
      : nodes_(std::move(nodes)), options_(options), graph_(graph) {}

  absl::StatusOr<Imported> run() {
    MR_RETURN_IF_ERROR(index_names());
    MR_RETURN_IF_ERROR(remap_inputs());
    MR_RETURN_IF_ERROR(count_pending());
    MR_RETURN_IF_ERROR(add_all());
    MR_RETURN_IF_ERROR(close_loops());
    MR_RETURN_IF_ERROR(fill_returned());
    find_unused_inputs();
    return std::move(result_);
  }

 private:
  struct Mapped {
    Output output;
    bool used = false;
  };
  // One input of a node as written: of the imported graph, or replaced through the input map.
  struct Edge {
    int node = -1;  // index into nodes_; -1 if mapped
    int index = 0;  // -1: control
    Output mapped;
  };

  absl::Status index_names() {
    for (size_t i = 0; i < nodes_.size(); ++i) {
      const NodeDef& node = nodes_[i];
      if (!is_valid_node_name(node.name))
        return invalid_argument("Node '", node.name, "': Node name contains invalid characters");
      if (!by_name_.emplace(node.name, static_cast<int>(i)).second)
        return invalid_argument("Node '", node.name, "' is not unique");
    }
    for (const auto& [name, output] : options_.input_map) {
      const TensorName parsed = parse_tensor_name(name);
      input_map_[std::make_pair(std::string(parsed.node), parsed.index)] = {output, false};
    }
    return absl::OkStatus();
  }

  absl::Status remap_inputs() {
    edges_.resize(nodes_.size());
    for (size_t i = 0; i < nodes_.size(); ++i) {
      bool in_control = false;
      for (const std::string& input : nodes_[i].inputs) {
        const TensorName parsed = parse_tensor_name(input);
        if (in_control && parsed.index >= 0)
          return invalid_argument("Node '", nodes_[i].name,
                                  "': Control dependencies must come after regular dependencies");
        in_control = parsed.index < 0;
        Edge edge;
        edge.index = parsed.index;
        if (const auto mapped = input_map_.find(std::make_pair(std::string(parsed.node), parsed.index));
            mapped != input_map_.end()) {
          mapped->second.used = true;
          edge.mapped = mapped->second.output;
        } else if (const auto it = by_name_.find(to_absl(parsed.node)); it != by_name_.end()) {
          edge.node = it->second;
        } else {
          return invalid_argument("Node '", nodes_[i].name, "': Unknown input node '", input, "'");
        }
        edges_[i].push_back(edge);
      }
    }
    return absl::OkStatus();
  }

  absl::Status count_pending() {
    pending_.assign(nodes_.size(), 0);
    readers_.resize(nodes_.size());
    for (size_t i = 0; i < nodes_.size(); ++i) {
      bool loops = false;
      int control = 0;
      for (const Edge& edge : edges_[i]) {
        if (edge.node < 0) continue;
        readers_[static_cast<size_t>(edge.node)].push_back(static_cast<int>(i));
        ++pending_[i];
        control += edge.index < 0;
        loops |=
            is_merge(nodes_[i].op) && edge.index >= 0 && is_next_iteration(nodes_[static_cast<size_t>(edge.node)].op);
      }
      // A loop's Merge starts with the value from before the loop; the one from its end is connected later.
      if (loops) pending_[i] = control + 1;
    }
    return absl::OkStatus();
  }

  absl::Status add_all() {
    made_.assign(nodes_.size(), nullptr);
    std::priority_queue<int, std::vector<int>, std::greater<int>> ready;
    for (size_t i = 0; i < nodes_.size(); ++i)
      if (pending_[i] == 0) ready.push(static_cast<int>(i));
    size_t done = 0;
    for (; !ready.empty(); ++done) {
      const int i = ready.top();
      ready.pop();
      MR_RETURN_IF_ERROR(add(static_cast<size_t>(i)));
      for (const int reader : readers_[static_cast<size_t>(i)])
        if (--pending_[static_cast<size_t>(reader)] == 0) ready.push(reader);
    }
    if (done < nodes_.size()) return invalid_argument(nodes_.size() - done, " nodes in a cycle");
    return absl::OkStatus();
  }

  absl::Status add(size_t i) {
    NodeDef& def = nodes_[i];
    NodeSpec spec;
    spec.type = def.op;
    spec.name = name_of(def);
    spec.attrs = std::move(def.attrs);
    spec.device = def.device;
    spec.compact_value = def.compact_value;
    for (size_t k = 0; k < edges_[i].size(); ++k) {
      const Edge& edge = edges_[i][k];
      Node* from = edge.node < 0 ? edge.mapped.node() : made_[static_cast<size_t>(edge.node)];
      if (edge.index < 0) {
        spec.control_inputs.push_back(from);
        continue;
      }
      const int index = edge.node < 0 ? edge.mapped.index() : edge.index;
      if (!from) {
        back_edges_.push_back({i, static_cast<int>(k), edge});
        spec.inputs.emplace_back();
        continue;
      }
      if (index < 0 || index >= from->num_outputs())
        return invalid_argument("Node '", def.name, "': Connecting to invalid output ", index, " of source node ",
                                from->name(), " which has ", from->num_outputs(), " outputs.");
      spec.inputs.push_back(Output(from, index));
    }
    if (spec.inputs.empty() && spec.control_inputs.empty())
      spec.control_inputs.insert(spec.control_inputs.end(), options_.control_dependencies.begin(),
                                 options_.control_dependencies.end());
    rename_colocation(&spec.attrs);
    apply_own_scopes(&spec);
    absl::StatusOr<Node*> node = graph_->add_node(std::move(spec));
    if (!node.ok()) return node.status();
    made_[i] = *node;
    result_.nodes.push_back(*node);
    if (options_.apply_scopes)
      for (const auto& scope : graph_->scopes().control_dependencies) scope->seen.insert(*node);
    if (options_.apply_scopes && !(*node)->find_attr("_class")) apply_devices(*graph_, *node);
    return absl::OkStatus();
  }

  void apply_own_scopes(NodeSpec* spec) const {
    if (!options_.apply_scopes) return;
    for (Node* node : control_dependencies_for(*graph_, spec->inputs)) spec->control_inputs.push_back(node);
  }

  std::string name_of(const NodeDef& def) {
    std::string name = options_.prefix.empty() ? def.name : str_cat(options_.prefix, "/", def.name);
    if (!options_.uniquify_names) return name;
    std::string candidate = name;
    for (int k = 1; graph_->find(candidate) || (candidate != name && by_name_.contains(candidate)); ++k)
      candidate = str_cat(name, "_", k);
    if (candidate != name) renamed_[def.name] = candidate;
    return candidate;
  }

  void rename_colocation(AttrMap* attrs) const {
    const auto it = attrs->find("_class");
    const auto* classes = it == attrs->end() ? nullptr : it->second.get<std::vector<std::string>>();
    if (!classes || (options_.prefix.empty() && renamed_.empty())) return;
    std::vector<std::string> renamed = *classes;
    for (std::string& c : renamed) {
      if (!c.starts_with("loc:@")) continue;
      const std::string name = c.substr(5);
      const auto other = renamed_.find(name);
      if (other != renamed_.end()) c = "loc:@" + other->second;
      else if (!options_.prefix.empty() && by_name_.contains(name)) c = str_cat("loc:@", options_.prefix, "/", name);
    }
    it->second = AttrValue(std::move(renamed));
  }

  absl::Status close_loops() {
    for (const auto& [node, input, edge] : back_edges_) {
      Node* from = made_[static_cast<size_t>(edge.node)];
      if (edge.index >= from->num_outputs())
        return invalid_argument("Node '", nodes_[node].name, "': Connecting to invalid output ", edge.index,
                                " of source node ", from->name(), " which has ", from->num_outputs(), " outputs.");
      MR_RETURN_IF_ERROR(graph_->set_input(made_[node], input, Output(from, edge.index)));
    }
    return absl::OkStatus();
  }

  absl::Status fill_returned() {
    for (const std::string& name : options_.return_elements) {
      const bool is_tensor = name.find(':') != std::string::npos;
      const TensorName parsed = parse_tensor_name(name);
      if (const auto mapped = input_map_.find(std::make_pair(std::string(parsed.node), parsed.index));
          is_tensor && mapped != input_map_.end()) {
        mapped->second.used = true;
        result_.returned.push_back(mapped->second.output);
        continue;
      }
      const auto it = by_name_.find(to_absl(parsed.node));
      if (it == by_name_.end())
        return invalid_argument("Requested return ", is_tensor ? "tensor" : "node", " '", name,
                                "' not found in graph def");
      Node* node = made_[static_cast<size_t>(it->second)];
      if (is_tensor && parsed.index >= node->num_outputs())
        return invalid_argument("Invalid return output ", parsed.index, " of node '", parsed.node, "', which has ",
                                node->num_outputs(), " output(s)");
      result_.returned.push_back(Output(node, is_tensor ? parsed.index : -1));
    }
    return absl::OkStatus();
  }

  void find_unused_inputs() {
    for (const auto& [name, output] : options_.input_map) {
      const TensorName parsed = parse_tensor_name(name);
      if (input_map_[std::make_pair(std::string(parsed.node), parsed.index)].used) continue;
      const auto it = by_name_.find(to_absl(parsed.node));
      if (it == by_name_.end() || parsed.index >= made_[static_cast<size_t>(it->second)]->num_outputs())
        result_.unused_inputs.push_back(name);
    }
  }

  struct BackEdge {
    size_t node;
    int input;
    Edge edge;
  };

  std::vector<NodeDef> nodes_;
  const ImportOptions& options_;
  GraphImpl* graph_;
  Imported result_;
  absl::flat_hash_map<std::string, int> by_name_;
  absl::flat_hash_map<std::pair<std::string, int>, Mapped> input_map_;
  absl::flat_hash_map<std::string, std::string> renamed_;  // imported name -> full name, where made unique
  std::vector<std::vector<Edge>> edges_;
  std::vector<std::vector<int>> readers_;
  std::vector<int> pending_;
  std::vector<Node*> made_;
  std::vector<BackEdge> back_edges_;
};

}  // namespace

absl::StatusOr<Imported> import_nodes(std::vector<NodeDef> nodes, const ImportOptions& options, GraphImpl* graph) {
  const std::lock_guard lock(graph->mutex());
  for (const auto& [name, output] : options.input_map)
    if (!output || &output.node()->graph() != graph)
      return invalid_argument("input_map: the tensor for '", name, "' is not of this graph");
  const int first_id = static_cast<int>(graph->nodes().size());
  absl::StatusOr<Imported> imported = Importer(std::move(nodes), options, graph).run();
  if (!imported.ok()) graph->take_back_from(first_id);  // all of a graph or nothing
  return imported;
}

}  // namespace millrace
