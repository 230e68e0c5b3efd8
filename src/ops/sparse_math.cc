// Arithmetic between sparse tensors of one shape, and softmax over the last dimension. Entries must be in row-major
// order, as TensorFlow asks.

#include <algorithm>
#include <cmath>
#include <complex>

#include "kernels/number.h"
#include "op/gradient_context.h"
#include "ops/gradient_ops.h"
#include "ops/sparse_tensor.h"

namespace millrace {
namespace {

// One entry of the union: where it stands in a and in b, -1 where it is missing.
struct Pair {
  int64_t a, b;
};

std::vector<Pair> united(const SparseTensor& a, const SparseTensor& b) {
  std::vector<Pair> pairs;
  int64_t i = 0, j = 0;
  while (i < a.size() && j < b.size()) {
    const int order = compare_indices(a.index(i), b.index(j), a.rank());
    pairs.push_back({order <= 0 ? i : -1, order >= 0 ? j : -1});
    i += order <= 0 ? 1 : 0;
    j += order >= 0 ? 1 : 0;
  }
  while (i < a.size()) pairs.push_back({i++, -1});
  while (j < b.size()) pairs.push_back({-1, j++});
  return pairs;
}

// Two sparse tensors of one dense shape, inputs 0..2 and 3..5.
struct Operands {
  SparseTensor a, b;
};

absl::StatusOr<Operands> operands(const KernelContext& ctx) {
  const auto both = [&](const char* what, const char* form, int rank, int i, int j) {
    if (ctx.shape(i).rank() == rank && ctx.shape(j).rank() == rank) return absl::OkStatus();
    return invalid_argument("Input ", what, " should be ", form, " but received shapes: ", ctx.shape(i), " and ",
                            ctx.shape(j));
  };
  MR_RETURN_IF_ERROR(both("indices", "matrices", 2, 0, 3));
  MR_RETURN_IF_ERROR(both("values", "vectors", 1, 1, 4));
  MR_RETURN_IF_ERROR(both("shapes", "vectors", 1, 2, 5));
  if (ctx.node().op == "SparseAdd" && ctx.shape(0).dim(1) != ctx.shape(3).dim(1))
    return invalid_argument("Input indices must have the same dimension, got ", ctx.shape(0).dim(1), " and ",
                            ctx.shape(3).dim(1));
  if (ctx.shape(2) != ctx.shape(5))
    return invalid_argument("Operands do not have the same ranks; got shapes: ", ctx.input(2).to_string(), " and ",
                            ctx.input(5).to_string());
  MR_ASSIGN_OR_RETURN(SparseTensor a, sparse_input(ctx, 0, 1, 2));
  MR_ASSIGN_OR_RETURN(SparseTensor b, sparse_input(ctx, 3, 4, 5));
  for (size_t d = 0; d < a.dims.size(); ++d) {
    if (a.dims[d] != b.dims[d])
      return invalid_argument("Operands' shapes do not match: got ", a.dims[d], " and ", b.dims[d], " for dimension ",
                              d);
  }
  return Operands{std::move(a), std::move(b)};
}

absl::Status output_indices(KernelContext& ctx, const Operands& in, std::span<const Pair> pairs) {
  const int64_t rank = in.a.rank();
  MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({static_cast<int64_t>(pairs.size()), rank}));
  MR_ASSIGN_OR_RETURN(const auto out, ctx.output<int64_t>(0, shape));
  auto to = out.begin();
  for (const Pair& p : pairs) to = std::copy_n(p.a >= 0 ? in.a.index(p.a) : in.b.index(p.b), rank, to);
  return absl::OkStatus();
}

template <class T> struct Magnitude { using type = T; };
template <class R> struct Magnitude<std::complex<R>> { using type = R; };

template <class T> class SparseAdd final : public Kernel {
  using Real = typename Magnitude<T>::type;

  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const Operands in, operands(ctx));
    if (ctx.shape(6).rank() != 0)
      return invalid_argument("The magnitude threshold must be a scalar: got shape ", ctx.shape(6));
    MR_ASSIGN_OR_RETURN(const Real threshold, ctx.scalar<Real>(6));
    const auto x = in.a.values.unchecked<T>(), y = in.b.values.unchecked<T>();
    std::vector<Pair> pairs = united(in.a, in.b);
    const auto value = [&](const Pair& p) {
      if (p.a < 0) return y[static_cast<size_t>(p.b)];
      return p.b < 0 ? x[static_cast<size_t>(p.a)]
                     : Add::apply(x[static_cast<size_t>(p.a)], y[static_cast<size_t>(p.b)]);
    };
    // What only one of them has stays, however small.
    std::erase_if(pairs, [&](const Pair& p) { return p.a >= 0 && p.b >= 0 && !(threshold <= magnitude(value(p))); });
    MR_RETURN_IF_ERROR(output_indices(ctx, in, pairs));
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({static_cast<int64_t>(pairs.size())}));
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<T>(1, shape));
    std::ranges::transform(pairs, out.begin(), value);
    return ctx.set_output(2, ctx.input(2));
  }

  static Real magnitude(const T& x) {
    if constexpr (std::is_integral_v<T>) return x < 0 ? Subtract::apply(T(0), x) : x;
    else return std::abs(x);
  }
};

