// RaggedTensorToTensor: rows of different lengths, cut or filled with a default to a common one.

#include <algorithm>

#include "data/rows.h"
#include "op/gradient_context.h"
#include "ops/array_shapes.h"
#include "ops/gradient_ops.h"
#include "ops/ragged_splits.h"

namespace millrace {
namespace {

// How a tensor says which values belong to which row.
enum class Partition : uint8_t { kFirstDimSize, kValueRowids, kRowSplits };

absl::StatusOr<std::vector<Partition>> partitions_of(const NodeInfo& node) {
  MR_ASSIGN_OR_RETURN(const auto names, get_attr<std::vector<std::string>>(node, "row_partition_types"));
  MR_ASSIGN_OR_RETURN(const int64_t tensors, get_attr<int64_t>(node, "num_row_partition_tensors"));
  std::vector<Partition> partitions;
  for (const std::string& name : names) {
    if (name == "FIRST_DIM_SIZE") partitions.push_back(Partition::kFirstDimSize);
    else if (name == "VALUE_ROWIDS") partitions.push_back(Partition::kValueRowids);
    else if (name == "ROW_SPLITS") partitions.push_back(Partition::kRowSplits);
    else if (name == "ROW_LENGTHS" || name == "ROW_STARTS" || name == "ROW_LIMITS")
      return invalid_argument("Unsupported partition type: ", name);
    else return invalid_argument("Unknown string for partition info type: ", name);
  }
  if (static_cast<size_t>(tensors) != partitions.size())
    return invalid_argument("Number of row partition tensors (", tensors,
                            ") does not equal the number of row partition types(", partitions.size(), ").");
  if (partitions.empty()) return invalid_argument("Partition info types should not be empty");
  if (partitions[0] == Partition::kValueRowids) return invalid_argument("VALUE_ROWIDS cannot be first");
  for (size_t i = 1; i < partitions.size(); ++i) {
    if (partitions[i] == Partition::kFirstDimSize) return invalid_argument("FIRST_DIM_SIZE must be first");
  }
  if (partitions[0] == Partition::kFirstDimSize && (partitions.size() < 2 || partitions[1] != Partition::kValueRowids))
    return invalid_argument("FIRST_DIM_SIZE must be followed by VALUE_ROWIDS");
  return partitions;
}

int ragged_rank_of(const std::vector<Partition>& partitions) {
  return static_cast<int>(partitions.size()) - (partitions[0] == Partition::kFirstDimSize ? 1 : 0);
}

// The default must be an element of the values, or broadcast to one.
absl::Status check_default_shape(const PartialTensorShape& default_value, const PartialTensorShape& values) {
  if (!default_value.has_rank() || !values.has_rank()) return absl::OkStatus();
  const int rank = default_value.rank();
  if (rank >= values.rank())
    return invalid_argument("default_value.shape=", default_value, " and rt_input.flat_values.shape=", values,
                            " are incompatible: default_value.rank = ", rank,
                            "  must be less than rt_input.flat_values.rank = ", values.rank());
  for (int i = 1; i <= rank; ++i) {
    const int64_t a = default_value.dim(rank - i), b = values.dim(values.rank() - i);
    if (a >= 0 && b >= 0 && a != 1 && a != b)
      return invalid_argument("default_value.shape=", default_value, " and rt_input.flat_values.shape=", values,
                              " are incompatible: default_value.shape[", -i, "] = ", a,
                              " but rt_input.flat_values.shape[", -i, "] = ", b);
  }
  return absl::OkStatus();
}

// The output's shape as far as the wanted one and the values tell it.
absl::StatusOr<PartialTensorShape> combined_shape(const PartialTensorShape& wanted, const PartialTensorShape& values,
                                                  int ragged_rank) {
  if (!values.has_rank()) return wanted;
  const int rank = ragged_rank + values.rank();
  if (wanted.has_rank() && wanted.rank() != rank)
    return invalid_argument("rt_input.shape and shape=", wanted, " are incompatible: rt_input.rank = ", rank,
                            " but shape.rank = ", wanted.rank());
  if (rank > 254) return invalid_argument("RaggedTensorToTensor: ", rank, " dimensions are too many");
  std::vector<int64_t> dims = to_dims(wanted.has_rank() ? wanted : unknown_shape_of_rank(rank));
  for (int i = 1; i < values.rank(); ++i) {
    int64_t& dim = dims[static_cast<size_t>(ragged_rank + i)];
    if (dim >= 0 && values.dim(i) >= 0 && dim != values.dim(i))
      return invalid_argument("rt_input.shape and shape=", wanted, " are incompatible: rt_input.shape[",
                              ragged_rank + i, "] = ", values.dim(i), " but shape[", ragged_rank + i, "] = ", dim);
    if (dim < 0) dim = values.dim(i);
  }
  return make_partial_shape(dims);
}

// The longest row of a level.
int64_t longest_row(Partition partition, std::span<const int64_t> rows) {
  int64_t longest = 0, run = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (partition == Partition::kRowSplits) {
      if (i > 0) longest = std::max(longest, rows[i] - rows[i - 1]);
    } else {
      run = i > 0 && rows[i] == rows[i - 1] ? run + 1 : 1;
      longest = std::max(longest, run);
    }
  }
  return longest;
}

// Places in the output, -1 for what is cut off: of the rows of one level, from those of the level above.
class Places {
 public:
  // Rows of the first dimension, of which the output keeps `kept`: more than that take no memory.
  Places(int64_t rows, int64_t kept, int64_t stride) : rows_(rows) {
    for (int64_t i = 0; i < std::min(rows, kept); ++i) at_.push_back(i * stride);
  }
  const std::vector<int64_t>& at() const { return at_; }

