// Broadcasting additions: a bias to each row, a scale to each column, a scalar to all; beside nested loops.

#include "kernels/bench_data.h"
#include "kernels/broadcast.h"
#include "kernels/vector_loops.h"

namespace millrace {
namespace {

enum class Operand { kRow, kColumn, kScalar };

std::array<int64_t, 2> dims_of(Operand operand, int64_t rows, int64_t columns) {
  switch (operand) {
    case Operand::kRow: return {1, columns};
    case Operand::kColumn: return {rows, 1};
    case Operand::kScalar: break;
  }
  return {1, 1};
}

void rates(benchmark::State& state, int64_t n) {
  set_rates(state, 8.0 * static_cast<double>(n), static_cast<double>(n));
}

void fast(benchmark::State& state, Operand operand) {
  const int64_t rows = state.range(0), columns = state.range(1);
  const std::array<int64_t, 2> dims = {rows, columns}, y_dims = dims_of(operand, rows, columns);
  const std::vector<float> x = bench_values(rows * columns), y = bench_values(y_dims[0] * y_dims[1]);
  std::vector<float> out(x.size());
  const BinaryOperation add{.loop = &vector_loops::add};
  for (auto _ : state) {
    binary_broadcast(add, x.data(), dims, y.data(), y_dims, out.data(), dims);
    keep(out);
  }
  rates(state, rows * columns);
}

void plain(benchmark::State& state, Operand operand) {
  const int64_t rows = state.range(0), columns = state.range(1);
  const auto y_dims = dims_of(operand, rows, columns);
  const std::vector<float> x = bench_values(rows * columns), y = bench_values(y_dims[0] * y_dims[1]);
  std::vector<float> out(x.size());
  const int64_t row_stride = y_dims[0] > 1 ? y_dims[1] : 0, column_stride = y_dims[1] > 1 ? 1 : 0;
  for (auto _ : state) {
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < columns; ++j)
        out[static_cast<size_t>(i * columns + j)] =
            x[static_cast<size_t>(i * columns + j)] + y[static_cast<size_t>(i * row_stride + j * column_stride)];
    keep(out);
  }
  rates(state, rows * columns);
}

#define MR_BROADCAST(name, operand)                                                             \
  BENCHMARK_CAPTURE(fast, name, operand)->Args({32, 64})->Args({128, 512})->Args({1024, 1000}); \
  BENCHMARK_CAPTURE(plain, name, operand)->Args({32, 64})->Args({128, 512})->Args({1024, 1000})
MR_BROADCAST(bias, Operand::kRow);
MR_BROADCAST(scale, Operand::kColumn);
MR_BROADCAST(scalar, Operand::kScalar);

}  // namespace
}  // namespace millrace
