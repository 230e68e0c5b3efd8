#include "millrace/parsing_ops.h"

#include <algorithm>

#include "api/op_builder.h"

namespace millrace {
namespace {

Tensor string_vector(const std::vector<std::string>& values) {
  return Tensor(TensorShape({static_cast<int64_t>(values.size())}), values);
}

// The features asked for, in the order of their names.
struct FeatureLists {
  std::vector<std::string> dense_keys, sparse_keys;
  std::vector<Output> dense_defaults;
  std::vector<DataType> dense_types, sparse_types;
  std::vector<PartialTensorShape> dense_shapes;
};

// Makes a constant of each default value.
FeatureLists lists_of(const std::map<std::string, Feature>& features) {
  FeatureLists lists;
  for (const auto& [key, feature] : features) {
    if (const auto* sparse = std::get_if<VarLenFeature>(&feature)) {
      lists.sparse_keys.push_back(key);
      lists.sparse_types.push_back(sparse->dtype);
      continue;
    }
    const auto& dense = std::get<FixedLenFeature>(feature);
    lists.dense_keys.push_back(key);
    lists.dense_types.push_back(dense.dtype);
    lists.dense_shapes.emplace_back(dense.shape);
    lists.dense_defaults.push_back(dense.default_value ? convert_to_tensor(dense.default_value, dense.dtype)
                                                       : constant(Tensor(dense.dtype, TensorShape({0}))));
  }
  return lists;
}

// Outputs from *next on: indices, values and shapes of the sparse features, then the dense ones.
ParsedExample take_parsed(const std::vector<std::string>& sparse_keys, const std::vector<std::string>& dense_keys,
                          const std::vector<Output>& outputs, size_t* next) {
  ParsedExample parsed;
  const size_t first = *next, n = sparse_keys.size();
  for (size_t i = 0; i < n; ++i)
    parsed.sparse_features[sparse_keys[i]] = {outputs[first + i], outputs[first + n + i], outputs[first + 2 * n + i]};
  for (size_t i = 0; i < dense_keys.size(); ++i) parsed.dense_features[dense_keys[i]] = outputs[first + 3 * n + i];
  *next = first + 3 * n + dense_keys.size();
  return parsed;
}

}  // namespace

const Output& ParsedExample::operator[](const std::string& name) const {
  const auto found = dense_features.find(name);
  if (found == dense_features.end()) raise(not_found("no dense feature '", name, "' was asked for"));
  return found->second;
}

const SparseTensor& ParsedExample::sparse(const std::string& name) const {
  const auto found = sparse_features.find(name);
  if (found == sparse_features.end()) raise(not_found("no sparse feature '", name, "' was asked for"));
  return found->second;
}

ParsedExample parse_example(const Input& serialized, const std::map<std::string, Feature>& features,
                            const NameOptions& o) {
  const SourceScope source(serialized);
  const name_scope scope(o.name.empty() ? "ParseExample" : o.name);
  const FeatureLists lists = lists_of(features);
  const std::vector<Output> outputs =
      outputs_of(create_op("ParseExampleV2",
                           {serialized, string_vector({}), string_vector(lists.sparse_keys),
                            string_vector(lists.dense_keys), string_vector({}), lists.dense_defaults},
                           {{"num_sparse", static_cast<int64_t>(lists.sparse_keys.size())},
                            {"sparse_types", lists.sparse_types},
                            {"ragged_value_types", std::vector<DataType>()},
                            {"ragged_split_types", std::vector<DataType>()},
                            {"dense_shapes", lists.dense_shapes},
                            {"Tdense", lists.dense_types}}));
  size_t next = 0;
  return take_parsed(lists.sparse_keys, lists.dense_keys, outputs, &next);
}

ParsedExample parse_single_example(const Input& serialized, const std::map<std::string, Feature>& features,
                                   const NameOptions& o) {
  const SourceScope source(serialized);
  const name_scope scope(o.name.empty() ? "ParseSingleExample" : o.name);
  const Output record = convert_to_tensor(serialized, string, "serialized");
  const PartialTensorShape shape = record.shape();
  if (shape.has_rank() && shape.rank() != 0)
    raise(invalid_argument("parse_single_example: serialized must be a scalar, got shape ", shape));
  return parse_example(record, features);
}

namespace {

ParsedSequenceExample parse_sequences(const Output& serialized, const ParseSequenceExampleOptions& o) {
  if (o.context_features.empty() && o.sequence_features.empty()) raise(invalid_argument("Missing: features"));
  const name_scope scope("ParseSequenceExample");
  const FeatureLists context = lists_of(o.context_features);
  FeatureLists lists;  // without defaults
  std::vector<uint8_t> missing;
  for (const auto& [key, feature] : o.sequence_features) {
    if (const auto* sparse = std::get_if<VarLenFeature>(&feature)) {
      lists.sparse_keys.push_back(key);
      lists.sparse_types.push_back(sparse->dtype);
      continue;
    }
    const auto& dense = std::get<FixedLenSequenceFeature>(feature);
    lists.dense_keys.push_back(key);
    lists.dense_types.push_back(dense.dtype);
    lists.dense_shapes.emplace_back(dense.shape);
    missing.push_back(dense.allow_missing ? 1 : 0);
  }
  Tensor may_be_missing(bool_, TensorShape({static_cast<int64_t>(missing.size())}));
  std::ranges::copy(missing, may_be_missing.unchecked_mutable<bool>().begin());
  const Input names = o.example_names ? o.example_names : Input(string_vector({}));
  const std::vector<Output> outputs =
      outputs_of(create_op("ParseSequenceExampleV2",
                           {serialized, names, string_vector(context.sparse_keys), string_vector(context.dense_keys),
                            string_vector({}), string_vector(lists.sparse_keys), string_vector(lists.dense_keys),
                            string_vector({}), may_be_missing, context.dense_defaults},
                           {{"Ncontext_sparse", static_cast<int64_t>(context.sparse_keys.size())},
                            {"context_sparse_types", context.sparse_types},
                            {"Tcontext_dense", context.dense_types},
                            {"context_dense_shapes", context.dense_shapes},
                            {"Nfeature_list_sparse", static_cast<int64_t>(lists.sparse_keys.size())},
                            {"Nfeature_list_dense", static_cast<int64_t>(lists.dense_keys.size())},
                            {"feature_list_sparse_types", lists.sparse_types},
                            {"feature_list_dense_types", lists.dense_types},
                            {"feature_list_dense_shapes", lists.dense_shapes}}));
  ParsedSequenceExample parsed;
  size_t next = 0;
  parsed.context = take_parsed(context.sparse_keys, context.dense_keys, outputs, &next);
  parsed.sequence = take_parsed(lists.sparse_keys, lists.dense_keys, outputs, &next);
  for (const std::string& key : lists.dense_keys) parsed.lengths[key] = outputs[next++];
  return parsed;
}

}  // namespace

ParsedSequenceExample parse_single_sequence_example(const Input& serialized, const ParseSequenceExampleOptions& o) {
  const SourceScope source(serialized);
  const name_scope scope(o.name.empty() ? "ParseSingleSequenceExample" : o.name);
  const Output record = convert_to_tensor(serialized, string, "serialized");
  const PartialTensorShape shape = record.shape();
  if (shape.has_rank() && shape.rank() != 0)
    raise(invalid_argument("parse_single_sequence_example: serialized must be a scalar, got shape ", shape));
  return parse_sequences(record, o);
}

ParsedSequenceExample io::parse_sequence_example(const Input& serialized, const ParseSequenceExampleOptions& o) {
  const SourceScope source(serialized);
  const name_scope scope(o.name.empty() ? "ParseSequenceExample" : o.name);
  return parse_sequences(convert_to_tensor(serialized, string, "serialized"), o);
}

Output decode_json_example(const Input& json_examples, const NameOptions& o) {
  return create_output("DecodeJSONExample", {json_examples}, {}, o.name);
}

Output decode_raw(const Input& input_bytes, DataType out_type, const DecodeRawOptions& o) {
  const SourceScope source(input_bytes);
  return create_output("DecodeRaw", {input_bytes}, {{"out_type", out_type}, {"little_endian", o.little_endian}},
                       o.name);
}

}  // namespace millrace
