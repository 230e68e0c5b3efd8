#pragma once
// Element types of tensors: TensorFlow's DataType numbers, the C++ type behind each, and the traits that join them.

#include <bit>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace millrace {

class ResourceHandle;  // tensor/handle.h: names a resource of a session; never a pointer that a feed could forge
class Variant;         // tensor/handle.h: a typed value that only ops look into

#pragma GCC visibility push(default)

// The numbers are TensorFlow's (types.proto); a reference type is its value type + 100.
enum class DataType : int32_t {
  kInvalid = 0,
  kFloat = 1,
  kDouble = 2,
  kInt32 = 3,
  kUint8 = 4,
  kInt16 = 5,
  kInt8 = 6,
  kString = 7,
  kComplex64 = 8,
  kInt64 = 9,
  kBool = 10,
  kQint8 = 11,
  kQuint8 = 12,
  kQint32 = 13,
  kBfloat16 = 14,
  kQint16 = 15,
  kQuint16 = 16,
  kUint16 = 17,
  kComplex128 = 18,
  kHalf = 19,
  kResource = 20,
  kVariant = 21,
  kUint32 = 22,
  kUint64 = 23,
};

// TF1's names.
inline constexpr DataType float16 = DataType::kHalf;
inline constexpr DataType float32 = DataType::kFloat;
inline constexpr DataType float64 = DataType::kDouble;
inline constexpr DataType bfloat16 = DataType::kBfloat16;
inline constexpr DataType int8 = DataType::kInt8;
inline constexpr DataType int16 = DataType::kInt16;
inline constexpr DataType int32 = DataType::kInt32;
inline constexpr DataType int64 = DataType::kInt64;
inline constexpr DataType uint8 = DataType::kUint8;
inline constexpr DataType uint16 = DataType::kUint16;
inline constexpr DataType uint32 = DataType::kUint32;
inline constexpr DataType uint64 = DataType::kUint64;
inline constexpr DataType bool_ = DataType::kBool;
inline constexpr DataType string = DataType::kString;
inline constexpr DataType complex64 = DataType::kComplex64;
inline constexpr DataType complex128 = DataType::kComplex128;
inline constexpr DataType qint8 = DataType::kQint8;
inline constexpr DataType quint8 = DataType::kQuint8;
inline constexpr DataType qint16 = DataType::kQint16;
inline constexpr DataType quint16 = DataType::kQuint16;
inline constexpr DataType qint32 = DataType::kQint32;
inline constexpr DataType resource = DataType::kResource;
inline constexpr DataType variant = DataType::kVariant;

// IEEE binary16, storage with conversions (round to nearest even); arithmetic is done in float.
struct Half {
  uint16_t bits = 0;
  Half() = default;
  explicit Half(float value);
  explicit operator float() const;
  static Half from_bits(uint16_t b) {
    Half h;
    h.bits = b;
    return h;
  }
};

// The upper half of an IEEE binary32, storage with conversions (round to nearest even).
struct BFloat16 {
  uint16_t bits = 0;
  BFloat16() = default;
  explicit BFloat16(float value) {
    const auto u = std::bit_cast<uint32_t>(value);
    bits = value != value ? uint16_t((u >> 16) | 0x40) : uint16_t((u + 0x7fff + ((u >> 16) & 1)) >> 16);
  }
  explicit operator float() const { return std::bit_cast<float>(uint32_t(bits) << 16); }
  static BFloat16 from_bits(uint16_t b) {
    BFloat16 h;
    h.bits = b;
    return h;
  }
};

// Quantized types are storage: distinct types so that a kernel cannot mistake them for plain integers.
struct Qint8 {
  int8_t value = 0;
};
struct Quint8 {
  uint8_t value = 0;
};
struct Qint16 {
  int16_t value = 0;
};
struct Quint16 {
  uint16_t value = 0;
};
struct Qint32 {
  int32_t value = 0;
};

using Complex64 = std::complex<float>;
using Complex128 = std::complex<double>;

// "float", "int32", "string", ..., with "_ref" for reference types: TensorFlow's names.
std::string dtype_name(DataType dtype);
// The inverse; kInvalid for an unknown name.
DataType dtype_from_name(std::string_view name);

constexpr bool is_ref(DataType dtype) { return static_cast<int>(dtype) > 100; }
constexpr DataType base_dtype(DataType dtype) { return is_ref(dtype) ? DataType(int(dtype) - 100) : dtype; }
constexpr DataType ref_dtype(DataType dtype) { return is_ref(dtype) ? dtype : DataType(int(dtype) + 100); }

// Bytes of one element in memory; 0 for kInvalid and unknown numbers.
size_t dtype_size(DataType dtype);
// True for types whose bytes may be copied: not string, resource or variant.
bool is_pod(DataType dtype);
bool is_floating(DataType dtype);  // half, bfloat16, float, double
bool is_integer(DataType dtype);   // signed and unsigned, not quantized, not bool
bool is_complex(DataType dtype);
bool is_quantized(DataType dtype);
// True for a (non-reference) number of the enum other than kInvalid.
bool is_valid_dtype(DataType dtype);

template <class T> struct DataTypeOf;
#define MR_DATA_TYPE(type, number) \
  template <> struct DataTypeOf<type> { static constexpr DataType value = DataType::number; };
MR_DATA_TYPE(float, kFloat)
MR_DATA_TYPE(double, kDouble)
MR_DATA_TYPE(int32_t, kInt32)
MR_DATA_TYPE(uint8_t, kUint8)
MR_DATA_TYPE(int16_t, kInt16)
MR_DATA_TYPE(int8_t, kInt8)
MR_DATA_TYPE(std::string, kString)
MR_DATA_TYPE(Complex64, kComplex64)
MR_DATA_TYPE(int64_t, kInt64)
MR_DATA_TYPE(bool, kBool)
MR_DATA_TYPE(Qint8, kQint8)
MR_DATA_TYPE(Quint8, kQuint8)
MR_DATA_TYPE(Qint32, kQint32)
MR_DATA_TYPE(BFloat16, kBfloat16)
MR_DATA_TYPE(Qint16, kQint16)
MR_DATA_TYPE(Quint16, kQuint16)
MR_DATA_TYPE(uint16_t, kUint16)
MR_DATA_TYPE(Complex128, kComplex128)
MR_DATA_TYPE(Half, kHalf)
MR_DATA_TYPE(ResourceHandle, kResource)
MR_DATA_TYPE(Variant, kVariant)
MR_DATA_TYPE(uint32_t, kUint32)
MR_DATA_TYPE(uint64_t, kUint64)
#undef MR_DATA_TYPE
template <class T> inline constexpr DataType dtype_of = DataTypeOf<T>::value;

#pragma GCC visibility pop

}  // namespace millrace
