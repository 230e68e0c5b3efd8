// What is found by putting numbers in order, or in bins: NthElement and HistogramFixedWidth.

#include <algorithm>

#include "op/gradient_context.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/gradient_algebra.h"

namespace millrace {
namespace {

// NaN behind all numbers, so that the order is one.
template <class T> bool before(const T& a, const T& b) {
  if constexpr (std::is_integral_v<T>) return a < b;
  else {
    const auto x = static_cast<double>(static_cast<std::conditional_t<std::is_same_v<T, double>, double, float>>(a));
    const auto y = static_cast<double>(static_cast<std::conditional_t<std::is_same_v<T, double>, double, float>>(b));
    return y != y ? x == x : x < y;
  }
}

template <class T> class NthElement final : public Kernel {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(reverse_, init.attr<bool>("reverse"));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const int64_t n, ctx.int_scalar(1));
    const TensorShape& shape = ctx.shape(0);
    if (n < 0) return invalid_argument("n must be non-negative but is ", n);
    if (shape.rank() < 1) return invalid_argument("Input must be at least rank 1 but is rank ", shape.rank());
    const int64_t width = shape.dim(shape.rank() - 1);
    if (width <= n) return invalid_argument("Input must have at least n+1 = ", n + 1, " columns but has ", width);
    MR_ASSIGN_OR_RETURN(const auto x, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<T>(0, subshape(shape, 0, shape.rank() - 1)));
    if (x.empty()) return absl::OkStatus();  // of no row the width may be absurd
    const int64_t at = reverse_ ? width - 1 - n : n;
    std::vector<T> row(static_cast<size_t>(width));
    for (size_t i = 0; i < out.size(); ++i) {
      std::ranges::copy(x.subspan(i * row.size(), row.size()), row.begin());
      std::nth_element(row.begin(), row.begin() + at, row.end(), before<T>);
      out[i] = row[static_cast<size_t>(at)];
    }
    return absl::OkStatus();
  }
  bool reverse_ = false;
};

absl::Status nth_element_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape in, c.with_rank_at_least(0, 1));
  MR_RETURN_IF_ERROR(c.with_rank(1, 0).status());
  MR_ASSIGN_OR_RETURN(const auto n, c.int_scalar(1));
  if (n && *n < 0) return invalid_argument("Input n must be non-negative but is ", *n);
  if (!in.has_rank()) return unknown_shapes(c);
  const int64_t width = in.dim(in.rank() - 1);
  if (n && width >= 0 && width <= *n)
    return invalid_argument("Input must have last dimension > n = ", *n, " but is ", width);
  return c.set_output(0, make_partial_shape(in.dims().first(static_cast<size_t>(in.rank() - 1))));
}

// Elements that equal the result share its gradient.
absl::Status nth_element_gradient(GradientContext& g) {
  GradientAlgebra m(g);
  const Output chosen = m.cast(g.op("Equal", {m.expand(g.y(0), -1), g.x(0)}), g.dtype(g.x(0)));
  const Output share = g.op("RealDiv", {chosen, m.expand(m.sum(chosen, -1), -1)}, {}, "truediv");
  g.set_dx(0, m.mul(share, m.expand(g.dy(0), -1)));
  return absl::OkStatus();
}

template <class T, class I> class HistogramFixedWidth final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto values, ctx.flat<T>(0));
    if (ctx.shape(1).rank() != 1 || ctx.shape(1).dim(0) != 2)
      return invalid_argument("value_range should be a vector of 2 elements, but got shape ", ctx.shape(1));
    MR_ASSIGN_OR_RETURN(const auto range, ctx.vector<T>(1));
    if (!(range[0] < range[1]))
      return invalid_argument("value_range should satisfy value_range[0] < value_range[1], but got '[", range[0], ", ",
                              range[1], "]'");
    MR_ASSIGN_OR_RETURN(const int64_t bins, ctx.int_scalar(2));
    if (bins <= 0) return invalid_argument("nbins should be a positive number, but got '", bins, "'");
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({bins}));
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<I>(0, shape));
    std::ranges::fill(out, I(0));
    const double first = static_cast<double>(range[0]);
    const double step = (static_cast<double>(range[1]) - first) / static_cast<double>(bins);
    for (const T value : values) {
      const double at = (static_cast<double>(std::max(value, range[0])) - first) / step;
      const double last = static_cast<double>(bins - 1);
      ++out[static_cast<size_t>(at > 0 ? std::min(at, last) : 0)];  // NaN into the first
    }
    return absl::OkStatus();
  }
};

absl::Status histogram_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(2, 0).status());
  MR_ASSIGN_OR_RETURN(const PartialTensorShape range, c.with_rank(1, 1));
  MR_RETURN_IF_ERROR(merge(range, PartialTensorShape({2})).status());
  MR_ASSIGN_OR_RETURN(const auto bins, c.int_scalar(2));
  if (bins && *bins <= 0) return invalid_argument("nbins must be positive, got ", *bins);
  return c.set_output(0, make_partial_shape({bins ? *bins : -1}));
}

}  // namespace

void register_order_statistics(Registry& registry) {
  registry.op("NthElement")
      .input("input: T")
      .input("n: int32")
      .output("values: T")
      .attr("reverse: bool = false")
      .attr("T: {float, double, int32, uint8, int16, int8, int64, bfloat16, uint16, half, uint32, uint64}")
      .shape(nth_element_shape)
      .cpu_for<NthElement>(RealTypes())
      .gradient(nth_element_gradient)
      .doc("The n-th smallest, or largest, number of each row.");
  registry.op("HistogramFixedWidth")
      .input("values: T")
      .input("value_range: T")
      .input("nbins: int32")
      .output("out: dtype")
      .attr("T: {int32, int64, float, double}")
      .attr("dtype: {int32, int64} = DT_INT32")
      .shape(histogram_shape)
      .cpu_for<HistogramFixedWidth>(Types<int32_t, int64_t, float, double>(), "T", Types<int32_t, int64_t>(), "dtype")
      .not_differentiable()
      .doc("How many values are in each of nbins bins of one width; what is outside counts for the ends.");
}

}  // namespace millrace
