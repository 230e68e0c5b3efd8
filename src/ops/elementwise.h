#pragma once
// Kernels of elementwise ops around the loops of kernels/elementwise.h: one class for all ops and types, a loop each.

#include <memory>

#include "kernels/broadcast.h"
#include "op/kernel.h"
#include "op/registry.h"

namespace millrace {

// half and bfloat16 are computed in float, block by block: they need the float loop only.
template <class T> inline constexpr bool is_small_float = std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>;
template <class T> using ComputeType = std::conditional_t<is_small_float<T>, float, T>;
template <class T>
inline constexpr bool is_complex_type = std::is_same_v<T, Complex64> || std::is_same_v<T, Complex128>;

struct UnaryOperation {
  UnaryLoop loop;
  DataType in, out;
  double cost_ns;
};
std::unique_ptr<Kernel> make_unary_kernel(const UnaryOperation& op);

// Looks at the second operand before the loop runs, for what has no answer: division of integers by zero.
using OperandCheck = absl::Status (*)(const Tensor& y);
struct BinaryKernelSpec {
  BinaryLoop loop;
  DataType in, out;
  double cost_ns;
  OperandCheck check = nullptr;
};
std::unique_ptr<Kernel> make_binary_kernel(const BinaryKernelSpec& spec);

// The integer division and power rules.
absl::Status check_no_zero(const Tensor& y);
absl::Status check_not_negative(const Tensor& y);

namespace elementwise_internal {

template <class Op, class C> constexpr double cost_of() {
  if constexpr (std::is_same_v<C, float> && requires { Op::float_loop; }) return 0.4;
  else if constexpr (requires { Op::kCost; }) return Op::kCost;
  else return 0.3;
}

template <class Op, class T> struct Unary {
  using C = ComputeType<T>;
  using R = decltype(Op{}(C{}));
  static constexpr DataType out_type() {
    if constexpr (std::is_same_v<R, C>) return dtype_of<T>;
    else return dtype_of<R>;
  }
  static UnaryLoop loop() {
    if constexpr (std::is_same_v<C, float> && requires { Op::float_loop; }) return Op::float_loop;
    if constexpr (std::is_same_v<C, double> && requires { Op::double_loop; }) return Op::double_loop;
    return &unary_loop<Op, C, R>;
  }
  static std::unique_ptr<Kernel> make() {
    return make_unary_kernel({loop(), dtype_of<T>, out_type(), cost_of<Op, C>()});
  }
};

template <class Op, class T> struct Binary {
  using C = ComputeType<T>;
  using R = decltype(Op{}(C{}, C{}));
  static constexpr DataType out_type() {
    if constexpr (std::is_same_v<R, C>) return dtype_of<T>;
    else return dtype_of<R>;
  }
  static BinaryLoop loop() {
    if constexpr (std::is_same_v<C, float> && requires { Op::float_loop; }) return Op::float_loop;
    if constexpr (std::is_same_v<C, double> && requires { Op::double_loop; }) return Op::double_loop;
    return &binary_loop<Op, C, R>;
  }
  static std::unique_ptr<Kernel> make() {
    OperandCheck check = nullptr;
    if constexpr (std::is_integral_v<T> && requires { Op::kIntegerCheck; }) check = Op::kIntegerCheck;
    return make_binary_kernel({loop(), dtype_of<T>, out_type(), cost_of<Op, C>(), check});
  }
};

}  // namespace elementwise_internal

// Kernels of the op for each type: Op is a functor over C++ values (float for half and bfloat16); its static member
// kCost is nanoseconds per element, float_loop and double_loop are faster loops for these types.
template <class Op, class... Ts>
OpBuilder& unary_kernels(OpBuilder& builder, Types<Ts...>, std::string_view attr = "T") {
  (builder.kernel({"CPU", {{std::string(attr), dtype_of<Ts>}}, &elementwise_internal::Unary<Op, Ts>::make}), ...);
  return builder;
}
template <class Op, class... Ts>
OpBuilder& binary_kernels(OpBuilder& builder, Types<Ts...>, std::string_view attr = "T") {
  (builder.kernel({"CPU", {{std::string(attr), dtype_of<Ts>}}, &elementwise_internal::Binary<Op, Ts>::make}), ...);
  return builder;
}

// Wrapping arithmetic: integers as the machine does it, without the language's undefined overflow.
template <class T, class F> T wrapping(T a, T b, F&& f) {
  if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
    using U = std::conditional_t<(sizeof(T) < sizeof(uint32_t)), uint32_t, std::make_unsigned_t<T>>;
    return static_cast<T>(f(static_cast<U>(a), static_cast<U>(b)));
  } else {
    return f(a, b);
  }
}

}  // namespace millrace
