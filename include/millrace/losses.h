#pragma once
// Losses of a batch, weighted and reduced, and collected in GraphKeys::LOSSES: tf.losses.

#include <optional>
#include <string>
#include <vector>

#include "millrace/framework.h"

namespace millrace::losses {

#pragma GCC visibility push(default)

struct Reduction {
  static constexpr const char* NONE = "none";
  static constexpr const char* SUM = "weighted_sum";
  static constexpr const char* SUM_OVER_BATCH_SIZE = "weighted_sum_over_batch_size";
  static constexpr const char* MEAN = "weighted_mean";
  static constexpr const char* SUM_BY_NONZERO_WEIGHTS = "weighted_sum_by_nonzero_weights";
  static constexpr const char* SUM_OVER_NONZERO_WEIGHTS = SUM_BY_NONZERO_WEIGHTS;
};

// Weights broadcast against the losses: a scalar, or of the losses' rank with dimensions of their size or 1.
struct LossOptions {
  Input weights = 1.0;
  std::string scope = {};
  std::optional<std::string> loss_collection = GraphKeys::LOSSES;  // nullopt: in none
  std::string reduction = Reduction::SUM_BY_NONZERO_WEIGHTS;
};
Output compute_weighted_loss(const Input& losses, const LossOptions& options = {});

Output absolute_difference(const Input& labels, const Input& predictions, const LossOptions& options = {});
Output mean_squared_error(const Input& labels, const Input& predictions, const LossOptions& options = {});
Output cosine_distance(const Input& labels, const Input& predictions, int64_t axis, const LossOptions& options = {});
Output hinge_loss(const Input& labels, const Input& logits, const LossOptions& options = {});

struct HuberLossOptions {
  Input weights = 1.0;
  double delta = 1.0;
  std::string scope = {};
  std::optional<std::string> loss_collection = GraphKeys::LOSSES;
  std::string reduction = Reduction::SUM_BY_NONZERO_WEIGHTS;
};
Output huber_loss(const Input& labels, const Input& predictions, const HuberLossOptions& options = {});

struct LogLossOptions {
  Input weights = 1.0;
  double epsilon = 1e-7;
  std::string scope = {};
  std::optional<std::string> loss_collection = GraphKeys::LOSSES;
  std::string reduction = Reduction::SUM_BY_NONZERO_WEIGHTS;
};
Output log_loss(const Input& labels, const Input& predictions, const LogLossOptions& options = {});

struct CrossEntropyLossOptions {
  Input weights = 1.0;
  double label_smoothing = 0;
  std::string scope = {};
  std::optional<std::string> loss_collection = GraphKeys::LOSSES;
  std::string reduction = Reduction::SUM_BY_NONZERO_WEIGHTS;
};
Output sigmoid_cross_entropy(const Input& multi_class_labels, const Input& logits,
                             const CrossEntropyLossOptions& options = {});
Output softmax_cross_entropy(const Input& onehot_labels, const Input& logits,
                             const CrossEntropyLossOptions& options = {});
// labels: class numbers.
Output sparse_softmax_cross_entropy(const Input& labels, const Input& logits, const LossOptions& options = {});

void add_loss(const Output& loss, std::string_view loss_collection = GraphKeys::LOSSES);
std::vector<Output> get_losses(std::string_view scope = {}, std::string_view loss_collection = GraphKeys::LOSSES);
std::vector<Output> get_regularization_losses(std::string_view scope = {});
Output get_regularization_loss(std::string_view scope = {}, std::string_view name = "total_regularization_loss");
// The sum of all collected losses; InvalidArgumentError if there are none.
Output get_total_loss(bool add_regularization_losses = true, std::string_view name = "total_loss",
                      std::string_view scope = {});

#pragma GCC visibility pop

}  // namespace millrace::losses
