// Calls of functions become the nodes of their bodies, named CALL/NODE, so that the passes behind this one see through
// them and a step needs no scheduling for the call itself. Each call has nodes of its own, as in TensorFlow: a random
// op in a function that is called twice gives two streams, which go on from run to run. The states of these nodes
// belong to the call's own state, so that all programs of a session share them.
//
// What a call promises stays: its control inputs hold before any node of the body runs, and who waits for the call
// waits for its arguments, its results and its effects. Stateful nodes of the body run whether or not a result needs
// them.
//
// Left as calls are functions marked `_noinline`; functions within themselves; bodies with TF1's dynamic control flow,
// whose frames are known by name and would become one; calls that dynamic control flow may keep from running, as a call
// runs as a whole or not at all; and what is too deep or too much. The functions that If, While and Case call are
// compiled on their own.

#include <algorithm>

#include "absl/container/flat_hash_set.h"
#include "runtime/passes/passes.h"
#include "runtime/placer.h"

namespace millrace {

// A function's body as one call of it runs it.
struct InlinedBody {
  std::shared_ptr<const FunctionBody> body;
  std::shared_ptr<const CallSite> site;
  bool names_devices = false;  // a node of the body asks for one
  NodeStates states;
};

namespace {

constexpr int kMaxDepth = 64;
// That one plan may grow by: functions that call others twice grow exponentially.
constexpr size_t kMaxNodes = size_t{1} << 15;

bool is_call(const PlanNode& node) {
  return node.state && !node.removed && (node.op == "PartitionedCall" || node.op == "StatefulPartitionedCall");
}

bool is_marked_noinline(const AttrMap& attrs) {
  const auto it = attrs.find("_noinline");
  const bool* marked = it == attrs.end() ? nullptr : it->second.get<bool>();
  return marked != nullptr && *marked;
}

bool is_within(const CallSite* site, std::string_view function) {
  for (; site != nullptr; site = site->caller.get()) {
    if (site->function == function) return true;
  }
  return false;
}

bool has_control_flow(const FunctionBody& body) {
  return std::ranges::any_of(body.graph->nodes(), [](const Node* n) { return flow_kind(n->op()) != FlowKind::kNone; });
}

// What the call has to say of a node of its body: name, device where the body names none, source line.
void adopt(NodeState& state, const InlinedBody& in, const NodeState& call) {
  if (state.site) return;
  state.site = in.site;
  const std::string prefix = str_cat(call.info.name, "/");
  state.info.name = prefix + state.info.name;
  if (state.source.empty()) state.source = call.source;
  if (!in.names_devices) state.info.device = call.info.device;
  const auto it = state.info.attrs.find("_class");
  const auto* classes = it == state.info.attrs.end() ? nullptr : it->second.get<std::vector<std::string>>();
  if (classes == nullptr) return;
  std::vector<std::string> renamed = *classes;
  for (std::string& c : renamed) {
    constexpr std::string_view kWith = "loc:@";
    if (c.starts_with(kWith) && in.body->graph->find(c.substr(kWith.size())) != nullptr) c.insert(kWith.size(), prefix);
  }
  it->second = std::move(renamed);
}

class Inliner {
 public:
  Inliner(Plan& plan, Runtime& runtime) : plan_(plan), runtime_(runtime) {}

  absl::Status run() {
    if (std::ranges::none_of(plan_.nodes, is_call)) return absl::OkStatus();
    if (plan_.has_control_flow) find_conditional();
    const size_t asked = plan_.targets.size();
    // Bodies are appended: the loop comes to the calls in them.
    for (int i = 0; static_cast<size_t>(i) < plan_.nodes.size(); ++i) {
      if (!is_call(plan_.at(i)) || is_conditional(i)) continue;
      if (const std::shared_ptr<InlinedBody> body = inlinable(*plan_.at(i).state)) MR_RETURN_IF_ERROR(expand(i, *body));
    }
    if (inlined_.empty()) return absl::OkStatus();
    results_.apply(plan_);
    // Effects that were calls themselves have their own effects among the targets.
    plan_.targets.erase(std::remove_if(plan_.targets.begin() + static_cast<std::ptrdiff_t>(asked), plan_.targets.end(),
                                       [&](int target) { return inlined_.contains(target); }),
                        plan_.targets.end());
    return place(plan_, runtime_);
  }

 private:
  // --- which calls

