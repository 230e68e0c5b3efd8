#include "graph/cond_context.h"

#include <algorithm>

#include "absl/container/flat_hash_map.h"
#include "graph/graph_def.h"
#include "graph/op_maker.h"
#include "tensorflow/core/protobuf/control_flow.pb.h"

namespace millrace {
namespace {

// Kept with the graph, which nodes refer to for as long as it lives.
struct CondContexts {
  std::vector<std::shared_ptr<CondContext>> all;
  absl::flat_hash_map<const Node*, CondContext*> of;
};

CondContexts& contexts(GraphImpl& graph) { return graph.attachment<CondContexts>(); }

std::string scoped(const std::string& import_scope, const std::string& name) {
  return import_scope.empty() ? name : import_scope + "/" + name;
}
std::string unscoped_node(std::string_view tensor) { return std::string(tensor.substr(0, tensor.rfind(':'))); }

}  // namespace

CondContext* cond_context_of(const GraphImpl& graph, const Node* node) {
  const auto& of = contexts(const_cast<GraphImpl&>(graph)).of;
  const auto it = of.find(node);
  return it == of.end() ? nullptr : it->second;
}

absl::StatusOr<Node*> make_switch(GraphImpl& graph, const Output& value, const Output& pred, std::string_view name) {
  const ScopesGuard guard(graph);
  push_colocation(graph, value.node(), true);
  return make_op(graph, {.type = is_ref(value.dtype()) ? "RefSwitch" : "Switch", .args = {value, pred}, .name = name});
}

std::shared_ptr<CondContext> CondContext::create(GraphImpl& graph, const Output& pred, const Output& pivot,
                                                 int branch) {
  const std::shared_ptr<CondContext> context(new CondContext(graph));
  context->name_ = graph.unique_name("cond_text");
  context->pred_ = pred;
  context->pivot_ = pivot;
  context->branch_ = branch;
  context->values_ = {pred.name(), pivot.name()};
  context->from_outside_[pred.name()] = pred;
  context->outer_ = dynamic_cast<CondContext*>(graph.scopes().control_flow);
  if (context->outer_) context->outer_->nested_.push_back(context.get());
  contexts(graph).all.push_back(context);
  contexts(graph).of[pivot.node()] = context.get();
  return context;
}

void CondContext::mark_seen(const std::string& tensor) {
  for (CondContext* context = this; context; context = context->outer_) context->values_.insert(tensor);
}

absl::Status CondContext::add_op(Node* node) {
  contexts(graph_).of[node] = this;
  // Switches of its inputs are named below it: "cond/mul", "cond/mul/Switch".
  const NameScope scope(graph_, node->name() + "/");
  for (int i = 0; i < node->num_inputs(); ++i) {
    const Output input = node->input(i);
    if (!input) continue;
    MR_ASSIGN_OR_RETURN(const Output inside, add_value(input));
    if (inside != input) MR_RETURN_IF_ERROR(graph_.set_input(node, i, inside));
  }
  if (node->num_inputs() == 0) {
    const auto inside = [&](const Node* input) {
      for (CondContext* c = cond_context_of(graph_, input); c; c = c->outer_)
        if (c == this) return true;
      return false;
    };
    if (std::ranges::none_of(node->control_inputs(), inside))
      MR_RETURN_IF_ERROR(graph_.add_control_input(node, pivot_.node()));
  }
  for (int i = 0; i < node->num_outputs(); ++i) mark_seen(node->output(i).name());
  return absl::OkStatus();
}

std::optional<Output> CondContext::seen(const Output& value) const {
  if (!values_.contains(value.name())) return std::nullopt;
  const auto it = from_outside_.find(value.name());
  return it == from_outside_.end() ? value : it->second;
}

// Through the contexts around, and then through a Switch of this one.
absl::StatusOr<Output> CondContext::enter(const Output& value, bool in_open_scopes) {
  values_.insert(value.name());
  Output around = value;
  if (outer_) {
    MR_ASSIGN_OR_RETURN(around, outer_->add_value(value));
    values_.insert(around.name());
    from_outside_[around.name()] = around;
  }
  const ScopesGuard guard(graph_);
  if (!in_open_scopes) clear_control_dependencies(graph_);
  MR_ASSIGN_OR_RETURN(Node * node, make_switch(graph_, around, pred_));
  return from_outside_[value.name()] = node->output(branch_);
}

absl::StatusOr<Output> CondContext::add_value(const Output& value) {
  if (const std::optional<Output> known = seen(value)) return *known;
  MR_ASSIGN_OR_RETURN(const Output inside, enter(value, /*in_open_scopes=*/false));
  contexts(graph_).of[inside.node()] = this;
  mark_seen(inside.name());
  return inside;
}

absl::StatusOr<Output> CondContext::result(const Output& value) {
  if (const std::optional<Output> known = seen(value)) return *known;
  return enter(value, /*in_open_scopes=*/true);
}

absl::StatusOr<Output> CondContext::result(Node* operation) {
  const ScopesGuard guard(graph_);
  push_colocation(graph_, pivot_.node(), false);
  push_control_dependencies(graph_, {operation});
  MR_ASSIGN_OR_RETURN(Node * node,
                      make_op(graph_, {.type = "Identity", .args = {pivot_}, .name = "control_dependency"}));
  return node->output(0);
}

void CondContext::leave(const Output& result) {
  if (outer_) outer_->values_.insert(result.name());
}

// ---- as stored

void CondContext::to_proto(tensorflow::CondContextDef* def) const {
  def->set_context_name(name_);
  def->set_pred_name(pred_.name());
  def->set_pivot_name(pivot_.name());
  def->set_branch(branch_);
  for (const std::string& value : values_) def->mutable_values_def()->add_values(value);
  for (const auto& [name, inside] : from_outside_)
    (*def->mutable_values_def()->mutable_external_values())[name] = inside.name();
  for (const CondContext* context : nested_) context->to_proto(def->add_nested_contexts()->mutable_cond_ctxt());
}

std::string CondContext::to_proto() const {
  tensorflow::CondContextDef def;
  to_proto(&def);
  return deterministic_bytes(def);
}

absl::Status CondContext::read_proto(const tensorflow::CondContextDef& def, const std::string& import_scope) {
  name_ = scoped(import_scope, def.context_name());
  MR_ASSIGN_OR_RETURN(pred_, graph_.find_output(scoped(import_scope, def.pred_name())));
  MR_ASSIGN_OR_RETURN(pivot_, graph_.find_output(scoped(import_scope, def.pivot_name())));
  if (base_dtype(pred_.dtype()) != DataType::kBool || def.branch() < 0 || def.branch() > 1)
    return invalid_argument("the meta graph's condition '", name_, "' has branch ", def.branch(), " of '", pred_.name(),
                            "', a ", dtype_name(pred_.dtype()));
  branch_ = def.branch();
  for (const auto& [outside, inside] : def.values_def().external_values()) {
    MR_ASSIGN_OR_RETURN(from_outside_[scoped(import_scope, outside)], graph_.find_output(scoped(import_scope, inside)));
  }
  auto& of = contexts(graph_).of;
  for (const std::string& value : def.values_def().values()) {
    const std::string name = scoped(import_scope, value);
    values_.insert(name);
    if (from_outside_.contains(name)) continue;
    if (const Node* node = graph_.find(unscoped_node(name))) of[node] = this;
  }
  // Inner contexts come later, as they take their nodes from the outer one.
  for (const tensorflow::ControlFlowContextDef& nested : def.nested_contexts()) {
    if (!nested.has_cond_ctxt()) continue;
    const std::shared_ptr<CondContext> inner(new CondContext(graph_));
    inner->outer_ = this;
    nested_.push_back(inner.get());
    contexts(graph_).all.push_back(inner);
    MR_RETURN_IF_ERROR(inner->read_proto(nested.cond_ctxt(), import_scope));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<CondContext>> CondContext::from_proto(GraphImpl& graph,
                                                                     const tensorflow::CondContextDef& def,
                                                                     const std::string& import_scope) {
  std::shared_ptr<CondContext> context(new CondContext(graph));
  contexts(graph).all.push_back(context);
  MR_RETURN_IF_ERROR(context->read_proto(def, import_scope));
  return context;
}

}  // namespace millrace
