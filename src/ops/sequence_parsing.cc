// SequenceExamples out of strings: a context of features, and lists of features by steps.

#include <algorithm>

#include "data/rows.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/sequence_example_parser.h"

namespace millrace {
namespace {

// Which features are wanted, in the order of the outputs.
struct Keys {
  std::vector<std::string> context_sparse, context_dense, context_ragged;
  std::vector<std::string> sparse, dense, ragged;
  std::vector<bool> dense_may_be_missing;
};

absl::Status check_count(size_t keys, size_t types, const char* what) {
  if (keys == types) return absl::OkStatus();
  return invalid_argument("Expected len(", what, "_keys) == len(", what, "_types) but got: ", keys, " vs. ", types);
}

absl::Status check_disjoint(const std::vector<std::string>& a, const std::vector<std::string>& b, const char* what,
                            const char* a_kind, const char* b_kind) {
  for (const std::string& key : a) {
    if (std::ranges::find(b, key) != b.end())
      return invalid_argument(what, " feature ", key, " cannot be both ", a_kind, " and ", b_kind);
  }
  return absl::OkStatus();
}

// What the three ops have in common: the attributes, and features made of them and of keys.
class SequenceKernel : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(context_sparse_types_, init.attr<std::vector<DataType>>("context_sparse_types"));
    MR_ASSIGN_OR_RETURN(context_dense_types_, init.attr<std::vector<DataType>>("Tcontext_dense"));
    MR_ASSIGN_OR_RETURN(context_dense_shapes_, init.attr<std::vector<PartialTensorShape>>("context_dense_shapes"));
    MR_ASSIGN_OR_RETURN(sparse_types_, init.attr<std::vector<DataType>>("feature_list_sparse_types"));
    MR_ASSIGN_OR_RETURN(dense_types_, init.attr<std::vector<DataType>>("feature_list_dense_types"));
    MR_ASSIGN_OR_RETURN(const auto shapes, init.attr<std::vector<PartialTensorShape>>("feature_list_dense_shapes"));
    if (shapes.size() != dense_types_.size() || context_dense_shapes_.size() != context_dense_types_.size())
      return invalid_argument("len(dense_keys) != len(dense_shapes)");
    for (const PartialTensorShape& shape : shapes) {
      MR_ASSIGN_OR_RETURN(dense_shapes_.emplace_back(), as_tensor_shape(shape));
    }
    if (!init.has_attr("feature_list_ragged_value_types")) return absl::OkStatus();
    MR_ASSIGN_OR_RETURN(context_ragged_types_, init.attr<std::vector<DataType>>("context_ragged_value_types"));
    MR_ASSIGN_OR_RETURN(context_split_types_, init.attr<std::vector<DataType>>("context_ragged_split_types"));
    MR_ASSIGN_OR_RETURN(ragged_types_, init.attr<std::vector<DataType>>("feature_list_ragged_value_types"));
    MR_ASSIGN_OR_RETURN(split_types_, init.attr<std::vector<DataType>>("feature_list_ragged_split_types"));
    if (context_ragged_types_.size() != context_split_types_.size() || ragged_types_.size() != split_types_.size())
      return invalid_argument("len(ragged_value_types) attribute does not match len(ragged_split_types) attribute");
    return absl::OkStatus();
  }

 protected:
  // Parses and sets the outputs. Defaults are the inputs from `first_default` on.
  absl::Status parse(KernelContext& ctx, const Keys& keys, int first_default, std::span<const std::string> names,
                     bool single) const {
    MR_ASSIGN_OR_RETURN(const auto serialized, ctx.flat<std::string>(0));
    if (!names.empty() && names.size() != serialized.size())
      return invalid_argument("example_names must be empty or have the correct number of elements");
    SequenceFeatures features;
    MR_RETURN_IF_ERROR(add_context(ctx, keys, first_default, &features.context));
    MR_RETURN_IF_ERROR(add_lists(keys, &features));
    MR_ASSIGN_OR_RETURN(ParsedSequences parsed, parse_sequence_examples(serialized, names, features, single));
    if (single) MR_RETURN_IF_ERROR(count_values(&parsed.context));
    return emit(ctx, std::move(parsed));
  }

