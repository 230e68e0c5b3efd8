#include "kernels/gemm.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <type_traits>
#include <vector>

#include "kernels/parallel.h"

namespace millrace {
namespace {

template <class T> inline constexpr bool kIsNarrowFloat = std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>;
template <class T> inline constexpr bool kIsComplex = std::is_same_v<T, Complex64> || std::is_same_v<T, Complex128>;

// What products of T add up in: integers as unsigned, so that overflow wraps.
template <class T, class = void> struct Sum { using type = T; };
template <> struct Sum<Half> { using type = float; };
template <> struct Sum<BFloat16> { using type = float; };
template <class T> struct Sum<T, std::enable_if_t<std::is_integral_v<T>>> {
  using type = std::conditional_t<sizeof(T) == 8, uint64_t, uint32_t>;
};

template <class S, class T> S load(T x, bool conjugate) {
  if constexpr (kIsComplex<T>) return conjugate ? std::conj(x) : x;
  else return static_cast<S>(x);
}

// a * b without the recovery of infinities that std::complex's operator does, which costs a call per product.
template <class S> S multiply(S a, S b) {
  if constexpr (kIsComplex<S>)
    return S(a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real());
  else return a * b;
}

// kWidth columns of a row of c, kept in registers.
template <int kWidth>
void tiny_row(const float* x, int64_t step, int64_t k, const float* b, int64_t b_stride, float* c) {
  float sums[kWidth] = {};
  for (int64_t p = 0; p < k; ++p, b += b_stride) {
    const float value = x[p * step];
    for (int j = 0; j < kWidth; ++j) sums[j] += value * b[j];
  }
  for (int j = 0; j < kWidth; ++j) c[j] = sums[j];
}

// Products of a few thousand multiplications: no scratch, no packing, on the caller.
void tiny_matmul(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const float* a, const float* b,
                 float* c) {
  const int64_t step = transpose_a ? m : 1;
  for (int64_t i = 0; i < m; ++i) {
    const float* x = transpose_a ? a + i : a + i * k;
    float* row = c + i * n;
    int64_t j = 0;
    if (!transpose_b) {
      for (; j + 16 <= n; j += 16) tiny_row<16>(x, step, k, b + j, n, row + j);
      for (; j + 4 <= n; j += 4) tiny_row<4>(x, step, k, b + j, n, row + j);
    }
    for (; j < n; ++j) {
      const float* y = transpose_b ? b + j * k : b + j;
      const int64_t y_step = transpose_b ? 1 : n;
      float sum = 0;
      for (int64_t p = 0; p < k; ++p) sum += x[p * step] * y[p * y_step];
      row[j] = sum;
    }
  }
}

void bias_and_activation(const MatMulShape& s, const float* bias, float* c) {
  if (!s.has_bias && s.activation == Activation::kNone) return;
  parallel_for(s.batch * s.m, s.n, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      float* row = c + r * s.n;
      if (s.has_bias)
        for (int64_t j = 0; j < s.n; ++j) row[j] += bias[j];
      apply_activation(s.activation, s.alpha, {row, static_cast<size_t>(s.n)});
    }
  });
}

}  // namespace

void apply_activation(Activation activation, float alpha, std::span<float> x) {
  // Comparisons are written so that NaN stays NaN.
  switch (activation) {
    case Activation::kNone: break;
    case Activation::kRelu:
      for (float& v : x) v = v < 0 ? 0 : v;
      break;
    case Activation::kRelu6:
      for (float& v : x) v = v < 0 ? 0 : v > 6 ? 6 : v;
      break;
    case Activation::kElu:
      for (float& v : x) v = v < 0 ? std::expm1(v) : v;
      break;
    case Activation::kLeakyRelu:
      for (float& v : x) v = v < 0 ? v * alpha : v;
      break;
    case Activation::kTanh:
      for (float& v : x) v = std::tanh(v);
      break;
    case Activation::kSigmoid:
      for (float& v : x) v = 1 / (1 + std::exp(-v));
      break;
  }
}

