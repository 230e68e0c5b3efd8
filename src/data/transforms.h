#pragma once
// Datasets made of others without calling functions.

#include "data/dataset.h"

namespace millrace {

using DatasetList = std::vector<DatasetPtr>;

DatasetPtr take_dataset(DatasetPtr input, int64_t count);    // count -1: all
DatasetPtr skip_dataset(DatasetPtr input, int64_t count);    // count -1: all
DatasetPtr repeat_dataset(DatasetPtr input, int64_t count);  // count -1: without end
absl::StatusOr<DatasetPtr> shard_dataset(DatasetPtr input, int64_t num_shards, int64_t index);
absl::StatusOr<DatasetPtr> concatenate_dataset(DatasetPtr first, DatasetPtr second, ElementSpec spec);
absl::StatusOr<DatasetPtr> zip_dataset(DatasetList inputs, ElementSpec spec);
// Keeps what the first complete pass saw, for all later iterators.
DatasetPtr cache_dataset(DatasetPtr input);
// Leaves out elements whose production fails.
DatasetPtr ignore_errors_dataset(DatasetPtr input, bool log_warning);
// FailedPrecondition where the input turns out to have another number of elements.
DatasetPtr assert_cardinality_dataset(DatasetPtr input, int64_t cardinality);
// The first of equal elements (one component: integer or string).
absl::StatusOr<DatasetPtr> unique_dataset(DatasetPtr input);
// Takes the next element from the input that `selector` names.
absl::StatusOr<DatasetPtr> directed_interleave_dataset(DatasetPtr selector, DatasetList inputs, ElementSpec spec,
                                                       bool stop_on_empty);

}  // namespace millrace
