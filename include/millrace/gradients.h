#pragma once
// Symbolic derivatives: tf.gradients.
//
//   std::vector<tf::Output> dw = tf::gradients({loss}, {w, b});

#include <optional>
#include <string>
#include <vector>

#include "millrace/graph.h"

namespace millrace {

#pragma GCC visibility push(default)

enum class UnconnectedGradients { NONE, ZERO };
enum class AggregationMethod { ADD_N = 0, EXPERIMENTAL_TREE = 1, EXPERIMENTAL_ACCUMULATE_N = 2, DEFAULT = ADD_N };

struct GradientsOptions {
  std::vector<Output> grad_ys = {};  // empty, or one per y, absent ones standing for ones
  std::string name = "gradients";
  bool colocate_gradients_with_ops = false;
  bool gate_gradients = false;
  AggregationMethod aggregation_method = AggregationMethod::DEFAULT;
  std::vector<Output> stop_gradients = {};
  UnconnectedGradients unconnected_gradients = UnconnectedGradients::NONE;
};

// The gradient of one x: dense, as slices, or none (TF1's None) where no y depends on x.
class Gradient {
 public:
  Gradient() = default;
  Gradient(Output dense) : dense_(dense) {}                       // NOLINT
  Gradient(IndexedSlices slices) : slices_(std::move(slices)) {}  // NOLINT
  explicit operator bool() const { return static_cast<bool>(dense_) || slices_.has_value(); }
  bool is_slices() const { return slices_.has_value(); }
  const Output& dense() const { return dense_; }            // absent unless dense
  const IndexedSlices& slices() const { return *slices_; }  // only if is_slices()

 private:
  Output dense_;
  std::optional<IndexedSlices> slices_;
};

// d(sum of ys)/dx for each x. NotFoundError (TF1's LookupError) for an op without a gradient.
// A variable stands for what the optimizer differentiates by: its reference or its handle.
std::vector<Gradient> gradients(const std::vector<Input>& ys, const std::vector<Input>& xs,
                                const GradientsOptions& options = {});

// A slices gradient as a dense tensor (UnsortedSegmentSum), as TF1's conversion does; dense ones unchanged.
Output dense_gradient(const Gradient& gradient);

#pragma GCC visibility pop

}  // namespace millrace