// Blocks of rows, columns and inner dimension keep the scratch small whatever the shapes are.
template <class TA, class TB, class T>
void plain_matmul(bool transpose_a, bool transpose_b, bool conjugate_a, bool conjugate_b, int64_t m, int64_t n,
                  int64_t k, const TA* a, const TB* b, T* c) {
  using S = typename Sum<T>::type;
  if (m == 0 || n == 0) return;
  constexpr int64_t kRows = 64, kColumns = 256, kInner = 256;
  const int64_t row_blocks = (m + kRows - 1) / kRows, column_blocks = (n + kColumns - 1) / kColumns;
  const double block_ns =
      static_cast<double>(std::min(m, kRows)) * static_cast<double>(std::min(n, kColumns)) * static_cast<double>(k) / 2;
  parallel_for(row_blocks * column_blocks, block_ns, [&](int64_t begin, int64_t end) {
    const int64_t widest = std::min(n, kColumns);
    std::vector<S> sums(static_cast<size_t>(std::min(m, kRows) * widest));
    std::vector<S> packed(
        static_cast<size_t>(std::min(k, kInner) * widest));  // a block of b, converted, in row-major order
    for (int64_t block = begin; block < end; ++block) {
      const int64_t i0 = block / column_blocks * kRows, j0 = block % column_blocks * kColumns;
      const int64_t rows = std::min(kRows, m - i0), columns = std::min(kColumns, n - j0);
      std::fill_n(sums.begin(), rows * columns, S{});
      for (int64_t k0 = 0; k0 < k; k0 += kInner) {
        const int64_t inner = std::min(kInner, k - k0);
        for (int64_t p = 0; p < inner; ++p)
          for (int64_t j = 0; j < columns; ++j)
            packed[static_cast<size_t>(p * columns + j)] =
                load<S>(transpose_b ? b[(j0 + j) * k + k0 + p] : b[(k0 + p) * n + j0 + j], conjugate_b);
        for (int64_t i = 0; i < rows; ++i) {
          S* row = sums.data() + i * columns;
          for (int64_t p = 0; p < inner; ++p) {
            const S x = load<S>(transpose_a ? a[(k0 + p) * m + i0 + i] : a[(i0 + i) * k + k0 + p], conjugate_a);
            const S* y = packed.data() + p * columns;
            for (int64_t j = 0; j < columns; ++j) row[j] += multiply(x, y[j]);
          }
        }
      }
      for (int64_t i = 0; i < rows; ++i)
        for (int64_t j = 0; j < columns; ++j)
          c[(i0 + i) * n + j0 + j] = static_cast<T>(sums[static_cast<size_t>(i * columns + j)]);
    }
  });
}

absl::Status matmul(const MatMulShape& s, const float* a, const float* b, const float* bias, float* c) {
  if (s.batch == 0 || s.m == 0 || s.n == 0) return absl::OkStatus();
  if (s.k == 0) {
    std::fill_n(c, s.batch * s.m * s.n, 0.0f);
    bias_and_activation(s, bias, c);
    return absl::OkStatus();
  }
  // A primitive costs more to look up and start than a small product takes; dnnl's sgemm starts at once.
  constexpr int64_t kTiny = 2048, kSmall = 8 << 20;
  const int64_t work = s.m * s.n * s.k;
  if (work > kSmall || (s.batch > 1 && work * s.batch > kSmall)) return onednn_matmul(s, a, b, bias, c);
  for (int64_t i = 0; i < s.batch; ++i) {
    const float* ai = s.broadcast_a ? a : a + i * s.m * s.k;
    const float* bi = s.broadcast_b ? b : b + i * s.k * s.n;
    float* ci = c + i * s.m * s.n;
    if (work <= kTiny) {
      tiny_matmul(s.transpose_a, s.transpose_b, s.m, s.n, s.k, ai, bi, ci);
    } else {
      MR_RETURN_IF_ERROR(onednn_sgemm(s.transpose_a, s.transpose_b, s.m, s.n, s.k, ai, bi, false, ci));
    }
  }
  bias_and_activation(s, bias, c);
  return absl::OkStatus();
}

#define MR_INSTANTIATE(TA, TB, T) \
  template void plain_matmul<TA, TB, T>(bool, bool, bool, bool, int64_t, int64_t, int64_t, const TA*, const TB*, T*);
MR_INSTANTIATE(Half, Half, Half)
MR_INSTANTIATE(BFloat16, BFloat16, BFloat16)
MR_INSTANTIATE(BFloat16, BFloat16, float)
MR_INSTANTIATE(float, BFloat16, float)
MR_INSTANTIATE(BFloat16, float, float)
MR_INSTANTIATE(float, float, float)
MR_INSTANTIATE(double, double, double)
MR_INSTANTIATE(int16_t, int16_t, int16_t)
MR_INSTANTIATE(int32_t, int32_t, int32_t)
MR_INSTANTIATE(int64_t, int64_t, int64_t)
MR_INSTANTIATE(int8_t, int8_t, int32_t)
MR_INSTANTIATE(uint8_t, int8_t, int32_t)
MR_INSTANTIATE(int8_t, uint8_t, int32_t)
MR_INSTANTIATE(uint8_t, uint8_t, int32_t)
MR_INSTANTIATE(Complex64, Complex64, Complex64)
MR_INSTANTIATE(Complex128, Complex128, Complex128)
#undef MR_INSTANTIATE

}  // namespace millrace
