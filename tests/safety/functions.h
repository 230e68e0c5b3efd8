#pragma once
// The functions that attributes of the safety test's nodes name.

#include <memory>

#include "graph/function.h"

namespace millrace {

// fn_int, fn_float, fn_pred, fn_dataset, fn_fails, fn_calls_itself, fn_nothing; not fn_absent.
std::shared_ptr<FunctionLibrary> safety_functions();

}  // namespace millrace
