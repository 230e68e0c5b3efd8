#pragma once
// Loops over flat memory: one function per operation and element type, reached through a pointer, so that ops, types
// and broadcasting multiply at run time and not in the compiler. Loops may work in place: `out` may equal an input.

#include <cstdint>

namespace millrace {

using UnaryLoop = void (*)(const void* x, void* out, int64_t n);
using BinaryLoop = void (*)(const void* x, const void* y, void* out, int64_t n);

// Plain loops over a functor with operator()(T) or operator()(T, T).
template <class Op, class T, class R = T> void unary_loop(const void* x, void* out, int64_t n) {
  const T* a = static_cast<const T*>(x);
  R* o = static_cast<R*>(out);
  const Op op{};
  for (int64_t i = 0; i < n; ++i) o[i] = op(a[i]);
}
template <class Op, class T, class R = T> void binary_loop(const void* x, const void* y, void* out, int64_t n) {
  const T* a = static_cast<const T*>(x);
  const T* b = static_cast<const T*>(y);
  R* o = static_cast<R*>(out);
  const Op op{};
  for (int64_t i = 0; i < n; ++i) o[i] = op(a[i], b[i]);
}

// half and bfloat16 to float and back, by blocks.
void half_to_float(const void* x, float* out, int64_t n);
void float_to_half(const float* x, void* out, int64_t n);
void bfloat16_to_float(const void* x, float* out, int64_t n);
void float_to_bfloat16(const float* x, void* out, int64_t n);

// What elements are kept as, against what the loop computes on.
enum class Storage { kNative, kHalf, kBfloat16 };
inline constexpr int64_t kConversionBlock = 512;

// A float loop run over elements of another storage; kNative calls the loop itself.
void run_unary(UnaryLoop loop, Storage in, Storage out, const void* x, void* o, int64_t n);
void run_binary(BinaryLoop loop, Storage in, Storage out, const void* x, const void* y, void* o, int64_t n);

}  // namespace millrace
