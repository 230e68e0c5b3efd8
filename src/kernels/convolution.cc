#include "kernels/convolution.h"

#include <cstring>
#include <type_traits>
#include <vector>

#include "kernels/gemm.h"
#include "kernels/number.h"
#include "kernels/onednn_conv.h"
#include "kernels/parallel.h"

namespace millrace {
namespace {

// What sums are kept in.
template <class T> struct SumOf { using type = T; };
template <> struct SumOf<Half> { using type = float; };
template <> struct SumOf<BFloat16> { using type = float; };
template <> struct SumOf<int32_t> { using type = uint32_t; };
template <class T> using Sum = typename SumOf<T>::type;

// Distances in elements of an activation tensor: from one image, position or channel to the next.
struct Steps {
  int64_t image, position, channel;
};
Steps steps(const ConvShape& s, int64_t channels, int64_t positions) {
  return s.channels_first ? Steps{channels * positions, 1, positions} : Steps{channels * positions, channels, 1};
}
Steps input_steps(const ConvShape& s) { return steps(s, s.in_channels, s.input_positions()); }
Steps output_steps(const ConvShape& s) { return steps(s, s.out_channels, s.output_positions()); }

struct Position {
  int64_t d, h, w;
};
Position output_position(const ConvShape& s, int64_t flat) {
  return {flat / (s.dims[1].output * s.dims[2].output), flat / s.dims[2].output % s.dims[1].output,
          flat % s.dims[2].output};
}

// fn(k, p) for each element k of the window at an output position that lies on an input position p.
template <class Fn> void for_each_tap(const ConvShape& s, Position o, Fn&& fn) {
  const auto& [D, H, W] = s.dims;
  const auto td = D.taps(o.d), th = H.taps(o.h), tw = W.taps(o.w);
  for (int64_t kd = td.begin; kd < td.end; ++kd) {
    const int64_t d = D.start(o.d) + kd * D.dilation;
    for (int64_t kh = th.begin; kh < th.end; ++kh) {
      const int64_t row = (d * H.input + H.start(o.h) + kh * H.dilation) * W.input;
      const int64_t k = (kd * H.window + kh) * W.window;
      for (int64_t kw = tw.begin; kw < tw.end; ++kw) fn(k + kw, row + W.start(o.w) + kw * W.dilation);
    }
  }
}

double loop_cost(const ConvShape& s) {
  return static_cast<double>(s.window_size() * s.group_inputs()) * static_cast<double>(s.out_channels) / 4 + 1;
}

// sums[o] += x w over the input channels of one window element; wk is the filter there.
template <class T> void add_products(const ConvShape& s, const T* x, int64_t step, const T* wk, Sum<T>* sums) {
  const int64_t inputs = s.group_inputs(), outputs = s.group_outputs();
  for (int64_t g = 0; g < s.groups; ++g) {
    for (int64_t i = 0; i < inputs; ++i) {
      const auto v = static_cast<Sum<T>>(x[(g * inputs + i) * step]);
      const T* row = wk + i * s.out_channels + g * outputs;
      Sum<T>* to = sums + g * outputs;
      for (int64_t o = 0; o < outputs; ++o) to[o] += v * static_cast<Sum<T>>(row[o]);
    }
  }
}

template <class T> Sum<T> product(const T* w, const T* dy, int64_t step, int64_t n) {
  Sum<T> sum{};
  for (int64_t o = 0; o < n; ++o) sum += static_cast<Sum<T>>(w[o]) * static_cast<Sum<T>>(dy[o * step]);
  return sum;
}

// After the loops of what oneDNN does in one sweep.
void finish(const ConvShape& s, const float* bias, const float* side, float* y) {
  const int64_t n = s.batch * s.output_positions() * s.out_channels;
  const int64_t positions = s.output_positions();
  for (int64_t i = 0; i < n; ++i) {
    if (bias) y[i] += bias[s.channels_first ? i / positions % s.out_channels : i % s.out_channels];
    if (side) y[i] += side[i];
  }
  apply_activation(s.activation, s.alpha, {y, static_cast<size_t>(n)});
}

}  // namespace

template <class T> void plain_convolve(const ConvShape& s, const T* x, const T* w, T* y) {
  const Steps in = input_steps(s), out = output_steps(s);
  const int64_t positions = s.output_positions();
  parallel_for(s.batch * positions, loop_cost(s), [&](int64_t begin, int64_t end) {
    std::vector<Sum<T>> sums(static_cast<size_t>(s.out_channels));
    for (int64_t at = begin; at < end; ++at) {
      const T* image = x + at / positions * in.image;
      std::fill(sums.begin(), sums.end(), Sum<T>{});
      for_each_tap(s, output_position(s, at % positions), [&](int64_t k, int64_t p) {
        add_products(s, image + p * in.position, in.channel, w + k * s.group_inputs() * s.out_channels, sums.data());
      });
      T* to = y + at / positions * out.image + at % positions * out.position;
      for (int64_t o = 0; o < s.out_channels; ++o) to[o * out.channel] = static_cast<T>(sums[static_cast<size_t>(o)]);
    }
  });
}

template <class T> void plain_convolve_input_grad(const ConvShape& s, const T* w, const T* dy, T* dx) {
  const Steps in = input_steps(s), out = output_steps(s);
  const int64_t positions = s.output_positions(), inputs = s.group_inputs(), outputs = s.group_outputs();
  // By images, as windows of one image overlap.
  parallel_for(s.batch, loop_cost(s) * static_cast<double>(positions), [&](int64_t begin, int64_t end) {
    std::vector<Sum<T>> sums(static_cast<size_t>(in.image));
    for (int64_t n = begin; n < end; ++n) {
      std::fill(sums.begin(), sums.end(), Sum<T>{});
      for (int64_t at = 0; at < positions; ++at) {
        const T* from = dy + n * out.image + at * out.position;
        for_each_tap(s, output_position(s, at), [&](int64_t k, int64_t p) {
          for (int64_t c = 0; c < s.in_channels; ++c) {
            const int64_t first = c / inputs * outputs;  // output channel
            const T* row = w + (k * inputs + c % inputs) * s.out_channels + first;
            sums[static_cast<size_t>(p * in.position + c * in.channel)] +=
                product(row, from + first * out.channel, out.channel, outputs);
          }
        });
      }
      for (int64_t i = 0; i < in.image; ++i) dx[n * in.image + i] = static_cast<T>(sums[static_cast<size_t>(i)]);
    }
  });
}

template <class T> void plain_convolve_filter_grad(const ConvShape& s, const T* x, const T* dy, T* dw) {
  const Steps in = input_steps(s), out = output_steps(s);
  const int64_t positions = s.output_positions(), inputs = s.group_inputs(), outputs = s.group_outputs();
  // By input channels of a group: each sum has one owner, and one order whatever the number of threads.
  const double cost = static_cast<double>(s.window_size() * s.batch * positions * s.out_channels);
  parallel_for(inputs, cost, [&](int64_t begin, int64_t end) {
    std::vector<Sum<T>> sums(static_cast<size_t>(s.window_size() * s.out_channels));
    for (int64_t i = begin; i < end; ++i) {
      std::fill(sums.begin(), sums.end(), Sum<T>{});
      for (int64_t at = 0; at < s.batch * positions; ++at) {
        const T* image = x + at / positions * in.image;
        const T* from = dy + at / positions * out.image + at % positions * out.position;
        for_each_tap(s, output_position(s, at % positions), [&](int64_t k, int64_t p) {
          Sum<T>* to = sums.data() + k * s.out_channels;
          for (int64_t o = 0; o < s.out_channels; ++o) {
            const int64_t c = o / outputs * inputs + i;
            to[o] += static_cast<Sum<T>>(image[p * in.position + c * in.channel]) *
                     static_cast<Sum<T>>(from[o * out.channel]);
          }
        });
      }
      for (int64_t k = 0; k < s.window_size(); ++k)
        for (int64_t o = 0; o < s.out_channels; ++o)
          dw[(k * inputs + i) * s.out_channels + o] = static_cast<T>(sums[static_cast<size_t>(k * s.out_channels + o)]);
    }
  });
}

absl::Status convolve(const ConvShape& s, const float* x, const float* w, const float* bias, const float* side,
                      float* y) {
  MR_ASSIGN_OR_RETURN(const bool done, onednn_convolve(s, x, w, bias, side, y));
  if (done) return absl::OkStatus();
  std::vector<float> kept;  // y may be `side`
  if (side == y && side != nullptr) {
    kept.assign(side, side + s.batch * s.output_positions() * s.out_channels);
    side = kept.data();
  }
  plain_convolve(s, x, w, y);
  if (s.has_bias || s.has_side || s.activation != Activation::kNone) finish(s, bias, side, y);
  return absl::OkStatus();
}

template <class T> absl::Status convolve(const ConvShape& s, const T* x, const T* w, T* y) {
  if constexpr (std::is_same_v<T, float>) return convolve(s, x, w, nullptr, nullptr, y);
  plain_convolve(s, x, w, y);
  return absl::OkStatus();
}

template <class T> absl::Status convolve_input_grad(const ConvShape& s, const T* w, const T* dy, T* dx) {
  if constexpr (std::is_same_v<T, float>) {
    MR_ASSIGN_OR_RETURN(const bool done, onednn_convolve_input_grad(s, w, dy, dx));
    if (done) return absl::OkStatus();
  }
  plain_convolve_input_grad(s, w, dy, dx);
  return absl::OkStatus();
}

template <class T> absl::Status convolve_filter_grad(const ConvShape& s, const T* x, const T* dy, T* dw) {
  if constexpr (std::is_same_v<T, float>) {
    MR_ASSIGN_OR_RETURN(const bool done, onednn_convolve_filter_grad(s, x, dy, dw));
    if (done) return absl::OkStatus();
  }
  plain_convolve_filter_grad(s, x, dy, dw);
  return absl::OkStatus();
}

#define MR_INSTANTIATE(T)                                                                 \
  template void plain_convolve<T>(const ConvShape&, const T*, const T*, T*);              \
  template void plain_convolve_input_grad<T>(const ConvShape&, const T*, const T*, T*);   \
  template void plain_convolve_filter_grad<T>(const ConvShape&, const T*, const T*, T*);  \
  template absl::Status convolve<T>(const ConvShape&, const T*, const T*, T*);            \
  template absl::Status convolve_input_grad<T>(const ConvShape&, const T*, const T*, T*); \
  template absl::Status convolve_filter_grad<T>(const ConvShape&, const T*, const T*, T*);
MR_INSTANTIATE(Half)
MR_INSTANTIATE(BFloat16)
MR_INSTANTIATE(float)
MR_INSTANTIATE(double)
MR_INSTANTIATE(int32_t)
#undef MR_INSTANTIATE

}  // namespace millrace
