// The colours of images: RGB and HSV, and adjustments of contrast, hue and saturation.

#include <algorithm>
#include <cmath>

#include "kernels/number.h"
#include "kernels/parallel.h"
#include "op/kernel.h"
#include "op/shape_context.h"

namespace millrace {
namespace {

template <class F> struct Rgb { F r, g, b; };
// All of it in [0, 1].
template <class F> struct Hsv { F h, s, v; };

// A. R. Smith, "Color gamut transform pairs", 1978.
template <class F> Hsv<F> to_hsv(const Rgb<F>& c) {
  const F value = std::max({c.r, c.g, c.b});
  const F range = value - std::min({c.r, c.g, c.b});
  Hsv<F> hsv{0, value > 0 ? range / value : 0, value};
  if (!(range > 0)) return hsv;
  const F norm = 1 / (6 * range);
  if (c.r == value) hsv.h = norm * (c.g - c.b);
  else if (c.g == value) hsv.h = norm * (c.b - c.r) + F{2} / 6;
  else hsv.h = norm * (c.r - c.g) + F{4} / 6;
  if (hsv.h < 0) hsv.h += 1;
  return hsv;
}

template <class F> Rgb<F> to_rgb(const Hsv<F>& c) {
  const F h = c.h * 6;
  const auto channel = [&](F weight) { return (1 - c.s + c.s * std::clamp<F>(weight, 0, 1)) * c.v; };
  return {channel(std::abs(h - 3) - 1), channel(2 - std::abs(h - 2)), channel(2 - std::abs(h - 4))};
}

// Half types compute in float.
template <class T> using Real = std::conditional_t<is_half<T>, float, T>;

absl::Status check_channels(const TensorShape& images, int least_rank) {
  if (images.rank() < least_rank)
    return invalid_argument("input must be at least ", least_rank, "-D, got shape", images);
  const int64_t channels = images.dim(images.rank() - 1);
  if (channels != 3) return invalid_argument("input must have 3 channels but instead has ", channels, " channels.");
  return absl::OkStatus();
}

// Each pixel of `in` through fn, from three numbers to three.
template <class T, class Fn> void map_pixels(std::span<const T> in, std::span<T> out, Fn&& fn) {
  using F = Real<T>;
  parallel_for(static_cast<int64_t>(in.size() / 3), 10, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const T* from = in.data() + 3 * i;
      T* to = out.data() + 3 * i;
      const auto [a, b, c] = fn(static_cast<F>(from[0]), static_cast<F>(from[1]), static_cast<F>(from[2]));
      to[0] = static_cast<T>(a), to[1] = static_cast<T>(b), to[2] = static_cast<T>(c);
    }
  });
}

template <class T, bool kToHsv> absl::Status convert(KernelContext& ctx) {
  using F = Real<T>;
  MR_RETURN_IF_ERROR(check_channels(ctx.shape(0), 1));
  MR_ASSIGN_OR_RETURN(const std::span<const T> in, ctx.flat<T>(0));
  MR_ASSIGN_OR_RETURN(const std::span<T> out, ctx.output<T>(0, ctx.shape(0)));
  if constexpr (kToHsv) map_pixels(in, out, [](F r, F g, F b) { return to_hsv(Rgb<F>{r, g, b}); });
  else map_pixels(in, out, [](F h, F s, F v) { return to_rgb(Hsv<F>{h, s, v}); });
  return absl::OkStatus();
}

template <class T> class RGBToHSV final : public Kernel {
  absl::Status compute(KernelContext& ctx) override { return convert<T, true>(ctx); }
};
template <class T> class HSVToRGB final : public Kernel {
  absl::Status compute(KernelContext& ctx) override { return convert<T, false>(ctx); }
};

template <class T> class AdjustHue final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    using F = Real<T>;
    MR_RETURN_IF_ERROR(check_channels(ctx.shape(0), 3));
    MR_ASSIGN_OR_RETURN(const float delta, ctx.scalar<float>(1));
    MR_ASSIGN_OR_RETURN(const std::span<const T> in, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const std::span<T> out, ctx.output<T>(0, ctx.shape(0)));
    map_pixels(in, out, [&](F r, F g, F b) {
      Hsv<F> hsv = to_hsv(Rgb<F>{r, g, b});
      hsv.h += static_cast<F>(delta);
      hsv.h -= std::floor(hsv.h);  // a circle
      return to_rgb(hsv);
    });
    return absl::OkStatus();
  }
};

