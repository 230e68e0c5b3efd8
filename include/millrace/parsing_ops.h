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

struct DecodeRawOptions {
  bool little_endian = true;
  std::string_view name = {};
};
// Bytes as numbers: a further, last dimension.
Output decode_raw(const Input& input_bytes, DataType out_type, const DecodeRawOptions& options = {});

#pragma GCC visibility pop

}  // namespace millrace
