// Special functions, elementwise: error functions, the gamma family, Bessel functions and others.

#include <cmath>

#include "kernels/special_functions.h"
#include "op/shape_context.h"
#include "ops/elementwise.h"
#include "ops/math_gradients.h"

namespace millrace {

namespace {

using namespace gradients;  // NOLINT: the rules read as the formulas do

struct Erf {
  static constexpr double kCost = 8;
  template <class T> T operator()(T x) const { return std::erf(x); }
};
struct Erfc {
  static constexpr double kCost = 10;
  template <class T> T operator()(T x) const { return std::erfc(x); }
};

// In double, whatever the element type.
template <double (*function)(double)> struct InDouble {
  static constexpr double kCost = 60;
  template <class T> T operator()(T x) const { return static_cast<T>(function(static_cast<double>(x))); }
};
template <double (*function)(double, double)> struct InDouble2 {
  static constexpr double kCost = 150;
  template <class T> T operator()(T x, T y) const {
    return static_cast<T>(function(static_cast<double>(x), static_cast<double>(y)));
  }
};

template <class T> class Betainc final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto a, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const auto b, ctx.flat<T>(1));
    MR_ASSIGN_OR_RETURN(const auto x, ctx.flat<T>(2));
    // All of one shape, or scalars.
    TensorShape shape;
    for (int i = 0; i < 3; ++i)
      if (ctx.shape(i).rank() > 0) shape = ctx.shape(i);
    for (int i = 0; i < 3; ++i) {
      if (ctx.shape(i).rank() > 0 && !(ctx.shape(i) == shape))
        return invalid_argument("Shapes of a, b and x are inconsistent: ", ctx.shape(0), ", ", ctx.shape(1), ", ",
                                ctx.shape(2));
    }
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<T>(0, shape));
    const size_t sa = ctx.shape(0).rank() > 0, sb = ctx.shape(1).rank() > 0, sx = ctx.shape(2).rank() > 0;
    for (size_t i = 0; i < out.size(); ++i)
      out[i] = static_cast<T>(special::betainc(static_cast<double>(a[i * sa]), static_cast<double>(b[i * sb]),
                                               static_cast<double>(x[i * sx])));
    return absl::OkStatus();
  }
};

absl::Status betainc_shape(ShapeContext& c) {
  PartialTensorShape shape = PartialTensorShape::scalar();
  for (int i = 0; i < 3; ++i) {
    const PartialTensorShape& s = c.input(i);
    if (!s.has_rank()) return c.set_output(0, PartialTensorShape());
    if (s.rank() == 0) continue;
    if (shape.rank() == 0) {
      shape = s;
    } else {
      MR_ASSIGN_OR_RETURN(shape, merge(shape, s));
    }
  }
  return c.set_output(0, shape);
}

// ---- Gradients: dx = dy * (the derivative), made after dy ----

template <class F> absl::Status times_derivative(GradientContext& g, F&& derivative) {
  const Output dy = g.dy(0);
  const auto guard = g.control_dependencies({dy});
  g.set_dx(0, mul(g, dy, derivative(conj(g, g.x(0)))));
  return absl::OkStatus();
}
// The function's op inside a scope of its Python name.
Output scoped(GradientContext& g, std::string_view scope_name, std::string_view op, const Output& x) {
  const auto scope = g.name_scope(scope_name);
  return g.op(op, {x});
}

