// ParameterizedTruncatedNormal: normal numbers between bounds, by the sampler that suits the bounds (Robert,
// "Simulation of truncated normal variables", Statistics and Computing 5, 1995).

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/philox.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/random_generator.h"

namespace millrace {
namespace {

constexpr int kMaxIterations = 1000;

// Half computes in float, from half's uniform numbers.
template <class T> struct Draws;
template <> struct Draws<float> {
  using S = float;
  static constexpr int kCount = 4;
  static std::array<S, 4> uniform(Philox& g) {
    const Philox::Result r = g();
    return {uniform_float(r[0]), uniform_float(r[1]), uniform_float(r[2]), uniform_float(r[3])};
  }
  static std::array<S, 4> normal(Philox& g) {
    const Philox::Result r = g();
    const FloatPair p = box_muller(r[0], r[1]), q = box_muller(r[2], r[3]);
    return {p.first, p.second, q.first, q.second};
  }
};
template <> struct Draws<Half> {
  using S = float;
  static constexpr int kCount = 4;
  static S one(uint32_t x) {
    return static_cast<float>(Half::from_bits(static_cast<uint16_t>((15u << 10) | (x & 0x3ffu)))) - 1.0f;
  }
  static std::array<S, 4> uniform(Philox& g) {
    const Philox::Result r = g();
    return {one(r[0]), one(r[1]), one(r[2]), one(r[3])};
  }
  static std::array<S, 4> normal(Philox& g) { return Draws<float>::normal(g); }
};
template <> struct Draws<double> {
  using S = double;
  static constexpr int kCount = 2;
  static std::array<S, 2> uniform(Philox& g) {
    const Philox::Result r = g();
    return {uniform_double(r[0], r[1]), uniform_double(r[2], r[3])};
  }
  static std::array<S, 2> normal(Philox& g) {
    const Philox::Result r = g();
    const DoublePair p = box_muller(r[0], r[1], r[2], r[3]);
    return {p.first, p.second};
  }
};

template <class T> class Sampler {
  using D = Draws<T>;
  using S = typename D::S;

 public:
  // False if the parameters name no distribution.
  bool set(S mean, S stddev, S low, S high) {
    if (!(stddev > 0 && low < high && (std::isfinite(low) || std::isfinite(high)))) return false;
    // Mirrored, where that makes the one finite bound the lower one, or both bounds positive.
    if ((std::isinf(low) && low < 0) || high < mean) {
      std::swap(low, high);
      stddev = -stddev;
    }
    mean_ = mean;
    stddev_ = stddev;
    low_ = (low - mean) / stddev;
    high_ = (high - mean) / stddev;
    return true;
  }

  void fill(Philox& g, std::span<T> out) {
    at_ = 0;
    rejected_ = 0;
    const S root = std::sqrt(low_ * low_ + S(4));
    const S cutoff = S(2) * std::exp(S(0.5) + low_ * (low_ - root) / S(4)) / (low_ + root);
    constexpr S kInside = S(1.3);  // standard deviations inside the bounds from which plain rejection is good
    if ((low_ < -kInside && high_ >= 0) || (high_ > kInside && low_ <= 0)) {
      from_normal(g, out);
    } else if (high_ - low_ < cutoff) {
      from_uniform(g, out);
    } else {
      from_exponential(g, out);
    }
  }

 private:
  // True when the output is full.
  bool offer(bool accept, S z, std::span<T> out) {
    if (!accept && ++rejected_ < kMaxIterations) return false;
    rejected_ = 0;
    out[at_++] = static_cast<T>(z * stddev_ + mean_);
    return at_ == out.size();
  }
  void from_normal(Philox& g, std::span<T> out) {
    while (true) {
      for (const S z : D::normal(g))
        if (offer(z >= low_ && z <= high_, z, out)) return;
    }
  }
  void from_uniform(Philox& g, std::span<T> out) {
    const S plus = low_ < 0 ? S(0) : low_ * low_;
    while (true) {
      const auto x = D::uniform(g), u = D::uniform(g);
      for (size_t i = 0; i < x.size(); ++i) {
        const S z = x[i] * (high_ - low_) + low_;
        if (offer(u[i] <= std::exp((plus - z * z) / S(2)), z, out)) return;
      }
    }
  }
  void from_exponential(Philox& g, std::span<T> out) {
    const S alpha = (low_ + std::sqrt(low_ * low_ + S(4))) / S(2);
    while (true) {
      const auto x = D::uniform(g);
      for (size_t i = 0; i + 1 < x.size(); i += 2) {
        const S z = -std::log(x[i]) / alpha + low_;
        const S away = low_ < alpha ? alpha - z : low_ - alpha;
        if (offer(x[i + 1] <= std::exp(-away * away / S(2)) && z < high_, z, out)) return;
      }
    }
  }
  S mean_ = 0, stddev_ = 1, low_ = 0, high_ = 1;
  size_t at_ = 0;
  int rejected_ = 0;
};

absl::Status truncated_shape(ShapeContext& c) {
  for (int i = 1; i <= 4; ++i) MR_RETURN_IF_ERROR(c.with_rank_at_most(i, 1).status());
  return c.set_output(0, c.as_shape(0));
}

template <class T> class ParameterizedTruncatedNormal final : public Kernel {
  using S = typename Draws<T>::S;

 public:
  absl::Status init(KernelInit& init) override { return generator_.init(init); }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const TensorShape shape, ctx.shape_value(0));
    if (shape.rank() < 1) return invalid_argument("Shape tensor must not be empty, got ", ctx.shape(0));
    int64_t batches = shape.dim(0), per_batch = 1;
    for (int d = 1; d < shape.rank(); ++d) per_batch *= shape.dim(d);
    std::span<const T> parameters[4];
    bool all_scalars = true;
    static constexpr const char* kNames[] = {"means", "stdevs", "minvals", "maxvals"};
    for (int i = 0; i < 4; ++i) {
      if (ctx.shape(i + 1).rank() > 1)
        return invalid_argument("Input ", kNames[i], " should be a scalar or vector, got shape: ", ctx.shape(i + 1));
      MR_ASSIGN_OR_RETURN(parameters[i], ctx.flat<T>(i + 1));
      const auto count = static_cast<int64_t>(parameters[i].size());
      if (count != 1 && count != batches) {
        return invalid_argument("Input ", kNames[i],
                                " should have length 1 or shape[0], got shape: ", ctx.shape(i + 1));
      }
      all_scalars = all_scalars && ctx.shape(i + 1).rank() == 0;
    }
    MR_ASSIGN_OR_RETURN(const std::span<T> out, ctx.output<T>(0, shape));
    if (out.empty()) return absl::OkStatus();
    if (all_scalars) {  // TensorFlow's batches then; each begins with fresh numbers of the generator
      per_batch = 100;
      batches = (static_cast<int64_t>(out.size()) + per_batch - 1) / per_batch;
    }
    Philox generator = generator_.reserve(static_cast<uint64_t>(batches) * 2 * kMaxIterations *
                                          static_cast<uint64_t>(per_batch + 3) / 4);
    for (int64_t b = 0; b < batches; ++b) {
      const auto parameter = [&](int i) {
        return static_cast<S>(parameters[i][parameters[i].size() == 1 ? 0 : static_cast<size_t>(b)]);
      };
      Sampler<T> sampler;
      if (!sampler.set(parameter(0), parameter(1), parameter(2), parameter(3)))
        return invalid_argument("Invalid parameters");
      const auto begin = static_cast<size_t>(b * per_batch);
      sampler.fill(generator, out.subspan(begin, std::min(static_cast<size_t>(per_batch), out.size() - begin)));
    }
    return absl::OkStatus();
  }

 private:
  GuardedPhilox generator_;
};

}  // namespace

void register_truncated_normal(Registry& registry) {
  registry.op("ParameterizedTruncatedNormal")
      .input("shape: T")
      .input("means: dtype")
      .input("stdevs: dtype")
      .input("minvals: dtype")
      .input("maxvals: dtype")
      .output("output: dtype")
      .attr("seed: int = 0")
      .attr("seed2: int = 0")
      .attr("dtype: {half, bfloat16, float, double}")
      .attr("T: {int32, int64}")
      .stateful()
      .shape(truncated_shape)
      .cpu<ParameterizedTruncatedNormal, Half, float, double>("dtype")
      .not_differentiable()
      .doc(
          "Normal numbers of given means and deviations within bounds, which may differ per row of the first "
          "dimension.");
}

}  // namespace millrace
