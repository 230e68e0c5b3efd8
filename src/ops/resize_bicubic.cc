// Images resized with Keys's cubic convolution, or by averaging areas.
//
// R. Keys, "Cubic convolution interpolation for digital image processing", 1981. TensorFlow's kernel has a = -0.75
// and repeats pixels beyond the border; with half_pixel_centers a = -0.5 and such pixels have no weight.

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "kernels/elements.h"
#include "kernels/parallel.h"
#include "op/gradient_context.h"
#include "ops/resize.h"

namespace millrace {
namespace {

// Weights are read from a table of this many steps per pixel: with other weights results would differ from
// TensorFlow's in the fourth digit.
constexpr int64_t kTableSize = 1 << 10;

class CubicTable {
 public:
  explicit CubicTable(double a) {
    for (int64_t i = 0; i <= kTableSize; ++i) {
      const double x = static_cast<double>(i) / kTableSize;
      near_[static_cast<size_t>(i)] = static_cast<float>(((a + 2) * x - (a + 3)) * x * x + 1);
      const double y = x + 1;
      far_[static_cast<size_t>(i)] = static_cast<float>(((a * y - 5 * a) * y + 8 * a) * y - 4 * a);
    }
  }
  // The weight of a pixel at a distance of step / kTableSize, or one more than that.
  float near(int64_t step) const { return near_[static_cast<size_t>(step)]; }
  float far(int64_t step) const { return far_[static_cast<size_t>(step)]; }

 private:
  std::array<float, kTableSize + 1> near_, far_;
};

const CubicTable& cubic_table(PixelMapping mapping) {
  static const CubicTable keys(-0.5), repeating(-0.75);
  return mapping == PixelMapping::kCenters ? keys : repeating;
}

// Four neighbouring input positions and their weights.
struct Taps {
  std::array<int64_t, 4> index;
  std::array<float, 4> weight;
};

Taps taps_at(int64_t out, float scale, PixelMapping mapping, int64_t in_size) {
  const CubicTable& table = cubic_table(mapping);
  const float position = input_position(out, scale, mapping);
  const float floor = std::floor(position);
  const auto first = static_cast<int64_t>(floor) - 1;
  const auto step = std::clamp<int64_t>(std::lrintf((position - floor) * kTableSize), 0, kTableSize);
  Taps taps;
  taps.weight = {table.far(step), table.near(step), table.near(kTableSize - step), table.far(kTableSize - step)};
  for (int64_t i = 0; i < 4; ++i) taps.index[static_cast<size_t>(i)] = std::clamp<int64_t>(first + i, 0, in_size - 1);
  if (mapping != PixelMapping::kCenters) return taps;
  float sum = 0;
  for (size_t i = 0; i < 4; ++i) {
    if (taps.index[i] != first + static_cast<int64_t>(i)) taps.weight[i] = 0;
    sum += taps.weight[i];
  }
  if (std::fabs(sum) < 1000 * std::numeric_limits<float>::min()) return taps;
  for (float& weight : taps.weight) weight *= 1 / sum;
  return taps;
}

std::vector<Taps> all_taps(int64_t in_size, int64_t out_size, PixelMapping mapping) {
  return for_each_pixel(in_size, out_size, mapping, taps_at);
}

template <class T> class ResizeBicubic final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(mapping_, pixel_mapping(init));
    return absl::OkStatus();
  }

  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const ResizeSizes s, resize_sizes(ctx));
    MR_ASSIGN_OR_RETURN(const std::span<const T> in, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const std::span<float> out, ctx.output<float>(0, s.output));
    if (out.empty()) return absl::OkStatus();
    const std::vector<Taps> columns = all_taps(s.in_width, s.out_width, mapping_);
    const float height_scale = resize_scale(s.in_height, s.out_height, mapping_);
    const int64_t in_row = s.in_width * s.channels, out_row = s.out_width * s.channels;
    parallel_for(s.batch * s.out_height, static_cast<double>(out_row) * 12, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const Taps y = taps_at(r % s.out_height, height_scale, mapping_, s.in_height);
        const T* image = in.data() + r / s.out_height * s.in_height * in_row;
        std::array<const T*, 4> rows;
        for (size_t i = 0; i < 4; ++i) rows[i] = image + y.index[i] * in_row;
        interpolate_row(rows, y.weight, columns, s.channels, out.data() + r * out_row);
      }
    });
    return absl::OkStatus();
  }

 private:
  static void interpolate_row(const std::array<const T*, 4>& rows, const std::array<float, 4>& y_weight,
                              const std::vector<Taps>& columns, int64_t channels, float* out) {
    for (const Taps& x : columns) {
      for (int64_t c = 0; c < channels; ++c) {
        float value = 0;
        for (size_t i = 0; i < 4; ++i) {
          const int64_t at = x.index[i] * channels + c;
          float column = 0;
          for (size_t j = 0; j < 4; ++j) column += static_cast<float>(rows[j][at]) * y_weight[j];
          value += column * x.weight[i];
        }
        *out++ = value;
      }
    }
  }

  PixelMapping mapping_ = PixelMapping::kTopLeft;
};

