// Linear algebra over the last two dimensions: solving, inverting, decomposing. The numeric work stands in
// kernels/linear_algebra.h, in double precision for all types.

#include "kernels/linear_algebra.h"

#include <algorithm>
#include <limits>

#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/linear_algebra_gradients.h"
#include "ops/matrix_batch.h"

namespace millrace {
namespace {

// One square matrix to one of the same size.
template <class T, absl::Status (*kFn)(int64_t, const Wide<T>*, bool, Wide<T>*)>
class SquareToSquare final : public Kernel {
  absl::Status init(KernelInit& init) override {
    if (!init.has_attr("adjoint")) return absl::OkStatus();
    MR_ASSIGN_OR_RETURN(adjoint_, init.attr<bool>("adjoint"));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const Matrices m, square_matrices(ctx.shape(0)));
    MR_ASSIGN_OR_RETURN(const auto a, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<T>(0, ctx.shape(0)));
    WideInput<T> from;
    WideOutput<T> to;
    for (int64_t i = 0; i < m.count && m.size > 0; ++i) {
      MR_RETURN_IF_ERROR(ctx.check_cancelled());
      MR_RETURN_IF_ERROR(kFn(m.rows, from.load(a, i * m.size, m.size), adjoint_, to.prepare(out, i * m.size, m.size)));
      to.store();
    }
    return absl::OkStatus();
  }
  bool adjoint_ = false;
};

template <class T> absl::Status invert_one(int64_t n, const T* a, bool adjoint, T* out) {
  return invert(n, a, adjoint, out) ? absl::OkStatus() : invalid_argument("Input is not invertible.");
}
// Where the matrix is not positive definite, the lower triangle is NaN, as in TensorFlow 2.
template <class T> absl::Status cholesky_one(int64_t n, const T* a, bool, T* out) {
  if (cholesky(n, a, out)) return absl::OkStatus();
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < n; ++j) out[i * n + j] = T(j <= i ? std::numeric_limits<double>::quiet_NaN() : 0.0);
  }
  return absl::OkStatus();
}
template <class T> using MatrixInverse = SquareToSquare<T, invert_one<Wide<T>>>;
template <class T> using Cholesky = SquareToSquare<T, cholesky_one<Wide<T>>>;

template <class T> class CholeskyGrad final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const Matrices m, square_matrices(ctx.shape(0)));
    if (ctx.shape(0) != ctx.shape(1))
      return invalid_argument("Inputs must have the same shape, got ", ctx.shape(0), " and ", ctx.shape(1));
    MR_ASSIGN_OR_RETURN(const auto l, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const auto grad, ctx.flat<T>(1));
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<T>(0, ctx.shape(0)));
    WideInput<T> factor, given;
    WideOutput<T> to;
    for (int64_t i = 0; i < m.count && m.size > 0; ++i) {
      MR_RETURN_IF_ERROR(ctx.check_cancelled());
      cholesky_gradient(m.rows, factor.load(l, i * m.size, m.size), given.load(grad, i * m.size, m.size),
                        to.prepare(out, i * m.size, m.size));
      to.store();
    }
    return absl::OkStatus();
  }
};

absl::Status check_rows(const Matrices& a, const Matrices& b) {
  if (a.rows == b.rows) return absl::OkStatus();
  return invalid_argument("Input matrix and right-hand side must have the same number of rows, got ", a.rows, " and ",
                          b.rows);
}

absl::Status check_outer(const KernelContext& ctx, const Matrices& a, const Matrices& b) {
  if (a.outer == b.outer) return absl::OkStatus();
  return invalid_argument("All input tensors must have the same outer dimensions, got shapes ", ctx.shape(0), " and ",
                          ctx.shape(1));
}

