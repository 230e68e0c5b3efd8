// Matrix products of the sizes that models have, beside the plain loops.

#include "kernels/bench_data.h"
#include "kernels/gemm.h"

namespace millrace {
namespace {

struct Operands {
  explicit Operands(const MatMulShape& s)
      : a(bench_values(s.batch * s.m * s.k, 1)),
        b(bench_values(s.batch * s.k * s.n, 2)),
        bias(bench_values(s.n, 3)),
        c(static_cast<size_t>(s.batch * s.m * s.n)) {}
  std::vector<float> a, b, bias, c;
};

void rates(benchmark::State& state, const MatMulShape& s) {
  const auto batch = static_cast<double>(s.batch), m = static_cast<double>(s.m), n = static_cast<double>(s.n),
             k = static_cast<double>(s.k);
  set_rates(state, 4 * batch * (m * k + k * n + m * n), 2 * batch * m * n * k);
}

void fast(benchmark::State& state, MatMulShape shape) {
  Operands o(shape);
  for (auto _ : state) {
    const absl::Status status =
        matmul(shape, o.a.data(), o.b.data(), shape.has_bias ? o.bias.data() : nullptr, o.c.data());
    if (!status.ok()) return state.SkipWithError(std::string(status.message()).c_str());
    keep(o.c);
  }
  rates(state, shape);
}

void plain(benchmark::State& state, MatMulShape shape) {
  Operands o(shape);
  for (auto _ : state) {
    for (int64_t i = 0; i < shape.batch; ++i)
      plain_matmul(shape.transpose_a, shape.transpose_b, false, false, shape.m, shape.n, shape.k,
                   o.a.data() + i * shape.m * shape.k, o.b.data() + i * shape.k * shape.n,
                   o.c.data() + i * shape.m * shape.n);
    keep(o.c);
  }
  rates(state, shape);
}

#define MR_MATMUL(name, ...)                               \
  BENCHMARK_CAPTURE(fast, name, MatMulShape{__VA_ARGS__}); \
  BENCHMARK_CAPTURE(plain, name, MatMulShape{__VA_ARGS__})

MR_MATMUL(mlp_128x784x512, .m = 128, .n = 512, .k = 784);
MR_MATMUL(mlp_weights_784x128x512, .m = 784, .n = 512, .k = 128, .transpose_a = true);
MR_MATMUL(mlp_inputs_128x512x784, .m = 128, .n = 784, .k = 512, .transpose_b = true);
MR_MATMUL(transformer_1024x256x1024, .m = 1024, .n = 1024, .k = 256);
MR_MATMUL(lstm_20x400x800, .m = 20, .n = 800, .k = 400);
MR_MATMUL(attention_128x64x128, .batch = 32, .m = 128, .n = 128, .k = 64, .transpose_b = true);
MR_MATMUL(small_32x64x64, .m = 32, .n = 64, .k = 64);
MR_MATMUL(small_weights_64x32x64, .m = 64, .n = 64, .k = 32, .transpose_a = true);
MR_MATMUL(small_logits_32x64x10, .m = 32, .n = 10, .k = 64);
MR_MATMUL(vector_1x1024x1024, .m = 1, .n = 1024, .k = 1024);
MR_MATMUL(tiny_4x4x4, .m = 4, .n = 4, .k = 4);
BENCHMARK_CAPTURE(fast, bias_relu_128x784x512,
                  MatMulShape{.m = 128, .n = 512, .k = 784, .has_bias = true, .activation = Activation::kRelu});
BENCHMARK_CAPTURE(fast, bias_relu_32x64x64,
                  MatMulShape{.m = 32, .n = 64, .k = 64, .has_bias = true, .activation = Activation::kRelu});

}  // namespace
}  // namespace millrace
