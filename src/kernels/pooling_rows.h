#pragma once
// Maxima over a few rows of float channels, for the widest vectors of the machine at hand.

#include <cstdint>

namespace millrace {

// y[c] = the maximum of rows[0..count)[c]; NaN is passed over, and nothing is below the lowest number.
void max_of_rows(const float* const* rows, int64_t count, int64_t channels, float* y);

// Adds dy[c] to that one of to[0..count)[c] whose row holds the maximum, the first of equals. Where `sets`, the rows of
// `to` are written instead: dy[c] there, zero in the others. count <= kMaxRoutedRows.
inline constexpr int64_t kMaxRoutedRows = int64_t{1} << 24;
void route_to_maximum(const float* const* rows, int64_t count, int64_t channels, const float* dy, float* const* to,
                      bool sets);

}  // namespace millrace
