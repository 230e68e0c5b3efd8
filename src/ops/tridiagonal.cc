// Tridiagonal matrices, given by their diagonals: solving with them and multiplying by them.

#include <algorithm>
#include <cmath>
#include <complex>

#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/array_shapes.h"
#include "ops/gradient_algebra.h"
#include "ops/gradient_ops.h"

namespace millrace {
namespace {

template <class T> auto magnitude(const T& x) { return std::abs(x); }

// One system of n equations with k right-hand sides. Diagonals are [3, n]: above, on and below the main one; the last
// of those above and the first of those below are not looked at.
template <class T> struct System {
  std::span<const T> diagonals, rhs;
  int64_t n, k;
  T above(int64_t i) const { return i + 1 < n ? diagonals[static_cast<size_t>(i)] : T(0); }
  T main(int64_t i) const { return diagonals[static_cast<size_t>(n + i)]; }
  T below(int64_t i) const { return i > 0 ? diagonals[static_cast<size_t>(2 * n + i)] : T(0); }
};

// Without exchanging rows (Thomas).
template <class T> absl::Status solve_plainly(const System<T>& s, std::span<T> x) {
  constexpr const char* kFailed =
      "The matrix is either not invertible, or requires pivoting. Please try setting partial_pivoting = True.";
  std::vector<T> upper(static_cast<size_t>(s.n));
  for (int64_t i = 0; i < s.n; ++i) {
    const T previous = i > 0 ? upper[static_cast<size_t>(i - 1)] : T(0);
    const T pivot = s.main(i) - s.below(i) * previous;
    if (pivot == T(0)) return invalid_argument(kFailed);
    upper[static_cast<size_t>(i)] = s.above(i) / pivot;
    for (int64_t c = 0; c < s.k; ++c) {
      const auto at = static_cast<size_t>(i * s.k + c);
      const T before = i > 0 ? x[at - static_cast<size_t>(s.k)] : T(0);
      x[at] = (s.rhs[at] - s.below(i) * before) / pivot;
    }
  }
  for (int64_t i = s.n - 2; i >= 0; --i) {
    for (int64_t c = 0; c < s.k; ++c) {
      const auto at = static_cast<size_t>(i * s.k + c);
      x[at] -= upper[static_cast<size_t>(i)] * x[at + static_cast<size_t>(s.k)];
    }
  }
  return absl::OkStatus();
}

// Gaussian elimination; the greater of two rows is the pivot's. A pivot of zero ends in an error, or is taken as a very
// small number where `perturb` asks for it.
template <class T> absl::Status solve_with_pivots(const System<T>& s, bool perturb, std::span<T> x) {
  using Real = decltype(magnitude(T()));
  const auto n = static_cast<size_t>(s.n), k = static_cast<size_t>(s.k);
  std::vector<T> u0(n), u1(n), u2(n);  // the rows of the upper triangle: pivot and the two behind it
  Real largest = 0;
  for (const T& d : s.diagonals) largest = std::max(largest, magnitude(d));
  const auto checked = [&](T pivot) -> absl::StatusOr<T> {
    if (pivot != T(0)) return pivot;
    if (perturb) return T(std::numeric_limits<Real>::epsilon() * (largest > 0 ? largest : Real(1)));
    return invalid_argument("The matrix is not invertible.");
  };
  std::ranges::copy(s.rhs, x.begin());
  u0[0] = s.main(0);
  u1[0] = s.above(0);
  for (size_t i = 0; i + 1 < n; ++i) {
    const auto next = static_cast<int64_t>(i + 1);
    const T below = s.below(next), main = s.main(next), above = s.above(next);
    if (magnitude(u0[i]) >= magnitude(below)) {
      MR_ASSIGN_OR_RETURN(u0[i], checked(u0[i]));
      const T factor = below / u0[i];
      u0[i + 1] = main - factor * u1[i];
      u1[i + 1] = above;
      u2[i] = T(0);
      for (size_t c = 0; c < k; ++c) x[(i + 1) * k + c] -= factor * x[i * k + c];
    } else {
      const T factor = u0[i] / below;
      u0[i] = below;
      u0[i + 1] = u1[i] - factor * main;
      u1[i] = main;
      u2[i] = above;
      u1[i + 1] = -factor * above;
      for (size_t c = 0; c < k; ++c) {
        const T upper = x[i * k + c], lower = x[(i + 1) * k + c];
        x[i * k + c] = lower;
        x[(i + 1) * k + c] = upper - factor * lower;
      }
    }
  }
  MR_ASSIGN_OR_RETURN(u0[n - 1], checked(u0[n - 1]));
  for (size_t i = n; i-- > 0;) {
    for (size_t c = 0; c < k; ++c) {
      T value = x[i * k + c];
      if (i + 1 < n) value -= u1[i] * x[(i + 1) * k + c];
      if (i + 2 < n) value -= u2[i] * x[(i + 2) * k + c];
      x[i * k + c] = value / u0[i];
    }
  }
  return absl::OkStatus();
}

absl::Status check_batch(const TensorShape& a, const TensorShape& b) {
  bool same = a.rank() == b.rank() && a.rank() >= 2;
  for (int d = 0; same && d < a.rank() - 2; ++d) same = a.dim(d) == b.dim(d);
  return same ? absl::OkStatus()
              : invalid_argument("Expected the same outer dimensions and rank of at least 2, got shapes ", a, " and ",
                                 b);
}

template <class T> class TridiagonalSolve final : public Kernel {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(pivoting_, init.attr<bool>("partial_pivoting"));
    MR_ASSIGN_OR_RETURN(perturb_, init.attr<bool>("perturb_singular"));
    if (perturb_ && !pivoting_) return invalid_argument("Setting perturb_singular requires pivoting.");
    return absl::OkStatus();
  }

