#include "kernels/batch_norm.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>
#include <vector>

#include "kernels/parallel.h"
#include "millrace/types.h"

// SSE2 as the baseline, AVX2, AVX-512; others cost compile time only.
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/batch_norm.cc"
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

// Rows [rows, channels] of float, each less `pivot`. Four sums each, as one would wait for itself.
void row_sums(const float* x, int64_t rows, int64_t channels, const float* pivot, float* sum) {
  for_each_group(channels, [&](auto d, int64_t c) HWY_ATTR {
    const auto p = hn::LoadU(d, pivot + c);
    auto s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0;
    const float* at = x + c;
    int64_t r = 0;
    for (; r + 4 <= rows; r += 4, at += 4 * channels) {
      s0 = hn::Add(s0, hn::Sub(hn::LoadU(d, at), p));
      s1 = hn::Add(s1, hn::Sub(hn::LoadU(d, at + channels), p));
      s2 = hn::Add(s2, hn::Sub(hn::LoadU(d, at + 2 * channels), p));
      s3 = hn::Add(s3, hn::Sub(hn::LoadU(d, at + 3 * channels), p));
    }
    for (; r < rows; ++r, at += channels) s0 = hn::Add(s0, hn::Sub(hn::LoadU(d, at), p));
    hn::StoreU(hn::Add(hn::Add(s0, s1), hn::Add(s2, s3)), d, sum + c);
  });
}

// Sums of (x - mean)^2.
void row_squares(const float* x, int64_t rows, int64_t channels, const float* mean, float* sum) {
  for_each_group(channels, [&](auto d, int64_t c) HWY_ATTR {
    const auto m = hn::LoadU(d, mean + c);
    auto s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0;
    const float* at = x + c;
    int64_t r = 0;
    for (; r + 4 <= rows; r += 4, at += 4 * channels) {
      const auto v0 = hn::Sub(hn::LoadU(d, at), m), v1 = hn::Sub(hn::LoadU(d, at + channels), m);
      const auto v2 = hn::Sub(hn::LoadU(d, at + 2 * channels), m), v3 = hn::Sub(hn::LoadU(d, at + 3 * channels), m);
      s0 = hn::MulAdd(v0, v0, s0);
      s1 = hn::MulAdd(v1, v1, s1);
      s2 = hn::MulAdd(v2, v2, s2);
      s3 = hn::MulAdd(v3, v3, s3);
    }
    for (; r < rows; ++r, at += channels) {
      const auto v = hn::Sub(hn::LoadU(d, at), m);
      s0 = hn::MulAdd(v, v, s0);
    }
    hn::StoreU(hn::Add(hn::Add(s0, s1), hn::Add(s2, s3)), d, sum + c);
  });
}

void row_grad_sums(const float* dy, const float* x, int64_t rows, int64_t channels, const float* mean, float* sum_dy,
                   float* sum_dy_x) {
  for_each_group(channels, [&](auto d, int64_t c) HWY_ATTR {
    const auto m = hn::LoadU(d, mean + c);
    auto s0 = hn::Zero(d), s1 = s0, p0 = s0, p1 = s0;
    const float *at = x + c, *grad = dy + c;
    int64_t r = 0;
    for (; r + 2 <= rows; r += 2, at += 2 * channels, grad += 2 * channels) {
      const auto g0 = hn::LoadU(d, grad), g1 = hn::LoadU(d, grad + channels);
      s0 = hn::Add(s0, g0);
      s1 = hn::Add(s1, g1);
      p0 = hn::MulAdd(g0, hn::Sub(hn::LoadU(d, at), m), p0);
      p1 = hn::MulAdd(g1, hn::Sub(hn::LoadU(d, at + channels), m), p1);
    }
    for (; r < rows; ++r, at += channels, grad += channels) {
      const auto g = hn::LoadU(d, grad);
      s0 = hn::Add(s0, g);
      p0 = hn::MulAdd(g, hn::Sub(hn::LoadU(d, at), m), p0);
    }
    hn::StoreU(hn::Add(s0, s1), d, sum_dy + c);
    hn::StoreU(hn::Add(p0, p1), d, sum_dy_x + c);
  });
}

