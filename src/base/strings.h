#pragma once
// Text from pieces. Debian's abseil is built for C++14, so its string_view is not std::string_view; these join the two
// worlds.

#include <concepts>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace millrace {

inline absl::string_view to_absl(std::string_view s) { return {s.data(), s.size()}; }
inline std::string_view to_std(absl::string_view s) { return {s.data(), s.size()}; }

namespace strings_internal {
template <class T>
concept Describes = requires(const T& v) {
  { v.to_string() } -> std::convertible_to<std::string>;
};
template <class T>
concept DescribedByFunction = requires(const T& v) {
  { to_string(v) } -> std::convertible_to<std::string>;
};
template <class T> decltype(auto) piece(const T& v) {
  if constexpr (std::is_same_v<T, std::string_view>) return to_absl(v);
  else if constexpr (Describes<T>) return v.to_string();
  else if constexpr (DescribedByFunction<T>) return to_string(v);
  else return (v);
}
}  // namespace strings_internal

// absl::StrCat that also takes std::string_view and anything with a to_string, such as shapes.
template <class... Args> std::string str_cat(const Args&... args) {
  return absl::StrCat(strings_internal::piece(args)...);
}
template <class... Args> void str_append(std::string* out, const Args&... args) {
  absl::StrAppend(out, strings_internal::piece(args)...);
}

}  // namespace millrace
