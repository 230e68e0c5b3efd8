#pragma once
// Dense matrix products of every element type: oneDNN for float, blocked plain loops for the others.

#include <span>

#include "kernels/onednn.h"
#include "millrace/types.h"

namespace millrace {

// The product of one pair or of a batch; see MatMulShape. With bias and activation only for float (null and kNone
// otherwise). Where k is 0 the product is zero.
absl::Status matmul(const MatMulShape& shape, const float* a, const float* b, const float* bias, float* c);

// c (m x n) = op(a) op(b), row-major and dense; conjugates where asked and T is complex. Half and bfloat16 add up in
// float, integers wrap. TA and TB may be narrower than T (int8 products into int32).
template <class TA, class TB, class T>
void plain_matmul(bool transpose_a, bool transpose_b, bool conjugate_a, bool conjugate_b, int64_t m, int64_t n,
                  int64_t k, const TA* a, const TB* b, T* c);

// In place: activation(x).
void apply_activation(Activation activation, float alpha, std::span<float> x);

}  // namespace millrace