  absl::Status compute(KernelContext& ctx) override {
    const TensorShape &diagonals = ctx.shape(0), &rhs = ctx.shape(1);
    MR_RETURN_IF_ERROR(check_batch(diagonals, rhs));
    const int rank = rhs.rank();
    if (diagonals.dim(rank - 2) != 3)
      return invalid_argument("Expected diagonals to have 3 rows, got ", diagonals.dim(rank - 2), ".");
    const int64_t n = rhs.dim(rank - 2), k = rhs.dim(rank - 1);
    if (diagonals.dim(rank - 1) != n)
      return invalid_argument("Expected right-hand side to have same number of rows as columns in diagonals, got ",
                              diagonals.dim(rank - 1), " and ", n, ".");
    MR_ASSIGN_OR_RETURN(const auto d, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const auto b, ctx.flat<T>(1));
    MR_ASSIGN_OR_RETURN(const auto x, ctx.output<T>(0, rhs));
    const auto size = static_cast<size_t>(n * k);
    for (size_t at = 0, i = 0; at < x.size(); at += size, ++i) {
      const System<T> system{d.subspan(i * static_cast<size_t>(3 * n), static_cast<size_t>(3 * n)), b.subspan(at, size),
                             n, k};
      if (n == 1 && !perturb_ && system.main(0) == T(0))
        return invalid_argument("The matrix is not invertible: it is a scalar with value zero.");
      MR_RETURN_IF_ERROR(pivoting_ ? solve_with_pivots(system, perturb_, x.subspan(at, size))
                                   : solve_plainly(system, x.subspan(at, size)));
    }
    return absl::OkStatus();
  }

  bool pivoting_ = true, perturb_ = false;
};

template <class T> class TridiagonalMatMul final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    const TensorShape& rhs = ctx.shape(3);
    const int rank = rhs.rank();
    if (rank < 2) return invalid_argument("Input must have rank >= 2, but got ", rank);
    const int64_t n = rhs.dim(rank - 2), k = rhs.dim(rank - 1);
    for (int i = 0; i < 3; ++i) {
      MR_RETURN_IF_ERROR(check_batch(ctx.shape(i), rhs));
      if (ctx.shape(i).dim(rank - 2) != 1)
        return invalid_argument("Matrix must be of size [1, n], got shape ", ctx.shape(i));
      if (ctx.shape(i).dim(rank - 1) != n)
        return invalid_argument("Expected diagonals of length ", n, ", got shape ", ctx.shape(i));
    }
    MR_ASSIGN_OR_RETURN(const auto above, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const auto main, ctx.flat<T>(1));
    MR_ASSIGN_OR_RETURN(const auto below, ctx.flat<T>(2));
    MR_ASSIGN_OR_RETURN(const auto x, ctx.flat<T>(3));
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<T>(0, rhs));
    const auto width = static_cast<size_t>(k);
    size_t row = 0;  // over all matrices
    for (size_t at = 0; at < out.size(); at += width, ++row) {
      const auto i = static_cast<int64_t>(row) % n;
      for (size_t c = at; c < at + width; ++c) {
        T sum = main[row] * x[c];
        if (i + 1 < n) sum += above[row] * x[c + width];
        if (i > 0) sum += below[row] * x[c - width];
        out[c] = sum;
      }
    }
    return absl::OkStatus();
  }
};

