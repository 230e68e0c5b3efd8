// Local response normalization over neighbouring channels (Krizhevsky, Sutskever and Hinton 2012), and its gradient.

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/parallel.h"
#include "op/gradient_context.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/window.h"
#include "tensor/shape.h"

namespace millrace {
namespace {

absl::Status lrn_shape(ShapeContext& c) { return c.set_output(0, c.with_rank(0, 4)); }

absl::Status lrn_grad_shape(ShapeContext& c) {
  PartialTensorShape all = unknown_shape_of_rank(4);
  for (int i = 0; i < 3; ++i) {
    MR_ASSIGN_OR_RETURN(all, merge(all, c.input(i)));
  }
  return c.set_output(0, std::move(all));
}

class LrnKernel : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(radius_, init.attr<int64_t>("depth_radius"));
    if (radius_ < 0 || radius_ > (std::numeric_limits<int32_t>::max() - 1) / 2)
      return invalid_argument(init.node().op, ": depth_radius = ", radius_, " is out of range");
    MR_ASSIGN_OR_RETURN(bias_, init.attr<float>("bias"));
    MR_ASSIGN_OR_RETURN(alpha_, init.attr<float>("alpha"));
    MR_ASSIGN_OR_RETURN(beta_, init.attr<float>("beta"));
    return absl::OkStatus();
  }

 protected:
  // norm[c] = bias + alpha times the squares of the channels within the radius.
  void norms(const float* x, int64_t channels, float* norm) const {
    for (int64_t c = 0; c < channels; ++c) {
      float sum = 0;
      for (int64_t k = first(c); k < last(c, channels); ++k) sum += x[k] * x[k];
      norm[c] = bias_ + alpha_ * sum;
    }
  }
  int64_t first(int64_t c) const { return std::max<int64_t>(0, c - radius_); }
  int64_t last(int64_t c, int64_t channels) const { return std::min(channels, c + radius_ + 1); }
  double row_cost(int64_t channels) const {
    return static_cast<double>(channels) * (30 + static_cast<double>(std::min(channels, 2 * radius_ + 1)));
  }
  float alpha() const { return alpha_; }
  float beta() const { return beta_; }

 private:
  int64_t radius_ = 0;
  float bias_ = 1, alpha_ = 1, beta_ = 0.5f;
};

template <class T> void to_floats(const T* from, int64_t n, float* to) {
  for (int64_t i = 0; i < n; ++i) to[i] = static_cast<float>(from[i]);
}

// y = x norm^-beta
template <class T> class Lrn final : public LrnKernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::span<const T> x, ctx.flat<T>(0));
    const TensorShape& shape = ctx.shape(0);
    if (shape.rank() != 4) return invalid_argument("LRN: in must be 4-dimensional, got ", shape);
    MR_ASSIGN_OR_RETURN(const std::span<T> y, ctx.output<T>(0, shape));
    if (y.empty()) return absl::OkStatus();
    const int64_t n = shape.dim(3);
    parallel_for(static_cast<int64_t>(y.size()) / n, row_cost(n), [&](int64_t begin, int64_t end) {
      std::vector<float> row(static_cast<size_t>(n)), norm(row.size());
      for (int64_t r = begin; r < end; ++r) {
        to_floats(x.data() + r * n, n, row.data());
        norms(row.data(), n, norm.data());
        for (size_t c = 0; c < row.size(); ++c)
          y[static_cast<size_t>(r * n) + c] = static_cast<T>(row[c] * std::pow(norm[c], -beta()));
      }
    });
    return absl::OkStatus();
  }
};

// dx_k = sum over c within reach of dy_c (norm_c^-beta [k = c] - 2 alpha beta x_k y_c / norm_c)
template <class T> class LrnGrad final : public LrnKernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::span<const T> dy, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const std::span<const T> x, ctx.flat<T>(1));
    MR_ASSIGN_OR_RETURN(const std::span<const T> y, ctx.flat<T>(2));
    const TensorShape& shape = ctx.shape(1);
    if (shape.rank() != 4 || ctx.shape(0) != shape || ctx.shape(2) != shape) {
      return invalid_argument("LRNGrad: input_grads, input_image and output_image must be 4-dimensional and have the ",
                              "same shape, got ", ctx.shape(0), ", ", shape, " and ", ctx.shape(2));
    }
    MR_ASSIGN_OR_RETURN(const std::span<T> dx, ctx.output<T>(0, shape));
    if (dx.empty()) return absl::OkStatus();
    const int64_t n = shape.dim(3);
    parallel_for(static_cast<int64_t>(dx.size()) / n, row_cost(n), [&](int64_t begin, int64_t end) {
      std::vector<float> rows(static_cast<size_t>(5 * n));
      float *in = rows.data(), *out = in + n, *grad = out + n, *norm = grad + n, *weight = norm + n;
      for (int64_t r = begin; r < end; ++r) {
        to_floats(x.data() + r * n, n, in);
        to_floats(y.data() + r * n, n, out);
        to_floats(dy.data() + r * n, n, grad);
        norms(in, n, norm);
        for (int64_t c = 0; c < n; ++c) weight[c] = grad[c] * out[c] / norm[c];
        for (int64_t k = 0; k < n; ++k) {
          float sum = 0;
          for (int64_t c = first(k); c < last(k, n); ++c) sum += weight[c];
          dx[static_cast<size_t>(r * n + k)] =
              static_cast<T>(grad[k] * std::pow(norm[k], -beta()) - 2 * alpha() * beta() * in[k] * sum);
        }
      }
    });
    return absl::OkStatus();
  }
};

absl::Status lrn_gradient(GradientContext& g) {
  g.set_dx(
      0, g.op("LRNGrad", {g.dy(0), g.x(0), g.y(0)}, copied_attrs(g.node(), {"depth_radius", "bias", "alpha", "beta"})));
  return absl::OkStatus();
}

}  // namespace

void register_lrn(Registry& registry) {
  const auto with_attrs = [](OpBuilder b) {
    return b.attr("depth_radius: int = 5")
        .attr("bias: float = 1")
        .attr("alpha: float = 1")
        .attr("beta: float = 0.5")
        .attr("T: {half, bfloat16, float} = DT_FLOAT");
  };
  with_attrs(registry.op("LRN").input("input: T").output("output: T"))
      .shape(lrn_shape)
      .cpu_for<Lrn>(Types<Half, BFloat16, float>())
      .gradient(lrn_gradient)
      .doc("Each value divided by (bias + alpha * the sum of squares of neighbouring channels) ^ beta.");
  with_attrs(registry.op("LRNGrad")
                 .input("input_grads: T")
                 .input("input_image: T")
                 .input("output_image: T")
                 .output("output: T"))
      .shape(lrn_grad_shape)
      .cpu_for<LrnGrad>(Types<Half, BFloat16, float>())
      .doc("The gradient of LRN.");
}

}  // namespace millrace
