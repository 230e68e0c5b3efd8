#include "ops/example_parser.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "absl/container/flat_hash_map.h"
#include "base/wire.h"
#include "ops/example_values.h"

namespace millrace {
namespace {

// Copies the default, a whole row or one value for all of it.
template <class T> void fill_default(const Tensor& from, Tensor& to, int64_t offset, int64_t count) {
  const std::span<const T> in = from.unchecked<T>();
  T* out = static_cast<T*>(to.raw_mutable_data()) + offset;
  if (in.size() == 1) std::fill(out, out + count, in[0]);
  else if (in.empty()) std::fill(out, out + count, T());
  else std::copy(in.begin(), in.end(), out);
}

void fill_with_default(const Tensor& from, Tensor& to, int64_t offset, int64_t count) {
  if (count == 0) return;
  if (to.dtype() == DataType::kFloat) fill_default<float>(from, to, offset, count);
  else if (to.dtype() == DataType::kInt64) fill_default<int64_t>(from, to, offset, count);
  else fill_default<std::string>(from, to, offset, count);
}

class Parser {
 public:
  Parser(const ExampleFeatures& features, std::span<const std::string> names, bool single)
      : features_(features), names_(names), single_(single) {}

  absl::Status start(size_t num_examples) {
    num_examples_ = num_examples;
    index_keys();
    for (const DenseFeature& f : features_.dense) {
      dense_.emplace_back();
      if (f.variable) {
        columns_dense_.push_back(column(f.dtype));
        continue;
      }
      columns_dense_.push_back(Column());
      TensorShape shape = f.shape;
      if (!single_) {
        MR_ASSIGN_OR_RETURN(shape, insert_dim(f.shape, 0, static_cast<int64_t>(num_examples)));
      }
      MR_ASSIGN_OR_RETURN(dense_.back(), make_tensor(f.dtype, shape));
    }
    for (const SparseFeature& f : features_.sparse) columns_sparse_.push_back(column(f.dtype));
    for (const RaggedFeature& f : features_.ragged) columns_ragged_.push_back(column(f.dtype));
    seen_.assign(features_.dense.size(), false);
    return absl::OkStatus();
  }

  absl::Status add(std::string_view bytes, size_t example) {
    std::fill(seen_.begin(), seen_.end(), false);
    for (auto* columns : {&columns_dense_, &columns_sparse_, &columns_ragged_})
      for (Column& c : *columns) c.row_begin = c.values.size();
    WireReader r(bytes);
    while (r.next()) {
      if (!r.is(1, WireType::kBytes)) {
        r.skip();
        continue;
      }
      WireReader map(r.bytes());
      while (map.next()) {
        if (!map.is(1, WireType::kBytes)) {
          map.skip();
          continue;
        }
        MR_RETURN_IF_ERROR(add_entry(map.bytes(), example));
      }
      if (!map.ok()) return damaged({}, example);
    }
    if (!r.ok()) return damaged({}, example);
    for (size_t d = 0; d < features_.dense.size(); ++d)
      if (!seen_[d]) MR_RETURN_IF_ERROR(add_missing(d, example));
    for (auto* columns : {&columns_dense_, &columns_sparse_, &columns_ragged_})
      for (Column& c : *columns) c.row_sizes.push_back(static_cast<int64_t>(c.values.size() - c.row_begin));
    return absl::OkStatus();
  }

  absl::StatusOr<ParsedExamples> finish() {
    ParsedExamples out;
    for (size_t d = 0; d < features_.dense.size(); ++d) {
      if (features_.dense[d].variable) {
        MR_ASSIGN_OR_RETURN(dense_[d], padded(features_.dense[d], columns_dense_[d]));
      }
    }
    out.dense = std::move(dense_);
    for (Column& c : columns_sparse_) MR_RETURN_IF_ERROR(finish_sparse(c, &out));
    for (size_t i = 0; i < columns_ragged_.size(); ++i)
      MR_RETURN_IF_ERROR(finish_ragged(columns_ragged_[i], features_.ragged[i].split_dtype, &out));
    return out;
  }

