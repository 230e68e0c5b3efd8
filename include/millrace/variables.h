#pragma once
// Variables, their initializers and scopes, with TF1's names.
//
//   tf::variable_scope scope("layer");
//   tf::Variable w = tf::get_variable("w", {784, 10});          // "layer/w", glorot uniform
//   tf::Variable n = tf::Variable(0, {.trainable = false, .name = "n"});
//   session.run(tf::global_variables_initializer());

#include <functional>
#include <memory>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/framework.h"

namespace tensorflow {
class VariableDef;  // <millrace/protos.h>
}

namespace millrace {

class VariableImpl;

#pragma GCC visibility push(default)

// Makes a variable's first value. Passed around by value; a null one means the default.
class Initializer {
 public:
  struct Request {
    TensorShape shape;
    DataType dtype;
  };
  using Function = std::function<Output(const Request&)>;
  Initializer() = default;
  Initializer(Function function) : function_(std::move(function)) {}  // NOLINT
  template <class F>
  requires std::is_invocable_r_v<Output, F, const Request&> Initializer(F function)
      : function_(std::move(function)) {}  // NOLINT
  // A constant value: then the variable's shape is the value's.
  Initializer(Tensor value) : value_(std::move(value)) {}  // NOLINT
  // The same with a symbolic value.
  explicit Initializer(const Output& value) : output_(value) {}
  explicit operator bool() const { return function_ != nullptr || is_value(); }
  // The dtype it was told to make; kInvalid if the variable's counts.
  Output operator()(const TensorShape& shape, DataType dtype) const { return function_({shape, dtype}); }
  Input value(std::source_location where = std::source_location::current()) const {
    return output_ ? Input(output_, where) : Input(value_, where);
  }
  bool is_value() const { return value_.has_value() || static_cast<bool>(output_); }

