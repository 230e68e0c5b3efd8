// Images resampled under a scale and a translation with one of several kernels, and the gradient for the images.
//
// Rows and columns are resampled one after the other. Weights are computed in float, as TensorFlow computes them, so
// that spans begin at the same pixels.

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

#include "base/checked.h"
#include "kernels/parallel.h"
#include "op/gradient_context.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/array_shapes.h"
#include "ops/gradient_ops.h"
#include "ops/resize.h"
#include "ops/window.h"
#include "tensor/shape.h"

namespace millrace {
namespace {

// --- Kernels of resampling, for distances x >= 0

template <int kRadius> float lanczos(float x) {
  constexpr auto kPi = std::numbers::pi_v<float>;
  constexpr auto radius = static_cast<float>(kRadius);
  if (x > radius) return 0;
  if (x <= 1e-3f) return 1;  // the limit of sin(x) / x
  return radius * std::sin(kPi * x) * std::sin(kPi * x / radius) / (kPi * kPi * x * x);
}
float gaussian(float x) {  // sigma 1/2 (Turkowski, "Filters for Common Resampling Tasks")
  return x >= 1.5f ? 0 : std::exp(-2 * x * x);
}
float box(float x) { return x < 0.5f ? 1 : x == 0.5f ? 0.5f : 0; }
float triangle(float x) { return x < 1 ? 1 - x : 0; }
float keys_cubic(float x) {  // Keys, IEEE ASSP 29 (1981)
  if (x >= 2) return 0;
  return x >= 1 ? ((-0.5f * x + 2.5f) * x - 4) * x + 2 : (1.5f * x - 2.5f) * x * x + 1;
}
float mitchell_cubic(float x) {  // Mitchell and Netravali, SIGGRAPH 1988
  if (x >= 2) return 0;
  return x >= 1 ? ((-7.0f / 18 * x + 2) * x - 10.0f / 3) * x + 16.0f / 9 : (7.0f / 6 * x - 2) * x * x + 8.0f / 9;
}

struct Sampler {
  std::string_view name;
  float radius;
  float (*weight)(float distance);
};
constexpr Sampler kSamplers[] = {
    {"lanczos1", 1, lanczos<1>},
    {"lanczos3", 3, lanczos<3>},
    {"lanczos5", 5, lanczos<5>},
    {"gaussian", 1.5f, gaussian},
    {"box", 1, box},
    {"triangle", 1, triangle},
    {"keyscubic", 2, keys_cubic},
    {"mitchellcubic", 2, mitchell_cubic},
};

// --- Spans

struct Axis {
  int64_t in = 0, out = 0;
  float scale = 1, translation = 0;
};

// For each output position the input position where its weights begin; there are `length` of them each.
struct Spans {
  int64_t length = 0;
  std::vector<int64_t> starts;
  Tensor weights;
  std::span<const float> of(int64_t out) const {
    return weights.unchecked<float>().subspan(static_cast<size_t>(out * length), static_cast<size_t>(length));
  }
};

// Weights of the pixels around `sample`, that sum to 1; returns the first pixel.
int64_t fill_span(const Sampler& sampler, float sample, float widened, int64_t in, std::span<float> weights) {
  const auto last = static_cast<float>(in - 1);
  const float reach = sampler.radius * widened;
  const auto pixel = [&](float at) { return std::min(static_cast<int64_t>(std::clamp(at, 0.0f, last)), in - 1); };
  const int64_t begin = pixel(std::ceil(sample - reach - 0.5f));
  const int64_t end = std::min(pixel(std::floor(sample + reach - 0.5f)) + 1, begin + std::ssize(weights));
  float sum = 0;
  for (int64_t i = begin; i < end; ++i) {
    const float distance = static_cast<float>(i) + 0.5f - sample;
    const float weight = sampler.weight(std::abs(distance * (1.0f / widened)));
    weights[static_cast<size_t>(i - begin)] = weight;
    sum += weight;
  }
  const bool is_zero = std::abs(sum) < 1000 * std::numeric_limits<float>::min();
  for (float& weight : weights) weight = is_zero ? 0 : weight * (1.0f / sum);
  return begin;
}

absl::StatusOr<Spans> make_spans(KernelContext& ctx, const Sampler& sampler, const Axis& axis, bool antialias) {
  const float inverse = 1.0f / axis.scale, moved = -inverse * axis.translation;
  // Where the image shrinks the kernel widens, to leave out what the output cannot show.
  const float widened = antialias ? std::max(inverse, 1.0f) : 1.0f;
  Spans spans;
  const float wanted = 2 * std::ceil(sampler.radius * widened) + 1;
  spans.length = wanted < static_cast<float>(axis.in) ? static_cast<int64_t>(wanted) : axis.in;
  const CheckedInt count = CheckedInt(spans.length) * axis.out;
  if (!count.valid()) return invalid_argument(ctx.node().op, ": too many weights");
  MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({count.value()}));
  MR_ASSIGN_OR_RETURN(spans.weights, ctx.allocate_temp(DataType::kFloat, shape));
  const std::span<float> weights = spans.weights.unchecked_mutable<float>();
  std::ranges::fill(weights, 0.0f);
  spans.starts.resize(static_cast<size_t>(axis.out));
  for (int64_t o = 0; o < axis.out; ++o) {
    const float sample = (static_cast<float>(o) + 0.5f) * inverse + moved;
    if (!(sample >= 0 && sample <= static_cast<float>(axis.in))) continue;  // off the image: no weight at all
    const auto first = static_cast<size_t>(o * spans.length);
    spans.starts[static_cast<size_t>(o)] =
        fill_span(sampler, sample, widened, axis.in, weights.subspan(first, static_cast<size_t>(spans.length)));
  }
  return spans;
}

// Calls fn(output position, input position, weight) for outputs [begin, end), in order.
template <class Fn> void each_weight(const Spans& spans, int64_t in, int64_t begin, int64_t end, Fn&& fn) {
  for (int64_t o = begin; o < end; ++o) {
    const int64_t start = spans.starts[static_cast<size_t>(o)];
    const std::span<const float> weights = spans.of(o);
    for (int64_t i = 0; i < std::min(spans.length, in - start); ++i) fn(o, start + i, weights[static_cast<size_t>(i)]);
  }
}

template <class T> void add_scaled(const T* from, int64_t n, float weight, float* to) {
  for (int64_t i = 0; i < n; ++i) to[i] += weight * static_cast<float>(from[i]);
}

// --- Kernels

struct Resampling {
  int64_t batch = 0, channels = 0;
  Axis rows, columns;
};

class ResamplingKernel : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(antialias_, init.attr<bool>("antialias"));
    MR_ASSIGN_OR_RETURN(const std::string type, init.attr<std::string>("kernel_type"));
    const auto* found = std::ranges::find(kSamplers, type, &Sampler::name);
    if (found == std::end(kSamplers)) return invalid_argument("Unrecognized kernel type: ", type);
    sampler_ = *found;
    return absl::OkStatus();
  }

 protected:
  // Scale and translation of inputs 2 and 3.
  static absl::Status read_axes(KernelContext& ctx, Resampling* r) {
    for (const int i : {2, 3}) {
      if (ctx.shape(i).rank() != 1 || ctx.shape(i).dim(0) != 2)
        return invalid_argument(i == 2 ? "scale" : "translation", " must be a vector of two elements, got shape ",
                                ctx.shape(i));
    }
    MR_ASSIGN_OR_RETURN(const std::span<const float> scale, ctx.vector<float>(2));
    MR_ASSIGN_OR_RETURN(const std::span<const float> translation, ctx.vector<float>(3));
    if (!(scale[0] > 0 && scale[1] > 0)) return invalid_argument("Scale must be greater than zero.");
    r->rows.scale = scale[0], r->columns.scale = scale[1];
    r->rows.translation = translation[0], r->columns.translation = translation[1];
    return absl::OkStatus();
  }
  absl::StatusOr<Spans> spans(KernelContext& ctx, const Axis& axis) const {
    return make_spans(ctx, sampler_, axis, antialias_);
  }

 private:
  bool antialias_ = true;
  Sampler sampler_ = kSamplers[0];
};

