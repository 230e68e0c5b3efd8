#pragma once
// Convolutions over one to three spatial dimensions and their gradients: oneDNN for float where it has a fast way,
// plain loops for the other types and shapes.

#include <array>
#include <cstdint>

#include "kernels/onednn.h"
#include "kernels/window.h"

namespace millrace {

// Input [batch, spatial..., in_channels] and output [batch, spatial..., out_channels], or with the channels after the
// batch; filter [spatial..., in_channels / groups, out_channels], where output channel o sees the inputs of group
// o / (out_channels / groups). A depthwise convolution is one of in_channels groups. Fewer than three spatial
// dimensions leave the first ones at 1. All sizes are positive.
struct ConvShape {
  int64_t batch = 1, in_channels = 1, out_channels = 1, groups = 1;
  std::array<WindowDim, 3> dims;
  bool channels_first = false;

  // What follows in one sweep: y = activation(x * w + bias + side), forward and float only.
  bool has_bias = false, has_side = false;
  Activation activation = Activation::kNone;
  float alpha = 0;  // of leaky ReLU

  int64_t input_positions() const { return dims[0].input * dims[1].input * dims[2].input; }
  int64_t output_positions() const { return dims[0].output * dims[1].output * dims[2].output; }
  int64_t window_size() const { return dims[0].window * dims[1].window * dims[2].window; }
  int64_t group_inputs() const { return in_channels / groups; }
  int64_t group_outputs() const { return out_channels / groups; }

  friend bool operator==(const ConvShape&, const ConvShape&) = default;
  template <class H> friend H AbslHashValue(H h, const ConvShape& s) {
    return H::combine(std::move(h), s.batch, s.in_channels, s.out_channels, s.groups, s.dims, s.channels_first,
                      s.has_bias, s.has_side, static_cast<int>(s.activation), s.alpha);
  }
};

// Where bias and side are not part of the shape they are null. With `side`, y may be the same memory.
absl::Status convolve(const ConvShape& shape, const float* x, const float* w, const float* bias, const float* side,
                      float* y);
template <class T> absl::Status convolve(const ConvShape& shape, const T* x, const T* w, T* y);
template <class T> absl::Status convolve_input_grad(const ConvShape& shape, const T* w, const T* dy, T* dx);
template <class T> absl::Status convolve_filter_grad(const ConvShape& shape, const T* x, const T* dy, T* dw);

// The plain loops, which the fast ways are tested against. Half and bfloat16 add up in float, int32 wraps.
template <class T> void plain_convolve(const ConvShape& shape, const T* x, const T* w, T* y);
template <class T> void plain_convolve_input_grad(const ConvShape& shape, const T* w, const T* dy, T* dx);
template <class T> void plain_convolve_filter_grad(const ConvShape& shape, const T* x, const T* dy, T* dw);

}  // namespace millrace
