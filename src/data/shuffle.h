#pragma once
// Random order, exactly TensorFlow's for the same seeds.

#include "data/dataset.h"
#include "data/seeds.h"

namespace millrace {

// Draws from a buffer of buffer_size elements (-1, -2: of as many as there are). Each iterator asks for new seeds.
absl::StatusOr<DatasetPtr> shuffle_dataset(DatasetPtr input, int64_t buffer_size, std::shared_ptr<SeedGenerator> seeds);

}  // namespace millrace
