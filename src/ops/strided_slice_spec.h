#pragma once
// What x[begin:end:stride, ...] selects. One validated reading of the begin, end and strides vectors and the five
// masks, for StridedSlice, its gradient and its assignments, on actual and on partly known shapes.

#include <optional>
#include <vector>

#include "base/status.h"
#include "millrace/shape.h"

namespace millrace {

struct StridedSliceMasks {
  int64_t begin = 0, end = 0, ellipsis = 0, new_axis = 0, shrink_axis = 0;
};

struct StridedSliceSpec {
  // Per dimension of the input: the first index taken, the step, and how many are taken (-1 unknown). Indices are
  // inside the dimension wherever something is taken.
  std::vector<int64_t> begin, stride, size;
  PartialTensorShape processing_shape;  // `size` as a shape
  PartialTensorShape final_shape;       // without shrunk axes, with new ones
  // The dimension of `size` behind each dimension of final_shape, -1 for new axes.
  std::vector<int> source;
};

// `begin` and `end` may be unknown (null) where only `strides` is known; all have one length.
absl::StatusOr<StridedSliceSpec> strided_slice_spec(const PartialTensorShape& input, const std::vector<int64_t>* begin,
                                                    const std::vector<int64_t>* end,
                                                    const std::vector<int64_t>& strides,
                                                    const StridedSliceMasks& masks);

}  // namespace millrace
