#include "kernels/softmax.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/softmax.cc"
// This order; with words behind it the next line would not be heeded.
// clang-format off
#include "hwy/foreach_target.h"  // before all else of Highway, as it asks

#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace millrace {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// False if the row holds a NaN or its maximum is not finite: then the caller goes the plain way.
template <class T> bool exp_row(const T* x, int64_t n, T* e, T* max_out, T* sum_out) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  constexpr T kLowest = std::numeric_limits<T>::lowest();
  HWY_ALIGN T tail[hn::MaxLanes(d)];
  const int64_t whole = n / lanes * lanes;
  const auto rest = static_cast<size_t>(n - whole);
  std::fill_n(tail, lanes, -std::numeric_limits<T>::infinity());
  std::copy_n(x + whole, rest, tail);

  auto largest = hn::Set(d, kLowest);
  auto zeros = hn::Zero(d);  // x - x: NaN once a NaN or +inf came; -inf is harmless and left out
  const auto look = [&](auto v) HWY_ATTR {
    largest = hn::Max(largest, v);
    const auto floor = hn::IfThenElse(hn::Lt(v, hn::Set(d, kLowest)), hn::Zero(d), v);
    zeros = hn::Add(zeros, hn::Sub(floor, floor));
  };
  for (int64_t i = 0; i < whole; i += lanes) look(hn::LoadU(d, x + i));
  if (rest > 0) look(hn::Load(d, tail));
  const T max = hn::GetLane(hn::MaxOfLanes(d, largest));
  if (hn::GetLane(hn::SumOfLanes(d, zeros)) != 0 || !(max > kLowest)) return false;

  auto total = hn::Zero(d);
  const auto shift = hn::Set(d, max);
  for (int64_t i = 0; i < whole; i += lanes) {
    const auto v = hn::Exp(d, hn::Sub(hn::LoadU(d, x + i), shift));
    hn::StoreU(v, d, e + i);
    total = hn::Add(total, v);
  }
  if (rest > 0) {
    const auto v = hn::Exp(d, hn::Sub(hn::Load(d, tail), shift));
    total = hn::Add(total, v);  // the padding's exponentials are zero
    hn::Store(v, d, tail);
    std::copy_n(tail, rest, e + whole);
  }
  *max_out = max;
  *sum_out = hn::GetLane(hn::SumOfLanes(d, total));
  return true;
}

bool exp_row_float(const float* x, int64_t n, float* e, float* max, float* sum) { return exp_row(x, n, e, max, sum); }

}  // namespace HWY_NAMESPACE
}  // namespace millrace
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace millrace {
namespace {

HWY_EXPORT(exp_row_float);

template <class T> void plain_exp_row(const T* x, int64_t n, T* e, T* max_out, T* sum_out) {
  T max = x[0], sum = 0;
  for (int64_t i = 1; i < n; ++i) max = x[i] > max || max != max ? x[i] : max;
  for (int64_t i = 0; i < n; ++i) sum += e[i] = std::exp(x[i] - max);
  *max_out = max;
  *sum_out = sum;
}

}  // namespace

void exp_rows(const float* x, int64_t rows, int64_t n, float* e, float* max, float* sum) {
  const auto vector_row = HWY_DYNAMIC_DISPATCH(exp_row_float);
  for (int64_t r = 0; r < rows; ++r)
    if (!vector_row(x + r * n, n, e + r * n, max + r, sum + r))
      plain_exp_row(x + r * n, n, e + r * n, max + r, sum + r);
}

void exp_rows(const double* x, int64_t rows, int64_t n, double* e, double* max, double* sum) {
  for (int64_t r = 0; r < rows; ++r) plain_exp_row(x + r * n, n, e + r * n, max + r, sum + r);
}

}  // namespace millrace
#endif