 private:
  absl::Status add_context(const KernelContext& ctx, const Keys& keys, int first_default,
                           ExampleFeatures* context) const {
    MR_RETURN_IF_ERROR(check_count(keys.context_sparse.size(), context_sparse_types_.size(), "context_sparse"));
    MR_RETURN_IF_ERROR(check_count(keys.context_dense.size(), context_dense_types_.size(), "context_dense"));
    MR_RETURN_IF_ERROR(check_count(keys.context_ragged.size(), context_ragged_types_.size(), "context_ragged"));
    MR_RETURN_IF_ERROR(check_disjoint(keys.context_dense, keys.context_sparse, "Context", "dense", "sparse"));
    MR_RETURN_IF_ERROR(check_disjoint(keys.context_dense, keys.context_ragged, "Context", "dense", "ragged"));
    MR_RETURN_IF_ERROR(check_disjoint(keys.context_ragged, keys.context_sparse, "Context", "ragged", "sparse"));
    for (size_t i = 0; i < keys.context_dense.size(); ++i) {
      DenseFeature f;
      f.key = keys.context_dense[i];
      f.dtype = context_dense_types_[i];
      const Tensor& otherwise = ctx.input(first_default + static_cast<int>(i));
      MR_RETURN_IF_ERROR(set_dense_shape(f, context_dense_shapes_[i], otherwise, i));
      context->dense.push_back(std::move(f));
    }
    for (size_t i = 0; i < keys.context_sparse.size(); ++i)
      context->sparse.push_back({keys.context_sparse[i], context_sparse_types_[i]});
    for (size_t i = 0; i < keys.context_ragged.size(); ++i)
      context->ragged.push_back({keys.context_ragged[i], context_ragged_types_[i], context_split_types_[i]});
    return absl::OkStatus();
  }

  absl::Status add_lists(const Keys& keys, SequenceFeatures* features) const {
    MR_RETURN_IF_ERROR(check_count(keys.sparse.size(), sparse_types_.size(), "feature_list_sparse"));
    MR_RETURN_IF_ERROR(check_count(keys.dense.size(), dense_types_.size(), "feature_list_dense"));
    MR_RETURN_IF_ERROR(check_count(keys.ragged.size(), ragged_types_.size(), "feature_list_ragged"));
    if (keys.dense_may_be_missing.size() != keys.dense.size())
      return invalid_argument(
          "Expected len(feature_list_dense_missing_assumed_empty) == len(feature_list_dense_keys) "
          "but got: ",
          keys.dense_may_be_missing.size(), " vs. ", keys.dense.size());
    MR_RETURN_IF_ERROR(check_disjoint(keys.dense, keys.sparse, "Sequence", "dense", "sparse"));
    MR_RETURN_IF_ERROR(check_disjoint(keys.dense, keys.ragged, "Sequence", "dense", "ragged"));
    MR_RETURN_IF_ERROR(check_disjoint(keys.ragged, keys.sparse, "Sequence", "ragged", "sparse"));
    for (size_t i = 0; i < keys.dense.size(); ++i)
      features->dense.push_back({keys.dense[i], dense_types_[i], dense_shapes_[i], keys.dense_may_be_missing[i]});
    for (size_t i = 0; i < keys.sparse.size(); ++i) features->sparse.push_back({keys.sparse[i], sparse_types_[i]});
    for (size_t i = 0; i < keys.ragged.size(); ++i)
      features->ragged.push_back({keys.ragged[i], ragged_types_[i], split_types_[i]});
    return absl::OkStatus();
  }

  // The splits of one example's ragged features are scalars, which TensorFlow leaves unwritten: their values' number.
  absl::Status count_values(ParsedExamples* context) const {
    for (size_t i = 0; i < context->ragged_splits.size(); ++i) {
      MR_ASSIGN_OR_RETURN(context->ragged_splits[i],
                          integer_as(context_split_types_[i], context->ragged_values[i].num_elements()));
    }
    return absl::OkStatus();
  }

  static absl::Status emit(KernelContext& ctx, ParsedSequences parsed) {
    ParsedExamples& context = parsed.context;
    if (ctx.node().op == "ParseSingleSequenceExample") parsed.dense_lengths.clear();  // it has no output for them
    int next = 0;
    for (auto* part : {&context.sparse_indices, &context.sparse_values, &context.sparse_shapes, &context.dense,
                       &context.ragged_values, &context.ragged_splits, &parsed.sparse_indices, &parsed.sparse_values,
                       &parsed.sparse_shapes, &parsed.dense, &parsed.dense_lengths, &parsed.ragged_values,
                       &parsed.ragged_outer_splits, &parsed.ragged_inner_splits}) {
      for (Tensor& t : *part) MR_RETURN_IF_ERROR(ctx.set_output(next++, std::move(t)));
    }
    return absl::OkStatus();
  }

