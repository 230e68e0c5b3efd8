#include "ops/sequence_example_parser.h"

#include <algorithm>
#include <limits>

#include "absl/container/flat_hash_map.h"
#include "base/wire.h"
#include "data/rows.h"
#include "ops/example_values.h"

namespace millrace {
namespace {

// Field numbers of SequenceExample, FeatureLists with their map's entries, and FeatureList.
constexpr uint32_t kFeatureLists = 2, kEntry = 1, kKey = 1, kValue = 2, kFeature = 1;

// One wanted feature list over all examples: the values, how many each step has, and how many steps each example.
struct List {
  std::string_view key;
  Values values;
  std::vector<int64_t> step_sizes, example_steps;
};

// An example's feature lists by their keys, the last of several.
using ListsByKey = absl::flat_hash_map<absl::string_view, std::string_view>;

// False where the bytes are damaged.
bool read_entry(std::string_view bytes, ListsByKey* lists) {
  std::string_view key, value;
  WireReader entry(bytes);
  while (entry.next()) {
    if (entry.is(kKey, WireType::kBytes)) key = entry.bytes();
    else if (entry.is(kValue, WireType::kBytes)) value = entry.bytes();
    else entry.skip();
  }
  (*lists)[to_absl(key)] = value;
  return entry.ok();
}

bool read_lists(std::string_view example, ListsByKey* lists) {
  WireReader r(example);
  while (r.next()) {
    if (!r.is(kFeatureLists, WireType::kBytes)) {
      r.skip();
      continue;
    }
    WireReader map(r.bytes());
    while (map.next()) {
      if (!map.is(kEntry, WireType::kBytes)) map.skip();
      else if (!read_entry(map.bytes(), lists)) return false;
    }
    if (!map.ok()) return false;
  }
  return r.ok();
}

class SequenceParser {
 public:
  SequenceParser(std::span<const std::string> serialized, std::span<const std::string> names, bool single)
      : serialized_(serialized), names_(names), single_(single) {}

  absl::StatusOr<ParsedSequences> parse(const SequenceFeatures& features) {
    lists_.resize(serialized_.size());
    for (size_t e = 0; e < serialized_.size(); ++e) {
      if (!read_lists(serialized_[e], &lists_[e])) return damaged(e);
    }
    ParsedSequences out;
    MR_ASSIGN_OR_RETURN(out.context, single_ ? parse_single_example(serialized_[0], features.context)
                                             : parse_examples(serialized_, names_, features.context));
    for (const DenseFeatureList& f : features.dense) MR_RETURN_IF_ERROR(add_dense(f, &out));
    for (const SparseFeature& f : features.sparse) MR_RETURN_IF_ERROR(add_sparse(f, &out));
    for (const RaggedFeature& f : features.ragged) MR_RETURN_IF_ERROR(add_ragged(f, &out));
    return out;
  }

 private:
  // What all examples have under a key. `required`: an error where one has not; `per_step`: how many values each step
  // must have, null for any number.
  absl::StatusOr<List> read(std::string_view key, DataType dtype, bool required, const TensorShape* per_step) const {
    List list;
    list.key = key;
    list.values.dtype = dtype;
    for (size_t e = 0; e < serialized_.size(); ++e) {
      const auto found = lists_[e].find(to_absl(key));
      const bool is_there = found != lists_[e].end();
      if (!is_there && required)
        return invalid_argument("Name: ", name(e), ", Feature list '", key,
                                "' is required but could not be found.  Did you mean to include it in "
                                "feature_list_dense_missing_assumed_empty or feature_list_dense_defaults?");
      const size_t before = list.step_sizes.size();
      MR_RETURN_IF_ERROR(read_steps(is_there ? found->second : std::string_view(), e, per_step, list));
      list.example_steps.push_back(static_cast<int64_t>(list.step_sizes.size() - before));
    }
    return list;
  }

  absl::Status read_steps(std::string_view bytes, size_t e, const TensorShape* per_step, List& list) const {
    WireReader r(bytes);
    for (int64_t step = 0; r.next();) {
      if (!r.is(kFeature, WireType::kBytes)) {
        r.skip();
        continue;
      }
      FeatureValue value;
      if (!read_feature(r.bytes(), &value)) return damaged(e);
      if (value.dtype != DataType::kInvalid && value.dtype != list.values.dtype)
        return invalid_argument("Name: ", name(e), ", Feature list: ", list.key, ", Index: ", step,
                                ".  Data types don't match. Expected type: ", dtype_name(list.values.dtype),
                                "  Feature is: ", list_name(value.dtype));
      const size_t before = list.values.size();
      if (value.dtype != DataType::kInvalid && !list.values.append(value.list)) return damaged(e);
      const auto count = static_cast<int64_t>(list.values.size() - before);
      if (per_step != nullptr && count != per_step->num_elements())
        return invalid_argument("Name: ", name(e), ", Key: ", list.key, ", Index: ", step, ".  Number of ",
                                type_name(list.values.dtype), " values != expected.  values size: ", count,
                                " but output shape: ", *per_step);
      list.step_sizes.push_back(count);
      ++step;
    }
    return r.ok() ? absl::OkStatus() : damaged(e);
  }

