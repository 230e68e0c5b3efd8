#include "tests/safety/values.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/strings.h"

namespace millrace {
namespace {

constexpr int64_t kMostElements = 4096;
constexpr DataType kTypes[] = {float32, float64, float16, bfloat16, int32,  int64,     int8,       int16,
                               uint8,   uint16,  uint32,  uint64,   bool_,  complex64, complex128, string,
                               qint8,   quint8,  qint16,  quint16,  qint32, resource,  variant};

double special_float(Chance& chance) {
  constexpr double inf = std::numeric_limits<double>::infinity();
  return chance.pick({0.0, -0.0, 1.0, -1.0, inf, -inf, std::nan(""), 1e300, -1e300, 1e-310, 3e38, 6.5e4, 0.5,
                      2147483648.0, -2147483649.0, 9.3e18, -9.3e18, 1.8e19});
}

// Defined whatever the value: what does not fit wraps or becomes zero.
template <class T> T from_float(double v) {
  if constexpr (std::is_integral_v<T>) {
    return std::isfinite(v) && std::abs(v) < 9e18 ? static_cast<T>(static_cast<int64_t>(v)) : T(0);
  } else if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
    return T(static_cast<float>(std::clamp(v, -1e38, 1e38)));
  } else {
    return static_cast<T>(v);
  }
}

template <class T> T random_element(Chance& chance, bool plain) {
  if constexpr (std::is_same_v<T, std::string>) {
    return random_string(chance);
  } else if constexpr (std::is_same_v<T, bool>) {
    return chance.percent(50);
  } else if constexpr (std::is_same_v<T, Complex64> || std::is_same_v<T, Complex128>) {
    using Part = typename T::value_type;
    return {random_element<Part>(chance, plain), random_element<Part>(chance, plain)};
  } else if constexpr (std::is_same_v<T, ResourceHandle>) {
    ResourceHandle handle;
    handle.container = chance.pick<const char*>({"", "localhost", "elsewhere"});
    handle.name = chance.pick<const char*>({"", "resource", "none", "_AnonymousVar0"});
    handle.type_name = chance.pick<const char*>({"", "Variable", "Iterator"});
    handle.hash_code = chance.bits();
    return handle;
  } else if constexpr (std::is_same_v<T, Variant>) {
    return chance.percent(50) ? Variant() : Variant::make<Tensor>(random_tensor(chance, float32, {2}, true));
  } else if constexpr (std::is_integral_v<T>) {
    if (plain || chance.percent(85)) return static_cast<T>(chance.between(chance.percent(80) ? 0 : -3, 4));
    return static_cast<T>(special_integer(chance));
  } else if constexpr (requires(T t) { t.value; }) {  // quantized
    return T{static_cast<decltype(T{}.value)>(chance.bits())};
  } else {
    const bool special = !plain && chance.percent(10);
    return from_float<T>(special ? special_float(chance) : static_cast<double>(chance.between(-3000, 3000)) / 1000);
  }
}

// Calls f<T>() with the C++ type of a dtype.
template <class F> void with_type(DataType dtype, F&& f) {
  switch (dtype) {
#define MR_CASE(T) \
  case dtype_of<T>: return f.template operator()<T>();
    MR_CASE(float)
    MR_CASE(double)
    MR_CASE(Half)
    MR_CASE(BFloat16)
    MR_CASE(int32_t)
    MR_CASE(int64_t)
    MR_CASE(int8_t)
    MR_CASE(int16_t)
    MR_CASE(uint8_t)
    MR_CASE(uint16_t)
    MR_CASE(uint32_t)
    MR_CASE(uint64_t)
    MR_CASE(bool)
    MR_CASE(Complex64)
    MR_CASE(Complex128)
    MR_CASE(std::string)
    MR_CASE(Qint8)
    MR_CASE(Quint8)
    MR_CASE(Qint16)
    MR_CASE(Quint16)
    MR_CASE(Qint32)
    MR_CASE(ResourceHandle)
    MR_CASE(Variant)
#undef MR_CASE
    default: return;
  }
}

Tensor tensor_of(DataType dtype, const std::vector<int64_t>& dims) {
  const auto shape = make_shape(dims);
  if (!shape.ok()) return Tensor(dtype, TensorShape());
  auto tensor = make_zeroed_tensor(dtype, *shape);
  return tensor.ok() ? *std::move(tensor) : Tensor(dtype, TensorShape());
}

int64_t product(const std::vector<int64_t>& dims) {
  int64_t n = 1;
  for (const int64_t d : dims) n *= d;
  return n;
}

// No elements, but dimensions that a loop should not walk.
std::vector<int64_t> vast_nothing(Chance& chance) {
  std::vector<int64_t> dims = {0,
                               chance.pick({int64_t{1} << 40, int64_t{1} << 31, int64_t{1} << 62, int64_t{3} << 33})};
  if (chance.percent(50)) std::swap(dims[0], dims[1]);
  if (chance.percent(30)) dims.push_back(1);
  return dims;
}

int64_t random_int_attr(Chance& chance, const AttrDef& def) {
  const int64_t minimum = def.minimum.value_or(0);
  if (chance.percent(70)) return minimum + chance.between(0, 4);
  if (chance.percent(50)) return chance.pick({int64_t{-1}, int64_t{0}, int64_t{1}, minimum - 1, int64_t{7}});
  return special_integer(chance);
}

template <class T, class F> std::vector<T> list_of(int64_t n, F&& make) {
  std::vector<T> values;
  for (int64_t i = 0; i < n; ++i) values.push_back(make());
  return values;
}

// Windows and strides of images are [1, y, x, 1] or its like.
std::vector<int64_t> random_int_list(Chance& chance, const AttrDef& def) {
  if (chance.percent(40)) {
    std::vector<int64_t> window = {1, chance.between(1, 3), chance.between(1, 3), 1};
    if (chance.percent(20)) window = {1, 1, chance.between(1, 3), chance.between(1, 3)};
    if (chance.percent(15)) window[static_cast<size_t>(chance.below(4))] = special_integer(chance);
    return window;
  }
  const int64_t length =
      chance.percent(80) ? std::max<int64_t>(def.minimum.value_or(0), chance.between(0, 4)) : chance.between(0, 9);
  const bool plain = chance.percent(80);
  return list_of<int64_t>(length, [&] { return plain ? chance.between(-1, 3) : special_integer(chance); });
}

}  // namespace

