#include "tensor/tensor.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <new>

#include "absl/strings/escaping.h"
#include "absl/strings/str_format.h"
#include "base/errors.h"

namespace millrace {
namespace {

// A buffer of objects that need construction: strings, handles, variants.
template <class T> class ObjectBuffer final : public Buffer {
 public:
  static ObjectBuffer* make(size_t count) {
    T* objects = new (std::nothrow) T[count]();
    return objects == nullptr ? nullptr : new ObjectBuffer(objects, count);
  }

 private:
  ObjectBuffer(T* objects, size_t count) : Buffer(objects, count * sizeof(T)), objects_(objects) {}
  ~ObjectBuffer() override { delete[] objects_; }
  void destroy() override { delete this; }
  T* objects_;
};

absl::StatusOr<size_t> bytes_of(DataType dtype, const TensorShape& shape) {
  int64_t bytes = 0;
  if (__builtin_mul_overflow(shape.num_elements(), static_cast<int64_t>(dtype_size(dtype)), &bytes)) {
    return resource_exhausted("a tensor of shape ", shape.to_string(), " and type ", dtype_name(dtype),
                              " is too large to exist");
  }
  return static_cast<size_t>(bytes);
}

absl::Status out_of_memory(DataType dtype, const TensorShape& shape) {
  return resource_exhausted("OOM when allocating tensor with shape", shape.to_string(), " and type ", dtype_name(dtype),
                            "; in use: ", process_allocator_stats().bytes_in_use,
                            " bytes, limit: ", process_allocator_stats().bytes_limit, " bytes");
}

Buffer* make_objects(DataType dtype, size_t count) {
  switch (dtype) {
    case DataType::kString: return ObjectBuffer<std::string>::make(count);
    case DataType::kResource: return ObjectBuffer<ResourceHandle>::make(count);
    default: return ObjectBuffer<Variant>::make(count);
  }
}

}  // namespace

Tensor TensorFactory::tensor(DataType dtype, const TensorShape& shape, Buffer* buffer, void* data) {
  return {dtype, shape, buffer, data};
}

absl::StatusOr<Tensor> make_tensor(DataType dtype, const TensorShape& shape, Allocator* allocator) {
  if (!is_valid_dtype(dtype)) return invalid_argument("no tensor has type ", dtype_name(dtype));
  MR_ASSIGN_OR_RETURN(const size_t bytes, bytes_of(dtype, shape));
  if (bytes == 0) return TensorFactory::tensor(dtype, shape, nullptr, nullptr);
  Buffer* buffer = nullptr;
  if (is_pod(dtype)) {
    buffer = (allocator ? allocator : process_allocator())->allocate(bytes);
  } else if (bytes <= static_cast<size_t>(process_allocator_stats().bytes_limit)) {
    buffer = make_objects(dtype, static_cast<size_t>(shape.num_elements()));
  }
  if (buffer == nullptr) return out_of_memory(dtype, shape);
  return TensorFactory::tensor(dtype, shape, buffer, buffer->data());
}

absl::StatusOr<Tensor> make_zeroed_tensor(DataType dtype, const TensorShape& shape, Allocator* allocator) {
  MR_ASSIGN_OR_RETURN(Tensor t, make_tensor(dtype, shape, allocator));
  if (is_pod(dtype) && t.num_elements() > 0) std::memset(t.raw_mutable_data(), 0, t.byte_size());
  return t;
}

absl::StatusOr<Tensor> reshaped(const Tensor& tensor, const TensorShape& shape) {
  if (shape.num_elements() != tensor.num_elements()) {
    return invalid_argument("a tensor of shape ", tensor.shape().to_string(), " cannot take shape ", shape.to_string());
  }
  if (tensor.buffer()) tensor.buffer()->ref();
  return TensorFactory::tensor(tensor.dtype(), shape, tensor.buffer(), const_cast<void*>(tensor.raw_data()));
}

absl::StatusOr<Tensor> bitcast_tensor(const Tensor& tensor, DataType dtype, const TensorShape& shape) {
  MR_ASSIGN_OR_RETURN(const size_t bytes, bytes_of(dtype, shape));
  if (!is_pod(dtype) || !is_pod(tensor.dtype()) || bytes != tensor.byte_size()) {
    return invalid_argument("cannot bitcast ", dtype_name(tensor.dtype()), tensor.shape().to_string(), " to ",
                            dtype_name(dtype), shape.to_string());
  }
  if (tensor.buffer()) tensor.buffer()->ref();
  return TensorFactory::tensor(dtype, shape, tensor.buffer(), const_cast<void*>(tensor.raw_data()));
}

absl::StatusOr<Tensor> slice_rows(const Tensor& tensor, int64_t begin, int64_t end) {
  if (tensor.rank() < 1 || begin < 0 || begin > end || end > tensor.dim(0)) {
    return invalid_argument("rows [", begin, ", ", end, ") of a tensor of shape ", tensor.shape().to_string());
  }
  MR_ASSIGN_OR_RETURN(const TensorShape shape, with_dim(tensor.shape(), 0, end - begin));
  if (shape.num_elements() == 0) return make_tensor(tensor.dtype(), shape);
  const size_t row_bytes = tensor.byte_size() / static_cast<size_t>(tensor.dim(0));
  tensor.buffer()->ref();
  char* data = static_cast<char*>(const_cast<void*>(tensor.raw_data())) + row_bytes * static_cast<size_t>(begin);
  return TensorFactory::tensor(tensor.dtype(), shape, tensor.buffer(), data);
}

absl::StatusOr<Tensor> deep_copy(const Tensor& tensor) {
  if (!tensor.has_value()) return Tensor();
  MR_ASSIGN_OR_RETURN(Tensor copy, make_tensor(tensor.dtype(), tensor.shape()));
  switch (tensor.dtype()) {
    case DataType::kString:
      std::ranges::copy(tensor.unchecked<std::string>(), copy.unchecked_mutable<std::string>().begin());
      break;
    case DataType::kResource:
      std::ranges::copy(tensor.unchecked<ResourceHandle>(), copy.unchecked_mutable<ResourceHandle>().begin());
      break;
    case DataType::kVariant:
      std::ranges::copy(tensor.unchecked<Variant>(), copy.unchecked_mutable<Variant>().begin());
      break;
    default:
      if (tensor.num_elements() > 0) std::memcpy(copy.raw_mutable_data(), tensor.raw_data(), tensor.byte_size());
  }
  return copy;
}

Tensor tensor_over_buffer(DataType dtype, const TensorShape& shape, Buffer* buffer, void* data) {
  buffer->ref();
  return TensorFactory::tensor(dtype, shape, buffer, data);
}

bool bitwise_equal(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || !(a.shape() == b.shape())) return false;
  switch (a.dtype()) {
    case DataType::kString: return std::ranges::equal(a.unchecked<std::string>(), b.unchecked<std::string>());
    case DataType::kResource: return std::ranges::equal(a.unchecked<ResourceHandle>(), b.unchecked<ResourceHandle>());
    case DataType::kVariant: return a.num_elements() == 0;
    default: return a.num_elements() == 0 || std::memcmp(a.raw_data(), b.raw_data(), a.byte_size()) == 0;
  }
}

