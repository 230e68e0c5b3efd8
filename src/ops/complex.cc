// Complex numbers and their parts.

#include <cmath>

#include "op/shape_context.h"
#include "ops/elementwise.h"
#include "ops/math_gradients.h"

namespace millrace {

namespace {

using namespace gradients;  // NOLINT: the rules read as the formulas do

struct RealPart {
  template <class T> auto operator()(T x) const { return x.real(); }
};
struct ImagPart {
  template <class T> auto operator()(T x) const { return x.imag(); }
};
struct Angle {
  static constexpr double kCost = 20;
  template <class T> auto operator()(T x) const { return std::arg(x); }
};
struct Modulus {
  static constexpr double kCost = 5;
  template <class T> auto operator()(T x) const { return std::abs(x); }
};
struct Conjugate {
  template <class T> T operator()(T x) const { return std::conj(x); }
};
struct Compose {
  template <class T> std::complex<T> operator()(T re, T im) const { return {re, im}; }
};

DataType complex_of(DataType part) { return part == DataType::kDouble ? DataType::kComplex128 : DataType::kComplex64; }
DataType part_of(DataType complex) { return complex == DataType::kComplex128 ? DataType::kDouble : DataType::kFloat; }
Output compose(GradientContext& g, const Output& re, const Output& im) {
  return g.op("Complex", {re, im}, {{"Tout", complex_of(g.dtype(re))}});
}

absl::Status complex_gradient(GradientContext& g) {
  const Output dy = g.dy(0);
  const AttrMap out = {{"Tout", part_of(g.dtype(dy))}};
  const Output re = g.op("Real", {dy}, out);
  const Output im = g.op("Imag", {dy}, out);
  const auto [dx, di] = reduce_gradient_args(g, g.x(0), g.x(1), re, im);
  g.set_dx(0, dx);
  g.set_dx(1, di);
  return absl::OkStatus();
}
absl::Status real_gradient(GradientContext& g) {
  const Output dy = g.dy(0);
  g.set_dx(0, compose(g, dy, scalar(g, g.dtype(dy), 0)));
  return absl::OkStatus();
}
absl::Status imag_gradient(GradientContext& g) {
  const Output dy = g.dy(0);
  g.set_dx(0, compose(g, scalar(g, g.dtype(dy), 0), dy));
  return absl::OkStatus();
}
absl::Status conj_gradient(GradientContext& g) {
  g.set_dx(0, conj(g, g.dy(0)));
  return absl::OkStatus();
}
absl::Status angle_gradient(GradientContext& g) {
  const Output dy = g.dy(0), x = g.x(0);
  const auto guard = g.control_dependencies({dy});
  const AttrMap out = {{"Tout", g.dtype(dy)}};
  const Output re = g.op("Real", {x}, out);
  const Output im = g.op("Imag", {x}, out);
  const Output z = g.op("Reciprocal", {compose(g, im, re)});
  const Output complex_dy = compose(g, dy, scalar(g, g.dtype(dy), 0));
  g.set_dx(0, mul(g, neg(g, complex_dy), z));
  return absl::OkStatus();
}
absl::Status modulus_gradient(GradientContext& g) {
  const Output dy = g.dy(0), y = g.y(0);
  const Output top = mul(g, compose(g, dy, zeros_like(g, dy)), g.x(0));
  g.set_dx(0, div_no_nan(g, top, compose(g, y, zeros_like(g, y))));
  return absl::OkStatus();
}

template <class Op, class C> std::unique_ptr<Kernel> make_part() { return elementwise_internal::Unary<Op, C>::make(); }

// A function of complex numbers to real ones: both type attributes must agree, 64 bits with float and 128 with double.
template <class Op>
void part(Registry& r, std::string_view name, std::string_view input, std::string_view output,
          GradientFunction gradient, std::string_view doc) {
  r.op(name)
      .input(input)
      .output(output)
      .attr("T: {complex64, complex128} = DT_COMPLEX64")
      .attr("Tout: {float, double} = DT_FLOAT")
      .shape(unchanged_shape)
      .gradient(gradient)
      .doc(doc)
      .kernel({"CPU", {{"T", DataType::kComplex64}, {"Tout", DataType::kFloat}}, &make_part<Op, Complex64>})
      .kernel({"CPU", {{"T", DataType::kComplex128}, {"Tout", DataType::kDouble}}, &make_part<Op, Complex128>});
}

}  // namespace

void register_complex(Registry& r) {
  part<RealPart>(r, "Real", "input: T", "output: Tout", real_gradient, "The real part.");
  part<ImagPart>(r, "Imag", "input: T", "output: Tout", imag_gradient, "The imaginary part.");
  part<Angle>(r, "Angle", "input: T", "output: Tout", angle_gradient, "The argument, in (-pi, pi].");
  part<Modulus>(r, "ComplexAbs", "x: T", "y: Tout", modulus_gradient, "|x|.");
  OpBuilder conj_op = r.op("Conj");
  conj_op.input("input: T")
      .output("output: T")
      .attr("T: {complex64, complex128, variant} = DT_COMPLEX64")
      .shape(unchanged_shape)
      .gradient(conj_gradient)
      .doc("The complex conjugate.");
  unary_kernels<Conjugate>(conj_op, ComplexTypes{});
  r.op("Complex")
      .input("real: T")
      .input("imag: T")
      .output("out: Tout")
      .attr("T: {float, double} = DT_FLOAT")
      .attr("Tout: {complex64, complex128} = DT_COMPLEX64")
      .shape(broadcast_shape)
      .gradient(complex_gradient)
      .doc("Complex numbers from their parts, with broadcasting.")
      .kernel({"CPU",
               {{"T", DataType::kFloat}, {"Tout", DataType::kComplex64}},
               &elementwise_internal::Binary<Compose, float>::make})
      .kernel({"CPU",
               {{"T", DataType::kDouble}, {"Tout", DataType::kComplex128}},
               &elementwise_internal::Binary<Compose, double>::make});
}

}  // namespace millrace
