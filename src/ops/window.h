#pragma once
// What convolutions and pooling share: the attributes that say how a window slides over an image, and where it then
// lies. Tensors are [batch, spatial..., channels], or [batch, channels, spatial...] for a data_format of "NC...".

#include <string>
#include <vector>

#include "kernels/window.h"
#include "op/kernel.h"
#include "op/shape_context.h"

namespace millrace {

enum class Padding { kValid, kSame, kExplicit };

struct WindowAttrs {
  int spatial = 2;  // dimensions that the window slides over
  bool channels_first = false;
  Padding padding = Padding::kValid;
  // One value per dimension of the tensor; window is empty for convolutions, whose filter says it.
  std::vector<int64_t> window, strides, dilations;
  std::vector<int64_t> explicit_paddings;  // two values per dimension; empty unless padding is kExplicit

  int rank() const { return spatial + 2; }
  int channel() const { return channels_first ? 1 : spatial + 1; }
  int dim(int i) const { return (channels_first ? 2 : 1) + i; }  // of spatial dimension i
};

// The attributes strides, padding and, where the op has them, ksize, dilations, explicit_paddings and data_format.
// InvalidArgument for a wrong number of values, values below 1 (strides, dilations) or above 2^31 - 1.
absl::StatusOr<WindowAttrs> window_attrs(const NodeInfo& node);
// The same for ops that take window and strides as inputs.
absl::Status set_window(std::string_view op, std::vector<int64_t> window, std::vector<int64_t> strides, WindowAttrs* a);
// Unimplemented where the window or its steps reach over batch or channels, which no kernel does.
absl::Status check_kernel_can(const NodeInfo& node, const WindowAttrs& a);

// Where a window of `window` elements lies on spatial dimension i. InvalidArgument where the output size would be
// negative; as in TensorFlow's kernels, a window that is a little too large gives an output size of 0 instead.
absl::StatusOr<WindowDim> place_window(const WindowAttrs& a, int i, int64_t input, int64_t window);
// The output size, -1 where either size is unknown. While a node is made no window may be larger than its input.
absl::StatusOr<int64_t> output_size(const WindowAttrs& a, int i, int64_t input, int64_t window);

// An attribute list as a gradient op takes it over.
AttrMap copied_attrs(const NodeInfo& node, std::initializer_list<std::string_view> names);

}  // namespace millrace
