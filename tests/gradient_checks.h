#pragma once
// Gradient rules held against central differences, in double, through graph, driver and session.

#include <string>
#include <vector>

#include "autodiff/checker.h"
#include "autodiff/gradients.h"
#include "runtime/testing_graph.h"

namespace millrace {

inline Evaluate evaluator(const std::shared_ptr<SessionCore>& session) {
  return [session](const std::vector<std::pair<Output, Tensor>>& feeds, const std::vector<Output>& fetches) {
    return run_all(*session, fetches, feeds);
  };
}

inline Tensor grid(const TensorShape& shape, double from, double to) {
  std::vector<double> values(static_cast<size_t>(shape.num_elements()));
  // Not in order, so that neighbours differ in every dimension.
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = from + (to - from) * static_cast<double>((i * 7 + 3) % 11 + 1) / 12.3 + 1e-3 * static_cast<double>(i);
  return Tensor(shape, values);
}

inline void expect_gradient(TestGraph& g, const std::vector<Output>& xs, const std::vector<Tensor>& values,
                            const Output& y, const std::string& what, double tolerance = 1e-6) {
  const absl::StatusOr<GradientError> e = check_gradients(*g.graph, xs, values, y, evaluator(g.session()));
  ASSERT_TRUE(e.ok()) << what << ": " << e.status();
  EXPECT_LT(e->relative, tolerance) << what << ": " << e->description;
}

// The rule itself, and the rule of what the rule builds.
inline void expect_gradients_twice(TestGraph& g, const std::vector<Output>& xs, const std::vector<Tensor>& values,
                                   const Output& y, const std::string& what) {
  expect_gradient(g, xs, values, y, what);
  GradientSpec spec;
  spec.ys = {y};
  spec.xs = xs;
  const absl::StatusOr<std::vector<Gradient>> first = add_gradients(*g.graph, spec);
  ASSERT_TRUE(first.ok()) << what << ": " << first.status();
  for (const Gradient& dx : *first) {
    if (dx) expect_gradient(g, xs, values, dx.dense(), "second derivative of " + what, 1e-5);
  }
}

}  // namespace millrace
