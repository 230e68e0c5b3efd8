// TF1's first batch normalization: over the last dimension of images, with mean and variance given.
//
//   result = (t - m) * gamma / sqrt(v + epsilon) + beta       without gamma unless scale_after_normalization
//
// Arithmetic is double's, so that half sums do not lose their small terms.

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/parallel.h"
#include "op/gradient_context.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/array_shapes.h"
#include "ops/window.h"
#include "tensor/shape.h"

namespace millrace {
namespace {

double as_double(Half x) { return static_cast<double>(static_cast<float>(x)); }
double as_double(float x) { return static_cast<double>(x); }
double as_double(double x) { return x; }
template <class T> T from_double(double x) {
  if constexpr (std::is_same_v<T, Half>) return Half(static_cast<float>(x));
  else return static_cast<T>(x);
}

class GlobalNormKernel : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(const float epsilon, init.attr<float>("variance_epsilon"));
    epsilon_ = static_cast<double>(epsilon);
    MR_ASSIGN_OR_RETURN(scales_, init.attr<bool>("scale_after_normalization"));
    return absl::OkStatus();
  }

 protected:
  // Inputs 1 to `vectors` hold one number for each channel of the images.
  static absl::Status check(KernelContext& ctx, int vectors) {
    const TensorShape& images = ctx.shape(0);
    if (images.rank() != 4) return invalid_argument(ctx.node().op, ": input must be 4-dimensional, got ", images);
    for (int i = 1; i <= vectors; ++i) {
      if (ctx.shape(i).rank() != 1 || ctx.shape(i).dim(0) != images.dim(3))
        return invalid_argument(ctx.node().op, ": input ", i, " must be a vector of ", images.dim(3),
                                " elements, got shape ", ctx.shape(i));
    }
    return absl::OkStatus();
  }
  template <class T> double inverse_deviation(T variance) const {
    return 1 / std::sqrt(as_double(variance) + epsilon_);
  }
  bool scales() const { return scales_; }

 private:
  double epsilon_ = 0;
  bool scales_ = false;
};

template <class T> class GlobalNorm final : public GlobalNormKernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_RETURN_IF_ERROR(check(ctx, 4));
    MR_ASSIGN_OR_RETURN(const std::span<const T> t, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const std::span<const T> mean, ctx.vector<T>(1));
    MR_ASSIGN_OR_RETURN(const std::span<const T> variance, ctx.vector<T>(2));
    MR_ASSIGN_OR_RETURN(const std::span<const T> beta, ctx.vector<T>(3));
    MR_ASSIGN_OR_RETURN(const std::span<const T> gamma, ctx.vector<T>(4));
    std::vector<double> factor(mean.size());
    for (size_t c = 0; c < factor.size(); ++c)
      factor[c] = inverse_deviation(variance[c]) * (scales() ? as_double(gamma[c]) : 1);
    MR_ASSIGN_OR_RETURN(const std::span<T> out, ctx.output<T>(0, ctx.shape(0)));
    if (out.empty()) return absl::OkStatus();
    const auto channels = static_cast<int64_t>(factor.size());
    parallel_for(std::ssize(out) / channels, static_cast<double>(channels), [&](int64_t begin, int64_t end) {
      for (auto i = static_cast<size_t>(begin * channels); i < static_cast<size_t>(end * channels);) {
        for (size_t c = 0; c < factor.size(); ++c, ++i)
          out[i] = from_double<T>((as_double(t[i]) - as_double(mean[c])) * factor[c] + as_double(beta[c]));
      }
    });
    return absl::OkStatus();
  }
};

// Sums over all pixels: of dy, and of dy * (t - m).
struct ChannelSums {
  std::vector<double> dy, dy_apart;
};