template <class T> class MatrixSolve final : public Kernel {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(adjoint_, init.attr<bool>("adjoint"));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const Matrices a, square_matrices(ctx.shape(0)));
    MR_ASSIGN_OR_RETURN(const Matrices b, matrices_of(ctx.shape(1)));
    MR_RETURN_IF_ERROR(check_outer(ctx, a, b));
    MR_RETURN_IF_ERROR(check_rows(a, b));
    MR_ASSIGN_OR_RETURN(const auto matrix, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const auto rhs, ctx.flat<T>(1));
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<T>(0, ctx.shape(1)));
    WideInput<T> left, right;
    WideOutput<T> to;
    for (int64_t i = 0; i < a.count && !out.empty(); ++i) {
      MR_RETURN_IF_ERROR(ctx.check_cancelled());
      if (!solve(a.rows, b.columns, left.load(matrix, i * a.size, a.size), right.load(rhs, i * b.size, b.size),
                 adjoint_, to.prepare(out, i * b.size, b.size)))
        return invalid_argument("Input matrix is not invertible.");
      to.store();
    }
    return absl::OkStatus();
  }
  bool adjoint_ = false;
};

// Outer dimensions are broadcast.
template <class T> class MatrixTriangularSolve final : public Kernel {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(lower_, init.attr<bool>("lower"));
    MR_ASSIGN_OR_RETURN(adjoint_, init.attr<bool>("adjoint"));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const Matrices a, square_matrices(ctx.shape(0)));
    MR_ASSIGN_OR_RETURN(const Matrices b, matrices_of(ctx.shape(1)));
    MR_RETURN_IF_ERROR(check_rows(a, b));
    MR_ASSIGN_OR_RETURN(const TensorShape outer, broadcast(a.outer, b.outer));
    MR_ASSIGN_OR_RETURN(const TensorShape shape, batch_of(outer, {b.rows, b.columns}));
    MR_ASSIGN_OR_RETURN(const auto matrix, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const auto rhs, ctx.flat<T>(1));
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<T>(0, shape));
    WideInput<T> left, right;
    WideOutput<T> to;
    for (int64_t i = 0; i < outer.num_elements() && !out.empty(); ++i) {
      MR_RETURN_IF_ERROR(ctx.check_cancelled());
      triangular_solve(a.rows, b.columns, left.load(matrix, place(i, outer, a.outer) * a.size, a.size),
                       right.load(rhs, place(i, outer, b.outer) * b.size, b.size), lower_, adjoint_,
                       to.prepare(out, i * b.size, b.size));
      to.store();
    }
    return absl::OkStatus();
  }

  // Where element i of the broadcast shape stands in one of those it came from.
  static int64_t place(int64_t i, const TensorShape& all, const TensorShape& one) {
    int64_t at = 0, stride = 1;
    for (int d = all.rank() - 1, e = one.rank() - 1; d >= 0; --d, --e) {
      const int64_t index = i % all.dim(d);
      i /= all.dim(d);
      if (e < 0) continue;
      if (one.dim(e) != 1) at += index * stride;
      stride *= one.dim(e);
    }
    return at;
  }
  bool lower_ = true, adjoint_ = false;
};

template <class T> class MatrixSolveLs final : public Kernel {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(fast_, init.attr<bool>("fast"));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const Matrices a, matrices_of(ctx.shape(0)));
    MR_ASSIGN_OR_RETURN(const Matrices b, matrices_of(ctx.shape(1)));
    MR_RETURN_IF_ERROR(check_outer(ctx, a, b));
    MR_RETURN_IF_ERROR(check_rows(a, b));
    MR_ASSIGN_OR_RETURN(const double l2, ctx.scalar<double>(2));
    if (!(l2 >= 0)) return invalid_argument("l2_regularizer must be >= 0.");
    MR_ASSIGN_OR_RETURN(const TensorShape shape, batch_of(a.outer, {a.columns, b.columns}));
    MR_ASSIGN_OR_RETURN(const auto matrix, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const auto rhs, ctx.flat<T>(1));
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<T>(0, shape));
    WideInput<T> left, right;
    WideOutput<T> to;
    const int64_t size = a.columns * b.columns;
    for (int64_t i = 0; i < a.count && size > 0; ++i) {
      MR_RETURN_IF_ERROR(ctx.check_cancelled());
      if (!least_squares(a.rows, a.columns, b.columns, left.load(matrix, i * a.size, a.size),
                         right.load(rhs, i * b.size, b.size), l2, fast_, to.prepare(out, i * size, size)))
        return invalid_argument(
            "Input matrix was rank deficient or ill-conditioned. Try setting fast=False or provide a larger "
            "l2_regularizer > 0.");
      to.store();
    }
    return absl::OkStatus();
  }
  bool fast_ = true;
};

