// Elementwise arithmetic of two arguments with broadcasting.

#include <cmath>

#include "kernels/broadcast.h"
#include "kernels/vector_loops.h"
#include "op/shape_context.h"
#include "ops/elementwise.h"
#include "ops/math_gradients.h"

namespace millrace {

namespace {

using namespace gradients;  // NOLINT: the rules read as the formulas do

using FloatsAndComplex = Types<Half, BFloat16, float, double, Complex64, Complex128>;

// ---- Functors ----

struct Plus {
  static constexpr BinaryLoop float_loop = &vector_loops::add;
  template <class T> T operator()(T x, T y) const {
    return wrapping(x, y, [](auto a, auto b) { return a + b; });
  }
};
struct Minus {
  static constexpr BinaryLoop float_loop = &vector_loops::sub;
  template <class T> T operator()(T x, T y) const {
    return wrapping(x, y, [](auto a, auto b) { return a - b; });
  }
};
struct Times {
  static constexpr BinaryLoop float_loop = &vector_loops::mul;
  template <class T> T operator()(T x, T y) const {
    return wrapping(x, y, [](auto a, auto b) { return a * b; });
  }
};
struct MulNoNan {  // 0 wherever y is 0, even for infinite x
  template <class T> T operator()(T x, T y) const { return y == T(0) ? T(0) : x * y; }
};

// Integer quotients: checked against zero before the loop; the loop itself is safe for any values, as a reference
// variable may change meanwhile. Division by -1 is negation, which wraps for the lowest number.
template <class T> T quotient(T x, T y) {
  if (y == 0) return 0;
  if constexpr (std::is_signed_v<T>)
    if (y == -1) return wrapping(T(0), x, [](auto a, auto b) { return a - b; });
  return static_cast<T>(x / y);
}
template <class T> T remainder_of(T x, T y) {
  if (y == 0) return 0;
  if constexpr (std::is_signed_v<T>)
    if (y == -1) return 0;
  return static_cast<T>(x % y);
}
struct Divide {
  static constexpr BinaryLoop float_loop = &vector_loops::div;
  static constexpr double kCost = 0.6;
  static constexpr OperandCheck kIntegerCheck = check_no_zero;
  template <class T> T operator()(T x, T y) const {
    if constexpr (std::is_integral_v<T>) return quotient(x, y);
    else return x / y;
  }
};
struct DivNoNan {
  static constexpr BinaryLoop float_loop = &vector_loops::div_no_nan;
  static constexpr double kCost = 0.6;
  template <class T> T operator()(T x, T y) const { return y == T(0) ? T(0) : x / y; }
};
struct FloorDiv {
  static constexpr double kCost = 1;
  static constexpr OperandCheck kIntegerCheck = check_no_zero;
  template <class T> T operator()(T x, T y) const {
    if constexpr (std::is_integral_v<T>) {
      const T q = quotient(x, y);
      if constexpr (std::is_signed_v<T>)
        if ((x < 0) != (y < 0) && remainder_of(x, y) != 0) return static_cast<T>(q - 1);
      return q;
    } else {
      return std::floor(x / y);
    }
  }
};
struct FloorMod {
  static constexpr double kCost = 5;
  static constexpr OperandCheck kIntegerCheck = check_no_zero;
  template <class T> T operator()(T x, T y) const {
    T r;
    if constexpr (std::is_integral_v<T>) r = remainder_of(x, y);
    else r = std::fmod(x, y);
    if constexpr (std::is_signed_v<T> || std::is_floating_point_v<T>)
      if (r != 0 && (r < 0) != (y < 0)) r = static_cast<T>(r + y);
    return r;
  }
};
struct TruncateDiv {
  static constexpr double kCost = 1;
  static constexpr OperandCheck kIntegerCheck = check_no_zero;
  template <class T> T operator()(T x, T y) const {
    if constexpr (std::is_integral_v<T>) return quotient(x, y);
    else return std::trunc(x / y);
  }
};
struct TruncateMod {
  static constexpr double kCost = 5;
  static constexpr OperandCheck kIntegerCheck = check_no_zero;
  template <class T> T operator()(T x, T y) const {
    if constexpr (std::is_integral_v<T>) return remainder_of(x, y);
    else return std::fmod(x, y);
  }
};
// half and bfloat16 round the quotient to themselves before it is floored or truncated, as TensorFlow does: a quotient
// just below an integer becomes that integer.
template <class T, double (*to_integer)(double)> struct SmallQuotient {
  static constexpr double kCost = 3;
  float operator()(float x, float y) const {
    return static_cast<float>(to_integer(static_cast<double>(static_cast<float>(T(x / y)))));
  }
};
template <double (*to_integer)(double)> void small_quotients(OpBuilder& b) {
  binary_kernels<SmallQuotient<Half, to_integer>>(b, Types<Half>{});
  binary_kernels<SmallQuotient<BFloat16, to_integer>>(b, Types<BFloat16>{});
}
double floor_of(double x) { return std::floor(x); }
double trunc_of(double x) { return std::trunc(x); }
using RealTypesButSmall =
    Types<float, double, int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t>;

struct Power {
  static constexpr double kCost = 15;
  static constexpr OperandCheck kIntegerCheck = check_not_negative;
  template <class T> T operator()(T x, T y) const {
    if constexpr (std::is_integral_v<T>) {
      T result = 1;
      for (std::make_unsigned_t<T> n = y < 0 ? 0 : static_cast<std::make_unsigned_t<T>>(y); n != 0; n = n >> 1) {
        if (n & 1) result = Times{}(result, x);
        x = Times{}(x, x);
      }
      return result;
    } else if constexpr (is_complex_type<T>) {
      if (y == T(0)) return T(1);
      return std::pow(x, y);
    } else {
      return std::pow(x, y);
    }
  }
};
struct Maximum {  // NaN wins
  static constexpr BinaryLoop float_loop = &vector_loops::maximum;
  template <class T> T operator()(T x, T y) const { return x > y || x != x ? x : y; }
};
struct Minimum {
  static constexpr BinaryLoop float_loop = &vector_loops::minimum;
  template <class T> T operator()(T x, T y) const { return x < y || x != x ? x : y; }
};
struct SquaredDifference {
  static constexpr BinaryLoop float_loop = &vector_loops::squared_difference;
  template <class T> T operator()(T x, T y) const {
    const T d = Minus{}(x, y);
    if constexpr (is_complex_type<T>) return d * std::conj(d);
    else return Times{}(d, d);
  }
};
struct Atan2 {
  static constexpr double kCost = 20;
  template <class T> T operator()(T y, T x) const { return std::atan2(y, x); }
};
// 0 wherever x is 0, even where the rest is not finite.
struct Xdivy {
  template <class T> T operator()(T x, T y) const { return x == T(0) ? T(0) : x / y; }
};
struct Xlogy {
  static constexpr double kCost = 6;
  template <class T> T operator()(T x, T y) const { return x == T(0) ? T(0) : x * std::log(y); }
};
struct Xlog1py {
  static constexpr double kCost = 8;
  template <class T> T operator()(T x, T y) const {
    if (x == T(0)) return T(0);
    if constexpr (is_complex_type<T>) return x * std::log(T(1) + y);
    else return x * std::log1p(y);
  }
};
struct NextAfter {
  static constexpr double kCost = 5;
  template <class T> T operator()(T x, T y) const { return std::nextafter(x, y); }
};

// Joins strings, with broadcasting.
class AddStrings final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto x, ctx.flat<std::string>(0));
    MR_ASSIGN_OR_RETURN(const auto y, ctx.flat<std::string>(1));
    absl::StatusOr<TensorShape> shape = broadcast(ctx.shape(0), ctx.shape(1));
    if (!shape.ok()) return std::move(shape).status();
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<std::string>(0, *shape));
    if (out.empty()) return absl::OkStatus();
    const std::span<const int64_t> operands[] = {ctx.shape(0).dims(), ctx.shape(1).dims()};
    const Broadcast plan(operands, shape->dims());
    const size_t x_step = plan.inner_varies(0), y_step = plan.inner_varies(1);
    plan.for_rows(0, plan.rows(), [&](int64_t row, const int64_t* offsets) {
      for (size_t i = 0; i < static_cast<size_t>(plan.inner()); ++i) {
        out[static_cast<size_t>(row * plan.inner()) + i] =
            x[static_cast<size_t>(offsets[0]) + i * x_step] + y[static_cast<size_t>(offsets[1]) + i * y_step];
      }
    });
    return absl::OkStatus();
  }
};