 private:
  Function function_;
  Tensor value_;
  Output output_;
};

struct ConstantInitializerOptions {
  DataType dtype = float32;
  bool verify_shape = false;
};
struct InitializerOptions {
  DataType dtype = float32;
};
struct RandomUniformInitializerOptions {
  double minval = 0;
  std::optional<double> maxval = {};
  std::optional<int64_t> seed = {};
  DataType dtype = float32;
};
struct RandomNormalInitializerOptions {
  double mean = 0;
  double stddev = 1;
  std::optional<int64_t> seed = {};
  DataType dtype = float32;
};
struct UniformUnitScalingOptions {
  double factor = 1;
  std::optional<int64_t> seed = {};
  DataType dtype = float32;
};
struct VarianceScalingOptions {
  double scale = 1;
  std::string mode = "fan_in";                    // fan_in, fan_out, fan_avg
  std::string distribution = "truncated_normal";  // normal, truncated_normal, untruncated_normal, uniform
  std::optional<int64_t> seed = {};
  DataType dtype = float32;
};
struct SeededInitializerOptions {
  std::optional<int64_t> seed = {};
  DataType dtype = float32;
};
struct IdentityInitializerOptions {
  double gain = 1;
  DataType dtype = float32;
};

Initializer zeros_initializer(const InitializerOptions& options = {});
Initializer ones_initializer(const InitializerOptions& options = {});
Initializer constant_initializer(const Tensor& value = Tensor(0), const ConstantInitializerOptions& options = {});
Initializer random_uniform_initializer(const RandomUniformInitializerOptions& options = {});
Initializer random_normal_initializer(const RandomNormalInitializerOptions& options = {});
Initializer truncated_normal_initializer(const RandomNormalInitializerOptions& options = {});
Initializer uniform_unit_scaling_initializer(const UniformUnitScalingOptions& options = {});
Initializer variance_scaling_initializer(const VarianceScalingOptions& options = {});
Initializer glorot_uniform_initializer(const SeededInitializerOptions& options = {});
Initializer glorot_normal_initializer(const SeededInitializerOptions& options = {});

namespace initializers {
inline Initializer zeros(const InitializerOptions& o = {}) { return zeros_initializer(o); }
inline Initializer ones(const InitializerOptions& o = {}) { return ones_initializer(o); }
inline Initializer constant(const Tensor& value = Tensor(0), const ConstantInitializerOptions& o = {}) {
  return constant_initializer(value, o);
}
inline Initializer random_uniform(const RandomUniformInitializerOptions& o = {}) {
  return random_uniform_initializer(o);
}
inline Initializer random_normal(const RandomNormalInitializerOptions& o = {}) { return random_normal_initializer(o); }
inline Initializer truncated_normal(const RandomNormalInitializerOptions& o = {}) {
  return truncated_normal_initializer(o);
}
inline Initializer uniform_unit_scaling(const UniformUnitScalingOptions& o = {}) {
  return uniform_unit_scaling_initializer(o);
}
inline Initializer variance_scaling(const VarianceScalingOptions& o = {}) { return variance_scaling_initializer(o); }
inline Initializer glorot_uniform(const SeededInitializerOptions& o = {}) { return glorot_uniform_initializer(o); }
inline Initializer glorot_normal(const SeededInitializerOptions& o = {}) { return glorot_normal_initializer(o); }
Initializer he_normal(const SeededInitializerOptions& options = {});
Initializer he_uniform(const SeededInitializerOptions& options = {});
Initializer lecun_normal(const SeededInitializerOptions& options = {});
Initializer lecun_uniform(const SeededInitializerOptions& options = {});
Initializer identity(const IdentityInitializerOptions& options = {});
}  // namespace initializers

using Regularizer = std::function<Output(const Output& weights)>;  // an absent result adds no loss
using Constraint = std::function<Output(const Output& value)>;     // what an optimizer applies after an update

struct VariableOptions {
  bool trainable = true;
  std::optional<std::vector<std::string>> collections = {};  // [GraphKeys::GLOBAL_VARIABLES]
  bool validate_shape = true;
  std::string name = {};                // "Variable"
  DataType dtype = DataType::kInvalid;  // the initial value's
  std::optional<PartialTensorShape> shape = {};
  std::optional<bool> use_resource = {};  // the variable scope's, else the global switch's, else false
  Constraint constraint = {};
  std::string container = {};
  std::source_location where = std::source_location::current();
};

struct AssignOptions {
  bool use_locking = false;
  std::string_view name = {};
};

// A handle: copies are the same variable. Where an Output or an Input is wanted it stands for its value.
class Variable {
 public:
  Variable() = default;  // no variable
  explicit Variable(const Input& initial_value, const VariableOptions& options = {});
  // The initial value made by a function, below the variable's own scope "Initializer".
  template <class F>
  requires std::is_invocable_r_v<Output, F>
  explicit Variable(F initial_value, const VariableOptions& options = {})
      : Variable(from_function(std::move(initial_value), options)) {}
  explicit Variable(std::shared_ptr<VariableImpl> impl) : impl_(std::move(impl)) {}
  explicit operator bool() const { return impl_ != nullptr; }

  std::string name() const;  // "a/w:0"
  Operation op() const;      // VariableV2 or VarHandleOp
  Graph graph() const;
  DataType dtype() const;  // as TF1: a reference type for reference variables
  PartialTensorShape shape() const;
  std::string device() const;
  bool trainable() const;
  bool is_resource() const;
  const Constraint& constraint() const;

  Operation initializer() const;  // runs the assignment of the initial value
  Output initial_value() const;
  Output initialized_value() const;  // the value, or the initial one if not yet initialized
  Output value() const;              // the last read; for resource variables a new one
  Output read_value() const;         // a new read
  Output ref() const;                // the reference, or the resource handle
  Output is_initialized(const NameOptions& options = {}) const;

  Output assign(const Input& value, const AssignOptions& options = {}) const;
  Output assign_add(const Input& delta, const AssignOptions& options = {}) const;
  Output assign_sub(const Input& delta, const AssignOptions& options = {}) const;
  Output scatter_sub(const IndexedSlices& delta, const AssignOptions& options = {}) const;
  Output scatter_add(const IndexedSlices& delta, const AssignOptions& options = {}) const;
  Output scatter_update(const IndexedSlices& delta, const AssignOptions& options = {}) const;

  tensorflow::VariableDef to_proto() const;
  static Variable from_proto(const tensorflow::VariableDef& def, std::string_view import_scope = {});

  operator Output() const { return value(); }  // NOLINT: a variable stands for its value
  operator Operation() const { return op(); }  // NOLINT
  operator CollectionItem() const;             // NOLINT
  std::shared_ptr<const OutputSource> output_source() const;
  const std::shared_ptr<VariableImpl>& impl() const { return impl_; }
  friend bool operator==(const Variable&, const Variable&) = default;

