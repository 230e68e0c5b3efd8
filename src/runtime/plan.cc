#include "runtime/plan.h"

#include <algorithm>
#include <queue>

#include "op/shape_context.h"

namespace millrace {

FlowKind flow_kind(std::string_view op) {
  if (op.starts_with("Ref")) op.remove_prefix(3);
  if (op == "Switch" || op == "_SwitchN") return FlowKind::kSwitch;
  if (op == "Merge") return FlowKind::kMerge;
  if (op == "Enter") return FlowKind::kEnter;
  if (op == "Exit") return FlowKind::kExit;
  if (op == "NextIteration") return FlowKind::kNextIteration;
  if (op == "LoopCond") return FlowKind::kLoopCond;
  if (op == "ControlTrigger") return FlowKind::kControlTrigger;
  return FlowKind::kNone;
}

std::shared_ptr<NodeState> NodeStates::get(const Node& node) {
  std::lock_guard lock(mutex_);
  std::shared_ptr<NodeState>& state = states_[&node];
  if (state) return state;
  state = std::make_shared<NodeState>();
  state->info = node.info();
  state->op = node.entry();
  state->source = node.source();
  if (state->op == nullptr) {
    // A call of a library function by its name is a PartitionedCall of it.
    const FunctionRef function(node.op(), node.attrs());
    state->info.op = node.def().is_stateful ? "StatefulPartitionedCall" : "PartitionedCall";
    state->info.attrs = {{"f", function},
                         {"Tin", state->info.input_types},
                         {"Tout", state->info.output_types},
                         {"config", ""},
                         {"config_proto", ""},
                         {"executor_type", ""}};
    state->op = node.graph().registry().find(state->info.op);
  }
  return state;
}

namespace {

using OutputKey = std::pair<const Node*, int>;

// Collects what fetches and targets reach, stopping at feeds. No recursion: graphs are as deep as users make them.
class Pruner {
 public:
  Pruner(const GraphImpl& graph, const Signature& signature) : graph_(graph) {
    needed_.resize(graph.nodes().size());
    for (size_t i = 0; i < signature.feeds.size(); ++i) {
      feeds_.emplace(OutputKey{signature.feeds[i].node(), signature.feeds[i].index()}, static_cast<int>(i));
      fed_nodes_[signature.feeds[i].node()] = static_cast<int>(i);
    }
  }

  int feed_of(const Output& output) const {
    const auto it = feeds_.find(OutputKey{output.node(), output.index()});
    return it == feeds_.end() ? -1 : it->second;
  }
  bool is_fed(const Node* node) const { return fed_nodes_.contains(node); }

  absl::Status visit(const Output& output) {
    if (output.node() == nullptr) return invalid_argument("an input of the graph is absent");
    return feed_of(output) >= 0 ? absl::OkStatus() : push(output.node());
  }
  absl::Status push(Node* node) {
    if (&node->graph() != &graph_) {
      return invalid_argument("'", node->name(), "' is not an element of this session's graph");
    }
    if (!needed_[static_cast<size_t>(node->id())]) {
      needed_[static_cast<size_t>(node->id())] = true;
      stack_.push_back(node);
    }
    return absl::OkStatus();
  }
  absl::Status run() {
    while (!stack_.empty()) {
      const Node* node = stack_.back();
      stack_.pop_back();
      for (const Output& input : node->inputs()) {
        if (input.node() == nullptr) {
          return invalid_argument("node '", node->name(), "' (", node->op(), ") has an input that is not connected");
        }
        MR_RETURN_IF_ERROR(visit(input));
      }
      for (Node* control : node->control_inputs()) {
        if (!is_fed(control)) MR_RETURN_IF_ERROR(push(control));
      }
    }
    return absl::OkStatus();
  }
  bool needed(const Node* node) const { return needed_[static_cast<size_t>(node->id())]; }

