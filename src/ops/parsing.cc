// Examples, tensors and comma-separated records out of strings.

#include "data/csv.h"
#include "graph/proto_convert.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/example_parser.h"
#include "ops/tensor_wire.h"
#include "tensorflow/core/framework/tensor.pb.h"

namespace millrace {
namespace {

// ---- tf.train.Example

// What the three ops have in common: attributes, and the dense features' shapes and defaults.
class ParseKernel : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(sparse_types_, init.attr<std::vector<DataType>>("sparse_types"));
    MR_ASSIGN_OR_RETURN(dense_types_, init.attr<std::vector<DataType>>("Tdense"));
    MR_ASSIGN_OR_RETURN(dense_shapes_, init.attr<std::vector<PartialTensorShape>>("dense_shapes"));
    if (dense_types_.size() != dense_shapes_.size()) return invalid_argument("len(dense_keys) != len(dense_shapes)");
    return absl::OkStatus();
  }

 protected:
  // Adds features whose defaults are the inputs from `first_default` on.
  absl::Status add_dense(KernelContext& ctx, std::span<const std::string> keys, int first_default,
                         ExampleFeatures* features) const {
    if (keys.size() != dense_types_.size())
      return invalid_argument("Expected len(dense_keys) == len(dense_types) but got: ", keys.size(), " vs. ",
                              dense_types_.size());
    for (size_t d = 0; d < keys.size(); ++d) {
      DenseFeature f;
      f.key = keys[d];
      f.dtype = dense_types_[d];
      MR_RETURN_IF_ERROR(set_dense_shape(f, dense_shapes_[d], ctx.input(first_default + static_cast<int>(d)), d));
      features->dense.push_back(std::move(f));
    }
    return absl::OkStatus();
  }
  absl::Status add_sparse(std::span<const std::string> keys, ExampleFeatures* features) const {
    if (keys.size() != sparse_types_.size())
      return invalid_argument("Expected len(sparse_keys) == len(sparse_types) but got: ", keys.size(), " vs. ",
                              sparse_types_.size());
    for (size_t i = 0; i < keys.size(); ++i) features->sparse.push_back({keys[i], sparse_types_[i]});
    return absl::OkStatus();
  }
  // In the order of the outputs: sparse indices, values, shapes, dense values, ragged values and splits.
  static absl::Status emit(KernelContext& ctx, ParsedExamples parsed) {
    int next = 0;
    for (auto* part : {&parsed.sparse_indices, &parsed.sparse_values, &parsed.sparse_shapes, &parsed.dense,
                       &parsed.ragged_values, &parsed.ragged_splits})
      for (Tensor& t : *part) MR_RETURN_IF_ERROR(ctx.set_output(next++, std::move(t)));
    return absl::OkStatus();
  }

  std::vector<DataType> sparse_types_, dense_types_;
  std::vector<PartialTensorShape> dense_shapes_;
};

absl::Status check_names(const KernelContext& ctx, std::span<const std::string> names) {
  if (!names.empty() && ctx.shape(1) != ctx.shape(0))
    return invalid_argument("Expected names have the same shape as serialized: name.shape=", ctx.shape(1),
                            ", serialized.shape=", ctx.shape(0));
  return absl::OkStatus();
}

