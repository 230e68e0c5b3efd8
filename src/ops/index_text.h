#pragma once
// How errors name an element of an index tensor.

#include <string>

#include "base/strings.h"
#include "millrace/shape.h"

namespace millrace {

// "[1,2]" for element 5 of a tensor of shape [2,3], "" for a scalar.
inline std::string position_text(const TensorShape& shape, int64_t flat) {
  if (shape.rank() == 0) return "";
  std::string text;
  for (int d = shape.rank(); d-- > 0;) {
    const int64_t size = shape.dim(d) > 0 ? shape.dim(d) : 1;
    text = str_cat(flat % size, text.empty() ? "" : ",", text);
    flat /= size;
  }
  return "[" + text + "]";
}

}  // namespace millrace
