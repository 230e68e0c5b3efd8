#include "graph/proto_convert.h"

#include <cstring>
#include <type_traits>

#include "base/byte_reader.h"
#include "tensor/shape.h"
#include "tensorflow/core/framework/attr_value.pb.h"
#include "tensorflow/core/framework/function.pb.h"
#include "tensorflow/core/framework/node_def.pb.h"
#include "tensorflow/core/framework/op_def.pb.h"
#include "tensorflow/core/framework/tensor.pb.h"

namespace millrace {
namespace {

namespace pb = tensorflow;

// ---- tensors

// Element k of a typed field as a T, and the reverse. One specialization per kind of field.
template <class T> struct Field;
#define MR_FIELD(T, field, to_element, to_value)                                  \
  template <> struct Field<T> {                                                   \
    static int size(const pb::TensorProto& p) { return p.field##_size(); }        \
    static T get(const pb::TensorProto& p, int k) {                               \
      const auto v = p.field(k);                                                  \
      return to_element;                                                          \
    }                                                                             \
    static void add(const T& v, pb::TensorProto* p) { p->add_##field(to_value); } \
  };
MR_FIELD(float, float_val, v, v)
MR_FIELD(double, double_val, v, v)
MR_FIELD(int32_t, int_val, v, v)
MR_FIELD(int16_t, int_val, static_cast<int16_t>(v), v)
MR_FIELD(int8_t, int_val, static_cast<int8_t>(v), v)
MR_FIELD(uint8_t, int_val, static_cast<uint8_t>(v), v)
MR_FIELD(uint16_t, int_val, static_cast<uint16_t>(v), v)
MR_FIELD(int64_t, int64_val, v, v)
MR_FIELD(bool, bool_val, v, v)
MR_FIELD(uint32_t, uint32_val, v, v)
MR_FIELD(uint64_t, uint64_val, v, v)
MR_FIELD(Half, half_val, Half::from_bits(static_cast<uint16_t>(v)), v.bits)
MR_FIELD(BFloat16, half_val, BFloat16::from_bits(static_cast<uint16_t>(v)), v.bits)
MR_FIELD(Qint8, int_val, Qint8{static_cast<int8_t>(v)}, v.value)
MR_FIELD(Quint8, int_val, Quint8{static_cast<uint8_t>(v)}, v.value)
MR_FIELD(Qint16, int_val, Qint16{static_cast<int16_t>(v)}, v.value)
MR_FIELD(Quint16, int_val, Quint16{static_cast<uint16_t>(v)}, v.value)
MR_FIELD(Qint32, int_val, Qint32{v}, v.value)
MR_FIELD(std::string, string_val, v, v)
#undef MR_FIELD
template <> struct Field<Complex64> {
  static int size(const pb::TensorProto& p) { return p.scomplex_val_size() / 2; }
  static Complex64 get(const pb::TensorProto& p, int k) { return {p.scomplex_val(2 * k), p.scomplex_val(2 * k + 1)}; }
  static void add(const Complex64& v, pb::TensorProto* p) {
    p->add_scomplex_val(v.real()), p->add_scomplex_val(v.imag());
  }
};
template <> struct Field<Complex128> {
  static int size(const pb::TensorProto& p) { return p.dcomplex_val_size() / 2; }
  static Complex128 get(const pb::TensorProto& p, int k) { return {p.dcomplex_val(2 * k), p.dcomplex_val(2 * k + 1)}; }
  static void add(const Complex128& v, pb::TensorProto* p) {
    p->add_dcomplex_val(v.real()), p->add_dcomplex_val(v.imag());
  }
};
template <> struct Field<ResourceHandle> {
  static int size(const pb::TensorProto& p) { return p.resource_handle_val_size(); }
  static ResourceHandle get(const pb::TensorProto& p, int k) {
    const pb::ResourceHandleProto& v = p.resource_handle_val(k);
    ResourceHandle handle;
    handle.device = v.device();
    handle.container = v.container();
    handle.name = v.name();
    handle.type_name = v.maybe_type_name();
    handle.hash_code = v.hash_code();
    return handle;
  }
  static void add(const ResourceHandle& v, pb::TensorProto* p) {
    pb::ResourceHandleProto* out = p->add_resource_handle_val();
    out->set_device(v.device);
    out->set_container(v.container);
    out->set_name(v.name);
    out->set_maybe_type_name(v.type_name);
    out->set_hash_code(v.hash_code);
  }
};

// Calls f.operator()<T>() for the element type; InvalidArgument for types without a wire form.
template <class F> absl::Status for_dtype(DataType dtype, F f) {
  switch (dtype) {
#define MR_CASE(T) \
  case dtype_of<T>: return f.template operator()<T>();
    MR_CASE(float)
    MR_CASE(double)
    MR_CASE(int32_t)
    MR_CASE(int16_t)
    MR_CASE(int8_t)
    MR_CASE(uint8_t)
    MR_CASE(uint16_t)
    MR_CASE(int64_t)
    MR_CASE(bool)
    MR_CASE(uint32_t)
    MR_CASE(uint64_t)
    MR_CASE(Half)
    MR_CASE(BFloat16)
    MR_CASE(Qint8)
    MR_CASE(Quint8)
    MR_CASE(Qint16)
    MR_CASE(Quint16)
    MR_CASE(Qint32)
    MR_CASE(std::string)
    MR_CASE(Complex64)
    MR_CASE(Complex128)
    MR_CASE(ResourceHandle)
#undef MR_CASE
    default: return invalid_argument("A tensor of type ", dtype_name(dtype), " has no wire form");
  }
}

template <class T> absl::Status read_content(const std::string& content, Tensor* tensor) {
  if constexpr (std::is_same_v<T, ResourceHandle>) {
    return invalid_argument("Resource handles do not stand in tensor_content");
  } else if constexpr (std::is_same_v<T, std::string>) {
    // All lengths as varints, then all bytes.
    ByteReader reader(content, "tensor_content");
    const auto out = tensor->unchecked_mutable<std::string>();
    std::vector<uint64_t> lengths(out.size());
    for (uint64_t& length : lengths) {
      MR_ASSIGN_OR_RETURN(length, reader.read_varint64("string length"));
    }
    for (size_t i = 0; i < out.size(); ++i) {
      MR_ASSIGN_OR_RETURN(const std::string_view bytes, reader.read_bytes(lengths[i], "string"));
      out[i] = bytes;
    }
    return absl::OkStatus();
  } else {
    if (content.size() != tensor->byte_size())
      return invalid_argument("tensor_content has ", content.size(), " bytes, but shape ", tensor->shape(), " of ",
                              dtype_name(tensor->dtype()), " needs ", tensor->byte_size());
    if constexpr (std::is_same_v<T, bool>) {
      const auto out = tensor->unchecked_mutable<bool>();
      for (size_t i = 0; i < out.size(); ++i) out[i] = content[i] != 0;
    } else if (!content.empty()) {
      std::memcpy(tensor->raw_mutable_data(), content.data(), content.size());
    }
    return absl::OkStatus();
  }
}

template <class T> absl::Status read_fields(const pb::TensorProto& proto, Tensor* tensor) {
  const auto out = tensor->unchecked_mutable<T>();
  const size_t given = static_cast<size_t>(Field<T>::size(proto));
  for (size_t i = 0; i < out.size(); ++i) {
    if (i < given) out[i] = Field<T>::get(proto, static_cast<int>(i));
    else out[i] = given > 0 ? out[given - 1] : T();
  }
  return absl::OkStatus();
}

template <class T> bool same_bits(const T& a, const T& b) {
  if constexpr (std::is_same_v<T, std::string> || std::is_same_v<T, ResourceHandle>) return a == b;
  else return std::memcmp(&a, &b, sizeof(T)) == 0;  // NOLINT: bits, so that NaN equals itself and 0 not -0
}

// The dtypes that Python writes as bytes when there is more than one element.
bool is_content_dtype(DataType dtype) {
  switch (dtype) {
    case DataType::kFloat:
    case DataType::kDouble:
    case DataType::kInt32:
    case DataType::kUint8:
    case DataType::kInt16:
    case DataType::kInt8:
    case DataType::kInt64:
    case DataType::kQint8:
    case DataType::kQuint8:
    case DataType::kQint16:
    case DataType::kQuint16:
    case DataType::kQint32:
    case DataType::kUint32:
    case DataType::kUint64: return true;
    default: return false;
  }
}

// A message holds less than 2 GiB; what claims to hold more by repeating its last value is not believed.
constexpr int64_t kMaxElementBytes = int64_t{1} << 31;

}  // namespace

absl::StatusOr<PartialTensorShape> from_proto(const pb::TensorShapeProto& proto) {
  if (proto.unknown_rank()) {
    if (proto.dim_size() > 0) return invalid_argument("An unknown shape must not have any dimensions set.");
    return PartialTensorShape();
  }
  std::vector<int64_t> dims;
  for (const auto& dim : proto.dim()) dims.push_back(dim.size());
  return make_partial_shape(dims);
}

void to_proto(const PartialTensorShape& shape, pb::TensorShapeProto* proto) {
  proto->Clear();
  if (!shape.has_rank()) return proto->set_unknown_rank(true);
  for (const int64_t dim : shape.dims()) proto->add_dim()->set_size(dim);
}

absl::StatusOr<Tensor> from_proto(const pb::TensorProto& proto) {
  const DataType dtype = static_cast<DataType>(proto.dtype());
  if (!is_valid_dtype(dtype))
    return invalid_argument("Cannot parse tensor from proto: invalid dtype ", static_cast<int>(proto.dtype()));
  if (proto.tensor_shape().unknown_rank())
    return invalid_argument("Cannot parse tensor from proto: its shape is unknown");
  std::vector<int64_t> dims;
  for (const auto& dim : proto.tensor_shape().dim()) dims.push_back(dim.size());
  MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape(dims));
  if (shape.num_elements() > kMaxElementBytes / static_cast<int64_t>(std::max<size_t>(dtype_size(dtype), 1)))
    return invalid_argument("Cannot parse tensor from proto: shape ", shape, " is too large");
  if (dtype == DataType::kVariant) {
    if (proto.variant_val_size() > 0) return unimplemented("Variant values cannot be read from a tensor proto");
    return make_zeroed_tensor(dtype, shape);
  }
  const bool has_content = !proto.tensor_content().empty();
  if (has_content && is_pod(dtype) &&
      proto.tensor_content().size() != static_cast<size_t>(shape.num_elements()) * dtype_size(dtype))
    return invalid_argument("Cannot parse tensor from proto: tensor_content has ", proto.tensor_content().size(),
                            " bytes, shape ", shape, " of ", dtype_name(dtype), " needs ",
                            static_cast<size_t>(shape.num_elements()) * dtype_size(dtype));
  if (has_content && dtype == DataType::kString &&
      proto.tensor_content().size() < static_cast<size_t>(shape.num_elements()))
    return invalid_argument("Cannot parse tensor from proto: tensor_content too short for ", shape, " strings");
  MR_ASSIGN_OR_RETURN(Tensor tensor, make_tensor(dtype, shape));
  const absl::Status status = for_dtype(dtype, [&]<class T>() {
    return has_content ? read_content<T>(proto.tensor_content(), &tensor) : read_fields<T>(proto, &tensor);
  });
  if (!status.ok()) return invalid_argument("Cannot parse tensor from proto: ", status.message());
  return tensor;
}

absl::Status to_proto(const Tensor& tensor, pb::TensorProto* proto, bool compact) {
  proto->Clear();
  proto->set_dtype(static_cast<pb::DataType>(tensor.dtype()));
  to_proto(PartialTensorShape(tensor.shape()), proto->mutable_tensor_shape());
  const int64_t n = tensor.num_elements();
  if (tensor.dtype() == DataType::kVariant && n == 0) return absl::OkStatus();
  if (!compact && n > 1 && is_content_dtype(tensor.dtype())) {
    proto->set_tensor_content(tensor.raw_data(), tensor.byte_size());
    return absl::OkStatus();
  }
  return for_dtype(tensor.dtype(), [&]<class T>() {
    const auto values = tensor.unchecked<T>();
    size_t count = values.size();
    if (compact)
      while (count > 1 && same_bits(values[count - 1], values[count - 2])) --count;
    for (size_t i = 0; i < count; ++i) Field<T>::add(values[i], proto);
    return absl::OkStatus();
  });
}

bool is_compact(const pb::TensorProto& proto) {
  if (!proto.tensor_content().empty()) return false;
  int64_t n = 1;
  for (const auto& dim : proto.tensor_shape().dim())
    if (dim.size() < 0 || __builtin_mul_overflow(n, dim.size(), &n)) return false;
  int given = 0;
  const absl::Status status = for_dtype(static_cast<DataType>(proto.dtype()), [&]<class T>() {
    given = Field<T>::size(proto);
    return absl::OkStatus();
  });
  return status.ok() && n > 1 && given > 0 && given < n;
}

// ---- attributes

namespace {

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
