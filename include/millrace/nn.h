#pragma once
// Building blocks of neural networks: activations (function objects, so that layers can take them), losses per example,
// normalization, dropout and look-ups, with TF1's names and defaults.

#include <optional>
#include <string>
#include <utility>
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

// --- convolutions and pooling of images [batch, height, width, channels], or [batch, channels, height, width] for
// data_format "NCHW"

// Sizes along an image: one number for height and width, two numbers, or one for each of the four dimensions.
class Sizes {
 public:
  Sizes(int64_t both) : values_{both} {}                              // NOLINT: written where it is used
  Sizes(int both) : values_{both} {}                                  // NOLINT
  Sizes(std::initializer_list<int64_t> values) : values_(values) {}   // NOLINT
  Sizes(std::vector<int64_t> values) : values_(std::move(values)) {}  // NOLINT
  const std::vector<int64_t>& values() const { return values_; }

 private:
  std::vector<int64_t> values_;
};

// "SAME", "VALID", or how many zeros go before and after each of the four dimensions.
class Padding {
 public:
  using BeforeAndAfter = std::pair<int64_t, int64_t>;
  Padding(const char* name) : name_(name) {}                               // NOLINT: written where it is used
  Padding(std::string name) : name_(std::move(name)) {}                    // NOLINT
  Padding(const std::vector<BeforeAndAfter>& zeros) : name_("EXPLICIT") {  // NOLINT
    for (const auto& [before, after] : zeros) zeros_.insert(zeros_.end(), {before, after});
  }
  const std::string& name() const { return name_; }
  const std::vector<int64_t>& zeros() const { return zeros_; }

 private:
  std::string name_;
  std::vector<int64_t> zeros_;
};

struct Conv2dOptions {
  std::string data_format = "NHWC";
  Sizes dilations = 1;
  std::string_view name = {};
};
// filter: [height, width, in channels, out channels], or in channels / groups for a grouped convolution.
Output conv2d(const Input& input, const Input& filter, const Sizes& strides, const Padding& padding,
              const Conv2dOptions& options = {});
// The gradients of conv2d with respect to its input and its filter, whose shapes are given.
Output conv2d_backprop_input(const Input& input_sizes, const Input& filter, const Input& out_backprop,
                             const Sizes& strides, const Padding& padding, const Conv2dOptions& options = {});
Output conv2d_backprop_filter(const Input& input, const Input& filter_sizes, const Input& out_backprop,
                              const Sizes& strides, const Padding& padding, const Conv2dOptions& options = {});
// conv2d_backprop_input as a layer of its own; filter: [height, width, out channels, in channels].
Output conv2d_transpose(const Input& value, const Input& filter, const Input& output_shape, const Sizes& strides,
                        const Padding& padding = "SAME", const Conv2dOptions& options = {});
// Each channel with filters of its own: [height, width, channels, multiplier].
Output depthwise_conv2d_native(const Input& input, const Input& filter, const Sizes& strides, const Padding& padding,
                               const Conv2dOptions& options = {});
struct DepthwiseConv2dOptions {
  Sizes rate = 1;  // dilations
  std::string data_format = "NHWC";
  std::string_view name = {};
};
Output depthwise_conv2d(const Input& input, const Input& filter, const Sizes& strides, const Padding& padding,
                        const DepthwiseConv2dOptions& options = {});
// depthwise_conv2d, then a pointwise filter [1, 1, channels * multiplier, out channels].
Output separable_conv2d(const Input& input, const Input& depthwise_filter, const Input& pointwise_filter,
                        const Sizes& strides, const Padding& padding, const DepthwiseConv2dOptions& options = {});

struct PoolOptions {
  std::string data_format = "NHWC";
  std::string_view name = {};
};
Output max_pool(const Input& value, const Sizes& ksize, const Sizes& strides, const Padding& padding,
                const PoolOptions& options = {});
Output max_pool2d(const Input& value, const Sizes& ksize, const Sizes& strides, const Padding& padding,
                  const PoolOptions& options = {});
Output avg_pool(const Input& value, const Sizes& ksize, const Sizes& strides, const Padding& padding,
                const PoolOptions& options = {});
Output avg_pool2d(const Input& value, const Sizes& ksize, const Sizes& strides, const Padding& padding,
                  const PoolOptions& options = {});
struct MaxPoolWithArgmax {
  Output output;
  Output argmax;  // flat indices into the image, or into the batch
};
struct MaxPoolWithArgmaxOptions {
  DataType Targmax = int64;
  bool include_batch_in_index = false;
  std::string_view name = {};
};
MaxPoolWithArgmax max_pool_with_argmax(const Input& input, const Sizes& ksize, const Sizes& strides,
                                       const Padding& padding, const MaxPoolWithArgmaxOptions& options = {});

struct LocalResponseNormalizationOptions {
  int64_t depth_radius = 5;
  float bias = 1, alpha = 1, beta = 0.5f;
  std::string_view name = {};
};
Output local_response_normalization(const Input& input, const LocalResponseNormalizationOptions& options = {});
inline Output lrn(const Input& input, const LocalResponseNormalizationOptions& options = {}) {
  return local_response_normalization(input, options);
}

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
struct FusedBatchNorm {
  Output y;
  Output batch_mean;
  Output batch_variance;
};
struct FusedBatchNormOptions {
  Input mean = {};  // needed where is_training is false
  Input variance = {};
  double epsilon = 0.001;
  std::string data_format = "NHWC";
  bool is_training = true;
  std::string_view name = {};
  double exponential_avg_factor = 1;
};
// batch_normalization of each channel in one op, with the batch's own statistics or with given ones.
FusedBatchNorm fused_batch_norm(const Input& x, const Input& scale, const Input& offset,
                                const FusedBatchNormOptions& options = {});
struct L2NormalizeOptions {
  double epsilon = 1e-12;
  std::string_view name = {};
};
Output l2_normalize(const Input& x, const IntList& axis, const L2NormalizeOptions& options = {});

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
