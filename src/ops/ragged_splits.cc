#include "ops/ragged_splits.h"

#include <limits>

namespace millrace {
namespace {

absl::Status check_splits(const RowSplits& splits) {
  if (splits.empty()) return invalid_argument("ragged splits may not be empty");
  if (splits[0] != 0) return invalid_argument("First value of ragged splits must be 0, got ", splits[0]);
  for (size_t i = 1; i < splits.size(); ++i) {
    if (splits[i] < splits[i - 1])
      return invalid_argument("Ragged splits should be non decreasing, got ", splits[i], " after ", splits[i - 1]);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<RowSplits>> row_splits_inputs(const KernelContext& ctx, int first, int count,
                                                         int64_t num_values) {
  std::vector<RowSplits> nested;
  nested.reserve(static_cast<size_t>(count));
  for (int i = first; i < first + count; ++i) {
    if (ctx.shape(i).rank() != 1) return invalid_argument("Ragged splits must be a vector, got shape ", ctx.shape(i));
    MR_ASSIGN_OR_RETURN(RowSplits splits, ctx.int_values(i));
    MR_RETURN_IF_ERROR(check_splits(splits));
    if (!nested.empty() && nested.back().back() != std::ssize(splits) - 1)
      return invalid_argument("Final value of ragged splits must match the length of the corresponding ragged values: ",
                              nested.back().back(), " vs. ", splits.size() - 1);
    nested.push_back(std::move(splits));
  }
  if (!nested.empty() && nested.back().back() != num_values)
    return invalid_argument("Final value of ragged splits must match the length of the corresponding ragged values: ",
                            nested.back().back(), " vs. ", num_values);
  return nested;
}

absl::StatusOr<Tensor> row_splits_tensor(DataType dtype, const RowSplits& splits) {
  if (dtype == DataType::kInt64) return make_vector<int64_t>(splits);
  if (!splits.empty() && splits.back() > std::numeric_limits<int32_t>::max())
    return invalid_argument("Row splits of ", splits.back(), " values do not fit into int32");
  return make_vector<int32_t>(std::vector<int32_t>(splits.begin(), splits.end()));
}

absl::Status output_row_splits(KernelContext& ctx, int i, const RowSplits& splits) {
  MR_ASSIGN_OR_RETURN(const DataType dtype, get_attr<DataType>(ctx.node(), "Tsplits"));
  MR_ASSIGN_OR_RETURN(Tensor tensor, row_splits_tensor(dtype, splits));
  return ctx.set_output(i, std::move(tensor));
}

absl::Status vectors_shape(ShapeContext& c, int first, int count) {
  for (int i = first; i < first + count; ++i) MR_RETURN_IF_ERROR(c.with_rank(i, 1).status());
  return absl::OkStatus();
}

}  // namespace millrace
