#pragma once
// Rows of exponentials: what softmax and the cross entropies share.

#include <cmath>
#include <cstdint>
#include <limits>

#include "millrace/types.h"

namespace millrace {

// For each row of n >= 1 elements: e = exp(x - max), with max and the sum of e. x may be e. Rows with a NaN, or whose
// maximum is infinite, give NaN as the formula does.
void exp_rows(const float* x, int64_t rows, int64_t n, float* e, float* max, float* sum);
void exp_rows(const double* x, int64_t rows, int64_t n, double* e, double* max, double* sum);

}  // namespace millrace