// dy * factor * exp(exponent), where the factor is a constant made first.
template <class F> absl::Status exponential_gradient(GradientContext& g, double factor, F&& exponent) {
  const Output dy = g.dy(0);
  const Output constant = scalar(g, g.dtype(dy), factor);
  const auto guard = g.control_dependencies({dy});
  const Output scaled = mul(g, dy, constant);
  g.set_dx(0, mul(g, scaled, g.op("Exp", {exponent()})));
  return absl::OkStatus();
}
constexpr double kTwoOverRootPi = 1.12837916709551257389615890312154517;
constexpr double kRootTwoPi = 2.50662827463100050241576528481104525;
absl::Status erf_gradient(GradientContext& g) {
  return exponential_gradient(g, kTwoOverRootPi, [&] { return neg(g, g.op("Square", {g.x(0)})); });
}
absl::Status erfc_gradient(GradientContext& g) {
  return exponential_gradient(g, -kTwoOverRootPi, [&] { return neg(g, g.op("Square", {g.x(0)})); });
}
absl::Status erfinv_gradient(GradientContext& g) {
  return exponential_gradient(g, 1 / kTwoOverRootPi, [&] { return g.op("Square", {g.y(0)}); });
}
absl::Status ndtri_gradient(GradientContext& g) {
  return exponential_gradient(g, kRootTwoPi, [&] { return truediv(g, g.op("Square", {g.y(0)}), 2.0); });
}
absl::Status lgamma_gradient(GradientContext& g) {
  return times_derivative(g, [&](const Output& x) { return g.op("Digamma", {x}); });
}
absl::Status digamma_gradient(GradientContext& g) {
  return times_derivative(g, [&](const Output& x) { return g.op("Polygamma", {scalar(g, g.dtype(x), 1), x}); });
}
absl::Status dawsn_gradient(GradientContext& g) {
  return times_derivative(g, [&](const Output& x) { return sub(g, 1.0, mul(g, mul(g, 2.0, x), g.y(0))); });
}
absl::Status expint_gradient(GradientContext& g) {
  const Output dy = g.dy(0), x = g.x(0);
  const auto guard = g.control_dependencies({dy});
  g.set_dx(0, truediv(g, mul(g, dy, g.op("Exp", {x})), x));
  return absl::OkStatus();
}
constexpr double kHalfPi = 1.57079632679489661923132169163975144;
absl::Status fresnel_cos_gradient(GradientContext& g) {
  return times_derivative(g, [&](const Output& x) { return g.op("Cos", {mul(g, kHalfPi, g.op("Square", {x}))}); });
}
absl::Status fresnel_sin_gradient(GradientContext& g) {
  return times_derivative(g, [&](const Output& x) { return g.op("Sin", {mul(g, kHalfPi, g.op("Square", {x}))}); });
}
absl::Status spence_gradient(GradientContext& g) {
  return times_derivative(g, [&](const Output& x) {
    const Output log_x = g.op("Log", {x});
    const Output partial = truediv(g, log_x, sub(g, 1.0, x));
    const Output at_one = equal(g, x, 1.0);
    return g.op("Select", {at_one, neg(g, ones_like(g, x)), partial});
  });
}

