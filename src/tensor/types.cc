#include "millrace/types.h"

#include <array>

#include "tensor/handle.h"

namespace millrace {
namespace {

struct TypeInfo {
  std::string_view name;
  size_t size;
};

constexpr std::array<TypeInfo, 24> kTypes = {{
    {"invalid", 0},
    {"float", 4},
    {"double", 8},
    {"int32", 4},
    {"uint8", 1},
    {"int16", 2},
    {"int8", 1},
    {"string", sizeof(std::string)},
    {"complex64", 8},
    {"int64", 8},
    {"bool", 1},
    {"qint8", 1},
    {"quint8", 1},
    {"qint32", 4},
    {"bfloat16", 2},
    {"qint16", 2},
    {"quint16", 2},
    {"uint16", 2},
    {"complex128", 16},
    {"half", 2},
    {"resource", sizeof(ResourceHandle)},
    {"variant", sizeof(Variant)},
    {"uint32", 4},
    {"uint64", 8},
}};

uint32_t float_bits(float f) { return std::bit_cast<uint32_t>(f); }

}  // namespace

Half::Half(float value) {
  const uint32_t u = float_bits(value);
  const uint32_t sign = (u >> 16) & 0x8000;
  const uint32_t magnitude = u & 0x7fffffff;
  if (magnitude > 0x7f800000) {  // NaN keeps its upper payload bits
    bits = uint16_t(sign | 0x7e00 | ((magnitude >> 13) & 0x3ff));
  } else if (magnitude >= 0x477ff000) {  // rounds to 65536 or more
    bits = uint16_t(sign | 0x7c00);
  } else if (magnitude < 0x38800000) {  // subnormal or zero: let the float adder round
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    bits = uint16_t(sign | (float_bits(shifted) - float_bits(0.5f)));
  } else {
    const uint32_t rounded = magnitude + 0xfff + ((magnitude >> 13) & 1) - 0x38000000;
    bits = uint16_t(sign | (rounded >> 13));
  }
}

Half::operator float() const {
  const uint32_t sign = uint32_t(bits & 0x8000) << 16;
  const uint32_t exponent = (bits >> 10) & 0x1f;
  const uint32_t mantissa = bits & 0x3ff;
  if (exponent == 0x1f) return std::bit_cast<float>(sign | 0x7f800000 | (mantissa << 13));
  if (exponent != 0) return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
  const float subnormal = static_cast<float>(mantissa) * 0x1p-24f;
  return std::bit_cast<float>(sign | float_bits(subnormal));
}

std::string dtype_name(DataType dtype) {
  const int number = static_cast<int>(base_dtype(dtype));
  if (number < 0 || number >= static_cast<int>(kTypes.size()))
    return "dtype(" + std::to_string(static_cast<int>(dtype)) + ")";
  return std::string(kTypes[number].name) + (is_ref(dtype) ? "_ref" : "");
}

DataType dtype_from_name(std::string_view name) {
  constexpr std::string_view kRef = "_ref";
  if (name.ends_with(kRef)) {
    const DataType base = dtype_from_name(name.substr(0, name.size() - kRef.size()));
    return base == DataType::kInvalid ? base : ref_dtype(base);
  }
  if (name == "float32") return DataType::kFloat;
  if (name == "float64") return DataType::kDouble;
  if (name == "float16") return DataType::kHalf;
  for (size_t i = 1; i < kTypes.size(); ++i) {
    if (kTypes[i].name == name) return static_cast<DataType>(i);
  }
  return DataType::kInvalid;
}

size_t dtype_size(DataType dtype) {
  const int number = static_cast<int>(base_dtype(dtype));
  return number < 0 || number >= static_cast<int>(kTypes.size()) ? 0 : kTypes[number].size;
}

bool is_pod(DataType dtype) {
  return is_valid_dtype(dtype) && dtype != DataType::kString && dtype != DataType::kResource &&
         dtype != DataType::kVariant;
}

bool is_floating(DataType dtype) {
  return dtype == DataType::kFloat || dtype == DataType::kDouble || dtype == DataType::kHalf ||
         dtype == DataType::kBfloat16;
}

bool is_integer(DataType dtype) {
  switch (dtype) {
    case DataType::kInt8:
    case DataType::kInt16:
    case DataType::kInt32:
    case DataType::kInt64:
    case DataType::kUint8:
    case DataType::kUint16:
    case DataType::kUint32:
    case DataType::kUint64: return true;
    default: return false;
  }
}

bool is_complex(DataType dtype) { return dtype == DataType::kComplex64 || dtype == DataType::kComplex128; }

bool is_quantized(DataType dtype) {
  return dtype == DataType::kQint8 || dtype == DataType::kQuint8 || dtype == DataType::kQint16 ||
         dtype == DataType::kQuint16 || dtype == DataType::kQint32;
}

bool is_valid_dtype(DataType dtype) {
  const int number = static_cast<int>(dtype);
  return number > 0 && number < static_cast<int>(kTypes.size());
}

}  // namespace millrace
