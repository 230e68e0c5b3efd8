#pragma once
// Ragged tensors as ops pass them: the values of all rows in one tensor, and per ragged dimension row splits, which say
// where each row begins and end: row i holds [splits[i], splits[i + 1]) of the next dimension's rows, or of the values.

#include <vector>

#include "op/kernel.h"
#include "op/shape_context.h"

namespace millrace {

using RowSplits = std::vector<int64_t>;

// Inputs [first, first + count) as row splits, the outermost first, each held against the next and the last against
// `num_values`. InvalidArgument for what could reach outside of the values.
absl::StatusOr<std::vector<RowSplits>> row_splits_inputs(const KernelContext& ctx, int first, int count,
                                                         int64_t num_values);
// Row splits as output `i`, of its dtype; InvalidArgument where they do not fit into it.
absl::Status output_row_splits(KernelContext& ctx, int i, const RowSplits& splits);
absl::StatusOr<Tensor> row_splits_tensor(DataType dtype, const RowSplits& splits);

// Wants inputs [first, first + count) to be vectors.
absl::Status vectors_shape(ShapeContext& c, int first, int count);

}  // namespace millrace
