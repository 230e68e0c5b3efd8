// Activations and their gradients as ops. Sigmoid and Tanh stand with the elementwise maths.

#include <cmath>
#include <limits>

#include "kernels/parallel.h"
#include "op/gradient_context.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/gradient_ops.h"

namespace millrace {
namespace {

// Half and bfloat16 are computed in float.
template <class T> struct Wide { using type = T; };
template <> struct Wide<Half> { using type = float; };
template <> struct Wide<BFloat16> { using type = float; };

// The functions of one element. Comparisons are written so that NaN comes out as NaN.
struct ReluFn {
  template <class S> static S apply(S x) { return x < S(0) ? S(0) : x; }
};
struct Relu6Fn {
  template <class S> static S apply(S x) { return x < S(0) ? S(0) : x > S(6) ? S(6) : x; }
};
struct EluFn {
  template <class S> static S apply(S x) { return x < 0 ? std::expm1(x) : x; }
};
constexpr double kSeluScale = 1.0507009873554804934193349852946, kSeluScaleAlpha = 1.7580993408473768599402175208123;
struct SeluFn {
  template <class S> static S apply(S x) { return x < 0 ? S(kSeluScaleAlpha) * std::expm1(x) : S(kSeluScale) * x; }
};
struct SoftplusFn {
  // log(1 + exp(x)): for x far from zero the linear or the exponential branch is exact to rounding and cannot overflow.
  template <class S> static S apply(S x) {
    const S threshold = std::log(std::numeric_limits<S>::epsilon()) + S(2);
    if (x > -threshold) return x;
    const S e = std::exp(x);
    return x < threshold ? e : std::log1p(e);
  }
};
struct SoftsignFn {
  template <class S> static S apply(S x) { return x / (S(1) + std::abs(x)); }
};

// Of a gradient and the features, or the activations.
struct ReluGradFn {
  template <class S> static S apply(S dy, S x) { return x > S(0) ? dy : dy * S(0); }
};
struct Relu6GradFn {
  template <class S> static S apply(S dy, S x) { return x > S(0) && x < S(6) ? dy : dy * S(0); }
};
struct EluGradFn {
  template <class S> static S apply(S dy, S y) { return y < 0 ? (y + 1) * dy : dy; }
};
struct SeluGradFn {
  template <class S> static S apply(S dy, S y) { return y < 0 ? dy * (y + S(kSeluScaleAlpha)) : dy * S(kSeluScale); }
};
struct SoftplusGradFn {
  template <class S> static S apply(S dy, S x) { return dy / (std::exp(-x) + 1); }
};
struct SoftsignGradFn {
  template <class S> static S apply(S dy, S x) {
    const S d = S(1) + std::abs(x);
    return dy / (d * d);
  }
};

template <class T, class F> class UnaryActivation final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    using S = typename Wide<T>::type;
    MR_ASSIGN_OR_RETURN(const std::span<const T> x, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const std::span<T> y, ctx.forward_or_allocate<T>(0, 0, ctx.shape(0)));
    parallel_for(static_cast<int64_t>(x.size()), 1, [&](int64_t begin, int64_t end) {
      for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i)
        y[i] = static_cast<T>(F::apply(static_cast<S>(x[i])));
    });
    return absl::OkStatus();
  }
};

absl::Status check_same_shape(KernelContext& ctx) {
  if (ctx.shape(0) == ctx.shape(1)) return absl::OkStatus();
  return invalid_argument("Inputs to operation ", ctx.node().name, " of type ", ctx.node().op,
                          " must have the same size and shape.  Input 0: ", ctx.shape(0),
                          " != input 1: ", ctx.shape(1));
}

template <class T, class F> class ActivationGrad final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    using S = typename Wide<T>::type;
    MR_RETURN_IF_ERROR(check_same_shape(ctx));
    MR_ASSIGN_OR_RETURN(const std::span<const T> dy, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const std::span<const T> x, ctx.flat<T>(1));
    MR_ASSIGN_OR_RETURN(const std::span<T> dx, ctx.forward_or_allocate<T>({0, 1}, 0, ctx.shape(0)));
    parallel_for(static_cast<int64_t>(x.size()), 1, [&](int64_t begin, int64_t end) {
      for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i)
        dx[i] = static_cast<T>(F::apply(static_cast<S>(dy[i]), static_cast<S>(x[i])));
    });
    return absl::OkStatus();
  }
};