template <class T> class AdjustSaturation final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    using F = Real<T>;
    MR_RETURN_IF_ERROR(check_channels(ctx.shape(0), 3));
    MR_ASSIGN_OR_RETURN(const float scale, ctx.scalar<float>(1));
    MR_ASSIGN_OR_RETURN(const std::span<const T> in, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const std::span<T> out, ctx.output<T>(0, ctx.shape(0)));
    map_pixels(in, out, [&](F r, F g, F b) {
      Hsv<F> hsv = to_hsv(Rgb<F>{r, g, b});
      hsv.s = std::clamp<F>(hsv.s * static_cast<F>(scale), 0, 1);
      return to_rgb(hsv);
    });
    return absl::OkStatus();
  }
};

// Each channel of each image moves away from, or to, its mean.
template <class T> class AdjustContrastv2 final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    const TensorShape& shape = ctx.shape(0);
    if (shape.rank() < 3) return invalid_argument("input must be at least 3-D, got shape", shape);
    MR_ASSIGN_OR_RETURN(const float factor, ctx.scalar<float>(1));
    MR_ASSIGN_OR_RETURN(const std::span<const T> in, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const std::span<T> out, ctx.output<T>(0, shape));
    if (in.empty()) return absl::OkStatus();
    const int64_t channels = shape.dim(shape.rank() - 1);
    const int64_t pixels = shape.dim(shape.rank() - 3) * shape.dim(shape.rank() - 2);
    const int64_t images = static_cast<int64_t>(in.size()) / (channels * pixels);
    parallel_for(images, static_cast<double>(pixels * channels) * 2, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const size_t at = static_cast<size_t>(i * pixels * channels), size = static_cast<size_t>(pixels * channels);
        adjust(in.subspan(at, size), out.subspan(at, size), channels, factor);
      }
    });
    return absl::OkStatus();
  }

  static void adjust(std::span<const T> in, std::span<T> out, int64_t channels, float factor) {
    const auto stride = static_cast<size_t>(channels);
    std::vector<double> sums(stride, 0.0);
    for (size_t i = 0; i < in.size(); i += stride) {
      for (size_t c = 0; c < stride; ++c) sums[c] += static_cast<double>(static_cast<float>(in[i + c]));
    }
    const double pixels = static_cast<double>(in.size() / stride);
    for (double& sum : sums) sum /= pixels;
    for (size_t i = 0; i < in.size(); i += stride) {
      for (size_t c = 0; c < stride; ++c) {
        const auto mean = static_cast<float>(sums[c]);
        out[i + c] = static_cast<T>(mean + (static_cast<float>(in[i + c]) - mean) * factor);
      }
    }
  }
};

absl::Status adjusted_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(1, 0).status());
  return c.set_output(0, c.with_rank_at_least(0, 3));
}

absl::Status colour_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape images, c.with_rank_at_least(0, 1));
  if (images.has_rank()) {
    const int64_t channels = images.dim(images.rank() - 1);
    if (channels >= 0 && channels != 3) return invalid_argument("Dimension must be 3 but is ", channels);
  }
  return c.set_output(0, images);
}

}  // namespace

void register_image_color(Registry& registry) {
  registry.op("AdjustContrastv2")
      .input("images: T")
      .input("contrast_factor: float")
      .output("output: T")
      .attr("T: {half, float} = DT_FLOAT")
      .shape(adjusted_shape)
      .cpu<AdjustContrastv2, Half, float>()
      .doc("mean + (x - mean) * contrast_factor, with the mean of each image and channel.");
  registry.op("AdjustHue")
      .input("images: T")
      .input("delta: float")
      .output("output: T")
      .attr("T: {half, float} = DT_FLOAT")
      .shape(adjusted_shape)
      .cpu<AdjustHue, Half, float>()
      .doc("RGB images with `delta` added to their hue, where 1 is the whole circle.");
  registry.op("AdjustSaturation")
      .input("images: T")
      .input("scale: float")
      .output("output: T")
      .attr("T: {half, float} = DT_FLOAT")
      .shape(adjusted_shape)
      .cpu<AdjustSaturation, Half, float>()
      .doc("RGB images with their saturation multiplied, within [0, 1].");
  registry.op("RGBToHSV")
      .input("images: T")
      .output("output: T")
      .attr("T: {half, bfloat16, float, double} = DT_FLOAT")
      .shape(colour_shape)
      .cpu_for<RGBToHSV>(FloatTypes())
      .doc("Hue, saturation and value of RGB pixels, all in [0, 1].");
  registry.op("HSVToRGB")
      .input("images: T")
      .output("output: T")
      .attr("T: {half, bfloat16, float, double} = DT_FLOAT")
      .shape(colour_shape)
      .cpu_for<HSVToRGB>(FloatTypes())
      .not_differentiable()
      .doc("RGB of pixels given as hue, saturation and value.");
}

}  // namespace millrace