template <class T> class SparseAddGrad final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    const TensorShape &a = ctx.shape(1), &b = ctx.shape(2), &sum = ctx.shape(3);
    if (a.rank() != 2 || b.rank() != 2 || sum.rank() != 2)
      return invalid_argument("a_indices and b_indices should be matrices but received shapes: ", a, ", ", b, " and ",
                              sum);
    if (ctx.shape(0).rank() != 1)
      return invalid_argument("Input backprop_val_grad should be a vector but received shape: ", ctx.shape(0));
    if (a.dim(1) != b.dim(1) || b.dim(1) != sum.dim(1))
      return invalid_argument("The densified operands should have the same ndims; for A, B, sum got: ", a.dim(1),
                              b.dim(1), sum.dim(1));
    if (ctx.shape(0).dim(0) != sum.dim(0))
      return invalid_argument(
          "# elements of backprop_val_grad and # rows of sum_indices should match (#nnz of sum): got ",
          ctx.shape(0).dim(0), " and ", sum.dim(0));
    MR_RETURN_IF_ERROR(pick(ctx, 1, 0));
    return pick(ctx, 2, 1);
  }

  // The gradient at those entries of the sum that the operand has, zero at those that the sum left out.
  static absl::Status pick(KernelContext& ctx, int operand, int output) {
    const int64_t n = ctx.shape(operand).dim(0), sums = ctx.shape(3).dim(0), rank = ctx.shape(3).dim(1);
    MR_ASSIGN_OR_RETURN(const auto dy, ctx.vector<T>(0));
    MR_ASSIGN_OR_RETURN(const auto index, ctx.flat<int64_t>(operand));
    MR_ASSIGN_OR_RETURN(const auto sum, ctx.flat<int64_t>(3));
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({n}));
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<T>(output, shape));
    std::ranges::fill(out, number<T>(0));
    int64_t i = 0, k = 0;
    while (i < n && k < sums) {
      const int order = compare_indices(index.data() + i * rank, sum.data() + k * rank, rank);
      if (order == 0) out[static_cast<size_t>(i)] = dy[static_cast<size_t>(k)];
      i += order <= 0 ? 1 : 0;
      k += order >= 0 ? 1 : 0;
    }
    return absl::OkStatus();
  }
};

// Entries that one of the operands lacks are compared with zero.
template <class Fn, class T> class SparseSparse final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const Operands in, operands(ctx));
    const std::vector<Pair> pairs = united(in.a, in.b);
    MR_RETURN_IF_ERROR(output_indices(ctx, in, pairs));
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({static_cast<int64_t>(pairs.size())}));
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<T>(1, shape));
    const auto at = [](const SparseTensor& s, int64_t i) {
      return i < 0 ? number<T>(0) : s.values.unchecked<T>()[static_cast<size_t>(i)];
    };
    std::ranges::transform(pairs, out.begin(), [&](const Pair& p) { return Fn::apply(at(in.a, p.a), at(in.b, p.b)); });
    return absl::OkStatus();
  }
};
template <class T> using SparseSparseMaximum = SparseSparse<Maximum, T>;
template <class T> using SparseSparseMinimum = SparseSparse<Minimum, T>;

template <class T> class SparseSoftmax final : public Kernel {
  using Real = std::conditional_t<is_half<T>, float, T>;

  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const SparseTensor sparse, sparse_input(ctx, 0, 1, 2));
    if (sparse.rank() < 2)
      return invalid_argument("Input should have rank >= 2, but received shape: ", ctx.input(2).to_string());
    MR_RETURN_IF_ERROR(check_indices(sparse, false));
    const auto x = sparse.values.unchecked<T>();
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<T>(0, sparse.values.shape()));
    int64_t begin = 0;
    for (int64_t end = 1; begin < sparse.size(); ++end) {
      if (end < sparse.size() && compare_indices(sparse.index(begin), sparse.index(end), sparse.rank() - 1) == 0)
        continue;
      const auto first = static_cast<size_t>(begin), count = static_cast<size_t>(end - begin);
      softmax(x.subspan(first, count), out.subspan(first, count));
      begin = end;
    }
    return absl::OkStatus();
  }

  static void softmax(std::span<const T> x, std::span<T> out) {
    Real highest = static_cast<Real>(x[0]), sum = 0;
    for (const T& v : x) highest = std::max(highest, static_cast<Real>(v));
    for (const T& v : x) sum += std::exp(static_cast<Real>(v) - highest);
    for (size_t i = 0; i < x.size(); ++i) out[i] = T(std::exp(static_cast<Real>(x[i]) - highest) / sum);
  }
};

// --- shapes

absl::Status two_operands_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(check_sparse_shapes(c, 0, 1, 2).status());
  MR_RETURN_IF_ERROR(check_sparse_shapes(c, 3, 4, 5).status());
  const PartialTensorShape& dense = c.input(2);
  MR_RETURN_IF_ERROR(c.set_output(0, make_partial_shape({-1, dense.has_rank() ? dense.dim(0) : -1})));
  return c.set_output(1, unknown_shape_of_rank(1));
}

