#pragma once
// Elementwise maths, comparisons, reductions and matrix products, with TF1's names. Operators on outputs build the same
// operations as Python's do: `x * 2.0` is a Mul named "mul".
//
// Binary functions broadcast as numpy does. Shapes that cannot meet, or dtypes that differ, raise InvalidArgumentError.

#include <optional>
#include <vector>

#include "millrace/framework.h"

namespace millrace {

#pragma GCC visibility push(default)

// A function of one tensor that keeps its shape. An object, so that it can be handed on as an activation.
class UnaryOp {
 public:
  constexpr explicit UnaryOp(const char* type, const char* name = "") : type_(type), name_(name) {}
  Output operator()(const Input& x, const NameOptions& options = {}) const;

 private:
  const char* type_;
  const char* name_;  // the node's, unless the caller names it; empty: the type
};

// A function of two tensors that broadcast.
class BinaryOp {
 public:
  constexpr explicit BinaryOp(const char* type, const char* name = "") : type_(type), name_(name) {}
  Output operator()(const Input& x, const Input& y, const NameOptions& options = {}) const;

 private:
  const char* type_;
  const char* name_;
};

inline constexpr UnaryOp abs{"Abs"}, negative{"Neg"}, sign{"Sign"}, reciprocal{"Reciprocal"}, square{"Square"},
    sqrt{"Sqrt"}, rsqrt{"Rsqrt"}, exp{"Exp"}, expm1{"Expm1"}, log{"Log"}, log1p{"Log1p"}, sin{"Sin"}, cos{"Cos"},
    tan{"Tan"}, asin{"Asin"}, acos{"Acos"}, atan{"Atan"}, sinh{"Sinh"}, cosh{"Cosh"}, tanh{"Tanh"}, asinh{"Asinh"},
    acosh{"Acosh"}, atanh{"Atanh"}, sigmoid{"Sigmoid"}, erf{"Erf"}, erfc{"Erfc"}, lgamma{"Lgamma"}, digamma{"Digamma"},
    ceil{"Ceil"}, floor{"Floor"}, rint{"Rint"}, round{"Round"}, is_nan{"IsNan"}, is_inf{"IsInf"}, is_finite{"IsFinite"},
    logical_not{"LogicalNot"};

inline constexpr BinaryOp add{"AddV2", "Add"}, subtract{"Sub"}, multiply{"Mul"}, realdiv{"RealDiv"},
    floor_div{"FloorDiv"}, mod{"FloorMod"}, floormod{"FloorMod"}, truncatediv{"TruncateDiv"},
    truncatemod{"TruncateMod"}, pow{"Pow"}, maximum{"Maximum"}, minimum{"Minimum"},
    squared_difference{"SquaredDifference"}, atan2{"Atan2"}, div_no_nan{"DivNoNan", "div_no_nan"}, equal{"Equal"},
    not_equal{"NotEqual"}, less{"Less"}, less_equal{"LessEqual"}, greater{"Greater"}, greater_equal{"GreaterEqual"},
    logical_and{"LogicalAnd"}, logical_or{"LogicalOr"};

// Python's division: integers become floating (int8, uint8, int16, uint16 float32; wider ones float64). "truediv".
Output divide(const Input& x, const Input& y, const NameOptions& options = {});
Output truediv(const Input& x, const Input& y, const NameOptions& options = {});
// Python 2's division: integers divide towards minus infinity. "div".
Output div(const Input& x, const Input& y, const NameOptions& options = {});
Output floordiv(const Input& x, const Input& y, const NameOptions& options = {});
Output logical_xor(const Input& x, const Input& y, const NameOptions& options = {});
Output log_sigmoid(const Input& x, const NameOptions& options = {});

// The same dtype: the tensor itself. Floats to integers truncate towards zero.
Output cast(const Input& x, DataType dtype, const NameOptions& options = {});
Output to_float(const Input& x, const NameOptions& options = {});
Output to_double(const Input& x, const NameOptions& options = {});
Output to_int32(const Input& x, const NameOptions& options = {});
Output to_int64(const Input& x, const NameOptions& options = {});
Output bitcast(const Input& x, DataType type, const NameOptions& options = {});
Output saturate_cast(const Input& x, DataType dtype, const NameOptions& options = {});

struct RangeOptions {
  DataType dtype = DataType::kInvalid;  // the widest of the arguments'
  std::string_view name = {};           // "range"
};
// [start, limit) in steps of delta.
Output range(const Input& limit, const RangeOptions& options = {});
Output range(const Input& start, const Input& limit, const Input& delta = 1, const RangeOptions& options = {});

struct ReduceOptions {
  bool keepdims = false;
  std::string_view name = {};
};
// Over `axis`, or all dimensions without one. InvalidArgumentError for an axis out of range.
Output reduce_sum(const Input& x, const IntList& axis = {}, const ReduceOptions& options = {});
Output reduce_mean(const Input& x, const IntList& axis = {}, const ReduceOptions& options = {});
Output reduce_prod(const Input& x, const IntList& axis = {}, const ReduceOptions& options = {});
Output reduce_max(const Input& x, const IntList& axis = {}, const ReduceOptions& options = {});
Output reduce_min(const Input& x, const IntList& axis = {}, const ReduceOptions& options = {});
Output reduce_all(const Input& x, const IntList& axis = {}, const ReduceOptions& options = {});
Output reduce_any(const Input& x, const IntList& axis = {}, const ReduceOptions& options = {});
// log(sum(exp(x))), without overflow.
Output reduce_logsumexp(const Input& x, const IntList& axis = {}, const ReduceOptions& options = {});

struct ArgMaxOptions {
  DataType output_type = int64;
  std::string_view name = {};
};
Output argmax(const Input& x, const Input& axis = 0, const ArgMaxOptions& options = {});
Output argmin(const Input& x, const Input& axis = 0, const ArgMaxOptions& options = {});

struct MatMulOptions {
  bool transpose_a = false;
  bool transpose_b = false;
  bool adjoint_a = false;
  bool adjoint_b = false;
  std::string_view name = {};
};
// [..., m, k] x [..., k, n] -> [..., m, n]; batches broadcast.
Output matmul(const Input& a, const Input& b, const MatMulOptions& options = {});

// The sum of tensors of one shape.
Output add_n(const std::vector<Output>& inputs, const NameOptions& options = {});

struct CumulativeOptions {
  bool exclusive = false;
  bool reverse = false;
  std::string_view name = {};
};
Output cumsum(const Input& x, const Input& axis = 0, const CumulativeOptions& options = {});
Output cumprod(const Input& x, const Input& axis = 0, const CumulativeOptions& options = {});

Output clip_by_value(const Input& t, const Input& clip_value_min, const Input& clip_value_max,
                     const NameOptions& options = {});
// t if its L2 norm is at most clip_norm, else scaled to it.
Output clip_by_norm(const Input& t, const Input& clip_norm, const NameOptions& options = {});
// sqrt(sum of squares of all). Absent outputs are left out.
Output global_norm(const std::vector<Output>& t_list, const NameOptions& options = {});
struct ClippedByGlobalNorm {
  std::vector<Output> list;
  Output global_norm;
};
ClippedByGlobalNorm clip_by_global_norm(const std::vector<Output>& t_list, const Input& clip_norm,
                                        const NameOptions& options = {});

// --- operators

namespace operator_ops {
Output add(const Input& x, const Input& y);
Output sub(const Input& x, const Input& y);
Output mul(const Input& x, const Input& y);
Output truediv(const Input& x, const Input& y);
Output mod(const Input& x, const Input& y);
Output logical_and(const Input& x, const Input& y);
Output logical_or(const Input& x, const Input& y);
Output less(const Input& x, const Input& y);
Output less_equal(const Input& x, const Input& y);
Output greater(const Input& x, const Input& y);
Output greater_equal(const Input& x, const Input& y);
}  // namespace operator_ops

template <class T>
concept LiteralInput = !std::is_convertible_v<T, Output> && std::is_constructible_v<Input, T>;
#define MR_OPERATOR(symbol, function)                                                                     \
  inline Output operator symbol(const Output& x, const Input& y) { return operator_ops::function(x, y); } \
  template <LiteralInput T> Output operator symbol(const T& x, const Output& y) {                         \
    return operator_ops::function(Input(x), y);                                                           \
  }
MR_OPERATOR(+, add)
MR_OPERATOR(-, sub)
MR_OPERATOR(*, mul)
MR_OPERATOR(/, truediv)
MR_OPERATOR(%, mod)
MR_OPERATOR(<, less)
MR_OPERATOR(<=, less_equal)
MR_OPERATOR(>, greater)
MR_OPERATOR(>=, greater_equal)
#undef MR_OPERATOR
inline Output operator&(const Output& x, const Input& y) { return operator_ops::logical_and(x, y); }
inline Output operator|(const Output& x, const Input& y) { return operator_ops::logical_or(x, y); }
inline Output operator-(const Output& x) { return negative(x); }
inline Output operator~(const Output& x) { return logical_not(x); }

namespace math {
using millrace::abs, millrace::add, millrace::add_n, millrace::argmax, millrace::argmin, millrace::ceil, millrace::cos,
    millrace::cumprod, millrace::cumsum, millrace::divide, millrace::equal, millrace::erf, millrace::exp,
    millrace::expm1, millrace::floor, millrace::greater, millrace::greater_equal, millrace::is_finite, millrace::is_inf,
    millrace::is_nan, millrace::less, millrace::less_equal, millrace::log, millrace::log1p, millrace::log_sigmoid,
    millrace::logical_and, millrace::logical_not, millrace::logical_or, millrace::logical_xor, millrace::maximum,
    millrace::minimum, millrace::mod, millrace::multiply, millrace::negative, millrace::not_equal, millrace::pow,
    millrace::reciprocal, millrace::reduce_all, millrace::reduce_any, millrace::reduce_logsumexp, millrace::reduce_max,
    millrace::reduce_mean, millrace::reduce_min, millrace::reduce_prod, millrace::reduce_sum, millrace::round,
    millrace::rsqrt, millrace::sigmoid, millrace::sign, millrace::sin, millrace::sqrt, millrace::square,
    millrace::squared_difference, millrace::subtract, millrace::tan, millrace::tanh, millrace::truediv;
}  // namespace math

#pragma GCC visibility pop

}  // namespace millrace
