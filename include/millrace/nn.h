#pragma once
// Building blocks of neural networks: activations (function objects, so that layers can take them), losses per example,
// normalization, dropout and look-ups, with TF1's names and defaults.

#include <optional>
#include <vector>

#include "millrace/framework.h"
#include "millrace/math_ops.h"

namespace millrace::nn {

#pragma GCC visibility push(default)

inline constexpr UnaryOp relu{"Relu"}, relu6{"Relu6"}, elu{"Elu"}, selu{"Selu"}, softplus{"Softplus"},
    softsign{"Softsign"}, tanh{"Tanh"}, sigmoid{"Sigmoid"}, l2_loss{"L2Loss"};

struct LeakyReluOptions {
  float alpha = 0.2f;
  std::string_view name = {};
};
Output leaky_relu(const Input& features, const LeakyReluOptions& options = {});

struct SoftmaxOptions {
  int64_t axis = -1;
  std::string_view name = {};
};
Output softmax(const Input& logits, const SoftmaxOptions& options = {});
Output log_softmax(const Input& logits, const SoftmaxOptions& options = {});

struct BiasAddOptions {
  std::string data_format = "NHWC";  // or "NCHW": the channels are the second dimension
  std::string_view name = {};
};
Output bias_add(const Input& value, const Input& bias, const BiasAddOptions& options = {});
// matmul(x, weights) + biases
Output xw_plus_b(const Input& x, const Input& weights, const Input& biases, const NameOptions& options = {});

// Exactly one of rate and keep_prob. Kept elements are scaled by 1 / (1 - rate).
struct DropoutOptions {
  std::optional<double> rate = {};
  std::optional<double> keep_prob = {};
  Input noise_shape = {};  // the shape of x
  std::optional<int64_t> seed = {};
  std::string_view name = {};
};
Output dropout(const Input& x, const DropoutOptions& options);

// --- cross entropies, one value per example

struct CrossEntropyOptions {
  int64_t axis = -1;
  std::string_view name = {};
};
// No gradient flows into the labels.
Output softmax_cross_entropy_with_logits(const Input& labels, const Input& logits,
                                         const CrossEntropyOptions& options = {});
Output softmax_cross_entropy_with_logits_v2(const Input& labels, const Input& logits,
                                            const CrossEntropyOptions& options = {});
// labels: class numbers, of the shape of logits without the last dimension.
Output sparse_softmax_cross_entropy_with_logits(const Input& labels, const Input& logits,
                                                const NameOptions& options = {});
Output sigmoid_cross_entropy_with_logits(const Input& labels, const Input& logits, const NameOptions& options = {});
Output weighted_cross_entropy_with_logits(const Input& labels, const Input& logits, const Input& pos_weight,
                                          const NameOptions& options = {});

// --- statistics

struct Moments {
  Output mean;
  Output variance;
};
struct MomentsOptions {
  bool keep_dims = false;
  std::string_view name = {};
};
Moments moments(const Input& x, const std::vector<int32_t>& axes, const MomentsOptions& options = {});
// (x - mean) * scale / sqrt(variance + variance_epsilon) + offset; offset and scale may be absent.
Output batch_normalization(const Input& x, const Input& mean, const Input& variance, const Input& offset,
                           const Input& scale, double variance_epsilon, const NameOptions& options = {});
struct L2NormalizeOptions {
  double epsilon = 1e-12;
  std::string_view name = {};
};
Output l2_normalize(const Input& x, const Input& axis, const L2NormalizeOptions& options = {});

// --- look-ups

struct TopK {
  Output values;
  Output indices;
};
struct TopKOptions {
  bool sorted = true;
  std::string_view name = {};
};
TopK top_k(const Input& input, const Input& k = 1, const TopKOptions& options = {});
Output in_top_k(const Input& predictions, const Input& targets, const Input& k, const NameOptions& options = {});
// Rows of one table.
Output embedding_lookup(const Input& params, const Input& ids, const NameOptions& options = {});

#pragma GCC visibility pop

}  // namespace millrace::nn
