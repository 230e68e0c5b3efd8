// What is found by iteration: eigenvalues and singular values by Jacobi's rotations, functions of matrices by the Schur
// form.

#include <array>
#include <numeric>

#include "kernels/linear_algebra.h"
#include "kernels/matrix_rows.h"

namespace millrace {
namespace {

constexpr double kEpsilon = std::numeric_limits<double>::epsilon();
constexpr double kNotANumber = std::numeric_limits<double>::quiet_NaN();
constexpr int kMostSweeps = 50;  // some eight are usual

template <class T> bool all_finite(int64_t n, const T* a) {
  return std::all_of(a, a + n, [](const T& x) { return is_finite(x); });
}

template <class T> double largest_of(int64_t n, const T* a) {
  double largest = 0;
  for (int64_t i = 0; i < n; ++i) largest = std::max(largest, std::abs(a[i]));
  return largest;
}

// The rotation that makes the Hermitian matrix [[p, pq], [conj(pq), q]] diagonal, applied to columns:
// a' = cosine * a - conj(turn) * sine * b, b' = sine * a + conj(turn) * cosine * b.
template <class T> struct Rotation {
  double cosine, sine, tangent;
  T turn;  // of size 1
  Rotation(double p, double q, T pq) {
    const double size = std::abs(pq), tau = (q - p) / (2 * size);
    tangent = (tau >= 0 ? 1 : -1) / (std::abs(tau) + std::hypot(1.0, tau));
    cosine = 1 / std::hypot(1.0, tangent);
    sine = tangent * cosine;
    turn = pq / size;
  }
  void apply(int64_t n, int64_t stride, T factor, T* a, T* b) const {
    for (int64_t i = 0; i < n * stride; i += stride) {
      const T x = a[i], y = multiplied(factor, b[i]);
      a[i] = cosine * x - sine * y;
      b[i] = sine * x + cosine * y;
    }
  }
  void columns(int64_t n, int64_t stride, T* a, T* b) const { apply(n, stride, conjugate(turn), a, b); }
  void rows(int64_t n, T* a, T* b) const { apply(n, 1, turn, a, b); }
};

// The order of indices that sorts `values`.
template <class Less> std::vector<int64_t> sorted_order(int64_t n, Less less) {
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), int64_t{0});
  std::stable_sort(order.begin(), order.end(), less);
  return order;
}

}  // namespace

template <class T> void self_adjoint_eigen(int64_t n, const T* a, T* e, T* v) {
  std::vector<T> work(static_cast<size_t>(n * n)), vectors(work.size());  // a row of `vectors` is an eigenvector
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < i; ++j)
      work[static_cast<size_t>(j * n + i)] = conjugate(work[static_cast<size_t>(i * n + j)] = a[i * n + j]);
    work[static_cast<size_t>(i * n + i)] = T(real_part(a[i * n + i]));
  }
  if (!all_finite(n * n, work.data())) {
    std::fill(e, e + n, T(kNotANumber));
    std::fill(v, v + n * n, T(kNotANumber));
    return;
  }
  const double scale = largest_of(n * n, work.data());
  for (T& x : work) x /= scale > 0 ? scale : 1.0;
  set_identity(n, n, vectors.data());
  T* const w = work.data();
  bool rotated = n > 1;
  for (int sweep = 0; rotated && sweep < kMostSweeps; ++sweep) {
    rotated = false;
    for (int64_t p = 0; p + 1 < n; ++p) {
      for (int64_t q = p + 1; q < n; ++q) {
        const T pq = w[p * n + q];
        const double size = std::abs(pq), pp = real_part(w[p * n + p]), qq = real_part(w[q * n + q]);
        if (size <= kEpsilon * 0.01 * std::sqrt(std::abs(pp * qq)) || size < 1e-150 || size < kEpsilon * 1e-4) continue;
        rotated = true;
        const Rotation<T> rotation(pp, qq, pq);
        rotation.columns(n, n, w + p, w + q);
        rotation.rows(n, row(w, n, p), row(w, n, q));
        w[p * n + p] = T(pp - rotation.tangent * size);
        w[q * n + q] = T(qq + rotation.tangent * size);
        w[p * n + q] = w[q * n + p] = T(0);
        rotation.columns(n, 1, row(vectors.data(), n, p), row(vectors.data(), n, q));
      }
    }
  }
  const auto value = [&](int64_t i) { return real_part(w[i * n + i]); };
  const std::vector<int64_t> order = sorted_order(n, [&](int64_t x, int64_t y) { return value(x) < value(y); });
  for (int64_t j = 0; j < n; ++j) {
    const int64_t from = order[static_cast<size_t>(j)];
    e[j] = T(value(from) * (scale > 0 ? scale : 1.0));
    for (int64_t i = 0; i < n; ++i) v[i * n + j] = vectors[static_cast<size_t>(from * n + i)];
  }
}