  std::vector<DataType> context_sparse_types_, context_dense_types_, context_ragged_types_, context_split_types_;
  std::vector<DataType> sparse_types_, dense_types_, ragged_types_, split_types_;
  std::vector<PartialTensorShape> context_dense_shapes_;
  std::vector<TensorShape> dense_shapes_;
};

class ParseSequenceExampleV2 final : public SequenceKernel {
  absl::Status compute(KernelContext& ctx) override {
    if (ctx.shape(0).rank() > 1)
      return invalid_argument("Expected serialized to be a scalar or vector, got shape: ", ctx.shape(0));
    Keys keys;
    int input = 2;
    for (auto* part :
         {&keys.context_sparse, &keys.context_dense, &keys.context_ragged, &keys.sparse, &keys.dense, &keys.ragged}) {
      MR_ASSIGN_OR_RETURN(const auto given, ctx.flat<std::string>(input++));
      part->assign(given.begin(), given.end());
    }
    MR_ASSIGN_OR_RETURN(const auto missing, ctx.flat<bool>(input++));
    keys.dense_may_be_missing.assign(missing.begin(), missing.end());
    MR_ASSIGN_OR_RETURN(const auto names, ctx.flat<std::string>(1));
    return parse(ctx, keys, input, names, ctx.shape(0).rank() == 0);
  }
};

void allow_missing(std::span<const std::string> missing, Keys* keys) {
  for (const std::string& key : keys->dense)
    keys->dense_may_be_missing.push_back(std::ranges::find(missing, key) != missing.end());
}

class ParseSequenceExample final : public SequenceKernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_RETURN_IF_ERROR(SequenceKernel::init(init));
    MR_ASSIGN_OR_RETURN(keys_.context_sparse, init.attr<std::vector<std::string>>("context_sparse_keys"));
    MR_ASSIGN_OR_RETURN(keys_.context_dense, init.attr<std::vector<std::string>>("context_dense_keys"));
    MR_ASSIGN_OR_RETURN(keys_.sparse, init.attr<std::vector<std::string>>("feature_list_sparse_keys"));
    MR_ASSIGN_OR_RETURN(keys_.dense, init.attr<std::vector<std::string>>("feature_list_dense_keys"));
    MR_ASSIGN_OR_RETURN(const auto missing,
                        init.attr<std::vector<std::string>>("feature_list_dense_missing_assumed_empty"));
    allow_missing(missing, &keys_);
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    if (ctx.shape(0).rank() != 1)
      return invalid_argument("Expected serialized to be a vector, got shape: ", ctx.shape(0));
    MR_ASSIGN_OR_RETURN(const auto names, ctx.flat<std::string>(1));
    return parse(ctx, keys_, 2, names, false);
  }

 private:
  Keys keys_;
};

class ParseSingleSequenceExample final : public SequenceKernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_RETURN_IF_ERROR(SequenceKernel::init(init));
    constexpr const char* kCounts[] = {"Ncontext_sparse", "Ncontext_dense", "Nfeature_list_sparse",
                                       "Nfeature_list_dense"};
    for (size_t i = 0; i < 4; ++i) {
      MR_ASSIGN_OR_RETURN(counts_[i], init.attr<int64_t>(kCounts[i]));
    }
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    if (ctx.shape(0).num_elements() != 1)
      return invalid_argument("Expected serialized to be a scalar, got shape: ", ctx.shape(0));
    Keys keys;
    int input = 2;
    size_t count = 0;
    for (auto* part : {&keys.context_sparse, &keys.context_dense, &keys.sparse, &keys.dense}) {
      for (int64_t i = 0; i < counts_[count]; ++i) {
        MR_ASSIGN_OR_RETURN(part->emplace_back(), ctx.scalar<std::string>(input++));
      }
      ++count;
    }
    MR_ASSIGN_OR_RETURN(const auto missing, ctx.flat<std::string>(1));
    allow_missing(missing, &keys);
    MR_ASSIGN_OR_RETURN(const auto names, ctx.flat<std::string>(ctx.num_inputs() - 1));
    return parse(ctx, keys, input, names, true);
  }

 private:
  int64_t counts_[4] = {};
};

