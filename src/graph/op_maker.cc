#include "graph/op_maker.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "base/errors.h"
#include "tensor/tensor.h"

namespace millrace {
namespace {

// As Python's messages call it.
std::string python_name(DataType dtype) {
  switch (dtype) {
    case DataType::kHalf: return "float16";
    case DataType::kFloat: return "float32";
    case DataType::kDouble: return "float64";
    default: return dtype_name(dtype);
  }
}

// ---- literals

template <class From, class To> bool fits(From value) {
  if constexpr (std::is_integral_v<From> && std::is_integral_v<To>) return std::in_range<To>(value);
  return true;
}

template <class From, class To> absl::StatusOr<Tensor> cast_elements(const Tensor& literal) {
  MR_ASSIGN_OR_RETURN(Tensor out, make_tensor(dtype_of<To>, literal.shape()));
  const auto from = literal.unchecked<From>();
  const auto to = out.unchecked_mutable<To>();
  for (size_t i = 0; i < from.size(); ++i) {
    if (!fits<From, To>(from[i]))
      return invalid_argument("Python int ", from[i], " too large to convert to ", python_name(dtype_of<To>));
    if constexpr (std::is_same_v<To, Half> || std::is_same_v<To, BFloat16>) to[i] = To(static_cast<float>(from[i]));
    else if constexpr (std::is_same_v<To, Complex64>) to[i] = Complex64(static_cast<float>(from[i]), 0);
    else if constexpr (std::is_same_v<To, Complex128>) to[i] = Complex128(static_cast<double>(from[i]), 0);
    else to[i] = static_cast<To>(from[i]);
  }
  return out;
}

absl::Status no_conversion(const Tensor& literal, DataType dtype) {
  return invalid_argument("Expected ", python_name(dtype), ", but got ", literal.to_string(8), " of type '",
                          python_name(literal.dtype()), "'.");
}

template <class From> absl::StatusOr<Tensor> cast_number(const Tensor& literal, DataType dtype) {
  switch (dtype) {
    case DataType::kFloat: return cast_elements<From, float>(literal);
    case DataType::kDouble: return cast_elements<From, double>(literal);
    case DataType::kHalf: return cast_elements<From, Half>(literal);
    case DataType::kBfloat16: return cast_elements<From, BFloat16>(literal);
    case DataType::kComplex64: return cast_elements<From, Complex64>(literal);
    case DataType::kComplex128: return cast_elements<From, Complex128>(literal);
    default: break;
  }
  if constexpr (std::is_integral_v<From>) {
    switch (dtype) {
      case DataType::kInt8: return cast_elements<From, int8_t>(literal);
      case DataType::kInt16: return cast_elements<From, int16_t>(literal);
      case DataType::kInt32: return cast_elements<From, int32_t>(literal);
      case DataType::kInt64: return cast_elements<From, int64_t>(literal);
      case DataType::kUint8: return cast_elements<From, uint8_t>(literal);
      case DataType::kUint16: return cast_elements<From, uint16_t>(literal);
      case DataType::kUint32: return cast_elements<From, uint32_t>(literal);
      case DataType::kUint64: return cast_elements<From, uint64_t>(literal);
      default: break;
    }
  }
  return no_conversion(literal, dtype);
}

// The dtype of a literal where nothing asks for another: C++ doubles are Python floats.
DataType natural_dtype(const Input& input) {
  const DataType dtype = input.literal().dtype();
  return input.is_number() && dtype == DataType::kDouble ? DataType::kFloat : dtype;
}

// ---- resolving arguments

// Finds the dtypes and lengths that arguments give attributes.
class Resolver {
 public:
  Resolver(GraphImpl& graph, const OpDef& def, const OpRequest& request)
      : graph_(graph), def_(def), request_(request), attrs_(request.attrs) {}

  absl::Status run() {
    if (request_.args.size() != def_.inputs.size())
      return invalid_argument(def_.name, " takes ", def_.inputs.size(), " arguments, got ", request_.args.size());
    for (size_t i = 0; i < def_.inputs.size(); ++i) MR_RETURN_IF_ERROR(convert_arg(i));
    return absl::OkStatus();
  }
  std::vector<Output> take_inputs() { return std::move(inputs_); }
  AttrMap take_attrs() { return std::move(attrs_); }
  std::vector<Node*> take_refs() { return std::move(refs_); }

