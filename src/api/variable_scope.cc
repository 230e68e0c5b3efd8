// Variable scopes and get_variable: which variable a name means.

#include <atomic>
#include <map>

#include "api/op_builder.h"
#include "api/variable_impl.h"
#include "millrace/variables.h"

namespace millrace {
namespace {

// What TF1 keeps per graph: the open scope, the variables by full name, and how often each scope name has been opened.
struct VariableStore {
  VariableScope current;
  std::map<std::string, Variable> variables;
  std::map<std::string, int> opened;

  void open(const std::string& name) { ++opened[name]; }
  void close_inner(const std::string& name) {
    for (auto& [scope, count] : opened)
      if (name.empty() || scope.starts_with(name + "/")) count = 0;
  }
  int count(const std::string& name) const {
    const auto it = opened.find(name);
    return it == opened.end() ? 0 : it->second;
  }
};

VariableStore& store() { return default_graph().attachment<VariableStore>(); }

std::atomic<bool> resource_by_default{false};

std::string joined(const std::string& scope, std::string_view name) {
  return scope.empty() ? std::string(name) : str_cat(scope, "/", name);
}

[[noreturn]] void refuse(const std::string& message) { errors::raise(errors::Code::kInvalidArgument, message); }

// `prefix`, numbered if a scope of that name has been opened here.
std::string unique_scope(const VariableStore& s, const std::string& prefix) {
  const std::string full = joined(s.current.name, prefix);
  if (s.count(full) == 0) return prefix;
  int k = 1;
  while (s.count(str_cat(full, "_", k)) > 0) ++k;
  return str_cat(prefix, "_", k);
}

void apply_options(const VariableScopeOptions& o, VariableScope* scope) {
  if (o.initializer) scope->initializer = o.initializer;
  if (o.regularizer) scope->regularizer = o.regularizer;
  if (o.dtype != DataType::kInvalid) scope->dtype = o.dtype;
  if (o.use_resource) scope->use_resource = o.use_resource;
  if (o.constraint) scope->constraint = o.constraint;
  if (o.reuse == Reuse::kTrue || o.reuse == Reuse::kAuto) scope->reuse = o.reuse;
}

}  // namespace

VariableScope get_variable_scope() { return store().current; }
void reuse_variables() { store().current.reuse = Reuse::kTrue; }

void enable_resource_variables() { resource_by_default = true; }
void disable_resource_variables() { resource_by_default = false; }
bool resource_variables_enabled() { return resource_by_default; }

variable_scope::variable_scope(std::string_view name, const VariableScopeOptions& options) {
  VariableStore& s = graph_->attachment<VariableStore>();
  before_ = std::make_unique<VariableScope>(s.current);
  scope_ = std::make_unique<VariableScope>(s.current);
  const bool by_default = name.empty() && !options.default_name.empty();
  if (by_default && options.reuse == Reuse::kTrue) refuse("reuse=True cannot be used without a name_or_scope");
  const std::string wanted(by_default ? options.default_name : name);
  std::string opened = graph_->scopes().name.empty() ? "" : graph_->scopes().name + "/";
  if (options.auxiliary_name_scope && !wanted.empty()) {
    const NameScope names(*graph_, wanted);
    raise_if_error(names.status());
    opened = names.name();
  }
  scope_->name =
      wanted.empty() ? s.current.name : joined(s.current.name, by_default ? unique_scope(s, wanted) : wanted);
  scope_->original_name_scope = opened;
  apply_options(options, scope_.get());
  s.open(scope_->name);
  s.current = *scope_;
  graph_->scopes().name = opened.substr(0, opened.empty() ? 0 : opened.size() - 1);
}

variable_scope::variable_scope(const VariableScope& scope, const VariableScopeOptions& options) {
  VariableStore& s = graph_->attachment<VariableStore>();
  before_ = std::make_unique<VariableScope>(s.current);
  scope_ = std::make_unique<VariableScope>(scope);
  apply_options(options, scope_.get());
  const size_t slash = scope.name.rfind('/');
  const std::string last = slash == std::string::npos ? scope.name : scope.name.substr(slash + 1);
  if (options.auxiliary_name_scope && !last.empty()) {
    std::string opened;
    {
      const NameScope names(*graph_, last);
      raise_if_error(names.status());
      opened = graph_->scopes().name;
    }
    graph_->scopes().name = opened;
  }
  s.open(scope_->name);
  s.current = *scope_;
}

variable_scope::~variable_scope() {
  VariableStore& s = graph_->attachment<VariableStore>();
  s.close_inner(scope_->name);
  s.current = *before_;
}

// ---- get_variable

namespace {

Variable shared_variable(const Variable& found, const std::string& name, const PartialTensorShape& shape,
                         DataType dtype) {
  if (!shape.is_compatible_with(found.shape()))
    refuse(str_cat("Trying to share variable ", name, ", but specified shape ", shape, " and found shape ",
                   found.shape(), "."));
  if (dtype != DataType::kInvalid && base_dtype(found.dtype()) != dtype)
    refuse(str_cat("Trying to share variable ", name, ", but specified dtype ", dtype_name(dtype), " and found dtype ",
                   dtype_name(base_dtype(found.dtype())), "."));
  return found;
}

Initializer default_initializer(const std::string& name, DataType dtype) {
  if (is_floating(dtype)) return glorot_uniform_initializer();
  if (is_integer(dtype) || dtype == DataType::kBool || dtype == DataType::kString) return zeros_initializer();
  refuse(str_cat("An initializer for variable ", name, " of ", dtype_name(dtype), " is required"));
}

void add_regularization(const Variable& v, const Regularizer& regularizer, const std::string& name) {
  const name_scope scope(name + "/Regularizer/");
  const Output loss = regularizer(v.value());
  if (loss) add_to_collection(GraphKeys::REGULARIZATION_LOSSES, loss);
}

Variable new_variable(const std::string& name, const PartialTensorShape& shape, DataType dtype,
                      const VariableScope& scope, const GetVariableOptions& o, const Initializer& initializer) {
  VariableOptions options;
  options.trainable = o.trainable.value_or(true);
  options.collections = o.collections;
  options.validate_shape = o.validate_shape;
  options.name = name;
  options.use_resource = o.use_resource ? o.use_resource : scope.use_resource;
  options.constraint = o.constraint ? o.constraint : scope.constraint;
  options.where = o.where;
  if (initializer.is_value()) {
    if (shape.is_fully_defined()) refuse("If initializer is a constant, do not specify shape.");
    options.dtype = o.dtype;
    return Variable(initializer.value(o.where), options);
  }
  if (!shape.is_fully_defined())
    refuse(str_cat("Shape of a new variable (", name, ") must be fully defined, but instead was ", shape, "."));
  options.dtype = dtype;
  const TensorShape known(shape.dims());
  return Variable(std::function<Output()>([&] { return initializer(known, dtype); }), options);
}

enum class Caller { kUser, kLayer };

void regularize(const Variable& v, const Regularizer& of_variable, const Regularizer& of_scope, Caller caller,
                const std::string& name) {
  const bool is_layer = caller == Caller::kLayer;
  if (const Regularizer& regularizer = of_variable && !is_layer ? of_variable : of_scope; regularizer) {
    // TF 2.21's get_variable calls the regularizer once outside of its scope, too; graphs are equal only with that
    // call.
    regularizer(v.value());
    const colocate_with there(v.op());
    const control_dependencies none(nullptr);
    add_regularization(v, regularizer, name);
  }
  if (of_variable && is_layer) add_regularization(v, of_variable, name);
}

Variable find_or_make(std::string_view short_name, const PartialTensorShape& shape, const GetVariableOptions& o,
                      Caller caller = Caller::kUser) {
  const SourceScope source(o.where);
  VariableStore& s = store();
  const VariableScope scope = s.current;
  const std::string name = joined(scope.name, short_name);
  const name_scope root("");
  const DataType dtype = o.dtype != DataType::kInvalid ? o.dtype : scope.dtype;
  const auto found = s.variables.find(name);
  if (found != s.variables.end()) {
    if (scope.reuse == Reuse::kTrue || scope.reuse == Reuse::kAuto)
      return shared_variable(found->second, name, shape, dtype);
    std::string message =
        str_cat("Variable ", name,
                " already exists, disallowed. Did you mean to set reuse=True or reuse=tf.AUTO_REUSE in VarScope?");
    if (!found->second.op().source().empty())
      str_append(&message, " Originally defined at ", found->second.op().source(), ".");
    refuse(message);
  }
  if (scope.reuse == Reuse::kTrue)
    refuse(str_cat("Variable ", name,
                   " does not exist, or was not created with tf.get_variable(). Did you mean to set "
                   "reuse=tf.AUTO_REUSE in VarScope?"));
  Initializer initializer = o.initializer ? o.initializer : scope.initializer;
  if (!initializer) initializer = default_initializer(name, dtype);
  const Variable made = new_variable(name, shape, dtype, scope, o, initializer);
  s.variables.emplace(name, made);
  regularize(made, o.regularizer, scope.regularizer, caller, name);
  return made;
}

}  // namespace

Variable layer_variable(std::string_view name, const PartialTensorShape& shape, const GetVariableOptions& options) {
  return find_or_make(name, shape, options, Caller::kLayer);
}

Variable get_variable(std::string_view name, const PartialTensorShape& shape, const GetVariableOptions& options) {
  return find_or_make(name, shape, options);
}
Variable get_variable(std::string_view name, const GetVariableOptions& options) {
  return find_or_make(name, {}, options);
}

Variable get_local_variable(std::string_view name, const PartialTensorShape& shape, const GetVariableOptions& options) {
  GetVariableOptions local = options;
  local.trainable = false;
  if (!local.collections) local.collections.emplace();
  local.collections->emplace_back(GraphKeys::LOCAL_VARIABLES);
  return find_or_make(name, shape, local);
}

}  // namespace millrace
