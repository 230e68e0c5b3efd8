// Rounding, and questions about numbers that are not finite.

#include <cmath>

#include "op/shape_context.h"
#include "ops/elementwise.h"

namespace millrace {

namespace {

struct Ceil {
  template <class T> T operator()(T x) const { return std::ceil(x); }
};
struct Floor {
  template <class T> T operator()(T x) const { return std::floor(x); }
};
struct RoundToEven {
  template <class T> T operator()(T x) const {
    if constexpr (std::is_integral_v<T>)
      return 0;  // as TensorFlow 2.21 answers, graphs must agree; tf.round never makes this op for integers
    else return std::nearbyint(x);  // the default rounding mode: halves to even
  }
};
struct IsNan {
  template <class T> bool operator()(T x) const { return std::isnan(x); }
};
struct IsInf {
  template <class T> bool operator()(T x) const { return std::isinf(x); }
};
struct IsFinite {
  template <class T> bool operator()(T x) const { return std::isfinite(x); }
};

absl::Status no_gradient(GradientContext&) { return absl::OkStatus(); }

constexpr std::string_view kFloats = "T: {bfloat16, half, float, double}";

template <class Op, class List>
void rounding(Registry& r, std::string_view name, std::string_view attr, std::string_view doc, List types) {
  OpBuilder b = r.op(name);
  b.input("x: T").output("y: T").attr(attr).shape(unchanged_shape).gradient(no_gradient).doc(doc);
  unary_kernels<Op>(b, types);
}
template <class Op> void question(Registry& r, std::string_view name, std::string_view doc) {
  OpBuilder b = r.op(name);
  b.input("x: T").output("y: bool").attr(kFloats).shape(unchanged_shape).doc(doc);
  unary_kernels<Op>(b, FloatTypes{});
}

}  // namespace

void register_rounding(Registry& r) {
  rounding<Ceil>(r, "Ceil", kFloats, "The nearest integer not below x.", FloatTypes{});
  rounding<Floor>(r, "Floor", kFloats, "The nearest integer not above x.", FloatTypes{});
  rounding<RoundToEven>(r, "Rint", kFloats, "The nearest integer, halves to even.", FloatTypes{});
  rounding<RoundToEven>(r, "Round",
                        "T: {bfloat16, half, float, double, int8, int16, int32, int64, complex64, complex128}",
                        "The nearest integer, halves to even.",
                        Types<Half, BFloat16, float, double, int8_t, int16_t, int32_t, int64_t>{});
  question<IsNan>(r, "IsNan", "Whether x is NaN.");
  question<IsInf>(r, "IsInf", "Whether x is infinite.");
  question<IsFinite>(r, "IsFinite", "Whether x is neither NaN nor infinite.");
}

}  // namespace millrace
