#pragma once
// The one door to oneDNN: everything here is float. Primitives are made once per shape (0.2-1.7 ms each) and kept in a
// bounded cache. Thread-safe.

#include <cstdint>

#include "base/status.h"

namespace millrace {

enum class Activation { kNone, kRelu, kRelu6, kElu, kLeakyRelu, kTanh, kSigmoid };

// c[i] = activation(a[i] b[i] + bias) for `batch` pairs of matrices that lie one after another: a is m x k (k x m where
// transposed), b k x n (n x k), c m x n, all row-major and dense; bias has n elements, or is null.
struct MatMulShape {
  int64_t batch = 1, m = 0, n = 0, k = 0;
  bool transpose_a = false, transpose_b = false;
  bool broadcast_a = false, broadcast_b = false;  // one matrix for the whole batch
  bool has_bias = false;
  Activation activation = Activation::kNone;
  float alpha = 0;  // of leaky ReLU

  friend bool operator==(const MatMulShape&, const MatMulShape&) = default;
  template <class H> friend H AbslHashValue(H h, const MatMulShape& s) {
    return H::combine(std::move(h), s.batch, s.m, s.n, s.k, s.transpose_a, s.transpose_b, s.broadcast_a, s.broadcast_b,
                      s.has_bias, static_cast<int>(s.activation), s.alpha);
  }
};
// All dimensions must be positive.
absl::Status onednn_matmul(const MatMulShape& shape, const float* a, const float* b, const float* bias, float* c);

// c = a b (+ c where accumulate), one pair, without making a primitive: the better way for small products.
absl::Status onednn_sgemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const float* a,
                          const float* b, bool accumulate, float* c);

// How many primitives the cache holds, and the limit.
int64_t onednn_cached_primitives();
inline constexpr int64_t kOnednnCacheLimit = 1024;

}  // namespace millrace