namespace {

// Rotates the rows of w (n x m) until they are orthogonal to each other (Hestenes), and the rows of v (n x n) with
// them.
template <class T> void make_orthogonal(int64_t m, int64_t n, T* w, T* v) {
  const double tolerance = kEpsilon * std::sqrt(static_cast<double>(m));
  bool rotated = n > 1;
  for (int sweep = 0; rotated && sweep < kMostSweeps; ++sweep) {
    rotated = false;
    for (int64_t p = 0; p + 1 < n; ++p) {
      for (int64_t q = p + 1; q < n; ++q) {
        T *a = row(w, m, p), *b = row(w, m, q);
        const double aa = real_part(dot_row(m, a, a)), bb = real_part(dot_row(m, b, b));
        const T ab = dot_row(m, b, a);
        if (!(std::abs(ab) > tolerance * std::sqrt(aa) * std::sqrt(bb)) || std::abs(ab) < 1e-290) continue;
        rotated = true;
        const Rotation<T> rotation(aa, bb, ab);
        rotation.columns(m, 1, a, b);
        rotation.columns(n, 1, row(v, n, p), row(v, n, q));
      }
    }
  }
}

// Columns from `known` on of u (m x columns) become orthogonal to those before and to each other: each is what is left
// of the unit vector that those before come least near to.
template <class T> void complete_columns(int64_t m, int64_t columns, int64_t known, T* u) {
  std::vector<double> covered(static_cast<size_t>(m), 0.0);  // how much of each unit vector they make up
  std::vector<T> rest(static_cast<size_t>(m)), parts(static_cast<size_t>(columns));
  const auto count = [&](int64_t column) {
    for (int64_t i = 0; i < m; ++i) covered[static_cast<size_t>(i)] += squared(u[i * columns + column]);
  };
  for (int64_t j = 0; j < known; ++j) count(j);
  for (int64_t j = known; j < columns; ++j) {
    std::fill(rest.begin(), rest.end(), T(0));
    rest[static_cast<size_t>(std::ranges::min_element(covered) - covered.begin())] = T(1);
    for (int pass = 0; pass < 2; ++pass) {  // the second removes what rounding left of the first
      std::fill(parts.begin(), parts.end(), T(0));
      for (int64_t i = 0; i < m; ++i) {
        for (int64_t k = 0; k < j; ++k)
          parts[static_cast<size_t>(k)] += multiplied(conjugate(u[i * columns + k]), rest[static_cast<size_t>(i)]);
      }
      for (int64_t i = 0; i < m; ++i) {
        for (int64_t k = 0; k < j; ++k)
          rest[static_cast<size_t>(i)] -= multiplied(u[i * columns + k], parts[static_cast<size_t>(k)]);
      }
    }
    const double size = std::sqrt(real_part(dot_row(m, rest.data(), rest.data())));
    for (int64_t i = 0; i < m; ++i) u[i * columns + j] = rest[static_cast<size_t>(i)] / size;
    count(j);
  }
}

// For m >= n.
template <class T> void singular_values_of_tall(int64_t m, int64_t n, const T* a, bool full, T* s, T* u, T* v) {
  const double largest = largest_of(m * n, a), scale = largest > 0 ? largest : 1.0;
  std::vector<T> columns(static_cast<size_t>(n * m)), turns(static_cast<size_t>(n * n));
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) columns[static_cast<size_t>(j * m + i)] = a[i * n + j] / scale;
  }
  set_identity(n, n, turns.data());
  make_orthogonal(m, n, columns.data(), turns.data());
  std::vector<double> sizes(static_cast<size_t>(n));
  for (int64_t j = 0; j < n; ++j) {
    const T* column = row(columns.data(), m, j);
    sizes[static_cast<size_t>(j)] = std::sqrt(real_part(dot_row(m, column, column)));
  }
  const std::vector<int64_t> order = sorted_order(
      n, [&](int64_t x, int64_t y) { return sizes[static_cast<size_t>(x)] > sizes[static_cast<size_t>(y)]; });
  const int64_t u_columns = full ? m : n;
  int64_t known = 0;  // columns of u that have a direction
  for (int64_t j = 0; j < n; ++j) {
    const int64_t from = order[static_cast<size_t>(j)];
    const double size = sizes[static_cast<size_t>(from)];
    s[j] = T(size * scale);
    for (int64_t i = 0; i < n; ++i) v[i * n + j] = turns[static_cast<size_t>(from * n + i)];
    if (size < 1e-140) continue;
    known = j + 1;
    for (int64_t i = 0; i < m; ++i) u[i * u_columns + j] = columns[static_cast<size_t>(from * m + i)] / size;
  }
  complete_columns(m, u_columns, known, u);
}

}  // namespace

