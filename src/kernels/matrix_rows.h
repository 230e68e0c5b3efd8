#pragma once
// Small pieces of linear_algebra.cc and spectral.cc: scalars of either kind, and loops over rows.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "millrace/types.h"

namespace millrace {

inline double conjugate(double x) { return x; }
inline Complex128 conjugate(const Complex128& x) { return std::conj(x); }
inline double real_part(double x) { return x; }
inline double real_part(const Complex128& x) { return x.real(); }
inline double squared(double x) { return x * x; }
inline double squared(const Complex128& x) { return std::norm(x); }
inline bool is_finite(double x) { return std::isfinite(x); }
inline bool is_finite(const Complex128& x) { return std::isfinite(x.real()) && std::isfinite(x.imag()); }

// The plain product: operator* of std::complex looks for infinities, which calls a function.
inline double multiplied(double a, double b) { return a * b; }
inline Complex128 multiplied(const Complex128& a, const Complex128& b) {
  return {a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real()};
}

// y -= f * x
template <class T> void subtract_row(int64_t n, T f, const T* x, T* y) {
  for (int64_t i = 0; i < n; ++i) y[i] -= multiplied(f, x[i]);
}
// sum of x * conj(y)
template <class T> T dot_row(int64_t n, const T* x, const T* y) {
  T sum{};
  for (int64_t i = 0; i < n; ++i) sum += multiplied(x[i], conjugate(y[i]));
  return sum;
}

template <class T> T* row(T* a, int64_t columns, int64_t i) { return a + i * columns; }

template <class T> void set_identity(int64_t rows, int64_t columns, T* a) {
  std::fill(a, a + rows * columns, T(0));
  for (int64_t i = 0; i < std::min(rows, columns); ++i) a[i * columns + i] = T(1);
}

template <class T> void adjoint_of(int64_t rows, int64_t columns, const T* a, T* out) {
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) out[j * rows + i] = conjugate(a[i * columns + j]);
  }
}

// out (m x n) = a (m x k) b (k x n)
template <class T> void product(int64_t m, int64_t n, int64_t k, const T* a, const T* b, T* out) {
  std::fill(out, out + m * n, T(0));
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < k; ++j) subtract_row(n, -a[i * k + j], b + j * n, out + i * n);
  }
}

// A reflection I - tau v v^H, v[0] = 1, that takes x (n > 0 elements, `stride` apart) to beta e_0. v[1..] is written in
// the place of x[1..], beta in that of x[0]; returns tau.
template <class T> T make_reflection(int64_t n, int64_t stride, T* x) {
  double tail = 0;
  for (int64_t i = 1; i < n; ++i) tail += squared(x[i * stride]);
  const T first = x[0];
  constexpr double kTiny = std::numeric_limits<double>::min();
  if (tail <= kTiny && squared(first) - real_part(first) * real_part(first) <= kTiny) {
    for (int64_t i = 1; i < n; ++i) x[i * stride] = T(0);
    x[0] = T(real_part(first));
    return T(0);
  }
  const double norm = std::sqrt(squared(first) + tail), beta = real_part(first) >= 0 ? -norm : norm;
  for (int64_t i = 1; i < n; ++i) x[i * stride] /= first - beta;
  x[0] = T(beta);
  return conjugate((beta - first) / beta);
}

}  // namespace millrace