// ---- Gradients ----

absl::Status set_both(GradientContext& g, std::pair<Output, Output> d) {
  g.set_dx(0, d.first);
  g.set_dx(1, d.second);
  return absl::OkStatus();
}

absl::Status add_gradient(GradientContext& g) {
  const Output dy = g.dy(0), x = g.x(0), y = g.x(1);
  if (equal_static_shapes(g, x, y, dy)) return set_both(g, {dy, dy});
  return set_both(g, reduce_gradient_args(g, x, y, dy, dy));
}
absl::Status sub_gradient(GradientContext& g) {
  const Output dy = g.dy(0), x = g.x(0), y = g.x(1);
  if (equal_static_shapes(g, x, y, dy)) return set_both(g, {dy, neg(g, dy)});
  return set_both(g, reduce_gradient_args(g, x, y, dy, neg(g, dy)));
}
absl::Status mul_gradient(GradientContext& g) {
  const Output dy = g.dy(0), x = g.x(0), y = g.x(1);
  const DataType dtype = g.dtype(dy);
  if (equal_static_shapes(g, x, y, dy) && (dtype == DataType::kInt32 || dtype == DataType::kFloat)) {
    const Output dx = g.op("Mul", {dy, y});
    return set_both(g, {dx, g.op("Mul", {dy, x})});
  }
  const Output gx = g.op("Mul", {dy, conj(g, y)});
  const Output gy = g.op("Mul", {conj(g, x), dy});
  return set_both(g, reduce_gradient_args(g, x, y, gx, gy));
}
absl::Status mul_no_nan_gradient(GradientContext& g) {
  const Output dy = g.dy(0), x = g.x(0), y = g.x(1);
  const Output gx = g.op("MulNoNan", {dy, y});
  const Output gy = g.op("MulNoNan", {x, dy});
  if (equal_static_shapes(g, x, y, dy)) return set_both(g, {gx, gy});
  return set_both(g, reduce_gradient_args(g, x, y, gx, gy));
}