absl::Status solve_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape diagonals, c.with_rank_at_least(0, 2));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape rhs, c.with_rank_at_least(1, 2));
  return c.set_output(0, rhs);
}

absl::Status matmul_shape(ShapeContext& c) {
  for (int i = 0; i < 4; ++i) MR_RETURN_IF_ERROR(c.with_rank_at_least(i, 2).status());
  return c.set_output(0, c.input(3));
}

// --- gradients. Rows of matrices moved up or down by one, zeros in the place that is free.

Output moved_up(GradientAlgebra& m, const Output& x) {
  return m.pad_last(m.slice_last(x, {{.begin = 1}, {}}), {{0, 1}, {0, 0}});
}
Output moved_down(GradientAlgebra& m, const Output& x) {
  return m.pad_last(m.slice_last(x, {{.end = -1, .to_end = false}, {}}), {{1, 0}, {0, 0}});
}

// The sums along the rows of a * b, as a row.
Output row_products(GradientAlgebra& m, const Output& a, const Output& b) {
  return m.expand(m.sum(m.mul(a, b), -1), -2);
}

// Solves the adjoint system.
absl::Status solve_gradient(GradientContext& g) {
  GradientAlgebra m(g);
  MR_ASSIGN_OR_RETURN(const bool pivoting, g.attr<bool>("partial_pivoting"));
  MR_ASSIGN_OR_RETURN(const bool perturb, g.attr<bool>("perturb_singular"));
  const Output diagonals = m.conj(g.x(0)), x = m.conj(g.y(0));
  const auto diagonal = [&](int32_t i, GradientAlgebra::Range part) {
    return m.slice_last(diagonals, {{.begin = i, .end = i + 1, .to_end = false}, part});
  };
  const Output above = m.pad_last(diagonal(2, {.begin = 1}), {{0, 0}, {0, 1}});
  const Output below = m.pad_last(diagonal(0, {.end = -1, .to_end = false}), {{0, 0}, {1, 0}});
  const Output transposed = concat(g, {above, diagonal(1, {}), below}, -2);
  const Output d_rhs =
      g.op("TridiagonalSolve", {transposed, g.dy(0)}, {{"partial_pivoting", pivoting}, {"perturb_singular", perturb}});
  const Output products = concat(
      g, {row_products(m, d_rhs, moved_up(m, x)), row_products(m, d_rhs, x), row_products(m, d_rhs, moved_down(m, x))},
      -2);
  g.set_dx(0, m.neg(products));
  g.set_dx(1, d_rhs);
  return absl::OkStatus();
}

absl::Status matmul_gradient(GradientContext& g) {
  GradientAlgebra m(g);
  const Output dy = g.dy(0), x = m.conj(g.x(3));
  g.set_dx(0, row_products(m, dy, moved_up(m, x)));
  g.set_dx(1, row_products(m, dy, x));
  g.set_dx(2, row_products(m, dy, moved_down(m, x)));
  const auto scaled = [&](int i) { return m.mul(m.adjoint(g.x(i)), dy); };
  g.set_dx(3, m.add(m.add(moved_down(m, scaled(0)), scaled(1)), moved_up(m, scaled(2))));
  return absl::OkStatus();
}

}  // namespace

void register_tridiagonal(Registry& registry) {
  registry.op("TridiagonalSolve")
      .input("diagonals: T")
      .input("rhs: T")
      .output("output: T")
      .attr("partial_pivoting: bool = true")
      .attr("perturb_singular: bool = false")
      .attr("T: {double, float, complex64, complex128}")
      .shape(solve_shape)
      .cpu_for<TridiagonalSolve>(Types<double, float, Complex64, Complex128>())
      .gradient(solve_gradient)
      .doc("Solves tridiagonal systems of equations.");
  registry.op("TridiagonalMatMul")
      .input("superdiag: T")
      .input("maindiag: T")
      .input("subdiag: T")
      .input("rhs: T")
      .output("output: T")
      .attr("T: {double, float, complex64, complex128}")
      .shape(matmul_shape)
      .cpu_for<TridiagonalMatMul>(Types<double, float, Complex64, Complex128>())
      .gradient(matmul_gradient)
      .doc("Tridiagonal matrices times dense ones.");
}

}  // namespace millrace