absl::Status i0_gradient(GradientContext& g) {
  return times_derivative(g, [&](const Output& x) { return scoped(g, "bessel_i1", "BesselI1", x); });
}
absl::Status i0e_gradient(GradientContext& g) {
  return times_derivative(g, [&](const Output& x) {
    const Output i1e = scoped(g, "bessel_i1e", "BesselI1e", x);
    return sub(g, i1e, mul(g, g.op("Sign", {x}), g.y(0)));
  });
}
// value(x) away from 0, and `at_zero` there, where value has no limit that arithmetic finds.
template <class F> Output unless_zero(GradientContext& g, const Output& x, double at_zero, F&& value) {
  const Output is_zero = equal(g, x, 0.0);
  Output constant;
  {
    const auto scope = g.name_scope("Cast");
    constant = scalar(g, g.dtype(x), at_zero, "x");
  }
  return g.op("SelectV2", {is_zero, constant, value()});
}
Output div(GradientContext& g, const Output& x, const Output& y) { return g.op("RealDiv", {x, y}, {}, "div"); }
absl::Status i1_gradient(GradientContext& g) {
  return times_derivative(g, [&](const Output& x) {
    return unless_zero(g, x, 1, [&] {
      const Output i0 = scoped(g, "bessel_i0", "BesselI0", x);
      return sub(g, i0, div(g, g.y(0), x));
    });
  });
}
absl::Status i1e_gradient(GradientContext& g) {
  return times_derivative(g, [&](const Output& x) {
    return unless_zero(g, x, 0.5, [&] {
      const Output i0e = scoped(g, "bessel_i0e", "BesselI0e", x);
      const Output sign = g.op("Sign", {x});
      return sub(g, i0e, mul(g, g.y(0), add(g, sign, g.op("Reciprocal", {x}))));
    });
  });
}
absl::Status j0_gradient(GradientContext& g) {
  return times_derivative(g, [&](const Output& x) { return neg(g, scoped(g, "bessel_j1", "BesselJ1", x)); });
}
absl::Status j1_gradient(GradientContext& g) {
  return times_derivative(g, [&](const Output& x) {
    return unless_zero(g, x, 0.5, [&] {
      const Output j0 = scoped(g, "bessel_j0", "BesselJ0", x);
      return sub(g, j0, div(g, g.y(0), x));
    });
  });
}
absl::Status k0_gradient(GradientContext& g) {
  return times_derivative(g, [&](const Output& x) { return neg(g, scoped(g, "bessel_k1", "BesselK1", x)); });
}
absl::Status k0e_gradient(GradientContext& g) {
  return times_derivative(g, [&](const Output& x) { return sub(g, g.y(0), scoped(g, "bessel_k1e", "BesselK1e", x)); });
}
absl::Status k1_gradient(GradientContext& g) {
  return times_derivative(g, [&](const Output& x) {
    const Output minus = neg(g, scoped(g, "bessel_k0", "BesselK0", x));
    return sub(g, minus, div(g, g.y(0), x));
  });
}
absl::Status k1e_gradient(GradientContext& g) {
  return times_derivative(g, [&](const Output& x) {
    const Output first = mul(g, g.y(0), sub(g, 1.0, g.op("Reciprocal", {x})));
    return sub(g, first, scoped(g, "bessel_k0e", "BesselK0e", x));
  });
}
absl::Status y0_gradient(GradientContext& g) {
  return times_derivative(g, [&](const Output& x) { return neg(g, scoped(g, "bessel_y1", "BesselY1", x)); });
}
absl::Status y1_gradient(GradientContext& g) {
  return times_derivative(g, [&](const Output& x) {
    const Output y0 = scoped(g, "bessel_y0", "BesselY0", x);
    return sub(g, y0, div(g, g.y(0), x));
  });
}

// reshape(sum(partial * dy, axes), shape) for one argument of a broadcasting function.
Output summed(GradientContext& g, const Output& partial, const Output& dy, const Output& axes, const Output& dims) {
  return reshape(g, reduce(g, "Sum", mul(g, partial, dy), axes), dims);
}

