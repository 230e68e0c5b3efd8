#pragma once
// Datasets of values in memory.

#include "data/dataset.h"

namespace millrace {

// start, start + step, ... up to but without stop. step != 0.
absl::StatusOr<DatasetPtr> range_dataset(int64_t start, int64_t stop, int64_t step, ElementSpec spec);
// One element.
absl::StatusOr<DatasetPtr> tensor_dataset(Element element, ElementSpec spec);
// The rows of the components, which have equally many.
absl::StatusOr<DatasetPtr> tensor_slice_dataset(Element components, ElementSpec spec);
// The rows of a sparse matrix (indices [n,r], in order; values [n]; dense shape [r]): elements are sparse tensors as
// indices [m,r-1], values [m], dense shape [r-1].
absl::StatusOr<DatasetPtr> sparse_tensor_slice_dataset(const Tensor& indices, const Tensor& values,
                                                       const Tensor& dense_shape);
// Given elements, such as those of a window.
DatasetPtr elements_dataset(std::vector<Element> elements, ElementSpec spec);
// Endless random numbers in [0, 2^32); 0, 0 seeds by chance.
DatasetPtr random_dataset(int64_t seed, int64_t seed2, ElementSpec spec);

}  // namespace millrace