// For x / y with the given quotient op: dy / y and dy * (-x / y / y).
absl::Status quotient_gradient(GradientContext& g, std::string_view op, std::string_view name) {
  const Output dy = g.dy(0);
  const Output cx = conj(g, g.x(0)), cy = conj(g, g.x(1));
  const Output gx = g.op(op, {dy, cy}, {}, name);
  const Output first = g.op(op, {neg(g, cx), cy}, {}, name);
  const Output gy = mul(g, dy, g.op(op, {first, cy}, {}, name));
  return set_both(g, reduce_gradient_args(g, g.x(0), g.x(1), gx, gy));
}
absl::Status div_gradient(GradientContext& g) { return quotient_gradient(g, "RealDiv", "truediv"); }
absl::Status real_div_gradient(GradientContext& g) { return quotient_gradient(g, "RealDiv", "RealDiv"); }
absl::Status div_no_nan_gradient(GradientContext& g) {
  const Output dy = g.dy(0);
  const Output x = conj(g, g.x(0)), y = conj(g, g.x(1));
  const Output gx = div_no_nan(g, dy, y);
  const Output first = div_no_nan(g, neg(g, x), y);
  const Output gy = mul(g, dy, div_no_nan(g, first, y));
  return set_both(g, reduce_gradient_args(g, x, y, gx, gy));
}
absl::Status floor_mod_gradient(GradientContext& g) {
  const Output dy = g.dy(0);
  const Output x = conj(g, g.x(0)), y = conj(g, g.x(1));
  const Output floor_xy = g.op("FloorDiv", {x, y});
  const Output gy = mul(g, dy, neg(g, floor_xy));
  return set_both(g, reduce_gradient_args(g, x, y, dy, gy));
}
absl::Status no_gradient(GradientContext&) { return absl::OkStatus(); }

absl::Status pow_gradient(GradientContext& g) {
  const Output dy = g.dy(0), x = g.x(0), y = g.x(1);
  const Output cx = conj(g, x), cy = conj(g, y);
  const Output first = mul(g, dy, cy);
  const Output gx = mul(g, first, g.op("Pow", {cx, sub(g, cy, 1.0)}));
  // log(x) only where it makes sense: complex x != 0, real x > 0.
  const Output mask =
      is_complex(g.dtype(x)) ? binary(g, "NotEqual", "NotEqual", cx, 0.0) : binary(g, "Greater", "Greater", cx, 0.0);
  const Output safe_x = g.op("Select", {mask, cx, ones_like(g, x)});
  const Output log_safe = g.op("Log", {safe_x});
  const Output log_x = g.op("Select", {mask, log_safe, zeros_like(g, x)});
  const Output second = mul(g, dy, conj(g, g.y(0)));
  const Output gy = mul(g, second, log_x);
  return set_both(g, reduce_gradient_args(g, x, y, gx, gy));
}

