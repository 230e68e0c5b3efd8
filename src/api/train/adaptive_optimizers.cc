#include "millrace/train/adaptive_optimizers.h"

#include "api/op_builder.h"
#include "api/optimizer_support.h"
#include "millrace/array_ops.h"

namespace millrace::train {
namespace {

Output hyperparameter(const Input& value, std::string_view name) {
  return convert_to_tensor(value, DataType::kInvalid, name);
}

void require(const Input& learning_rate, std::string_view optimizer) {
  if (!learning_rate) raise(invalid_argument(optimizer, ": learning_rate must be given"));
}

void require_positive(float value, std::string_view name) {
  if (!(value > 0)) raise(invalid_argument(name, " must be positive: ", value));
}

// "Apply" + "Adagrad", "SparseApply" + ..., and with "Resource" before it for resource variables.
constexpr std::string_view kDense = "Apply", kSparse = "SparseApply";
std::string update_type(const Variable& var, std::string_view prefix, std::string_view name) {
  return str_cat(var.is_resource() ? "Resource" : "", prefix, name);
}

// A constant of the variable's shape; small or large, one number stands for all.
Output filled_like(const Variable& var, float value) {
  const colocate_with there(var.op());
  const DataType dtype = base_dtype(var.dtype());
  const PartialTensorShape shape = var.shape();
  if (!shape.is_fully_defined()) raise(invalid_argument("The shape of ", var.name(), " must be known: ", shape));
  const Tensor number = value_or_raise(cast_literal(Tensor(value), dtype));
  return constant(number, {.shape = TensorShape(shape.dims())});
}

}  // namespace

// --- RMSProp

RMSPropOptimizer::RMSPropOptimizer(const RMSPropOptions& options)
    : Optimizer(options.name, options.use_locking), options_(options) {
  require(options.learning_rate, "RMSPropOptimizer");
}

void RMSPropOptimizer::create_slots(const std::vector<Variable>& var_list) {
  for (const Variable& v : var_list) {
    slot_with_initializer(v, ones_initializer(), "rms", get_name());
    if (options_.centered) zeros_slot(v, "mg", get_name());
    zeros_slot(v, "momentum", get_name());
  }
}

void RMSPropOptimizer::prepare() {
  learning_rate_ = hyperparameter(options_.learning_rate, "learning_rate");
  decay_ = hyperparameter(options_.decay, "decay");
  momentum_ = hyperparameter(options_.momentum, "momentum");
  epsilon_ = hyperparameter(options_.epsilon, "epsilon");
}

Operation RMSPropOptimizer::apply(std::string_view prefix, const Variable& var, const std::vector<Output>& gradient) {
  std::vector<OpArg> args = {target(var)};
  if (options_.centered) args.push_back(target(get_slot(var, "mg")));
  args.push_back(target(get_slot(var, "rms")));
  args.push_back(target(get_slot(var, "momentum")));
  for (const Output& h : {learning_rate_, decay_, momentum_, epsilon_}) args.push_back(as_dtype(h, var));
  args.insert(args.end(), gradient.begin(), gradient.end());
  return create_op(update_type(var, prefix, options_.centered ? "CenteredRMSProp" : "RMSProp"), args,
                   {{"use_locking", use_locking()}});
}

Operation RMSPropOptimizer::apply_dense(const Output& gradient, const Variable& var) {
  return apply(kDense, var, {gradient});
}
Operation RMSPropOptimizer::apply_sparse(const Output& values, const Output& indices, const Variable& var) {
  return apply(kSparse, var, {values, indices});
}

// --- Adagrad

AdagradOptimizer::AdagradOptimizer(const AdagradOptions& options)
    : Optimizer(options.name, options.use_locking), options_(options) {
  require(options.learning_rate, "AdagradOptimizer");
  require_positive(options.initial_accumulator_value, "initial_accumulator_value");
}

void AdagradOptimizer::create_slots(const std::vector<Variable>& var_list) {
  for (const Variable& v : var_list) {
    const Initializer start =
        constant_initializer(Tensor(options_.initial_accumulator_value), {.dtype = base_dtype(v.dtype())});
    slot_with_initializer(v, start, "accumulator", get_name());
  }
}

void AdagradOptimizer::prepare() { learning_rate_ = hyperparameter(options_.learning_rate, "learning_rate"); }

Operation AdagradOptimizer::apply_dense(const Output& gradient, const Variable& var) {
  return create_op(update_type(var, kDense, "Adagrad"),
                   {target(var), target(get_slot(var, "accumulator")), as_dtype(learning_rate_, var), gradient},
                   {{"use_locking", use_locking()}});
}
Operation AdagradOptimizer::apply_sparse(const Output& values, const Output& indices, const Variable& var) {
  return create_op(update_type(var, kSparse, "Adagrad"),
                   {target(var), target(get_slot(var, "accumulator")), as_dtype(learning_rate_, var), values, indices},
                   {{"use_locking", use_locking()}});
}

// --- Adagrad with dual averaging

AdagradDAOptimizer::AdagradDAOptimizer(const AdagradDAOptions& options)
    : Optimizer(options.name, options.use_locking), options_(options) {
  require(options.learning_rate, "AdagradDAOptimizer");
  require_positive(options.initial_gradient_squared_accumulator_value, "initial_gradient_squared_accumulator_value");
  if (!options.global_step) raise(invalid_argument("AdagradDAOptimizer: global_step must be given"));
}

void AdagradDAOptimizer::create_slots(const std::vector<Variable>& var_list) {
  for (const Variable& v : var_list) {
    if (get_slot(v, "gradient_accumulator")) continue;
    const Output zeros = filled_like(v, 0);
    const Output start = filled_like(v, options_.initial_gradient_squared_accumulator_value);
    slot_with_initializer(v, Initializer(zeros), "gradient_accumulator", get_name());
    slot_with_initializer(v, Initializer(start), "gradient_squared_accumulator", get_name());
  }
}

void AdagradDAOptimizer::prepare() {
  learning_rate_ = hyperparameter(options_.learning_rate, "learning_rate");
  const colocate_with there(learning_rate_.op());
  global_step_ = identity(options_.global_step) + 1;
}

Operation AdagradDAOptimizer::apply(std::string_view prefix, const Variable& var, const std::vector<Output>& gradient) {
  Output global_step;
  {
    const device there(var.device());
    global_step = identity(global_step_);
  }
  std::vector<OpArg> args = {target(var), target(get_slot(var, "gradient_accumulator")),
                             target(get_slot(var, "gradient_squared_accumulator"))};
  args.insert(args.end(), gradient.begin(), gradient.end());
  args.push_back(as_dtype(learning_rate_, var));
  const DataType dtype = base_dtype(var.dtype());
  args.push_back(cast(options_.l1_regularization_strength, dtype));
  args.push_back(cast(options_.l2_regularization_strength, dtype));
  args.push_back(global_step);
  return create_op(update_type(var, prefix, "AdagradDA"), args, {{"use_locking", use_locking()}});
}

Operation AdagradDAOptimizer::apply_dense(const Output& gradient, const Variable& var) {
  return apply(kDense, var, {gradient});
}
Operation AdagradDAOptimizer::apply_sparse(const Output& values, const Output& indices, const Variable& var) {
  return apply(kSparse, var, {values, indices});
}

// --- FTRL

FtrlOptimizer::FtrlOptimizer(const FtrlOptions& options)
    : Optimizer(options.name, options.use_locking), options_(options) {
  require(options.learning_rate, "FtrlOptimizer");
  const auto not_negative = [](float value, std::string_view name) {
    if (!(value >= 0)) raise(invalid_argument(name, " ", value, " needs to be positive or zero"));
  };
  not_negative(options.initial_accumulator_value, "initial_accumulator_value");
  if (!(options.learning_rate_power <= 0))
    raise(invalid_argument("learning_rate_power ", options.learning_rate_power, " needs to be negative or zero"));
  not_negative(options.l1_regularization_strength, "l1_regularization_strength");
  not_negative(options.l2_regularization_strength, "l2_regularization_strength");
  not_negative(options.l2_shrinkage_regularization_strength, "l2_shrinkage_regularization_strength");
}

void FtrlOptimizer::create_slots(const std::vector<Variable>& var_list) {
  const Initializer start([value = options_.initial_accumulator_value](const Initializer::Request& request) {
    const std::vector<int32_t> dims(request.shape.dims().begin(), request.shape.dims().end());
    return ones(Tensor(dims), {.dtype = request.dtype}) * value;
  });
  const auto name_or_own = [this](const std::string& name) { return name.empty() ? get_name() : name; };
  for (const Variable& v : var_list) {
    slot_with_initializer(v, start, "accum", name_or_own(options_.accum_name));
    zeros_slot(v, "linear", name_or_own(options_.linear_name));
  }
}

void FtrlOptimizer::prepare() {
  learning_rate_ = hyperparameter(options_.learning_rate, "learning_rate");
  l1_ = hyperparameter(options_.l1_regularization_strength, "l1_regularization_strength");
  // The ops know no beta: it acts as so much more L2 regularization.
  const Output twice_rate = 2.0f * maximum(options_.learning_rate, 1e-36f);
  l2_ = options_.l2_regularization_strength + options_.beta / twice_rate;
  hyperparameter(options_.beta, "beta");
  l2_shrinkage_ = hyperparameter(options_.l2_shrinkage_regularization_strength, "l2_shrinkage_regularization_strength");
  learning_rate_power_ = hyperparameter(options_.learning_rate_power, "learning_rate_power");
}

Operation FtrlOptimizer::apply(std::string_view prefix, const Variable& var, const std::vector<Output>& gradient) {
  const bool shrinks = options_.l2_shrinkage_regularization_strength > 0;
  std::vector<OpArg> args = {target(var), target(get_slot(var, "accum")), target(get_slot(var, "linear"))};
  args.insert(args.end(), gradient.begin(), gradient.end());
  for (const Output& h : {learning_rate_, l1_, l2_}) args.push_back(as_dtype(h, var));
  if (shrinks) args.push_back(as_dtype(l2_shrinkage_, var));
  args.push_back(as_dtype(learning_rate_power_, var));
  return create_op(update_type(var, prefix, shrinks ? "FtrlV2" : "Ftrl"), args, {{"use_locking", use_locking()}});
}

Operation FtrlOptimizer::apply_dense(const Output& gradient, const Variable& var) {
  return apply(kDense, var, {gradient});
}
Operation FtrlOptimizer::apply_sparse(const Output& values, const Output& indices, const Variable& var) {
  return apply(kSparse, var, {values, indices});
}

// --- Adadelta

AdadeltaOptimizer::AdadeltaOptimizer(const AdadeltaOptions& options)
    : Optimizer(options.name, options.use_locking), options_(options) {}

void AdadeltaOptimizer::create_slots(const std::vector<Variable>& var_list) {
  for (const Variable& v : var_list) {
    zeros_slot(v, "accum", get_name());
    zeros_slot(v, "accum_update", get_name());
  }
}

void AdadeltaOptimizer::prepare() {
  learning_rate_ = hyperparameter(options_.learning_rate, "lr");
  rho_ = hyperparameter(options_.rho, "rho");
  epsilon_ = hyperparameter(options_.epsilon, "epsilon");
}

Operation AdadeltaOptimizer::apply(std::string_view prefix, const Variable& var, const std::vector<Output>& gradient) {
  std::vector<OpArg> args = {target(var), target(get_slot(var, "accum")), target(get_slot(var, "accum_update"))};
  for (const Output& h : {learning_rate_, rho_, epsilon_}) args.push_back(as_dtype(h, var));
  args.insert(args.end(), gradient.begin(), gradient.end());
  return create_op(update_type(var, prefix, "Adadelta"), args, {{"use_locking", use_locking()}});
}

Operation AdadeltaOptimizer::apply_dense(const Output& gradient, const Variable& var) {
  return apply(kDense, var, {gradient});
}
Operation AdadeltaOptimizer::apply_sparse(const Output& values, const Output& indices, const Variable& var) {
  return apply(kSparse, var, {values, indices});
}

// --- the proximal ones

ProximalGradientDescentOptimizer::ProximalGradientDescentOptimizer(const ProximalGradientDescentOptions& options)
    : Optimizer(options.name, options.use_locking), options_(options) {
  require(options.learning_rate, "ProximalGradientDescentOptimizer");
}

void ProximalGradientDescentOptimizer::prepare() {
  learning_rate_ = hyperparameter(options_.learning_rate, "learning_rate");
  l1_ = hyperparameter(options_.l1_regularization_strength, "l1_regularization_strength");
  l2_ = hyperparameter(options_.l2_regularization_strength, "l2_regularization_strength");
}

Operation ProximalGradientDescentOptimizer::apply(std::string_view prefix, const Variable& var,
                                                  const std::vector<Output>& gradient) {
  std::vector<OpArg> args = {target(var)};
  for (const Output& h : {learning_rate_, l1_, l2_}) args.push_back(as_dtype(h, var));
  args.insert(args.end(), gradient.begin(), gradient.end());
  return create_op(update_type(var, prefix, "ProximalGradientDescent"), args, {{"use_locking", use_locking()}});
}

Operation ProximalGradientDescentOptimizer::apply_dense(const Output& gradient, const Variable& var) {
  return apply(kDense, var, {gradient});
}
Operation ProximalGradientDescentOptimizer::apply_sparse(const Output& values, const Output& indices,
                                                         const Variable& var) {
  return apply(kSparse, var, {values, indices});
}

ProximalAdagradOptimizer::ProximalAdagradOptimizer(const ProximalAdagradOptions& options)
    : Optimizer(options.name, options.use_locking), options_(options) {
  require(options.learning_rate, "ProximalAdagradOptimizer");
  require_positive(options.initial_accumulator_value, "initial_accumulator_value");
}

void ProximalAdagradOptimizer::create_slots(const std::vector<Variable>& var_list) {
  for (const Variable& v : var_list) {
    if (get_slot(v, "accumulator")) continue;
    slot_with_initializer(v, Initializer(filled_like(v, options_.initial_accumulator_value)), "accumulator",
                          get_name());
  }
}

void ProximalAdagradOptimizer::prepare() {
  learning_rate_ = hyperparameter(options_.learning_rate, "learning_rate");
  l1_ = hyperparameter(options_.l1_regularization_strength, "l1_regularization_strength");
  l2_ = hyperparameter(options_.l2_regularization_strength, "l2_regularization_strength");
}

Operation ProximalAdagradOptimizer::apply(std::string_view prefix, const Variable& var,
                                          const std::vector<Output>& gradient) {
  std::vector<OpArg> args = {target(var), target(get_slot(var, "accumulator"))};
  for (const Output& h : {learning_rate_, l1_, l2_}) args.push_back(as_dtype(h, var));
  args.insert(args.end(), gradient.begin(), gradient.end());
  return create_op(update_type(var, prefix, "ProximalAdagrad"), args, {{"use_locking", use_locking()}});
}

Operation ProximalAdagradOptimizer::apply_dense(const Output& gradient, const Variable& var) {
  return apply(kDense, var, {gradient});
}
Operation ProximalAdagradOptimizer::apply_sparse(const Output& values, const Output& indices, const Variable& var) {
  return apply(kSparse, var, {values, indices});
}

}  // namespace millrace::train