template <class T> void singular_values(int64_t m, int64_t n, const T* a, bool full, T* s, T* u, T* v) {
  const int64_t p = std::min(m, n), u_columns = full ? m : p, v_columns = full ? n : p;
  if (!all_finite(m * n, a)) {
    std::fill(s, s + p, T(kNotANumber));
    std::fill(u, u + m * u_columns, T(kNotANumber));
    std::fill(v, v + n * v_columns, T(kNotANumber));
  } else if (m >= n) {
    singular_values_of_tall(m, n, a, full, s, u, v);
  } else {
    std::vector<T> turned(static_cast<size_t>(m * n));
    adjoint_of(m, n, a, turned.data());
    singular_values_of_tall(n, m, turned.data(), full, s, v, u);
  }
}

template void self_adjoint_eigen<double>(int64_t, const double*, double*, double*);
template void self_adjoint_eigen<Complex128>(int64_t, const Complex128*, Complex128*, Complex128*);
template void singular_values<double>(int64_t, int64_t, const double*, bool, double*, double*, double*);
template void singular_values<Complex128>(int64_t, int64_t, const Complex128*, bool, Complex128*, Complex128*,
                                          Complex128*);

namespace {

// a = unitary triangle unitary^H.
class Schur {
 public:
  Schur(int64_t n, const Complex128* a) : triangle(a, a + n * n), unitary(triangle.size()), n_(n) {
    set_identity(n, n, unitary.data());
    for (int64_t k = 0; k + 2 < n; ++k) reduce_column(k);
  }

  // False if the search has no end.
  bool find_eigenvalues() {
    int tries = 0;
    for (int64_t high = n_ - 1; high > 0;) {
      int64_t low = high;
      while (low > 0 && !is_split(low)) --low;
      if (low == high) {
        --high;
        tries = 0;
      } else if (++tries > 60) {
        return false;
      } else {
        chase(low, high, tries % 10 == 0 ? std::abs(at(high, high - 1)) + at(high, high) : shift(high));
      }
    }
    return true;
  }

  std::vector<Complex128> triangle, unitary;

 private:
  Complex128& at(int64_t i, int64_t j) { return triangle[static_cast<size_t>(i * n_ + j)]; }