template <class T> class LeakyRelu final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(alpha_, init.attr<float>("alpha"));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    using S = typename Wide<T>::type;
    MR_ASSIGN_OR_RETURN(const std::span<const T> x, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const std::span<T> y, ctx.forward_or_allocate<T>(0, 0, ctx.shape(0)));
    const S alpha = static_cast<S>(static_cast<T>(alpha_));  // rounded first, as TensorFlow's
    for (size_t i = 0; i < x.size(); ++i) {
      const S v = static_cast<S>(x[i]);
      y[i] = static_cast<T>(v > 0 ? v : v * alpha);
    }
    return absl::OkStatus();
  }

 private:
  float alpha_ = 0;
};

template <class T> class LeakyReluGrad final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(alpha_, init.attr<float>("alpha"));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    using S = typename Wide<T>::type;
    MR_RETURN_IF_ERROR(check_same_shape(ctx));
    MR_ASSIGN_OR_RETURN(const std::span<const T> dy, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const std::span<const T> x, ctx.flat<T>(1));
    MR_ASSIGN_OR_RETURN(const std::span<T> dx, ctx.forward_or_allocate<T>({0, 1}, 0, ctx.shape(0)));
    const S alpha = static_cast<S>(static_cast<T>(alpha_));  // rounded first, as TensorFlow's
    for (size_t i = 0; i < x.size(); ++i) {
      const S d = static_cast<S>(dy[i]);
      dx[i] = static_cast<T>(static_cast<S>(x[i]) > 0 ? d : d * alpha);
    }
    return absl::OkStatus();
  }

 private:
  float alpha_ = 0;
};

template <class T> using Relu = UnaryActivation<T, ReluFn>;
template <class T> using Relu6 = UnaryActivation<T, Relu6Fn>;
template <class T> using Elu = UnaryActivation<T, EluFn>;
template <class T> using Selu = UnaryActivation<T, SeluFn>;
template <class T> using Softplus = UnaryActivation<T, SoftplusFn>;
template <class T> using Softsign = UnaryActivation<T, SoftsignFn>;
template <class T> using ReluGrad = ActivationGrad<T, ReluGradFn>;
template <class T> using Relu6Grad = ActivationGrad<T, Relu6GradFn>;
template <class T> using EluGrad = ActivationGrad<T, EluGradFn>;
template <class T> using SeluGrad = ActivationGrad<T, SeluGradFn>;
template <class T> using SoftplusGrad = ActivationGrad<T, SoftplusGradFn>;
template <class T> using SoftsignGrad = ActivationGrad<T, SoftsignGradFn>;

// --- Gradients

absl::Status relu_gradient(GradientContext& g) {
  g.set_dx(0, g.op("ReluGrad", {g.dy(0), g.y(0)}));
  return absl::OkStatus();
}
absl::Status relu6_gradient(GradientContext& g) {
  g.set_dx(0, g.op("Relu6Grad", {g.dy(0), g.y(0)}));
  return absl::OkStatus();
}
absl::Status elu_gradient(GradientContext& g) {
  g.set_dx(0, g.op("EluGrad", {g.dy(0), g.y(0)}));
  return absl::OkStatus();
}
absl::Status selu_gradient(GradientContext& g) {
  g.set_dx(0, g.op("SeluGrad", {g.dy(0), g.y(0)}));
  return absl::OkStatus();
}
absl::Status leaky_relu_gradient(GradientContext& g) {
  MR_ASSIGN_OR_RETURN(const float alpha, g.attr<float>("alpha"));
  g.set_dx(0, g.op("LeakyReluGrad", {g.dy(0), g.x(0)}, {{"alpha", alpha}}));
  return absl::OkStatus();
}
absl::Status softplus_gradient(GradientContext& g) {
  const Output s = g.op("Sigmoid", {g.x(0)});
  g.set_dx(0, g.op("Mul", {g.dy(0), s}, {}, "mul"));
  return absl::OkStatus();
}
absl::Status softsign_gradient(GradientContext& g) {
  g.set_dx(0, g.op("SoftsignGrad", {g.dy(0), g.x(0)}));
  return absl::OkStatus();
}

