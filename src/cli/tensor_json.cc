#include "cli/tensor_json.h"

#include <charconv>
#include <cmath>

#include "nlohmann/json.hpp"

namespace millrace {

std::string number_json(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  char text[32];
  const auto end = std::to_chars(text, text + sizeof(text), value);
  std::string out(text, end.ptr);
  if (out.find_first_of(".e") == std::string::npos) out += ".0";  // still a float to those who tell the two apart
  return out;
}

std::string string_json(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

namespace {

template <class T> std::string element_json(const T& value) {
  if constexpr (std::is_same_v<T, std::string>) {
    return string_json(value);
  } else if constexpr (std::is_same_v<T, bool>) {
    return value ? "true" : "false";
  } else if constexpr (std::is_integral_v<T>) {
    return std::to_string(value);
  } else if constexpr (std::is_same_v<T, Complex64> || std::is_same_v<T, Complex128>) {
    return "[" + number_json(value.real()) + ", " + number_json(value.imag()) + "]";
  } else if constexpr (requires { value.value; }) {
    return std::to_string(value.value);
  } else {
    return number_json(static_cast<double>(static_cast<std::conditional_t<sizeof(T) == 8, double, float>>(value)));
  }
}

// Lists down to the first dimension of size 0, as many as the dimensions before it say.
std::string empty_json(const Tensor& tensor) {
  std::string out = "[]";
  int zero = 0;
  while (tensor.dim(zero) != 0) ++zero;
  for (int d = zero - 1; d >= 0; --d) {
    constexpr int64_t kMostLists = 100000;  // a shape may claim any number of empty lists
    const std::string inner = out;
    out = "[" + inner;
    for (int64_t i = 1; i < tensor.dim(d) && static_cast<int64_t>(out.size()) < kMostLists; ++i) out += ", " + inner;
    out += "]";
  }
  return out;
}

// Iterative, so that 254 dimensions cost no stack: brackets open and close where a dimension begins and ends.
template <class T> std::string nested_json(const Tensor& tensor) {
  const auto values = tensor.unchecked<T>();
  const int rank = tensor.rank();
  std::string out;
  if (values.empty()) return empty_json(tensor);
  for (size_t i = 0; i < values.size(); ++i) {
    int begins = 0, ends = 0;
    size_t block = 1;
    for (int d = rank - 1; d >= 0; --d) {
      block *= static_cast<size_t>(tensor.dim(d));
      begins += i % block == 0;
      ends += (i + 1) % block == 0;
    }
    if (i > 0) out += ", ";
    out.append(static_cast<size_t>(begins), '[');
    out += element_json(values[i]);
    out.append(static_cast<size_t>(ends), ']');
  }
  return out;
}

}  // namespace

std::string tensor_json(const Tensor& tensor) {
  switch (tensor.dtype()) {
#define MR_CASE(T) \
  case dtype_of<T>: return nested_json<T>(tensor);
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
#undef MR_CASE
    default: return string_json("<" + dtype_name(tensor.dtype()) + ">");
  }
}

}  // namespace millrace
