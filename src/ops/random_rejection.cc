// Random numbers that are drawn until one is accepted: the gamma and the Poisson distribution. Each output owns a
// stretch of the stream, so that it does not depend on how often the others were rejected.

#include <array>
#include <cmath>
#include <limits>
#include <mutex>
#include <random>
#include <vector>

#include "kernels/parallel.h"
#include "kernels/philox.h"
#include "op/gradient_context.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/gradient_ops.h"
#include "ops/math_gradients.h"
#include "ops/random_generator.h"

namespace millrace {
namespace {

constexpr uint64_t kResultsPerOutput = 256;

// Numbers from pairs, the second of each pair first, as TensorFlow's kernels take them.
class Uniforms {
 public:
  double next(Philox& g) {
    if (left_ == 0) {
      const Philox::Result r = g();
      pair_ = {uniform_double(r[0], r[1]), uniform_double(r[2], r[3])};
      left_ = 2;
    }
    return pair_[static_cast<size_t>(--left_)];
  }

 private:
  std::array<double, 2> pair_{};
  int left_ = 0;
};
class Normals {
 public:
  double next(Philox& g) {
    if (left_ == 0) {
      const Philox::Result r = g();
      const DoublePair p = box_muller(r[0], r[1], r[2], r[3]);
      pair_ = {p.first, p.second};
      left_ = 2;
    }
    return pair_[static_cast<size_t>(--left_)];
  }

 private:
  std::array<double, 2> pair_{};
  int left_ = 0;
};

template <class T> double as_double(T x) {
  if constexpr (std::is_same_v<T, Half>) return static_cast<double>(static_cast<float>(x));
  else return static_cast<double>(x);
}
template <class T> T from_double(double x) {
  if constexpr (std::is_same_v<T, Half>) return Half(static_cast<float>(x));
  else return static_cast<T>(x);
}

// Marsaglia and Tsang, ACM TOMS 26 (2000); below 1 through the distribution one higher.
double gamma_variate(double alpha, Philox generator) {
  Uniforms uniforms;
  if (alpha == 1) return -std::log1p(-uniforms.next(generator));
  Normals normals;
  const bool below_one = alpha < 1;
  const double d = alpha + (below_one ? 2.0 / 3 : -1.0 / 3), c = 1.0 / 3 / std::sqrt(d);
  constexpr int kTries = 10'000;  // a NaN would never be accepted
  for (int i = 0; i < kTries; ++i) {
    const double x = normals.next(generator);
    double v = 1 + c * x;
    if (v <= 0) continue;
    v = v * v * v;
    const double u = uniforms.next(generator);
    if (u < 1 - 0.0331 * (x * x) * (x * x) || std::log(u) < 0.5 * x * x + d * (1 - v + std::log(v))) {
      const double result = d * v;
      return below_one ? result * std::pow(uniforms.next(generator), 1 / alpha) : result;
    }
  }
  return std::numeric_limits<double>::quiet_NaN();
}

// Knuth's products below a rate of 10, else Hormann's transformed rejection (Insurance: Mathematics and Economics 12,
// 1993).
double poisson_variate(double rate, double highest, Philox generator) {
  Uniforms uniforms;
  if (!std::isfinite(rate) || rate < 0) return std::numeric_limits<double>::quiet_NaN();
  if (rate < 10) {
    const double limit = std::exp(-rate);
    double product = 1, x = 0;
    while (true) {
      product *= uniforms.next(generator);
      if (product <= limit && x <= highest) return x;
      x += 1;
    }
  }
  const double log_rate = std::log(rate);
  const double b = 0.931 + 2.53 * std::sqrt(rate), a = -0.059 + 0.02483 * b;
  const double inverse_alpha = 1.1239 + 1.1328 / (b - 3.4);
  constexpr int kTries = 10'000;
  for (int i = 0; i < kTries; ++i) {
    const double u = uniforms.next(generator) - 0.5, v = uniforms.next(generator);
    const double shifted = 0.5 - std::abs(u);
    const double k = std::floor((2 * a / shifted + b) * u + rate + 0.43);
    if (k > highest) continue;
    if (shifted >= 0.07 && v <= 0.9277 - 3.6224 / (b - 2)) return k;
    if (k < 0 || (shifted < 0.013 && v > shifted)) continue;
    const double s = std::log(v * inverse_alpha / (a / (shifted * shifted) + b));
    const double t = -rate + k * log_rate - std::lgamma(k + 1);
    if (s <= t) return k;
  }
  return std::min(std::floor(rate), highest);
}

absl::Status shape_and_parameter_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape shape, c.as_shape(0));
  return c.set_output(0, concatenate(shape, c.input(1)));
}