// The second input only chooses a branch, so that it has no gradient but zero.
absl::Status grad_of_step(GradientContext& g, const char* type) {
  AttrMap attrs;
  if (std::string_view(type) == "LeakyReluGrad") {
    MR_ASSIGN_OR_RETURN(const float alpha, g.attr<float>("alpha"));
    attrs.insert_or_assign("alpha", alpha);
  }
  g.set_dx(0, g.op(type, {g.dy(0), g.x(1)}, attrs));
  g.set_dx(1, zeros_like(g, g.x(1)));
  return absl::OkStatus();
}
absl::Status relu_grad_gradient(GradientContext& g) { return grad_of_step(g, "ReluGrad"); }
absl::Status relu6_grad_gradient(GradientContext& g) { return grad_of_step(g, "Relu6Grad"); }
absl::Status leaky_relu_grad_gradient(GradientContext& g) { return grad_of_step(g, "LeakyReluGrad"); }

absl::Status grad_of_exponential(GradientContext& g, const char* type) {
  const Output dy = g.dy(0), y = g.x(1);
  g.set_dx(0, g.op(type, {dy, y}));
  Output negative;
  {
    const auto scope = g.name_scope("Less");
    MR_ASSIGN_OR_RETURN(const Tensor zero, make_zeroed_tensor(g.dtype(y), TensorShape()));
    const Output literal = g.constant(zero, "y");
    negative = g.op("Less", {y, literal}, {}, "/");
  }
  const Output product = g.op("Mul", {dy, g.x(0)}, {}, "mul");
  const Output none = zeros_like(g, y);
  g.set_dx(1, g.op("Select", {negative, product, none}));
  return absl::OkStatus();
}
absl::Status elu_grad_gradient(GradientContext& g) { return grad_of_exponential(g, "EluGrad"); }
absl::Status selu_grad_gradient(GradientContext& g) { return grad_of_exponential(g, "SeluGrad"); }

absl::StatusOr<Tensor> literal(DataType dtype, float value) {
  switch (dtype) {
    case DataType::kFloat: return make_scalar(value);
    case DataType::kDouble: return make_scalar(static_cast<double>(value));
    case DataType::kHalf: return make_scalar(Half(value));
    case DataType::kBfloat16: return make_scalar(BFloat16(value));
    default: return internal_error("no literal of type ", dtype_name(dtype));
  }
}

// d/dx of dy * sigmoid(x): dy / (exp(-x) + 2 + exp(x)).
absl::Status softplus_grad_gradient(GradientContext& g) {
  const Output d = g.dy(0), dy = g.x(0), x = g.x(1);
  const auto after = g.control_dependencies({d});
  const Output ddy = g.op("SoftplusGrad", {d, x});
  const Output top = g.op("Mul", {d, dy}, {}, "mul");
  const Output negative = g.op("Exp", {g.op("Neg", {x})});
  Output sum;
  {
    const auto scope = g.name_scope("add");
    MR_ASSIGN_OR_RETURN(const Tensor two, literal(g.dtype(x), 2));
    const Output y = g.constant(two, "y");
    sum = g.op("AddV2", {negative, y}, {}, "/");
  }
  const Output positive = g.op("Exp", {x});
  const Output bottom = g.op("AddV2", {sum, positive}, {}, "add");
  g.set_dx(0, ddy);
  g.set_dx(1, g.op("RealDiv", {top, bottom}, {}, "truediv"));
  return absl::OkStatus();
}

}  // namespace