  absl::Status descend_by_splits(std::span<const int64_t> splits, int64_t width, int64_t stride) {
    if (std::ssize(splits) - 1 > rows_)
      return invalid_argument("Row partition size is greater than output size: ", splits.size() - 1, " vs. ", rows_);
    std::vector<int64_t> below;
    for (size_t row = 0; row + 1 < splits.size(); ++row) {
      const int64_t place = at(static_cast<int64_t>(row));
      for (int64_t column = 0; column < splits[row + 1] - splits[row]; ++column)
        below.push_back(place >= 0 && column < width ? place + column * stride : -1);
    }
    set(std::move(below));
    return absl::OkStatus();
  }

  absl::Status descend_by_rowids(std::span<const int64_t> rowids, int64_t width, int64_t stride) {
    std::vector<int64_t> below;
    int64_t column = 0;
    for (size_t i = 0; i < rowids.size(); ++i) {
      column = i > 0 && rowids[i] == rowids[i - 1] ? column + 1 : 0;
      if (rowids[i] < 0 || rowids[i] >= rows_)
        return invalid_argument("Got value_rowid=", rowids[i], " which is not less than ", rows_);
      const int64_t row = at(rowids[i]);
      below.push_back(row >= 0 && column < width ? row + column * stride : -1);
    }
    set(std::move(below));
    return absl::OkStatus();
  }