absl::Status extreme_gradient(GradientContext& g, std::string_view selector) {
  const Output dy = g.dy(0), x = g.x(0), y = g.x(1);
  const Output zeros = zeros_like(g, dy);
  const Output mask = g.op(selector, {x, y});
  const Output gx = g.op("SelectV2", {mask, dy, zeros});
  const Output gy = g.op("SelectV2", {mask, zeros, dy});
  return set_both(g, reduce_gradient_args(g, x, y, gx, gy));
}
absl::Status maximum_gradient(GradientContext& g) { return extreme_gradient(g, "GreaterEqual"); }
absl::Status minimum_gradient(GradientContext& g) { return extreme_gradient(g, "LessEqual"); }

absl::Status squared_difference_gradient(GradientContext& g) {
  const Output dy = g.dy(0), x = g.x(0), y = g.x(1);
  Output gx;
  {
    const auto guard = g.control_dependencies({dy});
    const Output two_dy = g.op("Mul", {scalar(g, g.dtype(dy), 2, "scalar"), dy});
    gx = mul(g, two_dy, sub(g, x, y));
  }
  const Output gy = neg(g, gx);
  if (equal_static_shapes(g, x, y, dy)) return set_both(g, {gx, gy});
  return set_both(g, reduce_gradient_args(g, x, y, gx, gy));
}

absl::Status atan2_gradient(GradientContext& g) {
  const Output dy = g.dy(0), y = g.x(0), x = g.x(1);
  const auto guard = g.control_dependencies({dy});
  const Output y2 = g.op("Square", {y});
  const Output inverse = truediv(g, dy, add(g, y2, g.op("Square", {x})));
  const Output gy = mul(g, x, inverse);
  const Output gx = mul(g, neg(g, y), inverse);
  return set_both(g, reduce_gradient_args(g, y, x, gy, gx));
}

// The family x * f(y) with 0 * anything = 0: `partials` gives the factors of dx (times x != 0) and dy.
template <class F> absl::Status x_times_gradient(GradientContext& g, F&& partials) {
  const Output dy = g.dy(0), x = g.x(0), y = g.x(1);
  const Output sx = shape(g, x), sy = shape(g, y);
  const auto [rx, ry] = broadcast_gradient_args(g, sx, sy);
  const auto guard = g.control_dependencies({dy});
  const Output zero = [&] {
    const auto scope = g.name_scope("Cast");
    return scalar(g, g.dtype(x), 0, "x");
  }();
  const Output not_zero = cast(g, g.op("NotEqual", {x, zero}), g.dtype(x));
  const auto [px, py] = partials(not_zero, x, y);
  const Output gx = reshape(g, reduce(g, "Sum", mul(g, px, dy), rx), sx);
  const Output gy = reshape(g, reduce(g, "Sum", mul(g, py, dy), ry), sy);
  return set_both(g, {gx, gy});
}
absl::Status xlogy_gradient(GradientContext& g) {
  return x_times_gradient(g, [&](const Output& not_zero, const Output& x, const Output& y) {
    const Output px = g.op("Xlogy", {not_zero, y});
    return std::pair(px, g.op("Xdivy", {x, y}));
  });
}
absl::Status xlog1py_gradient(GradientContext& g) {
  return x_times_gradient(g, [&](const Output& not_zero, const Output& x, const Output& y) {
    const Output px = g.op("Xlog1py", {not_zero, y});
    return std::pair(px, g.op("Xdivy", {x, add(g, y, 1.0)}));
  });
}
absl::Status xdivy_gradient(GradientContext& g) {
  return x_times_gradient(g, [&](const Output& not_zero, const Output& x, const Output& y) {
    const Output px = g.op("Xdivy", {not_zero, y});
    const Output minus = neg(g, x);
    return std::pair(px, g.op("Xdivy", {minus, binary(g, "Pow", "pow", y, 2.0)}));
  });
}
absl::Status next_after_gradient(GradientContext& g) {
  const Output dy = g.dy(0);
  const Output s1 = shape(g, g.x(0)), s2 = shape(g, g.x(1));
  const auto [r1, r2] = broadcast_gradient_args(g, s1, s2);
  const auto guard = g.control_dependencies({dy});
  const Output p1 = fill(g, "ones", s1, g.dtype(g.x(0)), 1), p2 = fill(g, "zeros", s2, g.dtype(g.x(1)), 0);
  const Output d1 = reshape(g, reduce(g, "Sum", mul(g, p1, dy), r1), s1);
  const Output d2 = reshape(g, reduce(g, "Sum", mul(g, p2, dy), r2), s2);
  return set_both(g, {d1, d2});
}