Sizes::Sizes(Chance& chance) : common(random_dimension(chance)) {
  const int64_t rank = chance.pick<int64_t>({0, 1, 1, 2, 2, 2, 3, 3, 4, 4, 4, 5});
  for (int64_t i = 0; i < rank; ++i) base.push_back(random_dimension(chance));
  while (product(base) > kMostElements) base.pop_back();
  if (chance.percent(2)) base = {70000};  // wide enough to be shared among threads
  if (chance.percent(1)) base = {260, 270};
  if (chance.percent(2)) base = vast_nothing(chance);
  if (!base.empty() && chance.percent(70)) common = chance.percent(50) ? base.back() : base.front();
}

DataType random_dtype(Chance& chance) { return chance.pick(std::span<const DataType>(kTypes)); }

int64_t random_dimension(Chance& chance) { return chance.pick<int64_t>({0, 1, 1, 2, 2, 3, 3, 4, 5, 6, 8, 17}); }

std::vector<int64_t> random_dims(Chance& chance) {
  if (chance.percent(2)) return vast_nothing(chance);
  const int64_t rank = chance.percent(95) ? chance.between(0, 5) : chance.between(6, 9);
  std::vector<int64_t> dims;
  for (int64_t i = 0; i < rank; ++i) dims.push_back(rank > 5 ? chance.between(0, 2) : random_dimension(chance));
  while (product(dims) > kMostElements) dims.pop_back();
  return dims;
}

int64_t special_integer(Chance& chance) {
  constexpr int64_t int_max = std::numeric_limits<int32_t>::max(), long_max = std::numeric_limits<int64_t>::max();
  return chance.pick<int64_t>({-1,
                               0,
                               1,
                               -2,
                               int_max,
                               -int_max - 1,
                               int_max + 1,
                               -int_max - 2,
                               2 * int_max + 2,
                               long_max,
                               -long_max - 1,
                               long_max - 1,
                               int64_t{1} << 62,
                               (int64_t{1} << 62) - 1,
                               int64_t{1} << 40,
                               int64_t{1} << 20,
                               254,
                               255,
                               256,
                               65536,
                               1000,
                               -1000});
}

std::string random_string(Chance& chance) {
  using namespace std::string_literals;
  static const std::vector<std::string> texts = {""s,
                                                 "a"s,
                                                 "abc"s,
                                                 "1"s,
                                                 "-2.5"s,
                                                 "1e400"s,
                                                 "nan"s,
                                                 "0x1f"s,
                                                 "a,b,\"c\""s,
                                                 "1,2,3"s,
                                                 "\xff\x80"s,
                                                 "a\0b"s,
                                                 "\n\r\n"s,
                                                 "(a|b)*"s,
                                                 "["s,
                                                 "\\1\\2"s,
                                                 "%s %d {}"s,
                                                 "{}"s,
                                                 "AAAA"s,
                                                 "AA=="s,
                                                 "lorem ipsum dolor"s,
                                                 "file.tmp"s,
                                                 "no/such/file"s,
                                                 "*"s,
                                                 "\x0a\x05\x0a\x03\x0a\x01x"s,
                                                 "NHWC"s,
                                                 "NCHW"s,
                                                 "SAME"s,
                                                 "mean"s,
                                                 "UTF-8"s,
                                                 "\xe2\x82\xac"s,
                                                 "9223372036854775808"s};
  if (chance.percent(90)) return chance.pick(texts);
  if (chance.percent(30)) return std::string(static_cast<size_t>(chance.between(100, 20000)), 'x');
  std::string text;
  for (int64_t n = chance.below(40); n > 0; --n) {
    const char c = static_cast<char>(chance.bits());
    text += c == '/' || c == '.' ? '_' : c;  // it may become a file's name: never one outside the folder
  }
  return text;
}

