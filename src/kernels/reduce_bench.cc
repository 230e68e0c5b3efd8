// Sums over rows, over columns (the gradient of a bias) and over all elements, beside plain loops.

#include "kernels/bench_data.h"
#include "kernels/reduce.h"

namespace millrace {
namespace {

void fast(benchmark::State& state, ReduceKind kind, bool over_rows, bool over_columns) {
  const int64_t rows = state.range(0), columns = state.range(1);
  const std::vector<float> x = bench_values(rows * columns);
  std::vector<float> out(static_cast<size_t>((over_rows ? 1 : rows) * (over_columns ? 1 : columns)));
  const int64_t dims[] = {rows, columns};
  const bool reduced[] = {over_rows, over_columns};
  const Reduction* reduction = find_reduction(kind, DataType::kFloat);
  for (auto _ : state) {
    const absl::Status status = reduce(*reduction, x.data(), dims, reduced, out.data());
    if (!status.ok()) return state.SkipWithError(std::string(status.message()).c_str());
    keep(out);
  }
  set_rates(state, 4.0 * static_cast<double>(rows * columns), static_cast<double>(rows * columns));
}

void plain(benchmark::State& state, bool over_rows, bool over_columns) {
  const int64_t rows = state.range(0), columns = state.range(1);
  const std::vector<float> x = bench_values(rows * columns);
  std::vector<float> out(static_cast<size_t>((over_rows ? 1 : rows) * (over_columns ? 1 : columns)));
  const int64_t row_stride = over_rows ? 0 : over_columns ? 1 : columns, column_stride = over_columns ? 0 : 1;
  for (auto _ : state) {
    std::fill(out.begin(), out.end(), 0.0f);
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < columns; ++j)
        out[static_cast<size_t>(i * row_stride + j * column_stride)] += x[static_cast<size_t>(i * columns + j)];
    keep(out);
  }
  set_rates(state, 4.0 * static_cast<double>(rows * columns), static_cast<double>(rows * columns));
}

#define MR_SIZES ->Args({32, 64})->Args({128, 512})->Args({1024, 1000})
BENCHMARK_CAPTURE(fast, sum_rows, ReduceKind::kSum, false, true) MR_SIZES;
BENCHMARK_CAPTURE(plain, sum_rows, false, true) MR_SIZES;
BENCHMARK_CAPTURE(fast, sum_columns, ReduceKind::kSum, true, false) MR_SIZES;
BENCHMARK_CAPTURE(plain, sum_columns, true, false) MR_SIZES;
BENCHMARK_CAPTURE(fast, sum_all, ReduceKind::kSum, true, true) MR_SIZES;
BENCHMARK_CAPTURE(plain, sum_all, true, true) MR_SIZES;
BENCHMARK_CAPTURE(fast, mean_rows, ReduceKind::kMean, false, true) MR_SIZES;
BENCHMARK_CAPTURE(fast, max_rows, ReduceKind::kMax, false, true) MR_SIZES;

}  // namespace
}  // namespace millrace
