#pragma once
// The update rules of the optimizers, element by element, and the sweeps that apply them: one pass over the variable
// and its slots per step. A rule is made of its hyperparameters and changes slot values s[0] (the variable), s[1], ...
// for a gradient g.
//
//   sweep<float>(Momentum<float>{.lr = lr, .momentum = 0.9f}, {var, accum}, grad, n);

#include <algorithm>
#include <array>
#include <cmath>
#include <complex>
#include <cstdint>
#include <type_traits>

#include "kernels/parallel.h"
#include "millrace/types.h"

namespace millrace {

// Half and bfloat16 are stored narrow and computed in float.
template <class T> struct ComputeTypeOf { using type = T; };
template <> struct ComputeTypeOf<Half> { using type = float; };
template <> struct ComputeTypeOf<BFloat16> { using type = float; };
template <class T> using ComputeType = typename ComputeTypeOf<T>::type;

template <class S> struct GradientDescent {
  static constexpr int kSlots = 1;
  S lr;
  void operator()(S* s, S g) const { s[0] -= g * lr; }
};

template <class S> struct Momentum {
  static constexpr int kSlots = 2;  // var, accum
  S lr, momentum;
  bool nesterov = false;
  void operator()(S* s, S g) const {
    s[1] = s[1] * momentum + g;
    if (nesterov) s[0] -= g * lr + s[1] * momentum * lr;
    else s[0] -= s[1] * lr;
  }
};

// The accumulator holds the step itself, so a changing learning rate acts at once.
template <class S> struct KerasMomentum {
  static constexpr int kSlots = 2;
  S lr, momentum;
  bool nesterov = false;
  void operator()(S* s, S g) const {
    s[1] = s[1] * momentum - g * lr;
    if (nesterov) s[0] += s[1] * momentum - g * lr;
    else s[0] += s[1];
  }
};

// Kingma and Ba, https://arxiv.org/abs/1412.6980; alpha = lr sqrt(1 - beta2^t) / (1 - beta1^t).
template <class S> struct Adam {
  static constexpr int kSlots = 3;  // var, m, v
  S alpha, beta1, beta2, epsilon;
  bool nesterov = false;
  void operator()(S* s, S g) const {
    s[1] += (g - s[1]) * (S(1) - beta1);
    s[2] += (g * g - s[2]) * (S(1) - beta2);
    const S step = nesterov ? g * (S(1) - beta1) + beta1 * s[1] : s[1];
    s[0] -= step * alpha / (std::sqrt(s[2]) + epsilon);
  }
};

// Applies a rule to n elements of its slots.
template <class T, class Rule>
void sweep_serial(const Rule& rule, const std::array<T*, Rule::kSlots>& slots, const T* g, int64_t n) {
  using S = ComputeType<T>;
  for (int64_t i = 0; i < n; ++i) {
    S s[Rule::kSlots];
    for (int k = 0; k < Rule::kSlots; ++k) s[k] = static_cast<S>(slots[static_cast<size_t>(k)][i]);
    rule(s, static_cast<S>(g[i]));
    for (int k = 0; k < Rule::kSlots; ++k) slots[static_cast<size_t>(k)][i] = static_cast<T>(s[k]);
  }
}

// The vector forms of what most models train with.
void sweep_serial(const GradientDescent<float>& rule, const std::array<float*, 1>& slots, const float* g, int64_t n);
void sweep_serial(const Momentum<float>& rule, const std::array<float*, 2>& slots, const float* g, int64_t n);
void sweep_serial(const Adam<float>& rule, const std::array<float*, 3>& slots, const float* g, int64_t n);

template <class T, class Rule>
void sweep(const Rule& rule, const std::array<T*, Rule::kSlots>& slots, const T* g, int64_t n) {
  constexpr int64_t kChunk = 16;  // elements: whole cache lines of float, so that threads do not share one
  parallel_for((n + kChunk - 1) / kChunk, kChunk * Rule::kSlots / 4 + 1, [&](int64_t begin, int64_t end) {
    std::array<T*, Rule::kSlots> at = slots;
    for (T*& p : at) p += begin * kChunk;
    sweep_serial(rule, at, g + begin * kChunk, std::min(n, end * kChunk) - begin * kChunk);
  });
}

}  // namespace millrace
