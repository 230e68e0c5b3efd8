#pragma once
// Row-major strides, counted in elements.

#include <cstdint>
#include <vector>

#include "millrace/shape.h"

namespace millrace {

inline std::vector<int64_t> row_major_strides(std::span<const int64_t> dims) {
  std::vector<int64_t> strides(dims.size());
  int64_t stride = 1;
  for (size_t d = dims.size(); d-- > 0;) {
    strides[d] = stride;
    stride *= dims[d];
  }
  return strides;
}

}  // namespace millrace