void register_activation(Registry& registry) {
  constexpr const char* kReal =
      "T: {float, double, int32, uint8, int16, int8, int64, bfloat16, uint16, half, uint32, uint64}";
  constexpr const char* kFloating = "T: {half, bfloat16, float, double}";
  const auto unary = [&](const char* name, const char* types) {
    return registry.op(name).input("features: T").output("activations: T").attr(types).shape(unchanged_shape);
  };
  const auto grad = [&](const char* name, const char* second, const char* types) {
    return registry.op(name).input("gradients: T").input(second).output("backprops: T").attr(types).shape(merged_shape);
  };
  unary("Relu", "T: {float, double, int32, uint8, int16, int8, int64, bfloat16, uint16, half, uint32, uint64, qint8}")
      .cpu_for<Relu>(RealTypes())
      .gradient(relu_gradient)
      .doc("max(features, 0).");
  grad("ReluGrad", "features: T", kReal)
      .cpu_for<ReluGrad>(RealTypes())
      .gradient(relu_grad_gradient)
      .doc("gradients where features > 0, else 0.");
  unary("Relu6", kReal).cpu_for<Relu6>(RealTypes()).gradient(relu6_gradient).doc("min(max(features, 0), 6).");
  grad("Relu6Grad", "features: T", kReal)
      .cpu_for<Relu6Grad>(RealTypes())
      .gradient(relu6_grad_gradient)
      .doc("gradients where 0 < features < 6, else 0.");
  unary("Elu", kFloating)
      .cpu_for<Elu>(FloatTypes())
      .gradient(elu_gradient)
      .doc("exp(features) - 1 if < 0, features otherwise.");
  grad("EluGrad", "outputs: T", kFloating)
      .cpu_for<EluGrad>(FloatTypes())
      .gradient(elu_grad_gradient)
      .doc("gradients * (outputs + 1) if outputs < 0, gradients otherwise.");
  unary("Selu", kFloating)
      .cpu_for<Selu>(FloatTypes())
      .gradient(selu_gradient)
      .doc(
          "scale * alpha * (exp(features) - 1) if < 0, scale * features otherwise (https://arxiv.org/abs/1706.02515).");
  grad("SeluGrad", "outputs: T", kFloating)
      .cpu_for<SeluGrad>(FloatTypes())
      .gradient(selu_grad_gradient)
      .doc("gradients * (outputs + scale * alpha) if outputs < 0, scale * gradients otherwise.");
  registry.op("LeakyRelu")
      .input("features: T")
      .output("activations: T")
      .attr("alpha: float = 0.200000003")
      .attr("T: {half, bfloat16, float, double} = DT_FLOAT")
      .shape(unchanged_shape)
      .cpu_for<LeakyRelu>(FloatTypes())
      .gradient(leaky_relu_gradient)
      .doc("features where > 0, else alpha * features.");
  registry.op("LeakyReluGrad")
      .input("gradients: T")
      .input("features: T")
      .output("backprops: T")
      .attr("alpha: float = 0.200000003")
      .attr("T: {half, bfloat16, float, double} = DT_FLOAT")
      .shape(merged_shape)
      .cpu_for<LeakyReluGrad>(FloatTypes())
      .gradient(leaky_relu_grad_gradient)
      .doc("gradients where features > 0, else alpha * gradients.");
  unary("Softplus", kFloating)
      .cpu_for<Softplus>(FloatTypes())
      .gradient(softplus_gradient)
      .doc("log(exp(features) + 1).");
  grad("SoftplusGrad", "features: T", kFloating)
      .cpu_for<SoftplusGrad>(FloatTypes())
      .gradient(softplus_grad_gradient)
      .doc("gradients / (exp(-features) + 1).");
  unary("Softsign", kFloating)
      .cpu_for<Softsign>(FloatTypes())
      .gradient(softsign_gradient)
      .doc("features / (abs(features) + 1).");
  grad("SoftsignGrad", "features: T", kFloating)
      .cpu_for<SoftsignGrad>(FloatTypes())
      .doc("gradients / (1 + abs(features))^2.");
}

}  // namespace millrace
