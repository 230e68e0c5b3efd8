#pragma once
// Optimizers: from a loss to an operation that takes one training step. Slots and their names are TF1's: "w/Adam",
// "w/Adam_1", "beta1_power", "w/Momentum".
//
//   auto step = tf::train::get_or_create_global_step();
//   tf::Output train = tf::train::AdamOptimizer({.learning_rate = 1e-3}).minimize(loss, {.global_step = step});

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "millrace/gradients.h"
#include "millrace/variables.h"

namespace millrace::train {

#pragma GCC visibility push(default)

enum class Gate { NONE = 0, OP = 1, GRAPH = 2 };

struct GradientAndVariable {
  Gradient gradient;  // none where the loss does not depend on the variable
  Variable variable;
};

struct ComputeGradientsOptions {
  std::optional<std::vector<Variable>> var_list = {};  // trainable_variables()
  Gate gate_gradients = Gate::OP;
  AggregationMethod aggregation_method = AggregationMethod::DEFAULT;
  bool colocate_gradients_with_ops = false;
  Input grad_loss = {};
};
struct ApplyGradientsOptions {
  Variable global_step = {};  // counted up after the updates
  std::string name = {};      // the optimizer's
};
struct MinimizeOptions {
  Variable global_step = {};
  std::optional<std::vector<Variable>> var_list = {};
  Gate gate_gradients = Gate::OP;
  AggregationMethod aggregation_method = AggregationMethod::DEFAULT;
  bool colocate_gradients_with_ops = false;
  std::string name = {};
  Input grad_loss = {};
};

// The base: derive, and implement apply_dense and apply_sparse, for an optimizer of your own.
class Optimizer {
 public:
  Optimizer(std::string name, bool use_locking) : name_(std::move(name)), use_locking_(use_locking) {}
  virtual ~Optimizer() = default;

  // compute_gradients, then apply_gradients. InvalidArgumentError (TF1's ValueError) if there is nothing to train.
  Operation minimize(const Input& loss, const MinimizeOptions& options = {});
  std::vector<GradientAndVariable> compute_gradients(const Input& loss, const ComputeGradientsOptions& options = {});
  Operation apply_gradients(const std::vector<GradientAndVariable>& grads_and_vars,
                            const ApplyGradientsOptions& options = {});

  const std::string& get_name() const { return name_; }
  // The slot variable kept for `var`; absent if there is none.
  Variable get_slot(const Variable& var, const std::string& name) const;
  std::vector<std::string> get_slot_names() const;
  // Slots and accumulators, in the order of their names.
  std::vector<Variable> variables() const;

 protected:
  virtual void create_slots(const std::vector<Variable>& var_list) {}
  // Makes constants of hyperparameters, within the optimizer's name scope.
  virtual void prepare() {}
  virtual Operation apply_dense(const Output& gradient, const Variable& var) = 0;
  // Indices are unique.
  virtual Operation apply_sparse(const Output& values, const Output& indices, const Variable& var) = 0;
  // Sums the rows of equal indices first, unless an optimizer need not.
  virtual Operation apply_sparse_duplicate_indices(const IndexedSlices& gradient, const Variable& var);
  virtual Operation finish(const std::vector<Operation>& update_ops, std::string_view name);

  // A slot of the variable's shape and dtype; named after the variable and `op_name`. Where the initializer is a value,
  // that value's.
  Variable slot_with_initializer(const Variable& var, const Initializer& initializer, const std::string& slot_name,
                                 const std::string& op_name);
  Variable zeros_slot(const Variable& var, const std::string& slot_name, const std::string& op_name);
  Variable non_slot_variable(const Tensor& initial_value, const std::string& name, const Variable& colocate_with);
  Variable get_non_slot_variable(const std::string& name) const;
  bool use_locking() const { return use_locking_; }

 private:
  Operation update(const Gradient& gradient, const Variable& var);

  std::string name_;
  bool use_locking_;
  std::map<std::string, std::vector<std::pair<Variable, Variable>>> slots_;  // slot name -> (primary, slot)
  std::map<std::string, Variable> non_slots_;
};

// w -= learning_rate g
struct GradientDescentOptions {
  Input learning_rate;
  bool use_locking = false;
  std::string name = "GradientDescent";
};
class GradientDescentOptimizer : public Optimizer {
 public:
  explicit GradientDescentOptimizer(const GradientDescentOptions& options);
  explicit GradientDescentOptimizer(const Input& learning_rate)
      : GradientDescentOptimizer(GradientDescentOptions{.learning_rate = learning_rate}) {}

 protected:
  void prepare() override;
  Operation apply_dense(const Output& gradient, const Variable& var) override;
  Operation apply_sparse(const Output& values, const Output& indices, const Variable& var) override;
  Operation apply_sparse_duplicate_indices(const IndexedSlices& gradient, const Variable& var) override;

 private:
  GradientDescentOptions options_;
  Output learning_rate_;
};

// a = momentum a + g;  w -= learning_rate a, or Nesterov's form (Sutskever et al. 2013)
struct MomentumOptions {
  Input learning_rate;
  Input momentum;
  bool use_locking = false;
  std::string name = "Momentum";
  bool use_nesterov = false;
};
class MomentumOptimizer : public Optimizer {
 public:
  explicit MomentumOptimizer(const MomentumOptions& options);
  MomentumOptimizer(const Input& learning_rate, const Input& momentum)
      : MomentumOptimizer(MomentumOptions{.learning_rate = learning_rate, .momentum = momentum}) {}

 protected:
  void create_slots(const std::vector<Variable>& var_list) override;
  void prepare() override;
  Operation apply_dense(const Output& gradient, const Variable& var) override;
  Operation apply_sparse(const Output& values, const Output& indices, const Variable& var) override;

 private:
  MomentumOptions options_;
  Output learning_rate_;
  Output momentum_;
};

// Kingma and Ba 2014, with the epsilon of the formula just before section 2.1 ("epsilon hat").
struct AdamOptions {
  Input learning_rate = 0.001;
  Input beta1 = 0.9;
  Input beta2 = 0.999;
  Input epsilon = 1e-8;
  bool use_locking = false;
  std::string name = "Adam";
};
class AdamOptimizer : public Optimizer {
 public:
  explicit AdamOptimizer(const AdamOptions& options = {});
  explicit AdamOptimizer(const Input& learning_rate) : AdamOptimizer(AdamOptions{.learning_rate = learning_rate}) {}

 protected:
  void create_slots(const std::vector<Variable>& var_list) override;
  void prepare() override;
  Operation apply_dense(const Output& gradient, const Variable& var) override;
  Operation apply_sparse(const Output& values, const Output& indices, const Variable& var) override;
  Operation finish(const std::vector<Operation>& update_ops, std::string_view name) override;

 private:
  AdamOptions options_;
  Output learning_rate_, beta1_, beta2_, epsilon_;
};

#pragma GCC visibility pop

}  // namespace millrace::train
