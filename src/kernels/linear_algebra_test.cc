#include "kernels/linear_algebra.h"

#include <cmath>
#include <random>

#include "gtest/gtest.h"
#include "kernels/fourier.h"

namespace millrace {
namespace {

template <class T> T number(std::mt19937& engine) {
  std::normal_distribution<double> normal;
  if constexpr (std::is_same_v<T, double>) return normal(engine);
  else return T(normal(engine), normal(engine));
}
template <class T> std::vector<T> matrix(size_t size, unsigned seed = 1) {
  std::mt19937 engine(seed);
  std::vector<T> a(size);
  for (T& x : a) x = number<T>(engine);
  return a;
}
double conjugated(double x) { return x; }
Complex128 conjugated(Complex128 x) { return std::conj(x); }

// |a^H a - 1|, largest element, of the columns of a (m x n).
template <class T> double distance_from_orthogonal(size_t m, size_t n, const std::vector<T>& a) {
  double largest = 0;
  for (size_t p = 0; p < n; ++p) {
    for (size_t q = 0; q < n; ++q) {
      T sum = p == q ? T(-1) : T(0);
      for (size_t i = 0; i < m; ++i) sum += conjugated(a[i * n + p]) * a[i * n + q];
      largest = std::max(largest, std::abs(sum));
    }
  }
  return largest;
}

// a against u diag(s) v^H, of which u and v have `uc` and `vc` columns.
template <class T>
double distance_from_product(size_t m, size_t n, const std::vector<T>& a, const std::vector<T>& s,
                             const std::vector<T>& u, size_t uc, const std::vector<T>& v, size_t vc) {
  double largest = 0;
  for (size_t i = 0; i < m; ++i) {
    for (size_t j = 0; j < n; ++j) {
      T sum = -a[i * n + j];
      for (size_t k = 0; k < s.size(); ++k) sum += u[i * uc + k] * s[k] * conjugated(v[j * vc + k]);
      largest = std::max(largest, std::abs(sum));
    }
  }
  return largest;
}

template <class T> class LinearAlgebra : public testing::Test {};
using Scalars = testing::Types<double, Complex128>;
TYPED_TEST_SUITE(LinearAlgebra, Scalars);

TYPED_TEST(LinearAlgebra, singular_values_and_vectors_make_the_matrix) {
  using T = TypeParam;
  for (const auto& [m, n] : std::vector<std::pair<size_t, size_t>>{{1, 1}, {7, 7}, {20, 6}, {6, 20}, {40, 40}}) {
    for (const bool full : {false, true}) {
      const size_t p = std::min(m, n), uc = full ? m : p, vc = full ? n : p;
      const std::vector<T> a = matrix<T>(m * n);
      std::vector<T> s(p), u(m * uc), v(n * vc);
      singular_values<T>(static_cast<int64_t>(m), static_cast<int64_t>(n), a.data(), full, s.data(), u.data(),
                         v.data());
      EXPECT_LT(distance_from_product(m, n, a, s, u, uc, v, vc), 1e-12) << m << " x " << n;
      EXPECT_LT(distance_from_orthogonal(m, uc, u), 1e-12) << m << " x " << n;
      EXPECT_LT(distance_from_orthogonal(n, vc, v), 1e-12) << m << " x " << n;
    }
  }
}

TYPED_TEST(LinearAlgebra, vectors_of_singular_matrices_are_orthogonal_too) {
  using T = TypeParam;
  std::vector<T> a(6 * 4, T(0));
  for (size_t i = 0; i < 6; ++i) a[i * 4] = a[i * 4 + 2] = T(static_cast<double>(i) - 2.5);  // rank one
  std::vector<T> s(4), u(36), v(16);
  singular_values<T>(6, 4, a.data(), true, s.data(), u.data(), v.data());
  EXPECT_LT(distance_from_product(6, 4, a, s, u, 6, v, 4), 1e-12);
  EXPECT_LT(distance_from_orthogonal(6, 6, u), 1e-12);
  EXPECT_LT(distance_from_orthogonal(4, 4, v), 1e-12);
}

TYPED_TEST(LinearAlgebra, singular_values_of_zeros_need_no_square_of_the_rows) {
  using T = TypeParam;
  const size_t m = 1'000'000;
  const std::vector<T> a(m, T(0));
  std::vector<T> s(1), u(m), v(1);
  singular_values<T>(static_cast<int64_t>(m), 1, a.data(), false, s.data(), u.data(), v.data());
  EXPECT_EQ(s[0], T(0));
  EXPECT_LT(distance_from_orthogonal(m, 1, u), 1e-12);
}

TYPED_TEST(LinearAlgebra, eigenvalues_and_vectors_make_the_matrix) {
  using T = TypeParam;
  const size_t n = 25;
  std::vector<T> a = matrix<T>(n * n);
  for (size_t i = 0; i < n; ++i) {
    a[i * n + i] = T(std::abs(a[i * n + i]));
    for (size_t j = 0; j < i; ++j) a[j * n + i] = conjugated(a[i * n + j]);
  }
  std::vector<T> e(n), v(n * n);
  self_adjoint_eigen<T>(n, a.data(), e.data(), v.data());
  EXPECT_LT(distance_from_product(n, n, a, e, v, n, v, n), 1e-12);
  EXPECT_LT(distance_from_orthogonal(n, n, v), 1e-12);
}

TEST(MatrixFunctions, square_of_the_root_is_the_matrix) {
  const size_t n = 12;
  const std::vector<Complex128> a = matrix<Complex128>(n * n);
  std::vector<Complex128> r(n * n);
  matrix_square_root(n, a.data(), r.data());
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < n; ++j) {
      Complex128 sum = 0;
      for (size_t k = 0; k < n; ++k) sum += r[i * n + k] * r[k * n + j];
      EXPECT_LT(std::abs(sum - a[i * n + j]), 1e-10);
    }
  }
}

TEST(MatrixFunctions, logarithm_of_extremes_ends) {
  const double huge = 1e300, tiny = 1e-300;
  for (const std::vector<Complex128>& a : std::vector<std::vector<Complex128>>{
           {0, 0, 0, 0}, {1, 1, 0, 0}, {tiny, huge, 0, tiny}, {huge, huge, -huge, huge}, {NAN, 0, 0, 1}}) {
    std::vector<Complex128> log(4);
    matrix_logarithm(2, a.data(), log.data());
  }
  const std::vector<Complex128> diagonal = {std::exp(1.0), 0, 0, std::exp(-700.0)};
  std::vector<Complex128> log(4);
  matrix_logarithm(2, diagonal.data(), log.data());
  EXPECT_NEAR(log[0].real(), 1, 1e-12);
  EXPECT_NEAR(log[3].real(), -700, 1e-9);
}

TEST(Fourier, agrees_with_the_sum_for_all_lengths) {
  for (size_t n = 1; n <= 130; ++n) {
    const std::vector<Complex128> x = matrix<Complex128>(n);
    std::vector<Complex128> line = x;
    FourierTransform transform(static_cast<int64_t>(n));
    transform.run(line, false);
    for (size_t k = 0; k < n; ++k) {
      Complex128 sum = 0;
      for (size_t j = 0; j < n; ++j)
        sum += x[j] * std::polar(1.0, -2 * M_PI * static_cast<double>(j * k % n) / static_cast<double>(n));
      EXPECT_LT(std::abs(sum - line[k]), 1e-11) << n;
    }
    transform.run(line, true);
    for (size_t k = 0; k < n; ++k) EXPECT_LT(std::abs(line[k] - x[k]), 1e-13) << n;
  }
}

}  // namespace
}  // namespace millrace
