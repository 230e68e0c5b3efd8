#pragma once
// From serialized records to tensors.
//
//   auto example = tf::parse_single_example(record, {{"image", tf::FixedLenFeature({64}, tf::float32)},
//                                                    {"label", tf::FixedLenFeature({}, tf::int64)}});
//   example["image"];

#include <map>
#include <string>
#include <variant>

#include "millrace/framework.h"

namespace millrace {

#pragma GCC visibility push(default)

// A feature of which every example has as many values as the shape takes. Without a default value it must be there.
struct FixedLenFeature {
  FixedLenFeature(TensorShape feature_shape, DataType feature_dtype, Input default_feature_value = {})
      : shape(std::move(feature_shape)), dtype(feature_dtype), default_value(std::move(default_feature_value)) {}
  TensorShape shape;
  DataType dtype;  // float32, int64 or string
  Input default_value;
};
// A feature of any number of values: a sparse tensor.
struct VarLenFeature {
  explicit VarLenFeature(DataType feature_dtype) : dtype(feature_dtype) {}
  DataType dtype;
};
using Feature = std::variant<FixedLenFeature, VarLenFeature>;

struct SparseTensor {
  Output indices;      // [n, rank] int64
  Output values;       // [n]
  Output dense_shape;  // [rank] int64
};

// What was parsed, by feature name. NotFoundError for a name that was not asked for, or of the other kind.
class ParsedExample {
 public:
  const Output& operator[](const std::string& name) const;
  const SparseTensor& sparse(const std::string& name) const;
  std::map<std::string, Output> dense_features;
  std::map<std::string, SparseTensor> sparse_features;
};

// serialized: a string scalar, one tf.train.Example.
ParsedExample parse_single_example(const Input& serialized, const std::map<std::string, Feature>& features,
                                   const NameOptions& options = {});
// serialized: a vector of them; results have a leading batch dimension.
ParsedExample parse_example(const Input& serialized, const std::map<std::string, Feature>& features,
                            const NameOptions& options = {});

// A list of features, the steps of a sequence, each with as many values as the shape takes. With allow_missing a
// sequence without the list has no steps.
struct FixedLenSequenceFeature {
  FixedLenSequenceFeature(TensorShape step_shape, DataType step_dtype, bool may_be_missing = false)
      : shape(std::move(step_shape)), dtype(step_dtype), allow_missing(may_be_missing) {}
  TensorShape shape;
  DataType dtype;  // float32, int64 or string
  bool allow_missing;
};
using SequenceFeature = std::variant<FixedLenSequenceFeature, VarLenFeature>;

struct ParsedSequenceExample {
  ParsedExample context;
  ParsedExample sequence;                 // dense: [steps, shape...]; sparse: indices [step, value]
  std::map<std::string, Output> lengths;  // int64: how many steps each dense list has
};
struct ParseSequenceExampleOptions {
  std::map<std::string, Feature> context_features = {};
  std::map<std::string, SequenceFeature> sequence_features = {};
  Input example_names = {};  // strings that name the examples in messages
  std::string_view name = {};
};
// serialized: a string scalar, one tf.train.SequenceExample. InvalidArgumentError where no features are asked for, and
// of the run where one does not fit.
ParsedSequenceExample parse_single_sequence_example(const Input& serialized,
                                                    const ParseSequenceExampleOptions& options);
// JSON texts of tf.train.Examples as serialized ones, of the same shape.
Output decode_json_example(const Input& json_examples, const NameOptions& options = {});

struct DecodeRawOptions {
  bool little_endian = true;
  std::string_view name = {};
};
// Bytes as numbers: a further, last dimension.
Output decode_raw(const Input& input_bytes, DataType out_type, const DecodeRawOptions& options = {});

namespace io {
// serialized: a vector of SequenceExamples; results have a leading batch dimension, dense ones are filled up with
// zeros.
ParsedSequenceExample parse_sequence_example(const Input& serialized, const ParseSequenceExampleOptions& options);
}  // namespace io

#pragma GCC visibility pop

}  // namespace millrace