 private:
  // The dtype that argument i's single type must have, as far as attributes or symbolic arguments tell.
  DataType wanted_dtype(const ArgDef& arg) const {
    if (arg.type != DataType::kInvalid) return arg.type;
    if (arg.type_attr.empty()) return DataType::kInvalid;
    if (const auto it = attrs_.find(arg.type_attr); it != attrs_.end())
      if (const DataType* dtype = it->second.get<DataType>()) return *dtype;
    // Any argument of the same attribute that has a dtype of its own: symbolic ones first, then tensors.
    for (const bool literals : {false, true})
      for (size_t i = 0; i < def_.inputs.size(); ++i) {
        if (def_.inputs[i].type_attr != arg.type_attr) continue;
        for (const Input& value : request_.args[i].values()) {
          if (value.is_literal() ? literals && !value.is_number() : !literals && !value.source() && value.output()) {
            return value.is_literal() ? value.literal().dtype() : base_dtype(value.output().dtype());
          }
        }
      }
    return DataType::kInvalid;
  }

  DataType default_dtype(const ArgDef& arg) const {
    const AttrDef* attr = arg.type_attr.empty() ? nullptr : def_.find_attr(arg.type_attr);
    const DataType* dtype = attr && attr->default_value ? attr->default_value->get<DataType>() : nullptr;
    return dtype ? *dtype : DataType::kInvalid;
  }

  absl::StatusOr<Output> convert(const Input& value, DataType wanted, const ArgDef& arg, std::string_view name) {
    if (value.is_literal() && wanted == DataType::kInvalid) {
      const DataType preferred = default_dtype(arg);
      if (preferred != DataType::kInvalid && value.is_number() && cast_literal(value.literal(), preferred).ok())
        wanted = preferred;
    }
    if (!value) return invalid_argument(def_.name, ": argument '", arg.name, "' is absent");
    return to_output(graph_, value, value.is_literal() ? wanted : DataType::kInvalid, name, arg.is_ref,
                     request_.source);
  }

  absl::Status convert_arg(size_t i) {
    const ArgDef& arg = def_.inputs[i];
    const OpArg& given = request_.args[i];
    const bool is_list = !arg.number_attr.empty() || !arg.type_list_attr.empty();
    if (is_list != given.is_list())
      return invalid_argument(is_list ? "Expected a list for '" : "Expected one tensor for '", arg.name,
                              "' argument to '", def_.name, "' Op");
    const DataType wanted = wanted_dtype(arg);
    std::vector<Output> converted;
    for (size_t k = 0; k < given.values().size(); ++k) {
      const std::string name = is_list ? str_cat(arg.name, "_", k) : arg.name;
      DataType dtype = wanted;
      if (!arg.type_list_attr.empty()) dtype = listed_dtype(arg, k);
      MR_ASSIGN_OR_RETURN(const Output output, convert(given.values()[k], dtype, arg, name));
      converted.push_back(output);
    }
    if (!arg.number_attr.empty())
      attrs_.insert_or_assign(arg.number_attr, AttrValue(static_cast<int64_t>(converted.size())));
    MR_RETURN_IF_ERROR(arg.type_list_attr.empty() ? set_type(arg, converted) : set_type_list(arg, converted));
    inputs_.insert(inputs_.end(), converted.begin(), converted.end());
    if (arg.is_ref)
      for (const Output& output : converted) refs_.push_back(output.node());
    return absl::OkStatus();
  }

  DataType listed_dtype(const ArgDef& arg, size_t k) const {
    const auto it = attrs_.find(arg.type_list_attr);
    const auto* types = it == attrs_.end() ? nullptr : it->second.get<std::vector<DataType>>();
    return types && k < types->size() ? (*types)[k] : DataType::kInvalid;
  }

  absl::Status set_type_list(const ArgDef& arg, const std::vector<Output>& values) {
    std::vector<DataType> types;
    for (const Output& value : values) types.push_back(base_dtype(value.dtype()));
    attrs_.try_emplace(arg.type_list_attr, AttrValue(std::move(types)));
    return absl::OkStatus();
  }

