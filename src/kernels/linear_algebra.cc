#include "kernels/linear_algebra.h"

#include <numeric>

#include "kernels/matrix_rows.h"

namespace millrace {
namespace {

// Gaussian elimination with exchanged rows, in place. rows[i] is the row of the input that became row i; `even` is
// whether the number of exchanges was. False, and half done, at a column without a pivot.
template <class T> bool eliminate(int64_t n, T* a, int64_t* rows, bool* even) {
  std::iota(rows, rows + n, int64_t{0});
  *even = true;
  for (int64_t k = 0; k < n; ++k) {
    int64_t best = k;
    double largest = std::abs(a[k * n + k]);
    for (int64_t i = k + 1; i < n; ++i) {
      const double size = std::abs(a[i * n + k]);
      if (size > largest) largest = size, best = i;
    }
    if (!(largest > 0)) return false;
    if (best != k) {
      std::swap_ranges(row(a, n, k), row(a, n, k + 1), row(a, n, best));
      std::swap(rows[k], rows[best]);
      *even = !*even;
    }
    for (int64_t i = k + 1; i < n; ++i) {
      T& factor = a[i * n + k];
      if (factor == T(0)) continue;
      factor /= a[k * n + k];
      subtract_row(n - k - 1, factor, row(a, n, k) + k + 1, row(a, n, i) + k + 1);
    }
  }
  return true;
}

// In place, for a triangle without zeros on its diagonal unless that is taken as one.
template <class T> void solve_triangle(int64_t n, int64_t k, const T* a, bool lower, bool adjoint, bool unit, T* x) {
  const auto element = [&](int64_t i, int64_t j) { return adjoint ? conjugate(a[j * n + i]) : a[i * n + j]; };
  const bool downwards = lower != adjoint;
  for (int64_t step = 0; step < n; ++step) {
    const int64_t i = downwards ? step : n - 1 - step;
    const int64_t begin = downwards ? 0 : i + 1, end = downwards ? i : n;
    for (int64_t j = begin; j < end; ++j) subtract_row(k, element(i, j), row(x, k, j), row(x, k, i));
    if (unit) continue;
    const T pivot = element(i, i);
    for (int64_t c = 0; c < k; ++c) x[i * k + c] /= pivot;
  }
}

}  // namespace

template <class T> bool solve(int64_t n, int64_t k, const T* a, const T* b, bool adjoint, T* x) {
  std::vector<T> work(static_cast<size_t>(n * n));
  if (adjoint) adjoint_of(n, n, a, work.data());
  else std::copy(a, a + n * n, work.begin());
  std::vector<int64_t> rows(static_cast<size_t>(n));
  bool even;
  if (!eliminate(n, work.data(), rows.data(), &even)) return false;
  for (int64_t i = 0; i < n; ++i) {
    const T* from = row(b, k, rows[static_cast<size_t>(i)]);
    std::copy(from, from + k, row(x, k, i));
  }
  solve_triangle(n, k, work.data(), true, false, true, x);
  solve_triangle(n, k, work.data(), false, false, false, x);
  return true;
}

template <class T> void triangular_solve(int64_t n, int64_t k, const T* a, const T* b, bool lower, bool adjoint, T* x) {
  std::copy(b, b + n * k, x);
  solve_triangle(n, k, a, lower, adjoint, false, x);
}

template <class T> bool invert(int64_t n, const T* a, bool adjoint, T* out) {
  std::vector<T> one(static_cast<size_t>(n * n));
  set_identity(n, n, one.data());
  return solve(n, n, a, one.data(), adjoint, out);
}

template <class T> void qr(int64_t m, int64_t n, const T* a, bool full, T* q, T* r) {
  const int64_t p = std::min(m, n), columns = full ? m : p;
  std::vector<T> work(a, a + m * n), taus(static_cast<size_t>(p)), sums(static_cast<size_t>(std::max(n, columns)));
  // (I - tau v v^H) on columns [from, width) of `to`, below row k; v stands in column k of `work`.
  const auto reflect = [&](int64_t k, T tau, int64_t from, int64_t width, T* to) {
    const int64_t count = width - from;
    std::fill(sums.begin(), sums.end(), T(0));
    for (int64_t i = k; i < m; ++i)
      subtract_row(count, i == k ? T(-1) : -conjugate(work[static_cast<size_t>(i * n + k)]), row(to, width, i) + from,
                   sums.data());
    for (int64_t i = k; i < m; ++i)
      subtract_row(count, i == k ? tau : multiplied(tau, work[static_cast<size_t>(i * n + k)]), sums.data(),
                   row(to, width, i) + from);
  };
  for (int64_t k = 0; k < p; ++k) {
    const T tau = make_reflection(m - k, n, &work[static_cast<size_t>(k * n + k)]);
    taus[static_cast<size_t>(k)] = tau;
    if (k + 1 < n) reflect(k, tau, k + 1, n, work.data());
  }
  for (int64_t i = 0; i < columns; ++i) {
    for (int64_t j = 0; j < n; ++j) r[i * n + j] = i <= j ? work[static_cast<size_t>(i * n + j)] : T(0);
  }
  set_identity(m, columns, q);
  for (int64_t k = p; k-- > 0;) reflect(k, conjugate(taus[static_cast<size_t>(k)]), 0, columns, q);
}

template <class T> bool cholesky(int64_t n, const T* a, T* l) {
  for (int64_t i = 0; i < n; ++i) {
    T* line = row(l, n, i);
    for (int64_t j = 0; j < i; ++j) {
      const T* above = row(l, n, j);
      line[j] = (a[i * n + j] - dot_row(j, line, above)) / above[j];
    }
    const double rest = real_part(a[i * n + i]) - real_part(dot_row(i, line, line));
    if (rest <= 0) return false;
    line[i] = T(std::sqrt(rest));
    std::fill(line + i + 1, line + n, T(0));
  }
  return true;
}

// With P(m) the lower triangle of m and half its diagonal: l^-T P(l^T grad) l^-1, made symmetric.
void cholesky_gradient(int64_t n, const double* l, const double* grad, double* out) {
  std::vector<double> middle(static_cast<size_t>(n * n), 0.0), turned(middle.size());
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j <= i; ++j) {
      double sum = 0;
      for (int64_t k = i; k < n; ++k) sum += l[k * n + i] * grad[k * n + j];
      middle[static_cast<size_t>(i * n + j)] = i == j ? sum / 2 : sum;
    }
  }
  solve_triangle(n, n, l, true, true, false, middle.data());
  adjoint_of(n, n, middle.data(), turned.data());
  solve_triangle(n, n, l, true, true, false, turned.data());
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < n; ++j)
      out[i * n + j] = (turned[static_cast<size_t>(i * n + j)] + turned[static_cast<size_t>(j * n + i)]) / 2;
  }
}

