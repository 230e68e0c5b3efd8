#pragma once
// What the benchmarks of kernels share: values to work on, and rates instead of times alone.

#include <benchmark/benchmark.h>

#include <cstdint>
#include <random>
#include <vector>

namespace millrace {

// The same values in every run, between -1 and 1.
inline std::vector<float> bench_values(int64_t n, unsigned seed = 1) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> between(-1.0f, 1.0f);
  std::vector<float> values(static_cast<size_t>(n));
  for (float& v : values) v = between(generator);
  return values;
}

// Bytes and floating-point operations of one iteration.
inline void set_rates(benchmark::State& state, double bytes, double flops) {
  using benchmark::Counter;
  if (bytes > 0) state.counters["bytes"] = Counter(bytes, Counter::kIsIterationInvariantRate, Counter::kIs1000);
  if (flops > 0) state.counters["flops"] = Counter(flops, Counter::kIsIterationInvariantRate, Counter::kIs1000);
}

// Counts what a benchmark wrote as used.
template <class T> void keep(std::vector<T>& values) {
  benchmark::DoNotOptimize(values.data());
  benchmark::ClobberMemory();
}

}  // namespace millrace