  absl::Status set_type(const ArgDef& arg, const std::vector<Output>& values) {
    for (const Output& value : values)
      if (base_dtype(value.dtype()) != base_dtype(values[0].dtype())) {
        std::string types;
        for (const Output& v : values)
          str_append(&types, types.empty() ? "" : ", ", python_name(base_dtype(v.dtype())));
        return invalid_argument("Tensors in list passed to '", arg.name, "' of '", def_.name, "' Op have types [",
                                types, "] that don't all match.");
      }
    if (values.empty()) return absl::OkStatus();
    const DataType got = base_dtype(values[0].dtype());
    if (arg.is_ref && !is_ref(values[0].dtype()))
      return invalid_argument("'", def_.name, "' Op requires that input '", arg.name,
                              "' be a mutable tensor (e.g.: a tf.Variable)");
    if (arg.type_attr.empty()) {
      if (got == arg.type) return absl::OkStatus();
      return invalid_argument("Input '", arg.name, "' of '", def_.name, "' Op has type ", python_name(got),
                              " that does not match expected type of ", python_name(arg.type), ".");
    }
    const auto [it, is_new] = attrs_.try_emplace(arg.type_attr, AttrValue(got));
    if (is_new) {
      given_by_.emplace(arg.type_attr, arg.name);
      return absl::OkStatus();
    }
    const DataType* known = it->second.get<DataType>();
    if (known && *known == got) return absl::OkStatus();
    const auto by = given_by_.find(arg.type_attr);
    return invalid_argument("Input '", arg.name, "' of '", def_.name, "' Op has type ", python_name(got),
                            " that does not match type ", known ? python_name(*known) : "?",
                            by != given_by_.end() ? str_cat(" of argument '", by->second, "'.")
                                                  : str_cat(" of attribute '", arg.type_attr, "'."));
  }

