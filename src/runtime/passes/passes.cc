#include "runtime/passes/passes.h"

namespace millrace {

absl::StatusOr<PlanNode> make_plan_node(const Runtime& runtime, std::string_view op, std::string name, AttrMap attrs,
                                        const PlanNode& like) {
  const OpEntry* entry = runtime.registry().find(op);
  if (entry == nullptr) return not_found("Op type not registered '", op, "'");
  auto state = std::make_shared<NodeState>();
  state->op = entry;
  state->info.name = name;
  state->info.op = std::string(op);
  state->info.device = like.state ? like.state->info.device : runtime.devices()[0].name;
  state->info.attrs = std::move(attrs);
  if (like.state) state->source = like.state->source;
  MR_RETURN_IF_ERROR(check_and_complete_attrs(entry->def, &state->info.attrs));
  MR_ASSIGN_OR_RETURN(ArgTypes inputs, resolve_args(entry->def.inputs, state->info.attrs));
  MR_ASSIGN_OR_RETURN(ArgTypes outputs, resolve_args(entry->def.outputs, state->info.attrs));
  state->info.input_types = std::move(inputs.types);
  state->info.output_types = std::move(outputs.types);
  PlanNode node;
  node.state = std::move(state);
  node.name = std::move(name);
  node.op = std::string(op);
  return node;
}

absl::StatusOr<PlanNode> make_plan_constant(const Runtime& runtime, std::string name, Tensor value,
                                            const PlanNode& like) {
  MR_ASSIGN_OR_RETURN(PlanNode node, make_plan_node(runtime, "Const", std::move(name),
                                                    {{"dtype", value.dtype()}, {"value", value}}, like));
  node.constant = std::move(value);
  return node;
}

void Replacements::add(ValueRef from, ValueRef to) {
  if (by_node_.size() <= static_cast<size_t>(from.node)) by_node_.resize(static_cast<size_t>(from.node) + 1);
  auto& outputs = by_node_[static_cast<size_t>(from.node)];
  if (outputs.size() <= static_cast<size_t>(from.index)) outputs.resize(static_cast<size_t>(from.index) + 1);
  outputs[static_cast<size_t>(from.index)] = to;
  empty_ = false;
}

ValueRef Replacements::find(ValueRef value) {
  const auto next_of = [&](const ValueRef& v) -> ValueRef* {
    if (static_cast<size_t>(v.node) >= by_node_.size()) return nullptr;
    auto& outputs = by_node_[static_cast<size_t>(v.node)];
    if (static_cast<size_t>(v.index) >= outputs.size()) return nullptr;
    ValueRef& next = outputs[static_cast<size_t>(v.index)];
    return next.node < 0 ? nullptr : &next;
  };
  ValueRef last = value;
  while (const ValueRef* next = next_of(last)) last = *next;
  // A chain of a million identities is walked once, not once for each reader.
  while (ValueRef* next = next_of(value)) {
    value = *next;
    *next = last;
  }
  return last;
}

void Replacements::apply(Plan& plan) {
  if (empty_) return;
  for (PlanNode& node : plan.nodes) {
    for (ValueRef& input : node.inputs) input = find(input);
  }
  for (ValueRef& fetch : plan.fetches) fetch = find(fetch);
}

Uses count_uses(const Plan& plan) {
  Uses uses;
  uses.data.resize(plan.nodes.size());
  uses.control.resize(plan.nodes.size());
  for (size_t i = 0; i < plan.nodes.size(); ++i) uses.data[i].resize(static_cast<size_t>(plan.nodes[i].num_outputs()));
  const auto count = [&](const ValueRef& v) { ++uses.data[static_cast<size_t>(v.node)][static_cast<size_t>(v.index)]; };
  for (const PlanNode& node : plan.nodes) {
    if (node.removed) continue;
    for (const ValueRef& input : node.inputs) count(input);
    for (const int control : node.control_inputs) ++uses.control[static_cast<size_t>(control)];
  }
  for (const ValueRef& fetch : plan.fetches) count(fetch);
  for (const int target : plan.targets) ++uses.control[static_cast<size_t>(target)];
  return uses;
}

absl::Status dereference_fetches(Plan& plan, Runtime& runtime) {
  for (size_t i = 0; i < plan.fetches.size(); ++i) {
    const ValueRef fetch = plan.fetches[i];
    const PlanNode& from = plan.at(fetch.node);
    const DataType type = from.output_type(fetch.index);
    if (!is_ref(type)) continue;
    MR_ASSIGN_OR_RETURN(PlanNode read,
                        make_plan_node(runtime, "Identity", str_cat("_retval_", from.name, "_", fetch.index, "_", i),
                                       {{"T", base_dtype(type)}}, from));
    read.inputs = {fetch};
    read.rank = fetch.node;
    plan.fetches[i] = {static_cast<int>(plan.nodes.size()), 0};
    plan.nodes.push_back(std::move(read));
  }
  return absl::OkStatus();
}

bool runs_for_errors(std::string_view op) {
  return op == "CheckNumerics" || op == "CheckNumericsV2" || op == "EnsureShape";
}

namespace {

absl::Status late_reads(Plan& plan, Runtime&) {
  read_behind_updates(plan);
  return absl::OkStatus();
}

}  // namespace

absl::Status run_passes(Plan& plan, Runtime& runtime) {
  const RuntimeOptions& options = runtime.options();
  // A fetch of a partial run must not wait for the feeds of what it was fused with.
  const bool fusion = options.fusion && !plan.partial;
  struct Pass {
    absl::Status (*run)(Plan&, Runtime&);
    bool wanted;
  };
  const Pass passes[] = {
      {inline_functions, options.inline_functions},  // first: the others see into the bodies
      {dereference_fetches, true},
      {late_reads, true},  // while variables and their reads still stand as built
      {skip_unread, options.arithmetic},
      {loosen_controls, options.arithmetic},
      {skip_identities, options.arithmetic},  // of which fewer wait for something now
      {fold_constants, options.constant_folding},
      {merge_subexpressions, options.common_subexpressions},  // after folding, which makes equal constants
      {fuse_bias, fusion},                                    // last: fusions hide the ops that others know
      {fuse_batch_norm, fusion},
      {fuse_elementwise, fusion},  // of what the others did not take along
  };
  for (const Pass& pass : passes) {
    if (!pass.wanted) continue;
    MR_RETURN_IF_ERROR(pass.run(plan, runtime));
    prune(plan);
  }
  return absl::OkStatus();
}

}  // namespace millrace
