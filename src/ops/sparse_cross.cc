// Crosses of features: for each row of a batch, every combination of one value of each column, as a string or hashed.

#include <algorithm>
#include <limits>

#include "base/checked.h"
#include "base/fingerprint.h"
#include "ops/sparse_tensor.h"

namespace millrace {
namespace {

constexpr std::string_view kSeparator = "_X_";

// The features of one column, by row of the batch.
class Column {
 public:
  Column(Tensor values, Tensor begins) : values_(std::move(values)), begins_(std::move(begins)) {}
  int64_t count(size_t row) const { return begin(row + 1) - begin(row); }
  std::string text(size_t row, int64_t i) const {
    if (values_.dtype() == DataType::kString) return values_.unchecked<std::string>()[at(row, i)];
    return str_cat(values_.unchecked<int64_t>()[at(row, i)]);
  }
  uint64_t hash(size_t row, int64_t i) const {
    if (values_.dtype() == DataType::kString) return fingerprint64(values_.unchecked<std::string>()[at(row, i)]);
    return static_cast<uint64_t>(values_.unchecked<int64_t>()[at(row, i)]);
  }

 private:
  int64_t begin(size_t row) const { return begins_.unchecked<int64_t>()[row]; }
  size_t at(size_t row, int64_t i) const { return static_cast<size_t>(begin(row) + i); }
  Tensor values_;
  Tensor begins_;  // where the row's features begin; one more for the end
};

uint64_t shift_mix(uint64_t x) { return x ^ (x >> 47); }

// TensorFlow's FingerprintCat64.
uint64_t fingerprint_cat(uint64_t a, uint64_t b) {
  constexpr uint64_t kMul = 0xc6a4a7935bd1e995u;
  uint64_t result = a ^ kMul;
  result ^= shift_mix(b * kMul) * kMul;
  result *= kMul;
  result = shift_mix(result) * kMul;
  return shift_mix(result);
}

struct Columns {
  std::vector<Column> all;  // the sparse ones, then the dense ones
  int64_t rows = 0;
};

absl::StatusOr<Column> sparse_column(const SparseTensor& sparse, int64_t rows) {
  if (sparse.rank() != 2) return invalid_argument("Expected D2 of index to be 2 got ", sparse.rank());
  MR_ASSIGN_OR_RETURN(const TensorShape ends, make_shape({rows + 1}));
  MR_ASSIGN_OR_RETURN(Tensor kept, make_zeroed_tensor(DataType::kInt64, ends));
  const auto begins = kept.unchecked_mutable<int64_t>();
  for (int64_t i = 0; i < sparse.size(); ++i) {
    const int64_t row = sparse.index(i)[0];
    if (row < 0 || row >= rows)
      return invalid_argument("Row index ", row, " is outside of valid range [0, ", rows, ")");
    if (i > 0 && row < sparse.index(i - 1)[0])
      return invalid_argument("Indices of a sparse column must be in the order of rows; use tf.sparse.reorder");
    ++begins[static_cast<size_t>(row) + 1];
  }
  for (size_t r = 1; r < begins.size(); ++r) begins[r] += begins[r - 1];
  return Column(sparse.values, std::move(kept));
}

absl::StatusOr<Columns> read_columns(const KernelContext& ctx, int sparse_count, int dense_count) {
  Columns columns;
  if (sparse_count > 0) {
    const Tensor& shape = ctx.input(2 * sparse_count);
    if (shape.rank() != 1 || shape.num_elements() != 2)
      return invalid_argument("Input shape should be a vector of 2 but received shape ", shape.shape());
    columns.rows = shape.unchecked<int64_t>()[0];
  } else if (dense_count > 0) {
    if (ctx.shape(0).rank() != 2)
      return invalid_argument("Dense inputs should be a matrix but received shape ", ctx.shape(0));
    columns.rows = ctx.shape(0).dim(0);
  }
  // What a claimed batch costs is bounded before anything is allocated for it.
  if (columns.rows < 0 || columns.rows > (int64_t{1} << 28))
    return invalid_argument("Batch size ", columns.rows, " is out of range");
  for (int i = 0; i < sparse_count; ++i) {
    MR_ASSIGN_OR_RETURN(const SparseTensor sparse, sparse_input(ctx, i, sparse_count + i, 2 * sparse_count + i));
    if (sparse.rank() == 2 && sparse.dims[0] != columns.rows)
      return invalid_argument("Expected batch size ", columns.rows, " got ", sparse.dims[0], " at ", i);
    MR_ASSIGN_OR_RETURN(Column column, sparse_column(sparse, columns.rows));
    columns.all.push_back(std::move(column));
  }
  for (int i = 0; i < dense_count; ++i) {
    const Tensor& dense = ctx.input(3 * sparse_count + i);
    if (dense.rank() != 2)
      return invalid_argument("Dense inputs should be a matrix but received shape ", dense.shape(), " at ", i);
    if (dense.dim(0) != columns.rows)
      return invalid_argument("Expected batch size ", columns.rows, " got ", dense.dim(0), " at dense tensor ", i);
    MR_ASSIGN_OR_RETURN(const TensorShape ends, make_shape({columns.rows + 1}));
    MR_ASSIGN_OR_RETURN(Tensor begins, make_tensor(DataType::kInt64, ends));
    int64_t at = 0;
    for (int64_t& begin : begins.unchecked_mutable<int64_t>()) at += dense.dim(1), begin = at - dense.dim(1);
    columns.all.emplace_back(dense, std::move(begins));
  }
  return columns;
}

// How many crosses each row has.
absl::StatusOr<std::vector<int64_t>> count_crosses(const Columns& columns) {
  std::vector<int64_t> counts(static_cast<size_t>(columns.rows), columns.all.empty() ? 0 : 1);
  CheckedInt total = int64_t{0};
  for (size_t row = 0; row < counts.size(); ++row) {
    CheckedInt count = counts[row];
    for (const Column& column : columns.all) count *= column.count(row);
    total += count;
    if (!total.valid()) return invalid_argument("There are too many crosses to count");
    counts[row] = count.value();
  }
  return counts;
}

// Calls fn(row, combination, output place) for every cross; the last column's feature changes fastest.
template <class Fn>
absl::Status for_each_cross(const KernelContext& ctx, const Columns& columns, std::span<const int64_t> counts,
                            Fn&& fn) {
  std::vector<int64_t> pick(columns.all.size());
  size_t at = 0;
  for (size_t row = 0; row < counts.size(); ++row) {
    std::ranges::fill(pick, int64_t{0});
    for (int64_t k = 0; k < counts[row]; ++k, ++at) {
      if (at % 65536 == 65535) MR_RETURN_IF_ERROR(ctx.check_cancelled());
      fn(row, pick, at);
      for (size_t c = pick.size(); c-- > 0;) {
        if (++pick[c] < columns.all[c].count(row)) break;
        pick[c] = 0;
      }
    }
  }
  return absl::OkStatus();
}

absl::Status output_places(KernelContext& ctx, std::span<const int64_t> counts, int64_t total) {
  MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({total, 2}));
  MR_ASSIGN_OR_RETURN(const auto indices, ctx.output<int64_t>(0, shape));
  auto to = indices.begin();
  int64_t widest = 0;
  for (size_t row = 0; row < counts.size(); ++row) {
    widest = std::max(widest, counts[row]);
    for (int64_t k = 0; k < counts[row]; ++k) {
      *to++ = static_cast<int64_t>(row);
      *to++ = k;
    }
  }
  const int64_t dims[] = {static_cast<int64_t>(counts.size()), widest};
  MR_ASSIGN_OR_RETURN(Tensor dense, make_vector<int64_t>(dims));
  return ctx.set_output(2, std::move(dense));
}

absl::Status cross_as_text(KernelContext& ctx, const Columns& columns, std::string_view separator) {
  MR_ASSIGN_OR_RETURN(const std::vector<int64_t> counts, count_crosses(columns));
  int64_t total = 0;
  for (const int64_t c : counts) total += c;
  MR_RETURN_IF_ERROR(output_places(ctx, counts, total));
  MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({total}));
  MR_ASSIGN_OR_RETURN(const auto out, ctx.output<std::string>(1, shape));
  size_t bytes = 0;
  constexpr size_t kMaxBytes = size_t{1} << 31;
  MR_RETURN_IF_ERROR(for_each_cross(ctx, columns, counts, [&](size_t row, std::span<const int64_t> pick, size_t at) {
    if (bytes > kMaxBytes) return;
    std::string& text = out[at];
    for (size_t c = 0; c < pick.size(); ++c)
      str_append(&text, c > 0 ? separator : "", columns.all[c].text(row, pick[c]));
    bytes += text.size();
  }));
  if (bytes > kMaxBytes) return resource_exhausted("The crosses have more than ", kMaxBytes, " bytes");
  return absl::OkStatus();
}

