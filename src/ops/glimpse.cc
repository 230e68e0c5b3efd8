// Windows cut out of images at given offsets; what lies outside is noise.

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "kernels/elements.h"
#include "kernels/philox.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/array_shapes.h"
#include "ops/resize.h"
#include "tensor/shape.h"

namespace millrace {
namespace {

enum class Noise { kUniform, kGaussian, kZero };

absl::StatusOr<Noise> noise_of(bool uniform, const std::string& noise) {
  if (uniform && !noise.empty() && noise != "uniform")
    return invalid_argument("The uniform_noise should not be True when noise is not uniform");
  if (noise.empty()) return uniform ? Noise::kUniform : Noise::kGaussian;
  if (noise == "uniform") return Noise::kUniform;
  if (noise == "gaussian") return Noise::kGaussian;
  if (noise == "zero") return Noise::kZero;
  return invalid_argument("The noise could only be uniform, gaussian, or zero, got ", noise);
}

// Where a glimpse of `window` elements lies on an axis of `size`: [from, from + count) goes to [to, to + count).
struct Overlap {
  int64_t from = 0, to = 0, count = 0;
};
Overlap overlap(float offset, int64_t window, int64_t size) {
  constexpr float kFar = 1e15f;
  // Towards zero: -0.5 is still the first element. What is no number lies nowhere.
  const int64_t begin = offset != offset ? size : static_cast<int64_t>(std::clamp(offset, -kFar, kFar));
  const int64_t from = std::max<int64_t>(begin, 0), end = std::min(begin + window, size);
  return {from, from - begin, std::max<int64_t>(end - from, 0)};
}

class ExtractGlimpse final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    is_first_ = init.node().op == "ExtractGlimpse";
    MR_ASSIGN_OR_RETURN(centered_, init.attr<bool>("centered"));
    MR_ASSIGN_OR_RETURN(normalized_, init.attr<bool>("normalized"));
    MR_ASSIGN_OR_RETURN(const bool uniform, init.attr<bool>("uniform_noise"));
    MR_ASSIGN_OR_RETURN(const std::string noise, init.attr<std::string>("noise"));
    MR_ASSIGN_OR_RETURN(noise_, noise_of(uniform, noise));
    return absl::OkStatus();
  }

