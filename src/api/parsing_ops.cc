#include "millrace/parsing_ops.h"

#include "api/op_builder.h"

namespace millrace {
namespace {

Tensor string_vector(const std::vector<std::string>& values) {
  return Tensor(TensorShape({static_cast<int64_t>(values.size())}), values);
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
  std::vector<std::string> dense_keys, sparse_keys;
  std::vector<Output> dense_defaults;
  std::vector<DataType> dense_types, sparse_types;
  std::vector<PartialTensorShape> dense_shapes;
  for (const auto& [key, feature] : features) {
    if (const auto* sparse = std::get_if<VarLenFeature>(&feature)) {
      sparse_keys.push_back(key);
      sparse_types.push_back(sparse->dtype);
      continue;
    }
    const auto& dense = std::get<FixedLenFeature>(feature);
    dense_keys.push_back(key);
    dense_types.push_back(dense.dtype);
    dense_shapes.emplace_back(dense.shape);
    dense_defaults.push_back(dense.default_value ? convert_to_tensor(dense.default_value, dense.dtype)
                                                 : constant(Tensor(dense.dtype, TensorShape({0}))));
  }
  const size_t num_sparse = sparse_keys.size();
  const std::vector<Output> outputs =
      outputs_of(create_op("ParseExampleV2",
                           {serialized, string_vector({}), string_vector(sparse_keys), string_vector(dense_keys),
                            string_vector({}), dense_defaults},
                           {{"num_sparse", static_cast<int64_t>(num_sparse)},
                            {"sparse_types", sparse_types},
                            {"ragged_value_types", std::vector<DataType>()},
                            {"ragged_split_types", std::vector<DataType>()},
                            {"dense_shapes", dense_shapes},
                            {"Tdense", dense_types}}));
  ParsedExample parsed;
  for (size_t i = 0; i < num_sparse; ++i) {
    parsed.sparse_features[sparse_keys[i]] = {outputs[i], outputs[num_sparse + i], outputs[2 * num_sparse + i]};
  }
  for (size_t i = 0; i < dense_keys.size(); ++i) parsed.dense_features[dense_keys[i]] = outputs[3 * num_sparse + i];
  return parsed;
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

Output decode_raw(const Input& input_bytes, DataType out_type, const DecodeRawOptions& o) {
  const SourceScope source(input_bytes);
  return create_output("DecodeRaw", {input_bytes}, {{"out_type", out_type}, {"little_endian", o.little_endian}},
                       o.name);
}

}  // namespace millrace
