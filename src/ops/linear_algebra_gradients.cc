#include "ops/linear_algebra_gradients.h"

#include <algorithm>
#include <cstdlib>

#include "ops/gradient_algebra.h"
#include "ops/gradient_ops.h"

namespace millrace {
namespace {

using A = GradientAlgebra::Adjoint;

// The last two dimensions (-1: unknown).
struct Sizes {
  int64_t rows = -1, columns = -1;
  bool known() const { return rows >= 0 && columns >= 0; }
};
Sizes sizes_of(const GradientContext& g, const Output& x) {
  const PartialTensorShape shape = g.shape(x);
  if (!shape.has_rank() || shape.rank() < 2) return {};
  return {shape.dim(shape.rank() - 2), shape.dim(shape.rank() - 1)};
}

// -c d^H for a solution c of the system and the gradient d of its right-hand side, or the adjoint's.
Output minus_outer(GradientAlgebra& m, const Output& c, const Output& d, bool adjoint) {
  return m.neg(adjoint ? m.matmul(c, d, A::kB) : m.matmul(d, c, A::kB));
}

// x / (x^2 + tiny): no infinity where values are equal.
Output safe_reciprocal(GradientContext& g, GradientAlgebra& m, const Output& x) {
  const Output tiny = m.scalar(g.dtype(x), 1e-20);
  return m.mul(x, g.op("Reciprocal", {m.add(m.mul(x, x), tiny)}));
}

// 1 / (x_j - x_i) off the diagonal, zeros on it.
Output reciprocal_differences(GradientContext& g, GradientAlgebra& m, const Output& x) {
  const Output differences = m.sub(m.expand(x, -2), m.expand(x, -1));
  return m.with_diag(safe_reciprocal(g, m, differences), g.op("ZerosLike", {x}, {}, "zeros_like"));
}

Output dy_or_zeros(GradientContext& g, int i) {
  const Output dy = g.dy(i);
  return dy ? dy : g.op("ZerosLike", {g.y(i)}, {}, "zeros_like");
}

}  // namespace

// d inverse = -inverse^H dy inverse^H
absl::Status matrix_inverse_gradient(GradientContext& g) {
  GradientAlgebra m(g);
  MR_ASSIGN_OR_RETURN(const bool adjoint, g.attr<bool>("adjoint"));
  const Output inverse = g.y(0);
  const Output right = m.matmul(g.dy(0), inverse, adjoint, !adjoint);
  g.set_dx(0, m.neg(m.matmul(inverse, right, !adjoint, false)));
  return absl::OkStatus();
}

// db solves the adjoint system for dy; da = -db x^H
absl::Status matrix_solve_gradient(GradientContext& g) {
  GradientAlgebra m(g);
  MR_ASSIGN_OR_RETURN(const bool adjoint, g.attr<bool>("adjoint"));
  const Output db = g.op("MatrixSolve", {g.x(0), g.dy(0)}, {{"adjoint", !adjoint}});
  g.set_dx(0, minus_outer(m, g.y(0), db, adjoint));
  g.set_dx(1, db);
  return absl::OkStatus();
}

absl::Status matrix_triangular_solve_gradient(GradientContext& g) {
  GradientAlgebra m(g);
  MR_ASSIGN_OR_RETURN(const bool adjoint, g.attr<bool>("adjoint"));
  MR_ASSIGN_OR_RETURN(const bool lower, g.attr<bool>("lower"));
  Output db = g.op("MatrixTriangularSolve", {g.x(0), g.dy(0)}, {{"lower", lower}, {"adjoint", !adjoint}});
  const Output whole = minus_outer(m, g.y(0), db, adjoint);
  Output da = lower ? m.lower(whole) : m.upper(whole);
  m.unbroadcast_batches(g.x(0), g.x(1), da, db);
  g.set_dx(0, da);
  g.set_dx(1, db);
  return absl::OkStatus();
}

namespace {

// The Cholesky factor of a^H a + l2, or of a a^H + l2 for a wide matrix.
Output regularized_gramian_factor(GradientContext& g, GradientAlgebra& m, const Output& a, const Output& l2,
                                  bool tall) {
  const Output gramian = tall ? m.matmul(a, a, A::kA) : m.matmul(a, a, A::kB);
  const Output one = m.identity_like(gramian);
  return g.op("Cholesky", {m.add(gramian, m.mul(m.cast(l2, g.dtype(a)), one))});
}

Output solve_factored(GradientContext& g, const Output& factor, const Output& b) {
  const Output half = g.op("MatrixTriangularSolve", {factor, b}, {{"lower", true}, {"adjoint", false}});
  return g.op("MatrixTriangularSolve", {factor, half}, {{"lower", true}, {"adjoint", true}});
}

}  // namespace

// Of the normal equations: x = (a^H a + l2)^-1 a^H b, or a^H (a a^H + l2)^-1 b.
absl::Status matrix_solve_ls_gradient(GradientContext& g) {
  GradientAlgebra m(g);
  MR_ASSIGN_OR_RETURN(const bool fast, g.attr<bool>("fast"));
  if (!fast) return unimplemented("Gradient not defined for fast=False");
  const Output a = g.x(0), b = g.x(1), x = g.y(0), dy = g.dy(0);
  const Sizes sizes = sizes_of(g, a);
  if (!sizes.known()) return unimplemented("The gradient of MatrixSolveLs needs the static shape of its matrix");
  const bool tall = sizes.rows >= sizes.columns;
  const Output factor = regularized_gramian_factor(g, m, a, g.x(2), tall);
  if (tall) {
    const Output z = solve_factored(g, factor, dy);
    const Output xz = m.matmul(x, z, A::kB);
    g.set_dx(0, m.sub(m.matmul(b, z, A::kB), m.matmul(a, m.add(xz, m.adjoint(xz)))));
    g.set_dx(1, m.matmul(a, z));
    return absl::OkStatus();
  }
  const Output db = solve_factored(g, factor, m.matmul(a, dy));
  const Output z = solve_factored(g, factor, b);
  const Output rest = m.sub(dy, m.matmul(a, db, A::kA));
  g.set_dx(0, m.sub(m.matmul(z, rest, A::kB), m.matmul(db, m.matmul(z, a, A::kA))));
  g.set_dx(1, db);
  return absl::OkStatus();
}

// With P(m) the lower triangle of m and half its diagonal: l^-H P(l^H dl) l^-1, made Hermitian.
absl::Status cholesky_rule(GradientContext& g) {
  GradientAlgebra m(g);
  const Output l = g.y(0), inverse = g.op("MatrixTriangularSolve", {l, m.identity_like(l)}, {{"lower", true}});
  Output middle = m.matmul(l, g.dy(0), A::kA);
  middle = m.lower(m.with_diag(middle, m.scaled(m.diag_part(middle), 0.5)));
  const Output whole = m.matmul(m.matmul(inverse, middle, A::kA), inverse);
  g.set_dx(0, m.scaled(m.add(whole, m.adjoint(whole)), 0.5));
  return absl::OkStatus();
}

namespace {

// x r^-H for an upper triangle r
Output times_inverse_adjoint(GradientContext& g, GradientAlgebra& m, const Output& x, const Output& r) {
  return m.adjoint(g.op("MatrixTriangularSolve", {r, m.adjoint(x)}, {{"lower", false}, {"adjoint", false}}));
}

// Of a matrix with no fewer rows than columns (https://arxiv.org/abs/2009.10071).
Output qr_of_tall_gradient(GradientContext& g, GradientAlgebra& m, const Output& q, const Output& r, const Output& dq,
                           const Output& dr) {
  const Output qdq = m.matmul(q, dq, A::kA), rdr = m.matmul(r, dr, A::kB);
  const Output triangle = m.lower(m.add(m.sub(qdq, m.adjoint(qdq)), m.sub(rdr, m.adjoint(rdr))));
  const Output first = m.matmul(q, m.add(dr, times_inverse_adjoint(g, m, triangle, r)));
  const Output second = times_inverse_adjoint(g, m, m.sub(dq, m.matmul(q, qdq)), r);
  const Output sum = m.add(first, second);
  if (!is_complex(g.dtype(q))) return sum;
  // The diagonal of r is real: what is imaginary there does not count.
  const Output diagonal = m.diag(m.diag_part(m.sub(rdr, m.adjoint(qdq))));
  const DataType real = g.dtype(q) == DataType::kComplex64 ? DataType::kFloat : DataType::kDouble;
  const Output imaginary = m.sub(diagonal, m.cast(g.op("Real", {diagonal}, {{"Tout", real}}), g.dtype(q)));
  return m.add(sum, times_inverse_adjoint(g, m, m.matmul(q, m.adjoint(imaginary)), r));
}

}  // namespace

absl::Status qr_gradient(GradientContext& g) {
  GradientAlgebra m(g);
  const Output q = g.y(0), r = g.y(1), dq = dy_or_zeros(g, 0), dr = dy_or_zeros(g, 1);
  const Sizes rs = sizes_of(g, r), qs = sizes_of(g, q);
  if (!rs.known() || qs.rows < 0)
    return unimplemented("QrGrad not implemented with dynamic shapes. Received r.shape: ", g.shape(r));
  if (rs.rows > rs.columns)
    return unimplemented("QrGrad not implemented when nrows > ncols and full_matrices is true. Received r.shape=",
                         g.shape(r));
  if (qs.rows >= rs.columns) {
    g.set_dx(0, qr_of_tall_gradient(g, m, q, r, dq, dr));
    return absl::OkStatus();
  }
  // A wide matrix is a square one [x y] beside what follows from it, r = [u v].
  const auto square = static_cast<int32_t>(qs.rows);
  const auto left = [&](const Output& x) { return m.slice_last(x, {{}, {.end = square, .to_end = false}}); };
  const auto right = [&](const Output& x) { return m.slice_last(x, {{}, {.begin = square}}); };
  const Output y = right(g.x(0)), u = left(r), du = left(dr), dv = right(dr);
  const Output dx = qr_of_tall_gradient(g, m, q, u, m.add(dq, m.matmul(y, dv, A::kB)), du);
  g.set_dx(0, concat(g, {dx, m.matmul(q, dv)}, -1));
  return absl::OkStatus();
}

namespace {

// a^-H times a number for each matrix
Output scaled_inverse(GradientContext& g, GradientAlgebra& m, const Output& factors) {
  const Output inverse = g.op("MatrixInverse", {g.x(0)}, {{"adjoint", true}});
  return m.mul(m.expand(m.expand(factors, -1), -1), inverse);
}

}  // namespace

absl::Status determinant_gradient(GradientContext& g) {
  GradientAlgebra m(g);
  g.set_dx(0, scaled_inverse(g, m, m.mul(g.dy(0), m.conj(g.y(0)))));
  return absl::OkStatus();
}

absl::Status log_determinant_gradient(GradientContext& g) {
  GradientAlgebra m(g);
  if (g.has_dy(1)) g.set_dx(0, scaled_inverse(g, m, g.dy(1)));
  return absl::OkStatus();
}

absl::Status self_adjoint_eigen_gradient(GradientContext& g) {
  GradientAlgebra m(g);
  MR_ASSIGN_OR_RETURN(const bool compute_v, g.attr<bool>("compute_v"));
  Output v = g.y(1), middle = m.diag(dy_or_zeros(g, 0));
  if (compute_v) {
    const Output f = reciprocal_differences(g, m, g.y(0));
    middle = m.add(middle, m.mul(f, m.matmul(v, dy_or_zeros(g, 1), A::kA)));
  } else {
    const std::vector<Output> whole = g.op_outputs("SelfAdjointEigV2", {g.x(0)}, {{"compute_v", true}});
    if (whole.size() != 2) return absl::OkStatus();  // the context keeps the error
    v = whole[1];
  }
  const Output da = m.matmul(v, m.matmul(middle, v, A::kB));
  // Only the lower triangle is read: it gets what the upper one would have.
  const Output triangle = m.lower(m.add(da, m.adjoint(da)));
  g.set_dx(0, m.with_diag(triangle, m.scaled(m.diag_part(triangle), 0.5)));
  return absl::OkStatus();
}

namespace {

struct SvdParts {
  Output s, u, v, ds, du, dv;  // s and ds as matrices' element type
  int64_t m, n;                // m <= n
  bool full;
};

// For a matrix that is not higher than wide (Giles 2008; https://j-towns.github.io/papers/svd-derivative.pdf; for
// complex ones https://giggleliu.github.io/2019/04/02/einsumbp.html).
Output svd_of_wide_gradient(GradientContext& g, GradientAlgebra& m, const SvdParts& p) {
  const auto rows = static_cast<int32_t>(p.m);
  const GradientAlgebra::Range first{.end = rows, .to_end = false}, rest{.begin = rows};
  const Output v1 = p.n > p.m ? m.slice_last(p.v, {{}, first}) : p.v;
  const Output dv1 = p.n > p.m ? m.slice_last(p.dv, {{}, first}) : p.dv;
  const Output s = m.diag(p.s), f = reciprocal_differences(g, m, m.mul(p.s, p.s));
  const Output s_inverse = m.diag(safe_reciprocal(g, m, p.s));
  const Output v_dv = m.matmul(v1, dv1, A::kA);
  const Output fu = m.mul(f, m.matmul(p.u, p.du, A::kA)), fv = m.mul(f, v_dv);
  const Output middle =
      m.add(m.add(m.diag(p.ds), m.matmul(m.add(fu, m.adjoint(fu)), s)), m.matmul(s, m.add(fv, m.adjoint(fv))));
  Output da = m.matmul(p.u, m.matmul(middle, v1, A::kB));
  if (p.n > p.m) {
    const Output dv1_adjoint = m.adjoint(dv1);
    Output outside = m.sub(dv1_adjoint, m.matmul(m.matmul(dv1_adjoint, v1), v1, A::kB));
    if (p.full) {
      const Output v2 = m.slice_last(p.v, {{}, rest}), dv2 = m.slice_last(p.dv, {{}, rest});
      outside = m.sub(outside, m.matmul(m.matmul(v1, dv2, A::kA), v2, A::kB));
    }
    da = m.add(da, m.matmul(m.matmul(p.u, s_inverse), outside));
  }
  if (is_complex(g.dtype(p.u))) {
    const Output diagonal = m.diag(m.diag_part(v_dv));
    const Output turn = m.matmul(s_inverse, m.sub(m.adjoint(diagonal), diagonal));
    da = m.add(da, m.scaled(m.matmul(p.u, m.matmul(turn, v1, A::kB)), 0.5));
  }
  return da;
}

}  // namespace

absl::Status svd_gradient(GradientContext& g) {
  GradientAlgebra m(g);
  MR_ASSIGN_OR_RETURN(const bool compute_uv, g.attr<bool>("compute_uv"));
  MR_ASSIGN_OR_RETURN(const bool full, g.attr<bool>("full_matrices"));
  const Output ds = dy_or_zeros(g, 0);
  if (!compute_uv) {
    const std::vector<Output> whole = g.op_outputs("Svd", {g.x(0)}, {{"compute_uv", true}});
    if (whole.size() == 3) g.set_dx(0, m.matmul(whole[1], m.matmul(m.diag(ds), whole[2], A::kB)));
    return absl::OkStatus();
  }
  const Sizes sizes = sizes_of(g, g.x(0));
  if (!sizes.known())
    return unimplemented("SVD gradient has not been implemented for input with unknown inner matrix shape.");
  if (full && std::abs(sizes.rows - sizes.columns) > 1)
    return unimplemented("svd gradient is not implemented for abs(m - n) > 1 when full_matrices is True.");
  const Output s = g.y(0), u = g.y(1), v = g.y(2), du = dy_or_zeros(g, 1), dv = dy_or_zeros(g, 2);
  if (sizes.rows <= sizes.columns) {
    g.set_dx(0, svd_of_wide_gradient(g, m, {s, u, v, ds, du, dv, sizes.rows, sizes.columns, full}));
  } else {  // the adjoint is a wide one
    g.set_dx(0, m.adjoint(svd_of_wide_gradient(g, m, {s, v, u, ds, dv, du, sizes.columns, sizes.rows, full})));
  }
  return absl::OkStatus();
}

// r r = a, so dr solves r^H da + da r^H = dr: a linear system of n^2 unknowns, (r^H x 1 + 1 x conj(r)) vec(da) =
// vec(dr).
absl::Status matrix_square_root_gradient(GradientContext& g) {
  GradientAlgebra m(g);
  const Output r = g.y(0), one = m.identity_like(r), shape = m.shape(r);
  const Output batch = slice_vector(g, shape, {.has_begin = false, .end = -2});
  const Output n = slice_vector(g, shape, {.has_end = false, .begin = -1}), n2 = m.mul(n, n);
  const auto kronecker = [&](const Output& a, const Output& b) {
    const Output spread_a = m.expand(m.expand(a, -2), -1);  // [i, 1, j, 1]
    const Output spread_b = m.expand(m.expand(b, -3), -2);  // [1, k, 1, l]
    return g.op("Reshape", {m.mul(spread_a, spread_b), concat(g, {batch, n2, n2}, 0)});
  };
  const Output system = m.add(kronecker(m.adjoint(r), one), kronecker(one, m.conj(r)));
  const Output flat = g.op("Reshape", {g.dy(0), concat(g, {batch, n2, int_list(g, {1})}, 0)});
  g.set_dx(0, g.op("Reshape", {g.op("MatrixSolve", {system, flat}), shape}));
  return absl::OkStatus();
}

}  // namespace millrace
