#include "kernels/elementwise.h"

#include <algorithm>

#include "millrace/types.h"

namespace millrace {

// Half's own conversions are exact but branchy; blocks of them still cost less than the functions between them.
void half_to_float(const void* x, float* out, int64_t n) {
  const Half* a = static_cast<const Half*>(x);
  for (int64_t i = 0; i < n; ++i) out[i] = static_cast<float>(a[i]);
}
void float_to_half(const float* x, void* out, int64_t n) {
  Half* o = static_cast<Half*>(out);
  for (int64_t i = 0; i < n; ++i) o[i] = Half(x[i]);
}
void bfloat16_to_float(const void* x, float* out, int64_t n) {
  const BFloat16* a = static_cast<const BFloat16*>(x);
  for (int64_t i = 0; i < n; ++i) out[i] = static_cast<float>(a[i]);
}
void float_to_bfloat16(const float* x, void* out, int64_t n) {
  BFloat16* o = static_cast<BFloat16*>(out);
  for (int64_t i = 0; i < n; ++i) o[i] = BFloat16(x[i]);
}

namespace {

void load(Storage storage, const void* x, int64_t at, float* block, int64_t n) {
  const auto* p = static_cast<const uint16_t*>(x) + at;
  if (storage == Storage::kHalf) half_to_float(p, block, n);
  else bfloat16_to_float(p, block, n);
}

void store(Storage storage, const float* block, void* out, int64_t at, int64_t n) {
  auto* p = static_cast<uint16_t*>(out) + at;
  if (storage == Storage::kHalf) float_to_half(block, p, n);
  else float_to_bfloat16(block, p, n);
}

}  // namespace

void run_unary(UnaryLoop loop, Storage in, Storage out, const void* x, void* o, int64_t n) {
  if (in == Storage::kNative) return loop(x, o, n);
  float block[kConversionBlock];
  for (int64_t i = 0; i < n; i += kConversionBlock) {
    const int64_t m = std::min(kConversionBlock, n - i);
    load(in, x, i, block, m);
    if (out == Storage::kNative) {
      loop(block, static_cast<char*>(o) + i, m);  // one byte per element: bool
    } else {
      loop(block, block, m);
      store(out, block, o, i, m);
    }
  }
}

void run_binary(BinaryLoop loop, Storage in, Storage out, const void* x, const void* y, void* o, int64_t n) {
  if (in == Storage::kNative) return loop(x, y, o, n);
  float a[kConversionBlock], b[kConversionBlock];
  for (int64_t i = 0; i < n; i += kConversionBlock) {
    const int64_t m = std::min(kConversionBlock, n - i);
    load(in, x, i, a, m);
    load(in, y, i, b, m);
    if (out == Storage::kNative) {
      loop(a, b, static_cast<char*>(o) + i, m);
    } else {
      loop(a, b, a, m);
      store(out, a, o, i, m);
    }
  }
}

}  // namespace millrace
