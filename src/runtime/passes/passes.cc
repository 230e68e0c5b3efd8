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

absl::StatusOr<PlanNode> make_plan_constant(const Runtime& runtime, std::string name, Tensor value, const PlanNode& like) {
  MR_ASSIGN_OR_RETURN(PlanNode node, make_plan_node(runtime, "Const", std::move(name), {{"dtype", value.dtype()}, {"value", value}}, like));
  node.constant = std::move(value);
  return node;
}

absl::Status dereference_fetches(Plan& plan, Runtime& runtime) {
  for (size_t i = 0; i < plan.fetches.size(); ++i) {
    const ValueRef fetch = plan.fetches[i];
    const PlanNode& from = plan.at(fetch.node);
    const DataType type = from.output_type(fetch.index);
    if (!is_ref(type)) continue;
    MR_ASSIGN_OR_RETURN(PlanNode read, make_plan_node(runtime, "Identity", str_cat("_retval_", from.name, "_", fetch.index, "_", i),
                                                      {{"T", base_dtype(type)}}, from));
    read.inputs = {fetch};
    read.rank = fetch.node;
    plan.fetches[i] = {static_cast<int>(plan.nodes.size()), 0};
    plan.nodes.push_back(std::move(read));
  }
  return absl::OkStatus();
}

absl::Status run_passes(Plan& plan, Runtime& runtime) {
  MR_RETURN_IF_ERROR(dereference_fetches(plan, runtime));
  read_behind_updates(plan);
  return absl::OkStatus();
}

}  // namespace millrace
