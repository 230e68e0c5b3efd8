#pragma once
// Float loops for the widest vectors of the machine at hand, with the types of kernels/elementwise.h. Each element's
// result is the same at every position and length. NaN and infinities give what the plain functions of <cmath> give;
// other results are within 4 units in the last place of them.

#include <cstdint>

namespace millrace::vector_loops {

#define MR_UNARY_LOOPS(F) F(abs) F(neg) F(reciprocal) F(square) F(sqrt) F(rsqrt) F(exp) F(log) F(tanh) F(sigmoid)
// The gradients take (y, dy); division is by y in div_no_nan. Maximum and minimum let NaN win.
#define MR_BINARY_LOOPS(F) \
  F(add)                   \
  F(sub)                   \
  F(mul)                   \
  F(div)                   \
  F(div_no_nan) F(maximum) F(minimum) F(squared_difference) F(sigmoid_grad) F(tanh_grad) F(sqrt_grad) F(rsqrt_grad)

#define MR_DECLARE(name) void name(const void* x, void* out, int64_t n);
MR_UNARY_LOOPS(MR_DECLARE)
#undef MR_DECLARE
#define MR_DECLARE(name) void name(const void* x, const void* y, void* out, int64_t n);
MR_BINARY_LOOPS(MR_DECLARE)
#undef MR_DECLARE

}  // namespace millrace::vector_loops
