#include "kernels/pooling_rows.h"

#include <limits>

// SSE2 as the baseline, AVX2, AVX-512; others cost compile time only.
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/pooling_rows.cc"
// The order matters: foreach_target first.
// clang-format off
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace millrace {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Calls fn(tag, first channel) for groups of channels that fill a vector, then one by one.
template <class Fn> HWY_INLINE void for_each_group(int64_t channels, Fn&& fn) {
  const hn::ScalableTag<float> wide;
  const hn::CappedTag<float, 1> one;
  const auto lanes = static_cast<int64_t>(hn::Lanes(wide));
  int64_t c = 0;
  for (; c + lanes <= channels; c += lanes) fn(wide, c);
  for (; c < channels; ++c) fn(one, c);
}

void max_rows(const float* const* rows, int64_t count, int64_t channels, float* y) {
  for_each_group(channels, [&](auto d, int64_t c) HWY_ATTR {
    auto v = hn::Set(d, std::numeric_limits<float>::lowest());
    for (int64_t i = 0; i < count; ++i) {
      const auto x = hn::LoadU(d, rows[i] + c);
      v = hn::IfThenElse(hn::Lt(v, x), x, v);
    }
    hn::StoreU(v, d, y + c);
  });
}

void route(const float* const* rows, int64_t count, int64_t channels, const float* dy, float* const* to, bool sets) {
  for_each_group(channels, [&](auto d, int64_t c) HWY_ATTR {
    // Which row, as a float: exact up to kMaxRoutedRows.
    auto v = hn::LoadU(d, rows[0] + c);
    auto at = hn::Zero(d);
    for (int64_t i = 1; i < count; ++i) {
      const auto x = hn::LoadU(d, rows[i] + c);
      const auto above = hn::Lt(v, x);
      v = hn::IfThenElse(above, x, v);
      at = hn::IfThenElse(above, hn::Set(d, static_cast<float>(i)), at);
    }
    const auto g = hn::LoadU(d, dy + c);
    for (int64_t i = 0; i < count; ++i) {
      auto part = hn::IfThenElseZero(hn::Eq(at, hn::Set(d, static_cast<float>(i))), g);
      if (!sets) part = hn::Add(hn::LoadU(d, to[i] + c), part);
      hn::StoreU(part, d, to[i] + c);
    }
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace millrace
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace millrace {

HWY_EXPORT(max_rows);
HWY_EXPORT(route);

void max_of_rows(const float* const* rows, int64_t count, int64_t channels, float* y) {
  HWY_DYNAMIC_DISPATCH(max_rows)(rows, count, channels, y);
}
void route_to_maximum(const float* const* rows, int64_t count, int64_t channels, const float* dy, float* const* to,
                      bool sets) {
  HWY_DYNAMIC_DISPATCH(route)(rows, count, channels, dy, to, sets);
}

}  // namespace millrace
#endif  // HWY_ONCE
