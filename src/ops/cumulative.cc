// Running sums, products and logsumexps along a dimension.

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/parallel.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/elementwise.h"
#include "ops/math_gradients.h"

namespace millrace {

namespace {

using namespace gradients;  // NOLINT: the rules read as the formulas do

// Operations on what elements are computed in (float for half and bfloat16).
struct RunningSum {
  template <class C> static C neutral() { return C(0); }
  template <class C> static C join(C a, C b) {
    return wrapping(a, b, [](auto x, auto y) { return x + y; });
  }
};
struct RunningProduct {
  template <class C> static C neutral() { return C(1); }
  template <class C> static C join(C a, C b) {
    return wrapping(a, b, [](auto x, auto y) { return x * y; });
  }
};
struct RunningLogsumexp {
  template <class C> static C neutral() { return -std::numeric_limits<C>::infinity(); }
  template <class C> static C join(C a, C b) {
    if (a != a || b != b) return a + b;
    const C low = std::min(a, b), high = std::max(a, b);
    if (std::isinf(low) || std::isinf(high)) return high;  // the difference of equal infinities would be NaN
    return std::log1p(std::exp(low - high)) + high;
  }
};

template <class T> auto widen(T x) {
  if constexpr (is_small_float<T>) return static_cast<float>(x);
  else return x;
}

template <class Op, class T> class Scan : public Kernel {
  using C = ComputeType<T>;

 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(exclusive_, init.attr<bool>("exclusive"));
    MR_ASSIGN_OR_RETURN(reverse_, init.attr<bool>("reverse"));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto x, ctx.flat<T>(0));
    const TensorShape& shape = ctx.shape(0);
    if (ctx.shape(1).rank() != 0) return invalid_argument("ScanOp: axis must be a scalar, not ", ctx.shape(1));
    MR_ASSIGN_OR_RETURN(const int64_t given, ctx.int_scalar(1));
    const int64_t axis = given < 0 ? given + shape.rank() : given;
    if (axis < 0 || axis >= shape.rank())
      return invalid_argument("ScanOp: Expected scan axis in the range [", -shape.rank(), ", ", shape.rank(),
                              "), but got ", given);
    MR_ASSIGN_OR_RETURN(const auto out, ctx.forward_or_allocate<T>(0, 0, shape));
    if (out.empty()) return absl::OkStatus();
    int64_t outer = 1, inner = 1;
    for (int d = 0; d < shape.rank(); ++d)
      if (d != axis) (d < axis ? outer : inner) *= shape.dim(d);
    const int64_t n = shape.dim(static_cast<int>(axis));
    parallel_for(outer, static_cast<double>(n * inner), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        for (int64_t column = 0; column < inner; column += kBlock)
          scan(x.data() + i * n * inner + column, out.data() + i * n * inner + column, n, inner,
               std::min(kBlock, inner - column));
      }
    });
    return absl::OkStatus();
  }

 private:
  static constexpr int64_t kBlock = 256;
  // m neighbouring scans of n elements each, `stride` apart.
  void scan(const T* x, T* out, int64_t n, int64_t stride, int64_t m) const {
    C running[kBlock];
    std::fill_n(running, m, Op::template neutral<C>());
    for (int64_t i = 0; i < n; ++i) {
      const int64_t at = (reverse_ ? n - 1 - i : i) * stride;
      for (int64_t j = 0; j < m; ++j) {
        const C before = running[j];
        running[j] = Op::join(before, widen(x[at + j]));
        out[at + j] = static_cast<T>(exclusive_ ? before : running[j]);
      }
    }
  }
  bool exclusive_ = false, reverse_ = false;
};
template <class T> using Cumsum = Scan<RunningSum, T>;
template <class T> using Cumprod = Scan<RunningProduct, T>;
template <class T> using CumulativeLogsumexp = Scan<RunningLogsumexp, T>;

struct Direction {
  bool exclusive = false, reverse = false;
};
absl::StatusOr<Direction> direction(GradientContext& g) {
  Direction d;
  MR_ASSIGN_OR_RETURN(d.exclusive, g.attr<bool>("exclusive"));
  MR_ASSIGN_OR_RETURN(d.reverse, g.attr<bool>("reverse"));
  return d;
}
Output cumulative(GradientContext& g, std::string_view op, const Output& x, bool exclusive, bool reverse) {
  return g.op(op, {x, g.x(1)}, {{"exclusive", exclusive}, {"reverse", reverse}});
}

