#pragma once
// How a window slides over one spatial dimension of a convolution or a pooling.

#include <algorithm>
#include <cstdint>
#include <utility>

namespace millrace {

// All sizes are >= 0, stride and dilation in [1, 2^31), and nothing below overflows where `output` was computed from
// the rest (place_window of src/ops/window.h).
struct WindowDim {
  int64_t input = 1, window = 1, output = 1;
  int64_t stride = 1, dilation = 1;
  int64_t pad_before = 0, pad_after = 0;

  // Where the window's first element lies at output position o; negative inside the padding.
  int64_t start(int64_t o) const { return o * stride - pad_before; }
  // The elements [begin, end) of the window at o that lie inside the input.
  struct Taps {
    int64_t begin, end;
  };
  Taps taps(int64_t o) const {
    const int64_t s = start(o);
    const int64_t begin = s < 0 ? (-s + dilation - 1) / dilation : 0;
    const int64_t end = s >= input ? 0 : std::min(window, (input - 1 - s) / dilation + 1);
    return {std::min(begin, end), end};
  }

  friend bool operator==(const WindowDim&, const WindowDim&) = default;
  template <class H> friend H AbslHashValue(H h, const WindowDim& d) {
    return H::combine(std::move(h), d.input, d.window, d.output, d.stride, d.dilation, d.pad_before, d.pad_after);
  }
};

}  // namespace millrace