template <class T> class ResizeBicubicGrad final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(mapping_, pixel_mapping(init));
    return absl::OkStatus();
  }

  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const ResizeSizes s, resize_gradient_sizes(ctx));
    MR_ASSIGN_OR_RETURN(const std::span<const float> grad, ctx.flat<float>(0));
    MR_ASSIGN_OR_RETURN(const std::span<T> out, ctx.output<T>(0, s.output));
    fill_zero(out.data(), static_cast<int64_t>(out.size()));
    if (out.empty()) return absl::OkStatus();
    const std::vector<Taps> rows = all_taps(s.in_height, s.out_height, mapping_);
    const std::vector<Taps> columns = all_taps(s.in_width, s.out_width, mapping_);
    const int64_t in_row = s.in_width * s.channels, out_row = s.out_width * s.channels;
    parallel_for(s.batch, static_cast<double>(s.out_height * out_row) * 16, [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) {
        for (int64_t y = 0; y < s.out_height; ++y) {
          const float* from = grad.data() + (b * s.out_height + y) * out_row;
          const Taps& row = rows[static_cast<size_t>(y)];
          for (size_t j = 0; j < 4; ++j)
            scatter_row(from, row.weight[j], columns, s.channels,
                        out.data() + (b * s.in_height + row.index[j]) * in_row);
        }
      }
    });
    return absl::OkStatus();
  }

 private:
  static void scatter_row(const float* grad, float y_weight, const std::vector<Taps>& columns, int64_t channels,
                          T* row) {
    for (const Taps& x : columns) {
      for (int64_t c = 0; c < channels; ++c) {
        const T g = static_cast<T>(*grad++) * static_cast<T>(y_weight);
        for (size_t i = 0; i < 4; ++i) row[x.index[i] * channels + c] += g * static_cast<T>(x.weight[i]);
      }
    }
  }

  PixelMapping mapping_ = PixelMapping::kTopLeft;
};

absl::Status resize_bicubic_gradient(GradientContext& g) {
  const DataType dtype = g.dtype(g.x(0));
  if (dtype != DataType::kFloat && dtype != DataType::kDouble) return absl::OkStatus();
  MR_ASSIGN_OR_RETURN(const bool align_corners, g.attr<bool>("align_corners"));
  MR_ASSIGN_OR_RETURN(const bool half_pixel_centers, g.attr<bool>("half_pixel_centers"));
  g.set_dx(0, g.op("ResizeBicubicGrad", {g.dy(0), g.x(0)},
                   {{"align_corners", align_corners}, {"half_pixel_centers", half_pixel_centers}}));
  return absl::OkStatus();
}

// ---- areas

// The input positions [begin, end) that an output position covers, and how much of each.
struct Cover {
  int64_t begin = 0;
  std::vector<float> weight;
};