 private:
  // Values of a feature of any length, and how many each example has.
  struct Column {
    Values values;
    std::vector<int64_t> row_sizes;
    size_t row_begin = 0;
  };
  enum class Kind : uint8_t { kDense, kSparse, kRagged };
  struct Target {
    std::string_view key;
    Kind kind;
    size_t index;
  };

  static Column column(DataType dtype) {
    Column c;
    c.values.dtype = dtype;
    return c;
  }

  // Few keys are compared one by one, many are hashed. One key may be asked for several times.
  void index_keys() {
    for (size_t i = 0; i < features_.dense.size(); ++i) targets_.push_back({features_.dense[i].key, Kind::kDense, i});
    for (size_t i = 0; i < features_.sparse.size(); ++i)
      targets_.push_back({features_.sparse[i].key, Kind::kSparse, i});
    for (size_t i = 0; i < features_.ragged.size(); ++i)
      targets_.push_back({features_.ragged[i].key, Kind::kRagged, i});
    if (targets_.size() <= 16) return;
    for (size_t i = 0; i < targets_.size(); ++i) by_key_[to_absl(targets_[i].key)].push_back(i);
  }

  absl::Status add_entry(std::string_view entry, size_t example) {
    std::string_view key, feature;
    WireReader r(entry);
    while (r.next()) {
      if (r.is(1, WireType::kBytes)) key = r.bytes();
      else if (r.is(2, WireType::kBytes)) feature = r.bytes();
      else r.skip();
    }
    if (!r.ok()) return damaged(key, example);
    if (by_key_.empty()) {
      for (const Target& t : targets_)
        if (t.key == key) MR_RETURN_IF_ERROR(add_feature(t, feature, example));
      return absl::OkStatus();
    }
    const auto it = by_key_.find(to_absl(key));
    if (it == by_key_.end()) return absl::OkStatus();
    for (const size_t i : it->second) MR_RETURN_IF_ERROR(add_feature(targets_[i], feature, example));
    return absl::OkStatus();
  }

  absl::Status add_feature(const Target& target, std::string_view bytes, size_t example) {
    FeatureValue value;
    if (!read_feature(bytes, &value)) return damaged(target.key, example);
    if (value.dtype == DataType::kInvalid) return absl::OkStatus();  // as if it were not there
    if (target.kind == Kind::kDense) return add_dense(target.index, value, example);
    Column& c = target.kind == Kind::kSparse ? columns_sparse_[target.index] : columns_ragged_[target.index];
    if (value.dtype != c.values.dtype)
      return wrong(target.key, example, "Data types don't match. Expected type: ", dtype_name(c.values.dtype),
                   ", Actual type: ", dtype_name(value.dtype));
    c.values.truncate(c.row_begin);  // the last of two entries of one key counts
    return c.values.append(value.list) ? absl::OkStatus() : damaged(target.key, example);
  }

  absl::Status add_dense(size_t d, const FeatureValue& value, size_t example) {
    const DenseFeature& f = features_.dense[d];
    if (value.dtype != f.dtype)
      return wrong(f.key, example, "Data types don't match. Data type: ", dtype_name(value.dtype),
                   " but expected type: ", dtype_name(f.dtype));
    const int64_t row = f.shape.num_elements();
    const std::string_view type = f.dtype == DataType::kFloat   ? "float"
                                  : f.dtype == DataType::kInt64 ? "int64"
                                                                : "bytes";
    seen_[d] = true;
    if (f.variable) {
      Column& c = columns_dense_[d];
      c.values.truncate(c.row_begin);
      if (!c.values.append(value.list)) return damaged(f.key, example);
      const size_t count = c.values.size() - c.row_begin;
      if (row == 0 ? count != 0 : count % static_cast<size_t>(row) != 0)
        return wrong(f.key, example, "Number of ", type, " values is not a multiple of stride length. Saw ", count,
                     " values but output shape is: ", with_unknown_rows(f.shape));
      return absl::OkStatus();
    }
    int64_t found = 0;
    if (!fill_dense(value, dense_[d], single_ ? 0 : static_cast<int64_t>(example) * row, row, &found))
      return damaged(f.key, example);
    if (found != row)
      return wrong(f.key, example, "Number of ", type, " values != expected.  Values size: ", found,
                   " but output shape: ", f.shape);
    return absl::OkStatus();
  }