std::pair<Output, Output> igamma_gradients(GradientContext& g) {
  const Output dy = g.dy(0), a = g.x(0), x = g.x(1);
  const Output sa = shape(g, a), sx = shape(g, x);
  const auto [ra, rx] = broadcast_gradient_args(g, sa, sx);
  const auto guard = g.control_dependencies({dy});
  const Output partial_a = g.op("IgammaGradA", {a, x});
  // x^(a - 1) e^-x / Gamma(a), through logarithms: each factor alone may overflow.
  const Output minus_x = neg(g, x);
  const Output a_1 = sub(g, a, 1.0);
  const Output first = add(g, minus_x, mul(g, a_1, g.op("Log", {x})));
  const Output partial_x = g.op("Exp", {sub(g, first, g.op("Lgamma", {a}))});
  const Output da = summed(g, partial_a, dy, ra, sa);
  return {da, summed(g, partial_x, dy, rx, sx)};
}
absl::Status igamma_gradient(GradientContext& g) {
  const auto [da, dx] = igamma_gradients(g);
  g.set_dx(0, da);
  g.set_dx(1, dx);
  return absl::OkStatus();
}
absl::Status igammac_gradient(GradientContext& g) {
  const auto [da, dx] = igamma_gradients(g);
  g.set_dx(0, neg(g, da));
  g.set_dx(1, neg(g, dx));
  return absl::OkStatus();
}
absl::Status zeta_gradient(GradientContext& g) {
  const Output dy = g.dy(0), x = g.x(0), q = g.x(1);
  const Output sx = shape(g, x), sq = shape(g, q);
  const Output rq = broadcast_gradient_args(g, sx, sq).second;
  const auto guard = g.control_dependencies({dy});
  const Output minus = neg(g, x);
  const Output partial = mul(g, minus, g.op("Zeta", {add(g, x, 1.0), q}));
  g.set_dx(1, summed(g, partial, dy, rq, sq));
  return absl::OkStatus();
}
absl::Status polygamma_gradient(GradientContext& g) {
  const Output dy = g.dy(0), n = g.x(0), x = g.x(1);
  const Output sn = shape(g, n), sx = shape(g, x);
  const Output rx = broadcast_gradient_args(g, sn, sx).second;
  const auto guard = g.control_dependencies({dy});
  const Output partial = g.op("Polygamma", {add(g, n, 1.0), x});
  g.set_dx(1, summed(g, partial, dy, rx, sx));
  return absl::OkStatus();
}
absl::Status betainc_gradient(GradientContext& g) {
  const Output dy = g.dy(0), a = g.x(0), b = g.x(1), x = g.x(2);
  const Output sa = shape(g, a), sx = shape(g, x);
  const Output rx = broadcast_gradient_args(g, sa, sx).second;
  const Output lgamma_a = g.op("Lgamma", {a});
  const Output both = add(g, lgamma_a, g.op("Lgamma", {b}));
  const Output log_beta = sub(g, both, g.op("Lgamma", {add(g, a, b)}));
  const Output b_1 = sub(g, b, 1.0);
  const Output minus_x = neg(g, x);
  Output first;
  {
    const auto scope = g.name_scope("xlog1py");
    first = g.op("Xlog1py", {b_1, minus_x});
  }
  const Output a_1 = sub(g, a, 1.0);
  const Output sum = add(g, first, g.op("Xlogy", {a_1, x}));
  const Output partial = g.op("Exp", {sub(g, sum, log_beta)});
  g.set_dx(2, summed(g, partial, dy, rx, sx));
  return absl::OkStatus();
}

// ---- Registration ----

constexpr std::string_view kFloats = "T: {bfloat16, half, float, double}";

template <class Op, class List>
void function(Registry& r, std::string_view name, GradientFunction gradient, std::string_view doc, List types) {
  OpBuilder b = r.op(name);
  b.input("x: T").output("y: T").attr(kFloats).shape(unchanged_shape).gradient(gradient).doc(doc);
  unary_kernels<Op>(b, types);
}

template <double (*f)(double)>
void bessel(Registry& r, std::string_view name, GradientFunction gradient, std::string_view doc) {
  function<InDouble<f>>(r, name, gradient, doc, Types<Half, float, double>{});
}

template <double (*f)(double, double)>
void function2(Registry& r, std::string_view name, const char* x, const char* y, std::string_view attr,
               GradientFunction gradient, std::string_view doc) {
  OpBuilder b = r.op(name);
  b.input(std::string(x) + ": T")
      .input(std::string(y) + ": T")
      .output("z: T")
      .attr(attr)
      .shape(broadcast_shape)
      .doc(doc);
  if (gradient != nullptr) b.gradient(gradient);
  binary_kernels<InDouble2<f>>(b, Types<float, double>{});
}

