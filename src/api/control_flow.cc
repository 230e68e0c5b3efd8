#include "millrace/control_flow.h"

#include "api/op_builder.h"
#include "graph/cond_context.h"
#include "tensorflow/core/protobuf/control_flow.pb.h"

namespace millrace {
namespace {

struct Branch {
  std::shared_ptr<CondContext> context;
  std::vector<Output> results;
};

// Calls the branch's function with everything that it builds inside the context.
Branch build_branch(const Output& pred, const Output& pivot, int number,
                    const std::function<BranchResult()>& function) {
  GraphImpl& graph = default_graph();
  Branch branch{CondContext::create(graph, pred, pivot, number), {}};
  const ScopesGuard guard(graph);
  graph.scopes().control_flow = branch.context.get();
  const BranchResult returned = function();
  if (returned.values().empty())
    raise(invalid_argument(number == 1 ? "true_fn" : "false_fn", " of '", branch.context->name(),
                           "' must return at least one result"));
  for (size_t i = 0; i < returned.values().size(); ++i) {
    const Operation op = i < returned.operations().size() ? returned.operations()[i] : Operation();
    const absl::StatusOr<Output> result =
        op.node() ? branch.context->result(op.node()) : branch.context->result(convert_to_tensor(returned.values()[i]));
    branch.results.push_back(value_or_raise(result));
  }
  for (const Output& result : branch.results) branch.context->leave(result);
  return branch;
}

void check_agreement(const Branch& on, const Branch& off) {
  if (on.results.size() != off.results.size())
    raise(invalid_argument("true_fn and false_fn of a cond must return as many values: ", on.results.size(), " and ",
                           off.results.size()));
  for (size_t i = 0; i < on.results.size(); ++i) {
    const DataType a = base_dtype(on.results[i].dtype()), b = base_dtype(off.results[i].dtype());
    if (a != b)
      raise(invalid_argument("Outputs of 'true_fn' and 'false_fn' must have the same type(s). Received ", dtype_name(a),
                             " from 'true_fn' and ", dtype_name(b), " from 'false_fn'."));
  }
}

Output merged(const Output& off, const Output& on) {
  const bool refs = is_ref(off.dtype()) && is_ref(on.dtype());
  return create_output(refs ? "RefMerge" : "Merge", {std::vector<Output>{off, on}}, {}, "Merge");
}

}  // namespace

namespace internal {

std::vector<Output> build_cond(const Input& pred, const std::function<BranchResult()>& true_fn,
                               const std::function<BranchResult()>& false_fn, const CondOptions& options) {
  if (!pred || pred.is_literal())
    raise(invalid_argument("pred of a cond must be a bool tensor; what is known while the graph is built is an `if`"));
  const SourceScope source(pred);
  const name_scope scope(options.name);
  const Output condition = pred.output();
  if (base_dtype(condition.dtype()) != DataType::kBool)
    raise(invalid_argument("pred of a cond must be a bool tensor: '", condition.name(), "' is a ",
                           dtype_name(condition.dtype())));
  const Operation decide = create_op("Switch", {condition, condition});
  const Output on_pivot = identity(decide.output(1), {.name = "switch_t"});
  const Output off_pivot = identity(decide.output(0), {.name = "switch_f"});
  const Output pred_id = identity(condition, {.name = "pred_id"});
  const Branch on = build_branch(pred_id, on_pivot, 1, true_fn);
  const Branch off = build_branch(pred_id, off_pivot, 0, false_fn);
  check_agreement(on, off);
  std::vector<Output> results;
  for (size_t i = 0; i < on.results.size(); ++i) results.push_back(merged(off.results[i], on.results[i]));
  if (!on.context->outer()) {  // those inside others are stored with them
    const Graph graph = get_default_graph();
    graph.add_to_collection(GraphKeys::COND_CONTEXT, std::static_pointer_cast<CollectionObject>(on.context));
    graph.add_to_collection(GraphKeys::COND_CONTEXT, std::static_pointer_cast<CollectionObject>(off.context));
  }
  return results;
}

}  // namespace internal
}  // namespace millrace
