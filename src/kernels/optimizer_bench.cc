// Optimizer sweeps beside the rule applied element by element, at the sizes of small and large variables.

#include "kernels/bench_data.h"
#include "kernels/optimizer.h"

namespace millrace {
namespace {

template <class Rule> struct Slots {
  explicit Slots(int64_t n) : g(bench_values(n)) {
    for (size_t k = 0; k < Rule::kSlots; ++k) {
      values[k].assign(static_cast<size_t>(n), 0.5f);
      at[k] = values[k].data();
    }
  }
  std::array<std::vector<float>, Rule::kSlots> values;
  std::array<float*, Rule::kSlots> at;
  std::vector<float> g;
};

// Each slot is read and written, the gradient read.
template <class Rule> void rates(benchmark::State& state, int64_t n) {
  set_rates(state, 4.0 * (2 * Rule::kSlots + 1) * static_cast<double>(n), 0);
}

template <class Rule> void fast(benchmark::State& state, Rule rule) {
  const int64_t n = state.range(0);
  Slots<Rule> slots(n);
  for (auto _ : state) {
    sweep<float>(rule, slots.at, slots.g.data(), n);
    keep(slots.values[0]);
  }
  rates<Rule>(state, n);
}

template <class Rule> void plain(benchmark::State& state, Rule rule) {
  const int64_t n = state.range(0);
  Slots<Rule> slots(n);
  for (auto _ : state) {
    sweep_serial<float, Rule>(rule, slots.at, slots.g.data(), n);  // the template, not its vector overload
    keep(slots.values[0]);
  }
  rates<Rule>(state, n);
}

#define MR_SWEEP(name, ...)                                                                               \
  BENCHMARK_CAPTURE(fast, name, __VA_ARGS__)->Arg(640)->Arg(4096)->Arg(65536)->Arg(535818)->Arg(8 << 20); \
  BENCHMARK_CAPTURE(plain, name, __VA_ARGS__)->Arg(640)->Arg(4096)->Arg(65536)->Arg(535818)->Arg(8 << 20)
MR_SWEEP(gradient_descent, GradientDescent<float>{.lr = 1e-3f});
MR_SWEEP(momentum, Momentum<float>{.lr = 1e-3f, .momentum = 0.9f});
MR_SWEEP(adam, Adam<float>{.alpha = 1e-3f, .beta1 = 0.9f, .beta2 = 0.999f, .epsilon = 1e-8f});

}  // namespace
}  // namespace millrace
