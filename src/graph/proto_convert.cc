#include "graph/proto_convert.h"

#include <cstring>
#include <type_traits>

#include "tensor/shape.h"
#include "tensorflow/core/framework/attr_value.pb.h"
#include "tensorflow/core/framework/function.pb.h"
#include "tensorflow/core/framework/node_def.pb.h"
#include "tensorflow/core/framework/op_def.pb.h"

namespace millrace {
namespace {

namespace pb = tensorflow;

// ---- attributes

absl::StatusOr<FunctionRef> from_proto(const pb::NameAttrList& proto) {
  AttrMap attrs;
  for (const auto& [name, value] : proto.attr()) {
    MR_ASSIGN_OR_RETURN(AttrValue v, millrace::from_proto(value));
    attrs.emplace(name, std::move(v));
  }
  return attrs.empty() ? FunctionRef(proto.name()) : FunctionRef(proto.name(), std::move(attrs));
}

void to_proto(const FunctionRef& function, pb::NameAttrList* proto) {
  proto->set_name(function.name);
  if (!function.attrs) return;
  for (const auto& [name, value] : *function.attrs) millrace::to_proto(value, &(*proto->mutable_attr())[name]);
}

absl::StatusOr<AttrValue> from_list(const pb::AttrValue::ListValue& list) {
  if (list.s_size() > 0) return AttrValue(std::vector<std::string>(list.s().begin(), list.s().end()));
  if (list.i_size() > 0) return AttrValue(std::vector<int64_t>(list.i().begin(), list.i().end()));
  if (list.f_size() > 0) return AttrValue(std::vector<float>(list.f().begin(), list.f().end()));
  if (list.b_size() > 0) return AttrValue(std::vector<bool>(list.b().begin(), list.b().end()));
  if (list.type_size() > 0) {
    std::vector<DataType> types;
    for (const int type : list.type()) types.push_back(static_cast<DataType>(type));
    return AttrValue(std::move(types));
  }
  if (list.shape_size() > 0) {
    std::vector<PartialTensorShape> shapes;
    for (const auto& s : list.shape()) {
      MR_ASSIGN_OR_RETURN(PartialTensorShape shape, millrace::from_proto(s));
      shapes.push_back(std::move(shape));
    }
    return AttrValue(std::move(shapes));
  }
  if (list.tensor_size() > 0) {
    std::vector<Tensor> tensors;
    for (const auto& t : list.tensor()) {
      MR_ASSIGN_OR_RETURN(Tensor tensor, millrace::from_proto(t));
      tensors.push_back(std::move(tensor));
    }
    return AttrValue(std::move(tensors));
  }
  if (list.func_size() > 0) {
    std::vector<FunctionRef> functions;
    for (const auto& f : list.func()) {
      MR_ASSIGN_OR_RETURN(FunctionRef function, from_proto(f));
      functions.push_back(std::move(function));
    }
    return AttrValue(std::move(functions));
  }
  return AttrValue(EmptyList());
}

struct ListWriter {
  pb::AttrValue::ListValue* list;
  void operator()(const std::string& v) const { list->add_s(v); }
  void operator()(int64_t v) const { list->add_i(v); }
  void operator()(float v) const { list->add_f(v); }
  void operator()(bool v) const { list->add_b(v); }
  void operator()(DataType v) const { list->add_type(static_cast<pb::DataType>(v)); }
  void operator()(const PartialTensorShape& v) const { millrace::to_proto(v, list->add_shape()); }
  void operator()(const Tensor& v) const { millrace::to_proto(v, list->add_tensor()).IgnoreError(); }
  void operator()(const FunctionRef& v) const { to_proto(v, list->add_func()); }
};

struct AttrWriter {
  pb::AttrValue* out;
  void operator()(std::monostate) const {}
  void operator()(const std::string& v) const { out->set_s(v); }
  void operator()(int64_t v) const { out->set_i(v); }
  void operator()(float v) const { out->set_f(v); }
  void operator()(bool v) const { out->set_b(v); }
  void operator()(DataType v) const { out->set_type(static_cast<pb::DataType>(v)); }
  void operator()(const PartialTensorShape& v) const { millrace::to_proto(v, out->mutable_shape()); }
  void operator()(const Tensor& v) const { millrace::to_proto(v, out->mutable_tensor()).IgnoreError(); }
  void operator()(const FunctionRef& v) const { to_proto(v, out->mutable_func()); }
  void operator()(const AttrPlaceholder& v) const { out->set_placeholder(v.name); }
  void operator()(const EmptyList&) const { out->mutable_list(); }
  template <class T> void operator()(const std::vector<T>& values) const {
    pb::AttrValue::ListValue* list = out->mutable_list();
    for (size_t i = 0; i < values.size(); ++i) {
      const T& v = values[i];
      ListWriter{list}(v);
    }
  }
};

absl::StatusOr<AttrMap> from_proto(const google::protobuf::Map<std::string, pb::AttrValue>& map,
                                   std::string_view node) {
  AttrMap attrs;
  for (const auto& [name, value] : map) {
    absl::StatusOr<AttrValue> v = millrace::from_proto(value);
    if (!v.ok()) return annotate(v.status(), str_cat("Node '", node, "': attr '", name, "'"));
    attrs.emplace(name, *std::move(v));
  }
  return attrs;
}

}  // namespace

absl::StatusOr<AttrValue> from_proto(const pb::AttrValue& proto) {
  switch (proto.value_case()) {
    case pb::AttrValue::kS: return AttrValue(proto.s());
    case pb::AttrValue::kI: return AttrValue(static_cast<int64_t>(proto.i()));
    case pb::AttrValue::kF: return AttrValue(proto.f());
    case pb::AttrValue::kB: return AttrValue(proto.b());
    case pb::AttrValue::kType: return AttrValue(static_cast<DataType>(proto.type()));
    case pb::AttrValue::kShape: {
      MR_ASSIGN_OR_RETURN(PartialTensorShape shape, from_proto(proto.shape()));
      return AttrValue(std::move(shape));
    }
    case pb::AttrValue::kTensor: {
      MR_ASSIGN_OR_RETURN(Tensor tensor, from_proto(proto.tensor()));
      return AttrValue(std::move(tensor));
    }
    case pb::AttrValue::kFunc: {
      MR_ASSIGN_OR_RETURN(FunctionRef function, from_proto(proto.func()));
      return AttrValue(std::move(function));
    }
    case pb::AttrValue::kPlaceholder: return AttrValue(AttrPlaceholder{proto.placeholder()});
    case pb::AttrValue::kList: return from_list(proto.list());
    case pb::AttrValue::VALUE_NOT_SET: return AttrValue();
  }
  return AttrValue();
}

void to_proto(const AttrValue& value, pb::AttrValue* proto) {
  proto->Clear();
  std::visit(AttrWriter{proto}, value.value());
}

// ---- nodes

absl::StatusOr<NodeDef> from_proto(const pb::NodeDef& proto) {
  NodeDef node;
  node.name = proto.name();
  node.op = proto.op();
  node.device = proto.device();
  node.inputs.assign(proto.input().begin(), proto.input().end());
  MR_ASSIGN_OR_RETURN(node.attrs, from_proto(proto.attr(), proto.name()));
  if (const auto it = proto.attr().find("value"); it != proto.attr().end() && it->second.has_tensor())
    node.compact_value = is_compact(it->second.tensor());
  return node;
}

void to_proto(const NodeDef& node, pb::NodeDef* proto) {
  proto->Clear();
  proto->set_name(node.name);
  proto->set_op(node.op);
  proto->set_device(node.device);
  for (const std::string& input : node.inputs) proto->add_input(input);
  for (const auto& [name, value] : node.attrs) {
    pb::AttrValue* out = &(*proto->mutable_attr())[name];
    const Tensor* tensor = node.compact_value && name == "value" ? value.get<Tensor>() : nullptr;
    if (tensor) to_proto(*tensor, out->mutable_tensor(), true).IgnoreError();
    else to_proto(value, out);
  }
}

// ---- signatures and functions

namespace {

ArgDef arg_from_proto(const pb::OpDef::ArgDef& proto) {
  return {proto.name(),           static_cast<DataType>(proto.type()),
          proto.type_attr(),      proto.number_attr(),
          proto.type_list_attr(), proto.is_ref()};
}

void to_proto(const ArgDef& arg, pb::OpDef::ArgDef* proto) {
  proto->set_name(arg.name);
  proto->set_type(static_cast<pb::DataType>(arg.type));
  proto->set_type_attr(arg.type_attr);
  proto->set_number_attr(arg.number_attr);
  proto->set_type_list_attr(arg.type_list_attr);
  proto->set_is_ref(arg.is_ref);
}

absl::StatusOr<AttrDef> attr_from_proto(const pb::OpDef::AttrDef& proto) {
  AttrDef attr;
  attr.name = proto.name();
  attr.type = proto.type();
  if (proto.has_default_value()) {
    MR_ASSIGN_OR_RETURN(attr.default_value, millrace::from_proto(proto.default_value()));
  }
  for (const int type : proto.allowed_values().list().type()) attr.allowed_types.push_back(static_cast<DataType>(type));
  for (const std::string& s : proto.allowed_values().list().s()) attr.allowed_strings.push_back(s);
  if (proto.has_minimum()) attr.minimum = proto.minimum();
  return attr;
}

void to_proto(const AttrDef& attr, pb::OpDef::AttrDef* proto) {
  proto->set_name(attr.name);
  proto->set_type(attr.type);
  if (attr.default_value) millrace::to_proto(*attr.default_value, proto->mutable_default_value());
  for (const DataType type : attr.allowed_types)
    proto->mutable_allowed_values()->mutable_list()->add_type(static_cast<pb::DataType>(type));
  for (const std::string& s : attr.allowed_strings) proto->mutable_allowed_values()->mutable_list()->add_s(s);
  if (attr.minimum) {
    proto->set_has_minimum(true);
    proto->set_minimum(*attr.minimum);
  }
}

}  // namespace

absl::StatusOr<OpDef> from_proto(const pb::OpDef& proto) {
  OpDef def;
  def.name = proto.name();
  for (const auto& arg : proto.input_arg()) def.inputs.push_back(arg_from_proto(arg));
  for (const auto& arg : proto.output_arg()) def.outputs.push_back(arg_from_proto(arg));
  for (const auto& attr : proto.attr()) {
    MR_ASSIGN_OR_RETURN(AttrDef a, attr_from_proto(attr));
    def.attrs.push_back(std::move(a));
  }
  def.doc = proto.description();
  def.is_stateful = proto.is_stateful();
  def.is_commutative = proto.is_commutative();
  def.is_aggregate = proto.is_aggregate();
  def.allows_uninitialized_input = proto.allows_uninitialized_input();
  return def;
}

void to_proto(const OpDef& def, pb::OpDef* proto) {
  proto->Clear();
  proto->set_name(def.name);
  for (const ArgDef& arg : def.inputs) to_proto(arg, proto->add_input_arg());
  for (const ArgDef& arg : def.outputs) to_proto(arg, proto->add_output_arg());
  for (const AttrDef& attr : def.attrs) to_proto(attr, proto->add_attr());
  proto->set_description(def.doc);
  proto->set_is_stateful(def.is_stateful);
  proto->set_is_commutative(def.is_commutative);
  proto->set_is_aggregate(def.is_aggregate);
  proto->set_allows_uninitialized_input(def.allows_uninitialized_input);
}

absl::StatusOr<FunctionDef> from_proto(const pb::FunctionDef& proto) {
  FunctionDef def;
  MR_ASSIGN_OR_RETURN(def.signature, from_proto(proto.signature()));
  for (const auto& node : proto.node_def()) {
    MR_ASSIGN_OR_RETURN(NodeDef n, from_proto(node));
    def.nodes.push_back(std::move(n));
  }
  // In the signature's order, so that equal definitions are equal.
  for (const auto& arg : proto.signature().output_arg())
    if (const auto it = proto.ret().find(arg.name()); it != proto.ret().end())
      def.ret.emplace_back(it->first, it->second);
  for (const auto& name : proto.signature().control_output()) {
    def.control_outputs.push_back(name);
    if (const auto it = proto.control_ret().find(name); it != proto.control_ret().end())
      def.control_ret.emplace_back(it->first, it->second);
  }
  MR_ASSIGN_OR_RETURN(def.attrs, from_proto(proto.attr(), def.name()));
  for (const auto& [index, attrs] : proto.arg_attr()) {
    MR_ASSIGN_OR_RETURN(def.arg_attrs[index], from_proto(attrs.attr(), def.name()));
  }
  for (const auto& [index, id] : proto.resource_arg_unique_id()) def.resource_arg_unique_id[index] = id;
  return def;
}

void to_proto(const FunctionDef& def, pb::FunctionDef* proto) {
  proto->Clear();
  to_proto(def.signature, proto->mutable_signature());
  for (const std::string& name : def.control_outputs) proto->mutable_signature()->add_control_output(name);
  for (const NodeDef& node : def.nodes) to_proto(node, proto->add_node_def());
  for (const auto& [name, value] : def.ret) (*proto->mutable_ret())[name] = value;
  for (const auto& [name, value] : def.control_ret) (*proto->mutable_control_ret())[name] = value;
  for (const auto& [name, value] : def.attrs) to_proto(value, &(*proto->mutable_attr())[name]);
  for (const auto& [index, attrs] : def.arg_attrs)
    for (const auto& [name, value] : attrs)
      to_proto(value, &(*(*proto->mutable_arg_attr())[index].mutable_attr())[name]);
  for (const auto& [index, id] : def.resource_arg_unique_id) (*proto->mutable_resource_arg_unique_id())[index] = id;
}

}  // namespace millrace
