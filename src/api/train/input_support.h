#pragma once
// What producers (input.cc) and batch functions (batches.cc) share.

#include <string>
#include <string_view>

#include "base/strings.h"
#include "millrace/math_ops.h"
#include "millrace/summary.h"

namespace millrace::train {

inline std::string_view name_or(std::string_view name, std::string_view default_name) {
  return name.empty() ? default_name : name;
}

inline PartialTensorShape row_shape(const PartialTensorShape& shape) {
  if (!shape.has_rank() || shape.rank() == 0) return {};
  return PartialTensorShape(shape.dims().subspan(1));
}

inline std::string fullness_name(int64_t capacity) { return str_cat("fraction_of_", capacity, "_full"); }

inline void summarize_fullness(const std::string& name, const Output& elements, int64_t of) {
  summary::scalar(name, cast(elements, float32) * (1.0 / static_cast<double>(of)));
}

}  // namespace millrace::train
