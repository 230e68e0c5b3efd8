#pragma once
// Philox 4x32-10, the counter-based generator behind every random op (Salmon et al., "Parallel random numbers: as easy
// as 1, 2, 3", SC 2011), and the distributions over it. Streams equal TensorFlow's: uniform and integer ones bit by
// bit.

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <numbers>

#include "millrace/types.h"

namespace millrace {

class Philox {
 public:
  using Result = std::array<uint32_t, 4>;
  using Key = std::array<uint32_t, 2>;

  Philox() = default;
  Philox(const Result& counter, const Key& key) : counter_(counter), key_(key) {}
  // The generator of a stateful op with these two seeds.
  Philox(uint64_t seed, uint64_t seed2)
      : counter_{0, 0, static_cast<uint32_t>(seed2), static_cast<uint32_t>(seed2 >> 32)},
        key_{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)} {}

  const Result& counter() const { return counter_; }
  const Key& key() const { return key_; }

  // Moves on by `count` results of four numbers each.
  void skip(uint64_t count) {
    const uint64_t low = (uint64_t{counter_[0]} | (uint64_t{counter_[1]} << 32)) + count;
    counter_[0] = static_cast<uint32_t>(low);
    counter_[1] = static_cast<uint32_t>(low >> 32);
    if (low < count && ++counter_[2] == 0) ++counter_[3];
  }

  Result operator()() {
    Result c = counter_;
    Key k = key_;
    for (int round = 0; round < 10; ++round) {
      const uint64_t p0 = uint64_t{0xD2511F53} * c[0];
      const uint64_t p1 = uint64_t{0xCD9E8D57} * c[2];
      c = {static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ k[0], static_cast<uint32_t>(p1),
           static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ k[1], static_cast<uint32_t>(p0)};
      k[0] += 0x9E3779B9;
      k[1] += 0xBB67AE85;
    }
    skip_one();
    return c;
  }

 private:
  void skip_one() {
    if (++counter_[0] == 0 && ++counter_[1] == 0 && ++counter_[2] == 0) ++counter_[3];
  }
  Result counter_{};
  Key key_{};
};

// The same numbers one at a time.
class SinglePhilox {
 public:
  explicit SinglePhilox(Philox* generator) : generator_(generator) {}
  uint32_t operator()() {
    if (used_ == 4) {
      unused_ = (*generator_)();
      used_ = 0;
    }
    return unused_[static_cast<size_t>(used_++)];
  }
  double uniform_double();

 private:
  Philox* generator_;
  Philox::Result unused_{};
  int used_ = 4;
};

// Uniform in [0, 1): random mantissa bits under the exponent of 1, minus 1.
inline float uniform_float(uint32_t x) { return std::bit_cast<float>((127u << 23) | (x & 0x7fffffu)) - 1.0f; }
inline double uniform_double(uint32_t x0, uint32_t x1) {
  const uint64_t mantissa = (uint64_t{x0 & 0xfffffu} << 32) | x1;
  return std::bit_cast<double>((uint64_t{1023} << 52) | mantissa) - 1.0;
}
inline double SinglePhilox::uniform_double() {
  const uint32_t x0 = (*this)();
  const uint32_t x1 = (*this)();
  return millrace::uniform_double(x0, x1);
}

// Two independent normal numbers of two uniform ones (Box-Muller).
struct FloatPair {
  float first, second;
};
inline FloatPair box_muller(uint32_t x0, uint32_t x1) {
  const float u1 = std::max(uniform_float(x0), 1.0e-7f);
  const auto v1 = static_cast<float>(2.0 * std::numbers::pi * uniform_float(x1));
  const float u2 = std::sqrt(-2.0f * std::log(u1));
  return {std::sin(v1) * u2, std::cos(v1) * u2};
}
struct DoublePair {
  double first, second;
};
inline DoublePair box_muller(uint32_t x0, uint32_t x1, uint32_t x2, uint32_t x3) {
  const double u1 = std::max(uniform_double(x0, x1), 1.0e-7);
  const double v1 = 2.0 * std::numbers::pi * uniform_double(x2, x3);
  const double u2 = std::sqrt(-2.0 * std::log(u1));
  return {std::sin(v1) * u2, std::cos(v1) * u2};
}

}  // namespace millrace