// The throwing side that users see.

Tensor::Tensor(DataType dtype, const TensorShape& shape) { *this = value_or_raise(make_zeroed_tensor(dtype, shape)); }

template <class T> Tensor::Tensor(const TensorShape& shape, const std::vector<T>& values) {
  if (shape.num_elements() != static_cast<int64_t>(values.size())) {
    raise(invalid_argument("a tensor of shape ", shape.to_string(), " needs ", shape.num_elements(), " values, got ",
                           values.size()));
  }
  *this = value_or_raise(make_tensor(dtype_of<T>, shape));
  std::copy(values.begin(), values.end(), unchecked_mutable<T>().begin());
}

template <class T>
Tensor::Tensor(const std::vector<T>& values) : Tensor(TensorShape({static_cast<int64_t>(values.size())}), values) {}

#define MR_INSTANTIATE(T)                                             \
  template Tensor::Tensor(const TensorShape&, const std::vector<T>&); \
  template Tensor::Tensor(const std::vector<T>&);
MR_INSTANTIATE(float)
MR_INSTANTIATE(double)
MR_INSTANTIATE(int8_t)
MR_INSTANTIATE(int16_t)
MR_INSTANTIATE(int32_t)
MR_INSTANTIATE(int64_t)
MR_INSTANTIATE(uint8_t)
MR_INSTANTIATE(uint16_t)
MR_INSTANTIATE(uint32_t)
MR_INSTANTIATE(uint64_t)
MR_INSTANTIATE(bool)
MR_INSTANTIATE(std::string)
MR_INSTANTIATE(Complex64)
MR_INSTANTIATE(Complex128)
MR_INSTANTIATE(Half)
MR_INSTANTIATE(BFloat16)
MR_INSTANTIATE(Qint8)
MR_INSTANTIATE(Quint8)
MR_INSTANTIATE(Qint16)
MR_INSTANTIATE(Quint16)
MR_INSTANTIATE(Qint32)
MR_INSTANTIATE(ResourceHandle)
MR_INSTANTIATE(Variant)
#undef MR_INSTANTIATE