void register_error_and_gamma(Registry& r) {
  function<Erf>(r, "Erf", erf_gradient, "The error function.", FloatTypes{});
  function<Erfc>(r, "Erfc", erfc_gradient, "1 - erf(x), exact for large x.", FloatTypes{});
  function<InDouble<special::erfinv>>(r, "Erfinv", erfinv_gradient, "The inverse of erf.", Types<float, double>{});
  function<InDouble<special::ndtri>>(r, "Ndtri", ndtri_gradient, "The quantile of the standard normal distribution.",
                                     Types<float, double>{});
  function<InDouble<special::lgamma>>(r, "Lgamma", lgamma_gradient, "log |Gamma(x)|.",
                                      Types<Half, BFloat16, float, double>{});
  function<InDouble<special::digamma>>(r, "Digamma", digamma_gradient, "The derivative of log Gamma.",
                                       Types<Half, BFloat16, float, double>{});
  constexpr std::string_view kTwo = "T: {float, double}";
  function2<special::igamma>(r, "Igamma", "a", "x", kFloats, igamma_gradient,
                             "The regularized lower incomplete gamma function.");
  function2<special::igammac>(r, "Igammac", "a", "x", kFloats, igammac_gradient,
                              "The regularized upper incomplete gamma function.");
  function2<special::igamma_grad_a>(r, "IgammaGradA", "a", "x", kTwo, nullptr, "The derivative of igamma(a, x) by a.");
  OpBuilder gamma_grad = r.op("RandomGammaGrad");
  gamma_grad.input("alpha: T").input("sample: T").output("output: T").attr(kTwo).shape(broadcast_shape);
  gamma_grad.doc("The derivative of a sample of RandomGamma by alpha.");
  binary_kernels<InDouble2<special::gamma_sample_grad>>(gamma_grad, Types<float, double>{});
  function2<special::zeta>(r, "Zeta", "x", "q", kTwo, zeta_gradient, "Hurwitz's zeta function.");
  function2<special::polygamma>(r, "Polygamma", "a", "x", kTwo, polygamma_gradient, "The a-th derivative of digamma.");
  r.op("Betainc")
      .input("a: T")
      .input("b: T")
      .input("x: T")
      .output("z: T")
      .attr(kTwo)
      .shape(betainc_shape)
      .gradient(betainc_gradient)
      .cpu<Betainc, float, double>()
      .doc("The regularized incomplete beta function.");
}

void register_bessel(Registry& r) {
  bessel<special::bessel_i0>(r, "BesselI0", i0_gradient, "Modified Bessel function I0.");
  bessel<special::bessel_i0e>(r, "BesselI0e", i0e_gradient, "e^-|x| I0(x).");
  bessel<special::bessel_i1>(r, "BesselI1", i1_gradient, "Modified Bessel function I1.");
  bessel<special::bessel_i1e>(r, "BesselI1e", i1e_gradient, "e^-|x| I1(x).");
  bessel<special::bessel_j0>(r, "BesselJ0", j0_gradient, "Bessel function J0.");
  bessel<special::bessel_j1>(r, "BesselJ1", j1_gradient, "Bessel function J1.");
  bessel<special::bessel_k0>(r, "BesselK0", k0_gradient, "Modified Bessel function K0.");
  bessel<special::bessel_k0e>(r, "BesselK0e", k0e_gradient, "e^x K0(x).");
  bessel<special::bessel_k1>(r, "BesselK1", k1_gradient, "Modified Bessel function K1.");
  bessel<special::bessel_k1e>(r, "BesselK1e", k1e_gradient, "e^x K1(x).");
  bessel<special::bessel_y0>(r, "BesselY0", y0_gradient, "Bessel function Y0.");
  bessel<special::bessel_y1>(r, "BesselY1", y1_gradient, "Bessel function Y1.");
}

}  // namespace

void register_special_math(Registry& r) {
  register_error_and_gamma(r);
  register_bessel(r);
  const Types<float, double> two;
  function<InDouble<special::dawsn>>(r, "Dawsn", dawsn_gradient, "Dawson's integral.", two);
  function<InDouble<special::expint>>(r, "Expint", expint_gradient, "The exponential integral Ei.", two);
  function<InDouble<special::fresnel_cos>>(r, "FresnelCos", fresnel_cos_gradient, "Fresnel's cosine integral.", two);
  function<InDouble<special::fresnel_sin>>(r, "FresnelSin", fresnel_sin_gradient, "Fresnel's sine integral.", two);
  function<InDouble<special::spence>>(r, "Spence", spence_gradient, "The dilogarithm of 1 - x.", two);
}

}  // namespace millrace