template <class T> class Qr final : public Kernel {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(full_, init.attr<bool>("full_matrices"));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const Matrices m, matrices_of(ctx.shape(0)));
    const int64_t columns = full_ ? m.rows : std::min(m.rows, m.columns);
    MR_ASSIGN_OR_RETURN(const TensorShape q_shape, batch_of(m.outer, {m.rows, columns}));
    MR_ASSIGN_OR_RETURN(const TensorShape r_shape, batch_of(m.outer, {columns, m.columns}));
    MR_ASSIGN_OR_RETURN(const auto a, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const auto q, ctx.output<T>(0, q_shape));
    MR_ASSIGN_OR_RETURN(const auto r, ctx.output<T>(1, r_shape));
    WideInput<T> from;
    WideOutput<T> to_q, to_r;
    const int64_t q_size = m.rows * columns, r_size = columns * m.columns;
    for (int64_t i = 0; i < m.count && q_size + r_size > 0; ++i) {
      MR_RETURN_IF_ERROR(ctx.check_cancelled());
      qr(m.rows, m.columns, from.load(a, i * m.size, m.size), full_, to_q.prepare(q, i * q_size, q_size),
         to_r.prepare(r, i * r_size, r_size));
      to_q.store();
      to_r.store();
    }
    return absl::OkStatus();
  }
  bool full_ = false;
};

template <class T, class P> class Lu final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const Matrices m, square_matrices(ctx.shape(0)));
    MR_ASSIGN_OR_RETURN(const TensorShape p_shape, batch_of(m.outer, {m.rows}));
    MR_ASSIGN_OR_RETURN(const auto a, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const auto packed, ctx.output<T>(0, ctx.shape(0)));
    MR_ASSIGN_OR_RETURN(const auto permutation, ctx.output<P>(1, p_shape));
    std::vector<int64_t> rows(static_cast<size_t>(m.size > 0 ? m.rows : 0));
    WideInput<T> from;
    WideOutput<T> to;
    for (int64_t i = 0; i < m.count && m.size > 0; ++i) {
      MR_RETURN_IF_ERROR(ctx.check_cancelled());
      if (!lu(m.rows, from.load(a, i * m.size, m.size), to.prepare(packed, i * m.size, m.size), rows.data()))
        return invalid_argument("Input is not invertible.");
      to.store();
      std::ranges::transform(rows, permutation.begin() + i * m.rows, [](int64_t r) { return static_cast<P>(r); });
    }
    return absl::OkStatus();
  }
};

// Sign and logarithm of the determinants, or, with one output, these themselves.
template <class T> class MatrixDeterminant final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const Matrices m, square_matrices(ctx.shape(0)));
    MR_ASSIGN_OR_RETURN(const auto a, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const auto first, ctx.output<T>(0, m.outer));
    std::span<T> second;
    if (ctx.num_outputs() > 1) {
      MR_ASSIGN_OR_RETURN(second, ctx.output<T>(1, m.outer));
    }
    WideInput<T> from;
    for (int64_t i = 0; i < m.count; ++i) {
      MR_RETURN_IF_ERROR(ctx.check_cancelled());
      Wide<T> sign, log;
      log_determinant(m.rows, from.load(a, i * m.size, m.size), &sign, &log);
      const auto at = static_cast<size_t>(i);
      first[at] = static_cast<T>(second.empty() ? sign * std::exp(log) : sign);
      if (!second.empty()) second[at] = static_cast<T>(log);
    }
    return absl::OkStatus();
  }
};

// Of vectors of three in the last dimension.
template <class T> class Cross final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    const TensorShape& shape = ctx.shape(0);
    if (shape != ctx.shape(1))
      return invalid_argument("Both inputs must be of same shape: ", shape, " vs. ", ctx.shape(1));
    if (shape.rank() < 1 || shape.dim(shape.rank() - 1) != 3)
      return failed_precondition("Cross-products are only defined for 3-element vectors, got shape ", shape);
    MR_ASSIGN_OR_RETURN(const auto a, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const auto b, ctx.flat<T>(1));
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<T>(0, shape));
    for (size_t at = 0; at < out.size(); at += 3) {
      for (size_t i = 0; i < 3; ++i) {
        const size_t j = at + (i + 1) % 3, k = at + (i + 2) % 3;
        out[at + i] = difference_of_products(a[j], b[k], a[k], b[j]);
      }
    }
    return absl::OkStatus();
  }
  static T difference_of_products(T a, T b, T c, T d) {
    if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
      return T(static_cast<float>(a) * static_cast<float>(b) - static_cast<float>(c) * static_cast<float>(d));
    } else if constexpr (std::is_integral_v<T>) {  // wrapping
      const auto wide = [](T x) { return static_cast<uint64_t>(x); };
      return static_cast<T>(wide(a) * wide(b) - wide(c) * wide(d));
    } else {
      return a * b - c * d;
    }
  }
};