  // Nodes behind dynamic control flow may be dead, or in a loop's frame.
  void find_conditional() {
    const size_t n = plan_.nodes.size();
    std::vector<std::vector<int>> readers(n);
    std::vector<int> open;
    for (size_t i = 0; i < n; ++i) {
      const PlanNode& node = plan_.nodes[i];
      for (const ValueRef& input : node.inputs) readers[static_cast<size_t>(input.node)].push_back(static_cast<int>(i));
      for (const int from : node.control_inputs) readers[static_cast<size_t>(from)].push_back(static_cast<int>(i));
      if (flow_kind(node.op) != FlowKind::kNone) open.push_back(static_cast<int>(i));
    }
    conditional_.resize(n);
    while (!open.empty()) {
      const int next = open.back();
      open.pop_back();
      for (const int reader : readers[static_cast<size_t>(next)]) {
        if (conditional_[static_cast<size_t>(reader)]) continue;
        conditional_[static_cast<size_t>(reader)] = true;
        open.push_back(reader);
      }
    }
  }
  bool is_conditional(int i) const {
    return static_cast<size_t>(i) < conditional_.size() && conditional_[static_cast<size_t>(i)];
  }

  // Null where the call stays one. What is wrong with a function is told where it is called.
  std::shared_ptr<InlinedBody> inlinable(NodeState& call) {
    if (!call.body) call.body = make_body(call);
    if (!call.body) return nullptr;
    const size_t size = call.body->body->graph->nodes().size();
    if (added_ + size > kMaxNodes) return nullptr;
    added_ += size;
    return call.body;
  }

  std::shared_ptr<InlinedBody> make_body(const NodeState& call) const {
    const absl::StatusOr<FunctionRef> function = get_attr<FunctionRef>(call.info, "f");
    const int depth = call.site ? call.site->depth + 1 : 1;
    if (!function.ok() || depth > kMaxDepth || is_within(call.site.get(), function->name)) return nullptr;
    absl::StatusOr<std::shared_ptr<const FunctionBody>> body = runtime_.function_body(*function);
    if (!body.ok() || is_marked_noinline((*body)->def->attrs) || is_marked_noinline(call.info.attrs)) return nullptr;
    if (!std::ranges::equal(call.info.input_types, (*body)->arg_types, {}, base_dtype, base_dtype) ||
        !std::ranges::equal(call.info.output_types, (*body)->ret_types, {}, base_dtype, base_dtype) ||
        has_control_flow(**body)) {
      return nullptr;
    }
    auto made = std::make_shared<InlinedBody>();
    made->body = *std::move(body);
    made->names_devices =
        std::ranges::any_of(made->body->graph->nodes(), [](const Node* n) { return !n->device().empty(); });
    made->site = std::make_shared<const CallSite>(
        CallSite{call.info.name, call.info.op, call.source, function->name, call.site, depth});
    return made;
  }

  // --- one call

  absl::Status expand(int call, InlinedBody& in) {
    const FunctionBody& body = *in.body;
    call_ = call;
    position_.assign(body.graph->nodes().size(), -1);
    argument_.assign(body.graph->nodes().size(), ValueRef());
    MR_RETURN_IF_ERROR(add_gate());
    for (size_t k = 0; k < body.args.size(); ++k) {
      MR_ASSIGN_OR_RETURN(argument_[id(body.args[k])], argument(results_.find(plan_.at(call).inputs[k]), k));
    }
    std::vector<int> effects = add_nodes(in);
    for (const Node* node : body.graph->nodes()) {
      if (position_[id(node)] >= 0) connect(*node);
    }
    for (const Node* node : body.control_rets) {
      if (const int at = position_[id(node)]; at >= 0) effects.push_back(at);
    }
    std::vector<ValueRef> values;
    for (size_t k = 0; k < body.rets.size(); ++k) {
      MR_ASSIGN_OR_RETURN(const ValueRef value, result(value_of(body.rets[k]->input(0)), k));
      values.push_back(value);
      results_.add({call, static_cast<int>(k)}, value);
    }
    plan_.targets.insert(plan_.targets.end(), effects.begin(), effects.end());
    return become_marker(values, effects);
  }

  static size_t id(const Node* node) { return static_cast<size_t>(node->id()); }

  ValueRef value_of(const Output& output) const {
    const size_t from = id(output.node());
    return argument_[from].node >= 0 ? argument_[from] : ValueRef{position_[from], output.index()};
  }

  int add(PlanNode node) {
    node.rank = plan_.at(call_).rank < 0 ? call_ : plan_.at(call_).rank;
    plan_.nodes.push_back(std::move(node));
    return static_cast<int>(plan_.nodes.size()) - 1;
  }

  // What the body waits for: the call's control inputs, or one node that stands for them.
  absl::Status add_gate() {
    gate_ = plan_.at(call_).control_inputs;
    if (gate_.size() <= 1) return absl::OkStatus();
    const PlanNode& call = plan_.at(call_);
    MR_ASSIGN_OR_RETURN(PlanNode gate,
                        make_plan_node(runtime_, "NoOp", str_cat(call.name, "/input_control_node"), {}, call));
    gate.control_inputs = gate_;
    gate_ = {add(std::move(gate))};
    return absl::OkStatus();
  }

  // Variables that come as references are read once, as the call would.
  absl::StatusOr<ValueRef> argument(ValueRef value, size_t k) {
    MR_ASSIGN_OR_RETURN(const ValueRef read, read_reference(value, str_cat("input_", k)));
    if (read != value) plan_.at(read.node).control_inputs = gate_;
    return read;
  }
  absl::StatusOr<ValueRef> result(ValueRef value, size_t k) { return read_reference(value, str_cat("output_", k)); }

