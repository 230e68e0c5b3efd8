#pragma once
// oneDNN's convolutions. Activations keep their layout; filters go into the layout that the primitive asks for, anew on
// each call, as variables change from step to step. Each function gives false, and has done nothing, where oneDNN has
// no fast way for the shape. Thread-safe.

#include "base/status.h"
#include "kernels/convolution.h"

namespace millrace {

absl::StatusOr<bool> onednn_convolve(const ConvShape& shape, const float* x, const float* w, const float* bias,
                                     const float* side, float* y);
absl::StatusOr<bool> onednn_convolve_input_grad(const ConvShape& shape, const float* w, const float* dy, float* dx);
absl::StatusOr<bool> onednn_convolve_filter_grad(const ConvShape& shape, const float* x, const float* dy, float* dw);

}  // namespace millrace