class ParseExampleV2 final : public ParseKernel {
  absl::Status init(KernelInit& init) override {
    MR_RETURN_IF_ERROR(ParseKernel::init(init));
    MR_ASSIGN_OR_RETURN(ragged_types_, init.attr<std::vector<DataType>>("ragged_value_types"));
    MR_ASSIGN_OR_RETURN(split_types_, init.attr<std::vector<DataType>>("ragged_split_types"));
    MR_ASSIGN_OR_RETURN(const int64_t num_sparse, init.attr<int64_t>("num_sparse"));
    if (num_sparse != static_cast<int64_t>(sparse_types_.size()))
      return invalid_argument("len(sparse_types) attribute does not match num_sparse attribute (", sparse_types_.size(),
                              " vs ", num_sparse, ")");
    if (ragged_types_.size() != split_types_.size())
      return invalid_argument("len(ragged_value_types) attribute does not match len(ragged_split_types) attribute");
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto serialized, ctx.flat<std::string>(0));
    MR_ASSIGN_OR_RETURN(const auto names, ctx.flat<std::string>(1));
    MR_ASSIGN_OR_RETURN(const auto sparse_keys, ctx.flat<std::string>(2));
    MR_ASSIGN_OR_RETURN(const auto dense_keys, ctx.flat<std::string>(3));
    MR_ASSIGN_OR_RETURN(const auto ragged_keys, ctx.flat<std::string>(4));
    if (ctx.shape(0).rank() > 1)
      return invalid_argument("Expected serialized to be a scalar or vector, got shape: ", ctx.shape(0));
    MR_RETURN_IF_ERROR(check_names(ctx, names));
    if (ragged_keys.size() != ragged_types_.size())
      return invalid_argument("Expected len(ragged_keys) == len(ragged_value_types) but got: ", ragged_keys.size(),
                              " vs. ", ragged_types_.size());
    ExampleFeatures features;
    MR_RETURN_IF_ERROR(add_sparse(sparse_keys, &features));
    MR_RETURN_IF_ERROR(add_dense(ctx, dense_keys, 5, &features));
    for (size_t i = 0; i < ragged_keys.size(); ++i)
      features.ragged.push_back({ragged_keys[i], ragged_types_[i], split_types_[i]});
    absl::StatusOr<ParsedExamples> parsed = ctx.shape(0).rank() == 0 ? parse_single_example(serialized[0], features)
                                                                     : parse_examples(serialized, names, features);
    MR_RETURN_IF_ERROR(parsed.status());
    return emit(ctx, *std::move(parsed));
  }
  std::vector<DataType> ragged_types_, split_types_;
};

class ParseExample final : public ParseKernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto serialized, ctx.vector<std::string>(0));
    MR_ASSIGN_OR_RETURN(const auto names, ctx.flat<std::string>(1));
    MR_RETURN_IF_ERROR(check_names(ctx, names));
    const int dense_begin = 2 + static_cast<int>(sparse_types_.size()),
              default_begin = dense_begin + static_cast<int>(dense_types_.size());
    std::vector<std::string> sparse_keys, dense_keys;
    for (int i = 2; i < default_begin; ++i) {
      MR_ASSIGN_OR_RETURN(std::string key, ctx.scalar<std::string>(i));
      (i < dense_begin ? sparse_keys : dense_keys).push_back(std::move(key));
    }
    ExampleFeatures features;
    MR_RETURN_IF_ERROR(add_sparse(sparse_keys, &features));
    MR_RETURN_IF_ERROR(add_dense(ctx, dense_keys, default_begin, &features));
    MR_ASSIGN_OR_RETURN(ParsedExamples parsed, parse_examples(serialized, names, features));
    return emit(ctx, std::move(parsed));
  }
};

class ParseSingleExample final : public ParseKernel {
  absl::Status init(KernelInit& init) override {
    MR_RETURN_IF_ERROR(ParseKernel::init(init));
    MR_ASSIGN_OR_RETURN(sparse_keys_, init.attr<std::vector<std::string>>("sparse_keys"));
    MR_ASSIGN_OR_RETURN(dense_keys_, init.attr<std::vector<std::string>>("dense_keys"));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto serialized, ctx.flat<std::string>(0));
    if (serialized.size() != 1)
      return invalid_argument("Expected serialized to be a scalar, got shape: ", ctx.shape(0));
    ExampleFeatures features;
    MR_RETURN_IF_ERROR(add_sparse(sparse_keys_, &features));
    MR_RETURN_IF_ERROR(add_dense(ctx, dense_keys_, 1, &features));
    MR_ASSIGN_OR_RETURN(ParsedExamples parsed, parse_single_example(serialized[0], features));
    return emit(ctx, std::move(parsed));
  }
  std::vector<std::string> sparse_keys_, dense_keys_;
};

