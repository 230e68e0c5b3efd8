#pragma once
// What optimizers share when they build their update ops.

#include <string_view>

#include "api/op_builder.h"
#include "millrace/math_ops.h"
#include "millrace/variables.h"

namespace millrace::train {

// The variable as an argument of an op that updates it.
inline OpArg target(const Variable& var) { return var.ref(); }

inline std::string_view kind(const Variable& var, std::string_view ref_type, std::string_view resource_type) {
  return var.is_resource() ? resource_type : ref_type;
}

inline Output as_dtype(const Output& hyperparameter, const Variable& var) {
  return cast(hyperparameter, base_dtype(var.dtype()));
}

}  // namespace millrace::train