// ---- Registration ----

OpBuilder binary_op(Registry& r, std::string_view name, std::string_view attr, GradientFunction gradient,
                    std::string_view doc) {
  OpBuilder b = r.op(name);
  b.input("x: T").input("y: T").output("z: T").attr(attr).shape(broadcast_shape).doc(doc);
  if (gradient != nullptr) b.gradient(gradient);
  return b;
}

constexpr std::string_view kQuotientAttr =
    "T: {bfloat16, half, float, double, uint8, int8, uint16, int16, int32, uint32, uint64, int64, complex64, "
    "complex128}";

void register_arithmetic(Registry& r) {
  OpBuilder add = binary_op(
      r, "Add", "T: {bfloat16, half, float, double, uint8, int8, int16, int32, int64, complex64, complex128, string}",
      add_gradient, "x + y, with broadcasting; joins strings.");
  binary_kernels<Plus>(
      add, Types<Half, BFloat16, float, double, uint8_t, int8_t, int16_t, int32_t, int64_t, Complex64, Complex128>{});
  add.kernel({"CPU", {{"T", DataType::kString}}, [] { return std::unique_ptr<Kernel>(new AddStrings); }});
  OpBuilder add2 = binary_op(r, "AddV2",
                             "T: {bfloat16, half, float, double, uint8, uint16, uint32, uint64, int8, int16, int32, "
                             "int64, complex64, complex128}",
                             add_gradient, "x + y, with broadcasting.");
  add2.commutative().aggregate();
  binary_kernels<Plus>(add2, NumberTypes{});
  OpBuilder sub = binary_op(r, "Sub",
                            "T: {bfloat16, half, float, double, uint8, int8, uint16, int16, int32, int64, complex64, "
                            "complex128, uint32, uint64}",
                            sub_gradient, "x - y, with broadcasting.");
  binary_kernels<Minus>(sub, NumberTypes{});
  OpBuilder mul = binary_op(r, "Mul", kQuotientAttr, mul_gradient, "x * y, with broadcasting.");
  mul.commutative();
  binary_kernels<Times>(mul, NumberTypes{});
  OpBuilder mul_no_nan = binary_op(r, "MulNoNan", "T: {bfloat16, half, float, double, complex64, complex128}",
                                   mul_no_nan_gradient, "x * y, but 0 where y is 0, with broadcasting.");
  binary_kernels<MulNoNan>(mul_no_nan, FloatsAndComplex{});
}