  GraphImpl& graph_;
  const OpDef& def_;
  const OpRequest& request_;
  AttrMap attrs_;
  std::map<std::string, std::string> given_by_;  // type attribute -> the argument that set it
  std::vector<Output> inputs_;
  std::vector<Node*> refs_;  // the nodes of arguments taken by reference
};

absl::Status apply_colocation(GraphImpl& graph, Node* node) {
  const std::vector<Node*>& with = graph.scopes().colocation;
  if (with.empty()) return absl::OkStatus();
  std::set<std::string> groups;
  bool has_device = false;
  for (auto it = with.rbegin(); it != with.rend(); ++it) {
    for (std::string& group : colocation_groups(**it)) groups.insert(std::move(group));
    if (!has_device && !(*it)->device().empty()) {
      graph.set_device(node, (*it)->device());
      has_device = true;
    }
  }
  return graph.set_attr(node, "_class", AttrValue(std::vector<std::string>(groups.begin(), groups.end())));
}

absl::Status apply_scopes(GraphImpl& graph, Node* node) {
  const Scopes& scopes = graph.scopes();
  for (auto it = scopes.attrs.rbegin(); it != scopes.attrs.rend(); ++it)
    if (!node->find_attr(it->first)) MR_RETURN_IF_ERROR(graph.set_attr(node, it->first, it->second));
  if (scopes.control_flow) MR_RETURN_IF_ERROR(scopes.control_flow->add_op(node));
  for (const auto& scope : scopes.control_dependencies) scope->seen.insert(node);
  apply_devices(graph, node);
  MR_RETURN_IF_ERROR(apply_colocation(graph, node));
  if (!scopes.container.empty() && node->def().is_stateful)
    if (const AttrValue* attr = node->find_attr("container");
        attr && attr->get<std::string>() && attr->get<std::string>()->empty())
      MR_RETURN_IF_ERROR(graph.set_attr(node, "container", AttrValue(scopes.container)));
  return absl::OkStatus();
}

// The node with everything resolved, in the open scopes.
absl::StatusOr<Node*> add_in_scopes(GraphImpl& graph, NodeSpec spec) {
  spec.control_inputs = control_dependencies_for(graph, spec.inputs);
  MR_ASSIGN_OR_RETURN(Node * node, graph.add_node(std::move(spec)));
  MR_RETURN_IF_ERROR(apply_scopes(graph, node));
  return node;
}

// The final name for `name` as op functions take it.
absl::StatusOr<std::string> final_name(GraphImpl& graph, std::string_view name) {
  if (!name.empty() && name.back() == '/') return std::string(name.substr(0, name.size() - 1));
  if (graph.scopes().name.empty() && !name.empty() && name[0] == '_')
    return invalid_argument("`", name, "` is not a valid node name.");
  return graph.unique_name(name);
}

}  // namespace

absl::StatusOr<Tensor> cast_literal(const Tensor& literal, DataType dtype) {
  if (dtype == DataType::kInvalid || literal.dtype() == dtype) return literal;
  switch (literal.dtype()) {
    case DataType::kInt32: return cast_number<int32_t>(literal, dtype);
    case DataType::kInt64: return cast_number<int64_t>(literal, dtype);
    case DataType::kFloat: return cast_number<float>(literal, dtype);
    case DataType::kDouble: return cast_number<double>(literal, dtype);
    case DataType::kUint8: return cast_number<uint8_t>(literal, dtype);
    case DataType::kInt8: return cast_number<int8_t>(literal, dtype);
    case DataType::kInt16: return cast_number<int16_t>(literal, dtype);
    case DataType::kUint16: return cast_number<uint16_t>(literal, dtype);
    case DataType::kUint32: return cast_number<uint32_t>(literal, dtype);
    case DataType::kUint64: return cast_number<uint64_t>(literal, dtype);
    default: return no_conversion(literal, dtype);
  }
}

absl::StatusOr<Output> make_const(GraphImpl& graph, const Tensor& value, std::string_view name, std::string source,
                                  bool compact) {
  NodeSpec spec;
  spec.type = "Const";
  MR_ASSIGN_OR_RETURN(spec.name, final_name(graph, name));
  spec.attrs = {{"dtype", value.dtype()}, {"value", value}};
  spec.source = std::move(source);
  spec.compact_value = compact;
  MR_ASSIGN_OR_RETURN(Node * node, add_in_scopes(graph, std::move(spec)));
  return node->output(0);
}

absl::StatusOr<Output> to_output(GraphImpl& graph, const Input& input, DataType dtype, std::string_view name,
                                 bool as_ref, std::string source) {
  if (input.is_literal()) {
    MR_ASSIGN_OR_RETURN(const Tensor value,
                        cast_literal(input.literal(), dtype == DataType::kInvalid ? natural_dtype(input) : dtype));
    return make_const(graph, value, name.empty() ? "Const" : name, std::move(source));
  }
  MR_ASSIGN_OR_RETURN(const Output output, graph.own(input.output(as_ref)));
  if (!output) return invalid_argument("An absent tensor was given for '", name, "'");
  if (dtype != DataType::kInvalid && base_dtype(output.dtype()) != dtype)
    return invalid_argument("Tensor conversion requested dtype ", python_name(dtype), " for Tensor with dtype ",
                            python_name(base_dtype(output.dtype())), ": ", output.name());
  return output;
}

absl::StatusOr<Node*> make_op(GraphImpl& graph, const OpRequest& request) {
  const OpEntry* entry = graph.registry().find(request.type);
  std::shared_ptr<const FunctionDef> function = entry ? nullptr : graph.library().find(request.type);
  if (!entry && !function)
    return not_found("Op type not registered '", request.type, "' in binary running on millrace.");
  const OpDef& def = entry ? entry->def : function->signature;

  NodeSpec spec;
  spec.type = request.type;
  spec.source = request.source;
  std::vector<Node*> refs;
  {
    // Literals become constants below the node's own name: "add", "add/y".
    const NameScope scope(graph, request.name.empty() ? request.type : request.name);
    MR_RETURN_IF_ERROR(scope.status());
    Resolver resolver(graph, def, request);
    if (absl::Status status = resolver.run(); !status.ok())
      return with_where(
          std::move(status),
          {scope.name().substr(0, scope.name().size() - (scope.name().empty() ? 0 : 1)), spec.type, "", spec.source});
    spec.inputs = resolver.take_inputs();
    spec.attrs = resolver.take_attrs();
    refs = resolver.take_refs();
    MR_ASSIGN_OR_RETURN(spec.name, final_name(graph, scope.name()));
  }
  // An op stands where the variables that it takes by reference stand.
  if (refs.empty()) return add_in_scopes(graph, std::move(spec));
  const ScopesGuard guard(graph);
  for (Node* ref : refs) push_colocation(graph, ref, false);
  return add_in_scopes(graph, std::move(spec));
}

}  // namespace millrace