// ---- Shapes

template <class T> absl::StatusOr<int> count_of(const ShapeContext& c, const char* name) {
  const auto it = c.node().attrs.find(name);
  if (it == c.node().attrs.end()) return 0;
  MR_ASSIGN_OR_RETURN(const auto list, c.attr<std::vector<T>>(name));
  return static_cast<int>(list.size());
}

// Sets output after output.
class Outputs {
 public:
  Outputs(ShapeContext& c, PartialTensorShape batch) : c_(c), batch_(std::move(batch)) {}

  absl::Status repeat(int n, std::initializer_list<int64_t> dims) {
    for (int i = 0; i < n; ++i) MR_RETURN_IF_ERROR(set(make_partial_shape(dims)));
    return absl::OkStatus();
  }
  absl::Status repeat(int n, const PartialTensorShape& shape) {
    for (int i = 0; i < n; ++i) MR_RETURN_IF_ERROR(set(shape));
    return absl::OkStatus();
  }
  // `inner`: dimensions of a sparse tensor behind the batch's.
  absl::Status sparse(int n, int64_t inner) {
    const int64_t rank = batch_.has_rank() ? batch_.rank() + inner : -1;
    MR_RETURN_IF_ERROR(repeat(n, {-1, rank}));
    MR_RETURN_IF_ERROR(repeat(n, {-1}));
    return repeat(n, {rank});
  }
  absl::Status dense(const std::vector<PartialTensorShape>& shapes, bool steps) {
    for (const PartialTensorShape& shape : shapes) {
      if (!shape.is_fully_defined()) return invalid_argument("Shape ", shape, " is not fully defined");
      MR_ASSIGN_OR_RETURN(PartialTensorShape all, make_partial_shape(std::initializer_list<int64_t>{-1}));
      if (steps) {
        MR_ASSIGN_OR_RETURN(all, concatenate(batch_, all));
      } else {
        all = batch_;
      }
      MR_RETURN_IF_ERROR(set(concatenate(all, shape)));
    }
    return absl::OkStatus();
  }
  absl::Status row_splits(int n) {
    if (!batch_.has_rank()) return repeat(n, PartialTensorShape());
    if (batch_.rank() == 0) return repeat(n, PartialTensorShape::scalar());
    return repeat(n, {batch_.dim(0) < 0 ? -1 : batch_.dim(0) + 1});
  }

 private:
  absl::Status set(absl::StatusOr<PartialTensorShape> shape) {
    if (next_ >= c_.num_outputs()) return invalid_argument(c_.node().op, ": attributes do not match each other");
    return c_.set_output(next_++, std::move(shape));
  }
  ShapeContext& c_;
  const PartialTensorShape batch_;
  int next_ = 0;
};

absl::Status check_counts(const ShapeContext& c) {
  const std::pair<const char*, const char*> pairs[] = {{"Ncontext_sparse", "context_sparse_types"},
                                                       {"Nfeature_list_sparse", "feature_list_sparse_types"},
                                                       {"Ncontext_dense", "Tcontext_dense"},
                                                       {"Nfeature_list_dense", "feature_list_dense_types"}};
  for (const auto& [number, types] : pairs) {
    if (c.node().attrs.find(number) == c.node().attrs.end()) continue;
    MR_ASSIGN_OR_RETURN(const int64_t n, c.attr<int64_t>(number));
    MR_ASSIGN_OR_RETURN(const int listed, count_of<DataType>(c, types));
    if (n != listed) return invalid_argument("len(", types, ") is ", listed, ", but ", number, " is ", n);
  }
  return absl::OkStatus();
}

