#pragma once
// IndexedSlices: sums of them, and their dense form.

#include <string>
#include <vector>

#include "autodiff/gradients.h"

namespace millrace {

// The sum of gradients of which at least one is slices: slices again if all are (concatenated), else dense.
absl::StatusOr<Gradient> sum_of_slices(GraphImpl& graph, const std::vector<Gradient>& parts, const std::string& source);

// The dense form as Python's conversion makes it in the current scope: UnsortedSegmentSum named `name` (empty: its
// type).
absl::StatusOr<Output> dense_form(GraphImpl& graph, const IndexedSlices& slices, std::string_view name,
                                  const std::string& source);

}  // namespace millrace
