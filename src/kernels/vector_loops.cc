#include "kernels/vector_loops.h"

#include <algorithm>
#include <cmath>
#include <limits>

// The targets that differ in speed: SSE2 as the baseline, AVX2, AVX-512. Others cost compile time only.
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/vector_loops.cc"
// The order matters: foreach_target first.
// clang-format off
#include "hwy/foreach_target.h"  // before all else of Highway, as it asks

#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace millrace {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Runs Op over whole vectors; the rest goes through the same code by way of a buffer.
template <class Op> HWY_INLINE void run_unary(const void* x, void* out, int64_t n) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const float* a = static_cast<const float*>(x);
  float* o = static_cast<float*>(out);
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) hn::StoreU(Op::apply(d, hn::LoadU(d, a + i)), d, o + i);
  if (i == n) return;
  HWY_ALIGN float rest[hn::MaxLanes(d)] = {};
  std::copy_n(a + i, n - i, rest);
  hn::Store(Op::apply(d, hn::Load(d, rest)), d, rest);
  std::copy_n(rest, n - i, o + i);
}
template <class Op> HWY_INLINE void run_binary(const void* x, const void* y, void* out, int64_t n) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const float* a = static_cast<const float*>(x);
  const float* b = static_cast<const float*>(y);
  float* o = static_cast<float*>(out);
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) hn::StoreU(Op::apply(d, hn::LoadU(d, a + i), hn::LoadU(d, b + i)), d, o + i);
  if (i == n) return;
  HWY_ALIGN float x_rest[hn::MaxLanes(d)] = {};
  HWY_ALIGN float y_rest[hn::MaxLanes(d)] = {};
  std::copy_n(a + i, n - i, x_rest);
  std::copy_n(b + i, n - i, y_rest);
  hn::Store(Op::apply(d, hn::Load(d, x_rest), hn::Load(d, y_rest)), d, x_rest);
  std::copy_n(x_rest, n - i, o + i);
}

#define MR_UNARY(name, ...)                                                         \
  struct name##_op {                                                                \
    template <class D, class V> static HWY_INLINE V apply(D d, V v) { __VA_ARGS__ } \
  };                                                                                \
  void name(const void* x, void* out, int64_t n) { run_unary<name##_op>(x, out, n); }
#define MR_BINARY(name, ...)                                                             \
  struct name##_op {                                                                     \
    template <class D, class V> static HWY_INLINE V apply(D d, V v, V w) { __VA_ARGS__ } \
  };                                                                                     \
  void name(const void* x, const void* y, void* out, int64_t n) { run_binary<name##_op>(x, y, out, n); }

// Highway's functions hold for finite arguments: the others are blended in.
template <class D, class V> HWY_INLINE V safe_exp(D d, V v) {
  const V result = hn::Exp(d, hn::Min(v, hn::Set(d, 104.0f)));
  return hn::IfThenElse(hn::IsNaN(v), v, result);
}

MR_UNARY(abs, (void)d; return hn::Abs(v);)
MR_UNARY(neg, (void)d; return hn::Neg(v);)
MR_UNARY(reciprocal, return hn::Div(hn::Set(d, 1.0f), v);)
MR_UNARY(square, (void)d; return hn::Mul(v, v);)
MR_UNARY(sqrt, (void)d; return hn::Sqrt(v);)
MR_UNARY(rsqrt, return hn::Div(hn::Set(d, 1.0f), hn::Sqrt(v));)
MR_UNARY(exp, return safe_exp(d, v);)
MR_UNARY(log, {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  V result = hn::Log(d, v);
  result = hn::IfThenElse(hn::Eq(v, hn::Set(d, kInf)), v, result);
  result = hn::IfThenElse(hn::Eq(v, hn::Zero(d)), hn::Set(d, -kInf), result);
  return hn::IfThenElse(hn::Ge(v, hn::Zero(d)), result, hn::Set(d, std::numeric_limits<float>::quiet_NaN()));
})
MR_UNARY(tanh, return hn::IfThenElse(hn::IsNaN(v), v, hn::Tanh(d, v));)
MR_UNARY(sigmoid, {
  const V one = hn::Set(d, 1.0f);
  return hn::Div(one, hn::Add(one, safe_exp(d, hn::Neg(v))));
})

MR_BINARY(add, (void)d; return hn::Add(v, w);)
MR_BINARY(sub, (void)d; return hn::Sub(v, w);)
MR_BINARY(mul, (void)d; return hn::Mul(v, w);)
MR_BINARY(div, (void)d; return hn::Div(v, w);)
MR_BINARY(div_no_nan, return hn::IfThenElse(hn::Eq(w, hn::Zero(d)), hn::Zero(d), hn::Div(v, w));)
MR_BINARY(maximum, (void)d; return hn::IfThenElse(hn::Or(hn::Gt(v, w), hn::IsNaN(v)), v, w);)
MR_BINARY(minimum, (void)d; return hn::IfThenElse(hn::Or(hn::Lt(v, w), hn::IsNaN(v)), v, w);)
MR_BINARY(squared_difference, {
  (void)d;
  const V difference = hn::Sub(v, w);
  return hn::Mul(difference, difference);
})
MR_BINARY(sigmoid_grad, return hn::Mul(hn::Mul(w, v), hn::Sub(hn::Set(d, 1.0f), v));)
MR_BINARY(tanh_grad, return hn::Mul(w, hn::Sub(hn::Set(d, 1.0f), hn::Mul(v, v)));)
MR_BINARY(sqrt_grad, return hn::Div(hn::Mul(w, hn::Set(d, 0.5f)), v);)
MR_BINARY(rsqrt_grad, return hn::Mul(hn::Mul(hn::Set(d, -0.5f), hn::Mul(w, v)), hn::Mul(v, v));)

#undef MR_UNARY
#undef MR_BINARY

}  // namespace HWY_NAMESPACE
}  // namespace millrace
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace millrace {

#define MR_EXPORT(name) HWY_EXPORT(name);
MR_UNARY_LOOPS(MR_EXPORT)
MR_BINARY_LOOPS(MR_EXPORT)
#undef MR_EXPORT

namespace vector_loops {

#define MR_DISPATCH(name) \
  void name(const void* x, void* out, int64_t n) { HWY_DYNAMIC_DISPATCH(name)(x, out, n); }
MR_UNARY_LOOPS(MR_DISPATCH)
#undef MR_DISPATCH
#define MR_DISPATCH(name) \
  void name(const void* x, const void* y, void* out, int64_t n) { HWY_DYNAMIC_DISPATCH(name)(x, y, out, n); }
MR_BINARY_LOOPS(MR_DISPATCH)
#undef MR_DISPATCH

}  // namespace vector_loops
}  // namespace millrace
#endif  // HWY_ONCE
