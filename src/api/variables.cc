#include "millrace/variables.h"

#include <algorithm>

#include "api/op_builder.h"
#include "api/safe_initial_value.h"
#include "api/variable_impl.h"
#include "graph/graph_def.h"
#include "millrace/control_flow.h"
#include "tensor/tensor.h"
#include "tensorflow/core/framework/variable.pb.h"

namespace millrace {
namespace {

// Nodes of variables depend on nothing around them, as TF1's init_scope has it.
void leave_control_scopes(GraphImpl& graph) { clear_control_dependencies(graph); }

std::vector<std::string> collections_of(const VariableOptions& options) {
  std::vector<std::string> keys = options.collections.value_or(std::vector<std::string>{GraphKeys::GLOBAL_VARIABLES});
  const bool listed = std::find(keys.begin(), keys.end(), GraphKeys::TRAINABLE_VARIABLES) != keys.end();
  if (options.trainable && !listed) keys.emplace_back(GraphKeys::TRAINABLE_VARIABLES);
  return keys;
}

std::string without_slash(const std::string& scope) { return scope.substr(0, scope.size() - 1); }

// How a variable is told its first value: a value there is already, or a function to call inside the variable's scope.
struct InitialValue {
  const Input* value = nullptr;
  const std::function<Output()>* function = nullptr;
};

class VariableBuilder {
 public:
  VariableBuilder(InitialValue initial, const VariableOptions& options)
      : graph_(default_graph()), initial_(initial), options_(options) {}

  std::shared_ptr<VariableImpl> build() {
    const ScopesGuard restore(graph_);
    leave_control_scopes(graph_);
    const name_scope scope(options_.name.empty() ? "Variable" : options_.name);
    impl_->trainable = options_.trainable;
    impl_->constraint = options_.constraint;
    impl_->validate_shape = options_.validate_shape;
    impl_->is_resource = options_.use_resource.value_or(resource_variables_enabled());
    impl_->is_resource ? build_resource(scope.name()) : build_reference(scope.name());
    return impl_;
  }

 private:
  void set_initial_value(const Output& value) {
    if (!value) errors::raise(errors::Code::kInvalidArgument, "initial_value must be specified.");
    if (options_.dtype != DataType::kInvalid && base_dtype(value.dtype()) != options_.dtype)
      errors::raise(errors::Code::kInvalidArgument,
                    str_cat("Tensor conversion requested dtype ", dtype_name(options_.dtype), " for Tensor with dtype ",
                            dtype_name(base_dtype(value.dtype())), ": ", value.name()));
    impl_->initial_value = value;
    impl_->dtype = base_dtype(value.dtype());
  }

  void colocate_attr(const std::string& node) {
    graph_.scopes().attrs.emplace_back("_class", AttrValue(std::vector<std::string>{"loc:@" + node}));
  }

  void call_initializer() {
    const ScopesGuard restore(graph_);
    const name_scope scope("Initializer");
    const device none("");
    set_initial_value(initial_.function ? (*initial_.function)()
                                        : convert_to_tensor(*initial_.value, options_.dtype, "initial_value"));
  }

  PartialTensorShape declared_shape() const {
    if (options_.shape) return *options_.shape;
    return options_.validate_shape ? impl_->initial_value.shape() : PartialTensorShape();
  }

  void check_shape() const {
    if (options_.validate_shape && !impl_->initial_value.shape().is_fully_defined())
      errors::raise(errors::Code::kInvalidArgument,
                    str_cat("initial_value must have a shape specified: Tensor(\"", impl_->initial_value.name(),
                            "\", shape=", impl_->initial_value.shape(), ", dtype=", dtype_name(impl_->dtype), ")"));
  }

  void build_reference(const std::string& scope) {
    if (initial_.function) {
      const ScopesGuard restore(graph_);
      colocate_attr(without_slash(scope));
      call_initializer();
      make_variable(scope);
    } else {
      set_initial_value(convert_to_tensor(*initial_.value, options_.dtype, "initial_value"));
      make_variable(scope);
    }
    check_shape();
    const Output first_value = safe_initial_value(impl_->initial_value, scope);
    impl_->initializer = create_op("Assign", {Input(impl_->variable), first_value},
                                   {{"validate_shape", options_.validate_shape}, {"use_locking", true}});
    const colocate_with there(impl_->variable.op());
    impl_->snapshot = create_output("Identity", {impl_->variable}, {}, "read");
  }

  void make_variable(const std::string& scope) {
    impl_->variable =
        create_output("VariableV2", {},
                      {{"shape", declared_shape()}, {"dtype", impl_->dtype}, {"container", options_.container}}, scope);
  }

