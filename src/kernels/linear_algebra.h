#pragma once
// Decompositions of dense matrices and what is computed from them: plain loops over rows, in double precision whatever
// the caller's type is, as results are then good to its last digit and one instance serves all types. T is double or
// Complex128. Matrices are row-major. Functions that return false found the matrix singular (or not positive definite);
// outputs are then not of use. No library: Eigen's decompositions take minutes to compile, LAPACK brings threads.

#include <complex>
#include <cstdint>
#include <vector>

#include "millrace/types.h"

namespace millrace {

// --- linear_algebra.cc

// op(a) x = b for a (n x n), b and x (n x k); op is the conjugate transpose if `adjoint`.
template <class T> bool solve(int64_t n, int64_t k, const T* a, const T* b, bool adjoint, T* x);
// The same for a triangle of a, the lower or the upper one. A zero on its diagonal divides.
template <class T> void triangular_solve(int64_t n, int64_t k, const T* a, const T* b, bool lower, bool adjoint, T* x);
template <class T> bool invert(int64_t n, const T* a, bool adjoint, T* out);
// The x (n x k) for which |a x - b|^2 + l2 |x|^2 is smallest, or, where a (m x n) has fewer rows than columns, the
// smallest x with a x = b. `fast` solves the normal equations; else l2 is not looked at and a may be of any rank.
template <class T>
bool least_squares(int64_t m, int64_t n, int64_t k, const T* a, const T* b, double l2, bool fast, T* x);

// a (m x n) = q r. With p = min(m, n): q is m x p and r p x n; with `full`, m x m and m x n.
template <class T> void qr(int64_t m, int64_t n, const T* a, bool full, T* q, T* r);
// a = l l^H; only the lower triangle of a is read, the upper one of l is zero.
template <class T> bool cholesky(int64_t n, const T* a, T* l);
// What the gradient `grad` of l is for a; a symmetric matrix.
void cholesky_gradient(int64_t n, const double* l, const double* grad, double* out);
// Rows of a in the order of `permutation` are l u, both in one matrix; the diagonal of l is one.
template <class T> bool lu(int64_t n, const T* a, T* packed, int64_t* permutation);
// The determinant is sign * exp(log); a singular matrix has sign 0 and log -inf.
template <class T> void log_determinant(int64_t n, const T* a, T* sign, T* log);

// --- spectral.cc. Of a matrix that holds infinities or NaN everything is NaN.

// a v = v diag(e), e ascending, for a Hermitian a, whose lower triangle is read.
template <class T> void self_adjoint_eigen(int64_t n, const T* a, T* e, T* v);
// a (m x n) = u diag(s) v^H, s descending, p = min(m, n) of them: u is m x p and v n x p; with `full`, m x m and n x n.
template <class T> void singular_values(int64_t m, int64_t n, const T* a, bool full, T* s, T* u, T* v);
// The principal square root and logarithm; NaN where there is none.
void matrix_square_root(int64_t n, const Complex128* a, Complex128* out);
void matrix_logarithm(int64_t n, const Complex128* a, Complex128* out);

}  // namespace millrace
