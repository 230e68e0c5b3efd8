#pragma once
// Optimizers that keep more than a momentum, with TF1's defaults, slots and names: "w/RMSProp", "w/RMSProp_1",
// "w/Adagrad", "w/Ftrl"...
//
//   tf::Output train = tf::train::RMSPropOptimizer({.learning_rate = 1e-3}).minimize(loss, {.global_step = step});
//
// Constructors raise InvalidArgumentError (TF1's ValueError) for values that the formula cannot take.

#include <string>
#include <vector>

#include "millrace/train/optimizer.h"

namespace millrace::train {

#pragma GCC visibility push(default)

// ms = decay ms + (1 - decay) g^2;  mom = momentum mom + learning_rate g / sqrt(ms + epsilon);  w -= mom (Tieleman and
// Hinton 2012). Centered: mg = decay mg + (1 - decay) g, and ms - mg^2 in place of ms.
struct RMSPropOptions {
  Input learning_rate;
  Input decay = 0.9;
  Input momentum = 0.0;
  Input epsilon = 1e-10;
  bool use_locking = false;
  bool centered = false;
  std::string name = "RMSProp";
};
class RMSPropOptimizer : public Optimizer {
 public:
  explicit RMSPropOptimizer(const RMSPropOptions& options);
  explicit RMSPropOptimizer(const Input& learning_rate)
      : RMSPropOptimizer(RMSPropOptions{.learning_rate = learning_rate}) {}

 protected:
  void create_slots(const std::vector<Variable>& var_list) override;
  void prepare() override;
  Operation apply_dense(const Output& gradient, const Variable& var) override;
  Operation apply_sparse(const Output& values, const Output& indices, const Variable& var) override;

 private:
  Operation apply(std::string_view prefix, const Variable& var, const std::vector<Output>& gradient);
  RMSPropOptions options_;
  Output learning_rate_, decay_, momentum_, epsilon_;
};

// a += g^2;  w -= learning_rate g / sqrt(a) (Duchi, Hazan and Singer 2011)
struct AdagradOptions {
  Input learning_rate;
  float initial_accumulator_value = 0.1f;
  bool use_locking = false;
  std::string name = "Adagrad";
};
class AdagradOptimizer : public Optimizer {
 public:
  explicit AdagradOptimizer(const AdagradOptions& options);
  explicit AdagradOptimizer(const Input& learning_rate)
      : AdagradOptimizer(AdagradOptions{.learning_rate = learning_rate}) {}

 protected:
  void create_slots(const std::vector<Variable>& var_list) override;
  void prepare() override;
  Operation apply_dense(const Output& gradient, const Variable& var) override;
  Operation apply_sparse(const Output& values, const Output& indices, const Variable& var) override;

 private:
  AdagradOptions options_;
  Output learning_rate_;
};

// Dual averaging, for sparse linear models (the same paper).
struct AdagradDAOptions {
  Input learning_rate;
  Variable global_step = {};
  float initial_gradient_squared_accumulator_value = 0.1f;
  Input l1_regularization_strength = 0.0;
  Input l2_regularization_strength = 0.0;
  bool use_locking = false;
  std::string name = "AdagradDA";
};
class AdagradDAOptimizer : public Optimizer {
 public:
  explicit AdagradDAOptimizer(const AdagradDAOptions& options);

 protected:
  void create_slots(const std::vector<Variable>& var_list) override;
  void prepare() override;
  Operation apply_dense(const Output& gradient, const Variable& var) override;
  Operation apply_sparse(const Output& values, const Output& indices, const Variable& var) override;

 private:
  Operation apply(std::string_view prefix, const Variable& var, const std::vector<Output>& gradient);
  AdagradDAOptions options_;
  Output learning_rate_, global_step_;
};

// Follow the regularized leader (McMahan et al. 2013).
struct FtrlOptions {
  Input learning_rate;
  float learning_rate_power = -0.5f;  // not positive
  float initial_accumulator_value = 0.1f;
  float l1_regularization_strength = 0;
  float l2_regularization_strength = 0;
  bool use_locking = false;
  std::string name = "Ftrl";
  std::string accum_name = {};  // the optimizer's
  std::string linear_name = {};
  float l2_shrinkage_regularization_strength = 0;
  float beta = 0;
};
class FtrlOptimizer : public Optimizer {
 public:
  explicit FtrlOptimizer(const FtrlOptions& options);
  explicit FtrlOptimizer(const Input& learning_rate) : FtrlOptimizer(FtrlOptions{.learning_rate = learning_rate}) {}