// `lengths`: whether there are outputs for the steps of each dense feature list.
absl::Status set_sequence_shapes(ShapeContext& c, const PartialTensorShape& batch, bool lengths) {
  MR_RETURN_IF_ERROR(check_counts(c));
  MR_ASSIGN_OR_RETURN(const int context_sparse, count_of<DataType>(c, "context_sparse_types"));
  MR_ASSIGN_OR_RETURN(const int context_ragged, count_of<DataType>(c, "context_ragged_value_types"));
  MR_ASSIGN_OR_RETURN(const int sparse, count_of<DataType>(c, "feature_list_sparse_types"));
  MR_ASSIGN_OR_RETURN(const int ragged, count_of<DataType>(c, "feature_list_ragged_value_types"));
  MR_ASSIGN_OR_RETURN(const auto context_dense, c.attr<std::vector<PartialTensorShape>>("context_dense_shapes"));
  MR_ASSIGN_OR_RETURN(const auto dense, c.attr<std::vector<PartialTensorShape>>("feature_list_dense_shapes"));
  Outputs outputs(c, batch);
  MR_RETURN_IF_ERROR(outputs.sparse(context_sparse, 1));
  MR_RETURN_IF_ERROR(outputs.dense(context_dense, false));
  MR_RETURN_IF_ERROR(outputs.repeat(context_ragged, {-1}));
  MR_RETURN_IF_ERROR(outputs.row_splits(context_ragged));
  MR_RETURN_IF_ERROR(outputs.sparse(sparse, 2));
  MR_RETURN_IF_ERROR(outputs.dense(dense, true));
  if (lengths) MR_RETURN_IF_ERROR(outputs.repeat(static_cast<int>(dense.size()), batch));
  MR_RETURN_IF_ERROR(outputs.repeat(ragged, {-1}));
  MR_RETURN_IF_ERROR(outputs.row_splits(ragged));
  return outputs.repeat(ragged, {-1});
}

absl::Status parse_sequence_example_v2_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape batch, c.with_rank_at_most(0, 1));
  for (int i = 2; i < 9; ++i) MR_RETURN_IF_ERROR(c.with_rank(i, 1).status());
  return set_sequence_shapes(c, batch, true);
}

absl::Status parse_sequence_example_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape batch, c.with_rank(0, 1));
  return set_sequence_shapes(c, batch, true);
}

absl::Status parse_single_sequence_example_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 0).status());
  MR_RETURN_IF_ERROR(c.with_rank(1, 1).status());
  return set_sequence_shapes(c, PartialTensorShape::scalar(), false);
}

}  // namespace