  // Zeros below the subdiagonal of column k.
  void reduce_column(int64_t k) {
    const int64_t m = n_ - k - 1;
    const Complex128 tau = make_reflection(m, n_, &at(k + 1, k));
    std::vector<Complex128> v(static_cast<size_t>(m), Complex128(1)), sums(static_cast<size_t>(n_));
    for (int64_t i = 1; i < m; ++i) {
      v[static_cast<size_t>(i)] = at(k + 1 + i, k);
      at(k + 1 + i, k) = 0;
    }
    for (int64_t i = 0; i < m; ++i)
      subtract_row(m, -std::conj(v[static_cast<size_t>(i)]), &at(k + 1 + i, k + 1), sums.data());
    for (int64_t i = 0; i < m; ++i)
      subtract_row(m, tau * v[static_cast<size_t>(i)], sums.data(), &at(k + 1 + i, k + 1));
    reflect_columns(k, std::conj(tau), v, triangle.data());
    reflect_columns(k, std::conj(tau), v, unitary.data());
  }
  void reflect_columns(int64_t k, Complex128 tau, const std::vector<Complex128>& v, Complex128* to) const {
    const auto m = static_cast<int64_t>(v.size());
    for (int64_t i = 0; i < n_; ++i) {
      Complex128* line = row(to, n_, i) + k + 1;
      Complex128 sum = 0;
      for (int64_t j = 0; j < m; ++j) sum += line[j] * v[static_cast<size_t>(j)];
      for (int64_t j = 0; j < m; ++j) line[j] -= tau * sum * std::conj(v[static_cast<size_t>(j)]);
    }
  }

  bool is_split(int64_t k) {
    const double size = std::abs(at(k, k - 1)), around = std::abs(at(k, k)) + std::abs(at(k - 1, k - 1));
    if (size > kEpsilon * around && size > std::numeric_limits<double>::min()) return false;
    at(k, k - 1) = 0;
    return true;
  }

  // Of the eigenvalues of the last 2 x 2 block that nearer to its corner (Wilkinson).
  Complex128 shift(int64_t k) {
    const Complex128 half = (at(k - 1, k - 1) + at(k, k)) / 2.0, difference = (at(k - 1, k - 1) - at(k, k)) / 2.0;
    const Complex128 root = std::sqrt(difference * difference + at(k - 1, k) * at(k, k - 1));
    const Complex128 a = half + root, b = half - root;
    return std::abs(a - at(k, k)) < std::abs(b - at(k, k)) ? a : b;
  }

  void chase(int64_t low, int64_t high, Complex128 shift) {
    Complex128 x = at(low, low) - shift, y = at(low + 1, low);
    for (int64_t k = low; k < high; ++k) {
      if (k > low) x = at(k, k - 1), y = at(k + 1, k - 1);
      const double size = std::hypot(std::abs(x), std::abs(y));
      if (size == 0) continue;
      const Complex128 c = x / size, s = y / size;  // [c^* s^*; -s c] takes (x, y) to (size, 0)
      for (int64_t j = k > low ? k - 1 : low; j < n_; ++j) {
        const Complex128 a = at(k, j), b = at(k + 1, j);
        at(k, j) = std::conj(c) * a + std::conj(s) * b;
        at(k + 1, j) = c * b - s * a;
      }
      rotate_columns(k, c, s, std::min(k + 2, high) + 1, triangle.data());
      rotate_columns(k, c, s, n_, unitary.data());
      if (k > low) at(k + 1, k - 1) = 0;
    }
  }
  void rotate_columns(int64_t k, Complex128 c, Complex128 s, int64_t rows, Complex128* to) const {
    for (int64_t i = 0; i < rows; ++i) {
      Complex128 &a = to[i * n_ + k], &b = to[i * n_ + k + 1];
      const Complex128 x = a, y = b;
      a = x * c + y * s;
      b = y * std::conj(c) - x * std::conj(s);
    }
  }