  void build_resource(const std::string& scope) {
    const std::string shared_name = without_slash(scope);
    {
      const ScopesGuard restore(graph_);
      colocate_attr(shared_name);
      call_initializer();
      AttrMap attrs{{"dtype", impl_->dtype},
                    {"shape", declared_shape()},
                    {"shared_name", shared_name},
                    {"debug_name", scope},
                    {"container", options_.container}};
      impl_->variable = create_output("VarHandleOp", {}, std::move(attrs), scope);
    }
    {
      const name_scope inside("IsInitialized");
      create_op("VarIsInitializedOp", {impl_->variable});
    }
    const std::string& on = impl_->variable.op().device();
    {
      const name_scope inside("Assign");
      const colocate_with nothing(Operation(), true);
      const auto there = on_device(on);
      impl_->initializer = create_op("AssignVariableOp", {impl_->variable, impl_->initial_value},
                                     {{"dtype", impl_->dtype}, {"validate_shape", false}}, inside.name());
    }
    const name_scope inside("Read");
    const auto there = on_device(on);
    impl_->snapshot = create_output("ReadVariableOp", {impl_->variable}, {{"dtype", impl_->dtype}});
  }

  static std::unique_ptr<device> on_device(const std::string& name) {
    return name.empty() ? nullptr : std::make_unique<device>(name);
  }