  absl::Status add_missing(size_t d, size_t example) {
    const DenseFeature& f = features_.dense[d];
    if (f.variable) return absl::OkStatus();
    const int64_t row = f.shape.num_elements();
    if (f.default_value.num_elements() == 0 && row != 0)
      return invalid_argument(single_ ? std::string() : str_cat("Name: ", name(example), ", "), "Feature: ", f.key,
                              " (data type: ", dtype_name(f.dtype), ") is required but could not be found.");
    fill_with_default(f.default_value, dense_[d], single_ ? 0 : static_cast<int64_t>(example) * row, row);
    return absl::OkStatus();
  }

  // [batch, longest, shape...], or [rows, shape...] of one example.
  absl::StatusOr<Tensor> padded(const DenseFeature& f, Column& c) {
    const int64_t row = std::max<int64_t>(f.shape.num_elements(), 1);
    int64_t longest = 0;
    for (const int64_t size : c.row_sizes) longest = std::max(longest, size);
    MR_ASSIGN_OR_RETURN(TensorShape shape, insert_dim(f.shape, 0, longest / row));
    if (!single_) {
      MR_ASSIGN_OR_RETURN(shape, insert_dim(shape, 0, static_cast<int64_t>(num_examples_)));
    }
    MR_ASSIGN_OR_RETURN(Tensor t, make_tensor(f.dtype, shape));
    int64_t from = 0, to = 0;
    for (const int64_t size : c.row_sizes) {
      c.values.move_to(static_cast<size_t>(from), static_cast<size_t>(size), t, static_cast<size_t>(to));
      fill_with_default(f.default_value, t, to + size, longest - size);
      from += size;
      to += longest;
    }
    return t;
  }

  absl::Status finish_sparse(Column& c, ParsedExamples* out) {
    const auto total = static_cast<int64_t>(c.values.size());
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({total, single_ ? 1 : 2}));
    MR_ASSIGN_OR_RETURN(Tensor indices, make_tensor(DataType::kInt64, shape));
    int64_t* index = static_cast<int64_t*>(indices.raw_mutable_data());
    int64_t longest = 0;
    for (size_t e = 0; e < c.row_sizes.size(); ++e) {
      longest = std::max(longest, c.row_sizes[e]);
      for (int64_t i = 0; i < c.row_sizes[e]; ++i) {
        if (!single_) *index++ = static_cast<int64_t>(e);
        *index++ = i;
      }
    }
    const int64_t dims[] = {static_cast<int64_t>(num_examples_), longest};
    MR_ASSIGN_OR_RETURN(Tensor dense_shape, make_vector<int64_t>(std::span(dims).subspan(single_ ? 1 : 0)));
    MR_ASSIGN_OR_RETURN(Tensor values, c.values.take_all());
    out->sparse_indices.push_back(std::move(indices));
    out->sparse_values.push_back(std::move(values));
    out->sparse_shapes.push_back(std::move(dense_shape));
    return absl::OkStatus();
  }

  absl::Status finish_ragged(Column& c, DataType split_dtype, ParsedExamples* out) {
    std::vector<int64_t> splits;
    if (!single_) splits.push_back(0);
    for (size_t e = 0; !single_ && e < c.row_sizes.size(); ++e) splits.push_back(splits.back() + c.row_sizes[e]);
    if (split_dtype == DataType::kInt32) {
      if (!splits.empty() && splits.back() > INT32_MAX)
        return invalid_argument("Ragged feature has too many values for int32 row splits.");
      const std::vector<int32_t> narrow(splits.begin(), splits.end());
      MR_ASSIGN_OR_RETURN(Tensor t, make_vector<int32_t>(narrow));
      out->ragged_splits.push_back(std::move(t));
    } else {
      MR_ASSIGN_OR_RETURN(Tensor t, make_vector<int64_t>(splits));
      out->ragged_splits.push_back(std::move(t));
    }
    MR_ASSIGN_OR_RETURN(Tensor values, c.values.take_all());
    out->ragged_values.push_back(std::move(values));
    return absl::OkStatus();
  }

