// Elementwise functions of one argument, and the ops that their gradients are made of.

#include <cmath>

#include "kernels/vector_loops.h"
#include "op/shape_context.h"
#include "ops/elementwise.h"
#include "ops/math_gradients.h"

namespace millrace {

namespace {

using namespace gradients;  // NOLINT: the rules read as the formulas do

using FloatsAndComplex = Types<Half, BFloat16, float, double, Complex64, Complex128>;
using SignedNumbers = Types<Half, BFloat16, float, double, int8_t, int16_t, int32_t, int64_t, Complex64, Complex128>;
using SignedReals = Types<Half, BFloat16, float, double, int8_t, int16_t, int32_t, int64_t>;

// ---- Functors ----

struct Abs {
  static constexpr UnaryLoop float_loop = &vector_loops::abs;
  template <class T> T operator()(T x) const {
    if constexpr (std::is_integral_v<T>) return x < 0 ? wrapping(T(0), x, [](auto a, auto b) { return a - b; }) : x;
    else return std::abs(x);
  }
};
struct Neg {
  static constexpr UnaryLoop float_loop = &vector_loops::neg;
  template <class T> T operator()(T x) const {
    if constexpr (std::is_integral_v<T>) return wrapping(T(0), x, [](auto a, auto b) { return a - b; });
    else return -x;
  }
};
struct Sign {
  template <class T> T operator()(T x) const {
    if constexpr (is_complex_type<T>) {
      const auto size = std::abs(x);
      return size == 0 ? T(0) : x / size;
    } else if constexpr (std::is_floating_point_v<T>) {
      return x > 0 ? T(1) : x < 0 ? T(-1) : x != x ? x : T(0);
    } else {
      return T((x > 0) - (x < 0));
    }
  }
};
struct Reciprocal {
  static constexpr UnaryLoop float_loop = &vector_loops::reciprocal;
  template <class T> T operator()(T x) const { return T(1) / x; }
};
struct Square {
  static constexpr UnaryLoop float_loop = &vector_loops::square;
  template <class T> T operator()(T x) const {
    return wrapping(x, x, [](auto a, auto b) { return a * b; });
  }
};
struct Sqrt {
  static constexpr UnaryLoop float_loop = &vector_loops::sqrt;
  static constexpr double kCost = 1;
  template <class T> T operator()(T x) const { return std::sqrt(x); }
};
struct Rsqrt {
  static constexpr UnaryLoop float_loop = &vector_loops::rsqrt;
  static constexpr double kCost = 1.5;
  template <class T> T operator()(T x) const { return T(1) / std::sqrt(x); }
};
struct Exp {
  static constexpr UnaryLoop float_loop = &vector_loops::exp;
  static constexpr double kCost = 3;
  template <class T> T operator()(T x) const { return std::exp(x); }
};
struct Expm1 {
  static constexpr double kCost = 6;
  template <class T> T operator()(T x) const {
    if constexpr (is_complex_type<T>) {
      // e^(a+bi) - 1 without cancellation near 0.
      using R = typename T::value_type;
      const R a = std::expm1(x.real()), half = std::sin(x.imag() / 2);
      return T(a * std::cos(x.imag()) - 2 * half * half, std::exp(x.real()) * std::sin(x.imag()));
    } else {
      return std::expm1(x);
    }
  }
};
struct Log {
  static constexpr UnaryLoop float_loop = &vector_loops::log;
  static constexpr double kCost = 3;
  template <class T> T operator()(T x) const { return std::log(x); }
};
struct Log1p {
  static constexpr double kCost = 6;
  template <class T> T operator()(T x) const {
    if constexpr (is_complex_type<T>) return std::log(T(1) + x);
    else return std::log1p(x);
  }
};
#define MR_STD_FUNCTOR(name, function)                                 \
  struct name {                                                        \
    static constexpr double kCost = 8;                                 \
    template <class T> T operator()(T x) const { return function(x); } \
  };
MR_STD_FUNCTOR(Sin, std::sin)
MR_STD_FUNCTOR(Cos, std::cos)
MR_STD_FUNCTOR(Tan, std::tan)
MR_STD_FUNCTOR(Asin, std::asin)
MR_STD_FUNCTOR(Acos, std::acos)
MR_STD_FUNCTOR(Atan, std::atan)
MR_STD_FUNCTOR(Sinh, std::sinh)
MR_STD_FUNCTOR(Cosh, std::cosh)
MR_STD_FUNCTOR(Asinh, std::asinh)
MR_STD_FUNCTOR(Acosh, std::acosh)
MR_STD_FUNCTOR(Atanh, std::atanh)
#undef MR_STD_FUNCTOR
struct Tanh {
  static constexpr UnaryLoop float_loop = &vector_loops::tanh;
  static constexpr double kCost = 8;
  template <class T> T operator()(T x) const { return std::tanh(x); }
};
struct Sigmoid {
  static constexpr UnaryLoop float_loop = &vector_loops::sigmoid;
  static constexpr double kCost = 4;
  template <class T> T operator()(T x) const { return T(1) / (T(1) + std::exp(-x)); }
};

// What follows from an output y = f(x) and its gradient dy.
template <class T> T conj_of(T x) {
  if constexpr (is_complex_type<T>) return std::conj(x);
  else return x;
}
// The rules of sigmoid and tanh conjugate y themselves; those of the others leave it to the kernel.
struct SigmoidGrad {
  static constexpr BinaryLoop float_loop = &vector_loops::sigmoid_grad;
  template <class T> T operator()(T y, T dy) const { return dy * y * (T(1) - y); }
};
struct TanhGrad {
  static constexpr BinaryLoop float_loop = &vector_loops::tanh_grad;
  template <class T> T operator()(T y, T dy) const { return dy * (T(1) - y * y); }
};
struct SqrtGrad {
  static constexpr BinaryLoop float_loop = &vector_loops::sqrt_grad;
  template <class T> T operator()(T y, T dy) const { return dy * T(0.5) / conj_of(y); }
};
struct RsqrtGrad {
  static constexpr BinaryLoop float_loop = &vector_loops::rsqrt_grad;
  template <class T> T operator()(T y, T dy) const {
    const T c = conj_of(y);
    return T(-0.5) * (dy * c) * (c * c);
  }
};
struct ReciprocalGrad {
  template <class T> T operator()(T y, T dy) const {
    const T c = conj_of(y);
    return -dy * c * c;
  }
};

// ---- Gradients. In most the work waits for dy, so that it is not done before the backward pass begins. ----

template <class F> absl::Status after_dy(GradientContext& g, F&& rule) {
  const Output dy = g.dy(0);
  const auto guard = g.control_dependencies({dy});
  rule(dy);
  return absl::OkStatus();
}
// dx = rule(dy, conj(x)).
template <class F> absl::Status of_x(GradientContext& g, F&& rule) {
  return after_dy(g, [&](const Output& dy) { g.set_dx(0, rule(dy, conj(g, g.x(0)))); });
}
template <class F> absl::Status of_y(GradientContext& g, F&& rule) {
  return after_dy(g, [&](const Output& dy) { g.set_dx(0, rule(dy, conj(g, g.y(0)))); });
}

absl::Status abs_gradient(GradientContext& g) {
  g.set_dx(0, mul(g, g.dy(0), g.op("Sign", {g.x(0)})));
  return absl::OkStatus();
}
absl::Status neg_gradient(GradientContext& g) {
  g.set_dx(0, neg(g, g.dy(0)));
  return absl::OkStatus();
}
absl::Status sign_gradient(GradientContext& g) {
  g.set_dx(0, zeros_like(g, g.x(0)));
  return absl::OkStatus();
}
absl::Status reciprocal_gradient(GradientContext& g) {
  g.set_dx(0, g.op("ReciprocalGrad", {g.y(0), g.dy(0)}));
  return absl::OkStatus();
}
absl::Status reciprocal_grad_gradient(GradientContext& g) {
  return after_dy(g, [&](const Output& dy) {
    const Output cy = conj(g, g.x(0)), cdy = conj(g, dy);
    g.set_dx(0, mul(g, mul(g, mul(g, cdy, -2.0), g.x(1)), cy));
    g.set_dx(1, g.op("ReciprocalGrad", {cy, dy}));
  });
}
absl::Status square_gradient(GradientContext& g) {
  return of_x(g, [&](const Output& dy, const Output& x) {
    return g.op("Mul", {dy, g.op("Mul", {x, scalar(g, g.dtype(x), 2)})});
  });
}
absl::Status sqrt_gradient(GradientContext& g) {
  g.set_dx(0, g.op("SqrtGrad", {g.y(0), g.dy(0)}));
  return absl::OkStatus();
}
absl::Status sqrt_grad_gradient(GradientContext& g) {
  return after_dy(g, [&](const Output& dy) {
    const Output q = truediv(g, dy, g.x(0));
    g.set_dx(0, mul(g, neg(g, conj(g, q)), g.y(0)));
    g.set_dx(1, mul(g, 0.5, q));
  });
}
absl::Status rsqrt_gradient(GradientContext& g) {
  g.set_dx(0, g.op("RsqrtGrad", {g.y(0), g.dy(0)}));
  return absl::OkStatus();
}
absl::Status rsqrt_grad_gradient(GradientContext& g) {
  return after_dy(g, [&](const Output& dy) {
    const Output cy = conj(g, g.x(0)), cdy = conj(g, dy);
    const Output first = mul(g, mul(g, -1.5, cdy), g.x(1));
    g.set_dx(0, mul(g, first, g.op("Square", {cy})));
    g.set_dx(1, g.op("RsqrtGrad", {cy, dy}));
  });
}
absl::Status exp_gradient(GradientContext& g) {
  return of_y(g, [&](const Output& dy, const Output& y) { return mul(g, dy, y); });
}
absl::Status expm1_gradient(GradientContext& g) {
  return of_x(g, [&](const Output& dy, const Output& x) { return mul(g, dy, g.op("Exp", {x})); });
}
absl::Status log_gradient(GradientContext& g) {
  return of_x(g, [&](const Output& dy, const Output& x) { return mul(g, dy, g.op("Reciprocal", {x})); });
}
absl::Status log1p_gradient(GradientContext& g) {
  return of_x(g, [&](const Output& dy, const Output& x) { return mul(g, dy, g.op("Reciprocal", {add(g, 1.0, x)})); });
}
absl::Status sin_gradient(GradientContext& g) {
  return of_x(g, [&](const Output& dy, const Output& x) { return mul(g, dy, g.op("Cos", {x})); });
}
absl::Status cos_gradient(GradientContext& g) {
  return of_x(g, [&](const Output& dy, const Output& x) {
    const Output minus = neg(g, dy);
    return mul(g, minus, g.op("Sin", {x}));
  });
}
absl::Status tan_gradient(GradientContext& g) {
  return of_x(g, [&](const Output& dy, const Output& x) {
    const Output sec = g.op("Reciprocal", {g.op("Cos", {x})});
    return mul(g, g.op("Square", {sec}), dy);
  });
}
Output inverse_of_sqrt_one_minus_square(GradientContext& g, const Output& dy, const Output& x) {
  const Output square = g.op("Square", {x});
  const Output one = scalar(g, g.dtype(dy), 1);
  return g.op("Reciprocal", {g.op("Sqrt", {g.op("Sub", {one, square})})});
}
absl::Status asin_gradient(GradientContext& g) {
  return of_x(
      g, [&](const Output& dy, const Output& x) { return mul(g, dy, inverse_of_sqrt_one_minus_square(g, dy, x)); });
}
absl::Status acos_gradient(GradientContext& g) {
  return of_x(g, [&](const Output& dy, const Output& x) {
    const Output inverse = inverse_of_sqrt_one_minus_square(g, dy, x);
    return mul(g, neg(g, dy), inverse);
  });
}
Output inverse_of_one_and_square(GradientContext& g, std::string_view op, std::string_view name, const Output& dy,
                                 const Output& x) {
  const Output square = g.op("Square", {x});
  const Output one = scalar(g, g.dtype(dy), 1);
  return g.op("Reciprocal", {g.op(op, {one, square}, {}, name)});
}
absl::Status atan_gradient(GradientContext& g) {
  return of_x(g, [&](const Output& dy, const Output& x) {
    return mul(g, dy, inverse_of_one_and_square(g, "AddV2", "Add", dy, x));
  });
}
absl::Status atanh_gradient(GradientContext& g) {
  return of_x(g, [&](const Output& dy, const Output& x) {
    return mul(g, dy, inverse_of_one_and_square(g, "Sub", "Sub", dy, x));
  });
}
absl::Status sinh_gradient(GradientContext& g) {
  return of_x(g, [&](const Output& dy, const Output& x) { return mul(g, dy, g.op("Cosh", {x})); });
}
absl::Status cosh_gradient(GradientContext& g) {
  return of_x(g, [&](const Output& dy, const Output& x) { return mul(g, dy, g.op("Sinh", {x})); });
}
absl::Status asinh_gradient(GradientContext& g) {
  return of_y(g, [&](const Output& dy, const Output& y) { return truediv(g, dy, g.op("Cosh", {y})); });
}
absl::Status acosh_gradient(GradientContext& g) {
  return of_y(g, [&](const Output& dy, const Output& y) { return truediv(g, dy, g.op("Sinh", {y})); });
}
absl::Status tanh_gradient(GradientContext& g) {
  return of_y(g, [&](const Output& dy, const Output& y) { return g.op("TanhGrad", {y, dy}); });
}
absl::Status tanh_grad_gradient(GradientContext& g) {
  return after_dy(g, [&](const Output& dy) {
    const Output a = conj(g, g.x(0)), b = conj(g, g.x(1));
    g.set_dx(0, mul(g, mul(g, mul(g, dy, -2.0), b), a));
    g.set_dx(1, g.op("TanhGrad", {a, dy}));
  });
}
absl::Status sigmoid_gradient(GradientContext& g) {
  return of_y(g, [&](const Output& dy, const Output& y) { return g.op("SigmoidGrad", {y, dy}); });
}
absl::Status sigmoid_grad_gradient(GradientContext& g) {
  return after_dy(g, [&](const Output& dy) {
    const Output a = conj(g, g.x(0)), b = conj(g, g.x(1));
    const Output gb = mul(g, dy, b);
    g.set_dx(0, sub(g, gb, mul(g, mul(g, 2.0, gb), a)));
    g.set_dx(1, g.op("SigmoidGrad", {a, dy}));
  });
}

// ---- Registration ----

constexpr std::string_view kSignedAttr =
    "T: {bfloat16, half, float, double, int8, int16, int32, int64, complex64, complex128}";
constexpr std::string_view kFloatAttr = "T: {bfloat16, half, float, double, complex64, complex128}";

OpBuilder unary(Registry& r, std::string_view name, std::string_view attr, GradientFunction gradient,
                std::string_view doc) {
  OpBuilder b = r.op(name);
  b.input("x: T").output("y: T").attr(attr).shape(unchanged_shape).gradient(gradient).doc(doc);
  return b;
}

template <class Op>
void gradient_op(Registry& r, std::string_view name, GradientFunction gradient, std::string_view doc) {
  OpBuilder b = r.op(name);
  b.input("y: T").input("dy: T").output("z: T").attr(kFloatAttr).shape(merged_shape).doc(doc);
  if (gradient != nullptr) b.gradient(gradient);
  binary_kernels<Op>(b, FloatsAndComplex{});
}

template <class Op> void float_op(Registry& r, std::string_view name, GradientFunction gradient, std::string_view doc) {
  OpBuilder b = unary(r, name, kFloatAttr, gradient, doc);
  unary_kernels<Op>(b, FloatsAndComplex{});
}

void register_signed(Registry& r) {
  OpBuilder abs =
      unary(r, "Abs", "T: {bfloat16, half, float, double, int8, int16, int32, int64}", abs_gradient, "|x|.");
  unary_kernels<Abs>(abs, SignedReals{});
  OpBuilder neg = unary(r, "Neg", kSignedAttr, neg_gradient, "-x.");
  unary_kernels<Neg>(neg, SignedNumbers{});
  OpBuilder sign = unary(r, "Sign", kSignedAttr, sign_gradient, "-1, 0 or 1 with x's sign; x / |x| for complex x.");
  unary_kernels<Sign>(sign, SignedNumbers{});
  OpBuilder reciprocal = unary(r, "Reciprocal", kSignedAttr, reciprocal_gradient, "1 / x.");
  unary_kernels<Reciprocal>(reciprocal, FloatsAndComplex{});
  OpBuilder inv = unary(r, "Inv", kSignedAttr, reciprocal_gradient, "1 / x.");
  unary_kernels<Reciprocal>(inv, FloatsAndComplex{});
  OpBuilder square = unary(r, "Square",
                           "T: {bfloat16, half, float, double, int8, int16, int32, int64, uint8, uint16, uint32, "
                           "uint64, complex64, complex128}",
                           square_gradient, "x * x.");
  unary_kernels<Square>(square, NumberTypes{});
}

}  // namespace

void register_unary_math(Registry& r) {
  register_signed(r);
  float_op<Sqrt>(r, "Sqrt", sqrt_gradient, "Square root.");
  float_op<Rsqrt>(r, "Rsqrt", rsqrt_gradient, "1 / sqrt(x).");
  float_op<Exp>(r, "Exp", exp_gradient, "e^x.");
  float_op<Expm1>(r, "Expm1", expm1_gradient, "e^x - 1, exact near 0.");
  float_op<Log>(r, "Log", log_gradient, "Natural logarithm.");
  float_op<Log1p>(r, "Log1p", log1p_gradient, "log(1 + x), exact near 0.");
  float_op<Sin>(r, "Sin", sin_gradient, "Sine.");
  float_op<Cos>(r, "Cos", cos_gradient, "Cosine.");
  float_op<Tan>(r, "Tan", tan_gradient, "Tangent.");
  float_op<Asin>(r, "Asin", asin_gradient, "Inverse sine.");
  float_op<Acos>(r, "Acos", acos_gradient, "Inverse cosine.");
  float_op<Atan>(r, "Atan", atan_gradient, "Inverse tangent.");
  float_op<Sinh>(r, "Sinh", sinh_gradient, "Hyperbolic sine.");
  float_op<Cosh>(r, "Cosh", cosh_gradient, "Hyperbolic cosine.");
  float_op<Tanh>(r, "Tanh", tanh_gradient, "Hyperbolic tangent.");
  float_op<Asinh>(r, "Asinh", asinh_gradient, "Inverse hyperbolic sine.");
  float_op<Acosh>(r, "Acosh", acosh_gradient, "Inverse hyperbolic cosine.");
  float_op<Atanh>(r, "Atanh", atanh_gradient, "Inverse hyperbolic tangent.");
  float_op<Sigmoid>(r, "Sigmoid", sigmoid_gradient, "1 / (1 + e^-x).");
  gradient_op<SigmoidGrad>(r, "SigmoidGrad", sigmoid_grad_gradient, "dy * y * (1 - y), for y = sigmoid(x).");
  gradient_op<TanhGrad>(r, "TanhGrad", tanh_grad_gradient, "dy * (1 - y^2), for y = tanh(x).");
  gradient_op<SqrtGrad>(r, "SqrtGrad", sqrt_grad_gradient, "dy / (2 y), for y = sqrt(x).");
  gradient_op<RsqrtGrad>(r, "RsqrtGrad", rsqrt_grad_gradient, "-dy * y^3 / 2, for y = 1 / sqrt(x).");
  gradient_op<ReciprocalGrad>(r, "ReciprocalGrad", reciprocal_grad_gradient, "-dy * y^2, for y = 1 / x.");
  gradient_op<ReciprocalGrad>(r, "InvGrad", reciprocal_grad_gradient, "-dy * y^2, for y = 1 / x.");
}

}  // namespace millrace