// Output [shape..., parameters...]: `draw(parameter, generator)` for each.
template <class P, class T, class Draw>
absl::Status fill_rejection(KernelContext& ctx, GuardedPhilox& guarded, const Draw& draw) {
  MR_ASSIGN_OR_RETURN(const TensorShape samples, ctx.shape_value(0));
  MR_ASSIGN_OR_RETURN(const std::span<const P> parameters, ctx.flat<P>(1));
  MR_ASSIGN_OR_RETURN(const TensorShape shape, concatenate(samples, ctx.shape(1)));
  MR_ASSIGN_OR_RETURN(const std::span<T> out, ctx.output<T>(0, shape));
  if (out.empty()) return absl::OkStatus();
  const int64_t per_parameter = samples.num_elements(), count = static_cast<int64_t>(parameters.size());
  const Philox generator = guarded.reserve(static_cast<uint64_t>(shape.num_elements()) * kResultsPerOutput);
  parallel_for(shape.num_elements(), 200, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      Philox local = generator;
      local.skip(kResultsPerOutput * static_cast<uint64_t>(i));
      const int64_t parameter = i / per_parameter, sample = i % per_parameter;
      out[static_cast<size_t>(sample * count + parameter)] =
          from_double<T>(draw(as_double(parameters[static_cast<size_t>(parameter)]), local));
    }
  });
  return absl::OkStatus();
}

template <class T> class RandomGamma final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override { return generator_.init(init); }
  absl::Status compute(KernelContext& ctx) override { return fill_rejection<T, T>(ctx, generator_, gamma_variate); }

 private:
  GuardedPhilox generator_;
};

template <class T> double highest_of() {
  if constexpr (std::is_same_v<T, Half>) return 65504;
  else return static_cast<double>(std::numeric_limits<T>::max());
}

template <class R, class T> class RandomPoisson final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override { return generator_.init(init); }
  absl::Status compute(KernelContext& ctx) override {
    return fill_rejection<R, T>(ctx, generator_, [](double rate, const Philox& g) {
      const double k = poisson_variate(rate, highest_of<T>(), g);
      return std::is_integral_v<T> && std::isnan(k) ? 0.0 : k;
    });
  }

 private:
  GuardedPhilox generator_;
};
template <class T> class RandomPoissonV1 final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override { return inner_.init(init); }
  absl::Status compute(KernelContext& ctx) override { return inner_.compute(ctx); }

 private:
  RandomPoisson<T, T> inner_;
};

// Through each sample by implicit differentiation (Figurnov et al., "Implicit Reparameterization Gradients", NeurIPS
// 2018), summed over the samples of each alpha.
absl::Status gamma_gradient(GradientContext& g) {
  const Output dy = g.dy(0), alpha = g.x(1);
  const auto guard = g.control_dependencies({dy});
  const Output dims = gradients::shape(g, g.x(0));
  Output samples;  // how many dimensions the samples have
  {
    const auto scope = g.name_scope("strided_slice");
    const Output begin = int_list(g, {0}, "stack"), end = int_list(g, {1}, "stack_1");
    const Output strides = int_list(g, {1}, "stack_2");
    samples = g.op("StridedSlice", {dims, begin, end, strides}, {{"shrink_axis_mask", int64_t{1}}}, "/");
  }
  Output ones;
  {
    const auto scope = g.name_scope("ones");
    const Output packed = stack(g, {samples}, "packed");
    ones = g.op("Fill", {packed, g.int32_scalar(1)}, {}, "/");
  }
  const Output broadcastable = concat(g, {ones, gradients::shape(g, alpha)}, 0);
  const Output by_sample = g.op("RandomGammaGrad", {gradients::reshape(g, alpha, broadcastable), g.y(0)});
  const Output product = gradients::mul(g, dy, by_sample);
  const Output axes = gradients::range(g, 0, samples);
  g.set_dx(1, gradients::reduce(g, "Sum", product, axes));
  return absl::OkStatus();
}

}  // namespace

void register_random_rejection(Registry& registry) {
  registry.op("RandomGamma")
      .input("shape: S")
      .input("alpha: T")
      .output("output: T")
      .attr("seed: int = 0")
      .attr("seed2: int = 0")
      .attr("S: {int32, int64}")
      .attr("T: {half, float, double}")
      .stateful()
      .shape(shape_and_parameter_shape)
      .cpu<RandomGamma, Half, float, double>()
      .gradient(gamma_gradient)
      .doc("Gamma numbers of rate 1, `shape` many for each alpha.");
  using Out = Types<Half, float, double, int32_t, int64_t>;
  registry.op("RandomPoisson")
      .input("shape: S")
      .input("rate: dtype")
      .output("output: dtype")
      .attr("seed: int = 0")
      .attr("seed2: int = 0")
      .attr("S: {int32, int64}")
      .attr("dtype: {half, float, double}")
      .stateful()
      .shape(shape_and_parameter_shape)
      .cpu<RandomPoissonV1, Half, float, double>("dtype")
      .not_differentiable()
      .doc("Poisson numbers, `shape` many for each rate.");
  registry.op("RandomPoissonV2")
      .input("shape: S")
      .input("rate: R")
      .output("output: dtype")
      .attr("seed: int = 0")
      .attr("seed2: int = 0")
      .attr("S: {int32, int64}")
      .attr("R: {half, float, double, int32, int64} = DT_DOUBLE")
      .attr("dtype: {half, float, double, int32, int64} = DT_INT64")
      .stateful()
      .shape(shape_and_parameter_shape)
      .cpu_for<RandomPoisson>(Out(), "R", Out(), "dtype")
      .not_differentiable()
      .doc("Poisson numbers, `shape` many for each rate.");
}

}  // namespace millrace