Cover cover_at(int64_t out, float scale, int64_t in_size) {
  const float from = static_cast<float>(out) * scale, to = static_cast<float>(out + 1) * scale;
  Cover cover;
  cover.begin = static_cast<int64_t>(std::floor(from));
  // With aligned corners the last position covers as much beyond the image as inside: its last pixel, repeated.
  const int64_t end = std::min(static_cast<int64_t>(std::ceil(to)), 2 * in_size + 1);
  for (int64_t i = cover.begin; i < end; ++i) {
    const auto left = static_cast<float>(i), right = static_cast<float>(i + 1);
    if (left < from) cover.weight.push_back(right > to ? scale : right - from);
    else cover.weight.push_back(right > to ? to - left : 1.0f);
  }
  return cover;
}

template <class T> class ResizeArea final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(mapping_, pixel_mapping(init));
    return absl::OkStatus();
  }

  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const ResizeSizes s, resize_sizes(ctx));
    MR_ASSIGN_OR_RETURN(const std::span<const T> in, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const std::span<float> out, ctx.output<float>(0, s.output));
    if (out.empty()) return absl::OkStatus();
    const float height_scale = resize_scale(s.in_height, s.out_height, mapping_);
    const float width_scale = resize_scale(s.in_width, s.out_width, mapping_);
    std::vector<Cover> columns;
    for (int64_t x = 0; x < s.out_width; ++x) columns.push_back(cover_at(x, width_scale, s.in_width));
    const int64_t in_row = s.in_width * s.channels, out_row = s.out_width * s.channels;
    const double work = static_cast<double>(out_row) * std::max(1.0f, height_scale * width_scale);
    parallel_for(s.batch * s.out_height, work, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const Cover y = cover_at(r % s.out_height, height_scale, s.in_height);
        const T* image = in.data() + r / s.out_height * s.in_height * in_row;
        float* to = out.data() + r * out_row;
        for (const Cover& x : columns) {
          for (int64_t c = 0; c < s.channels; ++c) *to++ = sum(image + c, s, y, x) * (1 / (height_scale * width_scale));
        }
      }
    });
    return absl::OkStatus();
  }

 private:
  static float sum(const T* image, const ResizeSizes& s, const Cover& y, const Cover& x) {
    float total = 0;
    for (size_t i = 0; i < y.weight.size(); ++i) {
      const int64_t row = std::min(y.begin + static_cast<int64_t>(i), s.in_height - 1);
      for (size_t j = 0; j < x.weight.size(); ++j) {
        const int64_t column = std::min(x.begin + static_cast<int64_t>(j), s.in_width - 1);
        total += static_cast<float>(image[(row * s.in_width + column) * s.channels]) * (y.weight[i] * x.weight[j]);
      }
    }
    return total;
  }

  PixelMapping mapping_ = PixelMapping::kTopLeft;
};

using ImageTypes = Types<Half, BFloat16, float, double, int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t>;

}  // namespace

void register_resize_bicubic(Registry& registry) {
  registry.op("ResizeBicubic")
      .input("images: T")
      .input("size: int32")
      .output("resized_images: float")
      .attr("T: {int8, uint8, int16, uint16, int32, int64, half, float, double, bfloat16}")
      .attr("align_corners: bool = false")
      .attr("half_pixel_centers: bool = false")
      .shape(resize_shape)
      .cpu_for<ResizeBicubic>(ImageTypes())
      .gradient(resize_bicubic_gradient)
      .doc("Images resized, each pixel interpolated between the sixteen around it.");
  registry.op("ResizeBicubicGrad")
      .input("grads: float")
      .input("original_image: T")
      .output("output: T")
      .attr("T: {float, double}")
      .attr("align_corners: bool = false")
      .attr("half_pixel_centers: bool = false")
      .shape(resize_gradient_shape)
      .cpu<ResizeBicubicGrad, float, double>()
      .not_differentiable()
      .doc("The gradient of ResizeBicubic.");
  registry.op("ResizeArea")
      .input("images: T")
      .input("size: int32")
      .output("resized_images: float")
      .attr("T: {int8, uint8, int16, uint16, int32, int64, half, float, double, bfloat16}")
      .attr("align_corners: bool = false")
      .shape(resize_shape)
      .cpu_for<ResizeArea>(ImageTypes())
      .not_differentiable()
      .doc("Images resized, each pixel the mean of the area it covers.");
}

}  // namespace millrace
