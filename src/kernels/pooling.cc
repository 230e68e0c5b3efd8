#include "kernels/pooling.h"

#include <algorithm>
#include <type_traits>
#include <vector>

#include "kernels/number.h"
#include "kernels/parallel.h"
#include "kernels/pooling_rows.h"

namespace millrace {
namespace {

template <class T> using Sum = std::conditional_t<is_half<T>, float, T>;

// The input positions that the window meets at a flat output position, in order.
void positions_at(const PoolShape& s, int64_t o, std::vector<int64_t>* positions) {
  const auto& [D, H, W] = s.dims;
  const int64_t od = o / (H.output * W.output), oh = o / W.output % H.output, ow = o % W.output;
  const auto td = D.taps(od), th = H.taps(oh), tw = W.taps(ow);
  positions->clear();
  for (int64_t kd = td.begin; kd < td.end; ++kd) {
    for (int64_t kh = th.begin; kh < th.end; ++kh) {
      const int64_t d = D.start(od) + kd * D.dilation, h = H.start(oh) + kh * H.dilation;
      const int64_t row = (d * H.input + h) * W.input + W.start(ow);
      for (int64_t kw = tw.begin; kw < tw.end; ++kw) positions->push_back(row + kw * W.dilation);
    }
  }
}

// About the nanoseconds that one output position takes.
double window_cost(const PoolShape& s) {
  double elements = 1;
  for (const WindowDim& d : s.dims) elements *= static_cast<double>(std::min(d.window, d.input));
  return elements * (static_cast<double>(s.channels) / 4 + 1) + 5;
}

// fn(image, output position, positions of the input) for all windows. Images are not split where `whole_images`, for
// those who write to the input's side, where windows overlap.
template <class Fn> void for_each_window(const PoolShape& s, bool whole_images, Fn&& fn) {
  const int64_t outputs = s.output_positions(), step = whole_images ? outputs : 1;
  parallel_for(s.batch * outputs / step, window_cost(s) * static_cast<double>(step), [&](int64_t begin, int64_t end) {
    std::vector<int64_t> positions;
    for (int64_t at = begin * step; at < end * step; ++at) {
      positions_at(s, at % outputs, &positions);
      fn(at / outputs, at % outputs, positions);
    }
  });
}

// For each channel the window's maximum, and which of the positions holds it.
template <class T> struct Maxima {
  explicit Maxima(int64_t channels) : value(static_cast<size_t>(channels)), index(static_cast<size_t>(channels)) {}
  void find(const T* image, const std::vector<int64_t>& positions) {
    const int64_t n = static_cast<int64_t>(value.size());
    T* v = value.data();
    int32_t* at = index.data();
    std::copy_n(image + positions[0] * n, n, v);
    std::fill_n(at, n, 0);
    for (size_t i = 1; i < positions.size(); ++i) {
      const T* x = image + positions[i] * n;
      const auto which = static_cast<int32_t>(i);
      for (int64_t c = 0; c < n; ++c) {
        const bool above = number_less(v[c], x[c]);
        v[c] = above ? x[c] : v[c];
        at[c] = above ? which : at[c];
      }
    }
  }
  std::vector<T> value;
  std::vector<int32_t> index;
};

// Calls fn(image, output position, positions, maxima); for the ways that need to know where the maxima lie.
template <class T, class Fn> void for_each_maximum(const PoolShape& s, bool whole_images, const T* x, Fn&& fn) {
  const int64_t outputs = s.output_positions(), step = whole_images ? outputs : 1;
  const int64_t image_size = s.input_positions() * s.channels;
  parallel_for(s.batch * outputs / step, window_cost(s) * static_cast<double>(step), [&](int64_t begin, int64_t end) {
    std::vector<int64_t> positions;
    Maxima<T> maxima(s.channels);
    for (int64_t at = begin * step; at < end * step; ++at) {
      positions_at(s, at % outputs, &positions);
      maxima.find(x + at / outputs * image_size, positions);
      fn(at / outputs, at % outputs, positions, maxima);
    }
  });
}

// The rows of channels at these positions of an image.
template <class T>
void rows_at(T* image, int64_t channels, const std::vector<int64_t>& positions, std::vector<T*>* rows) {
  rows->clear();
  for (const int64_t p : positions) rows->push_back(image + p * channels);
}

void max_pool_float(const PoolShape& s, const float* x, float* y) {
  const int64_t n = s.channels, image_size = s.input_positions() * n, outputs = s.output_positions();
  for_each_window(s, false, [&](int64_t image, int64_t o, const std::vector<int64_t>& positions) {
    thread_local std::vector<const float*> rows;
    rows_at(x + image * image_size, n, positions, &rows);
    max_of_rows(rows.data(), static_cast<int64_t>(rows.size()), n, y + (image * outputs + o) * n);
  });
}

// True if the windows lie side by side and cover the image, so that each position belongs to one of them.
bool is_tiled(const PoolShape& s) {
  return std::ranges::all_of(s.dims, [](const WindowDim& d) {
    return d.stride == d.window && d.pad_before == 0 && d.pad_after == 0 && d.output * d.window == d.input;
  });
}

void max_pool_grad_float(const PoolShape& s, const float* x, const float* dy, float* dx) {
  const int64_t n = s.channels, image_size = s.input_positions() * n, outputs = s.output_positions();
  const bool sets = is_tiled(s);
  const auto route = [&](int64_t image, int64_t o, const std::vector<int64_t>& positions) {
    thread_local std::vector<const float*> rows;
    thread_local std::vector<float*> to;
    rows_at(x + image * image_size, n, positions, &rows);
    rows_at(dx + image * image_size, n, positions, &to);
    route_to_maximum(rows.data(), static_cast<int64_t>(rows.size()), n, dy + (image * outputs + o) * n, to.data(),
                     sets);
  };
  if (!sets) std::fill_n(dx, s.batch * image_size, 0.0f);
  for_each_window(s, !sets, route);
}

// Below this the calls cost more than the vectors save.
constexpr int64_t kMinVectorChannels = 4;

}  // namespace

template <class T> void max_pool(const PoolShape& s, const T* x, T* y) {
  const int64_t n = s.channels;
  if constexpr (std::is_same_v<T, float>) {
    if (n >= kMinVectorChannels) return max_pool_float(s, x, y);
  }
  for_each_window(s, false, [&](int64_t image, int64_t o, const std::vector<int64_t>& positions) {
    T* to = y + (image * s.output_positions() + o) * n;
    std::fill_n(to, n, lowest_number<T>());
    for (const int64_t p : positions) {
      const T* from = x + (image * s.input_positions() + p) * n;
      for (int64_t c = 0; c < n; ++c) to[c] = number_less(to[c], from[c]) ? from[c] : to[c];
    }
  });
}

template <class T> void max_pool_with_argmax(const PoolShape& s, const T* x, T* y, int64_t* argmax) {
  const int64_t n = s.channels;
  for_each_maximum(s, false, x, [&](int64_t image, int64_t o, const std::vector<int64_t>& positions, const auto& m) {
    const int64_t at = (image * s.output_positions() + o) * n;
    for (int64_t c = 0; c < n; ++c) {
      y[at + c] = m.value[static_cast<size_t>(c)];
      argmax[at + c] = positions[static_cast<size_t>(m.index[static_cast<size_t>(c)])] * n + c;
    }
  });
}

template <class T> void max_pool_grad(const PoolShape& s, const T* x, const T* dy, T* dx) {
  const int64_t n = s.channels;
  if constexpr (std::is_same_v<T, float>) {
    if (n >= kMinVectorChannels && s.input_positions() <= kMaxRoutedRows) return max_pool_grad_float(s, x, dy, dx);
  }
  std::fill_n(dx, s.batch * s.input_positions() * n, T{});
  for_each_maximum(s, true, x, [&](int64_t image, int64_t o, const std::vector<int64_t>& positions, const auto& m) {
    const T* from = dy + (image * s.output_positions() + o) * n;
    const int32_t* index = m.index.data();
    for (size_t i = 0; i < positions.size(); ++i) {
      T* to = dx + (image * s.input_positions() + positions[i]) * n;
      const auto which = static_cast<int32_t>(i);
      for (int64_t c = 0; c < n; ++c) to[c] = Add::apply(to[c], index[c] == which ? from[c] : T{});
    }
  });
}

template <class T> void max_pool_grad_grad(const PoolShape& s, const T* x, const T* ddx, T* ddy) {
  const int64_t n = s.channels;
  for_each_maximum(s, false, x, [&](int64_t image, int64_t o, const std::vector<int64_t>& positions, const auto& m) {
    T* to = ddy + (image * s.output_positions() + o) * n;
    for (int64_t c = 0; c < n; ++c) {
      const int64_t p = positions[static_cast<size_t>(m.index[static_cast<size_t>(c)])];
      to[c] = ddx[(image * s.input_positions() + p) * n + c];
    }
  });
}

template <class T> void avg_pool(const PoolShape& s, const T* x, T* y) {
  const int64_t n = s.channels;
  for_each_window(s, false, [&](int64_t image, int64_t o, const std::vector<int64_t>& positions) {
    std::vector<Sum<T>> sums(static_cast<size_t>(n));
    for (const int64_t p : positions) {
      const T* from = x + (image * s.input_positions() + p) * n;
      for (int64_t c = 0; c < n; ++c) sums[static_cast<size_t>(c)] += static_cast<Sum<T>>(from[c]);
    }
    const auto count = static_cast<Sum<T>>(positions.size());
    T* to = y + (image * s.output_positions() + o) * n;
    for (int64_t c = 0; c < n; ++c) to[c] = static_cast<T>(sums[static_cast<size_t>(c)] / count);
  });
}

template <class T> void avg_pool_grad(const PoolShape& s, const T* dy, T* dx) {
  const int64_t n = s.channels;
  std::fill_n(dx, s.batch * s.input_positions() * n, T{});
  for_each_window(s, true, [&](int64_t image, int64_t o, const std::vector<int64_t>& positions) {
    const T* from = dy + (image * s.output_positions() + o) * n;
    const auto count = static_cast<Sum<T>>(positions.size());
    for (const int64_t p : positions) {
      T* to = dx + (image * s.input_positions() + p) * n;
      for (int64_t c = 0; c < n; ++c)
        to[c] = static_cast<T>(static_cast<Sum<T>>(to[c]) + static_cast<Sum<T>>(from[c]) / count);
    }
  });
}

#define MR_MAX(T)                                                                  \
  template void max_pool<T>(const PoolShape&, const T*, T*);                       \
  template void max_pool_with_argmax<T>(const PoolShape&, const T*, T*, int64_t*); \
  template void max_pool_grad<T>(const PoolShape&, const T*, const T*, T*);        \
  template void max_pool_grad_grad<T>(const PoolShape&, const T*, const T*, T*);
#define MR_AVG(T)                                            \
  template void avg_pool<T>(const PoolShape&, const T*, T*); \
  template void avg_pool_grad<T>(const PoolShape&, const T*, T*);
MR_MAX(Half)
MR_MAX(BFloat16)
MR_MAX(float)
MR_MAX(double)
MR_MAX(int8_t)
MR_MAX(int16_t)
MR_MAX(int32_t)
MR_MAX(int64_t)
MR_MAX(uint8_t)
MR_MAX(uint16_t)
MR_MAX(uint32_t)
MR_MAX(uint64_t)
MR_AVG(Half)
MR_AVG(BFloat16)
MR_AVG(float)
MR_AVG(double)
#undef MR_MAX
#undef MR_AVG

}  // namespace millrace