// Attributes that speak of the same features: lists of one length, and counts that say it. Those the op has not are
// passed over.
absl::Status same_lengths(const NodeInfo& node, std::initializer_list<const char*> names) {
  std::optional<int64_t> length;
  for (const char* name : names) {
    const auto it = node.attrs.find(name);
    if (it == node.attrs.end()) continue;
    int64_t n = 0;
    if (const auto* count = it->second.get<int64_t>()) n = *count;
    else if (const auto* types = it->second.get<std::vector<DataType>>()) n = std::ssize(*types);
    else if (const auto* shapes = it->second.get<std::vector<PartialTensorShape>>()) n = std::ssize(*shapes);
    else if (const auto* keys = it->second.get<std::vector<std::string>>()) n = std::ssize(*keys);
    if (length && n != *length)
      return invalid_argument(node.op, ": attribute ", name, " does not match the others: ", n, " vs. ", *length);
    length = n;
  }
  return absl::OkStatus();
}

// `batch`: [] or [n], unknown where it is not known which. Outputs from `next` on.
absl::Status set_example_shapes(ShapeContext& c, const PartialTensorShape& batch) {
  MR_RETURN_IF_ERROR(same_lengths(c.node(), {"sparse_types", "num_sparse", "Nsparse", "sparse_keys"}));
  MR_RETURN_IF_ERROR(same_lengths(c.node(), {"Tdense", "dense_shapes", "Ndense", "dense_keys"}));
  MR_RETURN_IF_ERROR(same_lengths(c.node(), {"ragged_value_types", "ragged_split_types"}));
  MR_ASSIGN_OR_RETURN(const auto sparse, c.attr<std::vector<DataType>>("sparse_types"));
  MR_ASSIGN_OR_RETURN(const auto dense, c.attr<std::vector<PartialTensorShape>>("dense_shapes"));
  const int n = static_cast<int>(sparse.size());
  const int64_t rank = batch.has_rank() ? batch.rank() + 1 : -1;
  if (c.num_outputs() < 3 * n + static_cast<int>(dense.size()))
    return invalid_argument("len(dense_keys) != len(dense_shapes)");
  for (int i = 0; i < n; ++i) {
    MR_RETURN_IF_ERROR(c.set_output(i, make_partial_shape({-1, rank})));
    MR_RETURN_IF_ERROR(c.set_output(n + i, make_partial_shape({-1})));
    MR_RETURN_IF_ERROR(c.set_output(2 * n + i, make_partial_shape({rank})));
  }
  for (size_t d = 0; d < dense.size(); ++d)
    MR_RETURN_IF_ERROR(c.set_output(3 * n + static_cast<int>(d), concatenate(batch, dense[d])));
  return absl::OkStatus();
}

absl::Status parse_example_v2_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape batch, c.with_rank_at_most(0, 1));
  MR_RETURN_IF_ERROR(c.with_rank_at_most(1, 1).status());
  for (int i = 2; i < 5; ++i) MR_RETURN_IF_ERROR(c.with_rank(i, 1).status());
  MR_RETURN_IF_ERROR(set_example_shapes(c, batch));
  MR_ASSIGN_OR_RETURN(const auto ragged, c.attr<std::vector<DataType>>("ragged_value_types"));
  const int n = static_cast<int>(ragged.size()), first = c.num_outputs() - 2 * n;
  for (int i = 0; i < n; ++i) {
    MR_RETURN_IF_ERROR(c.set_output(first + i, make_partial_shape({-1})));
    const int64_t splits = !batch.has_rank() ? -1 : batch.rank() == 0 ? 0 : batch.dim(0) < 0 ? -1 : batch.dim(0) + 1;
    MR_RETURN_IF_ERROR(c.set_output(first + n + i, make_partial_shape({splits})));
  }
  return absl::OkStatus();
}

absl::Status parse_example_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape batch, c.with_rank(0, 1));
  return set_example_shapes(c, batch);
}

absl::Status parse_single_example_shape(ShapeContext& c) { return set_example_shapes(c, PartialTensorShape::scalar()); }

// ---- TensorProto