 private:
  const GraphImpl& graph_;
  std::vector<bool> needed_;
  absl::flat_hash_map<OutputKey, int> feeds_;
  absl::flat_hash_map<const Node*, int> fed_nodes_;
  std::vector<Node*> stack_;
};

}  // namespace

PlanNode plan_node_of(const Node& node, NodeStates& states) {
  PlanNode made;
  made.state = states.get(node);
  made.name = node.name();
  made.op = made.state->info.op;
  if (made.op == "Const") {
    if (const auto it = made.info().attrs.find("value"); it != made.info().attrs.end()) {
      if (const Tensor* value = it->second.get<Tensor>()) made.constant = *value;
    }
  }
  return made;
}

absl::StatusOr<Plan> make_plan(const GraphImpl& graph, const Signature& signature, NodeStates& states) {
  Pruner pruner(graph, signature);
  for (const Output& fetch : signature.fetches) MR_RETURN_IF_ERROR(pruner.visit(fetch));
  for (Node* target : signature.targets) {
    if (!pruner.is_fed(target)) MR_RETURN_IF_ERROR(pruner.push(target));
  }
  MR_RETURN_IF_ERROR(pruner.run());

  Plan plan;
  plan.num_feeds = static_cast<int>(signature.feeds.size());
  for (size_t i = 0; i < signature.feeds.size(); ++i) {
    const Output& feed = signature.feeds[i];
    PlanNode node;
    node.name = feed.node()->name();
    node.op = "_Arg";
    node.feed = static_cast<int>(i);
    node.feed_type = base_dtype(feed.node()->output_type(feed.index()));
    if (signature.checks_feeds) node.feed_shape = feed.node()->output_shape(feed.index());
    plan.nodes.push_back(std::move(node));
  }
  absl::flat_hash_map<const Node*, int> index;
  for (Node* node : graph.nodes()) {
    if (!pruner.needed(node)) continue;
    index[node] = static_cast<int>(plan.nodes.size());
    plan.nodes.push_back(plan_node_of(*node, states));
    const FlowKind flow = flow_kind(node->op());
    plan.has_control_flow |= flow != FlowKind::kNone && flow != FlowKind::kControlTrigger;
  }
  const auto ref = [&](const Output& output) {
    const int feed = pruner.feed_of(output);
    return feed >= 0 ? ValueRef{feed, 0} : ValueRef{index.at(output.node()), output.index()};
  };
  for (const auto& [node, at] : index) {
    PlanNode& made = plan.at(at);
    for (const Output& input : node->inputs()) made.inputs.push_back(ref(input));
    for (const Node* control : node->control_inputs()) {
      if (!pruner.is_fed(control)) made.control_inputs.push_back(index.at(control));
    }
  }
  for (const Output& fetch : signature.fetches) plan.fetches.push_back(ref(fetch));
  for (const Node* target : signature.targets) {
    if (!pruner.is_fed(target)) plan.targets.push_back(index.at(target));
  }
  return plan;
}

void prune(Plan& plan) {
  std::vector<bool> needed(plan.nodes.size());
  std::vector<int> stack;
  const auto push = [&](int i) {
    if (!needed[static_cast<size_t>(i)]) {
      needed[static_cast<size_t>(i)] = true;
      stack.push_back(i);
    }
  };
  for (const ValueRef& fetch : plan.fetches) push(fetch.node);
  for (const int target : plan.targets) push(target);
  while (!stack.empty()) {
    const PlanNode& node = plan.at(stack.back());
    stack.pop_back();
    for (const ValueRef& input : node.inputs) push(input.node);
    for (const int control : node.control_inputs) push(control);
  }
  for (size_t i = 0; i < plan.nodes.size(); ++i) plan.nodes[i].removed = !needed[i] && !plan.nodes[i].is_feed();
}

namespace {

bool is_update(const PlanNode& node) {
  if (!node.state) return false;
  const NodeInfo& info = node.info();
  const bool takes_ref = std::ranges::any_of(info.input_types, [](DataType t) { return is_ref(t); });
  if (takes_ref)
    return flow_kind(node.op) == FlowKind::kNone && node.op != "RefIdentity" && node.op != "IsVariableInitialized";
  return node.is_stateful() && info.output_types.empty() && !info.input_types.empty() &&
         info.input_types[0] == DataType::kResource;
}

bool is_back_edge(const Plan& plan, const PlanNode& to, int from) {
  return flow_kind(to.op) == FlowKind::kMerge && flow_kind(plan.at(from).op) == FlowKind::kNextIteration;
}

}  // namespace

absl::StatusOr<std::vector<int>> topological_order(const Plan& plan) {
  const size_t n = plan.nodes.size();
  std::vector<int> pending(n, 0);
  std::vector<std::vector<int>> consumers(n);
  size_t total = 0;
  for (size_t i = 0; i < n; ++i) {
    const PlanNode& node = plan.nodes[i];
    if (node.removed) continue;
    ++total;
    const auto add = [&](int from) {
      if (is_back_edge(plan, node, from)) return;
      consumers[static_cast<size_t>(from)].push_back(static_cast<int>(i));
      ++pending[i];
    };
    for (const ValueRef& input : node.inputs) add(input.node);
    for (const int control : node.control_inputs) add(control);
  }
  using Entry = std::tuple<bool, int, int>;  // late, rank, index
  const auto entry = [&](int i) { return Entry{is_update(plan.at(i)), plan.at(i).rank < 0 ? i : plan.at(i).rank, i}; };
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> ready;
  for (size_t i = 0; i < n; ++i) {
    if (!plan.nodes[i].removed && pending[i] == 0) ready.push(entry(static_cast<int>(i)));
  }
  std::vector<int> order;
  order.reserve(total);
  while (!ready.empty()) {
    const int at = std::get<2>(ready.top());
    ready.pop();
    order.push_back(at);
    for (const int next : consumers[static_cast<size_t>(at)]) {
      if (--pending[static_cast<size_t>(next)] == 0) ready.push(entry(next));
    }
  }
  if (order.size() != total) {
    for (size_t i = 0; i < n; ++i) {
      if (!plan.nodes[i].removed && pending[i] > 0) {
        return invalid_argument("Graph is invalid, contains a cycle through node '", plan.nodes[i].name, "'");
      }
    }
  }
  return order;
}

namespace {

// What inference knows of one node's outputs.
struct Known {
  std::vector<std::optional<PartialTensorShape>> values;
  std::vector<std::vector<HandleType>> handles;
};

bool all_defined(const std::vector<PartialTensorShape>& shapes) {
  return std::ranges::all_of(shapes, [](const PartialTensorShape& s) { return s.is_fully_defined(); });
}

void infer_node(const Plan& plan, PlanNode& node, std::vector<Known>& known, Known& mine) {
  node.shapes.assign(static_cast<size_t>(node.num_outputs()), {});
  node.proven = false;
  mine.values.assign(node.shapes.size(), std::nullopt);
  if (node.is_feed()) {
    node.shapes[0] = node.feed_shape;
    return;
  }
  if (node.is_constant()) {
    node.shapes[0] = PartialTensorShape(node.constant.shape());
    node.proven = true;
    return;
  }
  if (node.state->op == nullptr || node.state->op->shape == nullptr || flow_kind(node.op) != FlowKind::kNone) return;
  std::vector<PartialTensorShape> shapes;
  std::vector<const Tensor*> values;
  std::vector<std::optional<PartialTensorShape>> partials;
  for (const ValueRef& input : node.inputs) {
    const PlanNode& from = plan.at(input.node);
    const auto index = static_cast<size_t>(input.index);
    shapes.push_back(index < from.shapes.size() ? from.shapes[index] : PartialTensorShape());
    values.push_back(from.is_constant() && input.index == 0 ? &from.constant : nullptr);
    const Known& k = known[static_cast<size_t>(input.node)];
    partials.push_back(index < k.values.size() ? k.values[index] : std::nullopt);
  }
  const bool defined = all_defined(shapes);
  ShapeContext context(node.info(), std::move(shapes), std::move(values), std::move(partials));
  // An error here may lie in a branch that never runs: the check before the kernel reports it then.
  if (!node.state->op->shape(context).ok()) return;
  node.proven = defined;
  // Shapes that an attribute claims (of a branch, of an optional's value) prove nothing either.
  if (node.is_stateful() || node.info().attrs.contains("output_shapes")) return;
  for (size_t i = 0; i < node.shapes.size(); ++i) {
    if (is_ref(node.output_type(static_cast<int>(i)))) continue;
    node.shapes[i] = context.output(static_cast<int>(i));
    mine.values[i] = context.partial_value(static_cast<int>(i));
  }
}

}  // namespace

void infer_shapes(Plan& plan, const std::vector<int>& order) {
  std::vector<Known> known(plan.nodes.size());
  for (const int i : order) infer_node(plan, plan.at(i), known, known[static_cast<size_t>(i)]);
}

}  // namespace millrace