absl::Status cross_as_hash(KernelContext& ctx, const Columns& columns, int64_t num_buckets, uint64_t key) {
  MR_ASSIGN_OR_RETURN(const std::vector<int64_t> counts, count_crosses(columns));
  int64_t total = 0;
  for (const int64_t c : counts) total += c;
  MR_RETURN_IF_ERROR(output_places(ctx, counts, total));
  MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({total}));
  MR_ASSIGN_OR_RETURN(const auto out, ctx.output<int64_t>(1, shape));
  const auto buckets = static_cast<uint64_t>(num_buckets > 0 ? num_buckets : std::numeric_limits<int64_t>::max());
  return for_each_cross(ctx, columns, counts, [&](size_t row, std::span<const int64_t> pick, size_t at) {
    uint64_t hash = key;
    for (size_t c = 0; c < pick.size(); ++c) hash = fingerprint_cat(hash, columns.all[c].hash(row, pick[c]));
    out[at] = static_cast<int64_t>(hash % buckets);
  });
}

absl::StatusOr<std::pair<int, int>> column_counts(const KernelInit& init) {
  MR_ASSIGN_OR_RETURN(const int64_t n, init.attr<int64_t>("N"));
  MR_ASSIGN_OR_RETURN(const auto dense, init.attr<std::vector<DataType>>("dense_types"));
  MR_ASSIGN_OR_RETURN(const auto sparse, init.attr<std::vector<DataType>>("sparse_types"));
  if (static_cast<int64_t>(sparse.size()) != n)
    return invalid_argument("SparseCross: N is ", n, ", but sparse_types has ", sparse.size(), " types");
  return std::pair(static_cast<int>(n), static_cast<int>(dense.size()));
}

