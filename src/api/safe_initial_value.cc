#include "api/safe_initial_value.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "api/op_builder.h"
#include "graph/graph.h"
#include "millrace/variables.h"

namespace millrace {
namespace {

bool is_variable_op(const std::string& type) {
  return type == "Variable" || type == "VariableV2" || type == "VarHandleOp";
}

// Ops that are right to run before the variable behind them has a value, or that have looked whether it has one.
bool is_guarded(const std::string& type) {
  return type == "IsVariableInitialized" || type == "VarIsInitializedOp" || type == "ReadVariableOp" || type == "If";
}

// What a value depends on, each operation after its inputs, up to variables and guards. Empty where there is no
// variable among it, or where it has a cycle (a loop): then nothing is replaced.
std::vector<Operation> upstream(const Operation& last) {
  enum class Mark { kOpen, kDone };
  absl::flat_hash_map<const Node*, Mark> marks;
  std::vector<std::pair<Operation, int>> path = {{last, 0}};  // with the next input to look at
  std::vector<Operation> order;
  bool has_variable = false;
  marks[last.node()] = Mark::kOpen;
  while (!path.empty()) {
    auto& [op, next] = path.back();
    const bool is_leaf = is_variable_op(op.type()) || is_guarded(op.type());
    has_variable |= is_variable_op(op.type());
    if (is_leaf || next == op.num_inputs()) {
      marks[op.node()] = Mark::kDone;
      order.push_back(op);
      path.pop_back();
      continue;
    }
    const Operation input = op.input(next++).op();
    const auto [mark, is_new] = marks.try_emplace(input.node(), Mark::kOpen);
    if (is_new) path.emplace_back(input, 0);
    else if (mark->second == Mark::kOpen) return {};
  }
  return has_variable ? order : std::vector<Operation>();
}

Operation initialized(const Operation& variable_op) {
  for (const char* key : {GraphKeys::GLOBAL_VARIABLES, GraphKeys::LOCAL_VARIABLES}) {
    for (const Variable& v : get_collection<Variable>(key)) {
      if (v.op() == variable_op) return v.initialized_value().op();
    }
  }
  return variable_op;
}

// How many tensors an argument of the operation takes.
size_t count_of(const ArgDef& arg, const AttrMap& attrs) {
  if (!arg.type_list_attr.empty()) {
    const auto found = attrs.find(arg.type_list_attr);
    const auto* types = found == attrs.end() ? nullptr : found->second.get<std::vector<DataType>>();
    return types == nullptr ? 0 : types->size();
  }
  if (arg.number_attr.empty()) return 1;
  const auto found = attrs.find(arg.number_attr);
  const auto* n = found == attrs.end() ? nullptr : found->second.get<int64_t>();
  return n == nullptr ? 0 : static_cast<size_t>(*n);
}

// The operation with other inputs.
Operation copy(const Operation& op, const std::vector<Output>& inputs, std::string_view scope) {
  std::string name = str_cat(op.name(), "_", scope);
  std::ranges::replace(name, ':', '_');
  std::vector<OpArg> args;
  auto next = inputs.begin();
  for (const ArgDef& arg : op.node()->def().inputs) {
    const bool is_list = !arg.type_list_attr.empty() || !arg.number_attr.empty();
    const auto end = next + static_cast<std::ptrdiff_t>(
                                std::min(count_of(arg, op.attrs()), static_cast<size_t>(inputs.end() - next)));
    if (is_list) args.emplace_back(std::vector<Output>(next, end));
    else if (next != end) args.emplace_back(*next);
    next = end;
  }
  return create_op(op.type() == "RefSwitch" ? "Switch" : op.type(), args, op.attrs(), name);
}

}  // namespace

Output safe_initial_value(const Output& initial_value, std::string_view scope) {
  absl::flat_hash_map<const Node*, Operation> replaced;
  for (const Operation& op : upstream(initial_value.op())) {
    Operation safe = op;
    if (is_variable_op(op.type())) {
      safe = initialized(op);
    } else if (!is_guarded(op.type())) {
      std::vector<Output> inputs;
      bool modified = false;
      for (int i = 0; i < op.num_inputs(); ++i) {
        const Output input = op.input(i);
        inputs.push_back(replaced.at(input.node()).output(input.index()));
        modified |= inputs.back() != input;
      }
      if (modified) safe = copy(op, inputs, scope);
    }
    replaced.emplace(op.node(), safe);
  }
  const auto found = replaced.find(initial_value.node());
  return found == replaced.end() ? initial_value : found->second.output(initial_value.index());
}

}  // namespace millrace
