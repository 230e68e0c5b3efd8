#pragma once
// Equations of Einsum ("ab...,bc->ac..."), with explicit output: parsed, and laid over shapes.

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "tensor/shape.h"

namespace millrace {

// Subscripts with '.' in the place of an ellipsis.
struct EinsumEquation {
  std::vector<std::string> inputs;  // one or two
  std::string output;
};
absl::StatusOr<EinsumEquation> parse_einsum(std::string_view equation);

// A dimension's label: a letter, or kEinsumBroadcast + n for the n-th dimension of an ellipsis, counted from its end.
using EinsumLabels = std::vector<int>;
inline constexpr int kEinsumBroadcast = 256;

struct EinsumLayout {
  std::vector<EinsumLabels> inputs;
  EinsumLabels output;
  std::vector<int64_t> sizes;  // by label; -1 for one that is not there or not known
};
// InvalidArgument where ranks or dimensions do not fit. All shapes have a rank.
absl::StatusOr<EinsumLayout> lay_out_einsum(const EinsumEquation& equation,
                                            const std::vector<PartialTensorShape>& shapes);

}  // namespace millrace
