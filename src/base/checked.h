#pragma once
// Integer arithmetic that notices overflow, for sizes that come from files, feeds and graphs.
//
//   CheckedInt bytes = CheckedInt(rows) * columns * sizeof(float) + header;
//   if (!bytes.valid()) return invalid_argument("...");

#include <concepts>
#include <cstdint>
#include <optional>

namespace millrace {

template <std::integral T> [[nodiscard]] constexpr std::optional<T> checked_add(T a, T b) {
  T result;
  if (__builtin_add_overflow(a, b, &result)) return std::nullopt;
  return result;
}

template <std::integral T> [[nodiscard]] constexpr std::optional<T> checked_sub(T a, T b) {
  T result;
  if (__builtin_sub_overflow(a, b, &result)) return std::nullopt;
  return result;
}

template <std::integral T> [[nodiscard]] constexpr std::optional<T> checked_mul(T a, T b) {
  T result;
  if (__builtin_mul_overflow(a, b, &result)) return std::nullopt;
  return result;
}

// A 64-bit integer that remembers whether any step of the computation overflowed.
class CheckedInt {
 public:
  template <std::integral T> constexpr CheckedInt(T value) {  // NOLINT: any integer is one
    valid_ = !__builtin_add_overflow(value, T{0}, &value_);
  }

  [[nodiscard]] constexpr bool valid() const { return valid_; }
  // Meaningful only where valid().
  [[nodiscard]] constexpr int64_t value() const { return value_; }
  [[nodiscard]] constexpr int64_t value_or(int64_t other) const { return valid_ ? value_ : other; }
  [[nodiscard]] constexpr bool valid_and_at_most(int64_t limit) const { return valid_ && value_ <= limit; }

  constexpr CheckedInt& operator+=(CheckedInt b) {
    valid_ &= !__builtin_add_overflow(value_, b.value_, &value_) & b.valid_;
    return *this;
  }
  constexpr CheckedInt& operator-=(CheckedInt b) {
    valid_ &= !__builtin_sub_overflow(value_, b.value_, &value_) & b.valid_;
    return *this;
  }
  constexpr CheckedInt& operator*=(CheckedInt b) {
    valid_ &= !__builtin_mul_overflow(value_, b.value_, &value_) & b.valid_;
    return *this;
  }
  friend constexpr CheckedInt operator+(CheckedInt a, CheckedInt b) { return a += b; }
  friend constexpr CheckedInt operator-(CheckedInt a, CheckedInt b) { return a -= b; }
  friend constexpr CheckedInt operator*(CheckedInt a, CheckedInt b) { return a *= b; }

 private:
  int64_t value_ = 0;
  bool valid_ = true;
};

}  // namespace millrace
