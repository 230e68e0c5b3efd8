#pragma once
// One copy loop for everything that only moves elements: transposes, slices, reversals, broadcasts, tiles, pads,
// concats.

#include <cstdint>
#include <span>

#include "base/status.h"
#include "millrace/types.h"

namespace millrace {

// Copies the box `dims` element by element: dst[sum i_k dst_strides[k]] = src[sum i_k src_strides[k]]. Strides count
// elements and may be zero (broadcast, in src only) or negative; src and dst point at the element of index 0, and do
// not overlap. The caller has proven that all of the box lies inside both buffers. Large copies use all cores.
absl::Status strided_copy(DataType dtype, std::span<const int64_t> dims, const void* src,
                          std::span<const int64_t> src_strides, void* dst, std::span<const int64_t> dst_strides);

}  // namespace millrace