 protected:
  void create_slots(const std::vector<Variable>& var_list) override;
  void prepare() override;
  Operation apply_dense(const Output& gradient, const Variable& var) override;
  Operation apply_sparse(const Output& values, const Output& indices, const Variable& var) override;

 private:
  Operation apply(std::string_view prefix, const Variable& var, const std::vector<Output>& gradient);
  FtrlOptions options_;
  Output learning_rate_, l1_, l2_, l2_shrinkage_, learning_rate_power_;
};

// Zeiler 2012.
struct AdadeltaOptions {
  Input learning_rate = 0.001;
  Input rho = 0.95;
  Input epsilon = 1e-8;
  bool use_locking = false;
  std::string name = "Adadelta";
};
class AdadeltaOptimizer : public Optimizer {
 public:
  explicit AdadeltaOptimizer(const AdadeltaOptions& options = {});
  explicit AdadeltaOptimizer(const Input& learning_rate)
      : AdadeltaOptimizer(AdadeltaOptions{.learning_rate = learning_rate}) {}

 protected:
  void create_slots(const std::vector<Variable>& var_list) override;
  void prepare() override;
  Operation apply_dense(const Output& gradient, const Variable& var) override;
  Operation apply_sparse(const Output& values, const Output& indices, const Variable& var) override;

 private:
  Operation apply(std::string_view prefix, const Variable& var, const std::vector<Output>& gradient);
  AdadeltaOptions options_;
  Output learning_rate_, rho_, epsilon_;
};

// Gradient descent with L1 and L2 regularization applied to its result (Duchi and Singer 2009).
struct ProximalGradientDescentOptions {
  Input learning_rate;
  Input l1_regularization_strength = 0.0;
  Input l2_regularization_strength = 0.0;
  bool use_locking = false;
  std::string name = "ProximalGradientDescent";
};
class ProximalGradientDescentOptimizer : public Optimizer {
 public:
  explicit ProximalGradientDescentOptimizer(const ProximalGradientDescentOptions& options);
  explicit ProximalGradientDescentOptimizer(const Input& learning_rate)
      : ProximalGradientDescentOptimizer(ProximalGradientDescentOptions{.learning_rate = learning_rate}) {}

 protected:
  void prepare() override;
  Operation apply_dense(const Output& gradient, const Variable& var) override;
  Operation apply_sparse(const Output& values, const Output& indices, const Variable& var) override;

 private:
  Operation apply(std::string_view prefix, const Variable& var, const std::vector<Output>& gradient);
  ProximalGradientDescentOptions options_;
  Output learning_rate_, l1_, l2_;
};

// The same with Adagrad's steps.
struct ProximalAdagradOptions {
  Input learning_rate;
  float initial_accumulator_value = 0.1f;
  Input l1_regularization_strength = 0.0;
  Input l2_regularization_strength = 0.0;
  bool use_locking = false;
  std::string name = "ProximalAdagrad";
};
class ProximalAdagradOptimizer : public Optimizer {
 public:
  explicit ProximalAdagradOptimizer(const ProximalAdagradOptions& options);
  explicit ProximalAdagradOptimizer(const Input& learning_rate)
      : ProximalAdagradOptimizer(ProximalAdagradOptions{.learning_rate = learning_rate}) {}

 protected:
  void create_slots(const std::vector<Variable>& var_list) override;
  void prepare() override;
  Operation apply_dense(const Output& gradient, const Variable& var) override;
  Operation apply_sparse(const Output& values, const Output& indices, const Variable& var) override;

 private:
  Operation apply(std::string_view prefix, const Variable& var, const std::vector<Output>& gradient);
  ProximalAdagradOptions options_;
  Output learning_rate_, l1_, l2_;
};

#pragma GCC visibility pop

}  // namespace millrace::train