template <class T> class ScaleAndTranslate final : public ResamplingKernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const ResizeSizes s, resize_sizes(ctx));
    Resampling r{s.batch, s.channels, {s.in_height, s.out_height}, {s.in_width, s.out_width}};
    MR_RETURN_IF_ERROR(read_axes(ctx, &r));
    MR_ASSIGN_OR_RETURN(const std::span<const T> images, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const std::span<float> out, ctx.output<float>(0, s.output));
    if (out.empty()) return absl::OkStatus();
    MR_ASSIGN_OR_RETURN(const Spans rows, spans(ctx, r.rows));
    MR_ASSIGN_OR_RETURN(const Spans columns, spans(ctx, r.columns));
    const int64_t in_row = s.in_width * s.channels, out_row = s.out_width * s.channels;
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({s.batch, s.out_height, s.in_width, s.channels}));
    MR_ASSIGN_OR_RETURN(Tensor between, ctx.allocate_temp(DataType::kFloat, shape));
    const std::span<float> resampled = between.unchecked_mutable<float>();
    const double cost = 0.3 * static_cast<double>(in_row * rows.length + out_row * columns.length);
    parallel_for(s.batch * s.out_height, cost, [&](int64_t begin, int64_t end) {
      for (int64_t line = begin; line < end; ++line) {
        float* middle = resampled.data() + line * in_row;
        float* to = out.data() + line * out_row;
        std::fill_n(middle, in_row, 0.0f);
        std::fill_n(to, out_row, 0.0f);
        const T* image = images.data() + line / s.out_height * s.in_height * in_row;
        const int64_t row = line % s.out_height;
        each_weight(rows, s.in_height, row, row + 1,
                    [&](int64_t, int64_t i, float weight) { add_scaled(image + i * in_row, in_row, weight, middle); });
        each_weight(columns, s.in_width, 0, s.out_width, [&](int64_t o, int64_t i, float weight) {
          add_scaled(middle + i * s.channels, s.channels, weight, to + o * s.channels);
        });
      }
    });
    return absl::OkStatus();
  }
};

