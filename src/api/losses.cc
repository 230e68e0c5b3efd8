#include "millrace/losses.h"

#include "api/op_builder.h"
#include "api/weights_broadcast.h"
#include "millrace/array_ops.h"
#include "millrace/math_ops.h"
#include "millrace/nn.h"

namespace millrace::losses {
namespace {

std::string_view name_or(std::string_view name, std::string_view default_name) {
  return name.empty() ? default_name : name;
}

// The number of elements whose weight is not zero.
Output num_present(const Output& losses, const Output& weights) {
  const name_scope scope("num_present");
  const Output absent = equal(weights, 0.0);
  const Output zeros = zeros_like(weights);
  const Output present = where(absent, zeros, ones_like(weights));
  return reduce_sum(broadcast_weights(present, losses), {}, {.name = scope.name()});
}

Output num_elements(const Output& losses) {
  const name_scope scope("num_elements");
  return cast(size(losses), base_dtype(losses.dtype()), {});
}

Output safe_mean(const Output& losses, const Output& count) {
  return div_no_nan(reduce_sum(losses), count, {.name = "value"});
}

Output reduced(const Output& weighted, const Output& losses, const Output& weights, const std::string& reduction) {
  if (reduction == Reduction::NONE) return weighted;
  const Output sum = reduce_sum(weighted);
  if (reduction == Reduction::MEAN) return safe_mean(sum, reduce_sum(ones_like(losses) * weights));
  if (reduction == Reduction::SUM_BY_NONZERO_WEIGHTS) return safe_mean(sum, num_present(losses, weights));
  if (reduction == Reduction::SUM_OVER_BATCH_SIZE) return safe_mean(sum, num_elements(losses));
  return sum;
}

Output weighted_loss(const Input& losses_input, const Input& weights_input, std::string_view scope_name,
                     const std::string& reduction, const std::optional<std::string>& collection) {
  if (reduction != Reduction::NONE && reduction != Reduction::SUM && reduction != Reduction::SUM_OVER_BATCH_SIZE &&
      reduction != Reduction::MEAN && reduction != Reduction::SUM_BY_NONZERO_WEIGHTS) {
    raise(invalid_argument("Invalid Reduction Key ", reduction, "."));
  }
  const name_scope scope(name_or(scope_name, "weighted_loss"));
  const Output unscaled = convert_to_tensor(losses_input);
  const control_dependencies checked({assert_broadcastable(weights_input, unscaled)});
  const DataType dtype = base_dtype(unscaled.dtype());
  const Output losses = cast(unscaled, float32);
  const Output weights = weights_input.is_literal()
                             ? cast(Tensor(value_or_raise(cast_literal(weights_input.literal(), float32))), float32)
                             : cast(weights_input, float32);
  const Output result = cast(reduced(multiply(losses, weights), losses, weights, reduction), dtype);
  if (collection) add_loss(result, *collection);
  return result;
}

void check_same_shape(const Output& labels, const Output& predictions, std::string_view what) {
  if (!labels.shape().is_compatible_with(predictions.shape())) {
    raise(invalid_argument(what, ": Shapes ", predictions.shape(), " and ", labels.shape(), " are incompatible"));
  }
}

struct Pair {
  Output labels;
  Output predictions;
};

Pair as_floats(const Input& labels, const Input& predictions, std::string_view what) {
  Pair pair;
  pair.predictions = cast(predictions, float32);
  pair.labels = cast(labels, float32);
  check_same_shape(pair.labels, pair.predictions, what);
  return pair;
}

}  // namespace

Output compute_weighted_loss(const Input& losses, const LossOptions& o) {
  const SourceScope source(losses);
  return weighted_loss(losses, o.weights, o.scope, o.reduction, o.loss_collection);
}

Output absolute_difference(const Input& labels, const Input& predictions, const LossOptions& o) {
  const SourceScope source(labels);
  const name_scope scope(name_or(o.scope, "absolute_difference"));
  const Pair p = as_floats(labels, predictions, "absolute_difference");
  return weighted_loss(millrace::abs(subtract(p.predictions, p.labels)), o.weights, scope.name(), o.reduction,
                       o.loss_collection);
}

Output mean_squared_error(const Input& labels, const Input& predictions, const LossOptions& o) {
  const SourceScope source(labels);
  const name_scope scope(name_or(o.scope, "mean_squared_error"));
  const Pair p = as_floats(labels, predictions, "mean_squared_error");
  return weighted_loss(squared_difference(p.predictions, p.labels), o.weights, scope.name(), o.reduction,
                       o.loss_collection);
}

Output cosine_distance(const Input& labels, const Input& predictions, int64_t axis, const LossOptions& o) {
  const SourceScope source(labels);
  const name_scope scope(name_or(o.scope, "cosine_distance_loss"));
  const Pair p = as_floats(labels, predictions, "cosine_distance");
  const Output diffs = multiply(p.predictions, p.labels);
  const Output sum = reduce_sum(diffs, std::vector<int32_t>{static_cast<int32_t>(axis)}, {.keepdims = true});
  return weighted_loss(1 - sum, o.weights, scope.name(), o.reduction, o.loss_collection);
}

Output hinge_loss(const Input& labels_input, const Input& logits_input, const LossOptions& o) {
  const SourceScope source(labels_input);
  const name_scope scope(name_or(o.scope, "hinge_loss"));
  const Pair p = as_floats(labels_input, logits_input, "hinge_loss");
  const Output all_ones = ones_like(p.labels);
  const Output signs = subtract(2 * p.labels, all_ones);  // {0, 1} -> {-1, 1}
  return weighted_loss(nn::relu(subtract(all_ones, multiply(signs, p.predictions))), o.weights, scope.name(),
                       o.reduction, o.loss_collection);
}

// 0.5 e^2 up to delta, from there on linear (Huber 1964).
Output huber_loss(const Input& labels, const Input& predictions, const HuberLossOptions& o) {
  const SourceScope source(labels);
  const name_scope scope(name_or(o.scope, "huber_loss"));
  const Pair p = as_floats(labels, predictions, "huber_loss");
  const Output abs_error = millrace::abs(subtract(p.predictions, p.labels));
  const Output quadratic = minimum(abs_error, o.delta);
  const Output linear = subtract(abs_error, quadratic);
  const Output half = convert_to_tensor(constant(0.5, {.dtype = base_dtype(quadratic.dtype())}));
  const Output losses = add(multiply(half, multiply(quadratic, quadratic)), multiply(o.delta, linear));
  return weighted_loss(losses, o.weights, scope.name(), o.reduction, o.loss_collection);
}

Output log_loss(const Input& labels, const Input& predictions, const LogLossOptions& o) {
  const SourceScope source(labels);
  const name_scope scope(name_or(o.scope, "log_loss"));
  const Pair p = as_floats(labels, predictions, "log_loss");
  const Output positive = negative(multiply(p.labels, log(p.predictions + o.epsilon)));
  const Output rest = 1 - p.labels;
  const Output negative_part = multiply(rest, log((1 - p.predictions) + o.epsilon));
  return weighted_loss(positive - negative_part, o.weights, scope.name(), o.reduction, o.loss_collection);
}

Output sigmoid_cross_entropy(const Input& labels_input, const Input& logits_input, const CrossEntropyLossOptions& o) {
  const SourceScope source(logits_input);
  const name_scope scope(name_or(o.scope, "sigmoid_cross_entropy_loss"));
  const Output logits = convert_to_tensor(logits_input);
  Output labels = cast(labels_input, base_dtype(logits.dtype()));
  check_same_shape(labels, logits, "sigmoid_cross_entropy");
  if (o.label_smoothing > 0) labels = labels * (1 - o.label_smoothing) + 0.5 * o.label_smoothing;
  const Output losses = nn::sigmoid_cross_entropy_with_logits(labels, logits, {.name = "xentropy"});
  return weighted_loss(losses, o.weights, scope.name(), o.reduction, o.loss_collection);
}

Output softmax_cross_entropy(const Input& labels_input, const Input& logits_input, const CrossEntropyLossOptions& o) {
  const SourceScope source(logits_input);
  const name_scope scope(name_or(o.scope, "softmax_cross_entropy_loss"));
  const Output logits = convert_to_tensor(logits_input);
  Output labels = cast(labels_input, base_dtype(logits.dtype()));
  check_same_shape(labels, logits, "softmax_cross_entropy");
  if (o.label_smoothing > 0) {
    const Output classes = cast(index(shape(labels), {IndexItem(1)}), base_dtype(logits.dtype()));
    labels = labels * (1.0 - o.label_smoothing) + o.label_smoothing / classes;
  }
  labels = stop_gradient(labels, {.name = "labels_stop_gradient"});
  const Output losses = nn::softmax_cross_entropy_with_logits_v2(labels, logits, {.name = "xentropy"});
  return weighted_loss(losses, o.weights, scope.name(), o.reduction, o.loss_collection);
}

namespace {

// Drops a trailing dimension of 1 that one side has more than the other:
// tf.confusion_matrix.remove_squeezable_dimensions.
void remove_squeezable_dimensions(Output* labels, const Output& values, int expected_rank_diff) {
  const PartialTensorShape ls = labels->shape(), vs = values.shape();
  if (!ls.has_rank() || !vs.has_rank()) return;
  const int rank_diff = vs.rank() - ls.rank();
  if (rank_diff == expected_rank_diff - 1 && ls.rank() > 0 &&
      (ls.dim(ls.rank() - 1) == 1 || ls.dim(ls.rank() - 1) == -1)) {
    *labels = squeeze(*labels, {.axis = {-1}});
  }
}

}  // namespace

Output sparse_softmax_cross_entropy(const Input& labels_input, const Input& logits_input, const LossOptions& o) {
  const SourceScope source(logits_input);
  const name_scope scope(name_or(o.scope, "sparse_softmax_cross_entropy_loss"));
  Output labels = convert_to_tensor(labels_input);
  const Output logits = convert_to_tensor(logits_input);
  Output weights = o.weights.is_literal() ? constant(o.weights)
                   : o.weights.output()   ? o.weights.output()
                                          : convert_to_tensor(o.weights);
  remove_squeezable_dimensions(&labels, logits, 1);
  if (weights.shape().rank() > 0) remove_squeezable_dimensions(&weights, logits, 1);
  const Output losses = nn::sparse_softmax_cross_entropy_with_logits(labels, logits, {.name = "xentropy"});
  return weighted_loss(losses, weights, scope.name(), o.reduction, o.loss_collection);
}

void add_loss(const Output& loss, std::string_view loss_collection) {
  if (!loss_collection.empty()) add_to_collection(loss_collection, loss);
}

std::vector<Output> get_losses(std::string_view scope, std::string_view loss_collection) {
  return get_collection<Output>(loss_collection, scope);
}

std::vector<Output> get_regularization_losses(std::string_view scope) {
  return get_collection<Output>(GraphKeys::REGULARIZATION_LOSSES, scope);
}

Output get_regularization_loss(std::string_view scope, std::string_view name) {
  const std::vector<Output> found = get_regularization_losses(scope);
  return found.empty() ? constant(0.0) : add_n(found, {.name = name});
}

Output get_total_loss(bool add_regularization_losses, std::string_view name, std::string_view scope) {
  std::vector<Output> all = get_losses(scope);
  if (add_regularization_losses) {
    for (const Output& loss : get_regularization_losses(scope)) all.push_back(loss);
  }
  if (all.empty()) raise(invalid_argument("get_total_loss: no losses have been collected"));
  return add_n(all, {.name = name});
}

}  // namespace millrace::losses