 private:
  int64_t at(int64_t row) const { return row < std::ssize(at_) ? at_[static_cast<size_t>(row)] : -1; }
  void set(std::vector<int64_t> below) {
    at_ = std::move(below);
    rows_ = std::ssize(at_);
  }
  int64_t rows_;
  std::vector<int64_t> at_;  // of the first rows; those behind them are cut off
};

class RaggedTensorToTensor final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(partitions_, partitions_of(init.node()));
    return absl::OkStatus();
  }

  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::vector<std::vector<int64_t>> rows, read_partitions(ctx));
    MR_ASSIGN_OR_RETURN(const TensorShape shape, output_shape(ctx, rows));
    MR_ASSIGN_OR_RETURN(Tensor * out, ctx.allocate_output(0, shape));
    if (shape.num_elements() == 0) return absl::OkStatus();
    const int rank = ragged_rank_of(partitions_);
    std::vector<int64_t> strides(static_cast<size_t>(rank) + 1, 1);  // in elements of the values
    for (int i = rank; i-- > 0;)
      strides[static_cast<size_t>(i)] = strides[static_cast<size_t>(i) + 1] * shape.dim(i + 1);
    Places places(first_dimension(rows), shape.dim(0), strides[0]);
    const size_t skip = partitions_.size() - static_cast<size_t>(rank);
    for (int i = 1; i <= rank; ++i) {
      const size_t level = static_cast<size_t>(i) - 1 + skip;
      const int64_t stride = strides[static_cast<size_t>(i)];
      MR_RETURN_IF_ERROR(partitions_[level] == Partition::kRowSplits
                             ? places.descend_by_splits(rows[level], shape.dim(i), stride)
                             : places.descend_by_rowids(rows[level], shape.dim(i), stride));
    }
    const int64_t element = subshape(shape, rank + 1, shape.rank()).num_elements();
    return write(ctx, places.at(), element, *out);
  }

 private:
  static constexpr int kShape = 0, kValues = 1, kDefault = 2, kFirstPartition = 3;

  // Row splits and ids, checked to lie inside of the values; a size as a list of one.
  absl::StatusOr<std::vector<std::vector<int64_t>>> read_partitions(const KernelContext& ctx) const {
    if (ctx.shape(kValues).rank() < 1) return invalid_argument("values must be at least a vector");
    std::vector<std::vector<int64_t>> all;
    for (size_t i = 0; i < partitions_.size(); ++i) {
      const int input = kFirstPartition + static_cast<int>(i);
      MR_ASSIGN_OR_RETURN(std::vector<int64_t> rows, ctx.int_values(input));
      if (i == 0 && rows.empty())
        return invalid_argument("Invalid first partition input. Tensor requires at least one element.");
      if (partitions_[i] == Partition::kFirstDimSize) {
        if (rows.size() != 1) return invalid_argument("The size of the first dimension must be a scalar");
        if (rows[0] < 0) return invalid_argument("The size of the first dimension must not be negative: ", rows[0]);
      } else if (ctx.shape(input).rank() != 1) {
        return invalid_argument("Row partition tensors must be vectors, got shape ", ctx.shape(input));
      }
      if (partitions_[i] == Partition::kRowSplits) MR_RETURN_IF_ERROR(check_splits(rows));
      all.push_back(std::move(rows));
    }
    for (size_t i = 0; i < all.size(); ++i) {
      if (partitions_[i] == Partition::kRowSplits && !all[i].empty())
        MR_RETURN_IF_ERROR(check_end(ctx, all, i, all[i].back()));
      if (partitions_[i] == Partition::kValueRowids) MR_RETURN_IF_ERROR(check_end(ctx, all, i, std::ssize(all[i])));
    }
    return all;
  }

  static absl::Status check_splits(std::span<const int64_t> splits) {
    for (size_t i = 0; i < splits.size(); ++i) {
      if (splits[i] < (i == 0 ? 0 : splits[i - 1]) || (i == 0 && splits[i] != 0))
        return invalid_argument("Invalid row split size.");
    }
    return absl::OkStatus();
  }

  // What a level ends at must be there: rows of the next level, or values.
  absl::Status check_end(const KernelContext& ctx, const std::vector<std::vector<int64_t>>& all, size_t i,
                         int64_t end) const {
    int64_t there = ctx.shape(kValues).dim(0);
    if (i + 1 < all.size()) {
      if (partitions_[i + 1] == Partition::kValueRowids) {  // its ids are held against our rows, some may be empty
        if (end <= kMostRows) return absl::OkStatus();
        return resource_exhausted("RaggedTensorToTensor: ", end, " rows are too many");
      }
      there = std::max<int64_t>(std::ssize(all[i + 1]) - 1, 0);
    }
    if (end <= there) return absl::OkStatus();
    return invalid_argument("Row partition ", i, " ends at ", end, ", behind the ", there, " rows or values there are");
  }

  int64_t first_dimension(const std::vector<std::vector<int64_t>>& rows) const {
    return partitions_[0] == Partition::kFirstDimSize ? rows[0][0] : std::ssize(rows[0]) - 1;
  }

  absl::StatusOr<TensorShape> output_shape(const KernelContext& ctx,
                                           const std::vector<std::vector<int64_t>>& rows) const {
    const PartialTensorShape values = ctx.shape(kValues);
    MR_RETURN_IF_ERROR(check_default_shape(ctx.shape(kDefault), values));
    MR_ASSIGN_OR_RETURN(const PartialTensorShape wanted, wanted_shape(ctx));
    const int rank = ragged_rank_of(partitions_);
    MR_ASSIGN_OR_RETURN(const PartialTensorShape combined, combined_shape(wanted, values, rank));
    std::vector<int64_t> dims = to_dims(combined);
    const size_t skip = partitions_.size() - static_cast<size_t>(rank);
    if (dims[0] < 0) dims[0] = first_dimension(rows);
    for (size_t i = 1; i <= static_cast<size_t>(rank); ++i) {
      if (dims[i] < 0) dims[i] = longest_row(partitions_[i - 1 + skip], rows[i - 1 + skip]);
    }
    return make_shape(dims);
  }

  static absl::StatusOr<PartialTensorShape> wanted_shape(const KernelContext& ctx) {
    if (ctx.shape(kShape).rank() > 1) return invalid_argument("shape must be a vector or -1, got ", ctx.shape(kShape));
    MR_ASSIGN_OR_RETURN(const std::vector<int64_t> dims, ctx.int_values(kShape));
    if (ctx.shape(kShape).rank() == 1) return make_partial_shape(dims);
    if (dims[0] != -1) return invalid_argument("shape must be a vector, or -1 as a scalar, got ", dims[0]);
    return PartialTensorShape();
  }

  // The default in all places, then the values in theirs, by runs.
  static absl::Status write(KernelContext& ctx, std::span<const int64_t> places, int64_t element, Tensor& out) {
    const Tensor &values = ctx.input(kValues), &fill = ctx.input(kDefault);
    const int64_t n = out.num_elements() / element;
    if (fill.num_elements() == 0) return invalid_argument("Error broadcasting default_value");
    MR_RETURN_IF_ERROR(write_default(fill, subshape(values.shape(), 1, values.rank()), out));
    for (int64_t done = element; done < n * element; done += std::min(done, n * element - done))  // doubling
      copy_values(out, 0, out, done, std::min(done, n * element - done));
    const size_t count = std::min(places.size(), static_cast<size_t>(values.dim(0)));
    for (size_t i = 0; i < count;) {
      size_t end = i + 1;
      while (end < count && places[i] >= 0 && places[end] == places[i] + static_cast<int64_t>(end - i)) ++end;
      if (places[i] >= 0)
        copy_values(values, static_cast<int64_t>(i) * element, out, places[i] * element,
                    static_cast<int64_t>(end - i) * element);
      i = end;
    }
    return absl::OkStatus();
  }

  // The first element of the output: the default, broadcast to `shape`.
  static absl::Status write_default(const Tensor& fill, const TensorShape& shape, Tensor& out) {
    for (int64_t e = 0; e < shape.num_elements(); ++e) {
      int64_t from = 0, rest = e, stride = 1;
      for (int i = 1; i <= fill.rank(); ++i) {
        const int64_t size = shape.dim(shape.rank() - i), at = rest % size;
        rest /= size;
        if (fill.dim(fill.rank() - i) != 1) from += at * stride;
        stride *= fill.dim(fill.rank() - i);
      }
      copy_values(fill, from, out, e, 1);
    }
    return absl::OkStatus();
  }

  static constexpr int64_t kMostRows = int64_t{1} << 26;
  std::vector<Partition> partitions_;
};

