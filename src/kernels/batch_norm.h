#pragma once
// Normalization of each channel over a batch: statistics, the normalizing sweep, and the gradient's sums and sweep.
// Sums are cut by size, not by thread, so that results do not depend on the number of threads. T is Half, BFloat16 or
// float; statistics are always float.

#include <cstdint>

namespace millrace {

// [outer, channels, inner]: inner is 1 where the channels are last.
struct BatchNormShape {
  int64_t outer = 0, channels = 0, inner = 1;
  int64_t per_channel() const { return outer * inner; }
};

// Mean and (biased) variance of each channel; NaN for an empty batch.
template <class T> void batch_moments(const BatchNormShape& shape, const T* x, float* mean, float* variance);

// y = (x - mean) factor + offset, then + side where it is not null, then max(., 0) if `relu`; y may be x or side.
template <class T> struct Normalize {
  const float *mean, *factor, *offset;
  const T* side = nullptr;
  bool relu = false;
};
template <class T> void batch_normalize(const BatchNormShape& shape, const T* x, const Normalize<T>& how, T* y);

// The sums over each channel of dy, and of dy (x - mean).
template <class T>
void batch_norm_grad_sums(const BatchNormShape& shape, const T* dy, const T* x, const float* mean, float* sum_dy,
                          float* sum_dy_x);
// dx = a dy - b - c (x - mean), with a, b and c per channel; dx may be dy.
template <class T> struct InputGrad { const float *mean, *a, *b, *c; };
template <class T>
void batch_norm_grad_input(const BatchNormShape& shape, const T* dy, const T* x, const InputGrad<T>& how, T* dx);

}  // namespace millrace
