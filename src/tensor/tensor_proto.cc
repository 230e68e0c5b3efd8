#include "tensor/tensor_proto.h"

#include <cstring>

#include "base/byte_reader.h"
#include "tensor/shape.h"
#include "tensorflow/core/framework/tensor.pb.h"

namespace millrace {
namespace {

namespace pb = tensorflow;

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

int64_t count_values(const pb::TensorProto& proto, DataType dtype) {
  int64_t count = 0;
  for_dtype(dtype, [&]<class T>() {
    count = Field<T>::size(proto);
    return absl::OkStatus();
  }).IgnoreError();  // none of another dtype
  return count;
}

absl::Status append_values(const Tensor& tensor, pb::TensorProto* proto) {
  return for_dtype(tensor.dtype(), [&]<class T>() {
    for (const T& value : tensor.unchecked<T>()) Field<T>::add(value, proto);
    return absl::OkStatus();
  });
}

}  // namespace millrace