absl::Status cross_gradient(GradientContext& g) {
  g.set_dx(0, g.op("Cross", {g.x(1), g.dy(0)}));
  g.set_dx(1, g.op("Cross", {g.dy(0), g.x(0)}));
  return absl::OkStatus();
}

// --- shapes

absl::Status cross_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape shape, merge(c.input(0), c.input(1)));
  if (shape.has_rank()) {
    if (shape.rank() < 1) return invalid_argument("Shape must be at least rank 1 but is rank 0");
    const int64_t last = shape.dim(shape.rank() - 1);
    // The class of TensorFlow's kernel, for runs are checked here too.
    if (last >= 0 && last != 3)
      return failed_precondition("Cross-products are only defined for 3-element vectors, got shape ", shape);
  }
  return c.set_output(0, shape);
}

absl::Status square_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const KnownMatrices m, known_matrices(c, 0, true));
  return c.set_output(0, joined(m.outer, {m.rows, m.columns}));
}

absl::Status both_square_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const KnownMatrices m, known_matrices(c, 0, true));
  MR_RETURN_IF_ERROR(known_matrices(c, 1, true).status());
  return c.set_output(0, joined(m.outer, {m.rows, m.columns}));
}

enum class Outer { kSame, kBroadcast };

absl::Status solve_shape_with(ShapeContext& c, Outer kind, bool square) {
  MR_ASSIGN_OR_RETURN(const KnownMatrices a, known_matrices(c, 0, square));
  MR_ASSIGN_OR_RETURN(const KnownMatrices b, known_matrices(c, 1, false));
  if (a.rows >= 0 && b.rows >= 0 && a.rows != b.rows)
    return invalid_argument("Dimensions must be equal, but are ", a.rows, " and ", b.rows);
  MR_ASSIGN_OR_RETURN(const PartialTensorShape outer,
                      kind == Outer::kBroadcast ? broadcast(a.outer, b.outer) : merge(a.outer, b.outer));
  return c.set_output(0, joined(outer, {square ? std::max(a.rows, b.rows) : a.columns, b.columns}));
}
absl::Status solve_shape(ShapeContext& c) { return solve_shape_with(c, Outer::kSame, true); }
absl::Status triangular_solve_shape(ShapeContext& c) { return solve_shape_with(c, Outer::kBroadcast, true); }
absl::Status least_squares_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(2, 0).status());
  return solve_shape_with(c, Outer::kSame, false);
}

absl::Status qr_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const bool full, c.attr<bool>("full_matrices"));
  MR_ASSIGN_OR_RETURN(const KnownMatrices m, known_matrices(c, 0, false));
  const int64_t p = full ? m.rows : m.smaller();
  MR_RETURN_IF_ERROR(c.set_output(0, joined(m.outer, {m.rows, p})));
  return c.set_output(1, joined(m.outer, {p, m.columns}));
}

absl::Status lu_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const KnownMatrices m, known_matrices(c, 0, true));
  MR_RETURN_IF_ERROR(c.set_output(0, joined(m.outer, {m.rows, m.columns})));
  return c.set_output(1, joined(m.outer, {m.rows}));
}

absl::Status determinant_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const KnownMatrices m, known_matrices(c, 0, true));
  for (int i = 0; i < c.num_outputs(); ++i) MR_RETURN_IF_ERROR(c.set_output(i, m.outer));
  return absl::OkStatus();
}

constexpr const char* kTypes = "T: {double, float, half, complex64, complex128}";
using Scalars = Types<float, double, Complex64, Complex128>;

