#include "millrace/train/moving_averages.h"

#include <algorithm>

#include "api/op_builder.h"
#include "api/optimizer_support.h"
#include "millrace/array_ops.h"

namespace millrace::train {
namespace {

// Of a variable or a tensor, without the ":0" of names.
Operation operation_of(const Averaged& value) { return value.variable ? value.variable.op() : value.tensor.op(); }
Input as_input(const Averaged& value) { return value.variable ? Input(value.variable) : Input(value.tensor); }
DataType dtype_of_value(const Averaged& value) {
  return base_dtype(value.variable ? value.variable.dtype() : value.tensor.dtype());
}

// As an operation that others may wait for: of a resource variable's update that is the assignment, not the read.
Operation assignment(const Output& assigned) {
  for (const Operation& dependency : assigned.op().control_inputs()) {
    if (assigned.op().type() == "ReadVariableOp" && dependency.type().starts_with("Assign")) return dependency;
  }
  return assigned.op();
}

// A variable below the average's own name: "t/EMA/biased", "t/EMA/biased_1".
Variable state_variable(const Variable& average, std::string name, const TensorShape& shape) {
  const std::vector<Variable> all = global_variables();
  const std::string prefix = get_variable_scope().name + "/";
  const auto taken = [&](const std::string& candidate) {
    return std::ranges::any_of(all, [&](const Variable& v) { return v.op().name() == prefix + candidate; });
  };
  std::string unique = name;
  for (int i = 1; taken(unique); ++i) unique = str_cat(name, "_", i);
  return get_variable(unique, shape,
                      {.dtype = base_dtype(average.dtype()), .initializer = zeros_initializer(), .trainable = false});
}

// Kingma and Ba 2014, section 3: an average that started at zero is divided by 1 - (1 - decay)^steps, where `decay` is
// the weight of the newest value.
Output assign_debiased(const Variable& average, const Input& value, const Output& decay, std::string_view scope) {
  Variable biased, local_step;
  {
    const variable_scope inside(average.op().name());
    const colocate_with there(average.op());
    const PartialTensorShape shape = average.shape();
    biased = state_variable(average, "biased", TensorShape(shape.dims()));
    local_step = state_variable(average, "local_step", TensorShape());
  }
  const Output delta = operator_ops::mul(operator_ops::sub(biased.value(), value), decay);
  const Output updated = biased.assign_sub(delta);
  const Output steps = local_step.assign_add(1);
  const Output rest = 1 - pow(1 - decay, steps);
  return average.assign(updated / rest, {.name = scope});
}

}  // namespace

const ExponentialMovingAverage::Average* ExponentialMovingAverage::find(const Operation& of) const {
  const auto found = std::ranges::find(averages_, of, &Average::of);
  return found == averages_.end() ? nullptr : &*found;
}

ExponentialMovingAverage::Average ExponentialMovingAverage::make(const Averaged& value) const {
  const control_dependencies none(nullptr);
  const Operation op = operation_of(value);
  VariableScopeOptions scope_options;
  scope_options.default_name = op.name() + "/" + options_.name;
  if (value.variable) {
    Output start;
    {
      const device there(value.variable.device());
      start = value.variable.initialized_value();
    }
    const variable_scope scope("", scope_options);
    const colocate_with there(op);
    const Variable average = get_variable(
        "", {.initializer = Initializer(start), .trainable = false, .use_resource = value.variable.is_resource()});
    add_to_collection(GraphKeys::MOVING_AVERAGE_VARIABLES, value.variable);
    return {op, average, false};
  }
  const PartialTensorShape shape = value.tensor.shape();
  if (!shape.is_fully_defined())
    raise(invalid_argument("ExponentialMovingAverage: the shape of ", value.tensor.name(), " must be known: ", shape));
  const variable_scope scope("", scope_options);
  const bool is_variable_op = op.type() == "Variable" || op.type() == "VariableV2" || op.type() == "VarHandleOp";
  const std::unique_ptr<colocate_with> there = is_variable_op ? std::make_unique<colocate_with>(op) : nullptr;
  return {
      op,
      get_variable("", shape, {.dtype = dtype_of_value(value), .initializer = zeros_initializer(), .trainable = false}),
      options_.zero_debias};
}

Output ExponentialMovingAverage::update(const Average& average, const Averaged& value, const Output& decay) const {
  const name_scope scope("AssignMovingAvg");
  const Output weight = as_dtype(operator_ops::sub(1, decay), average.variable);
  if (average.zero_debias) return assign_debiased(average.variable, as_input(value), weight, scope.name());
  // Python reads the left variable before it opens the operator's scope, and loses the name for resource variables.
  const Output difference = operator_ops::sub(average.variable.value(), as_input(value));
  const bool is_resource = average.variable.is_resource();
  return average.variable.assign_sub(difference * weight, {.name = is_resource ? std::string_view() : scope.name()});
}

Operation ExponentialMovingAverage::apply() {
  std::vector<Averaged> all;
  for (const Variable& v : trainable_variables()) all.emplace_back(v);
  return apply(all);
}

Operation ExponentialMovingAverage::apply(const std::vector<Averaged>& var_list) {
  std::vector<Operation> fresh;  // zero_debias counts only for averages made here
  for (const Averaged& value : var_list) {
    if (!is_floating(dtype_of_value(value)))
      raise(invalid_argument("The variables must be half, float, or double: ", as_input(value).output().name()));
    if (find(operation_of(value)) == nullptr) {
      averages_.push_back(make(value));
      fresh.push_back(averages_.back().of);
    }
  }
  const name_scope scope(options_.name);
  Output decay = convert_to_tensor(options_.decay, float32, "decay");
  if (options_.num_updates) {
    const Output n = cast(options_.num_updates, float32, {.name = "num_updates"});
    const Output numerator = 1.0 + n;
    const Output denominator = 10.0 + n;
    decay = minimum(decay, numerator / denominator);
  }
  std::vector<Operation> updates;
  for (const Averaged& value : var_list) {
    Average average = *find(operation_of(value));
    average.zero_debias &= std::ranges::find(fresh, average.of) != fresh.end();
    updates.push_back(assignment(update(average, value, decay)));
  }
  return group(updates, {.name = scope.name()});
}

Variable ExponentialMovingAverage::average(const Averaged& value) const {
  const Average* found = find(operation_of(value));
  return found == nullptr ? Variable() : found->variable;
}

std::string ExponentialMovingAverage::average_name(const Averaged& value) const {
  if (const Variable found = average(value)) return found.op().name();
  return get_default_graph().unique_name(operation_of(value).name() + "/" + options_.name, false);
}

std::map<std::string, Variable> ExponentialMovingAverage::variables_to_restore(
    const std::optional<std::vector<Variable>>& moving_avg_variables) const {
  std::vector<Variable> averaged;
  if (moving_avg_variables) {
    averaged = *moving_avg_variables;
  } else {
    averaged = trainable_variables();
    const std::vector<Variable> collected = get_collection<Variable>(GraphKeys::MOVING_AVERAGE_VARIABLES);
    averaged.insert(averaged.end(), collected.begin(), collected.end());
  }
  std::map<std::string, Variable> by_name;
  for (const Variable& v : averaged) by_name.emplace(average_name(v), v);
  for (const Variable& v : global_variables()) {
    if (std::ranges::find(averaged, v) == averaged.end()) by_name.emplace(v.op().name(), v);
  }
  return by_name;
}

}  // namespace millrace::train
