#pragma once
// tf.train.Example read straight from its bytes into tensors, for the parsing ops.

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "tensor/tensor.h"

namespace millrace {

// dtypes are float, int64 or string.
struct DenseFeature {
  std::string_view key;
  DataType dtype = DataType::kInvalid;
  TensorShape shape;      // of one example; without the first dimension where that varies
  bool variable = false;  // any number of rows of `shape`, padded in batches
  Tensor default_value;   // no elements: the feature is required (or, where variable, padded with zeros)
};
struct SparseFeature {
  std::string_view key;
  DataType dtype = DataType::kInvalid;
};
struct RaggedFeature {
  std::string_view key;
  DataType dtype = DataType::kInvalid;
  DataType split_dtype = DataType::kInt64;
};

struct ExampleFeatures {
  std::vector<DenseFeature> dense;
  std::vector<SparseFeature> sparse;
  std::vector<RaggedFeature> ragged;
};

struct ParsedExamples {
  std::vector<Tensor> dense;
  std::vector<Tensor> sparse_indices, sparse_values, sparse_shapes;
  std::vector<Tensor> ragged_values, ragged_splits;
};

// A batch: outputs have a first dimension for it. `names` are for messages, as many as examples or none.
// InvalidArgument names the feature and the example that does not fit.
absl::StatusOr<ParsedExamples> parse_examples(std::span<const std::string> serialized,
                                              std::span<const std::string> names, const ExampleFeatures& features);
// One example, without a batch dimension.
absl::StatusOr<ParsedExamples> parse_single_example(std::string_view serialized, const ExampleFeatures& features);

// Checks shape and default of a dense feature and sets both.
absl::Status set_dense_shape(DenseFeature& feature, const PartialTensorShape& shape, const Tensor& default_value,
                             size_t index);

}  // namespace millrace