absl::Status ragged_to_tensor_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const std::vector<Partition> partitions, partitions_of(c.node()));
  PartialTensorShape wanted;
  MR_RETURN_IF_ERROR(c.with_rank_at_most(0, 1).status());
  if (c.input(0).has_rank() && c.input(0).rank() == 1) {
    MR_ASSIGN_OR_RETURN(wanted, c.as_shape(0));
  }
  MR_RETURN_IF_ERROR(check_default_shape(c.input(2), c.input(1)));
  return c.set_output(0, combined_shape(wanted, c.input(1), ragged_rank_of(partitions)));
}

// ---- Gradient

// tf.boolean_mask(x, mask): the elements of x's first dimensions, those of the mask, where it is true.
Output boolean_mask(GradientContext& g, const Output& x, const Output& mask, int mask_rank) {
  const auto scope = g.name_scope("boolean_mask");
  const Output shape = shape_of(g, x);
  const Output masked = slice_vector(g, shape, {.has_begin = false, .end = mask_rank});
  const Output size = g.op("Prod", {masked, int_list(g, {0})});
  const Output rest = slice_vector(g, shape, {.has_end = false, .begin = mask_rank});
  const Output flat = g.op(
      "Reshape",
      {x,
       concat(g, {op_with_literal(g, "Reshape", size, Tensor(std::vector<int32_t>{1}), "shape", "Reshape"), rest}, 0)});
  const Output flags = op_with_literal(g, "Reshape", mask, Tensor(std::vector<int32_t>{-1}), "shape", "Reshape");
  const Output where = g.op("Where", {flags});
  const Output indices = g.op("Squeeze", {where}, {{"squeeze_dims", std::vector<int64_t>{1}}});
  const auto gather = g.name_scope("GatherV2");
  return g.op("GatherV2", {flat, indices, g.int32_scalar(0, "axis")}, {}, "/");
}