void register_quotients(Registry& r) {
  OpBuilder div = binary_op(r, "Div", kQuotientAttr, div_gradient, "x / y; integers are divided towards 0.");
  binary_kernels<Divide>(div, NumberTypes{});
  OpBuilder real = binary_op(r, "RealDiv", kQuotientAttr, real_div_gradient, "x / y for real and complex numbers.");
  binary_kernels<Divide>(real, FloatsAndComplex{});
  OpBuilder no_nan = binary_op(r, "DivNoNan", "T: {half, float, bfloat16, double, complex64, complex128}",
                               div_no_nan_gradient, "x / y, but 0 where y is 0.");
  binary_kernels<DivNoNan>(no_nan, FloatsAndComplex{});
  OpBuilder floor_div =
      binary_op(r, "FloorDiv", kQuotientAttr, no_gradient, "x / y rounded towards negative infinity.");
  binary_kernels<FloorDiv>(floor_div, RealTypesButSmall{});
  small_quotients<floor_of>(floor_div);
  OpBuilder floor_mod = binary_op(
      r, "FloorMod", "T: {int8, int16, int32, int64, uint8, uint16, uint32, uint64, bfloat16, half, float, double}",
      floor_mod_gradient, "x - y * floor(x / y): has y's sign.");
  binary_kernels<FloorMod>(floor_mod, RealTypes{});
  // The doubled `half` is TensorFlow's.
  OpBuilder mod = binary_op(r, "Mod", "T: {int32, int64, half, half, bfloat16, float, double}", nullptr,
                            "C's remainder: has x's sign.");
  binary_kernels<TruncateMod>(mod, Types<float, double, int32_t, int64_t>{});
  OpBuilder truncate_div = binary_op(r, "TruncateDiv", kQuotientAttr, no_gradient, "x / y rounded towards 0.");
  binary_kernels<TruncateDiv>(truncate_div, RealTypesButSmall{});
  small_quotients<trunc_of>(truncate_div);
  OpBuilder truncate_mod = binary_op(r, "TruncateMod", "T: {int32, int64, bfloat16, half, float, double}", nullptr,
                                     "x - y * trunc(x / y): has x's sign.");
  binary_kernels<TruncateMod>(truncate_mod, Types<float, double, int32_t, int64_t>{});
}

void register_others(Registry& r) {
  OpBuilder pow =
      binary_op(r, "Pow", "T: {bfloat16, float, half, double, int8, int16, int32, int64, complex64, complex128}",
                pow_gradient, "x to the power y; integers take no negative powers.");
  binary_kernels<Power>(
      pow, Types<Half, BFloat16, float, double, int8_t, int16_t, int32_t, int64_t, Complex64, Complex128>{});
  constexpr std::string_view kReal =
      "T: {bfloat16, half, float, double, int8, uint8, int16, uint16, int32, uint32, int64, uint64}";
  OpBuilder maximum = binary_op(r, "Maximum", kReal, maximum_gradient, "The greater of x and y.");
  binary_kernels<Maximum>(maximum, RealTypes{});
  OpBuilder minimum = binary_op(r, "Minimum", kReal, minimum_gradient, "The smaller of x and y.");
  binary_kernels<Minimum>(minimum, RealTypes{});
  OpBuilder squared =
      binary_op(r, "SquaredDifference", "T: {bfloat16, half, float, double, int32, int64, complex64, complex128}",
                squared_difference_gradient, "|x - y|^2.");
  squared.commutative();
  binary_kernels<SquaredDifference>(squared,
                                    Types<Half, BFloat16, float, double, int32_t, int64_t, Complex64, Complex128>{});
  OpBuilder atan2 = r.op("Atan2");
  atan2.input("y: T")
      .input("x: T")
      .output("z: T")
      .attr("T: {bfloat16, half, float, double}")
      .shape(broadcast_shape)
      .gradient(atan2_gradient);
  atan2.doc("The angle of the point (x, y) in (-pi, pi].");
  binary_kernels<Atan2>(atan2, FloatTypes{});
  constexpr std::string_view kFloats = "T: {half, bfloat16, float, double, complex64, complex128}";
  OpBuilder xdivy = binary_op(r, "Xdivy", kFloats, xdivy_gradient, "x / y, but 0 where x is 0.");
  binary_kernels<Xdivy>(xdivy, FloatsAndComplex{});
  OpBuilder xlogy = binary_op(r, "Xlogy", kFloats, xlogy_gradient, "x * log(y), but 0 where x is 0.");
  binary_kernels<Xlogy>(xlogy, FloatsAndComplex{});
  OpBuilder xlog1py = binary_op(r, "Xlog1py", kFloats, xlog1py_gradient, "x * log(1 + y), but 0 where x is 0.");
  binary_kernels<Xlog1py>(xlog1py, FloatsAndComplex{});
  OpBuilder next = r.op("NextAfter");
  next.input("x1: T")
      .input("x2: T")
      .output("output: T")
      .attr("T: {double, float} = DT_FLOAT")
      .shape(broadcast_shape)
      .gradient(next_after_gradient);
  next.doc("The next number after x1 towards x2.");
  binary_kernels<NextAfter>(next, Types<float, double>{});
}

}  // namespace

void register_binary_math(Registry& r) {
  register_arithmetic(r);
  register_quotients(r);
  register_others(r);
}

}  // namespace millrace