class SparseCross final : public Kernel {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(counts_, column_counts(init));
    MR_ASSIGN_OR_RETURN(hashed_, init.attr<bool>("hashed_output"));
    MR_ASSIGN_OR_RETURN(buckets_, init.attr<int64_t>("num_buckets"));
    MR_ASSIGN_OR_RETURN(key_, init.attr<int64_t>("hash_key"));
    MR_ASSIGN_OR_RETURN(const DataType out, init.attr<DataType>("out_type"));
    if (hashed_ != (out == DataType::kInt64))
      return invalid_argument("SparseCross: out_type must be int64 for hashed_output, else string");
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const Columns columns, read_columns(ctx, counts_.first, counts_.second));
    if (hashed_) return cross_as_hash(ctx, columns, buckets_, static_cast<uint64_t>(key_));
    return cross_as_text(ctx, columns, kSeparator);
  }
  std::pair<int, int> counts_;
  bool hashed_ = false;
  int64_t buckets_ = 0, key_ = 0;
};

class SparseCrossV2 final : public Kernel {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(counts_, column_counts(init));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    const int separator = ctx.num_inputs() - 1;
    if (ctx.shape(separator).rank() != 0)
      return invalid_argument("Input separator should be a scalar. Received: ", ctx.input(separator).to_string());
    MR_ASSIGN_OR_RETURN(const std::string text, ctx.scalar<std::string>(separator));
    MR_ASSIGN_OR_RETURN(const Columns columns, read_columns(ctx, counts_.first, counts_.second));
    return cross_as_text(ctx, columns, text);
  }
  std::pair<int, int> counts_;
};

absl::Status cross_shape(ShapeContext& c) { return set_sparse_outputs(c, 0, 2); }

OpBuilder cross_inputs(Registry& registry, const char* name) {
  return registry.op(name)
      .input("indices: N * int64")
      .input("values: sparse_types")
      .input("shapes: N * int64")
      .input("dense_inputs: dense_types")
      .attr("N: int >= 0");
}

}  // namespace

void register_sparse_cross(Registry& registry) {
  cross_inputs(registry, "SparseCross")
      .output("output_indices: int64")
      .output("output_values: out_type")
      .output("output_shape: int64")
      .attr("hashed_output: bool")
      .attr("num_buckets: int >= 0")
      .attr("hash_key: int")
      .attr("sparse_types: list({int64, string}) >= 0")
      .attr("dense_types: list({int64, string}) >= 0")
      .attr("out_type: {int64, string}")
      .attr("internal_type: {int64, string}")
      .shape(cross_shape)
      .cpu<SparseCross>()
      .not_differentiable()
      .doc("Every combination of one feature of each column, joined or hashed.");
  cross_inputs(registry, "SparseCrossV2")
      .input("sep: string")
      .output("output_indices: int64")
      .output("output_values: string")
      .output("output_shape: int64")
      .attr("sparse_types: list({int64, string}) >= 0")
      .attr("dense_types: list({int64, string}) >= 0")
      .shape(cross_shape)
      .cpu<SparseCrossV2>()
      .not_differentiable()
      .doc("Every combination of one feature of each column, joined by a separator.");
}

}  // namespace millrace