class ParseTensor final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto serialized, ctx.flat<std::string>(0));
    if (serialized.size() != 1)
      return invalid_argument("Expected `serialized` to be a scalar, got shape: ", ctx.shape(0));
    MR_ASSIGN_OR_RETURN(const DataType wanted, get_attr<DataType>(ctx.node(), "out_type"));
    tensorflow::TensorProto proto;
    if (!proto.ParseFromString(serialized[0])) return invalid_argument("Could not parse `serialized` as TensorProto.");
    MR_ASSIGN_OR_RETURN(Tensor tensor, from_proto(proto));
    if (tensor.dtype() != wanted)
      return invalid_argument("Type mismatch between parsed tensor (", dtype_name(tensor.dtype()), ") and dtype (",
                              dtype_name(wanted), ")");
    return ctx.set_output(0, std::move(tensor));
  }
};

class SerializeTensor final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    std::string bytes;
    MR_RETURN_IF_ERROR(append_tensor(bytes, ctx.input(0)));
    return ctx.set_scalar(0, std::move(bytes));
  }
};

absl::Status parse_tensor_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 0).status());
  return c.set_output(0, PartialTensorShape());
}

// ---- CSV

class DecodeCSV final : public Kernel {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(const std::string delimiter, init.attr<std::string>("field_delim"));
    if (delimiter.size() != 1) return invalid_argument("field_delim should be only 1 char");
    format_.delimiter = delimiter[0];
    MR_ASSIGN_OR_RETURN(format_.use_quotes, init.attr<bool>("use_quote_delim"));
    MR_ASSIGN_OR_RETURN(format_.na_value, init.attr<std::string>("na_value"));
    MR_ASSIGN_OR_RETURN(format_.columns, init.attr<std::vector<int64_t>>("select_cols"));
    MR_ASSIGN_OR_RETURN(const auto types, init.attr<std::vector<DataType>>("OUT_TYPE"));
    num_fields_ = types.size();
    const std::vector<int64_t>& columns = format_.columns;
    if (!columns.empty() && columns.size() != num_fields_)
      return invalid_argument("select_cols should match output size");
    for (size_t i = 0; i < columns.size(); ++i) {
      if (columns[i] < 0) return invalid_argument("select_cols should be non-negative indices");
      if (i > 0 && columns[i - 1] >= columns[i])
        return invalid_argument("select_cols should be strictly increasing indices");
    }
    return absl::OkStatus();
  }

  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto records, ctx.flat<std::string>(0));
    std::vector<Tensor*> out;
    for (size_t i = 0; i < num_fields_; ++i) {
      const Tensor& def = ctx.input(static_cast<int>(i) + 1);
      if (def.rank() > 1) return invalid_argument("Each record default should be at most rank 1");
      if (def.num_elements() > 1)
        return invalid_argument("There should only be 1 default per field but field ", i, " has ", def.num_elements());
      MR_ASSIGN_OR_RETURN(Tensor * t, ctx.allocate_output(static_cast<int>(i), ctx.shape(0)));
      out.push_back(t);
    }
    std::vector<std::string> fields;
    for (size_t r = 0; r < records.size(); ++r) {
      MR_RETURN_IF_ERROR(split_csv_record(records[r], format_, &fields));
      if (fields.size() != num_fields_)
        return invalid_argument("Expect ", num_fields_, " fields but have ", fields.size(), " in record ", r);
      for (size_t f = 0; f < fields.size(); ++f)
        MR_RETURN_IF_ERROR(convert_csv_field(fields[f], format_, ctx.input(static_cast<int>(f) + 1), f, r, *out[f],
                                             static_cast<int64_t>(r)));
    }
    return absl::OkStatus();
  }

  CsvFormat format_;
  size_t num_fields_ = 0;
};

absl::Status decode_csv_shape(ShapeContext& c) {
  for (int i = 1; i < c.num_inputs(); ++i) {
    MR_ASSIGN_OR_RETURN(const PartialTensorShape def, c.with_rank_at_most(i, 1));
    if (def.has_rank() && def.rank() == 1 && def.dim(0) > 1)
      return invalid_argument("Shape of a default must be a length-0 or length-1 vector, or a scalar.");
  }
  for (int i = 0; i < c.num_outputs(); ++i) MR_RETURN_IF_ERROR(c.set_output(i, c.input(0)));
  return absl::OkStatus();
}

}  // namespace

