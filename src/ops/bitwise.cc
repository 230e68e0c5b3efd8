// Bits of integers. None has a gradient.

#include <bit>

#include "op/shape_context.h"
#include "ops/elementwise.h"

namespace millrace {

namespace {

struct Invert {
  template <class T> T operator()(T x) const { return static_cast<T>(~x); }
};
struct PopulationCount {
  template <class T> uint8_t operator()(T x) const {
    return static_cast<uint8_t>(std::popcount(static_cast<std::make_unsigned_t<T>>(x)));
  }
};
struct BitAnd {
  template <class T> T operator()(T x, T y) const { return static_cast<T>(x & y); }
};
struct BitOr {
  template <class T> T operator()(T x, T y) const { return static_cast<T>(x | y); }
};
struct BitXor {
  template <class T> T operator()(T x, T y) const { return static_cast<T>(x ^ y); }
};

// Shifts by less than 0 or more than the width are held to these, as TensorFlow holds them.
template <class T> int held(T y) {
  constexpr int kMost = static_cast<int>(sizeof(T)) * 8 - 1;
  if constexpr (std::is_signed_v<T>)
    if (y < 0) return 0;
  return static_cast<uint64_t>(y) > kMost ? kMost : static_cast<int>(y);
}
struct LeftShift {
  template <class T> T operator()(T x, T y) const { return static_cast<T>(static_cast<uint64_t>(x) << held(y)); }
};
struct RightShift {
  template <class T> T operator()(T x, T y) const { return static_cast<T>(x >> held(y)); }
};

constexpr std::string_view kIntegers = "T: {int8, int16, int32, int64, uint8, uint16, uint32, uint64}";

template <class Op> void bits(Registry& r, std::string_view name, bool commutative, std::string_view doc) {
  OpBuilder b = r.op(name);
  b.input("x: T").input("y: T").output("z: T").attr(kIntegers).shape(broadcast_shape).not_differentiable().doc(doc);
  if (commutative) b.commutative();
  binary_kernels<Op>(b, IntegerTypes{});
}

}  // namespace

void register_bitwise(Registry& r) {
  OpBuilder invert = r.op("Invert");
  invert.input("x: T")
      .output("y: T")
      .attr(kIntegers)
      .shape(unchanged_shape)
      .not_differentiable()
      .doc("All bits of x flipped.");
  unary_kernels<Invert>(invert, IntegerTypes{});
  OpBuilder population = r.op("PopulationCount");
  population.input("x: T")
      .output("y: uint8")
      .attr(kIntegers)
      .shape(unchanged_shape)
      .not_differentiable()
      .doc("How many bits of x are set.");
  unary_kernels<PopulationCount>(population, IntegerTypes{});
  bits<BitAnd>(r, "BitwiseAnd", true, "x & y, with broadcasting.");
  bits<BitOr>(r, "BitwiseOr", true, "x | y, with broadcasting.");
  bits<BitXor>(r, "BitwiseXor", true, "x ^ y, with broadcasting.");
  bits<LeftShift>(r, "LeftShift", false, "x << y, with broadcasting; y is held to [0, width - 1].");
  bits<RightShift>(r, "RightShift", false, "x >> y, with broadcasting; y is held to [0, width - 1].");
}

}  // namespace millrace