// The same weights the other way.
class ScaleAndTranslateGrad final : public ResamplingKernel {
  absl::Status compute(KernelContext& ctx) override {
    const TensorShape &grads = ctx.shape(0), &image = ctx.shape(1);
    if (grads.rank() != 4) return invalid_argument("input_grad must be 4-dimensional", grads);
    if (image.rank() != 4) return invalid_argument("original_image must be 4-dimensional", image);
    Resampling r{grads.dim(0), grads.dim(3), {image.dim(1), grads.dim(1)}, {image.dim(2), grads.dim(2)}};
    if (std::max(r.rows.in, r.columns.in) >= std::numeric_limits<int32_t>::max())
      return invalid_argument("original sizes must be between 0 and max int32");
    if (r.batch != image.dim(0) || r.channels != image.dim(3))
      return invalid_argument("grads and original_image must have the same batch and channels, got ", grads, " and ",
                              image);
    MR_RETURN_IF_ERROR(read_axes(ctx, &r));
    MR_ASSIGN_OR_RETURN(const std::span<const float> dy, ctx.flat<float>(0));
    MR_ASSIGN_OR_RETURN(const std::span<float> dx, ctx.output<float>(0, image));
    std::ranges::fill(dx, 0.0f);
    if (dx.empty() || dy.empty()) return absl::OkStatus();
    MR_ASSIGN_OR_RETURN(const Spans rows, spans(ctx, r.rows));
    MR_ASSIGN_OR_RETURN(const Spans columns, spans(ctx, r.columns));
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({r.batch, r.rows.in, r.columns.out, r.channels}));
    MR_ASSIGN_OR_RETURN(Tensor between, ctx.allocate_temp(DataType::kFloat, shape));
    const std::span<float> middle = between.unchecked_mutable<float>();
    std::ranges::fill(middle, 0.0f);
    const int64_t middle_row = r.columns.out * r.channels, in_row = r.columns.in * r.channels;
    const double cost = static_cast<double>(r.rows.out * rows.length * middle_row);
    parallel_for(r.batch, cost, [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) {
        each_weight(rows, r.rows.in, 0, r.rows.out, [&](int64_t o, int64_t i, float weight) {
          add_scaled(dy.data() + (b * r.rows.out + o) * middle_row, middle_row, weight,
                     middle.data() + (b * r.rows.in + i) * middle_row);
        });
        for (int64_t line = b * r.rows.in; line < (b + 1) * r.rows.in; ++line) {
          each_weight(columns, r.columns.in, 0, r.columns.out, [&](int64_t o, int64_t i, float weight) {
            add_scaled(middle.data() + line * middle_row + o * r.channels, r.channels, weight,
                       dx.data() + line * in_row + i * r.channels);
          });
        }
      }
    });
    return absl::OkStatus();
  }
};

absl::Status scale_and_translate_shape(ShapeContext& c) {
  for (const int i : {2, 3}) {
    MR_ASSIGN_OR_RETURN(const PartialTensorShape vector, c.with_rank(i, 1));
    MR_RETURN_IF_ERROR(merge_dim(vector.dim(0), 2).status());
  }
  return resize_shape(c);
}
absl::Status like_image(ShapeContext& c) { return c.set_output(0, c.input(1)); }

absl::Status scale_and_translate_gradient(GradientContext& g) {
  g.set_dx(0, g.op("ScaleAndTranslateGrad", {g.dy(0), g.x(0), g.x(2), g.x(3)},
                   copied_attrs(g.node(), {"kernel_type", "antialias"})));
  return absl::OkStatus();
}

}  // namespace

void register_scale_and_translate(Registry& registry) {
  registry.op("ScaleAndTranslate")
      .input("images: T")
      .input("size: int32")
      .input("scale: float")
      .input("translation: float")
      .output("resized_images: float")
      .attr("T: {int8, uint8, int16, uint16, int32, int64, bfloat16, half, float, double}")
      .attr("kernel_type: string = 'lanczos3'")
      .attr("antialias: bool = true")
      .shape(scale_and_translate_shape)
      .cpu<ScaleAndTranslate, int8_t, uint8_t, int16_t, uint16_t, int32_t, int64_t, BFloat16, Half, float, double>()
      .gradient(scale_and_translate_gradient)
      .doc("Images resampled: pixel p of the image comes to p * scale + translation.");
  registry.op("ScaleAndTranslateGrad")
      .input("grads: T")
      .input("original_image: T")
      .input("scale: float")
      .input("translation: float")
      .output("output: T")
      .attr("T: {float}")
      .attr("kernel_type: string = 'lanczos3'")
      .attr("antialias: bool = true")
      .shape(like_image)
      .kernel({"CPU", {{"T", DataType::kFloat}}, [] { return std::unique_ptr<Kernel>(new ScaleAndTranslateGrad); }})
      .doc("The gradient of ScaleAndTranslate.");
}

}  // namespace millrace