void row_normalize(const float* x, int64_t rows, int64_t channels, const Normalize<float>& how, float* y) {
  for (int64_t r = 0; r < rows; ++r) {
    const float *from = x + r * channels, *side = how.side ? how.side + r * channels : nullptr;
    float* to = y + r * channels;
    for_each_group(channels, [&](auto d, int64_t c) HWY_ATTR {
      const auto v = hn::Sub(hn::LoadU(d, from + c), hn::LoadU(d, how.mean + c));
      auto result = hn::MulAdd(v, hn::LoadU(d, how.factor + c), hn::LoadU(d, how.offset + c));
      if (side) result = hn::Add(result, hn::LoadU(d, side + c));
      // NaN stays, as in Relu.
      if (how.relu) result = hn::IfThenElse(hn::Lt(result, hn::Zero(d)), hn::Zero(d), result);
      hn::StoreU(result, d, to + c);
    });
  }
}

void row_grad_input(const float* dy, const float* x, int64_t rows, int64_t channels, const InputGrad<float>& how,
                    float* dx) {
  for (int64_t r = 0; r < rows; ++r) {
    const float *grad = dy + r * channels, *from = x + r * channels;
    float* to = dx + r * channels;
    for_each_group(channels, [&](auto d, int64_t c) HWY_ATTR {
      const auto v = hn::Sub(hn::LoadU(d, from + c), hn::LoadU(d, how.mean + c));
      const auto scaled = hn::MulSub(hn::LoadU(d, how.a + c), hn::LoadU(d, grad + c), hn::LoadU(d, how.b + c));
      hn::StoreU(hn::NegMulAdd(hn::LoadU(d, how.c + c), v, scaled), d, to + c);
    });
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace millrace
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace millrace {

HWY_EXPORT(row_sums);
HWY_EXPORT(row_squares);
HWY_EXPORT(row_grad_sums);
HWY_EXPORT(row_normalize);
HWY_EXPORT(row_grad_input);

namespace {

// Calls fn(flat index, channel) for rows [begin, end) of the outer dimension.
template <class Fn> void for_each_element(const BatchNormShape& s, int64_t begin, int64_t end, Fn&& fn) {
  int64_t at = begin * s.channels * s.inner;
  for (int64_t o = begin; o < end; ++o)
    for (int64_t c = 0; c < s.channels; ++c)
      for (int64_t i = 0; i < s.inner; ++i) fn(at++, static_cast<size_t>(c));
}

// Adds fn(flat index, channel) up into sum[channel]: the inner dimension in double, as it may be long.
template <class Fn> void add_elements(const BatchNormShape& s, int64_t begin, int64_t end, float* sum, Fn&& fn) {
  int64_t at = begin * s.channels * s.inner;
  for (int64_t o = begin; o < end; ++o) {
    for (int64_t c = 0; c < s.channels; ++c) {
      double inner = 0;
      for (int64_t i = 0; i < s.inner; ++i) inner += fn(at++, static_cast<size_t>(c));
      sum[c] += static_cast<float>(inner);
    }
  }
}

template <class T> inline constexpr bool is_float = std::is_same_v<T, float>;

// The outer dimension in blocks that stay in the nearest cache, for the sums.
struct Blocks {
  int64_t rows, count;
};
Blocks blocks_of(const BatchNormShape& s) {
  const int64_t row = std::max<int64_t>(1, s.channels * s.inner);
  const int64_t rows = std::max<int64_t>(s.inner == 1 ? 16 : 1, 8192 / row);
  return {rows, (s.outer + rows - 1) / rows};
}
double row_cost(const BatchNormShape& s) { return static_cast<double>(s.channels * s.inner) / 8 + 1; }

template <class T> float value(T v) { return static_cast<float>(v); }

// The means of a block, by sums of what its values have over its first ones: a large mean leaves them their precision.
template <class T>
void block_means(const BatchNormShape& s, const T* x, int64_t begin, int64_t end, float* pivot, float* mean) {
  for (int64_t c = 0; c < s.channels; ++c) {
    const float first = value(x[(begin * s.channels + c) * s.inner]);
    pivot[c] = std::isfinite(first) ? first : 0.0f;
  }
  const auto add = [&] {
    if constexpr (is_float<T>) {
      if (s.inner == 1)
        return HWY_DYNAMIC_DISPATCH(row_sums)(x + begin * s.channels, end - begin, s.channels, pivot, mean);
    }
    std::fill_n(mean, s.channels, 0.0f);
    add_elements(s, begin, end, mean, [&](int64_t i, size_t c) { return value(x[i]) - pivot[c]; });
  };
  add();
  const auto count = static_cast<float>((end - begin) * s.inner);
  for (int64_t c = 0; c < s.channels; ++c) mean[c] = pivot[c] + mean[c] / count;
}

template <class T>
void block_squares(const BatchNormShape& s, const T* x, int64_t begin, int64_t end, const float* mean, float* sum) {
  if constexpr (is_float<T>) {
    if (s.inner == 1)
      return HWY_DYNAMIC_DISPATCH(row_squares)(x + begin * s.channels, end - begin, s.channels, mean, sum);
  }
  std::fill_n(sum, s.channels, 0.0f);
  add_elements(s, begin, end, sum, [&](int64_t i, size_t c) {
    const float v = value(x[i]) - mean[c];
    return v * v;
  });
}

}  // namespace

// Each block's mean and squares about it, then put together pair by pair (Chan, Golub and LeVeque 1979), which loses
// nothing where the mean is large, in one sweep over memory.
template <class T> void batch_moments(const BatchNormShape& s, const T* x, float* mean, float* variance) {
  const auto channels = static_cast<size_t>(s.channels);
  if (s.per_channel() == 0) {
    std::fill_n(mean, channels, std::numeric_limits<float>::quiet_NaN());
    std::fill_n(variance, channels, std::numeric_limits<float>::quiet_NaN());
    return;
  }
  const Blocks blocks = blocks_of(s);
  std::vector<float> means(channels * static_cast<size_t>(blocks.count)), squares(means.size());
  parallel_for(blocks.count, 2 * row_cost(s) * static_cast<double>(blocks.rows), [&](int64_t first, int64_t last) {
    std::vector<float> pivot(channels);
    for (int64_t b = first; b < last; ++b) {
      const int64_t begin = b * blocks.rows, end = std::min(s.outer, begin + blocks.rows);
      float *m = means.data() + b * s.channels, *q = squares.data() + b * s.channels;
      block_means(s, x, begin, end, pivot.data(), m);
      block_squares(s, x, begin, end, m, q);
    }
  });
  for (size_t c = 0; c < channels; ++c) {
    double total = 0, m = 0, q = 0;
    for (int64_t b = 0; b < blocks.count; ++b) {
      const size_t at = static_cast<size_t>(b) * channels + c;
      const auto n = static_cast<double>((std::min(s.outer, (b + 1) * blocks.rows) - b * blocks.rows) * s.inner);
      const double off = means[at] - m;
      q += squares[at] + off * off * total * n / (total + n);
      m += off * n / (total + n);
      total += n;
    }
    mean[c] = static_cast<float>(m);
    variance[c] = static_cast<float>(q / total);
  }
}

template <class T> void batch_normalize(const BatchNormShape& s, const T* x, const Normalize<T>& how, T* y) {
  parallel_for(s.outer, row_cost(s), [&](int64_t begin, int64_t end) {
    if constexpr (is_float<T>) {
      if (s.inner == 1) {
        const int64_t at = begin * s.channels;
        Normalize<float> part = how;
        if (how.side) part.side = how.side + at;
        return HWY_DYNAMIC_DISPATCH(row_normalize)(x + at, end - begin, s.channels, part, y + at);
      }
    }
    for_each_element(s, begin, end, [&](int64_t i, size_t c) {
      float v = (value(x[i]) - how.mean[c]) * how.factor[c] + how.offset[c];
      if (how.side) v += value(how.side[i]);
      y[i] = static_cast<T>(how.relu && v < 0 ? 0.0f : v);
    });
  });
}

template <class T>
void batch_norm_grad_sums(const BatchNormShape& s, const T* dy, const T* x, const float* mean, float* sum_dy,
                          float* sum_dy_x) {
  const auto channels = static_cast<size_t>(s.channels);
  const Blocks blocks = blocks_of(s);
  std::vector<float> sums(channels * static_cast<size_t>(blocks.count)), products(sums.size());
  parallel_for(blocks.count, 2 * row_cost(s) * static_cast<double>(blocks.rows), [&](int64_t first, int64_t last) {
    for (int64_t b = first; b < last; ++b) {
      const int64_t begin = b * blocks.rows, end = std::min(s.outer, begin + blocks.rows);
      float *sum = sums.data() + b * s.channels, *product = products.data() + b * s.channels;
      if constexpr (is_float<T>) {
        if (s.inner == 1) {
          const int64_t at = begin * s.channels;
          HWY_DYNAMIC_DISPATCH(row_grad_sums)(dy + at, x + at, end - begin, s.channels, mean, sum, product);
          continue;
        }
      }
      add_elements(s, begin, end, sum, [&](int64_t i, size_t) { return value(dy[i]); });
      add_elements(s, begin, end, product, [&](int64_t i, size_t c) { return value(dy[i]) * (value(x[i]) - mean[c]); });
    }
  });
  for (size_t c = 0; c < channels; ++c) {
    double sum = 0, product = 0;
    for (size_t b = 0; b < static_cast<size_t>(blocks.count); ++b) {
      sum += sums[b * channels + c];
      product += products[b * channels + c];
    }
    sum_dy[c] = static_cast<float>(sum);
    sum_dy_x[c] = static_cast<float>(product);
  }
}

template <class T>
void batch_norm_grad_input(const BatchNormShape& s, const T* dy, const T* x, const InputGrad<T>& how, T* dx) {
  parallel_for(s.outer, row_cost(s), [&](int64_t begin, int64_t end) {
    if constexpr (is_float<T>) {
      if (s.inner == 1) {
        const int64_t at = begin * s.channels;
        return HWY_DYNAMIC_DISPATCH(row_grad_input)(dy + at, x + at, end - begin, s.channels, how, dx + at);
      }
    }
    for_each_element(s, begin, end, [&](int64_t i, size_t c) {
      dx[i] = static_cast<T>(how.a[c] * value(dy[i]) - how.b[c] - how.c[c] * (value(x[i]) - how.mean[c]));
    });
  });
}

#define MR_INSTANTIATE(T)                                                                                         \
  template void batch_moments<T>(const BatchNormShape&, const T*, float*, float*);                                \
  template void batch_normalize<T>(const BatchNormShape&, const T*, const Normalize<T>&, T*);                     \
  template void batch_norm_grad_sums<T>(const BatchNormShape&, const T*, const T*, const float*, float*, float*); \
  template void batch_norm_grad_input<T>(const BatchNormShape&, const T*, const T*, const InputGrad<T>&, T*);
MR_INSTANTIATE(Half)
MR_INSTANTIATE(BFloat16)
MR_INSTANTIATE(float)
#undef MR_INSTANTIATE

}  // namespace millrace
#endif  // HWY_ONCE
