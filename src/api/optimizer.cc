#include "millrace/train/optimizer.h"

#include <algorithm>

#include "api/op_builder.h"
#include "api/optimizer_support.h"
#include "base/strings.h"
#include "millrace/array_ops.h"
#include "millrace/math_ops.h"

namespace millrace::train {
namespace {

// Without the ":0" of the variable's tensor.
std::string op_name(const Variable& var) { return var.op().name(); }

// An assignment as an operation: of a resource variable Variable::assign gives the read after it.
Operation assignment(const Output& assigned) {
  const Operation op = assigned.op();
  if (op.type() != "ReadVariableOp") return op;
  for (const Operation& dependency : op.control_inputs()) {
    if (dependency.type().starts_with("Assign")) return dependency;
  }
  return op;
}

}  // namespace

Operation Optimizer::minimize(const Input& loss, const MinimizeOptions& o) {
  const SourceScope source(loss);
  const std::vector<GradientAndVariable> grads_and_vars =
      compute_gradients(loss, {.var_list = o.var_list,
                               .gate_gradients = o.gate_gradients,
                               .aggregation_method = o.aggregation_method,
                               .colocate_gradients_with_ops = o.colocate_gradients_with_ops,
                               .grad_loss = o.grad_loss});
  if (std::ranges::none_of(grads_and_vars,
                           [](const GradientAndVariable& gv) { return static_cast<bool>(gv.gradient); })) {
    std::string names;
    for (const GradientAndVariable& gv : grads_and_vars)
      str_append(&names, names.empty() ? "" : ", ", gv.variable.name());
    raise(
        invalid_argument("No gradients provided for any variable, check your graph for ops that do not support "
                         "gradients, between variables [",
                         names, "] and loss ", convert_to_tensor(loss).name(), "."));
  }
  return apply_gradients(grads_and_vars, {.global_step = o.global_step, .name = o.name});
}

std::vector<GradientAndVariable> Optimizer::compute_gradients(const Input& loss, const ComputeGradientsOptions& o) {
  const SourceScope source(loss);
  std::vector<Variable> variables = o.var_list ? *o.var_list : trainable_variables();
  if (variables.empty()) raise(invalid_argument("No variables to optimize."));
  std::vector<Input> xs;
  for (const Variable& v : variables) xs.emplace_back(v);
  GradientsOptions options{.colocate_gradients_with_ops = o.colocate_gradients_with_ops,
                           .gate_gradients = o.gate_gradients == Gate::OP,
                           .aggregation_method = o.aggregation_method};
  if (o.grad_loss) options.grad_ys = {convert_to_tensor(o.grad_loss)};
  std::vector<Gradient> gradients = millrace::gradients({loss}, xs, options);
  if (o.gate_gradients == Gate::GRAPH) {
    std::vector<Output> dense(gradients.size());
    for (size_t i = 0; i < gradients.size(); ++i) {
      if (gradients[i]) dense[i] = gradients[i].is_slices() ? gradients[i].slices().values : gradients[i].dense();
    }
    const std::vector<Output> gated = tuple(dense);
    for (size_t i = 0; i < gradients.size(); ++i) {
      if (!gradients[i]) continue;
      if (gradients[i].is_slices()) {
        gradients[i] =
            Gradient(IndexedSlices{gated[i], gradients[i].slices().indices, gradients[i].slices().dense_shape});
      } else {
        gradients[i] = Gradient(gated[i]);
      }
    }
  }
  std::vector<GradientAndVariable> result;
  for (size_t i = 0; i < variables.size(); ++i) {
    const DataType dtype = base_dtype(variables[i].dtype());
    if (gradients[i] && !is_floating(dtype) && !is_complex(dtype)) {
      raise(invalid_argument("Invalid type ", dtype_name(dtype), " for ", variables[i].name(),
                             ": an optimizer trains floating types"));
    }
    result.push_back({gradients[i], variables[i]});
  }
  return result;
}

Operation Optimizer::update(const Gradient& gradient, const Variable& var) {
  const Operation updated = gradient.is_slices() ? apply_sparse_duplicate_indices(gradient.slices(), var)
                                                 : apply_dense(gradient.dense(), var);
  if (!var.constraint()) return updated;
  const control_dependencies after({updated});
  return assignment(var.assign(var.constraint()(var)));
}

Operation Optimizer::apply_gradients(const std::vector<GradientAndVariable>& grads_and_vars,
                                     const ApplyGradientsOptions& o) {
  if (grads_and_vars.empty()) raise(invalid_argument("No variables provided."));
  std::vector<Variable> variables;
  for (const GradientAndVariable& gv : grads_and_vars) {
    if (gv.gradient) variables.push_back(gv.variable);
  }
  if (variables.empty()) raise(invalid_argument("No gradients provided for any variable."));
  {
    const control_dependencies none(nullptr);
    create_slots(variables);
  }
  const name_scope scope(o.name.empty() ? name_ : o.name);
  prepare();
  std::vector<Operation> updates;
  for (const GradientAndVariable& gv : grads_and_vars) {
    if (!gv.gradient) continue;
    const name_scope update_scope("update_" + op_name(gv.variable));
    const colocate_with colocated(gv.variable.op());
    updates.push_back(update(gv.gradient, gv.variable));
  }
  Operation train_op;
  if (!o.global_step) {
    train_op = finish(updates, scope.name());
  } else {
    const control_dependencies after({finish(updates, "update")});
    const colocate_with colocated(o.global_step.op());
    if (o.global_step.is_resource()) {
      // As TF1, without the read that Variable::assign_add ends with.
      const DataType dtype = base_dtype(o.global_step.dtype());
      train_op = create_op("AssignAddVariableOp", {target(o.global_step), convert_to_tensor(1, dtype, "Const")},
                           {{"dtype", dtype}}, scope.name());
    } else {
      train_op = assignment(o.global_step.assign_add(1, {.name = scope.name()}));
    }
  }
  const std::vector<Operation> collected = get_collection<Operation>(GraphKeys::TRAIN_OP);
  if (std::ranges::find(collected, train_op) == collected.end()) add_to_collection(GraphKeys::TRAIN_OP, train_op);
  return train_op;
}

Operation Optimizer::apply_sparse_duplicate_indices(const IndexedSlices& gradient, const Variable& var) {
  const Unique distinct = unique(gradient.indices);
  const Output count = index(shape(distinct.y), {IndexItem(0)});
  return apply_sparse(unsorted_segment_sum(gradient.values, distinct.idx, count), distinct.y, var);
}

Operation Optimizer::finish(const std::vector<Operation>& update_ops, std::string_view name) {
  return group(update_ops, {.name = name});
}

Variable Optimizer::get_slot(const Variable& var, const std::string& name) const {
  const auto slot = slots_.find(name);
  if (slot == slots_.end()) return {};
  const auto found = std::ranges::find(slot->second, var, &std::pair<Variable, Variable>::first);
  return found == slot->second.end() ? Variable() : found->second;
}

std::vector<std::string> Optimizer::get_slot_names() const {
  std::vector<std::string> names;
  for (const auto& [name, slots] : slots_) names.push_back(name);
  return names;
}

std::vector<Variable> Optimizer::variables() const {
  std::vector<Variable> all;
  for (const auto& [name, variable] : non_slots_) all.push_back(variable);
  for (const auto& [name, slots] : slots_) {
    for (const auto& [primary, slot] : slots) all.push_back(slot);
  }
  std::ranges::sort(all, {}, &Variable::name);
  return all;
}

namespace {

// The scope of a slot: the primary's name and the optimizer's, made unique.
VariableScopeOptions slot_scope(const Variable& var, const std::string& slot_op_name) {
  VariableScopeOptions options;
  options.default_name = op_name(var) + "/" + slot_op_name;
  return options;
}

}  // namespace

Variable Optimizer::slot_with_initializer(const Variable& var, const Initializer& initializer,
                                          const std::string& slot_name, const std::string& slot_op_name) {
  if (const Variable slot = get_slot(var, slot_name)) return slot;
  const variable_scope scope("", slot_scope(var, slot_op_name));
  const colocate_with colocated(var.op());
  const GetVariableOptions options{.initializer = initializer, .trainable = false, .use_resource = var.is_resource()};
  Variable slot;
  if (initializer.is_value()) {
    slot = get_variable("", options);
  } else {
    GetVariableOptions typed = options;
    typed.dtype = base_dtype(var.dtype());
    slot = get_variable("", var.shape(), typed);
  }
  slots_[slot_name].emplace_back(var, slot);
  return slot;
}

Variable Optimizer::zeros_slot(const Variable& var, const std::string& slot_name, const std::string& slot_op_name) {
  return slot_with_initializer(var, zeros_initializer(), slot_name, slot_op_name);
}

Variable Optimizer::non_slot_variable(const Tensor& initial_value, const std::string& name, const Variable& colocated) {
  if (const auto found = non_slots_.find(name);
      found != non_slots_.end() && found->second.graph() == get_default_graph())
    return found->second;
  const colocate_with guard(colocated.op());
  const Variable variable(initial_value, {.trainable = false, .name = name, .use_resource = colocated.is_resource()});
  return non_slots_[name] = variable;
}

Variable Optimizer::get_non_slot_variable(const std::string& name) const {
  const auto found = non_slots_.find(name);
  return found == non_slots_.end() ? Variable() : found->second;
}

// --- gradient descent

GradientDescentOptimizer::GradientDescentOptimizer(const GradientDescentOptions& options)
    : Optimizer(options.name, options.use_locking), options_(options) {
  if (!options.learning_rate) raise(invalid_argument("GradientDescentOptimizer: learning_rate must be given"));
}

void GradientDescentOptimizer::prepare() {
  learning_rate_ = convert_to_tensor(options_.learning_rate, DataType::kInvalid, "learning_rate");
}

Operation GradientDescentOptimizer::apply_dense(const Output& gradient, const Variable& var) {
  return create_op(kind(var, "ApplyGradientDescent", "ResourceApplyGradientDescent"),
                   {target(var), as_dtype(learning_rate_, var), gradient}, {{"use_locking", use_locking()}});
}

Operation GradientDescentOptimizer::apply_sparse(const Output& values, const Output& indices, const Variable& var) {
  return apply_sparse_duplicate_indices({values, indices, {}}, var);
}

// Subtracting is right for equal indices too.
Operation GradientDescentOptimizer::apply_sparse_duplicate_indices(const IndexedSlices& gradient, const Variable& var) {
  const Output rate = as_dtype(learning_rate_, var);
  if (var.is_resource())
    return create_op("ResourceScatterAdd", {target(var), gradient.indices, negative(gradient.values) * rate});
  return create_op("ScatterSub", {target(var), gradient.indices, gradient.values * rate},
                   {{"use_locking", use_locking()}});
}

// --- momentum

MomentumOptimizer::MomentumOptimizer(const MomentumOptions& options)
    : Optimizer(options.name, options.use_locking), options_(options) {
  if (!options.learning_rate || !options.momentum)
    raise(invalid_argument("MomentumOptimizer: learning_rate and momentum must be given"));
}

void MomentumOptimizer::create_slots(const std::vector<Variable>& var_list) {
  for (const Variable& v : var_list) zeros_slot(v, "momentum", get_name());
}

void MomentumOptimizer::prepare() {
  learning_rate_ = convert_to_tensor(options_.learning_rate, DataType::kInvalid, "learning_rate");
  momentum_ = convert_to_tensor(options_.momentum, DataType::kInvalid, "momentum");
}

Operation MomentumOptimizer::apply_dense(const Output& gradient, const Variable& var) {
  return create_op(kind(var, "ApplyMomentum", "ResourceApplyMomentum"),
                   {target(var), target(get_slot(var, "momentum")), as_dtype(learning_rate_, var), gradient,
                    as_dtype(momentum_, var)},
                   {{"use_locking", use_locking()}, {"use_nesterov", options_.use_nesterov}});
}

Operation MomentumOptimizer::apply_sparse(const Output& values, const Output& indices, const Variable& var) {
  return create_op(kind(var, "SparseApplyMomentum", "ResourceSparseApplyMomentum"),
                   {target(var), target(get_slot(var, "momentum")), as_dtype(learning_rate_, var), values, indices,
                    as_dtype(momentum_, var)},
                   {{"use_locking", use_locking()}, {"use_nesterov", options_.use_nesterov}});
}

// --- Adam

AdamOptimizer::AdamOptimizer(const AdamOptions& options)
    : Optimizer(options.name, options.use_locking), options_(options) {}

namespace {

// An accumulator's start; a symbolic beta has none, and TF1 would start from the tensor.
Tensor start_of(const Input& beta, std::string_view name) {
  if (!beta.is_literal()) raise(unimplemented("AdamOptimizer: ", name, " must be a number"));
  return value_or_raise(cast_literal(beta.literal(), float32));
}

// x * beta, then += g at the indices; the value after both.
Output decay_and_scatter(const Variable& slot, const Output& beta, const Output& delta, const Output& indices,
                         bool use_locking) {
  const Output decayed = slot.assign(operator_ops::mul(slot, beta), {.use_locking = use_locking});
  const control_dependencies after({assignment(decayed)});
  if (!slot.is_resource())
    return create_output("ScatterAdd", {target(slot), indices, delta}, {{"use_locking", use_locking}});
  const Operation scattered = create_op("ResourceScatterAdd", {target(slot), indices, delta});
  const control_dependencies then({scattered});
  return slot.value();
}

}  // namespace

void AdamOptimizer::create_slots(const std::vector<Variable>& var_list) {
  const Variable first = *std::ranges::min_element(var_list, {}, &Variable::name);
  non_slot_variable(start_of(options_.beta1, "beta1"), "beta1_power", first);
  non_slot_variable(start_of(options_.beta2, "beta2"), "beta2_power", first);
  for (const Variable& v : var_list) {
    zeros_slot(v, "m", get_name());
    zeros_slot(v, "v", get_name());
  }
}

void AdamOptimizer::prepare() {
  learning_rate_ = convert_to_tensor(options_.learning_rate, DataType::kInvalid, "learning_rate");
  beta1_ = convert_to_tensor(options_.beta1, DataType::kInvalid, "beta1");
  beta2_ = convert_to_tensor(options_.beta2, DataType::kInvalid, "beta2");
  epsilon_ = convert_to_tensor(options_.epsilon, DataType::kInvalid, "epsilon");
}

Operation AdamOptimizer::apply_dense(const Output& gradient, const Variable& var) {
  const std::string_view type = kind(var, "ApplyAdam", "ResourceApplyAdam");
  const Variable beta1_power = get_non_slot_variable("beta1_power"), beta2_power = get_non_slot_variable("beta2_power");
  const bool same = base_dtype(var.dtype()) == float32;
  const OpArg power1 = same ? OpArg(Input(beta1_power)) : OpArg(cast(beta1_power, base_dtype(var.dtype())));
  const OpArg power2 = same ? OpArg(Input(beta2_power)) : OpArg(cast(beta2_power, base_dtype(var.dtype())));
  return create_op(
      type,
      {target(var), target(get_slot(var, "m")), target(get_slot(var, "v")), power1, power2,
       as_dtype(learning_rate_, var), as_dtype(beta1_, var), as_dtype(beta2_, var), as_dtype(epsilon_, var), gradient},
      {{"use_locking", use_locking()}});
}

Operation AdamOptimizer::apply_sparse(const Output& values, const Output& indices, const Variable& var) {
  const DataType dtype = base_dtype(var.dtype());
  const auto power = [&](const char* name) {
    const Variable v = get_non_slot_variable(name);
    return dtype == float32 ? Input(v) : Input(cast(v, dtype));
  };
  const Output beta1 = as_dtype(beta1_, var), beta2 = as_dtype(beta2_, var), epsilon = as_dtype(epsilon_, var);
  const Output scaled_rate = as_dtype(learning_rate_, var) * sqrt(operator_ops::sub(1, power("beta2_power")));
  const Output rate = scaled_rate / operator_ops::sub(1, power("beta1_power"));
  const Output m_delta = values * (1 - beta1);
  const Output m = decay_and_scatter(get_slot(var, "m"), beta1, m_delta, indices, use_locking());
  const Output squares = values * values;
  const Output v_delta = squares * (1 - beta2);
  const Output v = decay_and_scatter(get_slot(var, "v"), beta2, v_delta, indices, use_locking());
  const Output v_sqrt = sqrt(v);
  const Output step = rate * m;
  const Output updated = var.assign_sub(step / (v_sqrt + epsilon), {.use_locking = use_locking()});
  return group({assignment(updated), m, v});
}

Operation AdamOptimizer::finish(const std::vector<Operation>& update_ops, std::string_view name) {
  const Variable beta1_power = get_non_slot_variable("beta1_power"), beta2_power = get_non_slot_variable("beta2_power");
  std::vector<Operation> all = update_ops;
  {
    const control_dependencies after(update_ops);
    const colocate_with colocated(beta1_power.op());
    for (const auto& [accumulator, beta] : {std::pair{beta1_power, beta1_}, std::pair{beta2_power, beta2_}}) {
      all.push_back(
          assignment(accumulator.assign(operator_ops::mul(accumulator, beta), {.use_locking = use_locking()})));
    }
  }
  return group(all, {.name = name});
}

}  // namespace millrace::train