void register_parsing(Registry& registry) {
  registry.op("ParseExampleV2")
      .input("serialized: string")
      .input("names: string")
      .input("sparse_keys: string")
      .input("dense_keys: string")
      .input("ragged_keys: string")
      .input("dense_defaults: Tdense")
      .output("sparse_indices: num_sparse * int64")
      .output("sparse_values: sparse_types")
      .output("sparse_shapes: num_sparse * int64")
      .output("dense_values: Tdense")
      .output("ragged_values: ragged_value_types")
      .output("ragged_row_splits: ragged_split_types")
      .attr("Tdense: list({float, int64, string}) >= 0")
      .attr("num_sparse: int >= 0")
      .attr("sparse_types: list({float, int64, string}) >= 0")
      .attr("ragged_value_types: list({float, int64, string}) >= 0")
      .attr("ragged_split_types: list({int32, int64}) >= 0")
      .attr("dense_shapes: list(shape) >= 0")
      .shape(parse_example_v2_shape)
      .cpu<ParseExampleV2>()
      .not_differentiable()
      .doc("Features of serialized tf.train.Examples as tensors.");
  registry.op("ParseExample")
      .input("serialized: string")
      .input("names: string")
      .input("sparse_keys: Nsparse * string")
      .input("dense_keys: Ndense * string")
      .input("dense_defaults: Tdense")
      .output("sparse_indices: Nsparse * int64")
      .output("sparse_values: sparse_types")
      .output("sparse_shapes: Nsparse * int64")
      .output("dense_values: Tdense")
      .attr("Nsparse: int >= 0")
      .attr("Ndense: int >= 0")
      .attr("sparse_types: list({float, int64, string}) >= 0")
      .attr("Tdense: list({float, int64, string}) >= 0")
      .attr("dense_shapes: list(shape) >= 0")
      .shape(parse_example_shape)
      .cpu<ParseExample>()
      .not_differentiable()
      .doc("Features of serialized tf.train.Examples as tensors.");
  registry.op("ParseSingleExample")
      .input("serialized: string")
      .input("dense_defaults: Tdense")
      .output("sparse_indices: num_sparse * int64")
      .output("sparse_values: sparse_types")
      .output("sparse_shapes: num_sparse * int64")
      .output("dense_values: Tdense")
      .attr("num_sparse: int >= 0")
      .attr("sparse_keys: list(string) >= 0")
      .attr("dense_keys: list(string) >= 0")
      .attr("sparse_types: list({float, int64, string}) >= 0")
      .attr("Tdense: list({float, int64, string}) >= 0")
      .attr("dense_shapes: list(shape) >= 0")
      .shape(parse_single_example_shape)
      .cpu<ParseSingleExample>()
      .not_differentiable()
      .doc("Features of one serialized tf.train.Example as tensors.");
  registry.op("ParseTensor")
      .input("serialized: string")
      .output("output: out_type")
      .attr("out_type: type")
      .shape(parse_tensor_shape)
      .cpu<ParseTensor>()
      .not_differentiable()
      .doc("The tensor of a serialized TensorProto.");
  registry.op("SerializeTensor")
      .input("tensor: T")
      .output("serialized: string")
      .attr("T: type")
      .shape(scalar_shape)
      .cpu<SerializeTensor>()
      .not_differentiable()
      .doc("The tensor as a serialized TensorProto.");
  registry.op("DecodeCSV")
      .input("records: string")
      .input("record_defaults: OUT_TYPE")
      .output("output: OUT_TYPE")
      .attr("OUT_TYPE: list({float, double, int32, int64, string}) >= 1")
      .attr("field_delim: string = ','")
      .attr("use_quote_delim: bool = true")
      .attr("na_value: string = ''")
      .attr("select_cols: list(int) = []")
      .shape(decode_csv_shape)
      .cpu<DecodeCSV>()
      .not_differentiable()
      .doc("Fields of comma-separated records, a tensor per column.");
}

}  // namespace millrace
