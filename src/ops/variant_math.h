#pragma once
// Zeros and sums of variants, as gradients of lists of tensors need them: lists element by element, nested ones too.

#include <memory>

#include "op/kernel.h"

namespace millrace {

// A tensor of variants like `like`: of each list one of the same length, zeros where an element was set.
absl::StatusOr<Tensor> zeros_like_variants(const Tensor& like);

// AddN of variants. InvalidArgument for lists of different lengths, dtypes or element shapes, and for what is no list.
std::unique_ptr<Kernel> make_variant_sum();

}  // namespace millrace