  static std::string with_unknown_rows(const TensorShape& shape) {
    std::string text = "[?";
    for (const int64_t d : shape.dims()) str_append(&text, ",", d);
    return text + "]";
  }
  std::string_view name(size_t example) const {
    return example < names_.size() ? std::string_view(names_[example]) : "<unknown>";
  }

  template <class... Args> absl::Status wrong(std::string_view key, size_t example, const Args&... what) const {
    if (single_) return invalid_argument("Key: ", key, ".  ", what...);
    return invalid_argument("Name: ", name(example), ", Key: ", key, ", Index: ", example, ".  ", what...);
  }
  absl::Status damaged(std::string_view key, size_t example) const {
    if (key.empty()) {
      if (single_) return invalid_argument("Could not parse example input: Can't parse serialized Example.");
      return invalid_argument("Could not parse example input, Name: ", name(example), ", Index: ", example,
                              ": Can't parse serialized Example.");
    }
    return wrong(key, example, "Can't parse serialized Example.");
  }

  const ExampleFeatures& features_;
  const std::span<const std::string> names_;
  const bool single_;
  size_t num_examples_ = 0;
  std::vector<Target> targets_;
  absl::flat_hash_map<absl::string_view, std::vector<size_t>> by_key_;  // empty for few keys
  std::vector<Tensor> dense_;                                           // of fixed shape; others come in finish()
  std::vector<Column> columns_dense_, columns_sparse_, columns_ragged_;
  std::vector<bool> seen_;  // dense features of the current example
};

}  // namespace

absl::StatusOr<ParsedExamples> parse_examples(std::span<const std::string> serialized,
                                              std::span<const std::string> names, const ExampleFeatures& features) {
  Parser parser(features, names, /*single=*/false);
  MR_RETURN_IF_ERROR(parser.start(serialized.size()));
  for (size_t i = 0; i < serialized.size(); ++i) MR_RETURN_IF_ERROR(parser.add(serialized[i], i));
  return parser.finish();
}

absl::StatusOr<ParsedExamples> parse_single_example(std::string_view serialized, const ExampleFeatures& features) {
  Parser parser(features, {}, /*single=*/true);
  MR_RETURN_IF_ERROR(parser.start(1));
  MR_RETURN_IF_ERROR(parser.add(serialized, 0));
  return parser.finish();
}

absl::Status set_dense_shape(DenseFeature& feature, const PartialTensorShape& shape, const Tensor& default_value,
                             size_t index) {
  if (!shape.has_rank()) return invalid_argument("dense_shapes[", index, "] has unknown rank");
  for (int d = 1; d < shape.rank(); ++d) {
    if (shape.dim(d) < 0)
      return invalid_argument("dense_shapes[", index, "] has unknown rank or unknown inner dimensions: ", shape);
  }
  if (default_value.dtype() != feature.dtype)
    return invalid_argument("dense_defaults[", index, "].dtype() == ", dtype_name(default_value.dtype()),
                            " != dense_types_[", index, "] == ", dtype_name(feature.dtype));
  feature.variable = shape.rank() > 0 && shape.dim(0) < 0;
  MR_ASSIGN_OR_RETURN(feature.shape, make_shape(shape.dims().subspan(feature.variable ? 1 : 0)));
  feature.default_value = default_value;
  if (default_value.num_elements() == 0) return absl::OkStatus();
  if (feature.variable) {
    if (default_value.num_elements() != 1)
      return invalid_argument(
          "dense_shape[", index, "] is a variable length shape: ", shape, ", therefore def_value[", index,
          "] must contain a single element (the padding element).  But its shape is: ", default_value.shape());
  } else if (!shape.is_compatible_with(default_value.shape())) {
    return invalid_argument("def_value[", index, "].shape() == ", default_value.shape(),
                            " is not compatible with dense_shapes_[", index, "] == ", shape);
  }
  return absl::OkStatus();
}

}  // namespace millrace
