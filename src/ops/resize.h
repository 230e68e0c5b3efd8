#pragma once
// What the image resizing families share: the checks of sizes, the scale, and where an output position falls in the
// input. Images are [batch, height, width, channels]; positions are computed in float, as TensorFlow does, so that
// rounding falls on the same pixel.

#include <vector>

#include "op/kernel.h"
#include "op/shape_context.h"
#include "tensor/shape.h"

namespace millrace {

// Which input position an output position stands for. kCorners: first and last pixels map to each other; kCenters:
// pixels are areas, and their centers map; kTopLeft: TF1's default, pixel 0 stays and the rest is scaled.
enum class PixelMapping { kTopLeft, kCorners, kCenters };

// From the attributes align_corners and half_pixel_centers; InvalidArgument where both are set.
absl::StatusOr<PixelMapping> pixel_mapping(const KernelInit& init);

struct ResizeSizes {
  int64_t batch = 0, in_height = 0, in_width = 0, channels = 0, out_height = 0, out_width = 0;
  TensorShape output;
  bool same_size() const { return in_height == out_height && in_width == out_width; }
};

// Of an image in input 0 and a vector [height, width] in input 1. Sizes are positive where the status is ok.
absl::StatusOr<ResizeSizes> resize_sizes(KernelContext& ctx);
// Of a gradient in input 0 that is brought back to the size of the image in input 1: "in" is the image.
absl::StatusOr<ResizeSizes> resize_gradient_sizes(KernelContext& ctx);

float resize_scale(int64_t in_size, int64_t out_size, PixelMapping mapping);

inline float input_position(int64_t out, float scale, PixelMapping mapping) {
  if (mapping == PixelMapping::kCenters) return (static_cast<float>(out) + 0.5f) * scale - 0.5f;
  return static_cast<float>(out) * scale;
}

// Output 0: input 0 with the height and width that input 1 says.
absl::Status resize_shape(ShapeContext& c);
// Output 0 like input 1.
absl::Status resize_gradient_shape(ShapeContext& c);

// where(i, scale, mapping, in_size) for each pixel i of a row or column of out_size pixels.
template <class Where> auto for_each_pixel(int64_t in_size, int64_t out_size, PixelMapping mapping, Where where) {
  const float scale = resize_scale(in_size, out_size, mapping);
  std::vector<decltype(where(int64_t{}, scale, mapping, in_size))> all(static_cast<size_t>(out_size));
  for (int64_t i = 0; i < out_size; ++i) all[static_cast<size_t>(i)] = where(i, scale, mapping, in_size);
  return all;
}

}  // namespace millrace