void register_solvers(Registry& registry) {
  registry.op("Cross")
      .input("a: T")
      .input("b: T")
      .output("product: T")
      .attr("T: {float, double, int32, uint8, int16, int8, int64, bfloat16, uint16, half, uint32, uint64}")
      .shape(cross_shape)
      .cpu_for<Cross>(RealTypes())
      .gradient(cross_gradient)
      .doc("Cross products of vectors of three elements.");
  registry.op("MatrixInverse")
      .input("input: T")
      .output("output: T")
      .attr("adjoint: bool = false")
      .attr(kTypes)
      .shape(square_shape)
      .cpu_for<MatrixInverse>(Scalars())
      .cpu<MatrixInverse, Half>()
      .gradient(matrix_inverse_gradient)
      .doc("The inverse of square matrices, or of their adjoints.");
  registry.op("MatrixSolve")
      .input("matrix: T")
      .input("rhs: T")
      .output("output: T")
      .attr("adjoint: bool = false")
      .attr(kTypes)
      .shape(solve_shape)
      .cpu_for<MatrixSolve>(Scalars())
      .gradient(matrix_solve_gradient)
      .doc("Solves systems of linear equations.");
  registry.op("MatrixTriangularSolve")
      .input("matrix: T")
      .input("rhs: T")
      .output("output: T")
      .attr("lower: bool = true")
      .attr("adjoint: bool = false")
      .attr("T: {bfloat16, double, float, half, complex64, complex128}")
      .shape(triangular_solve_shape)
      .cpu_for<MatrixTriangularSolve>(Scalars())
      .gradient(matrix_triangular_solve_gradient)
      .doc("Solves systems whose matrices are triangles.");
  registry.op("MatrixSolveLs")
      .input("matrix: T")
      .input("rhs: T")
      .input("l2_regularizer: double")
      .output("output: T")
      .attr(kTypes)
      .attr("fast: bool = true")
      .shape(least_squares_shape)
      .cpu_for<MatrixSolveLs>(Scalars())
      .gradient(matrix_solve_ls_gradient)
      .doc("Solves least-squares problems.");
}

void register_decompositions(Registry& registry) {
  registry.op("Qr")
      .input("input: T")
      .output("q: T")
      .output("r: T")
      .attr("full_matrices: bool = false")
      .attr(kTypes)
      .shape(qr_shape)
      .cpu_for<Qr>(Scalars())
      .cpu<Qr, Half>()
      .gradient(qr_gradient)
      .doc("Matrices as an orthogonal one times an upper triangle.");
  registry.op("Cholesky")
      .input("input: T")
      .output("output: T")
      .attr(kTypes)
      .shape(square_shape)
      .cpu_for<Cholesky>(Scalars())
      .gradient(cholesky_rule)
      .doc("The lower triangle whose product with its adjoint is the input.");
  registry.op("CholeskyGrad")
      .input("l: T")
      .input("grad: T")
      .output("output: T")
      .attr("T: {half, float, double}")
      .shape(both_square_shape)
      .cpu<CholeskyGrad, float, double>()
      .doc("The gradient of Cholesky's input.");
  registry.op("Lu")
      .input("input: T")
      .output("lu: T")
      .output("p: output_idx_type")
      .attr(kTypes)
      .attr("output_idx_type: {int32, int64} = DT_INT32")
      .shape(lu_shape)
      .cpu_for<Lu>(Scalars(), "T", Types<int32_t, int64_t>(), "output_idx_type")
      .doc("The LU decomposition with exchanged rows.");
  registry.op("MatrixDeterminant")
      .input("input: T")
      .output("output: T")
      .attr(kTypes)
      .shape(determinant_shape)
      .cpu_for<MatrixDeterminant>(Scalars())
      .gradient(determinant_gradient)
      .doc("Determinants.");
  registry.op("LogMatrixDeterminant")
      .input("input: T")
      .output("sign: T")
      .output("log_abs_determinant: T")
      .attr(kTypes)
      .shape(determinant_shape)
      .cpu_for<MatrixDeterminant>(Scalars())
      .gradient(log_determinant_gradient)
      .doc("The sign, and the logarithm of the magnitude, of determinants.");
}

}  // namespace

void register_linear_algebra(Registry& registry) {
  register_solvers(registry);
  register_decompositions(registry);
}

}  // namespace millrace