absl::Status add_shape(ShapeContext& c) {
  const PartialTensorShape& dense = c.input(2);
  MR_RETURN_IF_ERROR(c.with_rank(2, 1).status());
  MR_RETURN_IF_ERROR(c.set_output(0, make_partial_shape({-1, dense.has_rank() ? dense.dim(0) : -1})));
  MR_RETURN_IF_ERROR(c.set_output(1, unknown_shape_of_rank(1)));
  return c.set_output(2, dense);
}

absl::Status add_grad_shape(ShapeContext& c) {
  for (int i = 0; i < 2; ++i) {
    MR_ASSIGN_OR_RETURN(const PartialTensorShape indices, c.with_rank(i + 1, 2));
    MR_RETURN_IF_ERROR(c.set_output(i, make_partial_shape({indices.has_rank() ? indices.dim(0) : -1})));
  }
  return absl::OkStatus();
}

absl::Status softmax_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 2).status());
  MR_ASSIGN_OR_RETURN(const PartialTensorShape values, c.with_rank(1, 1));
  MR_RETURN_IF_ERROR(c.with_rank(2, 1).status());
  return c.set_output(0, values);
}

// --- gradients

absl::Status add_gradient(GradientContext& g) {
  const std::vector<Output> d = g.op_outputs("SparseAddGrad", {g.dy(1), g.x(0), g.x(3), g.y(0)});
  if (d.size() < 2) return absl::OkStatus();
  g.set_dx(1, d[0]);
  g.set_dx(4, d[1]);
  return absl::OkStatus();
}

// dx = (dy - sum(dy y)) y, at the entries only.
absl::Status softmax_gradient(GradientContext& g) {
  const Output dy = g.dy(0), y = g.y(0), indices = g.x(0), shape = g.x(2);
  const Output product = g.op("Mul", {y, dy}, {}, "mul");
  const Output axis = int_list(g, {-1}, "SparseReduceSum/reduction_axes");
  const Output sum = g.op("SparseReduceSum", {indices, product, shape, axis}, {{"keep_dims", true}});
  const Output negative = g.op("Neg", {sum});
  const Output difference = g.op("SparseDenseCwiseAdd", {indices, dy, shape, negative});
  g.set_dx(1, g.op("Mul", {difference, y}, {}, "mul"));
  return absl::OkStatus();
}

OpBuilder two_operands(Registry& registry, const char* name) {
  return registry.op(name)
      .input("a_indices: int64")
      .input("a_values: T")
      .input("a_shape: int64")
      .input("b_indices: int64")
      .input("b_values: T")
      .input("b_shape: int64");
}

}  // namespace

void register_sparse_math(Registry& registry) {
  two_operands(registry, "SparseAdd")
      .input("thresh: Treal")
      .output("sum_indices: int64")
      .output("sum_values: T")
      .output("sum_shape: int64")
      .attr("T: numbertype")
      .attr("Treal: realnumbertype")
      .shape(add_shape)
      .cpu_for<SparseAdd>(Types<float, double, int8_t, int16_t, int32_t, int64_t, Complex64, Complex128>())
      .gradient(add_gradient)
      .doc("The sum of two sparse tensors, without sums below a magnitude.");
  registry.op("SparseAddGrad")
      .input("backprop_val_grad: T")
      .input("a_indices: int64")
      .input("b_indices: int64")
      .input("sum_indices: int64")
      .output("a_val_grad: T")
      .output("b_val_grad: T")
      .attr("T: numbertype")
      .shape(add_grad_shape)
      .cpu_for<SparseAddGrad>(Types<float, double, int8_t, int16_t, int32_t, int64_t, Complex64, Complex128>())
      .not_differentiable()
      .doc("The gradients of SparseAdd with respect to the values of both operands.");
  two_operands(registry, "SparseSparseMaximum")
      .output("output_indices: int64")
      .output("output_values: T")
      .attr("T: realnumbertype")
      .shape(two_operands_shape)
      .cpu_for<SparseSparseMaximum>(RealTypes())
      .doc("The greater values of two sparse tensors; what is missing is zero.");
  two_operands(registry, "SparseSparseMinimum")
      .output("output_indices: int64")
      .output("output_values: T")
      .attr("T: numbertype")
      .shape(two_operands_shape)
      .cpu_for<SparseSparseMinimum>(RealTypes())
      .doc("The smaller values of two sparse tensors; what is missing is zero.");
  registry.op("SparseSoftmax")
      .input("sp_indices: int64")
      .input("sp_values: T")
      .input("sp_shape: int64")
      .output("output: T")
      .attr("T: {half, float, double}")
      .shape(softmax_shape)
      .cpu_for<SparseSoftmax>(Types<Half, float, double>())
      .gradient(softmax_gradient)
      .doc("Softmax over the entries of each row.");
}

}  // namespace millrace
