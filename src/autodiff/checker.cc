#include "autodiff/checker.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "autodiff/gradients.h"
#include "graph/op_maker.h"
#include "tensor/tensor.h"

namespace millrace {
namespace {

bool is_checked_dtype(DataType dtype) {
  return base_dtype(dtype) == DataType::kFloat || base_dtype(dtype) == DataType::kDouble;
}

double element(const Tensor& t, int64_t i) {
  const auto k = static_cast<size_t>(i);
  return t.dtype() == DataType::kDouble ? t.unchecked<double>()[k] : t.unchecked<float>()[k];
}
void set_element(Tensor* t, int64_t i, double value) {
  const auto k = static_cast<size_t>(i);
  if (t->dtype() == DataType::kDouble) t->unchecked_mutable<double>()[k] = value;
  else t->unchecked_mutable<float>()[k] = static_cast<float>(value);
}

absl::StatusOr<Tensor> random_weights(const Tensor& like, uint64_t seed) {
  MR_ASSIGN_OR_RETURN(Tensor weights, make_zeroed_tensor(like.dtype(), like.shape()));
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> uniform(0.5, 1.5);
  for (int64_t i = 0; i < weights.num_elements(); ++i) set_element(&weights, i, uniform(random));
  return weights;
}

double weighted_sum(const Tensor& y, const Tensor& weights) {
  double sum = 0;
  for (int64_t i = 0; i < y.num_elements(); ++i) sum += element(y, i) * element(weights, i);
  return sum;
}

class Checker {
 public:
  Checker(GraphImpl& graph, const std::vector<Output>& xs, const std::vector<Tensor>& values, const Output& y,
          const Evaluate& evaluate, const GradientCheckOptions& options)
      : graph_(graph), xs_(xs), values_(values), y_(y), evaluate_(evaluate), options_(options) {}

  absl::StatusOr<GradientError> run() {
    MR_ASSIGN_OR_RETURN(const Tensor y, value_of_y(values_));
    MR_ASSIGN_OR_RETURN(weights_, random_weights(y, options_.seed));
    MR_ASSIGN_OR_RETURN(const std::vector<Tensor> symbolic, symbolic_gradients());
    GradientError worst;
    for (size_t i = 0; i < xs_.size(); ++i)
      for (int64_t k = 0; k < values_[i].num_elements(); ++k) {
        MR_ASSIGN_OR_RETURN(const double numeric, difference(i, k));
        compare(i, k, element(symbolic[i], k), numeric, &worst);
      }
    return worst;
  }

 private:
  std::vector<std::pair<Output, Tensor>> feeds(const std::vector<Tensor>& values) const {
    std::vector<std::pair<Output, Tensor>> result;
    for (size_t i = 0; i < xs_.size(); ++i) result.emplace_back(xs_[i], values[i]);
    return result;
  }

  absl::StatusOr<Tensor> value_of_y(const std::vector<Tensor>& values) const {
    MR_ASSIGN_OR_RETURN(std::vector<Tensor> fetched, evaluate_(feeds(values), {y_}));
    return std::move(fetched[0]);
  }

  absl::StatusOr<std::vector<Tensor>> symbolic_gradients() {
    MR_ASSIGN_OR_RETURN(const Output dy, make_const(graph_, weights_, "weights"));
    GradientSpec spec;
    spec.ys = {y_};
    spec.xs = xs_;
    spec.grad_ys = {dy};
    spec.zeros_for_unconnected = true;
    MR_ASSIGN_OR_RETURN(const std::vector<Gradient> gradients, add_gradients(graph_, spec));
    std::vector<Output> fetches;
    for (const Gradient& gradient : gradients) {
      Output dense = gradient.dense();
      if (gradient.is_slices()) {
        MR_ASSIGN_OR_RETURN(dense, densify(graph_, gradient.slices()));
      }
      fetches.push_back(dense);
    }
    MR_ASSIGN_OR_RETURN(std::vector<Tensor> values, evaluate_(feeds(values_), fetches));
    for (size_t i = 0; i < values.size(); ++i)
      if (!(values[i].shape() == values_[i].shape()))
        return internal_error("gradient of ", xs_[i].name(), " has shape ", values[i].shape(), ", x has ",
                              values_[i].shape());
    return values;
  }

  absl::StatusOr<double> difference(size_t i, int64_t k) const {
    const double at = element(values_[i], k);
    const double base = options_.delta > 0 ? options_.delta : values_[i].dtype() == DataType::kDouble ? 1e-5 : 1e-2;
    const double delta = base * std::max(1.0, std::abs(at));
    double sides[2];
    for (int side = 0; side < 2; ++side) {
      std::vector<Tensor> moved = values_;
      MR_ASSIGN_OR_RETURN(moved[i], deep_copy(values_[i]));
      set_element(&moved[i], k, at + (side == 0 ? delta : -delta));
      MR_ASSIGN_OR_RETURN(const Tensor y, value_of_y(moved));
      sides[side] = weighted_sum(y, weights_);
    }
    return (sides[0] - sides[1]) / (2 * delta);
  }

  void compare(size_t i, int64_t k, double symbolic, double numeric, GradientError* worst) const {
    const double absolute = std::abs(symbolic - numeric);
    const double relative = absolute / std::max(1.0, std::abs(numeric));
    worst->absolute = std::max(worst->absolute, absolute);
    if (relative <= worst->relative && !std::isnan(relative)) return;
    worst->relative = relative;
    worst->description = str_cat("element ", k, " of ", xs_[i].name(), ": symbolic ", symbolic, ", numeric ", numeric);
  }

  GraphImpl& graph_;
  const std::vector<Output>& xs_;
  const std::vector<Tensor>& values_;
  Output y_;
  const Evaluate& evaluate_;
  GradientCheckOptions options_;
  Tensor weights_;
};

}  // namespace

absl::StatusOr<GradientError> check_gradients(GraphImpl& graph, const std::vector<Output>& xs,
                                              const std::vector<Tensor>& values, const Output& y,
                                              const Evaluate& evaluate, const GradientCheckOptions& options) {
  if (xs.size() != values.size())
    return invalid_argument("check_gradients: ", xs.size(), " xs but ", values.size(), " values");
  if (!is_checked_dtype(y.dtype()))
    return invalid_argument("check_gradients: y must be float or double, got ", dtype_name(y.dtype()));
  for (size_t i = 0; i < xs.size(); ++i)
    if (!is_checked_dtype(xs[i].dtype()) || values[i].dtype() != base_dtype(xs[i].dtype()))
      return invalid_argument("check_gradients: x and its value must be float or double alike: ", xs[i].name());
  return Checker(graph, xs, values, y, evaluate, options).run();
}

}  // namespace millrace