PartialTensorShape random_partial_shape(Chance& chance, const Sizes& sizes) {
  if (chance.percent(20)) return {};
  std::vector<int64_t> dims = chance.percent(70) ? sizes.base : random_dims(chance);
  for (int64_t& d : dims) {
    if (chance.percent(15)) d = -1;
    if (chance.percent(2)) d = std::abs(special_integer(chance) / 2);
  }
  const auto shape = make_partial_shape(dims);
  return shape.ok() ? *shape : PartialTensorShape();
}

Tensor random_tensor(Chance& chance, DataType dtype, const std::vector<int64_t>& dims, bool plain) {
  Tensor tensor = tensor_of(dtype, dims);
  with_type(dtype, [&]<class T>() {
    for (T& element : tensor.unchecked_mutable<T>()) element = random_element<T>(chance, plain);
  });
  return tensor;
}

Tensor mutated_tensor(Chance& chance, const Tensor& tensor) {
  std::vector<int64_t> dims(tensor.shape().dims().begin(), tensor.shape().dims().end());
  if (chance.percent(50)) {
    const int64_t at = chance.below(static_cast<int64_t>(dims.size()));
    switch (chance.below(5)) {
      case 0: dims.insert(dims.begin() + at, chance.pick<int64_t>({0, 1, 1, 2})); break;
      case 1:
        if (!dims.empty()) dims.erase(dims.begin() + at);
        break;
      case 2:
        if (!dims.empty()) dims[static_cast<size_t>(at)] = random_dimension(chance);
        break;
      case 3:
        if (!dims.empty()) dims[static_cast<size_t>(at)] = 0;
        break;
      default: dims = random_dims(chance); break;
    }
  }
  if (product(dims) > 1 << 20) dims = {2};
  Tensor out = tensor_of(tensor.dtype(), dims);
  const bool changes_values = chance.percent(70);
  with_type(tensor.dtype(), [&]<class T>() {
    const auto from = tensor.unchecked<T>();
    const auto to = out.unchecked_mutable<T>();
    for (size_t i = 0; i < to.size(); ++i)
      to[i] = from.empty() ? random_element<T>(chance, true) : from[i % from.size()];
    if (!changes_values || to.empty()) return;
    for (int64_t n = chance.between(1, 3); n > 0; --n) {
      T& element = to[static_cast<size_t>(chance.below(static_cast<int64_t>(to.size())))];
      if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
        const auto near = static_cast<uint64_t>(element) + static_cast<uint64_t>(chance.between(-2, 2));  // may wrap
        element = chance.percent(40) ? static_cast<T>(near) : static_cast<T>(special_integer(chance));
      } else {
        element = random_element<T>(chance, false);
      }
    }
  });
  return out;
}

AttrValue random_attr(Chance& chance, const AttrDef& def, const Sizes& sizes) {
  if (def.default_value && chance.percent(45)) return *def.default_value;
  const auto number = [&] { return static_cast<float>(chance.percent(70) ? 0.5 : special_float(chance)); };
  const auto text = [&] {
    return !def.allowed_strings.empty() && chance.percent(95) ? chance.pick(def.allowed_strings)
                                                              : random_string(chance);
  };
  const auto type = [&] {
    return !def.allowed_types.empty() && chance.percent(95) ? chance.pick(def.allowed_types) : random_dtype(chance);
  };
  const auto tensor = [&] { return random_tensor(chance, random_dtype(chance), random_dims(chance), false); };
  const auto function = [&] {
    return FunctionRef(chance.pick<const char*>({"fn_int", "fn_int", "fn_pred", "fn_dataset", "fn_fails", "fn_float",
                                                 "fn_calls_itself", "fn_nothing", "fn_absent"}));
  };
  const int64_t length =
      chance.percent(85) ? std::max<int64_t>(def.minimum.value_or(0), chance.between(0, 2)) : chance.between(0, 6);
  if (def.type == "int") return random_int_attr(chance, def);
  if (def.type == "float") return number();
  if (def.type == "bool") return chance.percent(50);
  if (def.type == "string") return text();
  if (def.type == "type") return type();
  if (def.type == "shape") return random_partial_shape(chance, sizes);
  if (def.type == "tensor") return tensor();
  if (def.type == "func") return function();
  if (def.type == "list(int)") return random_int_list(chance, def);
  if (def.type == "list(float)") return list_of<float>(length, number);
  if (def.type == "list(bool)") return list_of<bool>(length, [&] { return chance.percent(50); });
  if (def.type == "list(string)") return list_of<std::string>(length, text);
  if (def.type == "list(type)") return list_of<DataType>(length, type);
  if (def.type == "list(shape)")
    return list_of<PartialTensorShape>(length, [&] { return random_partial_shape(chance, sizes); });
  if (def.type == "list(tensor)") return list_of<Tensor>(length, tensor);
  if (def.type == "list(func)") return list_of<FunctionRef>(length, function);
  return {};
}

}  // namespace millrace
