#pragma once
// Streaming metrics: local variables gather the batches, `value` reads the result, `update_op` adds a batch and gives
// the result after it. tf.metrics.
//
//   auto [accuracy, update] = tf::metrics::accuracy(labels, predictions);

#include <string>
#include <vector>

#include "millrace/framework.h"

namespace millrace::metrics {

#pragma GCC visibility push(default)

struct Metric {
  Output value;
  Output update_op;
};

struct MetricOptions {
  Input weights = {};  // broadcast against the values
  std::vector<std::string> metrics_collections = {};
  std::vector<std::string> updates_collections = {};
  std::string name = {};
};

// The weighted mean of all elements: 0 before any.
Metric mean(const Input& values, const MetricOptions& options = {});
// How often predictions equal labels.
Metric accuracy(const Input& labels, const Input& predictions, const MetricOptions& options = {});
Metric mean_absolute_error(const Input& labels, const Input& predictions, const MetricOptions& options = {});
Metric mean_squared_error(const Input& labels, const Input& predictions, const MetricOptions& options = {});
Metric root_mean_squared_error(const Input& labels, const Input& predictions, const MetricOptions& options = {});

#pragma GCC visibility pop

}  // namespace millrace::metrics