  absl::Status compute(KernelContext& ctx) override {
    const TensorShape& in = ctx.shape(0);
    if (in.rank() != 4) return invalid_argument("input must be 4-dimensional (batch_size, height, width, depth)", in);
    if (ctx.shape(1).rank() != 1 || ctx.shape(1).dim(0) != 2)
      return invalid_argument("input must be a vector of size 2 (height, width)", ctx.shape(1));
    if (ctx.shape(2).rank() != 2 || ctx.shape(2).dim(0) != in.dim(0) || ctx.shape(2).dim(1) != 2)
      return invalid_argument("offsets must be [batch, 2] (y, x), got ", ctx.shape(2), " for images ", in);
    MR_ASSIGN_OR_RETURN(const std::vector<int64_t> size, ctx.int_values(1));
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({in.dim(0), size[0], size[1], in.dim(3)}));
    MR_ASSIGN_OR_RETURN(const std::span<const float> images, ctx.flat<float>(0));
    MR_ASSIGN_OR_RETURN(const std::span<const float> offsets, ctx.flat<float>(2));
    MR_ASSIGN_OR_RETURN(const std::span<float> out, ctx.output<float>(0, shape));
    if (out.empty()) return absl::OkStatus();
    for (int64_t b = 0; b < in.dim(0); ++b) {
      const auto i = static_cast<size_t>(2 * b);
      const Overlap y = overlap(corner(offsets[i], size[0], in.dim(1)), size[0], in.dim(1));
      const Overlap x = overlap(corner(offsets[i + 1], size[1], in.dim(2)), size[1], in.dim(2));
      const auto pixels = static_cast<size_t>(in.dim(1) * in.dim(2) * in.dim(3));
      const std::span<const float> image = images.subspan(static_cast<size_t>(b) * pixels, pixels);
      const auto window = static_cast<size_t>(size[0] * size[1] * in.dim(3));
      const std::span<float> glimpse = out.subspan(static_cast<size_t>(b) * window, window);
      if (y.count < size[0] || x.count < size[1]) fill_noise(image, in.dim(3), glimpse);
      for (int64_t row = 0; row < y.count && x.count > 0; ++row)
        copy_run(image.data() + ((y.from + row) * in.dim(2) + x.from) * in.dim(3),
                 glimpse.data() + ((y.to + row) * size[1] + x.to) * in.dim(3), x.count * in.dim(3));
    }
    return absl::OkStatus();
  }

 private:
  // The glimpse's first element. The second version takes half of a glimpse away only where its offset is both
  // normalized and centered.
  float corner(float offset, int64_t window, int64_t size) const {
    const auto half = static_cast<float>(size) / 2, half_window = static_cast<float>(window) / 2;
    if (normalized_) offset *= static_cast<float>(size);
    if (is_first_) return (centered_ ? offset / 2 + half : offset) - half_window;
    if (normalized_) return centered_ ? offset / 2 + half - half_window : offset;
    return centered_ ? offset + half : offset;
  }

  // TensorFlow's noise cannot be seeded; nor can this.
  void fill_noise(std::span<const float> image, int64_t channels, std::span<float> glimpse) const {
    std::ranges::fill(glimpse, 0.0f);
    if (noise_ == Noise::kZero || image.empty()) return;
    std::random_device device;
    Philox stream({device(), device(), device(), device()}, {device(), device()});
    if (noise_ == Noise::kUniform) fill_uniform(image, stream, glimpse);
    else fill_gaussian(image, channels, stream, glimpse);
  }

  static void fill_uniform(std::span<const float> image, Philox& stream, std::span<float> glimpse) {
    const auto [low, high] = std::ranges::minmax(image);
    SinglePhilox random(&stream);
    for (float& v : glimpse) v = low + uniform_float(random()) * (high - low);
  }

  // Mean and deviation of each channel, within its range.
  static void fill_gaussian(std::span<const float> image, int64_t channels, Philox& stream, std::span<float> glimpse) {
    SinglePhilox random(&stream);
    const auto step = static_cast<size_t>(channels);
    const double pixels = static_cast<double>(image.size() / step);
    for (size_t c = 0; c < step; ++c) {
      float low = image[c], high = image[c];
      double sum = 0, squares = 0;
      for (size_t i = c; i < image.size(); i += step) {
        low = std::min(low, image[i]), high = std::max(high, image[i]);
        sum += static_cast<double>(image[i]);
      }
      const double mean = sum / pixels;
      for (size_t i = c; i < image.size(); i += step) {
        const double apart = static_cast<double>(image[i]) - mean;
        squares += apart * apart;
      }
      const auto deviation = static_cast<float>(std::sqrt(squares / pixels));
      for (size_t i = c; i < glimpse.size(); i += step) {
        const uint32_t x0 = random(), x1 = random();
        glimpse[i] = std::max(std::min(static_cast<float>(mean) + box_muller(x0, x1).first * deviation, high), low);
      }
    }
  }

  bool is_first_ = false, centered_ = false, normalized_ = false;
  Noise noise_ = Noise::kZero;
};

absl::Status glimpse_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape input, c.with_rank(0, 4));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape offsets, c.with_rank(2, 2));
  MR_ASSIGN_OR_RETURN(const int64_t batch, merge_dim(input.dim(0), offsets.dim(0)));
  MR_RETURN_IF_ERROR(merge_dim(offsets.dim(1), 2).status());
  MR_ASSIGN_OR_RETURN(const bool uniform, c.attr<bool>("uniform_noise"));
  MR_ASSIGN_OR_RETURN(const std::string noise, c.attr<std::string>("noise"));
  if (uniform && !noise.empty() && noise != "uniform")
    return invalid_argument("The uniform_noise should not be True when noise is not uniform");
  MR_RETURN_IF_ERROR(resize_shape(c));
  const PartialTensorShape& sized = c.output(0);
  return c.set_output(0, make_partial_shape({batch, sized.dim(1), sized.dim(2), input.dim(3)}));
}

OpBuilder glimpse(Registry& registry, std::string_view name) {
  return registry.op(name)
      .input("input: float")
      .input("size: int32")
      .input("offsets: float")
      .output("glimpse: float")
      .attr("centered: bool = true")
      .attr("normalized: bool = true")
      .attr("uniform_noise: bool = true")
      .attr("noise: string = 'uniform'")
      .shape(glimpse_shape)
      .cpu<ExtractGlimpse>();
}

}  // namespace

void register_glimpse(Registry& registry) {
  glimpse(registry, "ExtractGlimpse")
      .not_differentiable()
      .doc("A window of each image, around offset [y, x]; noise where it leaves the image.");
  glimpse(registry, "ExtractGlimpseV2")
      .doc("The same, with the window's corner at offsets that are not both normalized and centered.");
}

}  // namespace millrace
