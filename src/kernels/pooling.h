#pragma once
// Maxima and means over windows of images, and their gradients, for every real number type.

#include <array>
#include <cstdint>

#include "kernels/window.h"

namespace millrace {

// Images [batch, spatial..., channels]; images with the channels first are batch * channels images of one channel. All
// sizes are positive and every window meets the image. Fewer than three spatial dimensions leave the first at 1.
struct PoolShape {
  int64_t batch = 1, channels = 1;
  std::array<WindowDim, 3> dims;

  int64_t input_positions() const { return dims[0].input * dims[1].input * dims[2].input; }
  int64_t output_positions() const { return dims[0].output * dims[1].output * dims[2].output; }
};

// A window's maximum. NaN is passed over; where nothing is above the type's lowest number that is the maximum.
template <class T> void max_pool(const PoolShape& shape, const T* x, T* y);
// The same with where each maximum lies: its flat index in its image [spatial..., channels]. The first of equals; a NaN
// only where it comes first.
template <class T> void max_pool_with_argmax(const PoolShape& shape, const T* x, T* y, int64_t* argmax);
// dy added up where the maxima of x lie; or, for the second derivative, picked from there.
template <class T> void max_pool_grad(const PoolShape& shape, const T* x, const T* dy, T* dx);
template <class T> void max_pool_grad_grad(const PoolShape& shape, const T* x, const T* ddx, T* ddy);

// A window's mean over the elements inside the image; floating types only.
template <class T> void avg_pool(const PoolShape& shape, const T* x, T* y);
template <class T> void avg_pool_grad(const PoolShape& shape, const T* dy, T* dx);

}  // namespace millrace
