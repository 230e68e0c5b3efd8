// Elementwise loops beside those of the standard library, in the first cache and out of all caches.

#include <cmath>

#include "kernels/bench_data.h"
#include "kernels/elementwise.h"
#include "kernels/vector_loops.h"

namespace millrace {
namespace {

constexpr int64_t kCached = 4096, kLarge = 4 << 20;

void unary(benchmark::State& state, UnaryLoop loop) {
  const int64_t n = state.range(0);
  std::vector<float> x = bench_values(n), out(static_cast<size_t>(n));
  for (float& v : x) v = std::abs(v) + 0.1f;
  for (auto _ : state) {
    loop(x.data(), out.data(), n);
    keep(out);
  }
  set_rates(state, 8.0 * static_cast<double>(n), static_cast<double>(n));
}

void binary(benchmark::State& state, BinaryLoop loop) {
  const int64_t n = state.range(0);
  const std::vector<float> x = bench_values(n, 1), y = bench_values(n, 2);
  std::vector<float> out(static_cast<size_t>(n));
  for (auto _ : state) {
    loop(x.data(), y.data(), out.data(), n);
    keep(out);
  }
  set_rates(state, 12.0 * static_cast<double>(n), static_cast<double>(n));
}

#define MR_PLAIN(name, ...)                                 \
  struct Plain_##name {                                     \
    float operator()(float x) const { return __VA_ARGS__; } \
  }
MR_PLAIN(exp, std::exp(x));
MR_PLAIN(log, std::log(x));
MR_PLAIN(tanh, std::tanh(x));
MR_PLAIN(sigmoid, 1 / (1 + std::exp(-x)));
MR_PLAIN(sqrt, std::sqrt(x));
MR_PLAIN(rsqrt, 1 / std::sqrt(x));
MR_PLAIN(square, x* x);
MR_PLAIN(neg, -x);
#undef MR_PLAIN

#define MR_UNARY(name)                                                            \
  BENCHMARK_CAPTURE(unary, name, &vector_loops::name)->Arg(kCached)->Arg(kLarge); \
  BENCHMARK_CAPTURE(unary, name##_plain, &unary_loop<Plain_##name, float>)->Arg(kCached)->Arg(kLarge)
MR_UNARY(exp);
MR_UNARY(log);
MR_UNARY(tanh);
MR_UNARY(sigmoid);
MR_UNARY(sqrt);
MR_UNARY(rsqrt);
MR_UNARY(square);
MR_UNARY(neg);

struct PlainAdd {
  float operator()(float x, float y) const { return x + y; }
};
struct PlainMul {
  float operator()(float x, float y) const { return x * y; }
};
struct PlainDiv {
  float operator()(float x, float y) const { return x / y; }
};
struct PlainTanhGrad {
  float operator()(float y, float dy) const { return dy * (1 - y * y); }
};
#define MR_BINARY(name, Plain)                                                     \
  BENCHMARK_CAPTURE(binary, name, &vector_loops::name)->Arg(kCached)->Arg(kLarge); \
  BENCHMARK_CAPTURE(binary, name##_plain, &binary_loop<Plain, float>)->Arg(kCached)->Arg(kLarge)
MR_BINARY(add, PlainAdd);
MR_BINARY(mul, PlainMul);
MR_BINARY(div, PlainDiv);
MR_BINARY(tanh_grad, PlainTanhGrad);

}  // namespace
}  // namespace millrace
