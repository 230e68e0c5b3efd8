// Rows picked from an embedding matrix, beside a copy loop.

#include "kernels/bench_data.h"
#include "kernels/gather.h"

namespace millrace {
namespace {

struct Lookup {
  Lookup(int64_t rows, int64_t width, int64_t count)
      : params(bench_values(rows * width)), out(static_cast<size_t>(count * width)) {
    std::mt19937 generator(5);
    std::uniform_int_distribution<int64_t> row(0, rows - 1);
    for (int64_t i = 0; i < count; ++i) indices.push_back(row(generator));
  }
  std::vector<float> params, out;
  std::vector<int64_t> indices;
};

void rates(benchmark::State& state, int64_t width, int64_t count) {
  set_rates(state, 8.0 * static_cast<double>(width * count), 0);
}

void fast(benchmark::State& state) {
  const int64_t rows = state.range(0), width = state.range(1), count = state.range(2);
  Lookup l(rows, width, count);
  for (auto _ : state) {
    const int64_t bad = gather_rows(GatherSizes{.limit = rows, .inner = width, .count = count}, l.params.data(),
                                    l.indices.data(), l.out.data());
    if (bad >= 0) return state.SkipWithError("bad index");
    keep(l.out);
  }
  rates(state, width, count);
}

void plain(benchmark::State& state) {
  const int64_t rows = state.range(0), width = state.range(1), count = state.range(2);
  Lookup l(rows, width, count);
  for (auto _ : state) {
    for (int64_t i = 0; i < count; ++i)
      for (int64_t j = 0; j < width; ++j)
        l.out[static_cast<size_t>(i * width + j)] =
            l.params[static_cast<size_t>(l.indices[static_cast<size_t>(i)] * width + j)];
    keep(l.out);
  }
  rates(state, width, count);
}

BENCHMARK(fast)->Args({10000, 200, 400})->Args({100000, 64, 20480})->Args({1000, 256, 1024});
BENCHMARK(plain)->Args({10000, 200, 400})->Args({100000, 64, 20480})->Args({1000, 256, 1024});

}  // namespace
}  // namespace millrace
