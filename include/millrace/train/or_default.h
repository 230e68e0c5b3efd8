#pragma once
// An argument that tells TF1's USE_DEFAULT from None: nothing said, std::nullopt, or a value.

#include <optional>
#include <utility>

namespace millrace::train {

#pragma GCC visibility push(default)

template <class T> class OrDefault {
 public:
  OrDefault() = default;
  OrDefault(std::nullopt_t) : is_default_(false) {}                     // NOLINT: arguments convert
  OrDefault(T value) : is_default_(false), value_(std::move(value)) {}  // NOLINT
  bool is_default() const { return is_default_; }
  const std::optional<T>& value() const { return value_; }  // absent by default, too

 private:
  bool is_default_ = true;
  std::optional<T> value_;
};

#pragma GCC visibility pop

}  // namespace millrace::train
