#pragma once
// Filling memory with random numbers. Each group of outputs has its own place in the generator's stream, so the numbers
// do not depend on how the work is cut among threads.

#include <span>

#include "kernels/philox.h"

namespace millrace {

// T: Half, BFloat16, float, double.
template <class T> void fill_uniform(const Philox& generator, std::span<T> out);
template <class T> void fill_normal(const Philox& generator, std::span<T> out);
// Standard normal numbers, those beyond two standard deviations drawn again.
template <class T> void fill_truncated_normal(const Philox& generator, std::span<T> out);

// In [low, high), low < high; T: int32, int64, uint32, uint64.
template <class T> void fill_uniform_int(const Philox& generator, T low, T high, std::span<T> out);
// Over all values of T.
template <class T> void fill_full_int(const Philox& generator, std::span<T> out);

// How far a stateful op's generator moves on for `count` outputs, whatever it used of that.
inline uint64_t reserved_results(int64_t count) { return static_cast<uint64_t>(count) * 256; }

}  // namespace millrace