void register_sequence_parsing(Registry& registry) {
  registry.op("ParseSequenceExampleV2")
      .input("serialized: string")
      .input("debug_name: string")
      .input("context_sparse_keys: string")
      .input("context_dense_keys: string")
      .input("context_ragged_keys: string")
      .input("feature_list_sparse_keys: string")
      .input("feature_list_dense_keys: string")
      .input("feature_list_ragged_keys: string")
      .input("feature_list_dense_missing_assumed_empty: bool")
      .input("context_dense_defaults: Tcontext_dense")
      .output("context_sparse_indices: Ncontext_sparse * int64")
      .output("context_sparse_values: context_sparse_types")
      .output("context_sparse_shapes: Ncontext_sparse * int64")
      .output("context_dense_values: Tcontext_dense")
      .output("context_ragged_values: context_ragged_value_types")
      .output("context_ragged_row_splits: context_ragged_split_types")
      .output("feature_list_sparse_indices: Nfeature_list_sparse * int64")
      .output("feature_list_sparse_values: feature_list_sparse_types")
      .output("feature_list_sparse_shapes: Nfeature_list_sparse * int64")
      .output("feature_list_dense_values: feature_list_dense_types")
      .output("feature_list_dense_lengths: Nfeature_list_dense * int64")
      .output("feature_list_ragged_values: feature_list_ragged_value_types")
      .output("feature_list_ragged_outer_splits: feature_list_ragged_split_types")
      .output("feature_list_ragged_inner_splits: feature_list_ragged_split_types")
      .attr("Ncontext_sparse: int >= 0 = 0")
      .attr("Tcontext_dense: list({float, int64, string}) >= 0 = []")
      .attr("context_sparse_types: list({float, int64, string}) >= 0 = []")
      .attr("context_ragged_value_types: list({float, int64, string}) >= 0 = []")
      .attr("context_ragged_split_types: list({int32, int64}) >= 0 = []")
      .attr("context_dense_shapes: list(shape) >= 0 = []")
      .attr("Nfeature_list_sparse: int >= 0 = 0")
      .attr("Nfeature_list_dense: int >= 0 = 0")
      .attr("feature_list_dense_types: list({float, int64, string}) >= 0 = []")
      .attr("feature_list_sparse_types: list({float, int64, string}) >= 0 = []")
      .attr("feature_list_ragged_value_types: list({float, int64, string}) >= 0 = []")
      .attr("feature_list_ragged_split_types: list({int32, int64}) >= 0 = []")
      .attr("feature_list_dense_shapes: list(shape) >= 0 = []")
      .shape(parse_sequence_example_v2_shape)
      .cpu<ParseSequenceExampleV2>()
      .not_differentiable()
      .doc("Features of serialized tf.train.SequenceExamples, or of one, as tensors.");
  registry.op("ParseSequenceExample")
      .input("serialized: string")
      .input("debug_name: string")
      .input("context_dense_defaults: Tcontext_dense")
      .output("context_sparse_indices: Ncontext_sparse * int64")
      .output("context_sparse_values: context_sparse_types")
      .output("context_sparse_shapes: Ncontext_sparse * int64")
      .output("context_dense_values: Tcontext_dense")
      .output("feature_list_sparse_indices: Nfeature_list_sparse * int64")
      .output("feature_list_sparse_values: feature_list_sparse_types")
      .output("feature_list_sparse_shapes: Nfeature_list_sparse * int64")
      .output("feature_list_dense_values: feature_list_dense_types")
      .output("feature_list_dense_lengths: Nfeature_list_dense * int64")
      .attr("feature_list_dense_missing_assumed_empty: list(string) >= 0")
      .attr("context_sparse_keys: list(string) >= 0")
      .attr("context_dense_keys: list(string) >= 0")
      .attr("feature_list_sparse_keys: list(string) >= 0")
      .attr("feature_list_dense_keys: list(string) >= 0")
      .attr("Ncontext_sparse: int >= 0 = 0")
      .attr("Ncontext_dense: int >= 0 = 0")
      .attr("Nfeature_list_sparse: int >= 0 = 0")
      .attr("Nfeature_list_dense: int >= 0 = 0")
      .attr("context_sparse_types: list({float, int64, string}) >= 0 = []")
      .attr("Tcontext_dense: list({float, int64, string}) >= 0 = []")
      .attr("feature_list_dense_types: list({float, int64, string}) >= 0 = []")
      .attr("context_dense_shapes: list(shape) >= 0 = []")
      .attr("feature_list_sparse_types: list({float, int64, string}) >= 0 = []")
      .attr("feature_list_dense_shapes: list(shape) >= 0 = []")
      .shape(parse_sequence_example_shape)
      .cpu<ParseSequenceExample>()
      .not_differentiable()
      .doc("Features of serialized tf.train.SequenceExamples as tensors.");
  registry.op("ParseSingleSequenceExample")
      .input("serialized: string")
      .input("feature_list_dense_missing_assumed_empty: string")
      .input("context_sparse_keys: Ncontext_sparse * string")
      .input("context_dense_keys: Ncontext_dense * string")
      .input("feature_list_sparse_keys: Nfeature_list_sparse * string")
      .input("feature_list_dense_keys: Nfeature_list_dense * string")
      .input("context_dense_defaults: Tcontext_dense")
      .input("debug_name: string")
      .output("context_sparse_indices: Ncontext_sparse * int64")
      .output("context_sparse_values: context_sparse_types")
      .output("context_sparse_shapes: Ncontext_sparse * int64")
      .output("context_dense_values: Tcontext_dense")
      .output("feature_list_sparse_indices: Nfeature_list_sparse * int64")
      .output("feature_list_sparse_values: feature_list_sparse_types")
      .output("feature_list_sparse_shapes: Nfeature_list_sparse * int64")
      .output("feature_list_dense_values: feature_list_dense_types")
      .attr("Ncontext_sparse: int >= 0 = 0")
      .attr("Ncontext_dense: int >= 0 = 0")
      .attr("Nfeature_list_sparse: int >= 0 = 0")
      .attr("Nfeature_list_dense: int >= 0 = 0")
      .attr("context_sparse_types: list({float, int64, string}) >= 0 = []")
      .attr("Tcontext_dense: list({float, int64, string}) >= 0 = []")
      .attr("feature_list_dense_types: list({float, int64, string}) >= 0 = []")
      .attr("context_dense_shapes: list(shape) >= 0 = []")
      .attr("feature_list_sparse_types: list({float, int64, string}) >= 0 = []")
      .attr("feature_list_dense_shapes: list(shape) >= 0 = []")
      .shape(parse_single_sequence_example_shape)
      .cpu<ParseSingleSequenceExample>()
      .not_differentiable()
      .doc("Features of one serialized tf.train.SequenceExample as tensors.");
}

}  // namespace millrace
