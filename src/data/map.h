#pragma once
// Datasets that call functions.

#include "data/captured_function.h"

namespace millrace {

// What becomes of an element whose function says OutOfRange: the end of the sequence, unless the length must not
// change.
struct MapOptions {
  bool preserve_cardinality = false;
  int64_t num_parallel_calls = 0;  // 0: on the caller's thread; -1: as many as there are cores
  bool deterministic = true;       // elements keep their order although calls run side by side
};
absl::StatusOr<DatasetPtr> map_dataset(DatasetPtr input, FunctionPtr function, MapOptions options, ElementSpec spec);
DatasetPtr filter_dataset(DatasetPtr input, FunctionPtr predicate);
DatasetPtr take_while_dataset(DatasetPtr input, FunctionPtr predicate);
DatasetPtr flat_map_dataset(DatasetPtr input, FunctionPtr function, ElementSpec spec);

struct InterleaveOptions {
  int64_t cycle_length = 1;  // -1: as many as there are cores
  int64_t block_length = 1;
  bool parallel = false;  // elements of the open datasets are made ahead, in the same order
};
absl::StatusOr<DatasetPtr> interleave_dataset(DatasetPtr input, FunctionPtr function, InterleaveOptions options,
                                              ElementSpec spec);

// (state, element) -> (new state, output); `state` is the first.
DatasetPtr scan_dataset(DatasetPtr input, Element state, FunctionPtr function, ElementSpec spec);

// Collects elements of equal key up to the key's window size, and flattens what `reduce` makes of (key, dataset of
// them).
DatasetPtr group_by_window_dataset(DatasetPtr input, FunctionPtr key, FunctionPtr reduce, FunctionPtr window_size,
                                   ElementSpec spec);

// (state, element) -> state, over all elements.
absl::StatusOr<Element> reduce_dataset(const Dataset& input, Element state, const CapturedFunction& function,
                                       CancellationScope* cancellation);

}  // namespace millrace