  absl::Status add_dense(const DenseFeatureList& f, ParsedSequences* out) const {
    MR_ASSIGN_OR_RETURN(List list, read(f.key, f.dtype, !f.may_be_missing, &f.shape));
    const int64_t longest = most(list.example_steps), element = f.shape.num_elements();
    MR_ASSIGN_OR_RETURN(TensorShape shape, insert_dim(f.shape, 0, longest));
    TensorShape lengths_shape;
    if (!single_) {
      MR_ASSIGN_OR_RETURN(shape, insert_dim(shape, 0, std::ssize(serialized_)));
      MR_ASSIGN_OR_RETURN(lengths_shape, make_shape({std::ssize(serialized_)}));
    }
    MR_ASSIGN_OR_RETURN(Tensor values, make_zeroed_tensor(f.dtype, shape));
    MR_ASSIGN_OR_RETURN(Tensor lengths, make_tensor(DataType::kInt64, lengths_shape));
    int64_t from = 0;
    for (size_t e = 0; e < list.example_steps.size(); ++e) {
      const int64_t count = list.example_steps[e] * element;
      list.values.move_to(static_cast<size_t>(from), static_cast<size_t>(count), values,
                          static_cast<size_t>(static_cast<int64_t>(e) * longest * element));
      from += count;
    }
    std::ranges::copy(list.example_steps, lengths.unchecked_mutable<int64_t>().begin());
    out->dense.push_back(std::move(values));
    out->dense_lengths.push_back(std::move(lengths));
    return absl::OkStatus();
  }

  absl::Status add_sparse(const SparseFeature& f, ParsedSequences* out) const {
    MR_ASSIGN_OR_RETURN(List list, read(f.key, f.dtype, false, nullptr));
    const int64_t rank = single_ ? 2 : 3;
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({static_cast<int64_t>(list.values.size()), rank}));
    MR_ASSIGN_OR_RETURN(Tensor indices, make_tensor(DataType::kInt64, shape));
    int64_t* index = static_cast<int64_t*>(indices.raw_mutable_data());
    size_t step = 0;
    for (size_t e = 0; e < list.example_steps.size(); ++e) {
      for (int64_t s = 0; s < list.example_steps[e]; ++s, ++step) {
        for (int64_t i = 0; i < list.step_sizes[step]; ++i) {
          if (!single_) *index++ = static_cast<int64_t>(e);
          *index++ = s;
          *index++ = i;
        }
      }
    }
    const int64_t dims[] = {std::ssize(serialized_), most(list.example_steps), most(list.step_sizes)};
    MR_ASSIGN_OR_RETURN(Tensor dense_shape, make_vector<int64_t>(std::span(dims).subspan(single_ ? 1 : 0)));
    MR_ASSIGN_OR_RETURN(Tensor values, list.values.take_all());
    out->sparse_indices.push_back(std::move(indices));
    out->sparse_values.push_back(std::move(values));
    out->sparse_shapes.push_back(std::move(dense_shape));
    return absl::OkStatus();
  }

  absl::Status add_ragged(const RaggedFeature& f, ParsedSequences* out) const {
    MR_ASSIGN_OR_RETURN(List list, read(f.key, f.dtype, false, nullptr));
    // TensorFlow leaves the outer splits of a single example unwritten: a scalar, here the number of steps.
    MR_ASSIGN_OR_RETURN(Tensor outer, single_ ? integer_as(f.split_dtype, std::ssize(list.step_sizes))
                                              : splits_of(list.example_steps, f.split_dtype));
    MR_ASSIGN_OR_RETURN(Tensor inner, splits_of(list.step_sizes, f.split_dtype));
    MR_ASSIGN_OR_RETURN(Tensor values, list.values.take_all());
    out->ragged_outer_splits.push_back(std::move(outer));
    out->ragged_inner_splits.push_back(std::move(inner));
    out->ragged_values.push_back(std::move(values));
    return absl::OkStatus();
  }

  static absl::StatusOr<Tensor> splits_of(std::span<const int64_t> sizes, DataType dtype) {
    std::vector<int64_t> splits(1, 0);
    for (const int64_t size : sizes) splits.push_back(splits.back() + size);
    if (dtype == DataType::kInt64) return make_vector<int64_t>(splits);
    if (splits.back() > std::numeric_limits<int32_t>::max())
      return invalid_argument("Ragged feature has too many values for int32 row splits.");
    return make_vector<int32_t>(std::vector<int32_t>(splits.begin(), splits.end()));
  }

  static int64_t most(std::span<const int64_t> sizes) { return sizes.empty() ? 0 : *std::ranges::max_element(sizes); }
  std::string_view name(size_t e) const { return e < names_.size() ? std::string_view(names_[e]) : "<unknown>"; }
  absl::Status damaged(size_t e) const {
    return invalid_argument("Invalid protocol message input, example id: ", name(e));
  }
  static std::string_view type_name(DataType dtype) {
    return dtype == DataType::kFloat ? "float" : dtype == DataType::kInt64 ? "int64" : "bytes";
  }
  static std::string_view list_name(DataType dtype) {
    return dtype == DataType::kFloat ? "float_list" : dtype == DataType::kInt64 ? "int64_list" : "bytes_list";
  }

  const std::span<const std::string> serialized_, names_;
  const bool single_;
  std::vector<ListsByKey> lists_;  // of each example
};

}  // namespace

absl::StatusOr<ParsedSequences> parse_sequence_examples(std::span<const std::string> serialized,
                                                        std::span<const std::string> names,
                                                        const SequenceFeatures& features, bool single) {
  if (single && serialized.size() != 1) return invalid_argument("Expected serialized to be a scalar");
  return SequenceParser(serialized, names, single).parse(features);
}

}  // namespace millrace