Tensor::Tensor(float value) { *this = value_or_raise(make_scalar(value)); }
Tensor::Tensor(double value) { *this = value_or_raise(make_scalar(value)); }
Tensor::Tensor(int32_t value) { *this = value_or_raise(make_scalar(value)); }
Tensor::Tensor(int64_t value) { *this = value_or_raise(make_scalar(value)); }
Tensor::Tensor(bool value) { *this = value_or_raise(make_scalar(value)); }
Tensor::Tensor(const char* value) : Tensor(std::string(value)) {}
Tensor::Tensor(std::string value) { *this = value_or_raise(make_scalar(std::move(value))); }

void Tensor::check_dtype(DataType wanted) const {
  if (dtype_ != wanted)
    raise(invalid_argument("tensor holds ", dtype_name(dtype_), ", asked for ", dtype_name(wanted)));
}

void Tensor::check_scalar(DataType wanted) const {
  check_dtype(wanted);
  if (num_elements() != 1) raise(invalid_argument("tensor of shape ", shape_.to_string(), " is not a single value"));
}

namespace {

// The shortest digits that read back as the same number, with ".0" for whole ones, as Python shows floats.
template <class T> std::string shortest(T v) {
  char digits[64];
  const auto end = std::to_chars(digits, digits + sizeof(digits), v).ptr;
  std::string text(digits, end);
  if (text.find_first_not_of("-0123456789") == std::string::npos) text += ".0";
  return text;
}

template <class T> std::string format(const T& v) {
  if constexpr (std::is_same_v<T, bool>) return v ? "True" : "False";
  else if constexpr (std::is_same_v<T, std::string>) return absl::StrCat("\"", absl::CEscape(v), "\"");
  else if constexpr (std::is_floating_point_v<T>) return shortest(v);
  else if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>)
    return absl::StrFormat("%g", static_cast<float>(v));
  else if constexpr (std::is_same_v<T, Complex64> || std::is_same_v<T, Complex128>)
    return absl::StrFormat("(%g%+gj)", v.real(), v.imag());
  else if constexpr (std::is_integral_v<T>)
    return absl::StrCat(static_cast<std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>>(v));
  else if constexpr (std::is_same_v<T, ResourceHandle>) return absl::StrCat("<", v.type_name, " '", v.name, "'>");
  else if constexpr (std::is_same_v<T, Variant>) return "<variant>";
  else return absl::StrCat(static_cast<int64_t>(v.value));
}

// Dimensions are walked iteratively: ranks up to 254 come from users.
template <class T> std::string format_all(const Tensor& t, int64_t max_entries) {
  const auto values = t.unchecked<T>();
  const int rank = t.rank();
  std::string out(static_cast<size_t>(rank), '[');
  const int64_t count = std::min<int64_t>(t.num_elements(), max_entries);
  for (int64_t i = 0; i < count; ++i) {
    if (i > 0) {
      int closed = 0;
      int64_t rest = i;
      for (int axis = rank - 1; axis >= 0 && rest % t.dim(axis) == 0; --axis) {
        rest /= t.dim(axis);
        ++closed;
      }
      out.append(static_cast<size_t>(closed), ']');
      out += closed > 0 ? "\n" : " ";
      out.append(static_cast<size_t>(closed), '[');
    }
    out += format(values[static_cast<size_t>(i)]);
  }
  if (count < t.num_elements()) out += "...";
  return out.append(static_cast<size_t>(rank), ']');
}

}  // namespace

std::string Tensor::to_string(int64_t max_entries) const {
  switch (dtype_) {
#define MR_CASE(T) \
  case dtype_of<T>: return format_all<T>(*this, max_entries);
    MR_CASE(float)
    MR_CASE(double)
    MR_CASE(int8_t)
    MR_CASE(int16_t)
    MR_CASE(int32_t)
    MR_CASE(int64_t)
    MR_CASE(uint8_t)
    MR_CASE(uint16_t)
    MR_CASE(uint32_t)
    MR_CASE(uint64_t)
    MR_CASE(bool)
    MR_CASE(std::string)
    MR_CASE(Complex64)
    MR_CASE(Complex128)
    MR_CASE(Half)
    MR_CASE(BFloat16)
    MR_CASE(Qint8)
    MR_CASE(Quint8)
    MR_CASE(Qint16)
    MR_CASE(Quint16)
    MR_CASE(Qint32)
    MR_CASE(ResourceHandle)
    MR_CASE(Variant)
#undef MR_CASE
    default: return "<no value>";
  }
}

}  // namespace millrace
