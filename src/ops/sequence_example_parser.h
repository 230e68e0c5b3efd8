#pragma once
// tf.train.SequenceExample read from its bytes into tensors. Its context is laid out as the features of an Example, and
// is read as such.

#include "ops/example_parser.h"

namespace millrace {

// A list of features with one value each of this shape, the steps of a sequence.
struct DenseFeatureList {
  std::string_view key;
  DataType dtype = DataType::kInvalid;
  TensorShape shape;
  bool may_be_missing = false;  // then it has no steps
};

struct SequenceFeatures {
  ExampleFeatures context;
  std::vector<DenseFeatureList> dense;
  std::vector<SparseFeature> sparse;
  std::vector<RaggedFeature> ragged;
};

// Of feature lists: sparse tensors have indices [example, step, value], dense ones are [batch, steps, shape...], filled
// with zeros; ragged ones have row splits of steps per example and of values per step. Of a single example without the
// first dimension.
struct ParsedSequences {
  ParsedExamples context;
  std::vector<Tensor> sparse_indices, sparse_values, sparse_shapes;
  std::vector<Tensor> dense, dense_lengths;
  std::vector<Tensor> ragged_values, ragged_outer_splits, ragged_inner_splits;
};

// `names` are for messages, as many as examples or none. InvalidArgument names the feature list and the step that does
// not fit. `single`: one example, without a batch dimension.
absl::StatusOr<ParsedSequences> parse_sequence_examples(std::span<const std::string> serialized,
                                                        std::span<const std::string> names,
                                                        const SequenceFeatures& features, bool single);

}  // namespace millrace