// The rank of x without its leading dimensions of size 1.
Output rank_behind_ones(GradientContext& g, const Output& x) {
  const PartialTensorShape shape = g.shape(x);
  int leading = 0;
  while (shape.has_rank() && leading < shape.rank() && shape.dim(leading) == 1) ++leading;
  if (shape.has_rank() && (leading == shape.rank() || shape.dim(leading) >= 0))
    return g.int32_scalar(shape.rank() - leading);
  const Output dims = shape_of(g, x);
  const Output is_one = g.op("Cast", {g.op("Equal", {dims, g.int32_scalar(1)})}, {{"DstT", DataType::kInt32}});
  const Output leading_ones = g.op("Cumprod", {is_one, g.int32_scalar(0)});
  return g.op("Sub", {size_of(g, dims), g.op("Sum", {leading_ones, int_list(g, {0})})});
}

// The same op over the values' own numbers says where in the output each of them stands.
absl::Status ragged_to_tensor_gradient(GradientContext& g) {
  MR_ASSIGN_OR_RETURN(const std::vector<Partition> partitions, partitions_of(g.node()));
  MR_ASSIGN_OR_RETURN(const auto types, g.attr<std::vector<std::string>>("row_partition_types"));
  const int rank = ragged_rank_of(partitions);
  const Output dy = g.dy(0), values_shape = shape_of(g, g.x(1));
  std::vector<Output> tensors;
  for (int i = 3; i < g.num_inputs(); ++i) tensors.push_back(g.x(i));
  const Output count = [&] {
    const auto scope = g.name_scope("strided_slice");
    return g.op("StridedSlice",
                {values_shape, int_list(g, {0}, "stack"), int_list(g, {1}, "stack_1"), int_list(g, {1}, "stack_2")},
                {{"shrink_axis_mask", int64_t{1}}}, "/");
  }();
  const Output numbers = [&] {
    const auto scope = g.name_scope("range");
    return g.op("Range", {g.int32_scalar(0, "start"), count, g.int32_scalar(1, "delta")}, {}, "/");
  }();
  const Output leading = slice_vector(g, shape_of(g, dy), {.has_begin = false, .end = 1 + rank});
  const std::vector<Output> indices =
      g.op_with_lists("RaggedTensorToTensor", {{leading}, {numbers}, {g.int32_scalar(-1, "default_value")}, tensors},
                      {{"row_partition_types", types}});
  if (indices.empty()) return absl::OkStatus();
  const Output mask = g.op("NotEqual", {indices[0], g.int32_scalar(-1)});
  const Output rows = boolean_mask(g, dy, mask, 1 + rank);
  g.set_dx(1, IndexedSlices{rows, boolean_mask(g, indices[0], mask, 1 + rank), values_shape});
  // What the default filled, summed over that and over what it was broadcast to.
  const Output filled = boolean_mask(g, dy, g.op("LogicalNot", {mask}), 1 + rank);
  const Output reduced_rank = g.op("Sub", {rank_of(g, filled), rank_behind_ones(g, g.x(2))});
  const Output axes = g.op("Range", {g.int32_scalar(0, "start"), reduced_rank, g.int32_scalar(1, "delta")});
  g.set_dx(2, g.op("Reshape", {g.op("Sum", {filled, axes}), shape_of(g, g.x(2))}));
  return absl::OkStatus();
}

}  // namespace

void register_ragged_to_tensor(Registry& registry) {
  registry.op("RaggedTensorToTensor")
      .input("shape: Tshape")
      .input("values: T")
      .input("default_value: T")
      .input("row_partition_tensors: num_row_partition_tensors * Tindex")
      .output("result: T")
      .attr("T: type")
      .attr("Tindex: {int32, int64}")
      .attr("Tshape: {int32, int64}")
      .attr("num_row_partition_tensors: int >= 1")
      .attr("row_partition_types: list(string)")
      .shape(ragged_to_tensor_shape)
      .cpu<RaggedTensorToTensor>()
      .gradient(ragged_to_tensor_gradient)
      .doc("The rows of a ragged tensor, cut or filled with a default to one length.");
}

}  // namespace millrace