  GraphImpl& graph_;
  InitialValue initial_;
  const VariableOptions& options_;
  std::shared_ptr<VariableImpl> impl_ = std::make_shared<VariableImpl>();
};

std::shared_ptr<VariableImpl> build_variable(InitialValue initial, const VariableOptions& options) {
  const SourceScope source(options.where);
  std::shared_ptr<VariableImpl> impl = VariableBuilder(initial, options).build();
  add_to_collections(collections_of(options), std::static_pointer_cast<CollectionObject>(impl));
  return impl;
}

tensorflow::VariableDef def_of(const VariableImpl& v) {
  tensorflow::VariableDef def;
  def.set_variable_name(v.variable.name());
  def.set_initializer_name(v.initializer.name());
  if (v.initial_value) def.set_initial_value_name(v.initial_value.name());
  def.set_snapshot_name(v.snapshot.name());
  def.set_is_resource(v.is_resource);
  def.set_trainable(v.trainable);
  return def;
}

const VariableImpl& checked(const std::shared_ptr<VariableImpl>& impl) {
  if (!impl) errors::raise(errors::Code::kInvalidArgument, "An absent variable was used");
  return *impl;
}

}  // namespace

std::string VariableImpl::to_proto() const { return deterministic_bytes(def_of(*this)); }

Output VariableImpl::to_output(bool as_ref) const {
  if (as_ref) return variable;
  if (!is_resource) return snapshot;
  // A read belongs to no colocation group around it.
  const colocate_with nothing(Operation(), true);
  return create_output("ReadVariableOp", {variable}, {{"dtype", dtype}});
}

Variable::Variable(const Input& initial_value, const VariableOptions& options)
    : impl_(build_variable({&initial_value, nullptr}, options)) {}
std::shared_ptr<VariableImpl> Variable::from_function(const std::function<Output()>& initial_value,
                                                      const VariableOptions& options) {
  return build_variable({nullptr, &initial_value}, options);
}

std::string Variable::name() const { return checked(impl_).variable.name(); }
Operation Variable::op() const { return checked(impl_).variable.op(); }
Graph Variable::graph() const { return op().graph(); }
DataType Variable::dtype() const { return checked(impl_).is_resource ? impl_->dtype : ref_dtype(impl_->dtype); }
PartialTensorShape Variable::shape() const {
  const VariableImpl& v = checked(impl_);
  if (!v.is_resource) return v.variable.shape();
  return v.snapshot.shape();
}
std::string Variable::device() const { return op().device(); }
bool Variable::trainable() const { return checked(impl_).trainable; }
bool Variable::is_resource() const { return checked(impl_).is_resource; }
const Constraint& Variable::constraint() const { return checked(impl_).constraint; }

Operation Variable::initializer() const { return checked(impl_).initializer; }
Output Variable::initial_value() const { return checked(impl_).initial_value; }
Output Variable::value() const { return checked(impl_).to_output(false); }
Output Variable::ref() const { return checked(impl_).variable; }

Output Variable::read_value() const {
  const VariableImpl& v = checked(impl_);
  if (!v.is_resource) return create_output("Identity", {v.variable}, {}, "read");
  Output read;
  {
    const name_scope scope("Read");
    read = value();
  }
  return identity(read);
}

Output Variable::initialized_value() const {
  return cond(
      is_initialized(), [&] { return read_value(); }, [&] { return initial_value(); });
}

Output Variable::is_initialized(const NameOptions& options) const {
  const VariableImpl& v = checked(impl_);
  return create_output(v.is_resource ? "VarIsInitializedOp" : "IsVariableInitialized", {v.variable}, {}, options.name);
}

namespace {

// The three updates: an op on the reference, or one on the handle followed by a read of the result.
struct UpdateOps {
  std::string_view reference;
  std::string_view resource;
};

Output update(const VariableImpl& v, const UpdateOps& ops, const Input& value, const AssignOptions& options) {
  const SourceScope source(value);
  if (!v.is_resource)
    return create_output(ops.reference, {Input(v.variable), value}, {{"use_locking", options.use_locking}},
                         options.name);
  const Output tensor = convert_to_tensor(value, v.dtype);
  AttrMap attrs{{"dtype", v.dtype}};
  if (ops.resource == "AssignVariableOp") {
    const PartialTensorShape& shape = v.snapshot.shape();
    if (!shape.is_compatible_with(tensor.shape()))
      errors::raise(errors::Code::kInvalidArgument,
                    str_cat("Cannot assign value to variable '", v.name(), "': Shape mismatch.The variable shape ",
                            shape, ", and the assigned value shape ", tensor.shape(), " are incompatible."));
    attrs.emplace("validate_shape", v.validate_shape && shape.is_fully_defined());
  }
  const Operation op = create_op(ops.resource, {v.variable, tensor}, std::move(attrs), options.name);
  const control_dependencies after({op});
  return v.to_output(false);
}

Output scatter(const VariableImpl& v, const UpdateOps& ops, const IndexedSlices& delta, const AssignOptions& options) {
  if (!v.is_resource)
    return create_output(ops.reference, {v.variable, delta.indices, delta.values},
                         {{"use_locking", options.use_locking}}, options.name);
  const Operation op =
      create_op(ops.resource, {v.variable, delta.indices, delta.values}, {{"dtype", v.dtype}}, options.name);
  const control_dependencies after({op});
  return v.to_output(false);
}

}  // namespace

Output Variable::assign(const Input& value, const AssignOptions& options) const {
  return update(checked(impl_), {"Assign", "AssignVariableOp"}, value, options);
}
Output Variable::assign_add(const Input& delta, const AssignOptions& options) const {
  return update(checked(impl_), {"AssignAdd", "AssignAddVariableOp"}, delta, options);
}
Output Variable::assign_sub(const Input& delta, const AssignOptions& options) const {
  return update(checked(impl_), {"AssignSub", "AssignSubVariableOp"}, delta, options);
}
Output Variable::scatter_sub(const IndexedSlices& d, const AssignOptions& o) const {
  return scatter(checked(impl_), {"ScatterSub", "ResourceScatterSub"}, d, o);
}
Output Variable::scatter_add(const IndexedSlices& d, const AssignOptions& o) const {
  return scatter(checked(impl_), {"ScatterAdd", "ResourceScatterAdd"}, d, o);
}
Output Variable::scatter_update(const IndexedSlices& d, const AssignOptions& o) const {
  return scatter(checked(impl_), {"ScatterUpdate", "ResourceScatterUpdate"}, d, o);
}

Variable::operator CollectionItem() const { return std::static_pointer_cast<CollectionObject>(impl_); }
std::shared_ptr<const OutputSource> Variable::output_source() const { return impl_; }

tensorflow::VariableDef Variable::to_proto() const { return def_of(checked(impl_)); }

Variable Variable::from_proto(const tensorflow::VariableDef& def, std::string_view import_scope) {
  const Graph graph = get_default_graph();
  const auto full = [&](const std::string& name) {
    return import_scope.empty() ? name : str_cat(import_scope, "/", name);
  };
  auto impl = std::make_shared<VariableImpl>();
  impl->variable = graph.get_tensor_by_name(full(def.variable_name()));
  impl->initializer = graph.get_operation_by_name(full(def.initializer_name()));
  impl->snapshot = graph.get_tensor_by_name(full(def.snapshot_name()));
  if (!def.initial_value_name().empty()) impl->initial_value = graph.get_tensor_by_name(full(def.initial_value_name()));
  impl->is_resource = def.is_resource();
  impl->dtype = base_dtype(impl->snapshot.dtype());
  impl->trainable = def.trainable();
  if (base_dtype(impl->variable.dtype()) != (def.is_resource() ? DataType::kResource : impl->dtype))
    errors::raise(errors::Code::kInvalidArgument,
                  str_cat("VariableDef of '", def.variable_name(), "' does not fit the graph"));
  return Variable(std::move(impl));
}

Output assign(const Variable& ref, const Input& value, const AssignOptions& options) {
  AssignOptions locked = options;
  locked.use_locking = true;
  return ref.assign(value, locked);
}
Output assign_add(const Variable& ref, const Input& value, const AssignOptions& options) {
  return ref.assign_add(value, options);
}
Output assign_sub(const Variable& ref, const Input& value, const AssignOptions& options) {
  return ref.assign_sub(value, options);
}

// ---- lists of variables

template <> std::vector<Variable> get_collection<Variable>(std::string_view key, std::string_view scope) {
  std::vector<Variable> result;
  for (const CollectionItem& item : get_collection(key, scope))
    if (const auto* object = std::get_if<std::shared_ptr<CollectionObject>>(&item))
      if (auto impl = std::dynamic_pointer_cast<VariableImpl>(*object)) result.emplace_back(std::move(impl));
  return result;
}

std::vector<Variable> global_variables(std::string_view scope) {
  return get_collection<Variable>(GraphKeys::GLOBAL_VARIABLES, scope);
}
std::vector<Variable> local_variables(std::string_view scope) {
  return get_collection<Variable>(GraphKeys::LOCAL_VARIABLES, scope);
}
std::vector<Variable> model_variables(std::string_view scope) {
  return get_collection<Variable>(GraphKeys::MODEL_VARIABLES, scope);
}
std::vector<Variable> trainable_variables(std::string_view scope) {
  return get_collection<Variable>(GraphKeys::TRAINABLE_VARIABLES, scope);
}

Operation variables_initializer(const std::vector<Variable>& variables, std::string_view name) {
  std::vector<Operation> initializers;
  for (const Variable& v : variables) initializers.push_back(v.initializer());
  return group(initializers, {.name = name});
}
Operation global_variables_initializer() { return variables_initializer(global_variables()); }
Operation local_variables_initializer() { return variables_initializer(local_variables()); }
Output is_variable_initialized(const Variable& variable) { return variable.is_initialized(); }

namespace {

Output int_vector(const std::vector<int32_t>& values, std::string_view name) {
  return constant(Tensor(values), {.name = name});
}

Output slice_of(const Output& vector, std::pair<int32_t, int32_t> range, bool open_begin, bool open_end) {
  const name_scope scope("strided_slice");
  const Output begin = int_vector({range.first}, "stack"), end = int_vector({range.second}, "stack_1"),
               stride = int_vector({1}, "stack_2");
  return create_output("StridedSlice", {vector, begin, end, stride},
                       {{"begin_mask", int64_t{open_begin}}, {"end_mask", int64_t{open_end}}}, scope.name());
}

// tf.boolean_mask of a vector, op for op as Python builds it.
Output boolean_mask(const Output& values, const Output& mask) {
  const name_scope scope("boolean_mask");
  const Output leading = slice_of(shape_tensor(values), {0, 1}, false, false);
  const Output size = create_output("Prod", {leading, Input(Tensor(std::vector<int32_t>{0}))}, {{"keep_dims", false}});
  const Output first = slice_of(shape_tensor(values), {0, 0}, true, false);
  const Output rest = slice_of(shape_tensor(values), {1, 0}, false, true);
  Output shape;
  {
    const name_scope concat("concat");
    const Output middle = create_output("Pack", {std::vector<Output>{size}}, {{"axis", int64_t{0}}}, "values_1");
    shape = create_output("ConcatV2", {std::vector<Output>{first, middle, rest}, constant(Tensor(0), {.name = "axis"})},
                          {}, concat.name());
  }
  const Output flat = create_output("Reshape", {values, shape});
  Output flat_mask;
  {
    const name_scope reshape("Reshape");
    flat_mask = create_output("Reshape", {mask, int_vector({-1}, "shape")}, {}, reshape.name());
  }
  const Output where = create_output("Where", {flat_mask});
  const Output indices = create_output("Squeeze", {where}, {{"squeeze_dims", std::vector<int64_t>{1}}});
  const name_scope gather("GatherV2");
  const Output axis = constant(Tensor(0), {.name = "axis"});
  return create_output("GatherV2", {flat, indices, axis}, {}, gather.name());
}

}  // namespace

Output report_uninitialized_variables(const ReportUninitializedOptions& options) {
  std::vector<Variable> variables;
  if (options.var_list) {
    variables = *options.var_list;
  } else {
    variables = global_variables();
    for (const Variable& v : local_variables()) variables.push_back(v);
  }
  const name_scope scope(options.name);
  std::vector<Output> initialized;
  for (const Variable& v : variables) initialized.push_back(v.is_initialized());
  const device on_cpu("/cpu:0");
  if (variables.empty()) return constant(Tensor(DataType::kString, TensorShape({0})));
  const Output all = create_output("Pack", {initialized}, {{"axis", int64_t{0}}}, "stack");
  const Output missing = create_output("LogicalNot", {all});
  std::vector<std::string> names;
  for (const Variable& v : variables) names.push_back(v.op().name());
  return boolean_mask(constant(Tensor(names)), missing);
}

}  // namespace millrace
