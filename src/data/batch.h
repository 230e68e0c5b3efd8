#pragma once
// Datasets that join or part elements.

#include "data/dataset.h"

namespace millrace {

// batch_size (> 0) elements as rows; the last batch may be smaller unless drop_remainder.
absl::StatusOr<DatasetPtr> batch_dataset(DatasetPtr input, int64_t batch_size, bool drop_remainder, ElementSpec spec);

struct Padding {
  std::vector<PartialTensorShape> shapes;  // per component; unknown dimensions: as long as the longest of the batch
  std::vector<Tensor> values;              // per component, scalars
};
absl::StatusOr<DatasetPtr> padded_batch_dataset(DatasetPtr input, int64_t batch_size, Padding padding,
                                                bool drop_remainder, ElementSpec spec);

// Rows of each element as elements.
DatasetPtr unbatch_dataset(DatasetPtr input, ElementSpec spec);

// Elements are datasets, one per component, of `size` elements `stride` apart; windows begin `shift` apart.
absl::StatusOr<DatasetPtr> window_dataset(DatasetPtr input, int64_t size, int64_t shift, int64_t stride,
                                          bool drop_remainder, ElementSpec spec);

// Batches of one-component elements (of the row shape's rank, at most as large) as sparse tensors: indices, values,
// dense shape, packed into a vector of three variants as TensorFlow's sparse serialization has them.
absl::StatusOr<DatasetPtr> dense_to_sparse_batch_dataset(DatasetPtr input, int64_t batch_size,
                                                         PartialTensorShape row_shape, ElementSpec spec);

}  // namespace millrace
