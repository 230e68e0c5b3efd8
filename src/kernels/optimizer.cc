#include "kernels/optimizer.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/optimizer.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace millrace {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// The last few elements take the plain rule: the same formula, to the rounding of fused multiply-adds.
template <class Rule, size_t kSlots, class Body>
void vector_sweep(const Rule& rule, const std::array<float*, kSlots>& slots, const float* g, int64_t n,
                  const Body& body) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) body(d, i);
  for (; i < n; ++i) {
    float s[kSlots];
    for (size_t k = 0; k < kSlots; ++k) s[k] = slots[k][i];
    rule(s, g[i]);
    for (size_t k = 0; k < kSlots; ++k) slots[k][i] = s[k];
  }
}

void gradient_descent(const GradientDescent<float>& rule, const std::array<float*, 1>& slots, const float* g,
                      int64_t n) {
  vector_sweep(rule, slots, g, n, [&](auto d, int64_t i) HWY_ATTR {
    hn::StoreU(hn::NegMulAdd(hn::LoadU(d, g + i), hn::Set(d, rule.lr), hn::LoadU(d, slots[0] + i)), d, slots[0] + i);
  });
}

void momentum(const Momentum<float>& rule, const std::array<float*, 2>& slots, const float* g, int64_t n) {
  vector_sweep(rule, slots, g, n, [&](auto d, int64_t i) HWY_ATTR {
    const auto lr = hn::Set(d, rule.lr), mu = hn::Set(d, rule.momentum);
    const auto gradient = hn::LoadU(d, g + i);
    const auto accum = hn::MulAdd(hn::LoadU(d, slots[1] + i), mu, gradient);
    hn::StoreU(accum, d, slots[1] + i);
    const auto step = rule.nesterov ? hn::MulAdd(accum, mu, gradient) : accum;
    hn::StoreU(hn::NegMulAdd(step, lr, hn::LoadU(d, slots[0] + i)), d, slots[0] + i);
  });
}

void adam(const Adam<float>& rule, const std::array<float*, 3>& slots, const float* g, int64_t n) {
  vector_sweep(rule, slots, g, n, [&](auto d, int64_t i) HWY_ATTR {
    const auto one_minus_beta1 = hn::Set(d, 1.0f - rule.beta1), one_minus_beta2 = hn::Set(d, 1.0f - rule.beta2);
    const auto gradient = hn::LoadU(d, g + i);
    auto m = hn::LoadU(d, slots[1] + i);
    auto v = hn::LoadU(d, slots[2] + i);
    m = hn::MulAdd(hn::Sub(gradient, m), one_minus_beta1, m);
    v = hn::MulAdd(hn::Sub(hn::Mul(gradient, gradient), v), one_minus_beta2, v);
    hn::StoreU(m, d, slots[1] + i);
    hn::StoreU(v, d, slots[2] + i);
    const auto step = rule.nesterov ? hn::MulAdd(gradient, one_minus_beta1, hn::Mul(hn::Set(d, rule.beta1), m)) : m;
    const auto change = hn::Div(hn::Mul(step, hn::Set(d, rule.alpha)), hn::Add(hn::Sqrt(v), hn::Set(d, rule.epsilon)));
    hn::StoreU(hn::Sub(hn::LoadU(d, slots[0] + i), change), d, slots[0] + i);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace millrace
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace millrace {

HWY_EXPORT(gradient_descent);
HWY_EXPORT(momentum);
HWY_EXPORT(adam);

void sweep_serial(const GradientDescent<float>& rule, const std::array<float*, 1>& slots, const float* g, int64_t n) {
  HWY_DYNAMIC_DISPATCH(gradient_descent)(rule, slots, g, n);
}
void sweep_serial(const Momentum<float>& rule, const std::array<float*, 2>& slots, const float* g, int64_t n) {
  HWY_DYNAMIC_DISPATCH(momentum)(rule, slots, g, n);
}
void sweep_serial(const Adam<float>& rule, const std::array<float*, 3>& slots, const float* g, int64_t n) {
  HWY_DYNAMIC_DISPATCH(adam)(rule, slots, g, n);
}

}  // namespace millrace
#endif