absl::Status cumsum_gradient(GradientContext& g) {
  MR_ASSIGN_OR_RETURN(const Direction d, direction(g));
  g.set_dx(0, cumulative(g, "Cumsum", g.dy(0), d.exclusive, !d.reverse));
  return absl::OkStatus();
}
absl::Status cumprod_gradient(GradientContext& g) {
  MR_ASSIGN_OR_RETURN(const Direction d, direction(g));
  const Output dy = g.dy(0), x = g.x(0);
  const Output product = cumulative(g, "Cumprod", x, d.exclusive, d.reverse);
  const Output sum = cumulative(g, "Cumsum", mul(g, product, dy), d.exclusive, !d.reverse);
  g.set_dx(0, div_no_nan(g, sum, x));
  return absl::OkStatus();
}

double lowest(DataType dtype) {
  switch (dtype) {
    case DataType::kHalf: return -65504;
    case DataType::kBfloat16: return -3.38953138925e38;
    case DataType::kDouble: return std::numeric_limits<double>::lowest();
    default: return static_cast<double>(std::numeric_limits<float>::lowest());
  }
}
absl::Status cumulative_logsumexp_gradient(GradientContext& g) {
  // dy is split by sign, as sums of exponentials are summed through logarithms.
  MR_ASSIGN_OR_RETURN(const Direction d, direction(g));
  const Output dy = g.dy(0), x = g.x(0), y = g.y(0);
  auto log_where = [&](const Output& mask, const Output& log) {
    const auto scope = g.name_scope("SelectV2");
    const Output low = scalar(g, g.dtype(dy), lowest(g.dtype(dy)), "e");
    return g.op("SelectV2", {mask, log, low}, {}, "/");
  };
  const Output is_positive = binary(g, "Greater", "Greater", dy, 0.0);
  const Output log_positive = log_where(is_positive, g.op("Log", {dy}));
  const Output is_negative = binary(g, "Less", "Less", dy, 0.0);
  const Output log_negative = log_where(is_negative, g.op("Log", {neg(g, dy)}));
  auto part = [&](const Output& log) {
    const Output sum = cumulative(g, "CumulativeLogsumexp", sub(g, log, y), d.exclusive, !d.reverse);
    return g.op("Exp", {add(g, sum, x)});
  };
  const Output positive = part(log_positive);
  const Output negative = part(log_negative);
  g.set_dx(0, sub(g, positive, negative));
  return absl::OkStatus();
}

template <template <class> class K, class List>
void scan_op(Registry& r, std::string_view name, std::string_view types, GradientFunction gradient,
             std::string_view doc, List list) {
  r.op(name)
      .input("x: T")
      .input("axis: Tidx")
      .output("out: T")
      .attr("exclusive: bool = false")
      .attr("reverse: bool = false")
      .attr(types)
      .attr("Tidx: {int32, int64} = DT_INT32")
      .shape(unchanged_shape)
      .gradient(gradient)
      .doc(doc)
      .template cpu_for<K>(list);
}

}  // namespace

void register_cumulative(Registry& r) {
  constexpr std::string_view kNumbers =
      "T: {float, double, int32, uint8, int16, int8, complex64, int64, qint8, quint8, qint32, bfloat16, qint16, "
      "quint16, uint16, complex128, half, uint32, uint64}";
  scan_op<Cumsum>(r, "Cumsum", kNumbers, cumsum_gradient, "Running sums along an axis.", NumberTypes{});
  scan_op<Cumprod>(r, "Cumprod", kNumbers, cumprod_gradient, "Running products along an axis.", NumberTypes{});
  scan_op<CumulativeLogsumexp>(r, "CumulativeLogsumexp", "T: {bfloat16, half, float, double}",
                               cumulative_logsumexp_gradient, "log of the running sums of exponentials along an axis.",
                               FloatTypes{});
}

}  // namespace millrace
