#include "millrace/math_ops.h"

#include <algorithm>
#include <array>
#include <limits>
#include <numeric>

#include "api/op_builder.h"
#include "base/strings.h"
#include "millrace/array_ops.h"

namespace millrace {
namespace {

std::string_view name_or(std::string_view name, std::string_view default_name) {
  return name.empty() ? default_name : name;
}

// Both arguments as outputs: a literal takes the other's dtype.
std::pair<Output, Output> as_pair(const Input& x, const Input& y) {
  if (x.is_literal() && !y.is_literal()) {
    const Output second = convert_to_tensor(y, DataType::kInvalid, "y");
    return {convert_to_tensor(x, base_dtype(second.dtype()), "x"), second};
  }
  const Output first = convert_to_tensor(x, DataType::kInvalid, "x");
  return {first, convert_to_tensor(y, base_dtype(first.dtype()), "y")};
}

// Python's operators open a scope of their name first: the literal of `x + 1` is "add/y".
Output scoped_operator(std::string_view name, std::string_view type, const Input& x, const Input& y) {
  const SourceScope source(y);
  const name_scope scope(name);
  const auto [a, b] = as_pair(x, y);
  return create_output(type, {a, b}, {}, scope.name());
}

DataType true_division_dtype(DataType dtype) {
  switch (base_dtype(dtype)) {
    case int8:
    case uint8:
    case int16:
    case uint16: return float32;
    case int32:
    case int64:
    case uint32:
    case uint64: return float64;
    default: return DataType::kInvalid;
  }
}

Output true_division(const Input& x, const Input& y, std::string_view name) {
  const SourceScope source(x.is_literal() ? y : x);
  const name_scope scope(name);
  auto [a, b] = as_pair(x, y);
  if (base_dtype(a.dtype()) != base_dtype(b.dtype())) {
    raise(invalid_argument("truediv: x and y must have the same dtype, got ", dtype_name(a.dtype()), " and ",
                           dtype_name(b.dtype())));
  }
  if (const DataType dtype = true_division_dtype(a.dtype()); dtype != DataType::kInvalid) {
    a = cast(a, dtype);
    b = cast(b, dtype);
  }
  return create_output("RealDiv", {a, b}, {}, scope.name());
}

// The axis argument of a reduction: as given, or all dimensions, which is a constant where the rank is known.
Input reduction_axes(const Output& x, const Input& axis) {
  if (axis) return axis;
  const PartialTensorShape shape = x.shape();
  if (shape.rank() < 1) return range(Input(0), rank(x));  // TF1 takes this way for scalars too
  std::vector<int32_t> axes(static_cast<size_t>(shape.rank()));
  std::iota(axes.begin(), axes.end(), 0);
  return constant(axes);
}

Output reduce(std::string_view type, const Input& input, const Input& axis, const ReduceOptions& options) {
  const SourceScope source(input);
  const Output x = convert_to_tensor(input, DataType::kInvalid, "input");
  return create_output(type, {x, reduction_axes(x, axis)}, {{"keep_dims", options.keepdims}}, options.name);
}

Output cumulative(std::string_view type, const Input& x, const Input& axis, const CumulativeOptions& o) {
  const SourceScope source(x);
  const name_scope scope(std::optional<std::string_view>(o.name.empty() ? std::nullopt : std::optional(o.name)), type);
  return create_output(type, {x, axis}, {{"exclusive", o.exclusive}, {"reverse", o.reverse}}, scope.name());
}

}  // namespace

Output UnaryOp::operator()(const Input& x, const NameOptions& options) const {
  const SourceScope source(x);
  return create_output(type_, {x}, {}, name_or(options.name, name_));
}

Output BinaryOp::operator()(const Input& x, const Input& y, const NameOptions& options) const {
  const SourceScope source(x);
  return create_output(type_, {x, y}, {}, name_or(options.name, name_));
}

Output divide(const Input& x, const Input& y, const NameOptions& options) {
  return true_division(x, y, name_or(options.name, "truediv"));
}
Output truediv(const Input& x, const Input& y, const NameOptions& options) {
  return true_division(x, y, name_or(options.name, "truediv"));
}

Output div(const Input& x, const Input& y, const NameOptions& options) {
  const SourceScope source(x);
  const name_scope scope(name_or(options.name, "div"));
  const auto [a, b] = as_pair(x, y);
  const DataType dtype = base_dtype(a.dtype());
  return create_output(is_floating(dtype) || is_complex(dtype) ? "RealDiv" : "FloorDiv", {a, b}, {}, scope.name());
}

Output floordiv(const Input& x, const Input& y, const NameOptions& options) {
  const SourceScope source(x);
  const name_scope scope(name_or(options.name, "floordiv"));
  const auto [a, b] = as_pair(x, y);
  return create_output("FloorDiv", {a, b}, {}, scope.name());
}

Output logical_xor(const Input& x, const Input& y, const NameOptions& options) {
  const SourceScope source(x);
  const Output either = logical_or(x, y);
  return logical_and(either, logical_not(logical_and(x, y)), {.name = name_or(options.name, "LogicalXor")});
}

Output log_sigmoid(const Input& x, const NameOptions& options) {
  const SourceScope source(x);
  const name_scope scope(name_or(options.name, "LogSigmoid"));
  return negative(create_output("Softplus", {negative(x)}), {.name = scope.name()});
}

Output cast(const Input& x, DataType dtype, const NameOptions& options) {
  const SourceScope source(x);
  if (base_dtype(dtype) == DataType::kInvalid || !is_valid_dtype(base_dtype(dtype)))
    raise(invalid_argument("cast: not a dtype: ", dtype_name(dtype)));
  // A tensor that needs no cast takes no name either.
  if (const Output tensor = x.source() == nullptr && !x.is_literal() ? x.output() : Output();
      tensor && tensor.dtype() == base_dtype(dtype))
    return tensor;
  const name_scope scope(name_or(options.name, "Cast"));
  const Output from = convert_to_tensor(x, DataType::kInvalid, "x");
  if (base_dtype(from.dtype()) == base_dtype(dtype)) return from;
  return create_output("Cast", {from}, {{"DstT", base_dtype(dtype)}, {"Truncate", false}}, scope.name());
}

Output to_float(const Input& x, const NameOptions& options) {
  return cast(x, float32, {.name = name_or(options.name, "ToFloat")});
}
Output to_double(const Input& x, const NameOptions& options) {
  return cast(x, float64, {.name = name_or(options.name, "ToDouble")});
}
Output to_int32(const Input& x, const NameOptions& options) {
  return cast(x, int32, {.name = name_or(options.name, "ToInt32")});
}
Output to_int64(const Input& x, const NameOptions& options) {
  return cast(x, int64, {.name = name_or(options.name, "ToInt64")});
}

Output bitcast(const Input& x, DataType type, const NameOptions& options) {
  const SourceScope source(x);
  return create_output("Bitcast", {x}, {{"type", type}}, options.name);
}

namespace {

template <class T> std::pair<double, double> limits() {
  return {static_cast<double>(std::numeric_limits<T>::lowest()), static_cast<double>(std::numeric_limits<T>::max())};
}

std::pair<double, double> limits_of(DataType dtype) {
  switch (dtype) {
    case int8: return limits<int8_t>();
    case uint8: return limits<uint8_t>();
    case int16: return limits<int16_t>();
    case uint16: return limits<uint16_t>();
    case int32: return limits<int32_t>();
    case uint32: return limits<uint32_t>();
    case int64: return limits<int64_t>();
    case uint64: return limits<uint64_t>();
    case float16: return {-65504.0, 65504.0};
    case bfloat16:
    case float32: return limits<float>();
    case float64: return limits<double>();
    default: raise(invalid_argument("saturate_cast: no limits for ", dtype_name(dtype)));
  }
}

}  // namespace

Output saturate_cast(const Input& x, DataType dtype, const NameOptions& options) {
  const SourceScope source(x);
  const name_scope scope(name_or(options.name, "saturate_cast"));
  const Output value = convert_to_tensor(x, DataType::kInvalid, "value");
  const auto [low, high] = limits_of(dtype);
  const auto [in_low, in_high] = limits_of(base_dtype(value.dtype()));
  Output clamped = value;
  if (in_low < low || in_high > high) {
    const DataType in = base_dtype(value.dtype());
    clamped = create_output(
        "ClipByValue",
        {value, constant(std::max(low, in_low), {.dtype = in}), constant(std::min(high, in_high), {.dtype = in})}, {},
        "clamp");
  }
  return cast(clamped, dtype, {.name = scope.name()});
}

Output range(const Input& limit, const RangeOptions& options) {
  return range(Input(0, limit.where()), limit, 1, options);
}

Output range(const Input& start, const Input& limit, const Input& delta, const RangeOptions& options) {
  const SourceScope source(start);
  const name_scope scope(name_or(options.name, "range"));
  // The widest dtype of the three, literals last, as TF1 infers it.
  constexpr std::array kOrder = {int32, int64, float16, bfloat16, float32, float64};
  DataType dtype = options.dtype;
  if (dtype == DataType::kInvalid) {
    size_t widest = 0;
    for (const Input* input : {&start, &limit, &delta}) {
      const DataType d = input->is_literal() ? input->literal().dtype() : base_dtype(convert_to_tensor(*input).dtype());
      const DataType as_python = input->is_literal() && input->literal().rank() == 0 && d == float64 ? float32 : d;
      widest = std::max(widest, static_cast<size_t>(std::ranges::find(kOrder, as_python) - kOrder.begin()));
    }
    if (widest >= kOrder.size()) raise(invalid_argument("range: start, limit and delta must be numbers"));
    dtype = kOrder[widest];
  }
  const auto argument = [&](const Input& input, std::string_view name) {
    return input.is_literal() ? convert_to_tensor(input, dtype, name) : cast(input, dtype);
  };
  const Output s = argument(start, "start"), l = argument(limit, "limit"), d = argument(delta, "delta");
  return create_output("Range", {s, l, d}, {}, scope.name());
}

Output reduce_sum(const Input& x, const IntList& axis, const ReduceOptions& o) { return reduce("Sum", x, axis, o); }
Output reduce_mean(const Input& x, const IntList& axis, const ReduceOptions& o) { return reduce("Mean", x, axis, o); }
Output reduce_prod(const Input& x, const IntList& axis, const ReduceOptions& o) { return reduce("Prod", x, axis, o); }
Output reduce_max(const Input& x, const IntList& axis, const ReduceOptions& o) { return reduce("Max", x, axis, o); }
Output reduce_min(const Input& x, const IntList& axis, const ReduceOptions& o) { return reduce("Min", x, axis, o); }
Output reduce_all(const Input& x, const IntList& axis, const ReduceOptions& o) { return reduce("All", x, axis, o); }
Output reduce_any(const Input& x, const IntList& axis, const ReduceOptions& o) { return reduce("Any", x, axis, o); }

Output reduce_logsumexp(const Input& input, const IntList& axis, const ReduceOptions& o) {
  const SourceScope source(input);
  const name_scope scope(name_or(o.name, "ReduceLogSumExp"));
  const Output x = convert_to_tensor(input);
  const Output raw_max = reduce_max(x, axis, {.keepdims = true});
  const Output finite = create_output("SelectV2", {is_finite(raw_max), raw_max, Input(0.0)});
  const Output max = create_output("StopGradient", {finite});
  Output result = log(reduce_sum(exp(subtract(x, max)), axis, {.keepdims = o.keepdims}));
  Output shifted = max;
  if (!o.keepdims) shifted = reshape(max, shape_tensor(result));
  return add(result, shifted, {.name = scope.name()});
}

Output argmax(const Input& x, const Input& axis, const ArgMaxOptions& o) {
  const SourceScope source(x);
  return create_output("ArgMax", {x, axis}, {{"output_type", o.output_type}}, o.name);
}

Output argmin(const Input& x, const Input& axis, const ArgMaxOptions& o) {
  const SourceScope source(x);
  return create_output("ArgMin", {x, axis}, {{"output_type", o.output_type}}, o.name);
}

Output matmul(const Input& a, const Input& b, const MatMulOptions& o) {
  const SourceScope source(a);
  if ((o.transpose_a && o.adjoint_a) || (o.transpose_b && o.adjoint_b)) {
    raise(invalid_argument("matmul: only one of transpose and adjoint can be true for an argument"));
  }
  const name_scope scope(name_or(o.name, "MatMul"));
  Output x = convert_to_tensor(a, DataType::kInvalid, "a");
  const Output y = convert_to_tensor(b, base_dtype(x.dtype()), "b");
  const auto rank_of = [](const Output& t) { return t.shape().rank(); };
  const bool batch = (rank_of(x) == -1 || rank_of(x) > 2) && (rank_of(y) == -1 || rank_of(y) > 2);
  if (batch || rank_of(x) > 2 || rank_of(y) > 2) {
    const bool complex = is_complex(base_dtype(x.dtype()));
    // A transpose is not an adjoint of complex numbers: conjugate first.
    const auto prepared = [&](const Output& t, bool transpose) {
      return transpose && complex ? create_output("Conj", {t}) : t;
    };
    return create_output("BatchMatMulV2", {prepared(x, o.transpose_a), prepared(y, o.transpose_b)},
                         {{"adj_x", o.transpose_a || o.adjoint_a}, {"adj_y", o.transpose_b || o.adjoint_b}},
                         scope.name());
  }
  const auto adjoint = [](const Output& t, bool wanted) {
    return wanted && is_complex(base_dtype(t.dtype())) ? create_output("Conj", {t}) : t;
  };
  return create_output("MatMul", {adjoint(x, o.adjoint_a), adjoint(y, o.adjoint_b)},
                       {{"transpose_a", o.transpose_a || o.adjoint_a}, {"transpose_b", o.transpose_b || o.adjoint_b}},
                       scope.name());
}

Output add_n(const std::vector<Output>& inputs, const NameOptions& options) {
  if (inputs.empty())
    raise(invalid_argument("add_n: inputs must be a list of at least one tensor with the same dtype and shape"));
  if (inputs.size() == 1) return options.name.empty() ? inputs[0] : identity(inputs[0], options);
  return create_output("AddN", {inputs}, {}, options.name);
}

Output cumsum(const Input& x, const Input& axis, const CumulativeOptions& o) {
  return cumulative("Cumsum", x, axis, o);
}
Output cumprod(const Input& x, const Input& axis, const CumulativeOptions& o) {
  return cumulative("Cumprod", x, axis, o);
}

Output clip_by_value(const Input& t, const Input& low, const Input& high, const NameOptions& options) {
  const SourceScope source(t);
  const name_scope scope(name_or(options.name, "clip_by_value"));
  const Output values = convert_to_tensor(t, DataType::kInvalid, "t");
  const Output capped = minimum(values, high);
  return maximum(capped, low, {.name = scope.name()});
}

Output clip_by_norm(const Input& t, const Input& clip_norm, const NameOptions& options) {
  const SourceScope source(t);
  const name_scope scope(name_or(options.name, "clip_by_norm"));
  const Output values = convert_to_tensor(t, DataType::kInvalid, "t");
  const Output squares = reduce_sum(values * values, {}, {.keepdims = true});
  const Output positive = squares > 0;
  // sqrt of one where the sum is zero: the gradient of sqrt at zero is infinite.
  const Output safe = create_output("Select", {positive, squares, ones_like(squares)});
  const Output norm = create_output("Select", {positive, sqrt(safe), squares});
  const Output scaled = values * clip_norm;
  return identity(scaled / maximum(norm, clip_norm), {.name = scope.name()});
}

Output global_norm(const std::vector<Output>& t_list, const NameOptions& options) {
  const name_scope scope(name_or(options.name, "global_norm"));
  std::vector<Output> halves;
  for (const Output& t : t_list) {
    if (!t) continue;
    const colocate_with colocated(t);
    halves.push_back(create_output("L2Loss", {t}));
  }
  if (halves.empty()) return constant(0.0, {.name = "global_norm"});
  const Output half_squared = reduce_sum(stack(halves));
  const Output two = constant(2.0, {.dtype = base_dtype(half_squared.dtype())});
  return sqrt(half_squared * two, {.name = "global_norm"});
}

ClippedByGlobalNorm clip_by_global_norm(const std::vector<Output>& t_list, const Input& clip_norm,
                                        const NameOptions& options) {
  const SourceScope source(clip_norm);
  ClippedByGlobalNorm result;
  result.global_norm = global_norm(t_list);
  const name_scope scope(name_or(options.name, "clip_by_global_norm"));
  const DataType dtype = base_dtype(result.global_norm.dtype());
  const Output inverse = 1.0 / result.global_norm;
  const Output one_over_clip = constant(1.0, {.dtype = dtype}) / clip_norm;
  const Output scale_for_finite = operator_ops::mul(clip_norm, minimum(inverse, one_over_clip));
  // Infinite norms make every gradient NaN, so that nobody trains on with garbage unnoticed.
  const Output scale = scale_for_finite + (result.global_norm - result.global_norm);
  for (size_t i = 0; i < t_list.size(); ++i) {
    if (!t_list[i]) {
      result.list.emplace_back();
      continue;
    }
    const colocate_with colocated(t_list[i]);
    result.list.push_back(identity(t_list[i] * scale, {.name = str_cat(scope.name(), "_", i)}));
  }
  return result;
}

namespace operator_ops {
Output add(const Input& x, const Input& y) { return scoped_operator("add", "AddV2", x, y); }
Output sub(const Input& x, const Input& y) { return scoped_operator("sub", "Sub", x, y); }
Output mul(const Input& x, const Input& y) { return scoped_operator("mul", "Mul", x, y); }
Output truediv(const Input& x, const Input& y) { return true_division(x, y, "truediv"); }
Output mod(const Input& x, const Input& y) { return scoped_operator("mod", "FloorMod", x, y); }
Output logical_and(const Input& x, const Input& y) { return scoped_operator("and", "LogicalAnd", x, y); }
Output logical_or(const Input& x, const Input& y) { return scoped_operator("or", "LogicalOr", x, y); }
Output less(const Input& x, const Input& y) { return millrace::less(x, y); }
Output less_equal(const Input& x, const Input& y) { return millrace::less_equal(x, y); }
Output greater(const Input& x, const Input& y) { return millrace::greater(x, y); }
Output greater_equal(const Input& x, const Input& y) { return millrace::greater_equal(x, y); }
}  // namespace operator_ops

}  // namespace millrace
