#pragma once
// Gradients of functions, as SymbolicGradient asks for them.

#include "graph/function.h"

namespace millrace {

// The name of a function whose attribute "f" names another one: its gradient.
inline constexpr const char* kSymbolicGradient = "SymbolicGradient";

// From the arguments of `function` and the gradients of its results to the gradients of its arguments: the function
// that the library names as its gradient, else what gradients() builds from its body. Arguments that do not matter get
// zeros.
absl::StatusOr<FunctionBody> gradient_of_function(const FunctionLibrary& library, const FunctionRef& function);

}  // namespace millrace
