#include "millrace/metrics.h"

#include "api/op_builder.h"
#include "api/weights_broadcast.h"
#include "millrace/array_ops.h"
#include "millrace/math_ops.h"
#include "millrace/variables.h"

namespace millrace::metrics {
namespace {

VariableScopeOptions default_name(const std::string& name, const char* fallback) {
  VariableScopeOptions options;
  if (name.empty()) options.default_name = fallback;
  return options;
}

Variable metric_variable(const std::string& name) {
  return get_variable(
      name, PartialTensorShape::scalar(),
      {.initializer = zeros_initializer(),
       .trainable = false,
       .collections = std::vector<std::string>{GraphKeys::LOCAL_VARIABLES, GraphKeys::METRIC_VARIABLES}});
}

Output ratio(const Output& total, const Output& count, std::string_view name) {
  return div_no_nan(total, maximum(count, 0), {.name = name});
}

Metric collected(const Metric& metric, const MetricOptions& o) {
  for (const std::string& key : o.metrics_collections) add_to_collection(key, metric.value);
  for (const std::string& key : o.updates_collections) add_to_collection(key, metric.update_op);
  return metric;
}

// Drops a trailing dimension of 1 of the weights where values lack it, or adds one.
Output fit_weights(const Input& input, const Output& values) {
  Output weights = convert_to_tensor(input);
  const PartialTensorShape ws = weights.shape(), vs = values.shape();
  if (!ws.has_rank() || !vs.has_rank() || ws.rank() == 0) return weights;
  if (ws.rank() - vs.rank() == 1 && ws.dim(ws.rank() - 1) == 1) return squeeze(weights, {.axis = {-1}});
  if (vs.rank() - ws.rank() == 1 && vs.dim(vs.rank() - 1) == 1) return expand_dims(weights, -1);
  return weights;
}

Metric streaming_mean(const Input& input, const MetricOptions& o, const char* fallback) {
  const SourceScope source(input);
  const variable_scope scope(o.name, default_name(o.name, fallback));
  Output values = cast(input, float32);
  const Variable total = metric_variable("total"), count = metric_variable("count");
  Output num_values;
  if (!o.weights) {
    num_values = cast(size(values), float32);
  } else {
    Output weights = fit_weights(o.weights, values);
    weights = broadcast_weights(cast(weights, float32), values);
    values = multiply(values, weights);
    num_values = reduce_sum(weights);
  }
  const Output update_total = total.assign_add(reduce_sum(values));
  Output update_count;
  {
    const control_dependencies after({Operation(values)});
    update_count = count.assign_add(num_values);
  }
  Metric metric;
  metric.value = ratio(total, count, "value");
  metric.update_op = ratio(update_total, update_count, "update_op");
  return collected(metric, o);
}

struct Pair {
  Output labels;
  Output predictions;
};

// A trailing dimension of 1 that only one of both has goes.
Pair matched(const Input& labels_input, const Input& predictions_input, const char* what) {
  Pair p{convert_to_tensor(labels_input), convert_to_tensor(predictions_input)};
  const PartialTensorShape ls = p.labels.shape(), ps = p.predictions.shape();
  if (ls.has_rank() && ps.has_rank()) {
    if (ps.rank() - ls.rank() == 1 && ps.dim(ps.rank() - 1) == 1)
      p.predictions = squeeze(p.predictions, {.axis = {-1}});
    if (ls.rank() - ps.rank() == 1 && ls.dim(ls.rank() - 1) == 1) p.labels = squeeze(p.labels, {.axis = {-1}});
  }
  if (!p.labels.shape().is_compatible_with(p.predictions.shape())) {
    raise(invalid_argument(what, ": Shapes ", p.predictions.shape(), " and ", p.labels.shape(), " are incompatible"));
  }
  return p;
}

}  // namespace

Metric mean(const Input& values, const MetricOptions& o) { return streaming_mean(values, o, "mean"); }

Metric accuracy(const Input& labels, const Input& predictions, const MetricOptions& o) {
  const SourceScope source(labels);
  Pair p = matched(labels, predictions, "accuracy");
  if (base_dtype(p.labels.dtype()) != base_dtype(p.predictions.dtype()))
    p.predictions = cast(p.predictions, base_dtype(p.labels.dtype()));
  return streaming_mean(cast(equal(p.predictions, p.labels), float32), o, "accuracy");
}

Metric mean_absolute_error(const Input& labels, const Input& predictions, const MetricOptions& o) {
  const SourceScope source(labels);
  const Pair p = matched(labels, predictions, "mean_absolute_error");
  return streaming_mean(millrace::abs(p.predictions - p.labels), o, "mean_absolute_error");
}

Metric mean_squared_error(const Input& labels, const Input& predictions, const MetricOptions& o) {
  const SourceScope source(labels);
  const Pair p = matched(labels, predictions, "mean_squared_error");
  return streaming_mean(squared_difference(p.labels, p.predictions), o, "mean_squared_error");
}

Metric root_mean_squared_error(const Input& labels, const Input& predictions, const MetricOptions& o) {
  const SourceScope source(labels);
  MetricOptions inner = o;
  inner.metrics_collections.clear();
  inner.updates_collections.clear();
  inner.name = o.name.empty() ? "root_mean_squared_error" : o.name;
  const Metric mse = mean_squared_error(labels, predictions, inner);
  return collected({sqrt(mse.value), sqrt(mse.update_op)}, o);
}

}  // namespace millrace::metrics