  absl::StatusOr<ValueRef> read_reference(ValueRef value, const std::string& name) {
    const DataType type = plan_.at(value.node).output_type(value.index);
    if (!is_ref(type)) return value;
    const PlanNode& call = plan_.at(call_);
    MR_ASSIGN_OR_RETURN(PlanNode read, make_plan_node(runtime_, "Identity", str_cat(call.name, "/", name),
                                                      {{"T", base_dtype(type)}}, call));
    read.inputs = {value};
    return ValueRef{add(std::move(read)), 0};
  }

  // Those that results, control outputs or effects need. Returns the positions of the stateful ones.
  std::vector<int> add_nodes(InlinedBody& in) {
    std::vector<int> effects;
    const std::vector<bool> needed = needed_nodes(*in.body);
    for (const Node* node : in.body->graph->nodes()) {
      if (!needed[id(node)] || argument_[id(node)].node >= 0) continue;
      PlanNode made = plan_node_of(*node, in.states);
      adopt(*made.state, in, *plan_.at(call_).state);
      made.name = made.state->info.name;
      const bool has_effect = made.is_stateful();
      position_[id(node)] = add(std::move(made));
      if (has_effect) effects.push_back(position_[id(node)]);
    }
    return effects;
  }

  static std::vector<bool> needed_nodes(const FunctionBody& body) {
    std::vector<bool> needed(body.graph->nodes().size());
    std::vector<const Node*> open;
    const auto need = [&](const Node* node) {
      if (needed[id(node)]) return;
      needed[id(node)] = true;
      open.push_back(node);
    };
    for (const Node* ret : body.rets) need(ret->input(0).node());
    for (const Node* node : body.control_rets) need(node);
    for (const Node* node : body.graph->nodes()) {
      if (node->def().is_stateful && node->op() != "_Arg" && node->op() != "_Retval") need(node);
    }
    while (!open.empty()) {
      const Node* node = open.back();
      open.pop_back();
      for (const Output& input : node->inputs()) need(input.node());
      for (const Node* control : node->control_inputs()) need(control);
    }
    return needed;
  }

  void connect(const Node& node) {
    PlanNode& made = plan_.at(position_[id(&node)]);
    bool waits = node.op() == "Const" && node.control_inputs().empty();  // constants have nothing to wait for
    const auto note = [&](const Node* from) {
      const bool is_free = from->op() == "Const" && from->control_inputs().empty();
      waits |= position_[id(from)] >= 0 && !is_free;
    };
    for (const Output& input : node.inputs()) {
      made.inputs.push_back(value_of(input));
      note(input.node());
    }
    for (const Node* from : node.control_inputs()) {
      const ValueRef argument = argument_[id(from)];
      const int at = argument.node >= 0 ? argument.node : position_[id(from)];
      if (!plan_.at(at).is_feed()) made.control_inputs.push_back(at);
      note(from);
    }
    if (!waits) made.control_inputs.insert(made.control_inputs.end(), gate_.begin(), gate_.end());
  }

  // The call's place is taken by a node that is done when the call would be. It goes if nobody waits for the call.
  absl::Status become_marker(const std::vector<ValueRef>& values, const std::vector<int>& effects) {
    PlanNode& call = plan_.at(call_);
    MR_ASSIGN_OR_RETURN(PlanNode marker, make_plan_node(runtime_, "NoOp", call.name, {}, call));
    marker.rank = call.rank;
    marker.control_inputs = call.control_inputs;
    const auto wait_for = [&](int node) {
      if (!plan_.at(node).is_feed()) marker.control_inputs.push_back(node);
    };
    // Of calls that were or will be inlined their markers, not only the results: these may be there before the effects.
    for (const ValueRef& input : call.inputs) wait_for(input.node);
    for (const ValueRef& value : values) wait_for(value.node);
    for (const int effect : effects) wait_for(effect);
    std::ranges::sort(marker.control_inputs);
    marker.control_inputs.erase(std::unique(marker.control_inputs.begin(), marker.control_inputs.end()),
                                marker.control_inputs.end());
    call = std::move(marker);
    inlined_.insert(call_);
    return absl::OkStatus();
  }

  Plan& plan_;
  Runtime& runtime_;
  std::vector<bool> conditional_;  // by plan node
  absl::flat_hash_set<int> inlined_;
  size_t added_ = 0;
  Replacements results_{0};
  // Of the call at hand:
  int call_ = -1;
  std::vector<int> gate_;
  std::vector<int> position_;       // by body node: its plan node, or -1
  std::vector<ValueRef> argument_;  // by body node: what is passed, where it is an argument
};

}  // namespace

absl::Status inline_functions(Plan& plan, Runtime& runtime) { return Inliner(plan, runtime).run(); }

}  // namespace millrace