template <class T> class GlobalNormGrad final : public GlobalNormKernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_RETURN_IF_ERROR(check(ctx, 3));
    if (ctx.shape(4) != ctx.shape(0))
      return invalid_argument(ctx.node().op, ": backprop must have the shape of t, ", ctx.shape(0), ", got ",
                              ctx.shape(4));
    MR_ASSIGN_OR_RETURN(const std::span<const T> t, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const std::span<const T> mean, ctx.vector<T>(1));
    MR_ASSIGN_OR_RETURN(const std::span<const T> variance, ctx.vector<T>(2));
    MR_ASSIGN_OR_RETURN(const std::span<const T> gamma, ctx.vector<T>(3));
    MR_ASSIGN_OR_RETURN(const std::span<const T> dy, ctx.flat<T>(4));
    MR_ASSIGN_OR_RETURN(const std::span<T> dx, ctx.output<T>(0, ctx.shape(0)));
    MR_ASSIGN_OR_RETURN(const std::span<T> dm, ctx.output<T>(1, ctx.shape(1)));
    MR_ASSIGN_OR_RETURN(const std::span<T> dv, ctx.output<T>(2, ctx.shape(1)));
    MR_ASSIGN_OR_RETURN(const std::span<T> db, ctx.output<T>(3, ctx.shape(1)));
    MR_ASSIGN_OR_RETURN(const std::span<T> dg, ctx.output<T>(4, ctx.shape(1)));
    const ChannelSums sums = sum(t, mean, dy);
    std::vector<double> factor(mean.size());
    for (size_t c = 0; c < factor.size(); ++c) {
      const double inverse = inverse_deviation(variance[c]);
      factor[c] = inverse * (scales() ? as_double(gamma[c]) : 1);
      dm[c] = from_double<T>(-sums.dy[c] * factor[c]);
      dv[c] = from_double<T>(-0.5 * sums.dy_apart[c] * factor[c] * inverse * inverse);
      db[c] = from_double<T>(sums.dy[c]);
      dg[c] = from_double<T>(scales() ? sums.dy_apart[c] * inverse : 0);
    }
    for (size_t i = 0; i < dx.size(); ++i) dx[i] = from_double<T>(as_double(dy[i]) * factor[i % factor.size()]);
    return absl::OkStatus();
  }

  static ChannelSums sum(std::span<const T> t, std::span<const T> mean, std::span<const T> dy) {
    ChannelSums sums{std::vector<double>(mean.size()), std::vector<double>(mean.size())};
    for (size_t i = 0; i < t.size();) {
      for (size_t c = 0; c < mean.size(); ++c, ++i) {
        sums.dy[c] += as_double(dy[i]);
        sums.dy_apart[c] += as_double(dy[i]) * (as_double(t[i]) - as_double(mean[c]));
      }
    }
    return sums;
  }
};

// Outputs: one like the images and, for the gradient, four vectors.
template <int kVectors> absl::Status global_norm_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(PartialTensorShape images, c.with_rank(0, 4));
  if (c.num_outputs() > 1) {
    MR_ASSIGN_OR_RETURN(images, merge(images, c.input(4)));
  }
  std::vector<int64_t> dims = to_dims(images);
  for (int i = 1; i <= kVectors; ++i) {
    MR_ASSIGN_OR_RETURN(const PartialTensorShape vector, c.with_rank(i, 1));
    MR_ASSIGN_OR_RETURN(dims[3], merge_dim(dims[3], vector.dim(0)));
  }
  MR_RETURN_IF_ERROR(c.set_output(0, make_partial_shape(dims)));
  for (int i = 1; i < c.num_outputs(); ++i) MR_RETURN_IF_ERROR(c.set_output(i, make_partial_shape({dims[3]})));
  return absl::OkStatus();
}

absl::Status global_norm_gradient(GradientContext& g) {
  const std::vector<Output> d =
      g.op_outputs("BatchNormWithGlobalNormalizationGrad", {g.x(0), g.x(1), g.x(2), g.x(4), g.dy(0)},
                   copied_attrs(g.node(), {"variance_epsilon", "scale_after_normalization"}));
  for (size_t i = 0; i < d.size(); ++i) g.set_dx(static_cast<int>(i), d[i]);
  return absl::OkStatus();
}

constexpr const char* kNumbers =
    "T: {float, double, int32, uint8, int16, int8, complex64, int64, qint8, quint8, qint32, bfloat16, qint16, "
    "quint16, uint16, complex128, half, uint32, uint64}";

}  // namespace

void register_batch_norm_global(Registry& registry) {
  registry.op("BatchNormWithGlobalNormalization")
      .input("t: T")
      .input("m: T")
      .input("v: T")
      .input("beta: T")
      .input("gamma: T")
      .output("result: T")
      .attr(kNumbers)
      .attr("variance_epsilon: float")
      .attr("scale_after_normalization: bool")
      .shape(global_norm_shape<4>)
      .cpu<GlobalNorm, Half, float, double>()
      .gradient(global_norm_gradient)
      .doc("Images normalized by a given mean and variance of each channel.");
  registry.op("BatchNormWithGlobalNormalizationGrad")
      .input("t: T")
      .input("m: T")
      .input("v: T")
      .input("gamma: T")
      .input("backprop: T")
      .output("dx: T")
      .output("dm: T")
      .output("dv: T")
      .output("db: T")
      .output("dg: T")
      .attr(kNumbers)
      .attr("variance_epsilon: float")
      .attr("scale_after_normalization: bool")
      .shape(global_norm_shape<3>)
      .cpu<GlobalNormGrad, Half, float, double>()
      .doc("The gradients of BatchNormWithGlobalNormalization.");
}

}  // namespace millrace