template <class T> bool lu(int64_t n, const T* a, T* packed, int64_t* permutation) {
  std::copy(a, a + n * n, packed);
  bool even;
  return eliminate(n, packed, permutation, &even);
}

template <class T> void log_determinant(int64_t n, const T* a, T* sign, T* log) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  std::vector<T> work(a, a + n * n);
  std::vector<int64_t> rows(static_cast<size_t>(n));
  bool even;
  double sum = 0;
  T product(1);
  if (eliminate(n, work.data(), rows.data(), &even)) {
    if (!even) product = T(-1);
    for (int64_t i = 0; i < n; ++i) {
      const T pivot = work[static_cast<size_t>(i * n + i)];
      const double size = std::abs(pivot);
      product *= pivot / size;
      sum += std::log(size);
    }
  } else {
    sum = -kInfinity;
  }
  *sign = std::isfinite(sum) ? product : T(0);
  *log = std::isfinite(sum) ? T(sum) : T(sum > 0 ? kInfinity : -kInfinity);
}

namespace {

// (a^H a + l2)^-1 a^H b, or a^H (a a^H + l2)^-1 b for a wide matrix.
template <class T>
bool solve_normal_equations(int64_t m, int64_t n, int64_t k, const T* a, const T* b, double l2, T* x) {
  const int64_t p = std::min(m, n);
  std::vector<T> turned(static_cast<size_t>(m * n)), gramian(static_cast<size_t>(p * p)), factor(gramian.size());
  adjoint_of(m, n, a, turned.data());
  if (m >= n) product(n, n, m, turned.data(), a, gramian.data());
  else product(m, m, n, a, turned.data(), gramian.data());
  for (int64_t i = 0; i < p; ++i) gramian[static_cast<size_t>(i * p + i)] += l2;
  if (!cholesky(p, gramian.data(), factor.data())) return false;
  const auto solve_factored = [&](T* values) {
    solve_triangle(p, k, factor.data(), true, false, false, values);
    solve_triangle(p, k, factor.data(), true, true, false, values);
  };
  if (m >= n) {
    product(n, k, m, turned.data(), b, x);
    solve_factored(x);
    return true;
  }
  std::vector<T> values(b, b + m * k);
  solve_factored(values.data());
  product(n, k, m, turned.data(), values.data(), x);
  return true;
}

// v s^-1 u^H b, without the singular values that are zero but for rounding.
template <class T> void solve_by_singular_values(int64_t m, int64_t n, int64_t k, const T* a, const T* b, T* x) {
  const int64_t p = std::min(m, n);
  std::vector<T> s(static_cast<size_t>(p)), u(static_cast<size_t>(m * p)), v(static_cast<size_t>(n * p));
  singular_values(m, n, a, false, s.data(), u.data(), v.data());
  std::vector<T> turned(u.size()), values(static_cast<size_t>(p * k));
  adjoint_of(m, p, u.data(), turned.data());
  product(p, k, m, turned.data(), b, values.data());
  const double least = real_part(s[0]) * std::numeric_limits<double>::epsilon() * static_cast<double>(std::max(m, n));
  for (int64_t i = 0; i < p; ++i) {
    const double size = real_part(s[static_cast<size_t>(i)]);
    for (int64_t c = 0; c < k; ++c) {
      T& value = values[static_cast<size_t>(i * k + c)];
      value = size <= least ? T(0) : value / size;
    }
  }
  product(n, k, p, v.data(), values.data(), x);
}

}  // namespace

