// The exponentials of softmax beside the formula written out.

#include <algorithm>

#include "kernels/bench_data.h"
#include "kernels/softmax.h"

namespace millrace {
namespace {

struct Rows {
  Rows(int64_t rows, int64_t n)
      : x(bench_values(rows * n)), e(x.size()), max(static_cast<size_t>(rows)), sum(static_cast<size_t>(rows)) {}
  std::vector<float> x, e, max, sum;
};

void fast(benchmark::State& state) {
  const int64_t rows = state.range(0), n = state.range(1);
  Rows r(rows, n);
  for (auto _ : state) {
    exp_rows(r.x.data(), rows, n, r.e.data(), r.max.data(), r.sum.data());
    keep(r.e);
  }
  set_rates(state, 8.0 * static_cast<double>(rows * n), 0);
}

void plain(benchmark::State& state) {
  const int64_t rows = state.range(0), n = state.range(1);
  Rows r(rows, n);
  for (auto _ : state) {
    for (int64_t i = 0; i < rows; ++i) {
      const float* x = r.x.data() + i * n;
      const float max = *std::max_element(x, x + n);
      float sum = 0;
      for (int64_t j = 0; j < n; ++j) sum += r.e[static_cast<size_t>(i * n + j)] = std::exp(x[j] - max);
      r.max[static_cast<size_t>(i)] = max;
      r.sum[static_cast<size_t>(i)] = sum;
    }
    keep(r.e);
  }
  set_rates(state, 8.0 * static_cast<double>(rows * n), 0);
}

BENCHMARK(fast)->Args({32, 10})->Args({128, 10})->Args({4096, 128})->Args({1024, 1000})->Args({400, 10000});
BENCHMARK(plain)->Args({32, 10})->Args({128, 10})->Args({4096, 128})->Args({1024, 1000})->Args({400, 10000});

}  // namespace
}  // namespace millrace
