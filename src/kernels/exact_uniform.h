#pragma once
// Whole numbers below a bound, each equally often: numbers that would favour small results are drawn again, as in
// TensorFlow.

#include <cstdint>
#include <limits>

#include "kernels/philox.h"

namespace millrace {

// `draw` gives all numbers of U; n > 0.
template <class U, class Draw> U exact_uniform(U n, Draw&& draw) {
  if ((n & (n - 1)) == 0) return draw() & (n - 1);
  const U rejected = std::numeric_limits<U>::max() % n + 1;
  U x = draw();
  while (x < rejected) x = draw();
  return x % n;
}

inline uint32_t uniform32(SinglePhilox& random, uint32_t n) {
  return exact_uniform<uint32_t>(n, [&] { return random(); });
}
inline uint64_t uniform64(SinglePhilox& random, uint64_t n) {
  return exact_uniform<uint64_t>(n, [&] {
    const uint64_t low = random(), high = random();
    return low | (high << 32);
  });
}

}  // namespace millrace