template <class T>
bool least_squares(int64_t m, int64_t n, int64_t k, const T* a, const T* b, double l2, bool fast, T* x) {
  std::fill(x, x + n * k, T(0));
  if (m == 0 || n == 0 || k == 0) return true;
  if (fast) return solve_normal_equations(m, n, k, a, b, l2, x);
  solve_by_singular_values(m, n, k, a, b, x);
  return true;
}

#define MR_LINEAR_ALGEBRA(T)                                                                       \
  template bool solve<T>(int64_t, int64_t, const T*, const T*, bool, T*);                          \
  template void triangular_solve<T>(int64_t, int64_t, const T*, const T*, bool, bool, T*);         \
  template bool invert<T>(int64_t, const T*, bool, T*);                                            \
  template bool least_squares<T>(int64_t, int64_t, int64_t, const T*, const T*, double, bool, T*); \
  template void qr<T>(int64_t, int64_t, const T*, bool, T*, T*);                                   \
  template bool cholesky<T>(int64_t, const T*, T*);                                                \
  template bool lu<T>(int64_t, const T*, T*, int64_t*);                                            \
  template void log_determinant<T>(int64_t, const T*, T*, T*);
MR_LINEAR_ALGEBRA(double)
MR_LINEAR_ALGEBRA(Complex128)
#undef MR_LINEAR_ALGEBRA

}  // namespace millrace