 private:
  static std::shared_ptr<VariableImpl> from_function(const std::function<Output()>& initial_value,
                                                     const VariableOptions& options);
  std::shared_ptr<VariableImpl> impl_;
};

// --- variable scopes

enum class Reuse { kInherit, kFalse, kTrue, kAuto };
inline constexpr Reuse AUTO_REUSE = Reuse::kAuto;

// The state of an open scope; get_variable_scope() gives the current one.
class VariableScope {
 public:
  std::string name;                 // "a/b"
  std::string original_name_scope;  // "a/b/" or "a/b_1/"
  Reuse reuse = Reuse::kFalse;
  Initializer initializer;
  Regularizer regularizer;
  DataType dtype = float32;
  std::optional<bool> use_resource;
  Constraint constraint;
};
VariableScope get_variable_scope();
void reuse_variables();  // tf.get_variable_scope().reuse_variables()

struct VariableScopeOptions {
  std::string default_name = {};
  Initializer initializer = {};
  Regularizer regularizer = {};
  Reuse reuse = Reuse::kInherit;        // AUTO_REUSE, or Reuse::kTrue for reuse=True
  DataType dtype = DataType::kInvalid;  // the scope's around
  std::optional<bool> use_resource = {};
  Constraint constraint = {};
  bool auxiliary_name_scope = true;
};

class [[nodiscard]] variable_scope : public ScopeGuard {
 public:
  // An empty name with a default_name makes that name unique, as TF1's None does.
  explicit variable_scope(std::string_view name, const VariableScopeOptions& options = {});
  // Re-enters a scope: its variables' prefix; names of ops begin anew below the current name scope.
  explicit variable_scope(const VariableScope& scope, const VariableScopeOptions& options = {});
  ~variable_scope();
  const VariableScope& scope() const { return *scope_; }
  const std::string& name() const { return scope_->name; }

 private:
  std::unique_ptr<VariableScope> scope_;
  std::unique_ptr<VariableScope> before_;
};

struct GetVariableOptions {
  DataType dtype = DataType::kInvalid;  // the scope's: float32
  Initializer initializer = {};
  Regularizer regularizer = {};
  std::optional<bool> trainable = {};
  std::optional<std::vector<std::string>> collections = {};
  bool validate_shape = true;
  std::optional<bool> use_resource = {};
  Constraint constraint = {};
  std::source_location where = std::source_location::current();
};
// The variable of this name below the current variable scope: new, or shared where the scope says reuse.
// InvalidArgumentError (TF1's ValueError) if it exists and may not be shared, or is to be shared and does not exist.
Variable get_variable(std::string_view name, const PartialTensorShape& shape, const GetVariableOptions& options = {});
Variable get_variable(std::string_view name,
                      const GetVariableOptions& options);  // shape from the initializer's value, or reuse
Variable get_local_variable(std::string_view name, const PartialTensorShape& shape,
                            const GetVariableOptions& options = {});

void enable_resource_variables();
void disable_resource_variables();
bool resource_variables_enabled();

// --- lists of variables

template <> std::vector<Variable> get_collection<Variable>(std::string_view key, std::string_view scope);
std::vector<Variable> global_variables(std::string_view scope = {});
std::vector<Variable> local_variables(std::string_view scope = {});
std::vector<Variable> model_variables(std::string_view scope = {});
std::vector<Variable> trainable_variables(std::string_view scope = {});

Operation global_variables_initializer();  // "init"
Operation local_variables_initializer();
Operation variables_initializer(const std::vector<Variable>& variables, std::string_view name = "init");
Output is_variable_initialized(const Variable& variable);
// The names of those not yet initialized, a string vector. Without a list: global and local variables.
struct ReportUninitializedOptions {
  std::optional<std::vector<Variable>> var_list = {};
  std::string name = "report_uninitialized_variables";
};
Output report_uninitialized_variables(const ReportUninitializedOptions& options = {});

Output assign(const Variable& ref, const Input& value, const AssignOptions& options = {});
Output assign_add(const Variable& ref, const Input& value, const AssignOptions& options = {});
Output assign_sub(const Variable& ref, const Input& value, const AssignOptions& options = {});

#pragma GCC visibility pop

}  // namespace millrace
