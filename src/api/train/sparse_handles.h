#pragma once
// Sparse tensors on their way through a queue. A queue's element is dense, so each sparse tensor waits in a map of the
// session's resources (AddSparseToTensorsMap) and its handle in the queue; whoever dequeues handles takes the tensors
// out of the map, stacked to one. Names and order of the operations are those of TensorFlow's training/input.py.

#include <vector>

#include "millrace/train/input.h"

namespace millrace::train {

// Of one component of the examples: dense without a map.
struct SparseInfo {
  Operation map;      // what stored the (first) sparse tensor
  int64_t rank = -1;  // of an example's tensor; -1: not known
  bool sparse() const { return static_cast<bool>(map); }
};

struct StoredLists {
  std::vector<std::vector<Output>> lists;  // dense: sparse tensors as handles [1], or [n, 1] with enqueue_many
  std::vector<SparseInfo> infos;           // one per component
};
// In the open scope. Nothing is stored of examples that keep_input leaves out. InvalidArgumentError where lists differ
// in which components are sparse, in their rank or dtype.
StoredLists store_sparse_tensors(const std::vector<ExampleList>& lists, bool enqueue_many, const Output& keep_input);

// What was dequeued, sparse tensors again. All are there once one is: a handle is never taken without its example.
ExampleList restore_sparse_tensors(const std::vector<Output>& dequeued, const std::vector<SparseInfo>& infos);

}  // namespace millrace::train
