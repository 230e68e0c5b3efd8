#pragma once
// Arithmetic on elements of every number type: half types by way of float, integers wrapping instead of overflowing.

#include <algorithm>
#include <complex>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "millrace/types.h"

namespace millrace {

template <class T> inline constexpr bool is_half = std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>;

namespace number_internal {
template <class T, class Fn> T apply(const T& a, const T& b, Fn&& fn) {
  if constexpr (is_half<T>) {
    return T(fn(static_cast<float>(a), static_cast<float>(b)));
  } else if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
    return static_cast<T>(
        fn(static_cast<uint64_t>(a), static_cast<uint64_t>(b)));  // exact modulo 2^64, hence modulo 2^bits
  } else {
    return fn(a, b);
  }
}
}  // namespace number_internal

struct Add {
  template <class T> static T apply(const T& a, const T& b) {
    return number_internal::apply(a, b, [](const auto& x, const auto& y) { return x + y; });
  }
};
struct Subtract {
  template <class T> static T apply(const T& a, const T& b) {
    return number_internal::apply(a, b, [](const auto& x, const auto& y) { return x - y; });
  }
};
struct Multiply {
  template <class T> static T apply(const T& a, const T& b) {
    return number_internal::apply(a, b, [](const auto& x, const auto& y) { return x * y; });
  }
};
template <class T> bool number_less(const T& a, const T& b) {
  if constexpr (is_half<T>) return static_cast<float>(a) < static_cast<float>(b);
  else return a < b;
}
struct Minimum {
  template <class T> static T apply(const T& a, const T& b) { return number_less(b, a) ? b : a; }
};
struct Maximum {
  template <class T> static T apply(const T& a, const T& b) { return number_less(a, b) ? b : a; }
};

template <class T> T number(int value) {
  if constexpr (is_half<T>) return T(static_cast<float>(value));
  else return T(value);
}
// The value that no other is above, or below.
template <class T> T lowest_number() {
  if constexpr (std::is_same_v<T, Half>) return Half::from_bits(0xfbff);
  else if constexpr (std::is_same_v<T, BFloat16>) return BFloat16::from_bits(0xff7f);
  else return std::numeric_limits<T>::lowest();
}
template <class T> T highest_number() {
  if constexpr (std::is_same_v<T, Half>) return Half::from_bits(0x7bff);
  else if constexpr (std::is_same_v<T, BFloat16>) return BFloat16::from_bits(0x7f7f);
  else return std::numeric_limits<T>::max();
}

}  // namespace millrace