  int64_t n_;
};

using Square = std::vector<Complex128>;

// In place, of an upper triangle (Bjorck and Hammarling).
void triangle_root(int64_t n, Square& t) {
  for (int64_t j = 0; j < n; ++j) {
    Complex128* const data = t.data();
    data[j * n + j] = std::sqrt(data[j * n + j]);
    for (int64_t i = j; i-- > 0;) {
      Complex128 sum = data[i * n + j];
      for (int64_t k = i + 1; k < j; ++k) sum -= multiplied(data[i * n + k], data[k * n + j]);
      data[i * n + j] = sum == 0.0 ? sum : sum / (data[i * n + i] + data[j * n + j]);
    }
  }
}

// log(1 + x) of a small upper triangle (|x| < 0.25): the [7/7] Pade approximant, as a sum over Gauss-Legendre nodes.
Square logarithm_near_one(int64_t n, const Square& x) {
  static constexpr std::array<double, 7> kNodes = {0.0254460438286207, 0.1292344072003028, 0.2970774243113014, 0.5,
                                                   0.7029225756886985, 0.8707655927996972, 0.9745539561713792};
  static constexpr std::array<double, 7> kWeights = {0.0647424830844348, 0.1398526957446383, 0.1909150252525595,
                                                     0.2089795918367347, 0.1909150252525595, 0.1398526957446383,
                                                     0.0647424830844348};
  Square sum(x.size()), divisor(x.size()), part(x.size());
  for (size_t node = 0; node < kNodes.size(); ++node) {
    for (size_t i = 0; i < x.size(); ++i) divisor[i] = kNodes[node] * x[i];
    for (int64_t i = 0; i < n; ++i) divisor[static_cast<size_t>(i * n + i)] += 1.0;
    triangular_solve(n, n, divisor.data(), x.data(), false, false, part.data());
    for (size_t i = 0; i < x.size(); ++i) sum[i] += kWeights[node] * part[i];
  }
  return sum;
}

double distance_from_one(int64_t n, const Square& t) {
  double largest = 0;
  for (int64_t j = 0; j < n; ++j) {
    double sum = 0;
    for (int64_t i = 0; i <= j; ++i) sum += std::abs(t[static_cast<size_t>(i * n + j)] - (i == j ? 1.0 : 0.0));
    largest = std::max(largest, sum);
  }
  return largest;
}

// Square roots of the triangle are taken until it is close to one (Kenney and Laub). False if it never is.
bool triangle_logarithm(int64_t n, Square& t) {
  constexpr int kMostRoots = 100;  // any double is within a quarter of one after some 13
  int roots = 0;
  for (; distance_from_one(n, t) >= 0.25; ++roots) {
    if (roots == kMostRoots) return false;
    triangle_root(n, t);
    if (!all_finite(n * n, t.data())) return false;
  }
  for (int64_t i = 0; i < n; ++i) t[static_cast<size_t>(i * n + i)] -= 1.0;
  t = logarithm_near_one(n, t);
  for (Complex128& x : t) x *= std::ldexp(1.0, roots);
  return true;
}

// `f` of the triangle of the Schur form; it returns false where there is no value.
template <class F> void matrix_function(int64_t n, const Complex128* a, Complex128* out, F&& f) {
  std::fill(out, out + n * n, Complex128(kNotANumber));
  if (n == 0 || !all_finite(n * n, a)) return;
  Schur schur(n, a);
  if (!schur.find_eigenvalues()) return;
  for (int64_t i = 1; i < n; ++i) std::fill_n(row(schur.triangle.data(), n, i), i, Complex128(0));
  if (!f(schur.triangle)) return;
  Square left(schur.triangle.size()), adjoint(left.size());
  product(n, n, n, schur.unitary.data(), schur.triangle.data(), left.data());
  adjoint_of(n, n, schur.unitary.data(), adjoint.data());
  product(n, n, n, left.data(), adjoint.data(), out);
}

}  // namespace

void matrix_square_root(int64_t n, const Complex128* a, Complex128* out) {
  matrix_function(n, a, out, [n](Square& t) {
    triangle_root(n, t);
    return true;
  });
}

void matrix_logarithm(int64_t n, const Complex128* a, Complex128* out) {
  matrix_function(n, a, out, [n](Square& t) {
    for (int64_t i = 0; i < n; ++i) {
      if (t[static_cast<size_t>(i * n + i)] == 0.0) return false;
    }
    return triangle_logarithm(n, t);
  });
}

}  // namespace millrace
