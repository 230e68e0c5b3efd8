#pragma once
// What a signature compiles to before it is laid out: the pruned nodes as a list that passes may rewrite without
// touching the user's graph. Values are named by node and output; what is fed is a node too, without a kernel.

#include <memory>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "runtime/runtime.h"

namespace millrace {

struct ValueRef {
  int node = -1;
  int index = 0;
  friend bool operator==(const ValueRef&, const ValueRef&) = default;
};

struct PlanNode {
  std::shared_ptr<NodeState> state;  // null for feeds
  std::string name;
  std::string op;
  int feed = -1;  // the feed that this node stands for, or -1
  DataType feed_type = DataType::kInvalid;
  PartialTensorShape feed_shape;  // which the run has checked the value against
  std::vector<ValueRef> inputs;
  std::vector<int> control_inputs;
  Tensor constant;  // the value of output 0, where it is known
  bool removed = false;
  int rank = -1;  // orders nodes that are ready together; -1: the position in the plan

  // Filled in by infer_shapes: only what holds whatever variables and feeds hold.
  std::vector<PartialTensorShape> shapes;
  bool proven = false;  // the shape function has accepted the very shapes that will come

  bool is_feed() const { return feed >= 0; }
  bool is_constant() const { return constant.has_value(); }
  const NodeInfo& info() const { return state->info; }
  int num_outputs() const { return is_feed() ? 1 : static_cast<int>(state->info.output_types.size()); }
  DataType output_type(int i) const { return is_feed() ? feed_type : state->info.output_types[static_cast<size_t>(i)]; }
  DataType input_type(int i) const { return state->info.input_types[static_cast<size_t>(i)]; }
  bool is_stateful() const { return state && (state->op == nullptr || state->op->is_stateful()); }
};

struct Plan {
  std::vector<PlanNode> nodes;  // no order is promised
  std::vector<ValueRef> fetches;
  std::vector<int> targets;
  int num_feeds = 0;
  bool partial = false;           // see Signature
  bool has_control_flow = false;  // Switch, Merge, Enter ...: nodes may be dead

  PlanNode& at(int i) { return nodes[static_cast<size_t>(i)]; }
  const PlanNode& at(int i) const { return nodes[static_cast<size_t>(i)]; }
};

// The states of a graph's nodes, made when a program first needs them. Thread-safe.
class NodeStates {
 public:
  std::shared_ptr<NodeState> get(const Node& node);

 private:
  std::mutex mutex_;
  absl::flat_hash_map<const Node*, std::shared_ptr<NodeState>> states_;
};

struct Signature {
  std::vector<Output> feeds;
  std::vector<Output> fetches;
  std::vector<Node*> targets;
  bool checks_feeds = false;  // whoever runs the program holds feeds against their static shapes
  bool partial = false;       // feeds and fetches come and go one by one (Schedule's partial runs)
};

enum class FlowKind : uint8_t { kNone, kSwitch, kMerge, kEnter, kExit, kNextIteration, kLoopCond, kControlTrigger };
FlowKind flow_kind(std::string_view op);

// The node without its inputs.
PlanNode plan_node_of(const Node& node, NodeStates& states);

// The part of the graph that the signature needs. The graph's mutex is held by the caller.
absl::StatusOr<Plan> make_plan(const GraphImpl& graph, const Signature& signature, NodeStates& states);

// Drops what neither fetches nor targets need any more.
void prune(Plan& plan);

// Nodes in an order that respects edges (those into Merge nodes from NextIteration excepted). Updates of references
// come as late as they can, so that readers have let go of the buffers. InvalidArgument for a cycle.
absl::StatusOr<std::vector<int>> topological_order(const Plan& plan);

// Runs shape functions over the plan, trusting only stateless ops and constants.
void infer_shapes(Plan& plan, const std::vector<int>& order);

}  // namespace millrace
